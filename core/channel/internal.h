/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel/internal: what stands behind the handles of weir/channel.h.
 *
 *   weir_channel       handle; its places are the backends that it is on, oldest first
 *   weir_place         a channel on one backend: its topic there
 *   weir_subscription  handle; its feeds are what it reads from, one for each place
 *   weir_feed          a driver's subscription, with its credit and its deliveries
 *
 * Most of the time a channel has one place and a subscription one feed. While it
 * moves there are more: place.c, and mover.c for the thread that does it.
 *
 * Locks: the runtime's lock comes before those of a backend. `changing` is a
 * channel's turn: whoever has it may change its places, subscriptions and feeds,
 * and call into drivers meanwhile, which no lock allows.
 */
#ifndef WEIR_CHANNEL_INTERNAL_H
#define WEIR_CHANNEL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <weir/channel.h>

#include "channel/backend.h"
#include "channel/find.h"
#include "channel/gate.h"
#include "channel/memo.h"

struct weir_waiter;

/* A kind that was named once; stays until the runtime is freed, so that its name can be lent. */
struct weir_kind {
	struct weir_kind *next;
	int64_t retry_ns; /* its backend is not opened again before; under the runtime's lock, as are the others */
	int64_t backoff_ms;
	int64_t opened_ns;       /* when it was opened last */
	struct weir_error error; /* why it is not open; code 0: it is, or nobody tried */
	char name[];
};

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
	struct weir_kind *kinds;
	struct weir_waiter *waiters; /* idle ones */
	unsigned waiter_count;

	char *memo_path;         /* NULL: moves are not kept */
	struct weir_memo *memos; /* of channels that are not open */
	bool memo_writing;

	pthread_t mover;
	pthread_cond_t mover_wake; /* on the monotonic clock */
	bool memo_dirty;
	bool mover_runs, mover_stop, mover_gone, mover_poked;
	uint64_t mover_round;
};

/* How a topic or a subscription is doing; under the backend's lock. */
struct weir_state {
	bool ready;
	bool failed;
	struct weir_error error;
};

struct weir_place {
	struct weir_place *next; /* newer; under the runtime's lock */
	weir_channel *channel;
	struct weir_kind *kind;
	struct weir_backend *backend; /* NULL: not open */
	struct weir_topic *topic;
	struct weir_state state;
	struct weir_uid *undrained; /* subscriptions that have something left here; only if it is not the newest */
	bool lost;                  /* the pump may still look at it: it is never freed */
	int64_t moved_ns;           /* when new events went elsewhere */
	int64_t left_ns;            /* deadline of the last publish that can have gone here; 0: some still may */
	int64_t settled_ns;         /* since when no publish is pending here; 0: one may be */
};

/* A distinct set of capabilities that was lent to somebody. */
struct weir_caps_lent {
	struct weir_caps_lent *next;
	struct weir_caps caps;
};

struct weir_channel {
	struct weir_channel *next; /* under the runtime's lock, as are all but `current` and the gates */
	weir_runtime *runtime;
	char *ns, *name;
	unsigned opens;
	bool opening;
	bool changing;
	uint64_t round; /* the mover's, in which it was looked at */
	int64_t opened_ns;
	struct weir_place *places; /* oldest first; new events go to the last */
	struct weir_place *coming; /* being prepared to become the last */
	bool committing;           /* for the memo, new events go to `coming` already */
	struct weir_kind *kind;    /* where it is to be, as last asked for */
	struct weir_kind *wanted;  /* the same while it is not there yet; NULL: it stays */
	int64_t wanted_ns;         /* since when */
	struct weir_error stuck;   /* why the move does not get on */
	int64_t retry_ns;          /* the move is not tried again before */
	struct weir_subscription *subs;
	struct weir_uid *uids; /* durable subscriptions that it has, open or not */
	struct weir_caps_lent *lent;

	/*
	 * Where publishers go. One that is about to publish enters the gate of
	 * the turn and reads `current` inside; who changes it has both gates
	 * emptied, one after the other, before the place may go.
	 */
	_Atomic(struct weir_place *) current; /* NULL: it is being opened anew */
	_Atomic unsigned turn;
	struct weir_gate gates[2];
	bool unsynced; /* a publisher may still be in a place that `current` has left */
};

/* ---- places: place.c ------------------------------------------------------ */

/* The runtime's kind of that name. NULL: memory is short. */
struct weir_kind *weir_kind_get(weir_runtime *runtime, const char *name);

