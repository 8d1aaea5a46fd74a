/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/dispatcher_state: what the files of the dispatcher share.
 *
 *   topology   what there is at one time: channels, their subscriptions, routes
 *   change     the way from one topology to the next, all or nothing
 *   retired    what is in no topology any more and still has something under way
 *
 * All of it belongs to the keeper's thread, or to the one that starts and ends
 * the dispatcher while the keeper does not run. Other threads only visit.
 */
#ifndef WEIR_DISPATCH_DISPATCHER_STATE_H
#define WEIR_DISPATCH_DISPATCHER_STATE_H

#include <pthread.h>

#include "config/settings.h"
#include "dispatch/adapter.h"
#include "dispatch/dispatcher.h"
#include "dispatch/egress.h"
#include "dispatch/identity.h"
#include "dispatch/ingress.h"
#include "dispatch/policy.h"
#include "dispatch/quarantine.h"
#include "dispatch/route.h"
#include "dispatch/settings.h"

enum { WEIR_DISPATCH_LISTEN_MAX = 16 };

struct weir_retired;

/* The name of a kind; stays as long as the channel. */
struct weir_dispatch_kind {
	struct weir_dispatch_kind *next;
	char name[];
};

/* A channel that is open; stays the same from topology to topology. */
struct weir_dispatch_channel {
	struct weir_ingress_channel ingress; /* first: what the router finds */
	struct weir_adapter_door door;
	char *ns, *name;
	char *resource; /* of tokens for it; as it was first opened */
	struct weir_dispatch_kind *kinds; /* which it was asked for, the newest first */
	_Atomic(const char *) kind;       /* the newest; for other threads, too */
	bool moving;                      /* as far as the keeper has seen */
	size_t row;                       /* in the current topology */
};

struct weir_dispatch_row {
	struct weir_dispatch_channel *channel;
	struct weir_egress **egresses; /* in the order of the configuration */
	size_t egress_count;
};

/* Never changed once it is current. Borrows its channels and subscriptions. */
struct weir_topology {
	const weir_config *config; /* which the settings are borrowed from */
	struct weir_router *router;
	struct weir_dispatch_row *rows;
	size_t row_count;
	unsigned visitors; /* under the dispatcher's lock */
};

struct weir_dispatcher {
	weir_runtime *runtime;
	struct weir_dispatch_settings settings;
	struct weir_topology *topology; /* the current one; changed under the lock */

	struct weir_worker keeper;
	struct weir_timer tend; /* while something is retired, or a channel moves */
	struct weir_retired *retired;
	int64_t drain_timeout_ms;

	struct weir_quarantine *quarantine;
	struct weir_delivery_loop **delivery_loops; /* room for settings.delivery_loops */
	size_t delivery_count;
	size_t next_loop; /* of the next subscription */
	struct weir_ingress **ingresses;
	size_t ingress_count;
	struct weir_tls_slot tls;
	struct weir_auth *auth;                       /* NULL: everybody may send */
	uint16_t ports[2 * WEIR_DISPATCH_LISTEN_MAX]; /* those with TLS from the middle on */

	pthread_mutex_t lock;
	pthread_cond_t idle; /* `busy` became 0; on the monotonic clock */
	size_t busy;         /* ingresses and subscriptions that are not drained yet */
	pthread_cond_t left; /* a topology has one visitor less */
	bool closed;         /* only counters may be looked at */
};

/* ---- topology.c ----------------------------------------------------------- */

/* Room for so many channels. */
int weir_topology_new(const weir_config *config, size_t rows, struct weir_topology **ret);
/* Leaves channels and subscriptions to their owner. NULL is allowed. */
void weir_topology_free(struct weir_topology *topology);
/* The largest body that a channel takes: what is longer need not be read. */
uint64_t weir_topology_max_body(const struct weir_topology *topology, uint64_t configured);
/* The channels that a configuration asks for: `default/default` when it names none. */
size_t weir_topology_channels(const weir_config *config, const struct weir_channel_settings **ret);

/* A channel by its names; NULL: there is none. */
struct weir_dispatch_channel *weir_topology_find(const struct weir_topology *topology, const char *ns,
						 const char *name);

