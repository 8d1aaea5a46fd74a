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

/* The second entry of a channel into the ingress. */
struct weir_adapter_door {
	struct weir_ingress_channel events, kyma;
};

/* `source`: of events in Kyma's format; NULL or empty: `ns`. Both are borrowed while the door is. */
void weir_adapter_door_init(struct weir_adapter_door *door, const struct weir_ingress_channel *channel, const char *ns,
			    const char *source);

/*
 * Adds the paths of the channel NS/NAME if it is a default; that of `home` is at
 * /events, too. Once for each channel, when all channels are in the router. `ns`
 * and `door` are borrowed as the router's targets are. WEIR_ELIMIT.
 */
int weir_adapter_add(struct weir_router *router, const char *home, const char *ns, const char *name,
		     struct weir_adapter_door *door);

#endif
