/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/lane: whose turn it is. Pure: knows nothing of HTTP, time or threads.
 *
 * Ordered: items with the same key form a lane, and only the head of a lane may
 * be posted; it stays the head until it is done, also while it waits for a
 * retry. Unordered: every item is a lane of its own. At most `max_running` items
 * are being posted at once; those that wait for a retry do not count.
 *
 * Keys are 64-bit hashes. Two keys with the same hash share a lane: they wait
 * for each other, nothing else.
 */
#ifndef WEIR_DISPATCH_LANE_H
#define WEIR_DISPATCH_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/error.h>

/* Embedded in the owner's struct; all fields belong to the lanes. */
struct weir_lane_item {
	struct weir_lane_item *behind; /* next in its lane */
	struct weir_lane_item *last;   /* of the lane; kept at its head only */
	struct weir_lane_item *chain;  /* next head in the same bucket */
	struct weir_lane_item *ready;  /* next in the queue of those that may be posted */
	uint64_t key;
};

struct weir_lanes {
	struct weir_lane_item **buckets; /* of lane heads */
	size_t bucket_mask;
	struct weir_lane_item *ready, *ready_last;
	uint32_t running, max_running;
	size_t count; /* items added and not done */
	bool ordered;
};

/* `expected`: about how many items there will be at once; more only cost time. WEIR_ENOMEM. */
int weir_lanes_init(struct weir_lanes *lanes, bool ordered, uint32_t max_running, size_t expected);
/* The items are their owner's. */
void weir_lanes_fini(struct weir_lanes *lanes);

/* A new item, behind those with the same key. */
void weir_lanes_add(struct weir_lanes *lanes, struct weir_lane_item *item, uint64_t key);
/* The item to post now, which is running from here on; NULL: none may. */
struct weir_lane_item *weir_lanes_next(struct weir_lanes *lanes);
/* A running item failed and waits; it stays the head of its lane. */
void weir_lanes_wait(struct weir_lanes *lanes, struct weir_lane_item *item);
/* A waiting item may be posted again. */
void weir_lanes_again(struct weir_lanes *lanes, struct weir_lane_item *item);
/* A running item is finished and leaves; the one behind it may be posted. */
void weir_lanes_done(struct weir_lanes *lanes, struct weir_lane_item *item);

#endif