/* Takes and gives up a channel's turn. */
void weir_channel_take_turn(weir_channel *channel);
void weir_channel_give_turn(weir_channel *channel);

/* With the turn: */

struct weir_place *weir_place_new(weir_channel *channel, struct weir_kind *kind);
/* Opens its backend and topic; not its feeds. */
int weir_place_open(struct weir_place *place, struct weir_error *err);
/* Ends its feeds and closes it; it may be opened again. `last`: its backend goes too if nobody else is on it. */
void weir_place_close(struct weir_place *place, bool last, int64_t deadline_ns);
/* Closed before, and in no list. */
void weir_place_free(struct weir_place *place);
/* New events go to `place` from now on; NULL: nowhere. False: a publisher does not come out of the one before. */
bool weir_place_direct(weir_channel *channel, struct weir_place *place);
bool weir_place_sync(weir_channel *channel);
struct weir_place *weir_channel_newest(const weir_channel *channel);

/* WEIR_OK, or why the place cannot be used. The runtime's lock is held. */
int weir_place_ready_locked(const struct weir_place *place, struct weir_error *err);

/* Enters the place that new events go to; weir_channel_leave() with *gate. NULL: there is none. */
static inline struct weir_place *weir_channel_enter(weir_channel *channel, struct weir_gate **gate)
{
	struct weir_place *place;

	do
		*gate = &channel->gates[atomic_load_explicit(&channel->turn, memory_order_acquire) & 1];
	while (!weir_gate_enter(*gate));
	/* Not earlier than the gate: whoever empties it has changed `current` before. */
	place = atomic_load(&channel->current);
	if (!place)
		weir_gate_leave(*gate);
	return place;
}

/* ---- moving: mover.c, move.c ------------------------------------------------ */

/* Something may be to do for the mover; starts it if need be. No lock held. */
void weir_mover_poke(weir_runtime *runtime);
/* The memo is to be written, soon. */
void weir_mover_note(weir_runtime *runtime);
/* Stops it. False: it does not come back from a driver; it is left behind and the runtime must stay. */
bool weir_mover_stop(weir_runtime *runtime, int64_t deadline_ns);
/* With the channel's turn: what can be done now. True: there is more to do later. */
bool weir_mover_step(weir_channel *channel);
bool weir_mover_wanted_locked(const weir_channel *channel);
__attribute__((format(printf, 3, 4))) void weir_runtime_log(weir_runtime *runtime, int level, const char *format, ...);

/* ---- subscriptions: subscription.c ------------------------------------------ */

struct weir_subscription {
	struct weir_subscription *next; /* of the channel; under the runtime's lock, as is `feeds` */
	_Atomic uint64_t refs;          /* the handle, and each feed */
	weir_channel *channel;          /* while the handle is open */
	struct weir_feed *feeds;
	struct weir_feed
	    *ghost; /* of a place that was closed; its receiver still has deliveries of it. With the turn */
	char *name, *uid;
	struct weir_subscription_spec spec; /* with the two strings above */
	bool paused;                        /* under the runtime's lock */
	bool was_active;                    /* deliveries have come before. With the turn */
	_Atomic bool ended;                 /* the handle is closed */
};

void weir_subscription_ref(struct weir_subscription *sub);
void weir_subscription_unref(struct weir_subscription *sub);
/* With the turn. Its feed of a place; NULL: none. */
struct weir_feed *weir_subscription_feed(struct weir_subscription *sub, const struct weir_place *place);
/* Whether it reads from that place, now or later. */
bool weir_subscription_concerns(const struct weir_subscription *sub, const struct weir_place *place);
/* With the turn, or the runtime's lock. The place that it reads from now. */
const struct weir_place *weir_subscription_first(const struct weir_subscription *sub);
/* Makes the feed of an open place. */
int weir_subscription_add_feed(struct weir_subscription *sub, struct weir_place *place, struct weir_error *err);
/* Lets deliveries out of the oldest place that it reads from. */
void weir_subscription_activate(struct weir_subscription *sub);
/* Ends one feed, which may be followed by another. */
void weir_subscription_end_feed(struct weir_subscription *sub, struct weir_feed *feed, int keep, bool haunts,
				int64_t deadline_ns);
/* The end of weir_subscription_close() for weir_runtime_close() too. */
int weir_subscription_end(struct weir_subscription *sub, int keep, int64_t deadline_ns, struct weir_error *err);

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
	struct weir_feed *feed;
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

