/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir/channel.h: publish to and subscribe to channels, whatever backend they
 * live on.
 *
 *   weir_runtime       the drivers that were found and the backends that are open
 *   weir_channel       a named stream of events in a namespace: "namespace/name"
 *   weir_subscription  a durable reader of a channel; each gets every event
 *   weir_delivery      one event handed to one subscription, until it is settled
 *
 * At least once. An event whose publishing completed as WEIR_PERSISTED is
 * handed to every subscription until that subscription has acknowledged it. It
 * may be handed out more than once, after a crash for example.
 *
 * Threads. Every function may be called from any thread unless it says
 * otherwise. Callbacks run on a thread of the runtime (one per open backend,
 * the "pump"), in batches; they must not block, and may call back into this
 * header except for the close functions.
 */
#ifndef WEIR_CHANNEL_H
#define WEIR_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include <weir/config.h>
#include <weir/driver.h>
#include <weir/error.h>
#include <weir/event.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_runtime weir_runtime;
typedef struct weir_channel weir_channel;
typedef struct weir_subscription weir_subscription;
typedef struct weir_delivery weir_delivery;

/* ---- runtime ------------------------------------------------------------ */

/* level: 0 error, 1 warning, 2 notice, 3 debug. One line, no newline. Any thread. */
typedef void weir_log_fn(void *ctx, int level, const char *text);

/*
 * Makes a runtime. Looks through the folders of `drivers.path`, by default those
 * installed with the library, and reads the drivers' notes; loads none of them yet. `config` must outlive it. `log` may
 * be NULL. WEIR_ENOMEM.
 */
int weir_runtime_open(const weir_config *config, weir_log_fn *log, void *log_ctx, weir_runtime **ret,
                      struct weir_error *err);

/*
 * Closes channels, subscriptions and backends: what is settled is stored, what
 * is unsettled stays unsettled. Waits for pending publishes until deadline_ns
 * (CLOCK_MONOTONIC, absolute) and returns at most 1 s later. Not from a callback.
 */
int weir_runtime_close(weir_runtime *runtime, int64_t deadline_ns, struct weir_error *err);

/*
 * From here on kinds and drivers' settings are taken from another configuration,
 * which must outlive the runtime or the next call; what is open stays as it is.
 */
void weir_runtime_configure(weir_runtime *runtime, const weir_config *config);

/* One driver that was found. Strings are borrowed from the runtime. */
struct weir_driver_info {
	const char *name;     /* "memory" */
	const char *kind;     /* "InMemoryChannel" */
	const char *path;     /* absolute */
	uint32_t abi_major, abi_minor;
	const char *problem;  /* NULL: usable as far as the note tells */
};

/* Driver number `index` of those found; WEIR_ENOTFOUND behind the last. */
int weir_runtime_driver(const weir_runtime *runtime, size_t index, struct weir_driver_info *ret);

/*
 * Loads the driver of a kind if it is not loaded, without opening it, and
 * returns its table: what weir/driver.h calls options, version, summary. Do not
 * call the operations: they are not guarded. WEIR_ENOTFOUND lists the kinds
 * found and the folders searched; WEIR_EVERSION and WEIR_EINVAL name the path.
 */
int weir_runtime_load(weir_runtime *runtime, const char *kind, const struct weir_driver **ret, struct weir_error *err);

/*
 * Opens the backend of a kind with its settings, if it is not open, and copies
 * its capabilities into *ret, up to ret->size. The strings are static. Errors as
 * weir_channel_open().
 */
int weir_runtime_caps(weir_runtime *runtime, const char *kind, struct weir_caps *ret, struct weir_error *err);

/*
 * How an open backend is doing. Counters are since it was opened. Strings are
 * borrowed from the runtime; what a driver does not know is UINT64_MAX.
 */
struct weir_backend_info {
	const char *kind;
	const char *driver;        /* its name */
	struct weir_health health; /* the driver's word, or what its events said */
	struct weir_stats stats;
	uint64_t pending;          /* publishes whose outcome was not told yet */
	uint64_t timeouts;         /* publishes told WEIR_UNKNOWN because no completion came in time */
	uint64_t late;             /* of those, how many turned out to be persisted */
	uint64_t breaches;         /* times that the driver broke its contract; each kind is logged once */
};

