/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/sink: where an event can be sent to: a URL, or a channel of this
 * process ("channel:NS/NAME"). Belongs to one delivery loop.
 */
#ifndef WEIR_DISPATCH_SINK_H
#define WEIR_DISPATCH_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/channel.h>

#include "http/client.h"

struct weir_sink {
	const char *name; /* as configured, borrowed; NULL: there is none */
	struct weir_http_target *target;
	weir_channel *channel; /* instead of a target */
};

/* `name` NULL makes no sink. The channel is opened. The error names what is wrong. */
int weir_sink_open(struct weir_sink *sink, const char *name, struct weir_http_client *client, weir_runtime *runtime,
		   uint32_t max_parallel, struct weir_error *err);
/* Posts under way are given up first: their `done` is called with WEIR_ECANCELED. */
void weir_sink_close(struct weir_sink *sink);

static inline bool weir_sink_is_set(const struct weir_sink *sink)
{
	return sink->name != NULL;
}

#endif
