/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing: records into the producer, delivery reports out of it. */
#include "kafka.h"

#include <stdlib.h>
#include <string.h>

/* ---- in ------------------------------------------------------------------------------- */

static size_t record_bytes(const struct weir_record *record)
{
	size_t bytes = record->key.len + record->body.len;
	uint32_t i;

	for (i = 0; i < record->header_count; i++)
		bytes += record->headers[i].name.len + record->headers[i].value.len;
	return bytes;
}

static int record_check(const struct weir_inst *inst, const struct weir_record *record, struct weir_error *err)
{
	size_t bytes = record_bytes(record), max = inst->settings.provider->max_record_bytes;

	if (bytes > max)
		return weir_fail(err, WEIR_ETOOBIG, "kafka: the record has %zu bytes; at most %zu are allowed", bytes,
				 max);
	if (record->header_count > WEIR_KAFKA_MAX_HEADERS)
		return weir_fail(err, WEIR_ELIMIT, "kafka: the record has %u headers; at most %d are allowed",
				 record->header_count, WEIR_KAFKA_MAX_HEADERS);
	return WEIR_OK;
}

static rd_kafka_headers_t *headers_of(const struct weir_record *record)
{
	rd_kafka_headers_t *headers;
	uint32_t i;

	if (!record->header_count)
		return NULL;
	headers = rd_kafka_headers_new(record->header_count);
	for (i = 0; i < record->header_count; i++) {
		const struct weir_header *header = &record->headers[i];

		rd_kafka_header_add(headers, header->name.ptr ? header->name.ptr : "", (ssize_t)header->name.len,
				    header->value.ptr, (ssize_t)header->value.len);
	}
	return headers;
}

/* librdkafka copies the record: lent memory is the caller's again when this returns. */
static rd_kafka_resp_err_t record_send(struct weir_inst *inst, const struct weir_publish *item)
{
	rd_kafka_headers_t *headers = headers_of(&item->record);
	rd_kafka_vu_t parts[6] = {
		{ .vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = item->topic->rkt },
		{ .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
		{ .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)item->tag },
	};
	rd_kafka_error_t *error;
	rd_kafka_resp_err_t native;

	parts[3].vtype = RD_KAFKA_VTYPE_KEY;
	parts[3].u.mem.ptr = (void *)(uintptr_t)item->record.key.ptr;
	parts[3].u.mem.size = item->record.key.len;
	parts[4].vtype = RD_KAFKA_VTYPE_VALUE;
	parts[4].u.mem.ptr = (void *)(uintptr_t)item->record.body.ptr;
	parts[4].u.mem.size = item->record.body.len;
	parts[5].vtype = RD_KAFKA_VTYPE_HEADERS;
	parts[5].u.headers = headers;
	error = rd_kafka_produceva(inst->producer, parts, headers ? 6 : 5);
	if (!error)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	if (headers)
		rd_kafka_headers_destroy(headers);
	native = rd_kafka_error_code(error);
	rd_kafka_error_destroy(error);
	return native;
}

static bool done_reserve(struct weir_inst *inst, size_t count)
{
	size_t room = inst->done_room ? inst->done_room : 256, i;
	struct completion *done;

	while (room < count)
		room *= 2;
	if (room == inst->done_room)
		return true;
	done = malloc(room * sizeof *done);
	if (!done)
		return false;
	for (i = 0; i < inst->done_count; i++)
		done[i] = inst->done[(inst->done_head + i) & (inst->done_room - 1)];
	free(inst->done);
	inst->done = done;
	inst->done_head = 0;
	inst->done_room = room;
	return true;
}

/* How many of `count` may be sent now. Their completions have room. */
static size_t window_take(struct weir_inst *inst, size_t count)
{
	size_t left;

	pthread_mutex_lock(&inst->lock);
	left = WEIR_KAFKA_MAX_INFLIGHT - (size_t)inst->pending;
	count = count < left ? count : left;
	/* While the producer is replaced, nothing is taken. */
	if (inst->fatal || !done_reserve(inst, (size_t)inst->pending + count))
		count = 0;
	inst->pending += count;
	inst->in_library += count;
	pthread_mutex_unlock(&inst->lock);
	return count;
}

/* What was taken and is not used. `full`: WEIR_EV_WRITABLE is owed. */
static void window_give(struct weir_inst *inst, size_t count, bool full)
{
	pthread_mutex_lock(&inst->lock);
	inst->pending -= count;
	inst->in_library -= count;
	if (full) {
		inst->want_writable = true;
		inst->writable_at = inst->pending / 2;
		if (!inst->pending)
			weir_kafka_wake(inst);
	}
	pthread_mutex_unlock(&inst->lock);
}

