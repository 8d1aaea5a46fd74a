/* SPDX-License-Identifier: Apache-2.0 */
/* What poll() reports: notices, completions, deliveries. And the timer for records that wait to come again. */
#include "kafka.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
	TURN = 32, /* records that one subscription gets before the next one has its turn */
	INDEX_BITS = 40,
	MAX_ERRORS = sizeof((struct weir_inst *)0)->errors / sizeof(struct weir_error),
};

/* The array to fill. Its elements are as far apart as the host's struct is large. */
struct events {
	struct weir_driver_event *base;
	size_t count, max, errors;
};

static struct weir_driver_event *event_add(struct events *events)
{
	struct weir_driver_event *event = &events->base[events->count++];

	memset(event, 0, sizeof *event);
	event->size = sizeof *event;
	return event;
}

/* ---- notices and completions ---------------------------------------------------------------- */

static void report_notices(struct weir_inst *inst, struct events *events)
{
	while (events->count < events->max && events->errors < MAX_ERRORS && weir_kafka_linked(&inst->notices)) {
		struct notice *notice = weir_kafka_entry(inst->notices.next, struct notice, link);
		struct weir_driver_event *event = event_add(events);

		event->type = notice->type;
		event->topic = notice->topic;
		event->sub = notice->sub;
		event->partition = notice->partition;
		event->token.epoch = notice->epoch;
		event->position = notice->position;
		event->position_end = notice->position_end;
		if (notice->sub)
			event->token.lane = notice->sub->group << 32 | notice->partition;
		if (notice->error.code && notice->type != WEIR_EV_UP) {
			inst->errors[events->errors] = notice->error;
			event->error = &inst->errors[events->errors++];
		}
		weir_kafka_unlink(&notice->link);
		if (notice->heap)
			free(notice);
	}
}

static void completion_error(const struct completion *done, struct weir_error *err)
{
	weir_kafka_fail(err, done->native, "publishing to %.200s", done->topic->name);
	err->scope = WEIR_SCOPE_CALL;
	if (done->outcome == WEIR_UNKNOWN)
		err->retry = WEIR_RETRY_MAY_DUP;
	else if (err->retry == WEIR_RETRY_MAY_DUP)
		err->retry = WEIR_RETRY_SAFE;
}

static void report_completions(struct weir_inst *inst, struct events *events, size_t max)
{
	while (events->count < max && events->errors < MAX_ERRORS && inst->done_count) {
		const struct completion *done = &inst->done[inst->done_head];
		struct weir_driver_event *event = event_add(events);

		event->type = WEIR_EV_PUBLISHED;
		event->topic = done->topic;
		event->tag = done->tag;
		event->outcome = done->outcome;
		event->position = done->offset < 0 ? 0 : (uint64_t)done->offset;
		if (done->outcome != WEIR_PERSISTED) {
			completion_error(done, &inst->errors[events->errors]);
			event->error = &inst->errors[events->errors++];
		}
		inst->done_head = (inst->done_head + 1) & (inst->done_room - 1);
		inst->done_count--;
		inst->pending--;
	}
	if (inst->want_writable && inst->pending <= inst->writable_at) {
		inst->want_writable = false;
		weir_kafka_notify(inst, &inst->writable);
	}
}

/* ---- deliveries -------------------------------------------------------------------------------- */

static char *copy(char **to, const void *from, size_t len)
{
	char *at = *to;

	if (!from)
		return NULL;
	if (len)
		memcpy(at, from, len);
	*to += len;
	return at;
}

static size_t headers_bytes(const rd_kafka_headers_t *headers, size_t count)
{
	size_t bytes = 0, i, size;
	const char *name;
	const void *value;

	for (i = 0; i < count; i++)
		if (!rd_kafka_header_get_all(headers, i, &name, &value, &size))
			bytes += strlen(name) + (value ? size : 0);
	return bytes;
}

