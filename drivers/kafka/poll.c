/* SPDX-License-Identifier: Apache-2.0 */
/* What poll() reports: notices, completions, deliveries. And the timer for records that wait to come again. */
#include "kafka.h"

#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../common/events.h"

enum {
	INDEX_BITS = 40,
	MAX_ERRORS = sizeof((struct weir_inst *)0)->errors / sizeof(struct weir_error),
};

/* ---- notices and completions ---------------------------------------------------------------- */

static void report_notices(struct weir_inst *inst, struct events *events)
{
	while (events->count < events->max && events->errors < MAX_ERRORS && weir_list_linked(&inst->notices)) {
		struct notice *notice = weir_list_entry(inst->notices.next, struct notice, link);
		struct weir_driver_event *event = weir_events_add(events);

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
		weir_list_unlink(&notice->link);
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
		struct weir_driver_event *event = weir_events_add(events);

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

/* The position is not in the partition any more: the subscription's thread looks where it goes on. */
static void tracker_lost(struct tracker *tracker)
{
	tracker->lost = tracker->sub->lost = true;
	rd_kafka_queue_yield(tracker->sub->queue);
}

static void tracker_error(struct tracker *tracker, const rd_kafka_message_t *message)
{
	if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
		tracker_lost(tracker);
	else if (message->err == RD_KAFKA_RESP_ERR__BAD_MSG || message->err == RD_KAFKA_RESP_ERR__BAD_COMPRESSION)
		tracker->damaged++;
	weir_kafka_log(tracker->sub->inst, 1, "kafka: %s, partition %d: %.200s", tracker->sub->topic->name,
		       (int)tracker->partition, rd_kafka_message_errstr(message));
}

/* Takes from the queue what it has, but does not ask for more: librdkafka would wait for it, if for no time. */
static bool tracker_fill(struct tracker *tracker)
{
	size_t want = rd_kafka_queue_length(tracker->queue);
	ssize_t got;

	if (!want)
		return false;
	want = want < WEIR_KAFKA_TURN ? want : WEIR_KAFKA_TURN;
	got = rd_kafka_consume_batch_queue(tracker->queue, 0, tracker->held, want);
	tracker->held_at = 0;
	tracker->held_count = got > 0 ? (unsigned)got : 0;
	return tracker->held_count > 0;
}

/* The partition's next record, which stays held until it could be copied. */
static const rd_kafka_message_t *tracker_peek(struct tracker *tracker)
{
	while (!tracker->damaged && (tracker->held_at < tracker->held_count || tracker_fill(tracker))) {
		rd_kafka_message_t *message = tracker->held[tracker->held_at];

		if (!message->err)
			return message;
		tracker_error(tracker, message);
		rd_kafka_message_destroy(message);
		tracker->held_at++;
	}
	return NULL;
}

/* Of a record that librdkafka could not read there is only its place: the core keeps that in quarantine. */
static struct entry *tracker_damaged(struct tracker *tracker, uint64_t *index)
{
	struct record *record = weir_kafka_record_damaged(tracker->sub);

	if (!record)
		return NULL;
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
	if (!message || !(record = weir_kafka_record_new(tracker->sub, message)))
		return NULL;
	entry = weir_kafka_tracker_push(tracker, message->offset, record, index);
	rd_kafka_message_destroy(tracker->held[tracker->held_at++]);
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
	weir_kafka_record_hold(record);
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
	int left = WEIR_KAFKA_TURN;

	while (left-- && events->count < events->max && willing(sub) &&
	       (entry = sub_next(sub, now_ns, &tracker, &index)))
		hand_out(tracker, entry, index, now_ns, weir_events_add(events));
	if (sub->tracker_count)
		sub->turn = (sub->turn + 1) % sub->tracker_count;
	return events->count > before;
}

static void report_deliveries(struct weir_inst *inst, struct events *events)
{
	int64_t now_ns = weir_kafka_now();
	struct link *first = inst->subs.next, *at, *next;
	bool any = true;

	while (any && events->count < events->max && weir_list_linked(&inst->subs)) {
		any = false;
		for (at = inst->subs.next; at != &inst->subs && events->count < events->max; at = at->next)
			any |= report_sub(weir_list_entry(at, struct weir_sub, link), events, now_ns);
	}
	/* Another one is the first the next time. */
	next = weir_list_linked(&inst->subs) ? first->next : &inst->subs;
	if (next != &inst->subs)
		weir_list_append(&inst->subs, first);
}

/* ---- poll ------------------------------------------------------------------------------ */

/* When the first record is due that waits for a subscription that may have it; 0: none. */
static int64_t next_due(const struct weir_inst *inst)
{
	struct link *at;
	int64_t due = 0;

	for (at = inst->subs.next; at != &inst->subs; at = at->next) {
		struct weir_sub *sub = weir_list_entry(at, struct weir_sub, link);

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

	if (inst->done_count || weir_list_linked(&inst->notices) || rd_kafka_queue_length(inst->queue))
		return true;
	for (at = inst->subs.next; at != &inst->subs; at = at->next) {
		struct weir_sub *sub = weir_list_entry(at, struct weir_sub, link);

		for (i = 0; willing(sub) && i < sub->tracker_count; i++) {
			const struct tracker *tracker = sub->trackers[i];

			if (tracker && !tracker->full &&
			    (tracker->held_at < tracker->held_count || rd_kafka_queue_length(tracker->queue)))
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
	report_completions(inst, events, weir_list_linked(&inst->subs) ? (events->max + 1) / 2 : events->max);
	report_deliveries(inst, events);
	report_completions(inst, events, events->max);
	timer_arm(inst);
	if ((events->count == events->max || events->errors == MAX_ERRORS) && more(inst))
		weir_kafka_wake(inst);
	pthread_mutex_unlock(&inst->lock);
}

int weir_kafka_poll(struct weir_inst *inst, struct weir_driver_event *events, size_t max, int64_t timeout_ns,
		    size_t *count)
{
	struct events array = weir_events_of(events, max);

	*count = 0;
	if (!max)
		return WEIR_OK;
	do {
		report(inst, &array);
	} while (!array.count && weir_events_await(inst->event_fd, timeout_ns));
	*count = array.count;
	return WEIR_OK;
}