/* Open backend number `index`; WEIR_ENOTFOUND behind the last. Does not block. */
int weir_runtime_backend_info(weir_runtime *runtime, size_t index, struct weir_backend_info *ret);

/*
 * Gives the runtime another configuration: what is opened from now on is opened
 * with it. What is open stays as it is; weir_runtime_renew() opens it anew. When
 * it returns, the configuration before is not used any more. May wait while a
 * backend is being opened. Not from a callback.
 */
void weir_runtime_configure(weir_runtime *runtime, const weir_config *config);

/*
 * Closes the backend of a kind and opens it with the settings of the
 * configuration as it is now, for new credentials for example. Channels and
 * subscriptions stay: publishes are refused with WEIR_EUNAVAIL meanwhile, what is
 * unsettled comes again afterwards. Returns at once; a backend that does not open
 * is tried again. The runtime does the same by itself with an instance that has
 * reported WEIR_EV_FATAL. WEIR_ENOTFOUND: no backend of that kind is open.
 */
int weir_runtime_renew(weir_runtime *runtime, const char *kind, struct weir_error *err);

/* ---- channels ------------------------------------------------------------ */

/*
 * Opens a channel; `kind` NULL takes what the configuration says. Loads the
 * driver and opens its backend when it is the first of its kind. The same names
 * and kind again give the same channel, counted. Returns before the backend is
 * reachable: see weir_channel_ready(). Names have 1 to 253 bytes, none of them a
 * blank, a control character or '/', and do not begin with '.'; the driver may
 * ask for more. A backend stays open until the runtime closes, or until the last
 * channel has moved away from it.
 */
int weir_channel_open(weir_runtime *runtime, const char *ns, const char *name, const char *kind, weir_channel **ret,
                      struct weir_error *err);
/* Undoes one weir_channel_open(). Its subscriptions must be closed before. */
void weir_channel_close(weir_channel *channel);

const char *weir_channel_namespace(const weir_channel *channel);
const char *weir_channel_name(const weir_channel *channel);
/* Where new events go; borrowed from the runtime. It changes when the channel moves. */
const char *weir_channel_kind(const weir_channel *channel);
/* Capabilities of the backend that new events go to, borrowed from the channel. They change when it moves. */
const struct weir_caps *weir_channel_caps(const weir_channel *channel);
/* WEIR_OK if the backend is up and the topic is ready; else the reason. Does not block. */
int weir_channel_ready(weir_channel *channel, struct weir_error *err);

/* ---- moving to another backend ------------------------------------------- */

/*
 * Keeps in the file `path` which backend each channel is on and what is left to
 * drain, so that moves survive a restart and a crash. The file is small, and
 * always replaced as a whole: written beside, synced, renamed. Call it once,
 * before the first channel is opened; without it moves are forgotten when the
 * process ends. A channel that is opened afterwards, and was on another kind when
 * the process ended, moves to the kind it is opened with. Errors: WEIR_EIO;
 * WEIR_ECORRUPT: the file is damaged, `text` says what to do.
 */
int weir_runtime_remember(weir_runtime *runtime, const char *path, struct weir_error *err);

/*
 * Moves a channel to another kind while events flow. Returns at once; a thread of
 * the runtime does it:
 *   1. Every subscription is made on the new backend. Until all of them are
 *      ready there, new events go to the old one: none can be missed.
 *   2. New events go to the new backend.
 *   3. Each subscription gets from the old backend what is left, up to its end:
 *      every event is settled, retries and dead letters included. Then it gets
 *      what the new one has: so the order by key is kept. A subscription does not
 *      wait for another.
 *   4. When all have, the old one is left as it is, and its instance is closed if
 *      no other channel uses it.
 * While the old backend cannot be reached, step 3 waits and step 2 holds: events
 * are taken. It may be called again before that: backends are drained in the
 * order in which the channel was on them. Back to one that is not drained yet:
 * that is remembered, and done when it is. Back before step 2: nothing happened.
 *
 * The end of the old backend is where its driver says that nothing is left
 * (weir_sub_stats.lag), after the last publish has completed there. With a driver
 * that does not know its lag: when nothing has come for 5 s, nothing is out, and
 * the backend is up.
 *
 * Other processes that publish to the channel are not moved along. Each has to
 * move itself; whoever is last drains what the others have left, and the order by
 * key between processes holds before and after, not while they differ.
 *
 * WEIR_ENOTFOUND and others as weir_runtime_load(): then the channel stays.
 */
