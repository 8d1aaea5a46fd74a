/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the embedded driver share: its objects, and who guards
 * them. The store itself is behind store.h.
 *
 *   weir_inst    one open store
 *   weir_topic   a channel; all topics of the store are here, opened or not
 *   record       one record in memory: queued, just written, or read back
 *   reader       a subscription: its durable position, what is in flight
 *   weir_sub     a member of a reader: credit, and the deliveries it has out
 *   delivery     one position handed to one reader, until it is settled
 *   op           a change to topics and subscriptions, for the writer thread
 *
 * Everything is guarded by weir_inst.lock, except what is marked otherwise. The
 * lock is never held across a call into the store.
 */
#ifndef WEIR_DRIVER_EMBEDDED_H
#define WEIR_DRIVER_EMBEDDED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/driver.h>

#include "codec.h"
#include "store.h"
#include "../common/list.h"

enum {
	WEIR_EMBEDDED_MAX_HEADERS = 1024,
	WEIR_EMBEDDED_MAX_TOPICS = 65536,
	WEIR_EMBEDDED_AHEAD = 64,               /* records read at once, at most ... */
	WEIR_EMBEDDED_AHEAD_BYTES = 256 << 10,  /* ... and bytes, but for the last */
	WEIR_EMBEDDED_CACHE_BYTES = 8 << 20,    /* of records kept in memory after they were written */
	WEIR_EMBEDDED_MAX_UNSETTLED = 65536,    /* of a subscription; more wait in the store */
	WEIR_EMBEDDED_PENDING_BYTES = 64 << 20, /* of records that wait for the writer */
};
/* Key + headers + body. With what is stored around them it stays below 16 MiB. */
#define WEIR_EMBEDDED_MAX_RECORD ((16u << 20) - (64u << 10))

/* ---- objects ------------------------------------------------------------------------ */

/* Why a publish did not end well. */
enum cause {
	CAUSE_NONE,
	CAUSE_FULL,   /* no room; weir_inst.full says more */
	CAUSE_FATAL,  /* the store is dead; weir_inst.fatal says more */
	CAUSE_CLOSED, /* given up at close */
};

/*
 * One block of memory: this struct, the headers, the bytes as they are stored.
 * `content` points into it. A lease is a reference.
 */
struct record {
	atomic_uint refs;
	uint32_t sum;        /* checksum so far; the writer adds the key */
	struct record *next; /* in the queue to the writer, then among the completions */
	struct weir_topic *topic;
	uint64_t tag;
	uint64_t position;
	int64_t time_ms;
	size_t bytes; /* key + headers + body: what it costs in credit */
	uint8_t outcome;
	uint8_t cause;
	bool damaged;
	bool group; /* persists together with the next */
	struct weir_record content;
	size_t blob_len;
	unsigned char *blob;
	struct weir_header headers[];
};

/* An event about one object, kept in that object: reporting it cannot fail for lack of memory. */
struct notice {
	struct link link; /* in weir_inst.notices */
	uint32_t type;    /* enum weir_event_type */
	struct weir_topic *topic;
	struct weir_sub *sub;
	bool failed; /* weir_inst.full goes with it */
};

enum topic_state {
	TOPIC_NEW, /* the writer will make it */
	TOPIC_READY,
	TOPIC_FAILED, /* could not be made; the next topic_open tries again */
};

struct weir_topic {
	struct link link;      /* in weir_inst.topics */
	struct link readers;   /* of struct reader */
	struct link trim;      /* in weir_inst.trims: records may have become superfluous */
	uint64_t id;           /* 0: it is not in the store */
	uint64_t first, last;  /* oldest and newest record stored; first == last + 1: none. Set by the writer */
	uint32_t reader_count; /* without the ephemeral ones */
	uint32_t opened;
	enum topic_state state;
	struct notice ready;

	/* Records written last, for readers that are up to date: positions cache_first and on. A ring. */
	struct record **cache;
	size_t cache_room, cache_at, cache_count;
	uint64_t cache_first;

	/* The writer's own. */
	struct weir_topic *touched;
	bool is_touched;
	uint64_t staged; /* last position given in the transaction */
	struct weir_topic *trim_next;
	bool trim_by_age;
	uint64_t trim_upto;  /* not needed up to here */
	uint64_t trim_first; /* the oldest record that is left after the transaction */

	size_t ns_len;
	char name[]; /* "namespace/name" */
};

