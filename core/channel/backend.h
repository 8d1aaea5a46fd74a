/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel/backend: one open instance of a driver and the thread that serves it.
 *
 * The pump opens the instance, waits for its events, hands them on in batches,
 * and closes it. Where things are:
 *   backend.c   life: open, close, references, waiting for the pump
 *   pump.c      the thread: waiting, polling, deadlines of publishes
 *   dispatch.c  what an event means, and whom it is for
 *
 * Locks, none of which is held across a call into the driver or a callback:
 *   lock        stage, up, errors, topics' and subscriptions' state, the pump's turn
 *   map_lock    which object a driver's pointer stands for
 *   lanes_lock  which publisher has which lane
 * A thread that holds one takes no other.
 */
#ifndef WEIR_CHANNEL_BACKEND_H
#define WEIR_CHANNEL_BACKEND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <weir/channel.h>

#include "channel/guard.h"
#include "channel/lane.h"
#include "channel/ptrmap.h"

enum { WEIR_PUMP_BATCH = 256, WEIR_EARLY_MAX = 1024 };

enum weir_stage {
	WEIR_STAGE_OPENING,
	WEIR_STAGE_OPEN,
	WEIR_STAGE_FAILED,
	WEIR_STAGE_CLOSED,
};

/* Ways in which a driver breaks its contract; each is logged once and counted. */
enum weir_breach {
	WEIR_BREACH_TWICE,       /* completed a publish a second time */
	WEIR_BREACH_UNKNOWN_TAG, /* completed what it was never given */
	WEIR_BREACH_OUTCOME,     /* an outcome that is none */
	WEIR_BREACH_CREDIT,      /* delivered more than it had credit for */
	WEIR_BREACH_UNKNOWN_SUB, /* an event about a subscription that is none, or none any more */
	WEIR_BREACH_EVENT,       /* an event that lacks what its type names */
	WEIR_BREACH_POLL,        /* poll failed */
	WEIR_BREACH_SPIN,        /* its event_fd is readable and poll has nothing */
	WEIR_BREACH_BLOCKED,     /* publish took longer than a second */
	WEIR_BREACH_COUNT
};

struct weir_early;

struct weir_caps_link {
	struct weir_caps_link *older;
	struct weir_caps caps;
};

struct weir_backend {
	struct weir_backend *next; /* of the runtime; under its lock, as is `users` */
	unsigned users;            /* places, and whoever asks for its capabilities at this moment */
	_Atomic bool over;         /* closed, and nothing will be told any more */
	_Atomic bool broken;       /* it is of no use any more: to be closed as soon as nobody is on it */
	weir_runtime *runtime;
	_Atomic uint64_t refs;
	char *kind;
	struct weir_loaded *driver;
	struct weir_host host;
	struct weir_guard guard;
	weir_log_fn *log;
	void *log_ctx;
	_Atomic bool muted; /* the runtime is gone: the log must not be called */
	int64_t publish_timeout_ms;

	const struct weir_setting *settings; /* until it is open */
	size_t setting_count;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum weir_stage stage;
	struct weir_error error; /* of open, of close, or why it is dead */
	bool up;
	bool fatal;
	struct weir_error down;
	bool busy; /* the pump is in a turn */
	uint64_t turns;
	bool thread_gone;

	_Atomic(struct weir_caps_link *) caps;

	/* The pump's. */
	pthread_t thread;
	int wake_fd, event_fd;
	_Atomic bool woken;
	_Atomic bool draining; /* no new publishes; tell when none is pending */
	_Atomic bool stop;
	int64_t close_deadline_ns; /* set before `stop` */
	_Atomic bool attention;    /* a subscription may hand out what was held back */
	struct weir_driver_event *events;
	void **objects;   /* whom each event is for */
	size_t at, count; /* events not dispatched yet */
	unsigned empty_polls;
	struct weir_lane *touched_lanes;
	struct weir_feed *touched_subs;
	weir_delivery **out;
	int64_t next_expiry_ns;
	bool dead;                 /* as `fatal` */
	int64_t throttle_quiet_ns; /* until when being slowed down is not logged again */

	pthread_mutex_t map_lock;
	struct weir_ptrmap subs, topics;
	unsigned opening;         /* topic_open and subscribe calls whose result is not in the maps yet */
	struct weir_early *early; /* events about those */
	size_t early_count;

