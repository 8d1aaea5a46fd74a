/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/sink: where an event can be sent to: a URL, or a channel of this
 * process ("channel:NS/NAME"). Belongs to one delivery loop.
 *
 * Counted: whoever is sending to a sink holds it, so that a subscription can be
 * given another one while POSTs to the old one are under way.
 */
#ifndef WEIR_DISPATCH_SINK_H
#define WEIR_DISPATCH_SINK_H

#include <stdint.h>

#include <weir/channel.h>

#include "http/client.h"

struct weir_sink {
	char *name;                      /* as configured */
	char *shown;                     /* the same for people: what follows '?' may be a token */
	struct weir_http_target *target; /* NULL: a channel, or given up */
	weir_channel *channel;           /* instead of a target */
	uint32_t refs;
};

/* `name` NULL makes no sink: *ret is NULL. The channel is opened. The error names what is wrong. */
int weir_sink_open(struct weir_sink **ret, const char *name, struct weir_http_client *client, weir_runtime *runtime,
		   uint32_t max_parallel, struct weir_error *err);
struct weir_sink *weir_sink_ref(struct weir_sink *sink);
/* The last one closes it. NULL is allowed. */
void weir_sink_unref(struct weir_sink *sink);
/* Posts under way are given up: their `done` is called with WEIR_ECANCELED. NULL is allowed. */
void weir_sink_cancel(struct weir_sink *sink);

#endif
