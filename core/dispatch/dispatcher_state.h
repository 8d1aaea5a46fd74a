/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/dispatcher_state: what the files of the dispatcher share. */
#ifndef WEIR_DISPATCH_DISPATCHER_STATE_H
#define WEIR_DISPATCH_DISPATCHER_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "config/settings.h"
#include "dispatch/adapter.h"
#include "dispatch/dispatcher.h"
#include "dispatch/egress.h"
#include "dispatch/ingress.h"
#include "dispatch/quarantine.h"
#include "dispatch/route.h"
#include "dispatch/settings.h"

enum { WEIR_DISPATCH_LISTEN_MAX = 16 };

/* One configured channel. */
struct weir_dispatch_channel {
	struct weir_ingress_channel ingress; /* first: what the router finds */
	const struct weir_channel_settings *settings;
	struct weir_adapter_door door;
	char *kind;                    /* for when the channel is closed */
	struct weir_egress **egresses; /* settings->subscription_count of them */
};

struct weir_dispatcher {
	const weir_config *config;
	weir_runtime *runtime;
	struct weir_dispatch_settings settings;

	const struct weir_channel_settings *channel_settings;
	struct weir_channel_settings default_channel; /* when none is configured */
	struct weir_dispatch_channel *channels;
	size_t channel_count;
	struct weir_router *router;

	struct weir_quarantine *quarantine;
	struct weir_delivery_loop **delivery_loops;
	size_t delivery_count;
	struct weir_ingress **ingresses;
	size_t ingress_count;
	uint16_t ports[WEIR_DISPATCH_LISTEN_MAX];

	pthread_mutex_t lock;
	pthread_cond_t idle; /* `busy` became 0; on the monotonic clock */
	size_t busy;         /* ingresses and subscriptions that are not drained yet */

	/*
	 * Visitors look at channels and subscriptions without a lock; whoever closes
	 * them says so first and waits until nobody is looking.
	 */
	_Atomic bool closed;
	_Atomic unsigned visitors;
};

/* Stops all threads and closes what delivers and takes events; *given_up deliveries were in the middle of something. */
int weir_dispatcher_close(struct weir_dispatcher *dispatcher, int64_t deadline_ns, size_t *given_up,
			  struct weir_error *err);

#endif
