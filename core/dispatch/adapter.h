/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/adapter: the paths of Knative's and Kyma's source adapters. The channel
 * or broker `default` of a namespace takes events there too:
 *
 *	/NAMESPACE/events     CloudEvents
 *	/NAMESPACE/v1/events  Kyma's older format
 *	/events, /v1/events   the same, for the namespace of dispatcher.events.namespace
 *
 * A channel that has such a path by its own name keeps it.
 */
#ifndef WEIR_DISPATCH_ADAPTER_H
#define WEIR_DISPATCH_ADAPTER_H

#include "dispatch/ingress.h"
#include "dispatch/route.h"

/* How many routes weir_adapter_add() adds for one channel at most. */
enum { WEIR_ADAPTER_ROUTES = 4 };

struct weir_adapter_options {
	const char *ns;     /* whose default is at /events */
	const char *source; /* of events in Kyma's format; NULL: the namespace's name */
};

/* The second entry of a channel into the ingress. */
struct weir_adapter_door {
	struct weir_ingress_channel events, kyma;
};

/*
 * Adds the paths of the channel NS/NAME, whose target is `channel`, if it is a
 * default. Once for each channel, when all channels are in the router. `ns` and
 * `door` are borrowed as the router's targets are. WEIR_ELIMIT.
 */
int weir_adapter_add(struct weir_router *router, const struct weir_adapter_options *options, const char *ns,
		     const char *name, const struct weir_ingress_channel *channel, struct weir_adapter_door *door);

#endif
