/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing: the host leaves copies, the publisher's thread gives them to the library, which confirms them. */
#include "natss.h"

#include <stdlib.h>
#include <string.h>

/* ---- completions -------------------------------------------------------------- */

/* Any thread; no lock is necessary. */
static void complete(struct item *item, int code, uint32_t outcome, const char *why)
{
	struct weir_inst *inst = item->inst;

	item->code = code;
	item->outcome = outcome;
	item->why = why;
	item->next = atomic_load_explicit(&inst->confirmed, memory_order_relaxed);
	while (!atomic_compare_exchange_weak(&inst->confirmed, &item->next, item))
		continue;
	weir_natss_raise(inst);
}

void weir_natss_confirmed_take(struct weir_inst *inst)
{
	struct item *item = atomic_exchange(&inst->confirmed, NULL), *next;
	struct items newer = { NULL, item };

	for (; item; item = next) {
		next = item->next;
		item->next = newer.first;
		newer.first = item;
	}
	if (!newer.first)
		return;
	if (inst->done.last)
		inst->done.last->next = newer.first;
	else
		inst->done.first = newer.first;
	inst->done.last = newer.last;
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
	atomic_fetch_sub(&inst->library_bytes, item->len);
	if (!code) {
		atomic_fetch_add_explicit(&inst->round_trips, 1, memory_order_relaxed);
		atomic_store_explicit(&inst->heard_ns, weir_natss_now(), memory_order_relaxed);
	}
	if (!code && atomic_load(&inst->publisher.away)) {
		weir_natss_lock(inst);
		weir_natss_session_mark(&inst->publisher, false, NULL);
		weir_natss_unlock(inst);
	}
	complete(item, code, outcome_of(text, code), NULL);
	/* The last: the instance may go once there is none. */
	atomic_fetch_sub(&inst->in_library, 1);
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
	inst->library_bytes -= item->len;
	complete(item, code, surely ? WEIR_NOT_PERSISTED : WEIR_UNKNOWN, NULL);
	if (!surely)
		weir_natss_session_lose(session);
	weir_natss_unlock(inst);
}

/* Puts back what is left, before what came meanwhile. */
static void postpone(struct session *session, struct items *left)
{
	struct weir_inst *inst = session->inst;

	weir_natss_lock(inst);
	for (const struct item *item = left->first; item; item = item->next) {
		inst->in_library--;
		inst->library_bytes -= item->len;
	}
	left->last->next = inst->queue.first;
	if (!inst->queue.last)
		inst->queue.last = left->last;
	inst->queue.first = left->first;
	weir_natss_session_lose(session);
	weir_natss_unlock(inst);
}

static void send_all(struct session *session, struct items *batch)
{
	while (batch->first) {
		struct item *item = batch->first, *next = item->next;
		natsStatus status = stanConnection_PublishAsync(session->sc, item->topic->name, item->data,
								(int)item->len, on_confirmed, item);

		/* Once the library has it, it may be gone already. */
		if (is_postponed(status)) {
			postpone(session, batch);
			return;
		}
		batch->first = next;
		if (status)
			not_sent(session, item, status);
	}
}

/* They are with the library from here on. Lock held. */
static void hand_over(struct weir_inst *inst, const struct items *batch, int64_t now_ns)
{
	if (!inst->in_library)
		inst->heard_ns = now_ns;
	for (const struct item *item = batch->first; item; item = item->next) {
		inst->in_library++;
		inst->library_bytes += item->len;
	}
}

/* Completes what has waited too long. Lock held. */
static void expire(struct weir_inst *inst)
{
	int64_t now_ns = weir_natss_now();

	while (inst->queue.first && inst->queue.first->deadline_ns <= now_ns)
		complete(weir_natss_items_take(&inst->queue), WEIR_ETIMEDOUT, WEIR_NOT_PERSISTED,
			 "the streaming server could not be reached in time");
}

