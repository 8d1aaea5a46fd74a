/* SPDX-License-Identifier: Apache-2.0 */
/* bench/sink: a subscriber that takes everything with 202 and tells what came. For the loop's thread. */
#ifndef WEIR_BENCH_SINK_H
#define WEIR_BENCH_SINK_H

#include <stdint.h>

#include <weir/driver.h>
#include <weir/error.h>

#include "base/loop.h"

struct weir_sink;

struct weir_sink_arrival {
	struct weir_buf id;   /* of the event in binary mode; ptr NULL: it has none. Borrowed during the call */
	int64_t under_way_ns; /* since it was due by the wall clock; -1: it does not say */
	uint64_t bytes;       /* of the body */
};
typedef void weir_sink_arrived(void *ctx, const struct weir_sink_arrival *arrival);

/* Listens at once. *ret is the caller's. The error names the address. */
int weir_sink_new(struct weir_loop *loop, const char *address, weir_sink_arrived *arrived, void *ctx,
		  struct weir_sink **ret, struct weir_error *err);
/* Not from inside `arrived`. */
void weir_sink_free(struct weir_sink *sink);
uint16_t weir_sink_port(const struct weir_sink *sink);

#endif
