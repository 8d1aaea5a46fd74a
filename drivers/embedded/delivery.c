/* SPDX-License-Identifier: Apache-2.0 */
/* What is in flight: deliveries, their slots, and the timer of those that wait. */
#include "embedded.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ---- slots ---------------------------------------------------------------------------- */

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

	if (weir_list_linked(&inst->unused))
		return weir_list_entry(inst->unused.next, struct delivery, link);
	if (inst->slot_count == inst->slot_room && !slots_grow(inst))
		return NULL;
	delivery = calloc(1, sizeof *delivery);
	if (!delivery)
		return NULL;
	weir_list_init(&delivery->link);
	weir_list_init(&delivery->unsettled);
	delivery->slot = inst->slot_count;
	inst->slots[inst->slot_count++] = delivery;
	return delivery;
}

struct delivery *weir_embedded_delivery_new(struct weir_inst *inst, struct reader *reader, uint64_t position)
{
	struct delivery *delivery = delivery_take(inst);

	if (!delivery)
		return NULL;
	weir_list_unlink(&delivery->link);
	weir_list_append(&reader->unsettled, &delivery->unsettled);
	reader->unsettled_count++;
	delivery->reader = reader;
	delivery->position = position;
	delivery->attempt = 0;
	return delivery;
}

/* ---- those that wait: a heap by due_ns -------------------------------------------------- */

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

void weir_embedded_starve(struct weir_inst *inst)
{
	inst->starved_ns = weir_embedded_now() + 10000000;
	timer_arm(inst);
}

static void delivery_due(struct weir_inst *inst, struct delivery *delivery)
{
	weir_list_append(&delivery->reader->again, &delivery->link);
	weir_embedded_reader_refresh(inst, delivery->reader);
}

void weir_embedded_delivery_wait(struct weir_inst *inst, struct delivery *delivery, int64_t due_ns)
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

void weir_embedded_timer_run(struct weir_inst *inst)
{
	uint64_t fired;
	int64_t now;

	if (!inst->armed_ns || inst->armed_ns > (now = weir_embedded_now()))
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

void weir_embedded_delivery_free(struct weir_inst *inst, struct delivery *delivery)
{
	if (delivery->heap)
		heap_remove(inst, delivery);
	weir_list_unlink(&delivery->unsettled);
	delivery->reader->unsettled_count--;
	delivery->reader = NULL;
	delivery->owner = NULL;
	weir_list_append(&inst->unused, &delivery->link);
}
