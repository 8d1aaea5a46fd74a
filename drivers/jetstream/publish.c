/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishing. Each record is a message of the library from publish() on, in a
 * slot whose number is in the subject that the server confirms to. Until then
 * it is kept: what was sent over a connection that is lost is sent again over
 * the next one, under the same Nats-Msg-Id, by which the server knows it.
 */
#include "jetstream.h"

#include <stdlib.h>
#include <string.h>

enum {
	SLOT_BITS = 14,
	KEY_MAX = 256,
	RESERVE_MS = 2000, /* of the window in which the server knows an event again */
};

_Static_assert(1 << SLOT_BITS == WEIR_JS_MAX_INFLIGHT, "a slot's number has as many bits as there are slots");

/* ---- in: the host's threads ------------------------------------------------------------------ */

static size_t record_bytes(const struct weir_record *record)
{
	size_t bytes = record->key.len + record->body.len;
	uint32_t i;

	for (i = 0; i < record->header_count; i++)
		bytes += record->headers[i].name.len + record->headers[i].value.len;
	return bytes;
}

static bool header_legal(const struct weir_header *header)
{
	const char *name = header->name.ptr, *value = header->value.ptr;
	size_t i;

	if (!name || !header->name.len || header->name.len >= KEY_MAX)
		return false;
	for (i = 0; i < header->name.len; i++)
		if (name[i] <= ' ' || name[i] >= 0x7f || name[i] == ':')
			return false;
	for (i = 0; i < header->value.len; i++)
		if (value[i] == '\r' || value[i] == '\n' || value[i] == '\0')
			return false;
	return true;
}

/* WEIR_JS_OVERHEAD has room for what parts that many headers, and for the longest Nats-Msg-Id. */
static int record_check(const struct weir_record *record, uint64_t max_payload, struct weir_error *err)
{
	size_t bytes = record_bytes(record), max = max_payload > WEIR_JS_OVERHEAD ? max_payload - WEIR_JS_OVERHEAD : 0;
	uint32_t i;

	if (record->header_count > WEIR_JS_MAX_HEADERS)
		return weir_fail(err, WEIR_ELIMIT, "jetstream: the record has %u headers; at most %d are allowed",
				 record->header_count, WEIR_JS_MAX_HEADERS);
	if (bytes > max)
		return weir_fail(err, WEIR_ETOOBIG,
				 "jetstream: the record has %zu bytes; the server's max_payload leaves room for %zu",
				 bytes, max);
	for (i = 0; i < record->header_count; i++)
		if (!header_legal(&record->headers[i]))
			return weir_fail(err, WEIR_EINVAL,
					 "jetstream: header %u has a name or a value that NATS cannot carry", i + 1);
	return WEIR_OK;
}

/* The library takes strings. */
static natsStatus header_set(natsMsg *msg, const struct weir_header *header)
{
	char name[KEY_MAX], stack[512], *value = stack;
	natsStatus status;

	memcpy(name, header->name.ptr, header->name.len);
	name[header->name.len] = '\0';
	if (header->value.len >= sizeof stack && !(value = malloc(header->value.len + 1)))
		return NATS_NO_MEMORY;
	if (header->value.len)
		memcpy(value, header->value.ptr, header->value.len);
	value[header->value.len] = '\0';
	status = natsMsgHeader_Set(msg, name, value);
	if (value != stack)
		free(value);
	return status;
}

static const struct weir_buf *header_find(const struct weir_record *record, const char *name)
{
	size_t len = strlen(name);
	uint32_t i;

	for (i = 0; i < record->header_count; i++)
		if (record->headers[i].name.len == len && memcmp(record->headers[i].name.ptr, name, len) == 0)
			return &record->headers[i].value;
	return NULL;
}

/*
 * SOURCE and ID name an event wherever it comes from; no source has a blank in
 * it. Where they are not known, or too long for a name, the slot's number and a
 * number of this instance are enough for its own retries.
 */
static natsStatus id_set(const struct weir_inst *inst, natsMsg *msg, const struct weir_record *record, uint64_t id)
{
	const struct weir_buf *source = header_find(record, "ce-source"), *event = header_find(record, "ce-id");
	char text[512];

	if (inst->settings.deduplicate && source && source->len && event && event->len &&
	    source->len + event->len + 2 <= sizeof text) {
		memcpy(text, source->ptr, source->len);
		text[source->len] = ' ';
		memcpy(text + source->len + 1, event->ptr, event->len);
		text[source->len + 1 + event->len] = '\0';
	} else {
		snprintf(text, sizeof text, "weir%016llx.%llx", (unsigned long long)inst->nonce,
			 (unsigned long long)id);
	}
	return natsMsgHeader_Set(msg, "Nats-Msg-Id", text);
}

