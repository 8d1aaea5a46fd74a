/* SPDX-License-Identifier: Apache-2.0 */
/* What poll() reports: notices, completions, deliveries. And reading records back for them. */
#include "embedded.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/events.h"

enum {
	TURN = 32, /* records that one reader gets before the next one has its turn */
};

/* ---- notices and completions --------------------------------------------------------- */

/* An error that stays as it is until the next poll(), whatever the writer does meanwhile. */
static const struct weir_error *lend(struct weir_inst *inst, uint8_t cause)
{
	switch (cause) {
	case CAUSE_FULL:
		inst->lent_full = inst->full;
		return &inst->lent_full;
	case CAUSE_FATAL:
		inst->lent_fatal = inst->fatal;
		return &inst->lent_fatal;
	case CAUSE_CLOSED:
		weir_fail(&inst->lent_closed, WEIR_ECLOSED, "the topic was deleted before its record was written");
		return &inst->lent_closed;
	default:
		return NULL;
	}
}

static void report_notices(struct weir_inst *inst, struct events *events)
{
	while (events->count < events->max && weir_list_linked(&inst->notices)) {
		struct notice *notice = weir_list_entry(inst->notices.next, struct notice, link);
		struct weir_driver_event *event = weir_events_add(events);

		event->type = notice->type;
		event->topic = notice->topic;
		event->sub = notice->sub;
		if (notice->failed)
			event->error = lend(inst, inst->is_fatal ? CAUSE_FATAL : CAUSE_FULL);
		weir_list_unlink(&notice->link);
	}
}

static void report_completions(struct weir_inst *inst, struct events *events, size_t max)
{
	while (events->count < max && inst->done) {
		struct record *record = inst->done;
		struct weir_driver_event *event = weir_events_add(events);

		event->type = WEIR_EV_PUBLISHED;
		event->topic = record->topic;
		event->tag = record->tag;
		event->outcome = record->outcome;
		event->position = record->position;
		event->error = lend(inst, record->cause);
		inst->done = record->next;
		inst->done_count--;
		weir_embedded_release(record);
	}
}

/* ---- reading back ------------------------------------------------------------------------ */

/* What was read for a reader: records of consecutive positions. */
struct fetched {
	struct record *records[WEIR_EMBEDDED_AHEAD];
	size_t count;
};

static int fetch_records(struct weir_inst *inst, uint64_t topic, uint64_t position, size_t max, struct fetched *ret,
			 struct weir_error *err)
{
	struct weir_embedded_stored stored;
	size_t bytes = 0;
	int code = weir_embedded_store_read_begin(inst->store, topic, position, err);

	while (code == WEIR_OK && ret->count < max && bytes < WEIR_EMBEDDED_AHEAD_BYTES) {
		struct record *record;

		code = weir_embedded_store_read_next(inst->store, &stored, err);
		if (code || (ret->count && stored.position != ret->records[ret->count - 1]->position + 1))
			break;
		record = weir_embedded_record_stored(&stored);
		if (!record)
			code = weir_fail(err, WEIR_ENOMEM, "no memory for a record of %zu bytes", stored.len);
		else
			ret->records[ret->count++] = record;
		bytes += stored.len;
	}
	weir_embedded_store_read_end(inst->store);
	return code == WEIR_ENOTFOUND ? WEIR_OK : code;
}

static void ahead_clear(struct reader *reader)
{
	while (reader->ahead_count)
		weir_embedded_release(reader->ahead[--reader->ahead_count]);
}

/*
 * Reads records from `position` on for a reader, with the lock given up
 * meanwhile. WEIR_ENOTFOUND: the reader has gone. WEIR_ENOMEM: nothing read.
 */
static int fetch(struct weir_inst *inst, struct reader *reader, uint64_t position, size_t max)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct fetched fetched = { .count = 0 };
	uint64_t topic = reader->topic->id;
	int code;

	ahead_clear(reader);
	reader->busy = true;
	pthread_mutex_unlock(&inst->lock);
	code = fetch_records(inst, topic, position, max, &fetched, &err);
	pthread_mutex_lock(&inst->lock);
	reader->busy = false;
	memcpy(reader->ahead, fetched.records, fetched.count * sizeof(struct record *));
	reader->ahead_count = fetched.count;
	reader->ahead_first = fetched.count ? fetched.records[0]->position : 0;
	if (reader->dead) {
		weir_embedded_reader_free(inst, reader);
		return WEIR_ENOTFOUND;
	}
	if (code && code != WEIR_ENOMEM)
		weir_embedded_die(inst, &err);
	return fetched.count ? WEIR_OK : code;
}

/* The record if it is in memory: a reference, or NULL. */
static struct record *record_find(struct reader *reader, uint64_t position)
{
	struct record **ahead = reader->ahead + (position - reader->ahead_first), *record;

	if (position < reader->ahead_first || position - reader->ahead_first >= reader->ahead_count || !*ahead)
		return weir_embedded_cache_get(reader->topic, position);
	record = *ahead;
	*ahead = NULL;
	return record;
}

/* ---- deliveries ---------------------------------------------------------------------------- */

static struct delivery *first_again(struct reader *reader)
{
	if (!weir_list_linked(&reader->again))
		return NULL;
	return weir_list_entry(reader->again.next, struct delivery, link);
}

/* What came back goes before what is new. */
static uint64_t next_position(struct reader *reader)
{
	struct delivery *delivery = first_again(reader);

	return delivery ? delivery->position : reader->next;
}

static struct delivery *next_delivery(struct weir_inst *inst, struct reader *reader)
{
	struct delivery *delivery = first_again(reader);

