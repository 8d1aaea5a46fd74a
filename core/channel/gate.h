/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel/gate: lets calls through until it is shut, and then waits for those
 * that are still inside. Two atomic additions for a call; no lock.
 */
#ifndef WEIR_CHANNEL_GATE_H
#define WEIR_CHANNEL_GATE_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WEIR_GATE_SHUT (UINT64_C(1) << 63)

struct weir_gate {
	_Atomic uint64_t inside; /* the highest bit: shut */
	sem_t left;              /* posted when the last one left a gate that is shut */
};

void weir_gate_init(struct weir_gate *gate);
void weir_gate_fini(struct weir_gate *gate);
/* Lets nobody in any more. False: it was shut before. */
bool weir_gate_shut(struct weir_gate *gate);
/* After shutting. False: somebody is still inside at deadline_ns. */
bool weir_gate_wait(struct weir_gate *gate, int64_t deadline_ns);
/* Undoes shutting. */
void weir_gate_open(struct weir_gate *gate);

static inline void weir_gate_leave(struct weir_gate *gate)
{
	if (atomic_fetch_sub_explicit(&gate->inside, 1, memory_order_release) == (WEIR_GATE_SHUT | 1))
		sem_post(&gate->left);
}

/* False: it is shut. Else weir_gate_leave() has to follow. */
static inline bool weir_gate_enter(struct weir_gate *gate)
{
	if (!(atomic_fetch_add_explicit(&gate->inside, 1, memory_order_acquire) & WEIR_GATE_SHUT))
		return true;
	weir_gate_leave(gate);
	return false;
}

#endif
