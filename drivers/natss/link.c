/* SPDX-License-Identifier: Apache-2.0 */
#include "link.h"

#include <pthread.h>
#include <stdlib.h>

enum { SLOT_BITS = 20, SLOT_MAX = 1 << SLOT_BITS };

struct slot {
	void *object;   /* NULL: free */
	uintptr_t turn; /* counts its uses */
	size_t next_free;
};

/* One for the process: an instance may be gone when a call for it comes. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot *slots;
static size_t slot_count, slot_room, first_free; /* first_free: slot + 1; 0: none */

static size_t slot_take(void)
{
	size_t room = slot_room ? slot_room * 2 : 16, slot = first_free;
	struct slot *bigger;

	if (slot) {
		first_free = slots[slot - 1].next_free;
		return slot;
	}
	if (slot_count == slot_room) {
		bigger = room <= SLOT_MAX ? realloc(slots, room * sizeof *slots) : NULL;
		if (!bigger)
			return 0;
		slots = bigger;
		slot_room = room;
	}
	slots[slot_count].turn = 0;
	return ++slot_count;
}

uintptr_t weir_natss_link_new(void *object)
{
	uintptr_t number = 0;
	size_t slot;

	pthread_mutex_lock(&lock);
	slot = slot_take();
	if (slot) {
		slots[slot - 1].object = object;
		slots[slot - 1].turn++;
		number = slots[slot - 1].turn << SLOT_BITS | (slot - 1);
	}
	pthread_mutex_unlock(&lock);
	return number;
}

static struct slot *find(uintptr_t number)
{
	size_t slot = number & (SLOT_MAX - 1);

	if (slot >= slot_count || !slots[slot].object || slots[slot].turn != number >> SLOT_BITS)
		return NULL;
	return &slots[slot];
}

void weir_natss_link_end(uintptr_t number)
{
	struct slot *slot;

	pthread_mutex_lock(&lock);
	slot = find(number);
	if (slot) {
		slot->object = NULL;
		slot->next_free = first_free;
		first_free = (size_t)(slot - slots) + 1;
	}
	pthread_mutex_unlock(&lock);
}

void *weir_natss_link_enter(uintptr_t number)
{
	const struct slot *slot;

	pthread_mutex_lock(&lock);
	slot = find(number);
	return slot ? slot->object : NULL;
}

void weir_natss_link_leave(void)
{
	pthread_mutex_unlock(&lock);
}