/* ---- feeds: feed.c, credit.c, delivery.c ------------------------------------ */

struct weir_feed {
	struct weir_feed *next;                 /* of the subscription; under the runtime's lock */
	_Atomic uint64_t refs;                  /* the list, each delivery that is out, and who waits for those */
	struct weir_subscription *subscription; /* referenced */
	const struct weir_place *place;         /* while it is in the list */
	struct weir_backend *backend;
	struct weir_sub *sub;
	struct weir_gate gate; /* shut before `sub` goes */
	const char *name;      /* the subscription's, as are the next three */
	weir_deliver_fn *deliver;
	weir_notice_fn *notice;
	void *ctx;
	bool ephemeral; /* forgotten when it ends */
	uint32_t window;
	uint64_t window_bytes;
	_Atomic bool active;      /* it was given credit */
	_Atomic bool muted;       /* another feed goes first: its notices do not reach the receiver */
	_Atomic int64_t heard_ns; /* when something was delivered last, or it was made */
	struct weir_state state;  /* under the backend's lock */

	pthread_mutex_t lock;         /* of: */
	int64_t credit, credit_bytes; /* given to the driver and not used */
	uint64_t debt;                /* held deliveries that there was no credit for */
	bool paused;
	bool closing;
	int64_t out, out_bytes;       /* with the receiver */
	struct weir_feed *heir;       /* referenced; gets the credit of what is still out here */
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
	struct weir_feed *next_touched;
	struct weir_delivery *free;
	struct weir_pool_chunk *chunks;

	_Atomic(struct weir_delivery *) freed; /* by any thread */
	_Atomic uint64_t redelivered;
	_Atomic uint64_t overrun; /* deliveries beyond credit */
	_Atomic uint64_t stale;   /* settles of an earlier epoch */
};

/* The pump: */

/* Takes over an event WEIR_EV_DELIVER. False: memory is short, or too much is held back already. */
bool weir_feed_arrive(struct weir_feed *sub, const struct weir_driver_event *event);
/* Hands out what may be handed out, in batches through `out`, WEIR_PUMP_BATCH long. */
void weir_feed_flush(struct weir_feed *sub, weir_delivery **out);
void weir_feed_notify(struct weir_feed *sub, const struct weir_driver_event *event);
/* Tokens of this partition up to this epoch are stale from now on. False: memory is short. */
bool weir_feed_revoke(struct weir_feed *sub, uint32_t partition, uint64_t epoch);

/* Any thread: */

void weir_feed_unref(struct weir_feed *sub, uint64_t count);
/* Gives credit for that many settled deliveries. */
void weir_feed_restock(struct weir_feed *sub, int64_t records, int64_t bytes);
/* The same for a feed that may have been replaced meanwhile. */
void weir_feed_give_back(struct weir_feed *feed, int64_t records, int64_t bytes);
/* Which of them are of a revoked epoch: stale[i] is set. Returns how many. */
size_t weir_feed_find_stale(struct weir_feed *sub, weir_delivery *const *deliveries, size_t count, bool *stale);
/* Gives a chain of deliveries back to the pool. */
void weir_feed_put(struct weir_feed *sub, struct weir_delivery *first, struct weir_delivery *last);

/* A subscription of the driver for `place`, without credit. */
int weir_feed_new(struct weir_subscription *owner, const struct weir_place *place, struct weir_feed **ret,
		  struct weir_error *err);
/* Deliveries begin. `before`: a feed that was ended while its receiver had deliveries of it; NULL: none. */
void weir_feed_activate(struct weir_feed *feed, struct weir_feed *before);
/* Ends it and lets go of it. Not on its pump. */
int weir_feed_end(struct weir_feed *feed, int keep, int64_t deadline_ns, struct weir_error *err);
int weir_feed_pause(struct weir_feed *feed, bool on);
int weir_feed_stats(struct weir_feed *feed, struct weir_sub_stats *ret);
/* WEIR_OK if its position is durable and the backend is up. */
int weir_feed_ready(struct weir_feed *feed, struct weir_error *err);
/*
 * Whether nothing is left of what was persisted before `since_ns`. *left: how
 * many events are; UINT64_MAX: not known.
 */
bool weir_feed_drained(struct weir_feed *feed, int64_t since_ns, uint64_t *left);

void weir_waiters_free(weir_runtime *runtime);

/* With the turn, or when nobody else knows the channel any more. Frees it. */
void weir_channel_end(weir_channel *channel);

#endif
