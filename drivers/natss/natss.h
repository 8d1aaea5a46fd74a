/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the NATS Streaming driver share: its objects, its threads,
 * and who guards what.
 *
 *   weir_inst   one instance: a session that publishes, topics, subscriptions
 *   session     one connection to the streaming server, as often as it takes:
 *               what is lost is made anew, with the subscription that is on it
 *   weir_topic  a channel of the server
 *   weir_sub    a session that reads, and what it has received and not settled
 *   entry       one event that the server counts as delivered and not acked
 *
 * Threads. The library blocks: on its connection's lock, which it holds while
 * it writes to a server that does not read and while it connects again; on
 * requests; on its limit of unconfirmed publishes. So it is called by the
 * sessions' own threads, one for each, and what the host calls leaves work for
 * them. While the server is lively and what is under way fits into the socket's
 * buffer nothing can block, and the thread is spared: publishes and acks go
 * straight through (weir_natss_session_enter). The library calls us on threads
 * of its own, also after it was told to stop; link.c keeps such calls from
 * objects that are gone.
 *
 * weir_inst.lock guards everything that is not constant after its creation, and
 * not atomic. It is never held across a call into the library. The library's
 * threads do not take it for what comes with every event: they leave it in
 * lists without locks, for poll().
 */
#ifndef WEIR_DRIVER_NATSS_H
#define WEIR_DRIVER_NATSS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nats/nats.h>

#include <weir/driver.h>

#include "../nats/login.h"
#include "inflight.h"
#include "link.h"

enum {
	WEIR_NATSS_MAX_CHANNEL = 255, /* the server's store makes a folder of that name */
	WEIR_NATSS_MAX_UID = 200,     /* becomes the durable's name */
	WEIR_NATSS_MAX_CLIENT = 128,
	WEIR_NATSS_MAX_INFLIGHT = 8192,      /* publishes accepted and not yet reported */
	WEIR_NATSS_MAX_BYTES = 64 << 20,     /* ... and their bytes */
	WEIR_NATSS_OVERHEAD = 512,           /* what the protocol adds to an event, at most */
	WEIR_NATSS_MAX_PAYLOAD = 1 << 20,    /* of a server that was not asked yet */
	WEIR_NATSS_REQUEST_MS = 2000,        /* an answer of the server */
	WEIR_NATSS_CONFIRM_MS = 8000,        /* the answer to a publish: before the host gives up */
	WEIR_NATSS_STEP_MS = 5,              /* of waiting for the library to confirm the rest */
	WEIR_NATSS_LIVELY_MS = 250,          /* so long ago at most it gave a sign of life */
	WEIR_NATSS_LIVELY_BYTES = 256 << 10, /* what the sockets of both ends take, when nobody reads */
	WEIR_NATSS_BUFFER = 512 << 10,       /* the library's: less is not written to the socket by a publish itself */
	WEIR_NATSS_LIVELY_ACKS = 128,
	WEIR_NATSS_SILENCE_MS = 4000, /* no publish is confirmed: the server is not well */
};

/* ---- settings ------------------------------------------------------------- */

struct settings {
	struct weir_nats_login login;
	char *cluster, *pattern, *client, *monitor; /* client, monitor: NULL if not set */
	uint32_t ack_wait_ms, max_inflight;
	int ping_s, ping_max;
	bool queue;      /* members share a subscription */
	bool allow_loss; /* a server that drops events is taken */
};

/* ---- objects ------------------------------------------------------------- */

/* An event about one object, kept in that object: reporting it cannot fail for lack of memory. */
struct notice {
	struct link link; /* in weir_inst.notices */
	uint32_t type;    /* enum weir_event_type */
	struct weir_topic *topic;
	struct weir_sub *sub;
	uint64_t epoch, position, position_end;
	struct weir_error error;
};

/* A publish. One block of memory; with its bytes unless the library had them at once. */
struct item {
	struct item *next; /* in weir_inst.queue or weir_inst.done */
	struct weir_inst *inst;
	struct weir_topic *topic;
	uint64_t tag;
	int64_t deadline_ns;
	uint32_t outcome;
	int code;        /* 0: persisted */
	const char *why; /* static; NULL: what the code says */
	size_t len;
	unsigned char data[];
};

struct items {
	struct item *first, *last;
};

struct weir_topic {
	struct link link; /* in weir_inst.topics */
	uint32_t opened;
	struct notice notice;
	char name[]; /* as the server has it */
};

struct session;

