/* SPDX-License-Identifier: Apache-2.0 */
/* bench/series: what happened in each second of a run. */
#ifndef WEIR_BENCH_SERIES_H
#define WEIR_BENCH_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/latency.h"

enum { WEIR_SERIES_MAX = 86400 }; /* a day; later seconds are not kept */

struct weir_second {
	uint64_t sent, accepted, refused, received;
	double answer_p50_us, answer_p99_us, delivery_p50_us, delivery_p99_us; /* 0: there were none */
};

/* All zero is empty. */
struct weir_series {
	struct weir_second *seconds;
	size_t count, room;
	uint64_t dropped; /* seconds that were not kept */
	/* The second that is running; its counts and times are added to by whoever measures. */
	struct weir_second now;
	struct weir_latency answers, deliveries;
};

void weir_series_fini(struct weir_series *series);

/* The running second is over: keeps it and begins the next. Returns what it was; borrowed until the next call. */
const struct weir_second *weir_series_end_second(struct weir_series *series);

/* Lines of comma-separated values with a head line. False if writing failed; errno says why. */
bool weir_series_write_csv(const struct weir_series *series, FILE *to);

#endif