static void headers_copy(struct record *record, const rd_kafka_headers_t *headers, size_t count, char **to)
{
	size_t i, size;
	const char *name;
	const void *value;

	for (i = 0; i < count; i++) {
		if (rd_kafka_header_get_all(headers, i, &name, &value, &size))
			continue;
		record->headers[i].name.len = strlen(name);
		record->headers[i].name.ptr = copy(to, name, strlen(name));
		record->headers[i].value.len = value ? size : 0;
		record->headers[i].value.ptr = copy(to, value, size);
	}
	record->content.headers = record->headers;
	record->content.header_count = (uint32_t)count;
}

/* Leases may outlive the client, and librdkafka's messages must not: a copy. */
static struct record *record_new(const rd_kafka_message_t *message)
{
	rd_kafka_headers_t *headers = NULL;
	rd_kafka_timestamp_type_t type;
	struct record *record;
	size_t count, bytes;
	char *to;

	if (rd_kafka_message_headers(message, &headers))
		headers = NULL;
	count = headers ? rd_kafka_header_cnt(headers) : 0;
	bytes = message->key_len + message->len + headers_bytes(headers, count);
	/* One more, so that what is empty has an address too. */
	record = malloc(sizeof *record + count * sizeof(struct weir_header) + bytes + 1);
	if (!record)
		return NULL;
	memset(record, 0, sizeof *record);
	atomic_init(&record->refs, 1);
	record->bytes = bytes;
	record->time_ms = rd_kafka_message_timestamp(message, &type);
	to = (char *)&record->headers[count];
	record->content.key = (struct weir_buf){ copy(&to, message->key, message->key_len), message->key_len };
	record->content.body = (struct weir_buf){ copy(&to, message->payload, message->len), message->len };
	headers_copy(record, headers, count, &to);
	return record;
}

/* The position is not in the partition any more: the subscription's thread looks where it goes on. */
static void tracker_lost(struct tracker *tracker)
{
	tracker->lost = tracker->sub->lost = true;
	rd_kafka_queue_yield(tracker->sub->queue);
}

