/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/figure: counters that one thread writes and any thread reads. */
#ifndef WEIR_DISPATCH_FIGURE_H
#define WEIR_DISPATCH_FIGURE_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t weir_figure;

/* One writer, so no locked instruction is needed. */
static inline void weir_figure_add(weir_figure *figure, uint64_t more)
{
	uint64_t value = atomic_load_explicit(figure, memory_order_relaxed);

	atomic_store_explicit(figure, value + more, memory_order_relaxed);
}

static inline void weir_figure_set(weir_figure *figure, uint64_t value)
{
	atomic_store_explicit(figure, value, memory_order_relaxed);
}

static inline uint64_t weir_figure_get(const weir_figure *figure)
{
	return atomic_load_explicit(figure, memory_order_relaxed);
}

#endif