static natsMsg *message_new(const struct weir_inst *inst, const struct weir_publish *item, uint64_t id)
{
	const struct weir_record *record = &item->record;
	char reply[sizeof inst->inbox + 32];
	natsMsg *msg = NULL;
	natsStatus status;
	uint32_t i;

	snprintf(reply, sizeof reply, "%s.c.p%llx", inst->inbox, (unsigned long long)id);
	status = natsMsg_Create(&msg, item->topic->subject, reply, record->body.ptr, (int)record->body.len);
	for (i = 0; status == NATS_OK && i < record->header_count; i++)
		status = header_set(msg, &record->headers[i]);
	if (status == NATS_OK)
		status = id_set(inst, msg, record, id);
	if (status == NATS_OK)
		return msg;
	natsMsg_Destroy(msg);
	return NULL;
}

static uint64_t slot_id(const struct weir_inst *inst, const struct slot *slot)
{
	return (uint64_t)slot->generation << SLOT_BITS | (uint64_t)(slot - inst->slots);
}

/* Lock held. NULL: too much is under way. */
static struct slot *slot_take(struct weir_inst *inst, size_t bytes)
{
	struct slot *slot;

	if (!weir_list_linked(&inst->free) || (inst->pending && inst->queued_bytes + bytes > WEIR_JS_MAX_QUEUED)) {
		inst->want_writable = true;
		inst->writable_at = inst->pending / 2;
		return NULL;
	}
	slot = weir_list_entry(inst->free.next, struct slot, link);
	weir_list_unlink(&slot->link);
	slot->generation++;
	slot->bytes = (uint32_t)bytes;
	slot->maybe = false;
	inst->pending++;
	inst->queued_bytes += bytes;
	return slot;
}

/* Lock held. */
static void slot_give(struct weir_inst *inst, struct slot *slot)
{
	slot->state = SLOT_FREE;
	slot->msg = NULL;
	inst->queued_bytes -= slot->bytes;
	weir_list_append(&inst->free, &slot->link);
}

static int publish_one(struct weir_inst *inst, const struct weir_publish *item, struct weir_error *err)
{
	struct slot *slot;
	uint64_t max_payload;
	int code;

	pthread_mutex_lock(&inst->lock);
	max_payload = inst->max_payload;
	slot = slot_take(inst, record_bytes(&item->record));
	pthread_mutex_unlock(&inst->lock);
	if (!slot)
		return weir_fail(err, WEIR_EAGAIN, "jetstream: too many records wait for their confirmation");
	code = record_check(&item->record, max_payload, err);
	if (!code) {
		slot->topic = item->topic;
		slot->tag = item->tag;
		slot->deadline_ns =
		    item->deadline_ns ? item->deadline_ns : weir_js_now() + WEIR_JS_PUBLISH_MS * WEIR_JS_MS;
		slot->msg = message_new(inst, item, slot_id(inst, slot));
		if (!slot->msg)
			code = weir_fail(err, WEIR_ENOMEM, "jetstream: no memory for a record");
	}
	pthread_mutex_lock(&inst->lock);
	if (code) {
		inst->pending--;
		slot_give(inst, slot);
	} else {
		slot->state = SLOT_QUEUED;
		weir_list_append(&inst->incoming, &slot->link);
	}
	pthread_mutex_unlock(&inst->lock);
	return code;
}

int weir_js_publish(struct weir_inst *inst, const struct weir_publish *items, size_t count, size_t *accepted,
		    struct weir_error *err)
{
	size_t sent = 0;
	int code = WEIR_OK;

	while (sent < count && !(code = publish_one(inst, &items[sent], err)))
		sent++;
	*accepted = sent;
	if (sent)
		weir_js_wake(inst);
	else if (code == WEIR_EAGAIN)
		weir_js_raise(inst); /* what made room meanwhile may have been reported already */
	return code;
}

int weir_js_flush(struct weir_inst *inst, int64_t deadline_ns, uint64_t *left)
{
	struct timespec until = { deadline_ns / 1000000000, deadline_ns % 1000000000 };
	int code = WEIR_OK;

	pthread_mutex_lock(&inst->lock);
	while (inst->pending != inst->done_count && !code)
		if (pthread_cond_timedwait(&inst->changed, &inst->lock, &until))
			code = WEIR_ETIMEDOUT;
	*left = inst->pending - inst->done_count;
	pthread_mutex_unlock(&inst->lock);
	return *left ? code : WEIR_OK;
}

