/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/lane.h"

#include "base/clock.h"
#include "base/mem.h"

enum { FREE = 0, PENDING = 1, EXPIRED = 2, STATES = 3 };

#define INDEX_MASK 0xfffffu

static struct weir_slot *slot_at(const struct weir_lane *lane, uint32_t index)
{
	struct weir_slot *chunk = atomic_load_explicit(&lane->chunks[index / WEIR_LANE_CHUNK], memory_order_acquire);

	return &chunk[index % WEIR_LANE_CHUNK];
}

struct weir_lane *weir_lane_new(struct weir_backend *backend, uint32_t id)
{
	struct weir_lane *lane = weir_mem_zalloc(1, sizeof *lane);

	if (!lane)
		return NULL;
	lane->backend = backend;
	lane->id = id;
	lane->done = weir_mem_alloc(WEIR_LANE_BATCH * sizeof *lane->done);
	if (!lane->done) {
		weir_mem_free(lane);
		return NULL;
	}
	return lane;
}

void weir_lane_free(struct weir_lane *lane)
{
	if (!lane)
		return;
	for (size_t i = 0; i < WEIR_LANE_CHUNKS; i++)
		weir_mem_free(atomic_load_explicit(&lane->chunks[i], memory_order_relaxed));
	weir_mem_free(lane->batch);
	weir_mem_free(lane->done);
	weir_mem_free(lane);
}

bool weir_lane_scratch(struct weir_lane *lane, size_t count)
{
	struct weir_publish *bigger;

	if (count <= lane->batch_size)
		return true;
	if (count < 16)
		count = 16;
	bigger = weir_mem_realloc(lane->batch, count * sizeof *bigger);
	if (!bigger)
		return false;
	lane->batch = bigger;
	lane->batch_size = count;
	return true;
}

static int grow(struct weir_lane *lane)
{
	uint32_t slots = atomic_load_explicit(&lane->slots, memory_order_relaxed);
	struct weir_slot *chunk;

	if (slots == WEIR_LANE_CHUNK * WEIR_LANE_CHUNKS)
		return WEIR_EAGAIN;
	chunk = weir_mem_zalloc(WEIR_LANE_CHUNK, sizeof *chunk);
	if (!chunk)
		return WEIR_ENOMEM;
	for (uint32_t i = 0; i < WEIR_LANE_CHUNK; i++)
		chunk[i].next = i + 1 < WEIR_LANE_CHUNK ? slots + i + 2 : 0;
	atomic_store_explicit(&lane->chunks[slots / WEIR_LANE_CHUNK], chunk, memory_order_release);
	atomic_store_explicit(&lane->slots, slots + WEIR_LANE_CHUNK, memory_order_release);
	lane->free = slots + 1;
	return WEIR_OK;
}

int weir_lane_take(struct weir_lane *lane, uint64_t tag, int64_t deadline_ns, uint64_t *ret)
{
	struct weir_slot *slot;
	uint64_t generation;
	uint32_t index;

	if (!lane->free)
		lane->free = atomic_exchange_explicit(&lane->returned, 0, memory_order_acquire);
	if (!lane->free) {
		int code = grow(lane);

		if (code)
			return code;
	}
	index = lane->free - 1;
	slot = slot_at(lane, index);
	lane->free = slot->next;
	slot->tag = tag;
	atomic_store_explicit(&slot->deadline_ns, deadline_ns, memory_order_relaxed);
	slot->owner = lane->owner;
	generation = ((atomic_load_explicit(&slot->word, memory_order_relaxed) >> 2) + 1) & UINT32_MAX;
	atomic_store_explicit(&slot->word, generation << 2 | PENDING, memory_order_release);
	atomic_store_explicit(&lane->taken, atomic_load_explicit(&lane->taken, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	*ret = (uint64_t)lane->id << 52 | (uint64_t)index << 32 | generation;
	return WEIR_OK;
}

void weir_lane_cancel(struct weir_lane *lane, uint64_t driver_tag)
{
	uint32_t index = (uint32_t)(driver_tag >> 32) & INDEX_MASK;
	struct weir_slot *slot = slot_at(lane, index);
	uint64_t pending = (driver_tag & UINT32_MAX) << 2 | PENDING;

	/* A driver that completes what it refused was first: then the slot is back already. */
	if (!atomic_compare_exchange_strong(&slot->word, &pending, (driver_tag & UINT32_MAX) << 2 | FREE))
		return;
	slot->next = lane->free;
	lane->free = index + 1;
	atomic_store_explicit(&lane->taken, atomic_load_explicit(&lane->taken, memory_order_relaxed) - 1,
			      memory_order_relaxed);
}

static void add(_Atomic uint64_t *counter, uint64_t more)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
			      memory_order_release);
}