int weir_channel_move(weir_channel *channel, const char *kind, struct weir_error *err);

enum weir_move_stage {
	WEIR_MOVE_PREPARING = 1, /* `to` is not ready; new events go to `from` */
	WEIR_MOVE_WAITING = 2,   /* `to` has to be drained first; new events go to `from` */
	WEIR_MOVE_DRAINING = 3,  /* new events go to `to`; subscriptions get what is left on `from` */
};

/* One backend that a channel is moving away from. Strings are borrowed from the runtime. */
struct weir_move_info {
	uint32_t stage;         /* enum weir_move_stage */
	uint32_t subscriptions; /* draining: how many have something left on `from` */
	const char *from, *to;  /* kinds */
	uint64_t left;          /* draining: events not settled, over all subscriptions; UINT64_MAX: not known */
	int64_t age_ms;         /* since it was asked for, or since the process started */
	struct weir_error error; /* why it does not get on; code 0: it does */
};

/* Number `index` of a channel's moves, the oldest first; WEIR_ENOTFOUND behind the last. Does not block. */
int weir_channel_move_info(weir_channel *channel, size_t index, struct weir_move_info *ret);

/* ---- publishing ---------------------------------------------------------- */

/* What became of one publish. `error` is NULL or borrowed until the callback returns. */
struct weir_completion {
	uint64_t tag;     /* as given */
	uint32_t outcome; /* enum weir_outcome */
	uint32_t reserved;
	uint64_t position;
	const struct weir_error *error;
};

/*
 * Where completions go: make one per thread that publishes, so that each gets
 * its completions in batches. Calls of one sink never overlap. A publisher may
 * be used by one thread at a time: publishing takes no lock.
 */
typedef struct weir_publisher weir_publisher;
/* `count` 0: there is room again for what was refused with WEIR_EAGAIN by the backend. */
typedef void weir_completion_fn(void *ctx, const struct weir_completion *completions, size_t count);

int weir_publisher_new(weir_runtime *runtime, weir_completion_fn *done, void *ctx, weir_publisher **ret);
/* Pending publishes still complete, but nobody is told. No callback runs after it returned. Not from a callback. */
void weir_publisher_free(weir_publisher *publisher);

struct weir_publish_item {
	weir_event *event; /* encoded before the call returns; stays the caller's; not twice in one call */
	uint64_t tag;
};

/*
 * Publishes events[0..count) in order. Takes the first *accepted of them; each
 * completes exactly once through the publisher, at the latest after
 * `dispatcher.publishTimeout` (10 s) as WEIR_UNKNOWN. Returns WEIR_OK if all
 * were taken, else why item number *accepted was not: WEIR_EAGAIN (full),
 * WEIR_ETOOBIG, WEIR_EINVAL, WEIR_EUNAVAIL, WEIR_ECLOSED. `atomic`: all persist
 * together or not at all, where the backend can (WEIR_CAP_ATOMIC_BATCH).
 */
int weir_channel_publish(weir_channel *channel, weir_publisher *publisher, const struct weir_publish_item *items,
                         size_t count, int atomic, size_t *accepted, struct weir_error *err);

/* Publishes one event and waits for its outcome. WEIR_OK only if it is persisted. Not from a callback. */
int weir_channel_publish_wait(weir_channel *channel, weir_event *event, int64_t deadline_ns, struct weir_error *err);

/* ---- subscriptions ------------------------------------------------------- */

/*
 * Deliveries arrive in batches on the pump. Each one is the receiver's until it
 * is settled with weir_delivery_settle(). Borrow the array only until return.
 */
typedef void weir_deliver_fn(void *ctx, weir_delivery *const *deliveries, size_t count);

