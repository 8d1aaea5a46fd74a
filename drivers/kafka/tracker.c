/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was received from a partition, in order of receipt, and what became of
 * it. Only received records are tracked, so holes in the offsets (transaction
 * markers, compaction, retention) need no care. What may be committed is the
 * offset behind the contiguous settled prefix.
 */
#include "kafka.h"

#include <stdlib.h>
#include <string.h>

enum { INDEX_BITS = 40 };

/* ---- trackers --------------------------------------------------------------------------- */

struct tracker *weir_kafka_tracker_new(struct weir_sub *sub, int32_t partition, int64_t position)
{
	struct tracker *tracker = calloc(1, sizeof *tracker);

	if (!tracker)
		return NULL;
	tracker->sub = sub;
	tracker->partition = partition;
	tracker->position = tracker->committed = tracker->sent = tracker->received = position;
	tracker->queue = rd_kafka_queue_get_partition(sub->rk, sub->topic->name, partition);
	return tracker;
}

static void record_drop(struct record *record)
{
	if (record && atomic_fetch_sub_explicit(&record->refs, 1, memory_order_acq_rel) == 1)
		free(record);
}

void weir_kafka_release(void *lease)
{
	record_drop(lease);
}

void weir_kafka_tracker_free(struct tracker *tracker)
{
	uint64_t i;

	if (!tracker)
		return;
	for (i = tracker->head; i != tracker->tail; i++)
		record_drop(weir_kafka_at(tracker, i)->record);
	if (tracker->held)
		rd_kafka_event_destroy(tracker->held);
	if (tracker->queue) {
		rd_kafka_queue_io_event_enable(tracker->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(tracker->queue);
	}
	free(tracker->ring);
	free(tracker);
}

uint64_t weir_kafka_tracker_out(const struct tracker *tracker)
{
	uint64_t i, out = 0;

	for (i = tracker->head; i != tracker->tail; i++)
		out += weir_kafka_at(tracker, i)->state == ENTRY_OUT;
	return out;
}

static bool ring_grow(struct tracker *tracker)
{
	uint64_t room = tracker->room ? tracker->room * 2 : 64, i;
	struct entry *ring;

	if (room > WEIR_KAFKA_MAX_RING)
		return false;
	ring = malloc(room * sizeof *ring);
	if (!ring)
		return false;
	for (i = tracker->head; i != tracker->tail; i++)
		ring[i & (room - 1)] = *weir_kafka_at(tracker, i);
	free(tracker->ring);
	tracker->ring = ring;
	tracker->room = room;
	return true;
}

/* Every record that is out can be nacked, and nacking must not fail. */
static bool waiting_reserve(struct weir_sub *sub)
{
	size_t need = sub->waiting_count + (size_t)sub->unsettled + 1,
	       room = sub->waiting_room ? sub->waiting_room : 64;
	struct waiting *waiting;

	while (room < need)
		room *= 2;
	if (room == sub->waiting_room)
		return true;
	waiting = realloc(sub->waiting, room * sizeof *waiting);
	if (!waiting)
		return false;
	sub->waiting = waiting;
	sub->waiting_room = room;
	return true;
}

bool weir_kafka_tracker_reserve(struct tracker *tracker)
{
	if (tracker->tail - tracker->head == tracker->room && !ring_grow(tracker))
		return false;
	return waiting_reserve(tracker->sub);
}

/* ---- records that wait: a heap by due_ns --------------------------------------------------- */

static bool before(const struct waiting *a, const struct waiting *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void waiting_push(struct weir_sub *sub, const struct waiting *item)
{
	size_t place = sub->waiting_count++;

	while (place && before(item, &sub->waiting[(place - 1) / 2])) {
		sub->waiting[place] = sub->waiting[(place - 1) / 2];
		place = (place - 1) / 2;
	}
	sub->waiting[place] = *item;
}

static struct waiting waiting_pop(struct weir_sub *sub)
{
	struct waiting first = sub->waiting[0], last = sub->waiting[--sub->waiting_count];
	size_t place = 0, child;

	while ((child = 2 * place + 1) < sub->waiting_count) {
		if (child + 1 < sub->waiting_count && before(&sub->waiting[child + 1], &sub->waiting[child]))
			child++;
		if (!before(&sub->waiting[child], &last))
			break;
		sub->waiting[place] = sub->waiting[child];
		place = child;
	}
	sub->waiting[place] = last;
	return first;
}

struct entry *weir_kafka_again(struct weir_sub *sub, int64_t now_ns, struct tracker **tracker, uint64_t *index)
{
	while (sub->waiting_count && sub->waiting[0].due_ns <= now_ns) {
		struct waiting item = waiting_pop(sub);

		*tracker = item.partition < sub->tracker_count ? sub->trackers[item.partition] : NULL;
		*index = item.index;
		/* Its partition may have been revoked meanwhile. */
		if (*tracker && (*tracker)->epoch == item.epoch)
			return weir_kafka_at(*tracker, item.index);
	}
	return NULL;
}

/* ---- settling ------------------------------------------------------------------------------------ */

static void entry_done(struct tracker *tracker, struct entry *entry)
{
	record_drop(entry->record);
	entry->record = NULL;
	entry->state = ENTRY_DONE;
	while (tracker->head != tracker->tail && weir_kafka_at(tracker, tracker->head)->state == ENTRY_DONE)
		tracker->position = weir_kafka_at(tracker, tracker->head++)->offset + 1;
	if (tracker->full && tracker->tail - tracker->head < tracker->room) {
		tracker->full = false;
		weir_kafka_wake(tracker->sub->inst);
	}
}

static void entry_again(struct tracker *tracker, struct entry *entry, uint64_t index, int64_t delay_ms)
{
	struct weir_inst *inst = tracker->sub->inst;
	struct waiting item = { .epoch = tracker->epoch, .index = index, .partition = tracker->partition };

	entry->state = ENTRY_AGAIN;
	item.due_ns = weir_kafka_now() + (delay_ms > 0 ? delay_ms : 0) * INT64_C(1000000);
	item.order = inst->next_order++;
	waiting_push(tracker->sub, &item);
	weir_kafka_wake(inst);
}

/* A token that is not of a current assignment of this member: of an earlier one, or somebody else's? */
static uint16_t elsewhere(struct weir_inst *inst, const struct weir_sub *sub, const struct weir_token *token)
{
	struct link *at;
	int32_t i;

	if (token->epoch >= inst->next_epoch)
		return WEIR_EINVAL;
	for (at = inst->subs.next; at != &inst->subs; at = at->next) {
		const struct weir_sub *other = weir_kafka_entry(at, struct weir_sub, link);

		for (i = 0; other != sub && i < other->tracker_count; i++)
			if (other->trackers[i] && other->trackers[i]->epoch == token->epoch)
				return WEIR_EINVAL;
	}
	inst->stale++;
	return WEIR_ESTALE;
}

static uint16_t settle_one(struct weir_inst *inst, struct weir_sub *sub, int verb, const struct weir_token *token,
			   int64_t arg)
{
	uint64_t partition = token->lane & UINT32_MAX, index = token->seq & ((UINT64_C(1) << INDEX_BITS) - 1);
	struct tracker *tracker;
	struct entry *entry;

	if (token->lane >> 32 != sub->group)
		return WEIR_EINVAL;
	tracker = partition < (uint64_t)sub->tracker_count ? sub->trackers[partition] : NULL;
	if (!tracker || tracker->epoch != token->epoch)
		return elsewhere(inst, sub, token);
	if (index >= tracker->tail)
		return WEIR_EINVAL;
	entry = weir_kafka_at(tracker, index);
	if (index < tracker->head || entry->state != ENTRY_OUT || token->seq >> INDEX_BITS != entry->attempt) {
		inst->stale++;
		return WEIR_ESTALE;
	}
	sub->unsettled--;
	if (verb == WEIR_NACK)
		entry_again(tracker, entry, index, arg);
	else
		entry_done(tracker, entry);
	return WEIR_OK;
}

int weir_kafka_settle(struct weir_inst *inst, struct weir_sub *sub, int verb, const struct weir_token *tokens,
		      size_t count, int64_t arg, uint16_t *codes)
{
	size_t i;

	if (verb != WEIR_ACK && verb != WEIR_NACK && verb != WEIR_TERM)
		return WEIR_ENOTSUP;
	pthread_mutex_lock(&inst->lock);
	for (i = 0; i < count; i++) {
		uint16_t code = settle_one(inst, sub, verb, &tokens[i], arg);

		if (codes)
			codes[i] = code;
	}
	pthread_mutex_unlock(&inst->lock);
	return WEIR_OK;
}
