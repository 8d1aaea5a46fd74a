/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench: one run of `weir bench`: a load, a sink, or both, on a loop of
 * their own, until everything that was taken has arrived.
 */
#ifndef WEIR_BENCH_BENCH_H
#define WEIR_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/error.h>

#include "bench/latency.h"
#include "bench/series.h"

enum { WEIR_BENCH_STATUSES = 600 };

struct weir_bench_options {
	const char *url;     /* to post to; NULL: no load. Borrowed during the run, as all texts here */
	const char *ca_file; /* NULL: the system's */
	const char *listen;  /* of the sink; NULL: no sink */
	uint32_t connections;
	uint64_t rate;   /* events per second; 0: as fast as answers come */
	uint64_t events; /* sent, or without a load received; 0: until the time is over */
	int64_t duration_ms, warmup_ms;
	int64_t settle_ms; /* how long to wait for an arrival, after the load has ended, before the rest is missing */
	int64_t timeout_ms;
	size_t body_bytes;
	uint64_t keys;
	unsigned copies; /* how often each event arrives: the channel's subscriptions that lead to the sink */
	/* Called at the end of each second, `seconds` of them by now; NULL: never. */
	void (*second)(void *ctx, size_t seconds, const struct weir_second *second);
	void *ctx;
};

struct weir_bench_result {
	/* All of the run. */
	uint64_t sent, accepted, refused, received;
	uint64_t statuses[WEIR_BENCH_STATUSES]; /* [0]: no answer */
	char problem[256];                      /* of the first event without an answer; "" */
	uint64_t missing, repeated, untracked;  /* with a load and a sink; see bench/tally.h */
	bool interrupted;
	/* Without the warm-up. */
	uint64_t measured_accepted, measured_received, measured_bytes;
	double load_seconds, sink_seconds; /* over which those were counted */
	struct weir_latency answers, deliveries;
	struct weir_series series; /* the warm-up's seconds too */
};

/*
 * Runs; SIGINT and SIGTERM, which must be blocked, end it early. The result is
 * the caller's, weir_bench_result_fini() frees what is in it, also after an
 * error. WEIR_EINVAL (the URL), WEIR_EBUSY (the address), WEIR_EIO, WEIR_ENOMEM.
 */
int weir_bench_run(const struct weir_bench_options *options, struct weir_bench_result *result, struct weir_error *err);
void weir_bench_result_fini(struct weir_bench_result *result);

#endif