struct reader {
	struct link link;      /* in weir_topic.readers */
	struct link ready;     /* in weir_inst.ready, exactly when poll() can deliver something to it */
	struct link dirty;     /* in weir_inst.dirty: the store does not know its state yet */
	struct link members;   /* of struct weir_sub */
	struct link willing;   /* of struct weir_sub: those with credit, the next one first */
	struct link unsettled; /* of struct delivery, by rising position */
	struct link again;     /* of struct delivery: came back and are due */
	struct weir_topic *topic;
	uint64_t next; /* position to be delivered next for the first time */
	uint64_t lane;
	uint64_t saved_floor; /* up to here the store knows that it is settled */
	uint32_t unsettled_count;
	bool live;      /* its position is durable */
	bool making;    /* it is about to become so */
	bool ephemeral; /* not in the store: no cursor, and records are not kept or trimmed for it */
	bool gone;      /* it is about to be forgotten */
	bool busy;      /* poll() reads for it without the lock */
	bool dead;      /* to be freed by poll() when it is not busy any more */

	struct record *ahead[WEIR_EMBEDDED_AHEAD]; /* read for it: positions ahead_first and on; NULL: taken */
	uint64_t ahead_first;
	size_t ahead_count;
	char uid[];
};

struct weir_sub {
	struct link member;  /* in reader.members */
	struct link willing; /* in reader.willing */
	struct link out;     /* of struct delivery, in the order they were handed out */
	struct reader *reader;
	struct notice ready, stopped;
	uint64_t epoch;
	int64_t credit_records, credit_bytes;
	uint64_t unsettled;
	uint64_t redelivered;
	bool paused;
};

/* Deliveries are made once and used again. A token names one by slot and by `turn`, which changes at each hand-out. */
struct delivery {
	struct link link;      /* in weir_sub.out, reader.again or weir_inst.unused */
	struct link unsettled; /* in reader.unsettled */
	struct reader *reader;
	struct weir_sub *owner; /* who has it; NULL: nobody, it waits */
	uint64_t position;
	int64_t out_ns; /* handed out at */
	int64_t due_ns; /* not before */
	size_t heap;    /* place in weir_inst.waiting + 1; 0: not in it */
	uint32_t slot;
	uint32_t turn;
	uint32_t attempt;
};

enum op_type {
	OP_TOPIC_MAKE,
	OP_TOPIC_DELETE, /* waited for */
	OP_SUB_MAKE,
	OP_SUB_FORGET, /* waited for */
	OP_FLUSH,      /* waited for: cursors become durable */
};

struct op {
	struct op *next;
	enum op_type type;
	struct weir_topic *topic;
	struct reader *reader;
	uint32_t start; /* OP_SUB_MAKE */
	int64_t start_value;
	uint64_t found; /* OP_SUB_MAKE: the position it starts at */
	bool waited;    /* somebody waits for `done`, and frees it */
	bool done;
	bool again; /* OP_TOPIC_DELETE: there is more to delete */
	int code;
};

struct weir_inst {
	pthread_mutex_t lock;
	pthread_cond_t work; /* for the writer */
	pthread_cond_t idle; /* the writer did something */
	struct weir_host host;
	int event_fd; /* epoll over the two below */
	int wake_fd;  /* eventfd: readable while `signalled` */
	int timer_fd; /* fires at armed_ns */
	int lock_fd;
	bool signalled;
	int64_t starved_ns; /* there was no memory for a delivery: none before this time; 0: there is */
	int64_t armed_ns;   /* 0: not armed */

	/* Settings. */
	char *path;
	bool sync;
	uint64_t max_bytes;
	uint64_t max_pending;
	int64_t delay_ns;
	int64_t retention_ms;

	struct weir_embedded_store *store;
	struct link topics; /* of struct weir_topic */
	uint64_t topic_count;
	uint64_t next_topic; /* the writer's */
	struct link notices; /* of struct notice */
	struct link ready;   /* of struct reader */
	struct notice writable, up, died;

	/* For the writer. */
	pthread_t writer;
	bool writer_waits;
	struct record *queue, *queue_last;
	int64_t queued_ns;
	uint64_t queued;       /* records accepted and not decided */
	uint64_t queued_bytes; /* of them */
	bool refused;          /* publish() answered WEIR_EAGAIN */
	struct op *ops, *ops_last;
	struct link dirty;   /* of struct reader */
	int64_t dirty_ns;    /* since when */
	struct link trims;   /* of struct weir_topic */
	int64_t retry_ns;    /* no housekeeping before: the last one found no room */
	int64_t sweep_ns;    /* next look for what is expired */
	int64_t unsynced_ns; /* since when commits wait for a sync; 0: none do */
	bool stop, abort, gave_up, ended;
	int64_t stop_ns;

