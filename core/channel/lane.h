/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel/lane: the publishes of one publisher that are under way on one backend.
 *
 * Each has a slot, and the driver knows it by a tag: lane, slot, generation. A
 * slot completes once: as the driver says, or when its deadline has passed; what
 * the driver says afterwards, or a second time, or about a tag that is none, is
 * told apart and changes nothing. A slot that has passed its deadline is not
 * used again before the driver has completed it: the driver still holds it.
 *
 * Two threads, no lock between them: the publishing thread takes slots, the pump
 * completes them and gives them back in a chain, once for a batch.
 */
#ifndef WEIR_CHANNEL_LANE_H
#define WEIR_CHANNEL_LANE_H

#include <stdatomic.h>
#include <stdbool.h>

#include <weir/channel.h>

struct weir_backend;

enum {
	WEIR_LANE_CHUNK = 256,  /* slots that are made at a time */
	WEIR_LANE_CHUNKS = 256, /* so 65,536 publishes may be under way on a lane */
	WEIR_LANE_BATCH = 256,  /* completions handed over at a time */
	WEIR_LANES_MAX = 4096,  /* on one backend */
};

struct weir_slot {
	_Atomic uint64_t word; /* generation << 2 | state */
	uint64_t tag;          /* the publisher's */
	_Atomic int64_t deadline_ns;
	uint32_t next; /* in a chain: slot number + 1; 0: the end */
	uint32_t owner;
};

struct weir_lane {
	struct weir_backend *backend;
	uint32_t id;

	/* The publishing thread's. */
	struct weir_lane *next;     /* of the same publisher */
	struct weir_publish *batch; /* scratch, `batch_size` long */
	size_t batch_size;
	uint32_t free;          /* chain of slots to take */
	_Atomic uint64_t taken; /* slots ever taken; written by that thread only */

	/* Both. */
	_Atomic uint32_t returned; /* chain of slots that the pump gave back */
	_Atomic uint32_t slots;    /* made so far */
	_Atomic(struct weir_slot *) chunks[WEIR_LANE_CHUNKS];

	/* The pump's. */
	uint32_t back_first, back_last; /* chain to give back at the end of the batch */
	_Atomic uint64_t finished;      /* slots ever finished; written by the pump only */
	_Atomic uint64_t expired;       /* of those still held by the driver after their deadline */
	struct weir_completion *done;   /* WEIR_LANE_BATCH of them */
	size_t done_count;
	uint32_t done_owner;
	bool touched;
	struct weir_lane *next_touched;

	_Atomic bool wants_room; /* was refused with WEIR_EAGAIN: the publisher is told of WEIR_EV_WRITABLE */

	/* Under the backend's lanes_lock. */
	struct weir_publisher *publisher; /* NULL: nobody is told */
	uint32_t owner;                   /* counts publishers that had the lane */
	struct weir_lane *next_spare;
};

struct weir_lane *weir_lane_new(struct weir_backend *backend, uint32_t id);
void weir_lane_free(struct weir_lane *lane);

/* ---- the publishing thread ---- */

/* Room for `count` items in lane->batch. False: memory is short. */
bool weir_lane_scratch(struct weir_lane *lane, size_t count);
/* Takes a slot and gives the driver's tag for it. WEIR_EAGAIN: too many are under way. WEIR_ENOMEM. */
int weir_lane_take(struct weir_lane *lane, uint64_t tag, int64_t deadline_ns, uint64_t *ret);
/* Undoes the latest takes, in reverse order: the driver did not accept. */
void weir_lane_cancel(struct weir_lane *lane, uint64_t driver_tag);

/* ---- the pump ---- */

enum weir_finish {
	WEIR_FINISH_DONE,    /* now: tell the publisher */
	WEIR_FINISH_LATE,    /* after its deadline: told before */
	WEIR_FINISH_TWICE,   /* completed before */
	WEIR_FINISH_UNKNOWN, /* never given to the driver */
};

static inline uint32_t weir_lane_of_tag(uint64_t driver_tag)
{
	return (uint32_t)(driver_tag >> 52);
}

/* Completes a slot. *tag and *owner are set for WEIR_FINISH_DONE. */
enum weir_finish weir_lane_finish(struct weir_lane *lane, uint64_t driver_tag, uint64_t *tag, uint32_t *owner);
/* Gives back what was finished since the last time. */
void weir_lane_give_back(struct weir_lane *lane);

/*
 * Finds slots whose deadline is before `before_ns`, marks them as told and calls
 * `expire` for each. Returns the earliest deadline of the others, WEIR_NS_NEVER
 * if there is none.
 */
typedef void weir_lane_expire_fn(struct weir_lane *lane, uint64_t tag, uint32_t owner);
int64_t weir_lane_expire(struct weir_lane *lane, int64_t before_ns, weir_lane_expire_fn *expire);

/* Publishes that the publisher has not been told the outcome of. Any thread; a moment's view. */
uint64_t weir_lane_pending(const struct weir_lane *lane);
/* Whether one of them has a deadline that is not behind `deadline_ns`. Any thread. */
bool weir_lane_pending_until(const struct weir_lane *lane, int64_t deadline_ns);

#endif