	if (!delivery)
		delivery = weir_embedded_delivery_new(inst, reader, reader->next);
	if (delivery && delivery->position == reader->next)
		reader->next++;
	return delivery;
}

static void hand_out(struct weir_sub *sub, struct delivery *delivery, size_t bytes, int64_t now_ns)
{
	delivery->owner = sub;
	delivery->turn++;
	delivery->attempt++;
	delivery->out_ns = now_ns;
	weir_list_append(&sub->out, &delivery->link);
	sub->unsettled++;
	sub->redelivered += delivery->attempt > 1;
	sub->credit_records--;
	sub->credit_bytes -= (int64_t)bytes;
}

static void report_delivery(const struct delivery *delivery, struct record *record, struct weir_driver_event *event)
{
	event->type = WEIR_EV_DELIVER;
	event->sub = delivery->owner;
	event->token.epoch = delivery->owner->epoch;
	event->token.lane = delivery->reader->lane;
	event->token.seq = (uint64_t)delivery->turn << 32 | delivery->slot;
	event->attempt = delivery->attempt;
	event->flags = delivery->attempt > 1 ? WEIR_MSG_REDELIVERED : 0;
	if (record->damaged)
		event->flags |= WEIR_MSG_DAMAGED | WEIR_MSG_NO_TIME;
	event->position = delivery->position;
	event->time_ms = record->time_ms;
	event->record = record->content;
	event->lease = record;
}

/* Positions that the store should have and has not: they are told once, and passed. */
static void report_gap(struct weir_inst *inst, struct reader *reader, uint64_t from, uint64_t upto,
		       struct weir_driver_event *event)
{
	struct delivery *delivery = first_again(reader);

	event->type = WEIR_EV_GAP;
	event->sub = weir_list_entry(reader->willing.next, struct weir_sub, willing);
	event->position = from;
	event->position_end = delivery ? from : upto;
	if (delivery)
		weir_embedded_delivery_free(inst, delivery);
	else
		reader->next = upto + 1;
	weir_embedded_reader_changed(inst, reader);
	weir_embedded_reader_refresh(inst, reader);
}

/* Makes the next record of a reader available, or tells that it is missing. False: not now. */
static bool provide(struct weir_inst *inst, struct reader *reader, struct events *events)
{
	uint64_t position = next_position(reader), last = reader->topic->last, found;
	int code = fetch(inst, reader, position, first_again(reader) ? 8 : WEIR_EMBEDDED_AHEAD);

	if (code == WEIR_ENOMEM)
		weir_embedded_starve(inst);
	if (code || inst->is_fatal)
		return false;
	found = reader->ahead_count ? reader->ahead_first : last + 1;
	/* While the lock was given up something else may have come first, or nobody is willing any more. */
	if (found > position && weir_list_linked(&reader->ready) && next_position(reader) == position)
		report_gap(inst, reader, position, found <= last ? found - 1 : last, weir_events_add(events));
	return true;
}

/* Hands one record to the member whose turn it is. False: out of memory. */
static bool deliver(struct weir_inst *inst, struct reader *reader, struct record *record, struct events *events,
		    int64_t now_ns)
{
	struct weir_sub *sub = weir_list_entry(reader->willing.next, struct weir_sub, willing);
	struct delivery *delivery = next_delivery(inst, reader);

	if (!delivery) {
		weir_embedded_release(record);
		weir_embedded_starve(inst);
		return false;
	}
	hand_out(sub, delivery, record->bytes, now_ns);
	report_delivery(delivery, record, weir_events_add(events));
	weir_list_append(&reader->willing, &sub->willing);
	weir_embedded_sub_refresh(inst, sub);
	return true;
}

/* Gives one reader its turn. False: there is no going on now. */
static bool report_reader(struct weir_inst *inst, struct reader *reader, struct events *events, int64_t now_ns)
{
	int left = TURN;

	while (left-- && events->count < events->max && weir_list_linked(&reader->ready)) {
		struct record *record = record_find(reader, next_position(reader));

		if (record && !deliver(inst, reader, record, events, now_ns))
			return false;
		if (!record && !provide(inst, reader, events))
			return false;
	}
	weir_embedded_cache_trim(inst, reader->topic);
	weir_embedded_reader_changed(inst, reader);
	if (weir_list_linked(&reader->ready))
		weir_list_append(&inst->ready, &reader->ready);
	return true;
}

/* ---- poll ------------------------------------------------------------------------------------ */

static void report(struct weir_inst *inst, struct events *events)
{
	int64_t now_ns;
	uint64_t wakes;

	weir_embedded_lock_take(inst);
	weir_embedded_timer_run(inst);
	report_notices(inst, events);
	/* Deliveries get half of a batch at least, or publishers that never pause would starve them. */
	report_completions(inst, events, weir_list_linked(&inst->ready) ? (events->max + 1) / 2 : events->max);
	if (weir_list_linked(&inst->ready) && !inst->starved_ns) {
		now_ns = weir_embedded_now();
		while (events->count < events->max && weir_list_linked(&inst->ready))
			if (!report_reader(inst, weir_list_entry(inst->ready.next, struct reader, ready), events,
					   now_ns))
				break;
	}
	/* Under the lock: a wake-up that belongs to something new must not be read away. */
	if (inst->signalled && !weir_embedded_has_events(inst) && read(inst->wake_fd, &wakes, sizeof wakes) >= 0)
		inst->signalled = false;
	weir_embedded_lock_give(inst);
}

int weir_embedded_poll(struct weir_inst *inst, struct weir_driver_event *events, size_t max, int64_t timeout_ns,
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