	/* From the writer. */
	struct record *done, *done_last;
	uint64_t done_count;
	uint64_t cache_bytes;
	bool is_full, is_fatal;
	bool full_told;        /* the log says that it is full */
	int64_t full_quiet_ns; /* until then it is not said again */
	struct weir_error full, fatal;
	struct weir_error lent_full, lent_fatal, lent_closed; /* poll()'s copies */
	char say[600];                                        /* for the log, when the lock is given up; "": nothing */
	int say_level;

	struct delivery **slots; /* all deliveries there are, by slot */
	uint32_t slot_count, slot_room;
	struct link unused;        /* of struct delivery */
	struct delivery **waiting; /* heap by due_ns; has room for slot_room */
	size_t waiting_count;

	uint64_t first_epoch, next_epoch, next_lane;
	uint64_t stale;
};

/* ---- embedded.c ------------------------------------------------------------------------- */

int64_t weir_embedded_now(void);
int64_t weir_embedded_time_ms(void);
static inline void weir_embedded_lock_take(struct weir_inst *inst)
{
	pthread_mutex_lock(&inst->lock);
}
/* Ends a critical section; makes event_fd readable if there is something for poll() now. */
void weir_embedded_lock_give(struct weir_inst *inst);
/* Whether poll() has something to report. Lock held. */
bool weir_embedded_has_events(const struct weir_inst *inst);
void weir_embedded_notify(struct weir_inst *inst, struct notice *notice);
/* The store cannot be used any more. Lock held. */
void weir_embedded_die(struct weir_inst *inst, const struct weir_error *err);
/* Lock held. Has the writer log it without the lock. level as weir_host.log. */
void weir_embedded_say(struct weir_inst *inst, int level, const char *text);
/* Lock not held. */
void weir_embedded_log(const struct weir_inst *inst, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- options.c ---------------------------------------------------------------------------- */

extern const struct weir_option weir_embedded_options[];
extern const uint32_t weir_embedded_option_count;
int weir_embedded_settings(struct weir_inst *inst, const struct weir_setting *settings, size_t count,
			   struct weir_error *err);

/* ---- record.c ------------------------------------------------------------------------------ */

/* The largest record, in the next function's terms: two of them fit into maxBytes. */
size_t weir_embedded_max_record(const struct weir_inst *inst);
/* Key + headers + body. */
size_t weir_embedded_record_bytes(const struct weir_record *content);
/* Both return NULL without memory. One reference. */
struct record *weir_embedded_record_new(const struct weir_record *content, size_t bytes, int64_t time_ms);
struct record *weir_embedded_record_stored(const struct weir_embedded_stored *stored);
struct record *weir_embedded_record_ref(struct record *record);
void weir_embedded_release(void *lease);

/* ---- topic.c: topics, and the memory of what was written last --------------------------------- */

int weir_embedded_topic_open(struct weir_inst *inst, const char *ns, const char *name, struct weir_topic **ret,
			     struct weir_error *err);
void weir_embedded_topic_close(struct weir_inst *inst, struct weir_topic *topic);
int weir_embedded_topic_delete(struct weir_inst *inst, const char *ns, const char *name, int64_t deadline_ns,
			       struct weir_error *err);
struct weir_topic *weir_embedded_topic_new(struct weir_inst *inst, const char *ns, size_t ns_len, const char *name,
					   size_t name_len);
/* Lock held, for these. */
void weir_embedded_topic_free(struct weir_inst *inst, struct weir_topic *topic);
/* Keeps the record in memory if a reader will want it next. `position` follows the one before. */
void weir_embedded_cache_add(struct weir_inst *inst, struct weir_topic *topic, struct record *record);
/* A reference, or NULL. */
struct record *weir_embedded_cache_get(struct weir_topic *topic, uint64_t position);
/* Drops what no reader will want next. */
void weir_embedded_cache_trim(struct weir_inst *inst, struct weir_topic *topic);

/* ---- publish.c ------------------------------------------------------------------------------------ */

int weir_embedded_publish(struct weir_inst *inst, const struct weir_publish *items, size_t count, size_t *accepted,
			  struct weir_error *err);
int weir_embedded_flush(struct weir_inst *inst, int64_t deadline_ns, uint64_t *left);

/* ---- reader.c: subscriptions, settling -------------------------------------------------------------- */

int weir_embedded_subscribe(struct weir_inst *inst, struct weir_topic *topic, const struct weir_sub_spec *spec,
			    struct weir_sub **ret, struct weir_error *err);
int weir_embedded_unsubscribe(struct weir_inst *inst, struct weir_sub *sub, int keep, int64_t deadline_ns,
			      struct weir_error *err);
int weir_embedded_credit(struct weir_inst *inst, struct weir_sub *sub, int64_t records, int64_t bytes);
int weir_embedded_pause(struct weir_inst *inst, struct weir_sub *sub, int on);
int weir_embedded_settle(struct weir_inst *inst, struct weir_sub *sub, int verb, const struct weir_token *tokens,
			 size_t count, int64_t arg, uint16_t *codes);
int weir_embedded_sub_stats(struct weir_inst *inst, struct weir_sub *sub, struct weir_sub_stats *ret);
/* Lock held, for these. */
struct reader *weir_embedded_reader_new(struct weir_inst *inst, struct weir_topic *topic, const char *uid, size_t len);
/* Forgets a reader, its members, and what is in flight. */
void weir_embedded_reader_free(struct weir_inst *inst, struct reader *reader);
/* Puts the reader into weir_inst.ready or takes it out, as its state asks. */
void weir_embedded_reader_refresh(struct weir_inst *inst, struct reader *reader);
void weir_embedded_sub_refresh(struct weir_inst *inst, struct weir_sub *sub);
/* Every position up to this one is settled. */
uint64_t weir_embedded_reader_floor(const struct reader *reader);
/* The state that the store knows is not the state that is. */
void weir_embedded_reader_changed(struct weir_inst *inst, struct reader *reader);

/* ---- delivery.c: what is in flight, and what waits ------------------------------------------------------ */

/* Lock held, for all. */
/* A new one for a position above all that the reader has unsettled; NULL without memory. */
struct delivery *weir_embedded_delivery_new(struct weir_inst *inst, struct reader *reader, uint64_t position);
/* Settled, or of no use any more. */
void weir_embedded_delivery_free(struct weir_inst *inst, struct delivery *delivery);
/* Makes one that is not out come again at due_ns; 0: at once. */
void weir_embedded_delivery_wait(struct weir_inst *inst, struct delivery *delivery, int64_t due_ns);
/* There was no memory for a delivery. Trying again at once would keep poll() running for nothing. */
void weir_embedded_starve(struct weir_inst *inst);
/* Moves what is due to its reader. */
void weir_embedded_timer_run(struct weir_inst *inst);

/* ---- poll.c -------------------------------------------------------------------------------------------------- */

int weir_embedded_poll(struct weir_inst *inst, struct weir_driver_event *events, size_t max, int64_t timeout_ns,
		       size_t *count);

/* ---- writer.c ------------------------------------------------------------------------------------------------- */

int weir_embedded_writer_start(struct weir_inst *inst, struct weir_error *err);
/* Lock held. Wakes the writer if it waits. */
void weir_embedded_writer_wake(struct weir_inst *inst);
/* Lock held. The writer owns it from now on, unless it is waited for. */
void weir_embedded_op_submit(struct weir_inst *inst, struct op *op);
/* Takes the lock. Waits for an op and frees it, or leaves it to the writer at the deadline: WEIR_ETIMEDOUT. */
int weir_embedded_op_wait(struct weir_inst *inst, struct op *op, int64_t deadline_ns, struct weir_error *err);

/* ---- transaction.c: what the writer does with the store ------------------------------------------------------- */

/* The state of a subscription at one moment, sealed. */
struct snapshot {
	struct snapshot *next;
	struct reader *reader;
	size_t len;
	unsigned char blob[];
};

/* One transaction. Filled and applied with the lock held, written without it. */
struct batch {
	struct op *ops;
	struct record *records;
	struct snapshot *snapshots;
	struct weir_topic *trims;
	struct weir_topic *touched; /* topics that records were written to */
	int64_t expired_ms;         /* what is older may go, where no subscription needs it */
	int code;                   /* of the whole */
	int records_code;           /* of the records */
	bool starved;               /* there was no memory for all cursors */
	bool wrote;                 /* something was committed */
	bool tried;                 /* a commit failed that had the records in it: they may be stored */
	struct weir_error error;
};

/*
 * Writes it. Fills code and records_code, which are WEIR_OK, or WEIR_ELIMIT or
 * WEIR_ENOMEM if it may work later; any other code is the end of the store.
 */
void weir_embedded_batch_write(struct weir_inst *inst, struct batch *batch);

#endif
