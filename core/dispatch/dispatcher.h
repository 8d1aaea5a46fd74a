/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/dispatcher: the sidecar without its command line: takes events over
 * HTTP, publishes them, delivers them to subscribers.
 *
 * Threads: ingress loops, delivery loops, a quarantine writer and a keeper of its
 * own; the pumps belong to the runtime. Functions here are for the thread that started it
 * unless they say otherwise.
 */
#ifndef WEIR_DISPATCH_DISPATCHER_H
#define WEIR_DISPATCH_DISPATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/channel.h>
#include <weir/config.h>
#include <weir/error.h>

struct weir_dispatcher;

/*
 * Opens the configured channels (`default/default` when none is configured),
 * subscribes, listens on `dispatcher.listen`. `runtime` must outlive it, `config`
 * as long as weir_dispatcher_uses() it. Returns when it accepts connections; subscriptions become ready
 * later: weir_dispatcher_ready().
 */
int weir_dispatcher_start(const weir_config *config, weir_runtime *runtime, struct weir_dispatcher **ret,
			  struct weir_error *err);

/*
 * The loop of the thread that makes changes, the keeper: it runs as long as the
 * dispatcher is not drained, and may be used for what leads to changes.
 */
struct weir_loop *weir_dispatcher_loop(struct weir_dispatcher *dispatcher);

/*
 * Goes over to another configuration while events flow, or changes nothing and
 * says why. Compares channels and subscriptions: those that stay the same notice
 * nothing; other delivery settings apply from the next attempt on; what is gone
 * finishes what it has under way, and its position stays with the backend. Keys
 * that are read only at a start are not looked at. On the keeper's thread; may
 * block while backends open. `config` must live as weir_dispatcher_uses() says.
 */
int weir_dispatcher_reconfigure(struct weir_dispatcher *dispatcher, const weir_config *config, struct weir_error *err);
/* Whether it still borrows from a configuration. On the keeper's thread, or when it does not run. */
bool weir_dispatcher_uses(const struct weir_dispatcher *dispatcher, const weir_config *config);

/* The keeper ends: nothing is changed any more. A drain does it too. Blocks while a change is being made. */
void weir_dispatcher_freeze(struct weir_dispatcher *dispatcher);

/* The port of listen address number `index`; 0 behind the last. */
uint16_t weir_dispatcher_port(const struct weir_dispatcher *dispatcher, size_t index);
/* ... and of those with TLS. */
uint16_t weir_dispatcher_tls_port(const struct weir_dispatcher *dispatcher, size_t index);

/*
 * SIGTERM: stops accepting, pauses subscriptions, lets what is in flight finish
 * until deadline_ns, closes subscriptions and channels; what is unsettled stays
 * unsettled. WEIR_ETIMEDOUT says that something did. Blocks. The dispatcher may
 * still be asked for its figures afterwards, until it is freed.
 */
int weir_dispatcher_drain(struct weir_dispatcher *dispatcher, int64_t deadline_ns, struct weir_error *err);
void weir_dispatcher_free(struct weir_dispatcher *dispatcher);

/* The folder that quarantine is in. Borrowed. Any thread. */
const char *weir_dispatcher_quarantine_folder(const struct weir_dispatcher *dispatcher);

/* An event with this extension is for the subscription with that uid only, which gets it without the extension. */
#define WEIR_EVENT_FOR "weirfor"

/* ---- figures, for the admin port: any thread, does not block ------------- */

/* Monotone counters since start, for one channel's ingress. */
struct weir_ingress_figures {
	uint64_t accepted;    /* answered 202 */
	uint64_t bytes;       /* of accepted events' data */
	uint64_t rejected;    /* answered 4xx: the event or request was bad */
	uint64_t unavailable; /* answered 429 or 503 */
	uint64_t late;        /* persisted after the answer had to be 503; over all channels of its kind */
};

/* Monotone counters since start, for one subscription; those from in_flight on are gauges. */
struct weir_egress_figures {
	uint64_t attempts;      /* POSTs made, also to reply targets and dead-letter sinks */
	uint64_t delivered;     /* settled after a 2xx */
	uint64_t filtered;      /* settled without a POST: the filters did not let it pass */
	uint64_t filter_faults; /* evaluations of a filter in which an expression failed */
	uint64_t looped;        /* not sent on: that had been done too often */
	uint64_t retries;       /* attempts after the first of a delivery */
	uint64_t dead_lettered; /* taken by the dead-letter sink */
	uint64_t quarantined;
	uint64_t replies;              /* replies accepted by the reply target */
	uint64_t poison;               /* records that were no event */
	uint64_t redelivered;          /* handed out again by the backend */
	uint64_t stale;                /* settled too late: will come again */
	uint64_t duration_ns;          /* of all attempts together */
	uint64_t duration_buckets[16]; /* attempts that took at most weir_egress_bucket_ms[i]; last: all */
	uint64_t in_flight;            /* POSTs under way */
	uint64_t waiting;              /* handed out by the backend, waiting for a turn or a retry */
	uint64_t failing;              /* 1: the last attempt at the subscriber, or at its reply's target, failed */
	uint64_t lag;                  /* UINT64_MAX: not known */
	int64_t oldest_ms;             /* age of the oldest delivery not settled; -1: none */
};

extern const uint32_t weir_egress_bucket_ms[15];

struct weir_subscription_view {
	const char *name, *uid, *subscriber; /* borrowed until the visit returns; the URL has no user info */
	bool ready;
	struct weir_error error; /* why it is not ready */
	struct weir_egress_figures figures;
};

enum { WEIR_VIEW_MOVES = 4 };

struct weir_channel_view {
	const char *ns, *name;
	const char *kind; /* where new events go */
	bool ready;
	struct weir_error error;
	struct weir_ingress_figures figures;
	struct weir_move_info moves[WEIR_VIEW_MOVES]; /* away from other backends, the oldest first */
	size_t move_count;
	const struct weir_subscription_view *subscriptions;
	size_t subscription_count;
};

/* Calls `visit` for each channel, in configuration order; stops when it returns false. */
void weir_dispatcher_visit(struct weir_dispatcher *dispatcher,
			   bool (*visit)(void *ctx, const struct weir_channel_view *view), void *ctx);

/* HTTP server counters over all ingress loops. */
struct weir_ingress_server_figures {
	uint64_t connections, accepted, refused, requests, malformed, timeouts, bytes_in;
	uint64_t handshakes, handshakes_failed;
	uint64_t certificate_expiry; /* seconds since 1970; 0: there is no TLS */
};
void weir_dispatcher_server_figures(struct weir_dispatcher *dispatcher, struct weir_ingress_server_figures *ret);

/*
 * Opens a channel that is there once more; weir_channel_close() it. WEIR_ENOTFOUND.
 * Any thread. It stays open, with its events, when a change takes it away meanwhile.
 */
int weir_dispatcher_open_channel(struct weir_dispatcher *dispatcher, const char *ns, const char *name,
				 weir_channel **ret, struct weir_error *err);

#endif
