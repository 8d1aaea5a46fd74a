/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/latency.h"

/* The first buckets are 1 us wide; from there each power of two has as many buckets as the one before. */
static size_t bucket_of(uint64_t us)
{
	unsigned shift = 0;
	size_t bucket;

	while (us >> shift >= 2u << WEIR_LATENCY_SUB_BITS)
		shift++;
	bucket = ((size_t)shift << WEIR_LATENCY_SUB_BITS) + (size_t)(us >> shift);
	return bucket < WEIR_LATENCY_BUCKETS ? bucket : WEIR_LATENCY_BUCKETS - 1;
}

/* The first microsecond that is not in the bucket any more. */
static uint64_t end_of(size_t bucket)
{
	size_t shift = bucket >> WEIR_LATENCY_SUB_BITS ? (bucket >> WEIR_LATENCY_SUB_BITS) - 1 : 0;

	return (uint64_t)(bucket - (shift << WEIR_LATENCY_SUB_BITS) + 1) << shift;
}

void weir_latency_add(struct weir_latency *latency, int64_t ns)
{
	latency->counts[bucket_of(ns > 0 ? (uint64_t)ns / 1000 : 0)]++;
	latency->total++;
	if (ns > latency->max_ns)
		latency->max_ns = ns;
}

double weir_latency_us(const struct weir_latency *latency, double part)
{
	uint64_t rank = (uint64_t)((double)latency->total * part), seen = 0;
	double longest = (double)latency->max_ns / 1000;

	for (size_t bucket = 0; bucket < WEIR_LATENCY_BUCKETS; bucket++) {
		seen += latency->counts[bucket];
		if (seen > rank)
			return (double)end_of(bucket) < longest ? (double)end_of(bucket) : longest;
	}
	return longest;
}

uint64_t weir_latency_within(const struct weir_latency *latency, uint64_t us)
{
	uint64_t seen = 0;

	for (size_t bucket = 0; bucket < WEIR_LATENCY_BUCKETS && end_of(bucket) <= us; bucket++)
		seen += latency->counts[bucket];
	return seen;
}
