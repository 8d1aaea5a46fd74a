/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel/internal: what stands behind the handles of weir/channel.h.
 */
#ifndef WEIR_CHANNEL_INTERNAL_H
#define WEIR_CHANNEL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <weir/channel.h>

#include "channel/backend.h"
#include "channel/find.h"

struct weir_waiter;

struct weir_runtime {
	const weir_config *config;
	weir_log_fn *log;
	void *log_ctx;
	uint64_t fork_mark;
	int64_t publish_timeout_ms;

	pthread_mutex_t *lock; /* of all below */
	pthread_cond_t changed;
	bool closing;
	bool opening_kind; /* a thread is opening a backend */
	struct weir_found_list found;
	struct weir_backend *backends;
	struct weir_channel *channels;
	struct weir_waiter *waiters; /* idle ones */
	unsigned waiter_count;
};

/* How a topic or a subscription is doing; under the backend's lock. */
struct weir_state {
	bool ready;
	bool failed;
	struct weir_error error;
};

struct weir_channel {
	struct weir_channel *next; /* under the runtime's lock, as are `opens`, `opening` and `subs` */
	weir_runtime *runtime;
	struct weir_backend *backend;
	char *ns, *name, *kind;
	unsigned opens;
	bool opening;
	struct weir_subscription *subs;
	struct weir_topic *topic;
	struct weir_state state;
};

struct weir_publisher {
	_Atomic uint64_t refs;
	weir_completion_fn *done;
	void *ctx;
	struct weir_lane *lanes; /* the publishing thread's */
	pthread_mutex_t turn;    /* held while `done` runs: calls of one sink never overlap */
	bool closed;             /* under `turn` */
};

/* The publisher's lane on a backend; made when there is none. WEIR_ENOMEM, WEIR_ELIMIT. */
int weir_publisher_lane(weir_publisher *publisher, struct weir_backend *backend, struct weir_lane **ret);
/* Calls the sink for `count` completions of one lane, which belonged to `owner`. The pump only. */
void weir_publisher_tell(struct weir_lane *lane, uint32_t owner, const struct weir_completion *done, size_t count);

/* Calls the sink with no completions: it may publish again what was refused. The pump only. */
void weir_publisher_tell_room(struct weir_lane *lane);

struct weir_revoked {
	uint32_t partition;
	uint64_t epoch;
};

enum { WEIR_REVOKED_MAX = 65536, WEIR_POOL_CHUNK = 32 };

struct weir_delivery {
	struct weir_delivery *next;
	struct weir_subscription *subscription;
	struct weir_record record;
	struct weir_token token;
	void *lease;
	void *user;
	uint64_t position;
	int64_t time_ms;
	int64_t bytes; /* counted only with window_bytes */
	uint32_t attempt;
	uint32_t flags;
	uint32_t partition;
	bool out; /* with the receiver */
};

struct weir_pool_chunk {
	struct weir_pool_chunk *next;
	struct weir_delivery deliveries[WEIR_POOL_CHUNK];
};

struct weir_subscription {
	struct weir_subscription *next; /* of the channel; under the runtime's lock */
	_Atomic uint64_t refs;          /* the handle, and each delivery that is out */
	weir_channel *channel;          /* while the handle is open */
	struct weir_backend *backend;
	struct weir_sub *sub;
	struct weir_gate gate; /* shut before `sub` goes */
	char *name, *uid;
	bool ephemeral; /* forgotten when it ends */
	weir_deliver_fn *deliver;
	weir_notice_fn *notice;
	void *ctx;
	uint32_t window;
	uint64_t window_bytes;
	struct weir_state state; /* under the backend's lock */

	pthread_mutex_t lock;         /* of: */
	int64_t credit, credit_bytes; /* given to the driver and not used */
	uint64_t debt;                /* held deliveries that there was no credit for */
	bool paused;
	bool closing;
	struct weir_revoked *revoked; /* partitions that were taken away, and up to which epoch */
	_Atomic size_t revoked_count;
	size_t revoked_room;

	/* The pump's: */
	struct weir_delivery *arrived, **arrived_end; /* in this turn */
	size_t arrived_count;
	struct weir_delivery *held, **held_end; /* not handed out yet */
	size_t held_count;
	bool touched;
	int64_t settle_quiet_ns; /* until when a failed settle is not logged again */
	struct weir_subscription *next_touched;
	struct weir_delivery *free;
	struct weir_pool_chunk *chunks;

	_Atomic(struct weir_delivery *) freed; /* by any thread */
	_Atomic uint64_t redelivered;
	_Atomic uint64_t overrun; /* deliveries beyond credit */
	_Atomic uint64_t stale;   /* settles of an earlier epoch */
};

/* The pump: */

/* Takes over an event WEIR_EV_DELIVER. False: memory is short, or too much is held back already. */
bool weir_subscription_arrive(struct weir_subscription *sub, const struct weir_driver_event *event);
/* Hands out what may be handed out, in batches through `out`, WEIR_PUMP_BATCH long. */
void weir_subscription_flush(struct weir_subscription *sub, weir_delivery **out);
void weir_subscription_notify(struct weir_subscription *sub, const struct weir_driver_event *event);
/* Tokens of this partition up to this epoch are stale from now on. False: memory is short. */
bool weir_subscription_revoke(struct weir_subscription *sub, uint32_t partition, uint64_t epoch);

/* Any thread: */

void weir_subscription_unref(struct weir_subscription *sub, uint64_t count);
/* Gives credit for that many settled deliveries. */
void weir_subscription_restock(struct weir_subscription *sub, int64_t records, int64_t bytes);
/* Which of them are of a revoked epoch: stale[i] is set. Returns how many. */
size_t weir_subscription_find_stale(struct weir_subscription *sub, weir_delivery *const *deliveries, size_t count,
				    bool *stale);
/* Gives a chain of deliveries back to the pool. */
void weir_subscription_put(struct weir_subscription *sub, struct weir_delivery *first, struct weir_delivery *last);

void weir_waiters_free(weir_runtime *runtime);

/* The end of weir_subscription_close() for weir_runtime_close() too. */
int weir_subscription_end(struct weir_subscription *sub, int keep, int64_t deadline_ns, struct weir_error *err);
/* Of the topic: closes it and frees the channel. No lock held, nobody else knows the channel any more. */
void weir_channel_end(weir_channel *channel);

#endif