/* What a session is for. All of it on the session's thread; those that may be NULL say so. */
struct session_role {
	/* It is connected: the rest. After an error the connection goes. */
	int (*begin)(struct session *session, struct weir_error *err);
	/* Does what there is to do. Lock held, and given up meanwhile. False: there was nothing. */
	bool (*work)(struct session *session);
	/* At least every second; ten times a second while there is no connection. Lock held. May be NULL. */
	void (*tick)(struct session *session);
	/* It will be closed in an orderly way. May be NULL. */
	void (*leave)(struct session *session);
	/* It was closed. May be NULL. */
	void (*closed)(struct session *session);
	/* It could not be connected. Lock held. May be NULL. */
	void (*failed)(struct session *session, const struct weir_error *why);
};

struct session {
	struct weir_inst *inst;
	const struct session_role *role;
	pthread_t thread;
	pthread_cond_t wake;
	char client[WEIR_NATSS_MAX_CLIENT + 1];

	stanConnection *sc;     /* its thread's */
	stanSubscription *ssub; /* its thread's */
	uintptr_t link;         /* names this connection to the library's callbacks; 0: there is none */
	bool lost;              /* the connection is of no use any more */
	bool open;              /* connected, and others than its thread may use it */
	bool was_up;            /* once */
	_Atomic uint32_t users; /* of those, how many do */
	atomic_bool away;       /* not connected, or silent; counted in weir_inst.away */
	bool stop;
	bool persist; /* when it is to stop, it first connects if it must, until stop_ns, and until `done` */
	bool done;
	int64_t stop_ns;
};

struct weir_sub {
	struct session session; /* first */
	struct link link;       /* in weir_inst.subs */
	struct link ready_link; /* in weir_inst.ready, exactly when poll() can deliver something to it */
	struct weir_topic *topic;
	uint32_t start;
	int64_t start_value;
	uint32_t ack_wait_ms, max_inflight;
	bool ephemeral;       /* no durable: whoever ends it forgets it */
	bool shared;          /* all members read */
	bool ready;           /* WEIR_EV_SUB_READY was reported, and no failure since */
	uint16_t failed_code; /* that was reported last */

	struct weir_natss_inflight inflight;
	struct weir_natss_sequence sequence;
	_Atomic(struct entry *) arrived; /* not looked at yet, the newest first */
	struct link acks;                /* settled, to be told to the server */
	uint32_t unheard;                /* acks since it last sent something */
	uint64_t epoch, lane;
	int64_t credit_records, credit_bytes;
	bool paused;
	uint64_t redelivered;
	struct natss_lag {
		bool wanted; /* somebody has looked at it since it was asked for */
		bool known;
		int64_t at_ns;     /* when `last` was asked for */
		int64_t sure_ns;   /* from when on what was sent before the answer has arrived, too */
		uint64_t last;     /* newest sequence that the channel had then; 0: none */
		uintptr_t link;    /* of the question; 0: none is open */
		int64_t asking_ns; /* when that was asked */
		int64_t until_ns;  /* how long to wait; 0: it was answered */
		unsigned silent;   /* questions without an answer, one after the other */
		stanSubscription *ssub;
	} lag;
	struct notice state, stopped, gap, revoked;
	char uid[];
};

/* A token names the subscription; it has the same number as long as the process lives. */
struct lane {
	struct lane *next;
	uint64_t number;
	char id[]; /* channel and uid */
};

struct weir_inst {
	const struct weir_host *host;
	struct settings settings;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* publishes completed, or the state of the first session; CLOCK_MONOTONIC */
	int event_fd;           /* epoll over the two below */
	int wake_fd;            /* eventfd: readable while `signalled` */
	int timer_fd;           /* fires at armed_ns */
	atomic_bool signalled;
	atomic_bool arrivals; /* of some subscription */
	int64_t armed_ns;     /* 0: not armed */

	struct session publisher;
	bool publisher_runs;
	struct weir_error refusal;        /* why the server's limits cannot be accepted; code 0: they can */
	struct items queue;               /* accepted, not given to the library */
	struct items done;                /* completed, not reported */
	_Atomic(struct item *) confirmed; /* ... and not in `done` yet, the newest first */
	uint64_t pending;                 /* accepted, not reported */
	size_t pending_bytes;
	_Atomic uint64_t in_library, round_trips;
	_Atomic size_t library_bytes;
	bool sending;             /* the publisher's thread is */
	_Atomic int64_t heard_ns; /* when the library last confirmed one, or had none to wait for */
	bool want_writable;

