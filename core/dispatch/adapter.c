/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/adapter.h"

#include <string.h>

/* A channel that is there already keeps its path. */
static int add(struct weir_router *router, const char *ns, const char *name, struct weir_ingress_channel *door)
{
	int code = weir_router_add(router, ns, name, door);

	return code == WEIR_EEXIST ? WEIR_OK : code;
}

void weir_adapter_door_init(struct weir_adapter_door *door, const struct weir_ingress_channel *channel, const char *ns,
			    const char *source)
{
	door->events = *channel;
	door->events.is_door = true;
	door->kyma = door->events;
	door->kyma.kyma_source = source && *source ? source : ns;
}

int weir_adapter_add(struct weir_router *router, const char *home, const char *ns, const char *name,
		     struct weir_adapter_door *door)
{
	int code;

	if (strcmp(name, "default") != 0)
		return WEIR_OK;
	code = add(router, ns, "events", &door->events);
	if (!code)
		code = add(router, ns, "v1/events", &door->kyma);
	if (code || strcmp(ns, home) != 0)
		return code;
	code = add(router, "", "events", &door->events);
	return code ? code : add(router, "v1", "events", &door->kyma);
}
