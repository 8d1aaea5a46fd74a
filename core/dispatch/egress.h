/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/egress: one subscription: takes deliveries from the backend, has each
 * POSTed in its turn, and settles it after a terminal outcome, never before:
 *
 *   the subscriber answered 2xx and its reply, if it sent one, was accepted; or
 *   the dead-letter sink took the event; or
 *   the event is in quarantine, on disk.
 *
 * Belongs to one delivery loop.
 */
#ifndef WEIR_DISPATCH_EGRESS_H
#define WEIR_DISPATCH_EGRESS_H

#include <stdbool.h>

#include <weir/channel.h>

#include "config/settings.h"
#include "dispatch/delivery.h"
#include "dispatch/dispatcher.h"

struct weir_egress_options {
	struct weir_delivery_loop *loop;
	weir_channel *channel;
	const struct weir_subscription_settings *settings;
	uint64_t window_bytes;
};

struct weir_egress;

/* Before the loop runs. Everything in `options` is borrowed. The error names the setting that is wrong. */
int weir_egress_new(const struct weir_egress_options *options, struct weir_egress **ret, struct weir_error *err);
/* Deliveries begin. */
int weir_egress_subscribe(struct weir_egress *egress, struct weir_error *err);
/*
 * Any thread, once: nothing new is started, what is under way is finished.
 * `idle` is called on the loop when nothing is under way any more.
 */
void weir_egress_drain(struct weir_egress *egress, void (*idle)(void *ctx), void *ctx);
/*
 * When the loop does not run any more: gives up what is under way, keeps it
 * unsettled, and closes the subscription, whose position stays. Says how many
 * deliveries were given up in the middle.
 */
int weir_egress_close(struct weir_egress *egress, int64_t deadline_ns, size_t *given_up, struct weir_error *err);
/* Closed before, or never subscribed. NULL is allowed. */
void weir_egress_free(struct weir_egress *egress);

/* Any thread. `open` false: it may be closing or closed, do not ask the backend. */
void weir_egress_view(struct weir_egress *egress, bool open, struct weir_subscription_view *ret);

#endif
