/* SPDX-License-Identifier: Apache-2.0 */
/* What poll() reports: notices, completions, deliveries. And the timer for deliveries that wait. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../common/events.h"

enum {
	TURN = 32, /* records that one reader gets before the next one has its turn */
};

/* ---- deliveries that wait: a heap by due_ns ------------------------------------------ */

static void heap_set(struct weir_inst *inst, size_t place, struct delivery *delivery)
{
	inst->waiting[place] = delivery;
	delivery->heap = place + 1;
}

static void heap_up(struct weir_inst *inst, size_t place, struct delivery *delivery)
{
	while (place && inst->waiting[(place - 1) / 2]->due_ns > delivery->due_ns) {
		heap_set(inst, place, inst->waiting[(place - 1) / 2]);
		place = (place - 1) / 2;
	}
	heap_set(inst, place, delivery);
}

static void heap_down(struct weir_inst *inst, size_t place, struct delivery *delivery)
{
	size_t child;

	while ((child = 2 * place + 1) < inst->waiting_count) {
		if (child + 1 < inst->waiting_count && inst->waiting[child + 1]->due_ns < inst->waiting[child]->due_ns)
			child++;
		if (inst->waiting[child]->due_ns >= delivery->due_ns)
			break;
		heap_set(inst, place, inst->waiting[child]);
		place = child;
	}
	heap_set(inst, place, delivery);
}

static void heap_remove(struct weir_inst *inst, struct delivery *delivery)
{
	size_t place = delivery->heap - 1;
	struct delivery *last = inst->waiting[--inst->waiting_count];

	delivery->heap = 0;
	if (last == delivery)
		return;
	heap_down(inst, place, last);
	heap_up(inst, last->heap - 1, last);
}

