/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/delivery: a loop that delivers: a thread, an HTTP client, a publisher
 * for what goes to channels, and a pool of attempts. Subscriptions (egress.h) are
 * spread over these loops. All of it belongs to the loop's thread.
 */
#ifndef WEIR_DISPATCH_DELIVERY_H
#define WEIR_DISPATCH_DELIVERY_H

#include <stdint.h>

#include <weir/channel.h>

#include "dispatch/publishing.h"
#include "dispatch/quarantine.h"
#include "dispatch/worker.h"
#include "filter/filter.h"
#include "http/client.h"

struct weir_egress;
struct weir_attempt;

struct weir_delivery_options {
	weir_runtime *runtime;
	struct weir_quarantine *quarantine;
	struct weir_http_client_options client;
	struct weir_event_limits event_limits;
	size_t max_reply_bytes;
	uint32_t max_hops; /* 0: no bound */
};

struct weir_delivery_loop {
	struct weir_delivery_options options;
	struct weir_worker worker;
	struct weir_http_client *client;
	struct weir_publishing publishing;
	struct weir_filter_scratch *filter_scratch;
	struct weir_hook hook;
	struct weir_egress *unsettled; /* with acknowledgements gathered in this turn */
	struct weir_attempt *spare;    /* pool */
	uint64_t random;
};

/* Everything in `options` is borrowed. The thread is not started: worker.h. */
int weir_delivery_loop_new(const struct weir_delivery_options *options, struct weir_delivery_loop **ret,
			   struct weir_error *err);
/* After its thread has ended and its subscriptions are freed. NULL is allowed. */
void weir_delivery_loop_free(struct weir_delivery_loop *loop);

uint32_t weir_delivery_random(struct weir_delivery_loop *loop);

#endif