/* ---- out: io ------------------------------------------------------------------------------------- */

static void complete(struct weir_inst *inst, struct slot *slot, const struct completion *what)
{
	natsMsg *msg = slot->msg;
	struct completion *done;

	pthread_mutex_lock(&inst->lock);
	done = &inst->done[(inst->done_head + inst->done_count++) & (WEIR_JS_MAX_INFLIGHT - 1)];
	*done = *what;
	done->topic = slot->topic;
	done->tag = slot->tag;
	weir_list_unlink(&slot->link);
	slot_give(inst, slot);
	if (inst->done_count == 1)
		weir_js_raise(inst);
	if (inst->done_count == inst->pending)
		pthread_cond_broadcast(&inst->changed);
	pthread_mutex_unlock(&inst->lock);
	natsMsg_Destroy(msg);
}

static void fail(struct weir_inst *inst, struct slot *slot, int code, int native)
{
	const struct completion what = { .code = (uint16_t)code,
					 .native = native,
					 .outcome = slot->maybe ? WEIR_UNKNOWN : WEIR_NOT_PERSISTED };

	complete(inst, slot, &what);
}

/* False: without a connection; it stays where it is. */
static bool slot_send(struct weir_inst *inst, struct slot *slot, int64_t now)
{
	natsStatus status = natsConnection_PublishMsg(inst->nc, slot->msg);

	if (status == NATS_MAX_PAYLOAD || status == NATS_NO_SERVER_SUPPORT) {
		fail(inst, slot, weir_nats_code(status), (int)status);
		return true;
	}
	if (status != NATS_OK)
		return false;
	slot->state = SLOT_SENT;
	slot->maybe = true;
	slot->sent_ns = now;
	weir_list_append(&slot->topic->sent, &slot->link);
	return true;
}

/* What the host has published since. A topic that has failed answers at once. */
static void incoming_sort(struct weir_inst *inst)
{
	struct link mine;

	weir_list_init(&mine);
	pthread_mutex_lock(&inst->lock);
	weir_list_append_all(&mine, &inst->incoming);
	pthread_mutex_unlock(&inst->lock);
	while (weir_list_linked(&mine)) {
		struct slot *slot = weir_list_entry(mine.next, struct slot, link);

		weir_list_append(&slot->topic->queued, &slot->link);
		if (slot->topic->state == STATE_FAILED)
			fail(inst, slot, slot->topic->notice.error.code, slot->topic->notice.error.native);
	}
}

void weir_js_publish_send(struct weir_inst *inst, int64_t now)
{
	struct link *at;

	incoming_sort(inst);
	if (!inst->account_ok)
		return;
	for (at = inst->topics.next; at != &inst->topics; at = at->next) {
		struct weir_topic *topic = weir_list_entry(at, struct weir_topic, link);

		while (topic->state == STATE_READY && weir_list_linked(&topic->queued))
			if (!slot_send(inst, weir_list_entry(topic->queued.next, struct slot, link), now))
				return;
	}
}

/* ---- answers ------------------------------------------------------------------------------------------ */

/* The number behind `name` in a small JSON object; 0 if it is not there. */
static uint64_t number_at(const char *text, size_t len, const char *name)
{
	const char *at = memmem(text, len, name, strlen(name)), *end = text + len;
	uint64_t ret = 0;

	if (!at)
		return 0;
	for (at += strlen(name); at < end && (*at == ' ' || *at == ':'); at++)
		continue;
	for (; at < end && *at >= '0' && *at <= '9'; at++)
		ret = ret * 10 + (uint64_t)(*at - '0');
	return ret;
}

static void words_keep(struct weir_topic *topic, const char *text, size_t len)
{
	static const char name[] = "\"description\":\"";
	const char *at = memmem(text, len, name, sizeof name - 1), *end;
	size_t used = 0;

	if (!at)
		return;
	at += sizeof name - 1;
	end = memchr(at, '"', (size_t)(text + len - at));
	pthread_mutex_lock(&topic->inst->lock);
	for (; end && at < end && used + 1 < sizeof topic->words; at++)
		topic->words[used++] = (unsigned char)*at < 0x20 ? ' ' : *at;
	topic->words[used] = '\0';
	pthread_mutex_unlock(&topic->inst->lock);
}

/* It was surely not stored. Where nobody takes what is published the stream may come back: it is kept until then. */
static void refused(struct weir_inst *inst, struct slot *slot, const char *text, size_t len)
{
	int http = (int)number_at(text, len, "\"code\""), native = (int)number_at(text, len, "\"err_code\"");

	slot->maybe = false;
	words_keep(slot->topic, text, len);
	fail(inst, slot, weir_js_code(http, native), native ? native : http);
}