static bool work(struct session *session)
{
	struct weir_inst *inst = session->inst;
	struct items batch;

	expire(inst);
	if (!inst->queue.first)
		return false;
	batch = inst->queue;
	inst->queue = (struct items){ NULL, NULL };
	hand_over(inst, &batch, weir_natss_now());
	inst->sending = true;
	weir_natss_unlock(inst);
	send_all(session, &batch);
	weir_natss_lock(inst);
	inst->sending = false;
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

/* `keep`: the library does not get it at once, so its bytes are copied. */
static struct item *item_new(struct weir_inst *inst, const struct weir_publish *publish, bool keep)
{
	const struct weir_buf *body = &publish->record.body;
	struct item *item = malloc(sizeof *item + (keep ? body->len : 0));

	if (!item)
		return NULL;
	*item = (struct item){ .inst = inst, .topic = publish->topic, .tag = publish->tag, .len = body->len };
	item->deadline_ns = publish->deadline_ns;
	if (keep && !item->deadline_ns)
		item->deadline_ns = weir_natss_after_ms(weir_natss_now(), WEIR_NATSS_CONFIRM_MS);
	if (keep && body->len)
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

/* How many of them may come now, and their bytes. The reason if it is not all. Lock held. */
static size_t admit_all(struct weir_inst *inst, const struct weir_publish *items, size_t count, size_t *bytes,
			int *code, struct weir_error *err)
{
	size_t taken = 0;

	*bytes = 0;
	for (; taken < count && !(*code = admit(inst, &items[taken].record, err)); taken++) {
		inst->pending++;
		inst->pending_bytes += items[taken].record.body.len;
		*bytes += items[taken].record.body.len;
	}
	return taken;
}

/*
 * Whether calls into the library cannot block now, and come after what came
 * before. Then they are counted as with it. Lock held.
 */
static bool may_send(struct weir_inst *inst, size_t count, size_t bytes)
{
	int64_t now_ns = weir_natss_now();

	if (!count || inst->queue.first || inst->sending || inst->library_bytes + bytes > WEIR_NATSS_LIVELY_BYTES ||
	    (inst->in_library && now_ns - inst->heard_ns > WEIR_NATSS_LIVELY_MS * INT64_C(1000000)) ||
	    !weir_natss_session_enter(&inst->publisher))
		return false;
	if (!inst->in_library)
		inst->heard_ns = now_ns;
	inst->in_library += count;
	inst->library_bytes += bytes;
	return true;
}

/* Gives them to the library. Returns how many that was; the others are to be queued. */
static size_t send_directly(struct weir_inst *inst, const struct weir_publish *items, size_t count)
{
	struct session *session = &inst->publisher;
	natsStatus status = NATS_OK;
	size_t sent;

	for (sent = 0; sent < count; sent++) {
		const struct weir_buf *body = &items[sent].record.body;
		struct item *item = item_new(inst, &items[sent], false);

		if (!item)
			break;
		status = stanConnection_PublishAsync(session->sc, item->topic->name, body->ptr, (int)body->len,
						     on_confirmed, item);
		if (is_postponed(status)) {
			free(item);
			break;
		}
		if (status)
			not_sent(session, item, status);
	}
	weir_natss_session_leave(session);
	for (size_t i = sent; i < count; i++) {
		inst->in_library--;
		inst->library_bytes -= items[i].record.body.len;
	}
	if (is_postponed(status)) {
		weir_natss_lock(inst);
		weir_natss_session_lose(session);
		weir_natss_unlock(inst);
	}
	return sent;
}

/* Leaves copies for the publisher's thread. Returns how many. */
static size_t enqueue(struct weir_inst *inst, const struct weir_publish *items, size_t count)
{
	struct items batch = { NULL, NULL };
	size_t done;

	for (done = 0; done < count; done++) {
		struct item *item = item_new(inst, &items[done], true);

		if (!item)
			break;
		weir_natss_items_add(&batch, item);
	}
	weir_natss_lock(inst);
	for (size_t i = done; i < count; i++) {
		inst->pending--;
		inst->pending_bytes -= items[i].record.body.len;
	}
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
	return done;
}

int weir_natss_publish(struct weir_inst *inst, const struct weir_publish *items, size_t count, size_t *accepted,
		       struct weir_error *err)
{
	size_t admitted, bytes, done = 0;
	int code = WEIR_OK;
	bool direct;

	weir_natss_lock(inst);
	admitted = admit_all(inst, items, count, &bytes, &code, err);
	direct = may_send(inst, admitted, bytes);
	weir_natss_unlock(inst);
	if (direct)
		done = send_directly(inst, items, admitted);
	if (done < admitted)
		done += enqueue(inst, items + done, admitted - done);
	*accepted = done;
	if (done < admitted)
		code = weir_fail(err, WEIR_ENOMEM, "natss: no memory for a record");
	return code;
}

void weir_natss_queue_cancel(struct weir_inst *inst)
{
	while (inst->queue.first)
		complete(weir_natss_items_take(&inst->queue), WEIR_ECANCELED, WEIR_NOT_PERSISTED,
			 "the instance is being closed");
}

int weir_natss_flush(struct weir_inst *inst, int64_t deadline_ns, uint64_t *left)
{
	weir_natss_lock(inst);
	while ((inst->queue.first || inst->in_library) && weir_natss_now() < deadline_ns)
		weir_natss_cond_wait(inst, &inst->changed, weir_natss_after_ms(weir_natss_now(), WEIR_NATSS_STEP_MS));
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
