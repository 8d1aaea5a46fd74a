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
	bool held; /* nothing is started before weir_egress_commit() */
};

struct weir_egress;

/*
 * On the loop's thread, or before it runs. Everything in `options` is borrowed;
 * of the channel it needs no more than the time it is subscribed. The error
 * names the setting that is wrong.
 */
int weir_egress_new(const struct weir_egress_options *options, struct weir_egress **ret, struct weir_error *err);
/* Deliveries begin. Not on the loop's thread, nor on a pump. */
int weir_egress_subscribe(struct weir_egress *egress, struct weir_error *err);

/* ---- other settings while it runs: all on the loop's thread --------------- */

/* Whether it can go on with these; otherwise another one has to take its place. */
bool weir_egress_can_take(const struct weir_egress *egress, const struct weir_subscription_settings *settings);
/* Makes what it needs for other settings, which are borrowed, and changes nothing yet. */
int weir_egress_prepare(struct weir_egress *egress, const struct weir_subscription_settings *settings,
			struct weir_error *err);
/* Goes over to what was prepared, if anything was, and begins if it was held. What is under way is finished. */
void weir_egress_commit(struct weir_egress *egress);
/* Forgets what was prepared. */
void weir_egress_discard(struct weir_egress *egress);

/* The channel is about to move to another backend. */
void weir_egress_expect_move(struct weir_egress *egress);
/* It moves, or has moved: takes what depends on the backend from the one that new events go to now. */
void weir_egress_adapt(struct weir_egress *egress);

/* ---- ending --------------------------------------------------------------- */

/*
 * Any thread, once: nothing new is started, what is under way is finished.
 * `idle` is called on the loop when nothing is under way any more.
 */
void weir_egress_drain(struct weir_egress *egress, void (*idle)(void *ctx), void *ctx);

/*
 * How one ends while its loop goes on: drain; stop; when it is quiet
 * weir_egress_unsubscribe(), on any thread but the loop's and a pump's; release.
 */

/* On the loop: what is under way is given up where it can be; nothing new is begun. */
void weir_egress_stop(struct weir_egress *egress);
/* On the loop: true when nothing is under way any more. */
bool weir_egress_is_quiet(const struct weir_egress *egress);
/* Closes the subscription; its position stays. WEIR_ETIMEDOUT: a call does not return, it must not be freed. */
int weir_egress_unsubscribe(struct weir_egress *egress, int64_t deadline_ns, struct weir_error *err);
/* On the loop: frees it. What it had and did not settle stays unsettled. */
void weir_egress_release(struct weir_egress *egress);

/*
 * When the loop does not run any more: gives up what is under way, keeps it
 * unsettled, and closes the subscription, whose position stays. Says how many
 * deliveries were given up in the middle.
 */
int weir_egress_close(struct weir_egress *egress, int64_t deadline_ns, size_t *given_up, struct weir_error *err);
/* Closed before, or never subscribed. NULL is allowed. */
void weir_egress_free(struct weir_egress *egress);

/* ---- looking -------------------------------------------------------------- */

/* Both for whoever makes the changes. */
const struct weir_subscription_settings *weir_egress_settings(const struct weir_egress *egress);
struct weir_delivery_loop *weir_egress_loop(const struct weir_egress *egress);
bool weir_egress_is_subscribed(const struct weir_egress *egress);

/* Any thread. `open` false: it may be closing or closed, do not ask the backend. */
void weir_egress_view(struct weir_egress *egress, bool open, struct weir_subscription_view *ret);

#endif