/* Sets the timer to the first delivery that waits, or to the end of a lack of memory. */
static void timer_arm(struct weir_inst *inst)
{
	struct itimerspec spec = { { 0, 0 }, { 0, 0 } };
	int64_t at = inst->waiting_count ? inst->waiting[0]->due_ns : INT64_MAX;

	if (inst->starved_ns && inst->starved_ns < at)
		at = inst->starved_ns;
	if (at == INT64_MAX || (inst->armed_ns && inst->armed_ns <= at))
		return;
	inst->armed_ns = at;
	spec.it_value.tv_sec = at / 1000000000;
	spec.it_value.tv_nsec = at % 1000000000;
	timerfd_settime(inst->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* Trying again at once would keep poll() running for nothing. */
static void starve(struct weir_inst *inst)
{
	inst->starved_ns = weir_memory_now() + 10000000;
	timer_arm(inst);
}

static void delivery_due(struct weir_inst *inst, struct delivery *delivery)
{
	weir_list_append(&delivery->reader->again, &delivery->link);
	weir_memory_reader_refresh(inst, delivery->reader);
}

void weir_memory_wait(struct weir_inst *inst, struct delivery *delivery, int64_t due_ns)
{
	delivery->due_ns = due_ns;
	if (!due_ns) {
		delivery_due(inst, delivery);
		return;
	}
	weir_list_unlink(&delivery->link);
	heap_up(inst, inst->waiting_count++, delivery);
	timer_arm(inst);
}

static void timer_run(struct weir_inst *inst)
{
	uint64_t fired;
	int64_t now;

	if (!inst->armed_ns || inst->armed_ns > (now = weir_memory_now()))
		return;
	if (inst->starved_ns <= now)
		inst->starved_ns = 0;
	while (inst->waiting_count && inst->waiting[0]->due_ns <= now) {
		struct delivery *delivery = inst->waiting[0];

		heap_remove(inst, delivery);
		delivery_due(inst, delivery);
	}
	if (read(inst->timer_fd, &fired, sizeof fired) < 0)
		fired = 0; /* the clock was ahead of the timer; arming it again is right all the same */
	inst->armed_ns = 0;
	timer_arm(inst);
}

/* ---- deliveries ------------------------------------------------------------------------ */

/* Doubles the tables of deliveries. */
static bool slots_grow(struct weir_inst *inst)
{
	uint32_t room = inst->slot_room ? inst->slot_room * 2 : 64;
	struct delivery **slots, **waiting;

	slots = realloc(inst->slots, room * sizeof(struct delivery *));
	if (!slots)
		return false;
	inst->slots = slots;
	waiting = realloc(inst->waiting, room * sizeof(struct delivery *));
	if (!waiting)
		return false;
	inst->waiting = waiting;
	inst->slot_room = room;
	return true;
}

static struct delivery *delivery_take(struct weir_inst *inst)
{
	struct delivery *delivery;

	if (weir_list_linked(&inst->unused)) {
		delivery = weir_list_entry(inst->unused.next, struct delivery, link);
		weir_list_unlink(&delivery->link);
		return delivery;
	}
	if (inst->slot_count == inst->slot_room && !slots_grow(inst))
		return NULL;
	delivery = calloc(1, sizeof *delivery);
	if (!delivery)
		return NULL;
	weir_list_init(&delivery->link);
	delivery->slot = inst->slot_count;
	inst->slots[inst->slot_count++] = delivery;
	return delivery;
}

void weir_memory_delivery_drop(struct weir_inst *inst, struct delivery *delivery)
{
	if (delivery->heap)
		heap_remove(inst, delivery);
	delivery->record = NULL;
	delivery->reader = NULL;
	delivery->owner = NULL;
	weir_list_append(&inst->unused, &delivery->link);
}

/* What came back goes before what is new. */
static struct delivery *delivery_next(struct weir_inst *inst, struct reader *reader)
{
	struct delivery *delivery;

	if (weir_list_linked(&reader->again))
		return weir_list_entry(reader->again.next, struct delivery, link);
	if (!reader->cursor)
		return NULL;
	delivery = delivery_take(inst);
	if (!delivery)
		return NULL;
	delivery->record = reader->cursor;
	delivery->reader = reader;
	delivery->attempt = 0;
	reader->cursor = reader->cursor->next;
	return delivery;
}

static void delivery_hand_out(struct weir_sub *sub, struct delivery *delivery, int64_t now_ns)
{
	delivery->owner = sub;
	delivery->turn++;
	delivery->attempt++;
	delivery->out_ns = now_ns;
	weir_list_append(&sub->out, &delivery->link);
	atomic_fetch_add_explicit(&delivery->record->refs, 1, memory_order_relaxed);
	sub->unsettled++;
	sub->redelivered += delivery->attempt > 1;
	sub->credit_records--;
	sub->credit_bytes -= (int64_t)delivery->record->bytes;
}

static void delivery_report(const struct delivery *delivery, struct weir_driver_event *event)
{
	struct record *record = delivery->record;

	event->type = WEIR_EV_DELIVER;
	event->sub = delivery->owner;
	event->token.epoch = delivery->owner->epoch;
	event->token.lane = delivery->reader->lane;
	event->token.seq = (uint64_t)delivery->turn << 32 | delivery->slot;
	event->attempt = delivery->attempt;
	event->flags = delivery->attempt > 1 ? WEIR_MSG_REDELIVERED : 0;
	event->position = record->position;
	event->time_ms = record->time_ms;
	event->record = record->content;
	event->lease = record;
}

/* ---- poll ------------------------------------------------------------------------------ */

static void report_notices(struct weir_inst *inst, struct events *events)
{
	while (events->count < events->max && weir_list_linked(&inst->notices)) {
		struct notice *notice = weir_list_entry(inst->notices.next, struct notice, link);
		struct weir_driver_event *event = weir_events_add(events);

		event->type = notice->type;
		event->topic = notice->topic;
		event->sub = notice->sub;
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
		event->outcome = WEIR_PERSISTED;
		event->position = record->position;
		inst->done = record->next_done;
		inst->pending--;
		weir_memory_record_done(inst, record);
	}
}

/* Gives one reader its turn. The members that have credit take turns in it, one record each. False: out of memory. */
static bool report_reader(struct weir_inst *inst, struct reader *reader, struct events *events, int64_t now_ns)
{
	int left = TURN;

	while (left-- && events->count < events->max && weir_list_linked(&reader->ready)) {
		struct weir_sub *sub = weir_list_entry(reader->willing.next, struct weir_sub, willing);
		struct delivery *delivery = delivery_next(inst, reader);

		if (!delivery) {
			starve(inst);
			return false;
		}
		delivery_hand_out(sub, delivery, now_ns);
		delivery_report(delivery, weir_events_add(events));
		weir_list_append(&reader->willing, &sub->willing);
		weir_memory_sub_refresh(inst, sub);
	}
	if (weir_list_linked(&reader->ready))
		weir_list_append(&inst->ready, &reader->ready);
	return true;
}

static void report(struct weir_inst *inst, struct events *events)
{
	uint64_t wakes;
	int64_t now_ns;

	weir_memory_lock(inst);
	timer_run(inst);
	report_notices(inst, events);
	/* Deliveries get half of a batch at least, or publishers that never pause would starve them. */
	report_completions(inst, events, weir_list_linked(&inst->ready) ? (events->max + 1) / 2 : events->max);
	if (weir_list_linked(&inst->ready) && !inst->starved_ns) {
		now_ns = weir_memory_now();
		while (events->count < events->max && weir_list_linked(&inst->ready))
			if (!report_reader(inst, weir_list_entry(inst->ready.next, struct reader, ready), events,
					   now_ns))
				break;
	}
	/* Under the lock: a wake-up that belongs to something new must not be read away. */
	if (inst->signalled && !weir_memory_has_events(inst) && read(inst->wake_fd, &wakes, sizeof wakes) >= 0)
		inst->signalled = false;
	weir_memory_unlock(inst);
}

int weir_memory_poll(struct weir_inst *inst, struct weir_driver_event *events, size_t max, int64_t timeout_ns,
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
