/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/latency: how long things took, in buckets at most 3 % wide, from 1 us to
 * 137 s. Adding is a few instructions; nothing is allocated.
 */
#ifndef WEIR_BENCH_LATENCY_H
#define WEIR_BENCH_LATENCY_H

#include <stddef.h>
#include <stdint.h>

enum { WEIR_LATENCY_SUB_BITS = 5, WEIR_LATENCY_BUCKETS = 24 << WEIR_LATENCY_SUB_BITS };

/* All zero is empty. */
struct weir_latency {
	uint64_t counts[WEIR_LATENCY_BUCKETS];
	uint64_t total;
	int64_t max_ns;
};

/* Negative times, as a clock that was set back gives, count as 0. */
void weir_latency_add(struct weir_latency *latency, int64_t ns);

/*
 * The time in microseconds within which `part` (0..1) of all happened: the upper
 * end of the bucket, but not more than the longest. 0 if there are none.
 */
double weir_latency_us(const struct weir_latency *latency, double part);

/* How many took at most `us`, as far as buckets can tell. */
uint64_t weir_latency_within(const struct weir_latency *latency, uint64_t us);

#endif