/*
 * Something about the subscription changed: ready, failed, revoked, stalled, a
 * gap. See enum weir_event_type. WEIR_EV_CAPS_CHANGED: deliveries come from
 * another backend from now on, or from one that was opened anew.
 */
struct weir_notice {
	uint32_t type; /* enum weir_event_type */
	uint32_t partition;
	uint64_t position, position_end;
	const struct weir_error *error; /* borrowed until return */
};
typedef void weir_notice_fn(void *ctx, const struct weir_notice *notice);

struct weir_subscription_spec {
	const char *name;        /* for people */
	const char *uid;         /* identity of the durable position; NULL: the name */
	enum weir_start start;   /* only when the subscription is new to the backend; WEIR_ENOTSUP: it cannot replay */
	int64_t start_value;
	uint32_t window;         /* most deliveries out and not settled; also the credit given */
	uint64_t window_bytes;   /* most bytes of them; 0: no bound but `window` */
	uint32_t ack_wait_ms;    /* 0: the driver's default */
	uint32_t flags;          /* WEIR_SUB_EPHEMERAL: leaves no position and nothing that is kept for it, when it ends */
	weir_deliver_fn *deliver;
	weir_notice_fn *notice;  /* may be NULL */
	void *ctx;
};

/*
 * Subscribes; all strings are copied. Deliveries may start before it returns.
 * The core gives credit for `window`, and again for each delivery settled.
 */
int weir_channel_subscribe(weir_channel *channel, const struct weir_subscription_spec *spec, weir_subscription **ret,
                           struct weir_error *err);
/* WEIR_OK once the position is durable and the backend is up; else the reason. */
int weir_subscription_ready(weir_subscription *subscription, struct weir_error *err);
int weir_subscription_stats(weir_subscription *subscription, struct weir_sub_stats *ret);
/* Stops or resumes deliveries; those that are out stay out. */
int weir_subscription_pause(weir_subscription *subscription, int on);

/*
 * Ends a subscription. keep != 0: its position stays, and what is unsettled
 * comes back to the next member. keep == 0: the backend forgets it. When it
 * returns no callback runs any more; deliveries that are still out must be freed
 * with weir_delivery_free(). Not from a callback.
 */
int weir_subscription_close(weir_subscription *subscription, int keep, int64_t deadline_ns, struct weir_error *err);

/* ---- deliveries ---------------------------------------------------------- */

/* Borrowed from the delivery until it is settled or freed. */
const struct weir_record *weir_delivery_record(const weir_delivery *delivery);
weir_subscription *weir_delivery_subscription(const weir_delivery *delivery);
/* 1 for the first; see WEIR_CAP_DELIVERY_COUNT. */
uint32_t weir_delivery_attempt(const weir_delivery *delivery);
uint64_t weir_delivery_position(const weir_delivery *delivery);
int64_t weir_delivery_time_ms(const weir_delivery *delivery);
/* WEIR_MSG_... */
uint32_t weir_delivery_flags(const weir_delivery *delivery);
/* Of the backend that it came from. */
const struct weir_caps *weir_delivery_caps(const weir_delivery *delivery);
/* Decodes into `event`, which borrows from the delivery. WEIR_EINVAL: a poison record. WEIR_ECORRUPT: damaged. */
int weir_delivery_event(const weir_delivery *delivery, weir_event *event, struct weir_error *err);

/* For the receiver to link and label deliveries; Weir does not look at it. */
void *weir_delivery_user(const weir_delivery *delivery);
void weir_delivery_set_user(weir_delivery *delivery, void *user);

/*
 * Settles deliveries of one subscription: ack, nack (arg: milliseconds until it
 * may come again), term. Frees them, whatever is returned, and gives their
 * credit back. WEIR_EXTEND (arg: milliseconds from now) does not free them.
 * WEIR_ESTALE: at least one was of an earlier epoch and will come again.
 */
int weir_delivery_settle(weir_delivery *const *deliveries, size_t count, enum weir_verb verb, int64_t arg);

/* Frees a delivery without settling it: it stays unsettled. Its credit is not given back. */
void weir_delivery_free(weir_delivery *delivery);

#ifdef __cplusplus
}
#endif
#endif