	struct link topics, subs, ready, notices;
	struct lane *lanes;
	struct notice up, down, writable, caps_changed;
	uint32_t away; /* sessions that were connected, or should be, and are not */
	bool is_up;
	size_t max_payload;
	uint64_t first_epoch, next_epoch, next_lane, stale;
	struct weir_error errors[32]; /* lent until the next poll() */
};

/* ---- natss.c ---------------------------------------------------------------- */

int64_t weir_natss_now(void);
int64_t weir_natss_after_ms(int64_t from_ns, int64_t ms);
/* Milliseconds until then, 0..max. */
int weir_natss_left_ms(int64_t deadline_ns, int max);
static inline void weir_natss_lock(struct weir_inst *inst)
{
	pthread_mutex_lock(&inst->lock);
}
/* Ends a critical section; makes event_fd readable if there is something for poll() now. */
void weir_natss_unlock(struct weir_inst *inst);
/* Whether poll() has something to report. Lock held. */
bool weir_natss_has_events(const struct weir_inst *inst);
/* Makes event_fd readable. Any thread, with or without the lock. */
void weir_natss_raise(struct weir_inst *inst);
/* Lock held. */
void weir_natss_notify(struct weir_inst *inst, struct notice *notice);
void weir_natss_log(const struct weir_inst *inst, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void weir_natss_cond_init(pthread_cond_t *cond);
/* Waits until then at most. Lock held. */
void weir_natss_cond_wait(struct weir_inst *inst, pthread_cond_t *cond, int64_t until_ns);

/* ---- options.c --------------------------------------------------------------- */

extern const struct weir_option weir_natss_options[];
extern const uint32_t weir_natss_option_count;

int weir_natss_settings_init(struct settings *settings, const struct weir_setting *given, size_t count,
			     struct weir_error *err);
void weir_natss_settings_fini(struct settings *settings);

/* ---- names.c ------------------------------------------------------------------- */

/* The server's name of a channel: `pattern` with the names put in. */
int weir_natss_channel_name(const char *pattern, const char *ns, const char *name, char ret[WEIR_NATSS_MAX_CHANNEL + 1],
			    struct weir_error *err);
size_t weir_natss_pattern_literals(const char *pattern);
int weir_natss_uid_check(const char *uid, bool queue, struct weir_error *err);
/* The client that reads for a subscription: the same in every process. */
void weir_natss_reader_name(const char *channel, const char *uid, char ret[WEIR_NATSS_MAX_CLIENT + 1]);
/* A client of this process alone. `prefix` NULL: the host's name. */
void weir_natss_own_name(const char *prefix, char ret[WEIR_NATSS_MAX_CLIENT + 1]);

/* ---- errors.c -------------------------------------------------------------------- */

/* What the library or the server says, as a code; WEIR_EUNKNOWN. */
int weir_natss_code(const char *text);
/* Fills `err` for a call of the library that failed just now in this thread. printf rules. */
int weir_natss_fail(struct weir_error *err, natsStatus status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- session.c --------------------------------------------------------------------- */

void weir_natss_session_init(struct session *session, struct weir_inst *inst, const struct session_role *role);
int weir_natss_session_start(struct session *session, struct weir_error *err);
/* Asks it to end; weir_natss_session_join() waits for that. Lock held. */
void weir_natss_session_stop(struct session *session, int64_t deadline_ns);
void weir_natss_session_join(struct session *session);
void weir_natss_session_fini(struct session *session);
/* Whether it can be reached. `why`: if not. Lock held. */
void weir_natss_session_mark(struct session *session, bool away, const struct weir_error *why);
/*
 * For a call into the library on another thread than the session's, which must
 * not block: the connection stays until weir_natss_session_leave(). False: leave
 * it to the session's thread. Lock held, but not in between.
 */
bool weir_natss_session_enter(struct session *session);
/* Lock not necessary. */
void weir_natss_session_leave(struct session *session);
/* The connection is of no use: it will be made anew. Lock held. */
void weir_natss_session_lose(struct session *session);

/* ---- limits.c ---------------------------------------------------------------------- */

/*
 * Asks the server's monitoring endpoint what it drops. WEIR_OK if nothing, or
 * if that was allowed; WEIR_ELIMIT says what; WEIR_EUNAVAIL: it does not answer.
 */
int weir_natss_limits_check(const struct weir_inst *inst, struct weir_error *err);

/* ---- publish.c --------------------------------------------------------------------- */

extern const struct session_role weir_natss_publisher;

int weir_natss_publish(struct weir_inst *inst, const struct weir_publish *items, size_t count, size_t *accepted,
		       struct weir_error *err);
int weir_natss_flush(struct weir_inst *inst, int64_t deadline_ns, uint64_t *left);
/* Completes everything that the library does not have. Lock held. */
void weir_natss_queue_cancel(struct weir_inst *inst);
void weir_natss_items_free(struct items *items);
/* What was confirmed goes to weir_inst.done, in order. Lock held. */
void weir_natss_confirmed_take(struct weir_inst *inst);
size_t weir_natss_max_record(const struct weir_inst *inst);

static inline void weir_natss_items_add(struct items *items, struct item *item)
{
	item->next = NULL;
	if (items->last)
		items->last->next = item;
	else
		items->first = item;
	items->last = item;
}

static inline struct item *weir_natss_items_take(struct items *items)
{
	struct item *item = items->first;

	if (!item)
		return NULL;
	items->first = item->next;
	if (!items->first)
		items->last = NULL;
	return item;
}

/* ---- topic.c ------------------------------------------------------------------------- */

int weir_natss_topic_open(struct weir_inst *inst, const char *ns, const char *name, struct weir_topic **ret,
			  struct weir_error *err);
void weir_natss_topic_close(struct weir_inst *inst, struct weir_topic *topic);
/* Reports that all topics can be used, or why not. Lock held. */
void weir_natss_topics_tell(struct weir_inst *inst);
void weir_natss_topics_free(struct weir_inst *inst);

/* ---- sub.c: subscriptions as the host sees them ---------------------------------------- */

int weir_natss_subscribe(struct weir_inst *inst, struct weir_topic *topic, const struct weir_sub_spec *spec,
			 struct weir_sub **ret, struct weir_error *err);
int weir_natss_unsubscribe(struct weir_inst *inst, struct weir_sub *sub, int keep, int64_t deadline_ns,
			   struct weir_error *err);
int weir_natss_credit(struct weir_inst *inst, struct weir_sub *sub, int64_t records, int64_t bytes);
int weir_natss_pause(struct weir_inst *inst, struct weir_sub *sub, int on);
int weir_natss_sub_stats(struct weir_inst *inst, struct weir_sub *sub, struct weir_sub_stats *ret);
/* Ends all subscriptions, side by side. */
void weir_natss_subs_end(struct weir_inst *inst, int64_t deadline_ns);
/* Puts it into weir_inst.ready or takes it out, as its state asks. Lock held. */
void weir_natss_sub_refresh(struct weir_sub *sub);
void weir_natss_lanes_free(struct weir_inst *inst);

/* ---- reader.c: a subscription's session --------------------------------------------------- */

extern const struct session_role weir_natss_reader;

/* Looks at what has arrived. Lock held. */
void weir_natss_arrivals_take(struct weir_sub *sub);
/*
 * Of `count` settled entries in the list. True: tell the server of them with
 * weir_natss_acks_send(). Otherwise the session's thread has taken them and will.
 * Lock held.
 */
bool weir_natss_acks_take(struct weir_sub *sub, struct link *list, uint32_t count);
/* Lock not held. */
void weir_natss_acks_send(struct weir_sub *sub, struct link *list);

/* ---- lag.c ------------------------------------------------------------------------------------ */

/* How far behind the server a subscription is, as far as that is known. Lock held. */
uint64_t weir_natss_lag(struct weir_sub *sub, int64_t *at_ns);
/* Asks, or ends a question; on the session's thread. Lock held, given up meanwhile. False: there was nothing to do. */
bool weir_natss_lag_work(struct weir_sub *sub);
/* The connection goes. On the session's thread; lock not held. */
void weir_natss_lag_drop(struct weir_sub *sub);

/* ---- settle.c ------------------------------------------------------------------------------- */

int weir_natss_settle(struct weir_inst *inst, struct weir_sub *sub, int verb, const struct weir_token *tokens,
		      size_t count, int64_t arg, uint16_t *codes);
void weir_natss_release(void *lease);

/* ---- poll.c ------------------------------------------------------------------------------------ */

/* Sees to it that event_fd is readable when the first event that waits is due. Lock held. */
void weir_natss_timer_arm(struct weir_inst *inst);
int weir_natss_poll(struct weir_inst *inst, struct weir_driver_event *events, size_t max, int64_t timeout_ns,
		    size_t *count);

#endif