static void queue_back(struct weir_lane *lane, struct weir_slot *slot, uint32_t index)
{
	slot->next = lane->back_first;
	if (!lane->back_first)
		lane->back_last = index + 1;
	lane->back_first = index + 1;
}

enum weir_finish weir_lane_finish(struct weir_lane *lane, uint64_t driver_tag, uint64_t *tag, uint32_t *owner)
{
	uint32_t index = (uint32_t)(driver_tag >> 32) & INDEX_MASK;
	uint64_t generation = driver_tag & UINT32_MAX;
	uint64_t word = generation << 2 | PENDING;
	struct weir_slot *slot;

	if (index >= atomic_load_explicit(&lane->slots, memory_order_acquire))
		return WEIR_FINISH_UNKNOWN;
	slot = slot_at(lane, index);
	if (atomic_compare_exchange_strong(&slot->word, &word, generation << 2 | FREE)) {
		*tag = slot->tag;
		*owner = slot->owner;
		queue_back(lane, slot, index);
		add(&lane->finished, 1);
		return WEIR_FINISH_DONE;
	}
	if (word == (generation << 2 | EXPIRED)) {
		atomic_store_explicit(&slot->word, generation << 2 | FREE, memory_order_relaxed);
		queue_back(lane, slot, index);
		add(&lane->expired, (uint64_t)-1);
		return WEIR_FINISH_LATE;
	}
	/* Generations wrap: an older one is at most half the circle behind. */
	if (generation == 0 || (uint32_t)((word >> 2) - generation) >= UINT32_MAX / 2)
		return WEIR_FINISH_UNKNOWN;
	return WEIR_FINISH_TWICE;
}

void weir_lane_give_back(struct weir_lane *lane)
{
	uint32_t head = atomic_load_explicit(&lane->returned, memory_order_relaxed);
	struct weir_slot *last;

	if (!lane->back_first)
		return;
	last = slot_at(lane, lane->back_last - 1);
	do
		last->next = head;
	while (!atomic_compare_exchange_weak_explicit(&lane->returned, &head, lane->back_first, memory_order_release,
						      memory_order_relaxed));
	lane->back_first = lane->back_last = 0;
}

int64_t weir_lane_expire(struct weir_lane *lane, int64_t before_ns, weir_lane_expire_fn *expire)
{
	uint32_t slots = atomic_load_explicit(&lane->slots, memory_order_acquire);
	int64_t earliest = WEIR_NS_NEVER;

	if (weir_lane_pending(lane) == 0)
		return earliest;
	for (uint32_t i = 0; i < slots; i++) {
		struct weir_slot *slot = slot_at(lane, i);
		uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);
		int64_t deadline_ns;

		if ((word & STATES) != PENDING)
			continue;
		deadline_ns = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed);
		if (deadline_ns >= before_ns) {
			earliest = deadline_ns < earliest ? deadline_ns : earliest;
			continue;
		}
		if (!atomic_compare_exchange_strong(&slot->word, &word, (word & ~(uint64_t)STATES) | EXPIRED))
			continue;
		add(&lane->finished, 1);
		add(&lane->expired, 1);
		expire(lane, slot->tag, slot->owner);
	}
	return earliest;
}

uint64_t weir_lane_pending(const struct weir_lane *lane)
{
	/* In this order: what is finished was taken before. */
	uint64_t finished = atomic_load_explicit(&lane->finished, memory_order_acquire);
	uint64_t taken = atomic_load_explicit(&lane->taken, memory_order_relaxed);

	return taken > finished ? taken - finished : 0;
}

bool weir_lane_pending_until(const struct weir_lane *lane, int64_t deadline_ns)
{
	uint32_t slots = atomic_load_explicit(&lane->slots, memory_order_acquire);

	for (uint32_t i = 0; i < slots; i++) {
		const struct weir_slot *slot = slot_at(lane, i);

		if ((atomic_load_explicit(&slot->word, memory_order_acquire) & STATES) == PENDING &&
		    atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed) <= deadline_ns)
			return true;
	}
	return false;
}