	pthread_mutex_t lanes_lock;
	_Atomic(struct weir_lane *) lanes[WEIR_LANES_MAX];
	_Atomic uint32_t lane_count;
	struct weir_lane *spare_lanes;

	_Atomic uint64_t breaches[WEIR_BREACH_COUNT];
	_Atomic uint64_t late_persisted; /* persisted after the publisher had been told UNKNOWN */
	_Atomic uint64_t timeouts;       /* publishes that no completion came for in time */
};

/* Milliseconds after which an open that does not return is reported and given up; 30 s. For tests. */
extern _Atomic int64_t weir_backend_open_patience_ms;

/*
 * Makes one and starts its pump, which opens the instance; waits until that is
 * done. The settings are borrowed for as long as the driver's open takes. *ret has
 * one reference.
 */
int weir_backend_open(weir_runtime *runtime, struct weir_loaded *driver, const char *kind,
		      const struct weir_setting *settings, size_t setting_count, struct weir_backend **ret,
		      struct weir_error *err);
/*
 * In three steps, so that several close at the same time: refuse publishes and
 * have the driver send what it has; wait until nothing is pending; close. The
 * last waits for the pump until deadline_ns + 0.9 s, and gives up on it then.
 */
void weir_backend_drain(struct weir_backend *backend);
bool weir_backend_drained(struct weir_backend *backend, int64_t deadline_ns);
void weir_backend_stop(struct weir_backend *backend, int64_t deadline_ns);
int weir_backend_stopped(struct weir_backend *backend, int64_t deadline_ns, struct weir_error *err);

void weir_backend_ref(struct weir_backend *backend);
void weir_backend_unref(struct weir_backend *backend);

/* Has the pump make a turn. Any thread. */
void weir_backend_wake(struct weir_backend *backend);
/*
 * Waits until a turn of the pump that is under way has ended: what was polled
 * before is dispatched then. False: not by deadline_ns + 0.9 s.
 */
bool weir_backend_sync(struct weir_backend *backend, int64_t deadline_ns);
bool weir_backend_on_pump(const struct weir_backend *backend);

const struct weir_caps *weir_backend_caps(const struct weir_backend *backend);
/* WEIR_OK if it is open, alive and up. `lock` is held. */
int weir_backend_ready_locked(const struct weir_backend *backend, struct weir_error *err);
uint64_t weir_backend_pending(const struct weir_backend *backend);
/* Whether a publish is pending whose deadline is not behind `deadline_ns`. Any thread. */
bool weir_backend_pending_until(const struct weir_backend *backend, int64_t deadline_ns);

/* Around a call that gives a pointer which events may name before it has returned. */
void weir_backend_begin_opening(struct weir_backend *backend);
/* `object` NULL: the call failed. WEIR_ENOMEM: it is not in the map, undo the call. */
int weir_backend_end_opening(struct weir_backend *backend, struct weir_ptrmap *map, const void *key, void *object);
void weir_backend_forget(struct weir_backend *backend, struct weir_ptrmap *map, const void *key, const void *object);

/* Logs for people: "driver NAME: ...". Any thread, no lock held. */
__attribute__((format(printf, 3, 4))) void weir_backend_log(struct weir_backend *backend, int level, const char *format,
							    ...);
void weir_backend_breach(struct weir_backend *backend, enum weir_breach breach);

/* ---- between the files of the pump --------------------------------------- */

void *weir_pump_main(void *backend);
/* Dispatches events [at, count). False: memory is short or a queue is full; the rest has to wait. */
bool weir_dispatch(struct weir_backend *backend);
/* Hands over what a turn has gathered. */
void weir_dispatch_flush(struct weir_backend *backend);
void weir_dispatch_early(struct weir_backend *backend);
/* The last events, when nothing is polled any more: completions count, deliveries are given back. */
void weir_dispatch_rest(struct weir_backend *backend);
/* The instance is dead. */
void weir_dispatch_fatal(struct weir_backend *backend, const struct weir_error *why);
void weir_dispatch_free_early(struct weir_backend *backend);
/* Completes publishes whose deadline is before `before_ns`. */
void weir_dispatch_expire(struct weir_backend *backend, int64_t before_ns);

#endif
