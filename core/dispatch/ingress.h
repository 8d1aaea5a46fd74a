/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/ingress: from a request to a stored event. One ingress is one loop,
 * one thread and one HTTP server; several may listen on the same address.
 *
 * What a turn of the loop brings is gathered and published in one call for each
 * channel at the turn's end. A request is answered when the driver has said what
 * became of its events, and 202 only if all of them are persisted.
 */
#ifndef WEIR_DISPATCH_INGRESS_H
#define WEIR_DISPATCH_INGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/channel.h>

#include "auth/auth.h"
#include "dispatch/dispatcher.h"
#include "dispatch/route.h"
#include "dispatch/worker.h"
#include "http/server.h"

struct weir_ingress_slot;

/* What the ingresses need to know of a channel, and what each keeps for it. */
struct weir_ingress_channel {
	weir_channel *channel;
	/* Both change when the channel moves to another backend. */
	_Atomic bool volatile_store; /* say so in each 202 */
	_Atomic bool atomic_batch;
	struct weir_auth_scope scope;
	bool is_door;                    /* another way into a channel that has its own entry */
	const char *kyma_source;         /* takes Kyma's older format: the source of these events; NULL: CloudEvents */
	struct weir_ingress_slot *slots; /* one for each ingress */
	size_t slot_count;
};

/* Makes the slots. WEIR_ENOMEM. */
int weir_ingress_channel_init(struct weir_ingress_channel *channel, size_t ingress_count);
/* When no ingress knows it any more. */
void weir_ingress_channel_fini(struct weir_ingress_channel *channel);

struct weir_ingress_options {
	weir_runtime *runtime;
	const struct weir_auth *auth;     /* NULL: everybody may send */
	const struct weir_router *router; /* its targets are struct weir_ingress_channel */
	size_t index;                     /* which slot of each channel is its own */
	struct weir_http_limits limits;
	struct weir_event_limits event_limits;
	bool batch;
};

struct weir_ingress;

/* Everything in `options` is borrowed until it is freed, the router until there is another one. */
int weir_ingress_new(const struct weir_ingress_options *options, struct weir_ingress **ret, struct weir_error *err);
/* As weir_http_server_listen(), with TLS if `tls` is not NULL. Before it is started. */
int weir_ingress_listen(struct weir_ingress *ingress, const char *address, struct weir_tls_slot *tls, uint16_t *port,
			struct weir_error *err);
int weir_ingress_start(struct weir_ingress *ingress, struct weir_error *err);
struct weir_worker *weir_ingress_worker(struct weir_ingress *ingress);
/* On its loop: from the next request on it asks another policy; NULL: none. Borrowed. */
void weir_ingress_judge_by(struct weir_ingress *ingress, const struct weir_auth *auth);
/* On its loop: from the next request on it looks in another router. Bodies may be as long as `max_body_bytes`. */
void weir_ingress_route(struct weir_ingress *ingress, const struct weir_router *router, uint64_t max_body_bytes);
/*
 * On its loop: lets go of a channel that no router of it has any more. False: requests
 * for it wait for their answers; ask again.
 */
bool weir_ingress_forget(struct weir_ingress *ingress, struct weir_ingress_channel *channel);
/* Any thread, once. `drained` is called on its loop when no request is left. */
void weir_ingress_drain(struct weir_ingress *ingress, void (*drained)(void *ctx), void *ctx);
/* Ends the thread; what was not answered yet is answered 503. */
void weir_ingress_stop(struct weir_ingress *ingress);
/* NULL is allowed. */
void weir_ingress_free(struct weir_ingress *ingress);

/* Both add to *ret. Any thread. */
void weir_ingress_add_figures(const struct weir_ingress_channel *channel, struct weir_ingress_figures *ret);
void weir_ingress_add_server_figures(const struct weir_ingress *ingress, struct weir_ingress_server_figures *ret);

#endif
