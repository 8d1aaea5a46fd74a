/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/lane.h"

#include "base/mem.h"

int weir_lanes_init(struct weir_lanes *lanes, bool ordered, uint32_t max_running, size_t expected)
{
	size_t size = 16;

	*lanes = (struct weir_lanes){ .ordered = ordered, .max_running = max_running };
	if (!ordered)
		return WEIR_OK;
	while (size < expected)
		size *= 2;
	lanes->buckets = weir_mem_zalloc(size, sizeof(struct weir_lane_item *));
	lanes->bucket_mask = size - 1;
	return lanes->buckets ? WEIR_OK : WEIR_ENOMEM;
}

void weir_lanes_fini(struct weir_lanes *lanes)
{
	weir_mem_free(lanes->buckets);
	lanes->buckets = NULL;
}

static void make_ready(struct weir_lanes *lanes, struct weir_lane_item *item)
{
	item->ready = NULL;
	if (lanes->ready)
		lanes->ready_last->ready = item;
	else
		lanes->ready = item;
	lanes->ready_last = item;
}

/* Where the pointer to the head of a key's lane is kept; *it is NULL if there is no such lane. */
static struct weir_lane_item **find_head(struct weir_lanes *lanes, uint64_t key)
{
	struct weir_lane_item **place = &lanes->buckets[key & lanes->bucket_mask];

	while (*place && (*place)->key != key)
		place = &(*place)->chain;
	return place;
}

void weir_lanes_add(struct weir_lanes *lanes, struct weir_lane_item *item, uint64_t key)
{
	struct weir_lane_item **head;

	*item = (struct weir_lane_item){ .key = key, .last = item };
	lanes->count++;
	if (lanes->ordered) {
		head = find_head(lanes, key);
		if (*head) {
			(*head)->last->behind = item;
			(*head)->last = item;
			return;
		}
		*head = item;
	}
	make_ready(lanes, item);
}

struct weir_lane_item *weir_lanes_next(struct weir_lanes *lanes)
{
	struct weir_lane_item *item = lanes->ready;

	if (!item || lanes->running >= lanes->max_running)
		return NULL;
	lanes->ready = item->ready;
	lanes->running++;
	return item;
}

void weir_lanes_wait(struct weir_lanes *lanes, struct weir_lane_item *item)
{
	(void)item;
	lanes->running--;
}

void weir_lanes_again(struct weir_lanes *lanes, struct weir_lane_item *item)
{
	make_ready(lanes, item);
}

void weir_lanes_done(struct weir_lanes *lanes, struct weir_lane_item *item)
{
	struct weir_lane_item **head, *next = item->behind;

	lanes->running--;
	lanes->count--;
	if (!lanes->ordered)
		return;
	head = find_head(lanes, item->key);
	if (!next) {
		*head = item->chain;
		return;
	}
	next->chain = item->chain;
	next->last = item->last;
	*head = next;
	make_ready(lanes, next);
}
