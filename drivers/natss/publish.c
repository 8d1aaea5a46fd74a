/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing: the host leaves copies, the publisher's thread gives them to the library, which confirms them. */
#include "natss.h"

#include <stdlib.h>
#include <string.h>

/* ---- completions -------------------------------------------------------------- */

/* Lock held. */
static void complete(struct item *item, int code, uint32_t outcome, const char *why)
{
	item->code = code;
	item->outcome = outcome;
	item->why = why;
	weir_natss_items_add(&item->inst->done, item);
}

/* Lock held. Nobody has seen it. */
static void reject(struct item *item, int code, const char *why)
{
	complete(item, code, WEIR_NOT_PERSISTED, why);
	pthread_cond_broadcast(&item->inst->changed);
}

/* What the server refuses it has not stored; everything else that is no confirmation says nothing. */
static uint32_t outcome_of(const char *text, int code)
{
	if (!text || !*text)
		return WEIR_PERSISTED;
	if (strncmp(text, "stan: ", 6) == 0 || code == WEIR_ELIMIT)
		return WEIR_NOT_PERSISTED;
	return WEIR_UNKNOWN;
}

/* The library calls it exactly once for each publish that it took, on a thread of its own. */
static void on_confirmed(const char *guid, const char *text, void *closure)
{
	struct item *item = closure;
	struct weir_inst *inst = item->inst;
	int code = weir_natss_code(text);

	(void)guid;
	weir_natss_lock(inst);
	complete(item, code, outcome_of(text, code), NULL);
	if (--inst->in_library == 0)
		pthread_cond_broadcast(&inst->changed);
	if (!code) {
		inst->round_trips++;
		inst->heard_ns = weir_natss_now();
		weir_natss_session_mark(&inst->publisher, false, NULL);
	}
	weir_natss_unlock(inst);
}

/* ---- the publisher's thread ----------------------------------------------------- */

/* Whether the library surely has not sent it, and may send it on another connection. */
static bool is_postponed(natsStatus status)
{
	return status == NATS_CONNECTION_CLOSED || status == NATS_CONNECTION_DISCONNECTED ||
	       status == NATS_INSUFFICIENT_BUFFER || status == NATS_DRAINING || status == NATS_NOT_YET_CONNECTED;
}

static void not_sent(struct session *session, struct item *item, natsStatus status)
{
	struct weir_inst *inst = session->inst;
	int code = weir_nats_code(status);
	bool surely = status == NATS_NO_MEMORY || status == NATS_MAX_PAYLOAD || status == NATS_INVALID_ARG;

	weir_natss_lock(inst);
	inst->in_library--;
	complete(item, code, surely ? WEIR_NOT_PERSISTED : WEIR_UNKNOWN, NULL);
	if (!surely)
		weir_natss_session_lose(session);
	pthread_cond_broadcast(&inst->changed);
	weir_natss_unlock(inst);
}

/* Puts back what is left, before what came meanwhile. */
static void postpone(struct session *session, struct items *left, uint64_t count)
{
	struct weir_inst *inst = session->inst;

	weir_natss_lock(inst);
	inst->in_library -= count;
	left->last->next = inst->queue.first;
	if (!inst->queue.last)
		inst->queue.last = left->last;
	inst->queue.first = left->first;
	weir_natss_session_lose(session);
	weir_natss_unlock(inst);
}

static void send_all(struct session *session, struct items *batch, uint64_t count)
{
	while (batch->first) {
		struct item *item = batch->first, *next = item->next;
		natsStatus status = stanConnection_PublishAsync(session->sc, item->topic->name, item->data,
								(int)item->len, on_confirmed, item);

		/* Once the library has it, it may be gone already. */
		if (is_postponed(status)) {
			postpone(session, batch, count);
			return;
		}
		batch->first = next;
		count--;
		if (status)
			not_sent(session, item, status);
	}
}

/* Completes what has waited too long. Lock held. */
static void expire(struct weir_inst *inst)
{
	int64_t now_ns = weir_natss_now();

	while (inst->queue.first && inst->queue.first->deadline_ns <= now_ns)
		reject(weir_natss_items_take(&inst->queue), WEIR_ETIMEDOUT,
		       "the streaming server could not be reached in time");
}

static bool work(struct session *session)
{
	struct weir_inst *inst = session->inst;
	struct items batch;
	uint64_t count = 0;

	expire(inst);
	if (!inst->queue.first)
		return false;
	batch = inst->queue;
	inst->queue = (struct items){ NULL, NULL };
	for (struct item *item = batch.first; item; item = item->next)
		count++;
	if (!inst->in_library)
		inst->heard_ns = weir_natss_now();
	inst->in_library += count;
	weir_natss_unlock(inst);
	send_all(session, &batch, count);
	weir_natss_lock(inst);
	return true;
}

/* A server that takes publishes and confirms none is as good as away: pings will tell, but later. */
static void tick(struct session *session)
{
	struct weir_inst *inst = session->inst;
	struct weir_error why = WEIR_ERROR_INIT;
	int64_t silent_ms = (weir_natss_now() - inst->heard_ns) / 1000000;

	expire(inst);
	if (!inst->in_library || silent_ms < WEIR_NATSS_SILENCE_MS || session->away)
		return;
	weir_fail(&why, WEIR_EUNAVAIL, "natss: %.200s takes events and confirms none", inst->settings.login.shown);
	why.scope = WEIR_SCOPE_INSTANCE;
	weir_natss_session_mark(session, true, &why);
}

