/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/load: posts CloudEvents in binary mode to one URL over many connections.
 *
 * Without a rate each connection sends its next event when it has the answer to
 * the last (closed loop). With a rate events are due at fixed times whatever the
 * server does, and the time of an answer counts from when its event was due: a
 * server that stalls does not hide the events that had to wait (no coordinated
 * omission).
 *
 * Each event carries id "RUN-NUMBER" and the extension `benchdue`, the wall clock
 * in nanoseconds when it was due, so that a sink can tell how long it was under
 * way. Everything is for the loop's thread.
 */
#ifndef WEIR_BENCH_LOAD_H
#define WEIR_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/error.h>

#include "base/loop.h"

struct weir_load;

/* An event was answered, or could not be sent: `status` 0 and `text` says why (borrowed). */
typedef void weir_load_answered(void *ctx, uint64_t number, int64_t due_ns, int status, const char *text);

struct weir_load_options {
	const char *url;     /* borrowed */
	const char *ca_file; /* NULL: the system's; borrowed */
	const char *run;     /* at most 32 characters; borrowed */
	uint32_t connections;
	uint64_t rate;   /* events per second; 0: as fast as answers come */
	uint64_t events; /* 0: until the time is over */
	int64_t stop_ns; /* monotonic; WEIR_NS_NEVER: until all events are sent */
	size_t body_bytes;
	uint64_t keys; /* events take turns with that many partition keys; 0: no key */
	int64_t timeout_ms;
	weir_load_answered *answered;
	void (*sent)(void *ctx, uint64_t number);
	void (*finished)(void *ctx); /* nothing more to send, and all is answered */
	void *ctx;
};

/* Sends nothing yet. */
int weir_load_new(struct weir_loop *loop, const struct weir_load_options *options, struct weir_load **ret,
		  struct weir_error *err);
/* Not from inside a callback. */
void weir_load_free(struct weir_load *load);
/* Begins; callbacks may come from inside. Once. */
void weir_load_start(struct weir_load *load);
/* Sends no more; `finished` is called when all is answered. */
void weir_load_stop(struct weir_load *load);

#endif
