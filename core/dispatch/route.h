/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/route: from a request's path and host to a channel.
 *
 *   /NS/NAME                               exactly as the channel is named
 *   /   with Host: NAME-kn-channel.NS.svc[.DOMAIN][.][:PORT], without case
 *
 * Nothing is decoded or normalised: a path that is not a channel's is nobody's.
 * A router is filled once and then only read, by any number of threads.
 */
#ifndef WEIR_DISPATCH_ROUTE_H
#define WEIR_DISPATCH_ROUTE_H

#include <stddef.h>

#include <weir/driver.h>
#include <weir/error.h>

struct weir_router;

/* Room for `max` targets. WEIR_ENOMEM. */
int weir_router_new(size_t max, struct weir_router **ret);
void weir_router_free(struct weir_router *router);
/* Both names are borrowed; an empty namespace makes it the path /NAME. WEIR_EEXIST, WEIR_ELIMIT (more than `max`). */
int weir_router_add(struct weir_router *router, const char *ns, const char *name, void *target);
/* The target that was added, or NULL. */
void *weir_router_find(const struct weir_router *router, struct weir_buf path, struct weir_buf host);
void *weir_router_find_name(const struct weir_router *router, struct weir_buf ns, struct weir_buf name);

#endif