void weir_js_published(struct weir_inst *inst, uint64_t id, natsMsg *msg)
{
	struct slot *slot = &inst->slots[id & (WEIR_JS_MAX_INFLIGHT - 1)];
	const char *text = natsMsg_GetData(msg);
	size_t len = (size_t)natsMsg_GetDataLength(msg);
	struct completion what = { .outcome = WEIR_PERSISTED };

	if (slot->state != SLOT_SENT || slot->generation != id >> SLOT_BITS)
		return;
	if (!len && natsMsg_IsNoResponders(msg)) {
		slot->state = SLOT_QUEUED;
		slot->maybe = false;
		weir_list_append(&slot->topic->queued, &slot->link);
		weir_js_topic_doubt(slot->topic);
		return;
	}
	if (!text || memmem(text, len, "\"error\"", 7)) {
		refused(inst, slot, text ? text : "", len);
		return;
	}
	what.position = number_at(text, len, "\"seq\"");
	if (what.position)
		complete(inst, slot, &what);
	else
		fail(inst, slot, WEIR_EUNKNOWN, 0);
}

/* ---- when there is no answer ----------------------------------------------------------------------------- */

/* Sent before and not confirmed: again, first, if the server would know it again. */
static void lost(struct weir_topic *topic, int64_t now)
{
	struct link again;

	weir_list_init(&again);
	while (weir_list_linked(&topic->sent)) {
		struct slot *slot = weir_list_entry(topic->sent.next, struct slot, link);

		slot->state = SLOT_QUEUED;
		weir_list_append(&again, &slot->link);
		if (now - slot->sent_ns > (topic->duplicates_ms - RESERVE_MS) * WEIR_JS_MS)
			fail(topic->inst, slot, WEIR_ETIMEDOUT, 0);
	}
	weir_list_append_all(&again, &topic->queued);
	weir_list_append_all(&topic->queued, &again);
}

void weir_js_publish_lost(struct weir_inst *inst)
{
	struct link *at;

	for (at = inst->topics.next; at != &inst->topics; at = at->next)
		lost(weir_list_entry(at, struct weir_topic, link), weir_js_now());
}

static void expire(struct weir_inst *inst, struct link *list, int64_t now)
{
	struct link *at, *next;

	for (at = list->next; at != list; at = next) {
		struct slot *slot = weir_list_entry(at, struct slot, link);

		next = at->next;
		if (slot->deadline_ns <= now)
			fail(inst, slot, inst->account_ok ? WEIR_ETIMEDOUT : WEIR_EUNAVAIL, 0);
	}
}

/* The server says nothing to the publisher that may not publish: only to the connection. */
static void forbidden(struct weir_inst *inst, struct weir_topic *topic)
{
	char text[256];

	if (!weir_list_linked(&topic->sent))
		return;
	weir_js_complaint(inst, text);
	if (!strcasestr(text, "permissions violation for publish") || !strstr(text, topic->subject))
		return;
	while (weir_list_linked(&topic->sent)) {
		struct slot *slot = weir_list_entry(topic->sent.next, struct slot, link);

		slot->maybe = false;
		fail(inst, slot, WEIR_ENOPERM, 0);
	}
}

void weir_js_publish_expire(struct weir_inst *inst, int64_t now)
{
	struct link *at;

	for (at = inst->topics.next; at != &inst->topics; at = at->next) {
		struct weir_topic *topic = weir_list_entry(at, struct weir_topic, link);

		forbidden(inst, topic);
		expire(inst, &topic->sent, now);
		expire(inst, &topic->queued, now);
	}
}

static void fail_all(struct weir_inst *inst, struct link *list, int code, int native)
{
	while (weir_list_linked(list))
		fail(inst, weir_list_entry(list->next, struct slot, link), code, native);
}

void weir_js_publish_fail(struct weir_topic *topic, int code, int native)
{
	fail_all(topic->inst, &topic->queued, code, native);
}

void weir_js_publish_abort(struct weir_inst *inst)
{
	struct link *at;

	incoming_sort(inst);
	for (at = inst->topics.next; at != &inst->topics; at = at->next) {
		struct weir_topic *topic = weir_list_entry(at, struct weir_topic, link);

		fail_all(inst, &topic->sent, WEIR_ECANCELED, 0);
		fail_all(inst, &topic->queued, WEIR_ECANCELED, 0);
	}
}