static void tracker_error(struct tracker *tracker, rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t native = rd_kafka_event_error(event);

	if (native == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
		tracker_lost(tracker);
	else if (native == RD_KAFKA_RESP_ERR__BAD_MSG || native == RD_KAFKA_RESP_ERR__BAD_COMPRESSION)
		tracker->damaged++;
	weir_kafka_log(tracker->sub->inst, 1, "kafka: %s, partition %d: %.200s", tracker->sub->topic->name,
		       (int)tracker->partition, rd_kafka_event_error_string(event));
}

/* The partition's next record, which stays held until it could be copied. */
static const rd_kafka_message_t *tracker_peek(struct tracker *tracker)
{
	while (!tracker->message && !tracker->damaged) {
		if (tracker->held)
			rd_kafka_event_destroy(tracker->held);
		tracker->held = rd_kafka_queue_poll(tracker->queue, 0);
		if (!tracker->held)
			return NULL;
		if (rd_kafka_event_type(tracker->held) == RD_KAFKA_EVENT_FETCH)
			tracker->message = rd_kafka_event_message_next(tracker->held);
		else if (rd_kafka_event_type(tracker->held) == RD_KAFKA_EVENT_ERROR)
			tracker_error(tracker, tracker->held);
	}
	return tracker->message;
}

/* Of a record that librdkafka could not read there is only its place: the core keeps that in quarantine. */
static struct entry *tracker_damaged(struct tracker *tracker, uint64_t *index)
{
	struct record *record = calloc(1, sizeof *record);

	if (!record)
		return NULL;
	atomic_init(&record->refs, 1);
	record->damaged = true;
	record->time_ms = -1;
	tracker->damaged--;
	return weir_kafka_tracker_push(tracker, tracker->received, record, index);
}

/* A record that is delivered for the first time. */
static struct entry *tracker_next(struct tracker *tracker, uint64_t *index)
{
	const rd_kafka_message_t *message;
	struct record *record;
	struct entry *entry;

	if (!weir_kafka_tracker_reserve(tracker))
		return NULL;
	message = tracker_peek(tracker);
	if (tracker->damaged)
		return tracker_damaged(tracker, index);
	if (!message || !(record = record_new(message)))
		return NULL;
	entry = weir_kafka_tracker_push(tracker, message->offset, record, index);
	rd_kafka_event_destroy(tracker->held);
	tracker->held = NULL;
	tracker->message = NULL;
	return entry;
}

/* What came back goes before what is new; partitions take turns. */
static struct entry *sub_next(struct weir_sub *sub, int64_t now_ns, struct tracker **tracker, uint64_t *index)
{
	struct entry *entry = weir_kafka_again(sub, now_ns, tracker, index);
	int32_t tries;

	for (tries = 0; !entry && tries < sub->tracker_count; tries++) {
		*tracker = sub->trackers[sub->turn];
		if (*tracker)
			entry = tracker_next(*tracker, index);
		if (!entry)
			sub->turn = (sub->turn + 1) % sub->tracker_count;
	}
	return entry;
}

static void hand_out(struct tracker *tracker, struct entry *entry, uint64_t index, int64_t now_ns,
		     struct weir_driver_event *event)
{
	struct weir_sub *sub = tracker->sub;
	struct record *record = entry->record;

	entry->state = ENTRY_OUT;
	entry->attempt++;
	if (entry->attempt == 1)
		entry->out_ns = now_ns;
	sub->unsettled++;
	tracker->out++;
	sub->redelivered += entry->attempt > 1;
	sub->credit_records--;
	sub->credit_bytes -= (int64_t)record->bytes;
	atomic_fetch_add_explicit(&record->refs, 1, memory_order_relaxed);
	event->type = WEIR_EV_DELIVER;
	event->sub = sub;
	event->token = (struct weir_token){ tracker->epoch, sub->group << 32 | (uint32_t)tracker->partition,
					    (uint64_t)entry->attempt << INDEX_BITS | index };
	event->attempt = entry->attempt;
	event->flags = (entry->attempt > 1 ? WEIR_MSG_REDELIVERED : 0u) | (record->damaged ? WEIR_MSG_DAMAGED : 0u) |
		       (record->time_ms < 0 ? WEIR_MSG_NO_TIME : 0u);
	event->partition = (uint32_t)tracker->partition;
	event->position = (uint64_t)entry->offset;
	event->time_ms = record->time_ms;
	event->record = record->content;
	event->lease = record;
}

static bool willing(const struct weir_sub *sub)
{
	return !sub->paused && sub->credit_records > 0 && sub->credit_bytes > 0;
}

/* Gives one subscription its turn; true if it got anything. */
static bool report_sub(struct weir_sub *sub, struct events *events, int64_t now_ns)
{
	size_t before = events->count;
	struct tracker *tracker;
	struct entry *entry;
	uint64_t index;
	int left = TURN;

	while (left-- && events->count < events->max && willing(sub) &&
	       (entry = sub_next(sub, now_ns, &tracker, &index)))
		hand_out(tracker, entry, index, now_ns, event_add(events));
	if (sub->tracker_count)
		sub->turn = (sub->turn + 1) % sub->tracker_count;
	return events->count > before;
}

static void report_deliveries(struct weir_inst *inst, struct events *events)
{
	int64_t now_ns = weir_kafka_now();
	struct link *first = inst->subs.next, *at, *next;
	bool any = true;

	while (any && events->count < events->max && weir_kafka_linked(&inst->subs)) {
		any = false;
		for (at = inst->subs.next; at != &inst->subs && events->count < events->max; at = at->next)
			any |= report_sub(weir_kafka_entry(at, struct weir_sub, link), events, now_ns);
	}
	/* Another one is the first the next time. */
	next = weir_kafka_linked(&inst->subs) ? first->next : &inst->subs;
	if (next != &inst->subs)
		weir_kafka_append(&inst->subs, first);
}

/* ---- poll ------------------------------------------------------------------------------ */

/* When the first record is due that waits for a subscription that may have it; 0: none. */
static int64_t next_due(const struct weir_inst *inst)
{
	struct link *at;
	int64_t due = 0;

	for (at = inst->subs.next; at != &inst->subs; at = at->next) {
		struct weir_sub *sub = weir_kafka_entry(at, struct weir_sub, link);

		if (willing(sub) && sub->waiting_count && (!due || sub->waiting[0].due_ns < due))
			due = sub->waiting[0].due_ns;
	}
	return due;
}

static void timer_arm(struct weir_inst *inst)
{
	struct itimerspec spec = { { 0, 0 }, { 0, 0 } };
	int64_t due = next_due(inst);

	if (due == inst->armed_ns)
		return;
	inst->armed_ns = due;
	spec.it_value.tv_sec = due / 1000000000;
	spec.it_value.tv_nsec = due % 1000000000;
	timerfd_settime(inst->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* Before anything is looked at: what comes while we look raises the descriptor again. */
static void descriptors_reset(struct weir_inst *inst)
{
	uint64_t value;

	if (read(inst->wake_fd, &value, sizeof value) < 0)
		value = 0; /* nothing was there: poll() is called without that too */
	pthread_mutex_lock(&inst->lock);
	if (inst->armed_ns && inst->armed_ns <= weir_kafka_now()) {
		if (read(inst->timer_fd, &value, sizeof value) < 0)
			value = 0; /* the clock was ahead of the timer; it is armed anew below */
		inst->armed_ns = -1;
	}
	pthread_mutex_unlock(&inst->lock);
}

/* Whether there is more than what was just reported. */
static bool more(const struct weir_inst *inst)
{
	struct link *at;
	int32_t i;

	if (inst->done_count || weir_kafka_linked(&inst->notices) || rd_kafka_queue_length(inst->queue))
		return true;
	for (at = inst->subs.next; at != &inst->subs; at = at->next) {
		struct weir_sub *sub = weir_kafka_entry(at, struct weir_sub, link);

		for (i = 0; willing(sub) && i < sub->tracker_count; i++) {
			const struct tracker *tracker = sub->trackers[i];

			if (tracker && !tracker->full && (tracker->message || rd_kafka_queue_length(tracker->queue)))
				return true;
		}
	}
	return false;
}

static void report(struct weir_inst *inst, struct events *events)
{
	descriptors_reset(inst);
	weir_kafka_pull(inst, 0);
	pthread_mutex_lock(&inst->lock);
	report_notices(inst, events);
	/* Deliveries get half of a batch at least, or publishers that never pause would starve them. */
	report_completions(inst, events, weir_kafka_linked(&inst->subs) ? (events->max + 1) / 2 : events->max);
	report_deliveries(inst, events);
	report_completions(inst, events, events->max);
	timer_arm(inst);
	if ((events->count == events->max || events->errors == MAX_ERRORS) && more(inst))
		weir_kafka_wake(inst);
	pthread_mutex_unlock(&inst->lock);
}

/* Waits for event_fd until timeout_ns. False: the time is over. */
static bool await(struct weir_inst *inst, int64_t timeout_ns)
{
	struct pollfd fd = { inst->event_fd, POLLIN, 0 };
	int64_t left = timeout_ns ? timeout_ns - weir_kafka_now() : 0;
	struct timespec wait = { left / 1000000000, left % 1000000000 };

	return left > 0 && (ppoll(&fd, 1, &wait, NULL) >= 0 || errno == EINTR);
}

int weir_kafka_poll(struct weir_inst *inst, struct weir_driver_event *events, size_t max, int64_t timeout_ns,
		    size_t *count)
{
	struct events array = { events, 0, max, 0 };

	*count = 0;
	if (!max)
		return WEIR_OK;
	do {
		report(inst, &array);
	} while (!array.count && await(inst, timeout_ns));
	*count = array.count;
	return WEIR_OK;
}