static int refused(struct weir_inst *inst, const struct weir_publish *item, rd_kafka_resp_err_t native,
		   struct weir_error *err)
{
	/* The code is the cause, not _FATAL, in some versions of librdkafka. */
	if (rd_kafka_fatal_error(inst->producer, NULL, 0)) {
		weir_kafka_producer_died(inst);
		return weir_fail(err, WEIR_EAGAIN, "kafka: the producer is being replaced");
	}
	if (native == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return weir_fail(err, WEIR_EAGAIN, "kafka: too many records wait to be sent");
	weir_kafka_fail(err, native, "publishing to %.200s", item->topic->name);
	if (err)
		err->scope = WEIR_SCOPE_CALL;
	/* A topic that is not there yet: it may come. */
	return weir_kafka_code(native) == WEIR_ENOTFOUND
		   ? weir_fail(err, WEIR_EUNAVAIL, "kafka: the topic %.200s does not exist", item->topic->name)
		   : weir_kafka_code(native);
}

int weir_kafka_publish(struct weir_inst *inst, const struct weir_publish *items, size_t count, size_t *accepted,
		       struct weir_error *err)
{
	size_t window = window_take(inst, count), sent = 0;
	int code = WEIR_OK;

	pthread_rwlock_rdlock(&inst->swap);
	while (sent < window && !code) {
		const struct weir_publish *item = &items[sent];
		rd_kafka_resp_err_t native;

		code = record_check(inst, &item->record, err);
		if (code)
			break;
		native = record_send(inst, item);
		if (native)
			code = refused(inst, item, native, err);
		else
			sent++;
	}
	pthread_rwlock_unlock(&inst->swap);
	*accepted = sent;
	if (!code && sent < count)
		code = weir_fail(err, WEIR_EAGAIN, "kafka: %d records wait for their confirmation",
				 WEIR_KAFKA_MAX_INFLIGHT);
	if (sent < window || code == WEIR_EAGAIN)
		window_give(inst, window - sent, code == WEIR_EAGAIN);
	return code;
}

/* ---- out ------------------------------------------------------------------------------- */

static uint32_t outcome_of(const rd_kafka_message_t *message)
{
	switch (rd_kafka_message_status(message)) {
	case RD_KAFKA_MSG_STATUS_PERSISTED:
		return WEIR_PERSISTED;
	case RD_KAFKA_MSG_STATUS_NOT_PERSISTED:
		return WEIR_NOT_PERSISTED;
	default:
		return WEIR_UNKNOWN;
	}
}

static void reports_take(struct weir_inst *inst, rd_kafka_event_t *event)
{
	const rd_kafka_message_t *message;

	pthread_mutex_lock(&inst->lock);
	while ((message = rd_kafka_event_message_next(event))) {
		struct completion *done = &inst->done[(inst->done_head + inst->done_count++) & (inst->done_room - 1)];

		done->topic = rd_kafka_topic_opaque(message->rkt);
		done->tag = (uint64_t)(uintptr_t)message->_private;
		done->offset = message->offset;
		done->native = message->err;
		done->outcome = outcome_of(message);
		inst->in_library--;
	}
	weir_kafka_wake(inst);
	pthread_mutex_unlock(&inst->lock);
}

static void error_take(struct weir_inst *inst, rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t native = rd_kafka_event_error(event);
	struct weir_error why = WEIR_ERROR_INIT;

	/* The event has the cause, not _FATAL, in some versions of librdkafka. */
	if (rd_kafka_fatal_error(inst->producer, NULL, 0)) {
		weir_kafka_producer_died(inst);
		return;
	}
	weir_kafka_fail(&why, native, "%.200s", rd_kafka_event_error_string(event));
	if (weir_kafka_code(native) == WEIR_EAUTH || weir_kafka_code(native) == WEIR_ETLS ||
	    native == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		weir_kafka_reachable(inst, false, &why);
}

void weir_kafka_pull(struct weir_inst *inst, int wait_ms)
{
	rd_kafka_event_t *event;

	pthread_rwlock_rdlock(&inst->swap);
	while ((event = rd_kafka_queue_poll(inst->queue, wait_ms))) {
		wait_ms = 0;
		if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
			reports_take(inst, event);
		else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
			error_take(inst, event);
		rd_kafka_event_destroy(event);
	}
	pthread_rwlock_unlock(&inst->swap);
}

int weir_kafka_flush(struct weir_inst *inst, int64_t deadline_ns, uint64_t *left)
{
	enum { STEP_MS = 10 };

	for (;;) {
		int wait = weir_kafka_left_ms(deadline_ns, STEP_MS);

		weir_kafka_pull(inst, wait);
		pthread_mutex_lock(&inst->lock);
		*left = inst->in_library;
		pthread_mutex_unlock(&inst->lock);
		if (!*left)
			return WEIR_OK;
		if (!wait)
			return WEIR_ETIMEDOUT;
	}
}
