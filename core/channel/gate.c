/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/gate.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"

void weir_gate_init(struct weir_gate *gate)
{
	atomic_init(&gate->inside, 0);
	sem_init(&gate->left, 0, 0);
}

void weir_gate_fini(struct weir_gate *gate)
{
	sem_destroy(&gate->left);
}

bool weir_gate_shut(struct weir_gate *gate)
{
	return !(atomic_fetch_or(&gate->inside, WEIR_GATE_SHUT) & WEIR_GATE_SHUT);
}

static bool is_empty(struct weir_gate *gate)
{
	return (atomic_load_explicit(&gate->inside, memory_order_acquire) & ~WEIR_GATE_SHUT) == 0;
}

bool weir_gate_wait(struct weir_gate *gate, int64_t deadline_ns)
{
	struct timespec until = { deadline_ns / WEIR_NS_PER_S, deadline_ns % WEIR_NS_PER_S };

	/* Refused callers post as well: a post only says that it is worth looking. */
	while (!is_empty(gate))
		if (sem_clockwait(&gate->left, CLOCK_MONOTONIC, &until) < 0 && errno == ETIMEDOUT)
			return is_empty(gate);
	return true;
}

void weir_gate_open(struct weir_gate *gate)
{
	/* Posts of callers that were refused are not waited for: no more of them than needed should be left. */
	while (sem_trywait(&gate->left) == 0)
		;
	atomic_fetch_and(&gate->inside, ~WEIR_GATE_SHUT);
}
