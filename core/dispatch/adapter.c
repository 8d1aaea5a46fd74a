/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/adapter.h"

#include <string.h>

/* A channel that is there already keeps its path. */
static int add(struct weir_router *router, const char *ns, const char *name, struct weir_ingress_channel *door)
{
	int code = weir_router_add(router, ns, name, door);

	return code == WEIR_EEXIST ? WEIR_OK : code;
}

int weir_adapter_add(struct weir_router *router, const struct weir_adapter_options *options, const char *ns,
		     const char *name, const struct weir_ingress_channel *channel, struct weir_adapter_door *door)
{
	int code;

	if (strcmp(name, "default") != 0)
		return WEIR_OK;
	door->events = *channel;
	door->events.is_door = true;
	door->kyma = door->events;
	door->kyma.kyma_source = options->source ? options->source : ns;
	code = add(router, ns, "events", &door->events);
	if (!code)
		code = add(router, ns, "v1/events", &door->kyma);
	if (code || strcmp(ns, options->ns) != 0)
		return code;
	code = add(router, "", "events", &door->events);
	return code ? code : add(router, "v1", "events", &door->kyma);
}