/* What a server takes may have changed with it. */
static void learn_payload(struct session *session)
{
	struct weir_inst *inst = session->inst;
	natsConnection *nc = NULL;
	int64_t payload;

	if (stanConnection_GetNATSConnection(session->sc, &nc) != NATS_OK)
		return;
	payload = natsConnection_GetMaxPayload(nc);
	stanConnection_ReleaseNATSConnection(session->sc);
	weir_natss_lock(inst);
	if (payload > 2 * WEIR_NATSS_OVERHEAD && (size_t)payload != inst->max_payload) {
		inst->max_payload = (size_t)payload;
		weir_natss_notify(inst, &inst->caps_changed);
	}
	weir_natss_unlock(inst);
}

static int begin(struct session *session, struct weir_error *err)
{
	struct weir_inst *inst = session->inst;
	struct weir_error why = WEIR_ERROR_INIT;
	int code = weir_natss_limits_check(inst, &why);
	bool changed;

	if (code && code != WEIR_ELIMIT) {
		if (err)
			*err = why;
		return code;
	}
	learn_payload(session);
	weir_natss_lock(inst);
	changed = inst->refusal.code != code || !session->was_up;
	memset(&inst->refusal, 0, sizeof inst->refusal);
	if (code)
		inst->refusal = why;
	session->was_up = true;
	if (changed)
		weir_natss_topics_tell(inst);
	weir_natss_unlock(inst);
	return WEIR_OK;
}

const struct session_role weir_natss_publisher = { begin, work, tick, NULL, NULL, NULL };

/* ---- the host's side --------------------------------------------------------------- */

size_t weir_natss_max_record(const struct weir_inst *inst)
{
	return inst->max_payload - WEIR_NATSS_OVERHEAD;
}

static struct item *item_new(struct weir_inst *inst, const struct weir_publish *publish)
{
	const struct weir_buf *body = &publish->record.body;
	struct item *item = malloc(sizeof *item + body->len);

	if (!item)
		return NULL;
	*item = (struct item){ .inst = inst, .topic = publish->topic, .tag = publish->tag, .len = body->len };
	item->deadline_ns = publish->deadline_ns;
	if (!item->deadline_ns)
		item->deadline_ns = weir_natss_after_ms(weir_natss_now(), WEIR_NATSS_CONFIRM_MS);
	if (body->len)
		memcpy(item->data, body->ptr, body->len);
	return item;
}

/* Lock held. */
static int admit(struct weir_inst *inst, const struct weir_record *record, struct weir_error *err)
{
	size_t bytes = record->body.len, max = weir_natss_max_record(inst);

	if (bytes > max)
		return weir_fail(err, WEIR_ETOOBIG, "natss: the record has %zu bytes; at most %zu are allowed", bytes,
				 max);
	if (record->header_count)
		return weir_fail(err, WEIR_EINVAL, "natss: a record has no headers here");
	if (inst->refusal.code) {
		if (err)
			*err = inst->refusal;
		return inst->refusal.code;
	}
	if (inst->pending < WEIR_NATSS_MAX_INFLIGHT && inst->pending_bytes + bytes <= WEIR_NATSS_MAX_BYTES)
		return WEIR_OK;
	inst->want_writable = true;
	return weir_fail(err, WEIR_EAGAIN, "natss: %llu events wait to be confirmed",
			 (unsigned long long)inst->pending);
}

int weir_natss_publish(struct weir_inst *inst, const struct weir_publish *items, size_t count, size_t *accepted,
		       struct weir_error *err)
{
	struct items batch = { NULL, NULL };
	uint64_t taken = 0;
	size_t bytes = 0;
	int code = WEIR_OK;

	for (*accepted = 0; *accepted < count && !code; *accepted += !code) {
		const struct weir_publish *publish = &items[*accepted];
		struct item *item;

		weir_natss_lock(inst);
		code = admit(inst, &publish->record, err);
		inst->pending += !code;
		inst->pending_bytes += code ? 0 : publish->record.body.len;
		weir_natss_unlock(inst);
		if (code)
			break;
		item = item_new(inst, publish);
		if (item) {
			weir_natss_items_add(&batch, item);
			continue;
		}
		taken++;
		bytes += publish->record.body.len;
		code = weir_fail(err, WEIR_ENOMEM, "natss: no memory for a record");
	}
	weir_natss_lock(inst);
	inst->pending -= taken;
	inst->pending_bytes -= bytes;
	if (batch.first) {
		if (!inst->queue.first)
			pthread_cond_signal(&inst->publisher.wake);
		if (inst->queue.last)
			inst->queue.last->next = batch.first;
		else
			inst->queue.first = batch.first;
		inst->queue.last = batch.last;
	}
	weir_natss_unlock(inst);
	return code;
}

void weir_natss_queue_cancel(struct weir_inst *inst)
{
	while (inst->queue.first)
		reject(weir_natss_items_take(&inst->queue), WEIR_ECANCELED, "the instance is being closed");
}

int weir_natss_flush(struct weir_inst *inst, int64_t deadline_ns, uint64_t *left)
{
	weir_natss_lock(inst);
	while ((inst->queue.first || inst->in_library) && weir_natss_now() < deadline_ns)
		weir_natss_cond_wait(inst, &inst->changed, deadline_ns);
	*left = inst->in_library;
	for (const struct item *item = inst->queue.first; item; item = item->next)
		++*left;
	weir_natss_unlock(inst);
	return *left ? WEIR_ETIMEDOUT : WEIR_OK;
}

void weir_natss_items_free(struct items *items)
{
	struct item *item;

	while ((item = weir_natss_items_take(items)))
		free(item);
}
