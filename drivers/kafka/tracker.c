/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was received from a partition, in order of receipt, and what became of
 * it. Only received records are tracked, so holes in the offsets (transaction
 * markers, compaction, retention) need no care. What may be committed is the
 * offset behind the contiguous settled prefix.
 *
 * Records are tracked in chunks. Of a chunk whose records are all settled only
 * its end is kept, so that millions of records behind one that is not settled
 * cost little.
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

static void record_drop(const struct record *record)
{
	if (record)
		weir_kafka_slab_drop(record->slab);
}

static void entries_free(struct entry *entries)
{
	size_t i;

	for (i = 0; entries && i < WEIR_KAFKA_CHUNK; i++)
		record_drop(entries[i].record);
	free(entries);
}

/* The chunks in use: the first, and the one behind the last. */
static uint64_t chunk_first(const struct tracker *tracker)
{
	return tracker->head / WEIR_KAFKA_CHUNK;
}

static uint64_t chunk_end(const struct tracker *tracker)
{
	return (tracker->tail + WEIR_KAFKA_CHUNK - 1) / WEIR_KAFKA_CHUNK;
}

static struct chunk *chunk_at(const struct tracker *tracker, uint64_t number)
{
	return &tracker->chunks[number & (tracker->room - 1)];
}

void weir_kafka_tracker_free(struct tracker *tracker)
{
	uint64_t i;

	if (!tracker)
		return;
	for (i = chunk_first(tracker); i < chunk_end(tracker); i++)
		entries_free(chunk_at(tracker, i)->entries);
	while (tracker->spare_count)
		free(tracker->spare[--tracker->spare_count]);
	while (tracker->held_at < tracker->held_count)
		rd_kafka_message_destroy(tracker->held[tracker->held_at++]);
	if (tracker->queue) {
		rd_kafka_queue_io_event_enable(tracker->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(tracker->queue);
	}
	free(tracker->chunks);
	free(tracker);
}

struct notice *weir_kafka_tracker_notice(const struct tracker *tracker, uint32_t type)
{
	struct notice *notice = calloc(1, sizeof *notice);

	if (!notice)
		return NULL;
	weir_list_init(&notice->link);
	notice->heap = true;
	notice->type = type;
	notice->sub = tracker->sub;
	notice->partition = (uint32_t)tracker->partition;
	notice->epoch = tracker->epoch;
	return notice;
}

/* Room for one more chunk at the end of the ring. */
static bool ring_reserve(struct tracker *tracker)
{
	uint64_t room = tracker->room ? tracker->room * 2 : 16, i;
	struct chunk *chunks;

	if (chunk_end(tracker) - chunk_first(tracker) < tracker->room)
		return true;
	chunks = malloc(room * sizeof *chunks);
	if (!chunks)
		return false;
	for (i = chunk_first(tracker); i < chunk_end(tracker); i++)
		chunks[i & (room - 1)] = *chunk_at(tracker, i);
	free(tracker->chunks);
	tracker->chunks = chunks;
	tracker->room = room;
	return true;
}

/* The next record begins a chunk: it gets the spare one. */
static bool chunk_reserve(struct tracker *tracker)
{
	if (!ring_reserve(tracker))
		return false;
	if (!tracker->spare_count)
		tracker->spare[0] = malloc(WEIR_KAFKA_CHUNK * sizeof(struct entry));
	if (!tracker->spare_count && tracker->spare[0])
		tracker->spare_count = 1;
	return tracker->spare_count > 0;
}

static void chunk_begin(struct tracker *tracker)
{
	struct chunk *chunk = chunk_at(tracker, tracker->tail / WEIR_KAFKA_CHUNK);

	chunk->entries = tracker->spare[--tracker->spare_count];
	chunk->left = WEIR_KAFKA_CHUNK;
	memset(chunk->entries, 0, WEIR_KAFKA_CHUNK * sizeof(struct entry));
}

struct entry *weir_kafka_tracker_push(struct tracker *tracker, int64_t offset, struct record *record, uint64_t *index)
{
	struct entry *entry;

	if (tracker->tail % WEIR_KAFKA_CHUNK == 0)
		chunk_begin(tracker);
	*index = tracker->tail++;
	entry = weir_kafka_at(tracker, *index);
	*entry = (struct entry){ .offset = offset, .record = record };
	tracker->received = offset + 1;
	return entry;
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

/* A record that is not settled for long holds back the commits of its partition, and at last the partition. */
static void report_stall(struct tracker *tracker, uint64_t behind)
{
	const struct entry *oldest = weir_kafka_at(tracker, tracker->head);
	struct notice *notice = weir_kafka_tracker_notice(tracker, WEIR_EV_STALL);

	if (!notice)
		return;
	weir_fail(&notice->error, WEIR_ETIMEDOUT,
		  "kafka: %.200s, partition %d: the record at %lld has been out for %lld ms; %llu records %s behind it",
		  tracker->sub->topic->name, (int)tracker->partition, (long long)oldest->offset,
		  (long long)((weir_kafka_now() - oldest->out_ns) / 1000000), (unsigned long long)behind,
		  tracker->full ? "are, and no more are taken," : "are not committed");
	weir_kafka_notify(tracker->sub->inst, notice);
}

static bool behind_check(struct tracker *tracker)
{
	uint64_t behind = tracker->tail - tracker->head;

	if (behind >= tracker->sub->inst->settings.max_behind) {
		if (!tracker->full) {
			tracker->full = true;
			report_stall(tracker, behind);
		}
		return false;
	}
	if (behind >= WEIR_KAFKA_STALL_AT && !tracker->stalled) {
		tracker->stalled = true;
		report_stall(tracker, behind);
	}
	return true;
}

bool weir_kafka_tracker_reserve(struct tracker *tracker)
{
	if (!behind_check(tracker))
		return false;
	if (tracker->tail % WEIR_KAFKA_CHUNK == 0 && !chunk_reserve(tracker))
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

/* All of a chunk are settled. It keeps its end. */
static void chunk_forget(struct tracker *tracker, struct chunk *chunk)
{
	struct entry *entries = chunk->entries;

	chunk->entries = NULL;
	chunk->end = entries[WEIR_KAFKA_CHUNK - 1].offset + 1;
	if (tracker->spare_count < WEIR_KAFKA_SPARE)
		tracker->spare[tracker->spare_count++] = entries;
	else
		free(entries);
}

static void head_advance(struct tracker *tracker)
{
	while (tracker->head != tracker->tail) {
		const struct chunk *chunk = chunk_at(tracker, tracker->head / WEIR_KAFKA_CHUNK);
		const struct entry *entry = weir_kafka_at(tracker, tracker->head);

		if (entry && entry->state != ENTRY_DONE)
			return;
		tracker->position = entry ? entry->offset + 1 : chunk->end;
		tracker->head += entry ? 1 : WEIR_KAFKA_CHUNK - tracker->head % WEIR_KAFKA_CHUNK;
	}
}

static void entry_done(struct tracker *tracker, struct entry *entry, uint64_t index)
{
	struct chunk *chunk = chunk_at(tracker, index / WEIR_KAFKA_CHUNK);
	uint64_t behind;

	record_drop(entry->record);
	entry->record = NULL;
	entry->state = ENTRY_DONE;
	if (--chunk->left == 0)
		chunk_forget(tracker, chunk);
	if (index > tracker->head)
		return;
	head_advance(tracker);
	behind = tracker->tail - tracker->head;
	tracker->stalled = tracker->stalled && behind >= WEIR_KAFKA_STALL_AT / 2;
	if (tracker->full && behind < tracker->sub->inst->settings.max_behind) {
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
		const struct weir_sub *other = weir_list_entry(at, struct weir_sub, link);

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
	entry = index < tracker->head ? NULL : weir_kafka_at(tracker, index);
	if (!entry || entry->state != ENTRY_OUT || token->seq >> INDEX_BITS != entry->attempt) {
		inst->stale++;
		return WEIR_ESTALE;
	}
	sub->unsettled--;
	tracker->out--;
	if (verb == WEIR_NACK)
		entry_again(tracker, entry, index, arg);
	else
		entry_done(tracker, entry, index);
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