/* Any thread: the current topology, which stays until leave. *open false: only counters may be looked at. */
struct weir_topology *weir_topology_enter(struct weir_dispatcher *dispatcher, bool *open);
void weir_topology_leave(struct weir_dispatcher *dispatcher, struct weir_topology *topology);
/* Makes `next` the current one; returns when nobody looks at the one before, which is returned. */
struct weir_topology *weir_topology_replace(struct weir_dispatcher *dispatcher, struct weir_topology *next);
/* From here on visitors are told that it is closed; returns when those before have left. */
void weir_topology_close(struct weir_dispatcher *dispatcher);

int weir_dispatch_channel_open(struct weir_dispatcher *dispatcher, const struct weir_channel_settings *settings,
			       const char *kind, struct weir_dispatch_channel **ret, struct weir_error *err);
void weir_dispatch_channel_free(struct weir_dispatch_channel *channel);

/* ---- moving.c ------------------------------------------------------------- */

int weir_dispatch_kind_new(const char *name, struct weir_dispatch_kind **ret);
/* From here on the channel is asked for with that kind, which it owns. */
void weir_dispatch_channel_take_kind(struct weir_dispatch_channel *channel, struct weir_dispatch_kind *kind);
/* Takes what depends on the backend from the one that new events go to now. */
void weir_dispatch_channel_refresh(struct weir_dispatch_channel *channel);
/* Looks after the channels that move. False: none does. */
bool weir_moving_tend(struct weir_dispatcher *dispatcher);
/* After a change, or a start: has the keeper look after those that move. */
void weir_moving_begin(struct weir_dispatcher *dispatcher);

/* ---- change.c ------------------------------------------------------------- */

/* Goes over to another configuration, or changes nothing. */
int weir_dispatcher_change(struct weir_dispatcher *dispatcher, const weir_config *config, struct weir_error *err);

/* ---- retire.c ------------------------------------------------------------- */

/* Puts another one before *spares: got while a change can still fail, used when it cannot. */
int weir_retired_new(struct weir_retired **spares);
struct weir_retired *weir_retired_take(struct weir_retired **spares);
/* All of them. NULL is allowed. */
void weir_retired_free(struct weir_retired *spares);

/*
 * From here on the subscription starts nothing new; once it has finished, or is
 * too late, it is closed, and `successor`, or NULL, is subscribed. `config`: which
 * its settings are borrowed from.
 */
void weir_retire_egress(struct weir_dispatcher *dispatcher, struct weir_retired *retired,
			struct weir_dispatch_channel *channel, const weir_config *config, struct weir_egress *egress,
			struct weir_egress *successor);
/* Is closed when its retired subscriptions and the requests for it are done. */
void weir_retire_channel(struct weir_dispatcher *dispatcher, struct weir_retired *retired,
			 struct weir_dispatch_channel *channel);
/* The retired subscription that a new one has to wait for; NULL: there is none. */
struct weir_retired *weir_retired_find(struct weir_dispatcher *dispatcher, const char *ns, const char *name,
				       const char *uid);
void weir_retired_succeed(struct weir_retired *retired, struct weir_egress *successor);
/* Whether something retired still borrows from a configuration. */
bool weir_retired_uses(const struct weir_dispatcher *dispatcher, const weir_config *config);
/* When the loops do not run any more: closes what is left; returns how many deliveries were given up. */
size_t weir_retired_close(struct weir_dispatcher *dispatcher, int64_t deadline_ns);
/* Has the keeper look after what there is, soon. */
void weir_tend_soon(struct weir_dispatcher *dispatcher);
/* When ingresses and loops are gone. */
void weir_retired_end(struct weir_dispatcher *dispatcher);

/* ---- drain.c -------------------------------------------------------------- */

/* One more has to become idle; it calls weir_dispatcher_idle() on whatever thread it does. */
void weir_dispatcher_busy(struct weir_dispatcher *dispatcher);
void weir_dispatcher_idle(void *ctx);

/* Stops all threads and closes what delivers and takes events; *given_up deliveries were in the middle of something. */
int weir_dispatcher_close(struct weir_dispatcher *dispatcher, int64_t deadline_ns, size_t *given_up,
			  struct weir_error *err);

#endif
