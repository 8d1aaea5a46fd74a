/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the memory driver share: its objects, and who guards them.
 *
 *   weir_inst    one instance: topics, and everything that is ready for poll()
 *   weir_topic   a channel; knows the readers of it
 *   record       one published record, shared by all who need it
 *   reader       a subscription as a backend keeps it: position, what came back
 *   weir_sub     a member of a reader: credit, and the deliveries it has out
 *   delivery     one record handed to one reader, until it is settled
 *
 * Everything is guarded by weir_inst.lock, except what is marked atomic. The
 * lock is never held across malloc'ing or copying a record.
 */
#ifndef WEIR_DRIVER_MEMORY_H
#define WEIR_DRIVER_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/driver.h>

#include "../common/list.h"

enum {
	WEIR_MEMORY_MAX_NAME = 512,        /* namespace + '/' + name */
	WEIR_MEMORY_MAX_RECORD = 16 << 20, /* key + headers + body */
	WEIR_MEMORY_MAX_HEADERS = 1024,
};

/* ---- objects ------------------------------------------------------------- */

/*
 * One block of memory: this struct, the headers, the bytes.
 *
 * The records of a topic form a chain, oldest to newest, without a head: who
 * still has to read keeps a pointer into it (reader.cursor) and follows `next`.
 * A record is in the chain for as long as somebody needs it, and whoever has
 * not read one record needs all records behind it too. So `next` is valid
 * wherever a cursor can be, and no index, and no trimming, is necessary.
 */
struct record {
	atomic_uint refs;         /* leases, and one for the instance while needed != 0 */
	uint32_t needed;          /* readers that have not settled it, and one until its completion was polled */
	struct record *next;      /* published after it, on the same topic */
	struct record *next_done; /* in weir_inst.done */
	struct weir_topic *topic;
	uint64_t tag;
	uint64_t position;
	int64_t time_ms;
	size_t bytes; /* key + headers + body: what it costs in credit */
	size_t cost;  /* this block: what it costs of maxBytes */
	struct weir_record content;
	struct weir_header headers[];
};

/* An event about one object, kept in that object: reporting it cannot fail for lack of memory. */
struct notice {
	struct link link; /* in weir_inst.notices */
	uint32_t type;    /* enum weir_event_type */
	struct weir_topic *topic;
	struct weir_sub *sub;
};

struct weir_topic {
	struct link link;    /* in weir_inst.topics */
	struct link readers; /* of struct reader */
	struct record *last; /* newest record that somebody needs */
	uint64_t position;   /* of the newest record ever */
	uint32_t opened;
	uint32_t reader_count;
	struct notice ready;
	size_t ns_len;
	char name[]; /* "namespace/name" */
};

struct reader {
	struct link link;    /* in weir_topic.readers */
	struct link ready;   /* in weir_inst.ready, exactly when poll() can deliver something to it */
	struct link members; /* of struct weir_sub */
	struct link willing; /* of struct weir_sub: those with credit, the next one first */
	struct link again;   /* of struct delivery: came back and are due */
	struct weir_topic *topic;
	struct record *cursor; /* next to be delivered for the first time; NULL: all were */
	uint64_t lane;
	uint64_t lag; /* records it has not settled */
	bool ephemeral;
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
	struct link link; /* in weir_sub.out, reader.again or weir_inst.unused */
	struct record *record;
	struct reader *reader;
	struct weir_sub *owner; /* who has it; NULL: nobody, it waits */
	int64_t out_ns;         /* handed out at */
	int64_t due_ns;         /* not before */
	size_t heap;            /* place in weir_inst.waiting + 1; 0: not in it */
	uint32_t slot;
	uint32_t turn;
	uint32_t attempt;
};

struct weir_inst {
	pthread_mutex_t lock;
	int event_fd; /* epoll over the two below */
	int wake_fd;  /* eventfd: readable while `signalled` */
	int timer_fd; /* fires at armed_ns */
	bool signalled;
	int64_t starved_ns; /* there was no memory for a delivery: none before this time; 0: there is */
	int64_t armed_ns;   /* 0: not armed */

	size_t max_bytes;
	uint64_t max_records;
	size_t
	    refused_cost; /* largest record that publish() refused with WEIR_EAGAIN since WEIR_EV_WRITABLE; 0: none */
	atomic_size_t bytes; /* of records that somebody needs, or that are being copied in */
	atomic_uint_fast64_t records;

	struct link topics;  /* of struct weir_topic */
	struct link notices; /* of struct notice */
	struct link ready;   /* of struct reader */
	struct notice writable, up;
	struct record *done; /* published, completion not yet polled */
	struct record *done_last;
	uint64_t pending; /* how many those are */

	struct delivery **slots; /* all deliveries there are, by slot */
	uint32_t slot_count, slot_room;
	struct link unused;        /* of struct delivery */
	struct delivery **waiting; /* heap by due_ns; has room for slot_room */
	size_t waiting_count;

	uint64_t first_epoch, next_epoch, next_lane;
	uint64_t stale;
};

/* ---- memory.c -------------------------------------------------------------- */

int64_t weir_memory_now(void);
static inline void weir_memory_lock(struct weir_inst *inst)
{
	pthread_mutex_lock(&inst->lock);
}
/* Ends a critical section; makes event_fd readable if there is something for poll() now. */
void weir_memory_unlock(struct weir_inst *inst);
/* Whether poll() has something to report. Lock held. */
bool weir_memory_has_events(const struct weir_inst *inst);
void weir_memory_notify(struct weir_inst *inst, struct notice *notice);

/* ---- topic.c: topics, records, publishing ----------------------------------- */

int weir_memory_topic_open(struct weir_inst *inst, const char *ns, const char *name, struct weir_topic **ret,
			   struct weir_error *err);
void weir_memory_topic_close(struct weir_inst *inst, struct weir_topic *topic);
int weir_memory_topic_delete(struct weir_inst *inst, const char *ns, const char *name, int64_t deadline_ns,
			     struct weir_error *err);
void weir_memory_topic_free(struct weir_inst *inst, struct weir_topic *topic);
/* The largest record, in bytes of key, headers and body: two of them fit into maxBytes. */
size_t weir_memory_max_record(const struct weir_inst *inst);
int weir_memory_publish(struct weir_inst *inst, const struct weir_publish *items, size_t count, size_t *accepted,
			struct weir_error *err);
/* One of those who needed the record does no longer. Lock held. */
void weir_memory_record_done(struct weir_inst *inst, struct record *record);
void weir_memory_release(void *lease);

/* ---- reader.c: subscriptions, settling ---------------------------------------- */

int weir_memory_subscribe(struct weir_inst *inst, struct weir_topic *topic, const struct weir_sub_spec *spec,
			  struct weir_sub **ret, struct weir_error *err);
int weir_memory_unsubscribe(struct weir_inst *inst, struct weir_sub *sub, int keep, int64_t deadline_ns,
			    struct weir_error *err);
int weir_memory_credit(struct weir_inst *inst, struct weir_sub *sub, int64_t records, int64_t bytes);
int weir_memory_pause(struct weir_inst *inst, struct weir_sub *sub, int on);
int weir_memory_settle(struct weir_inst *inst, struct weir_sub *sub, int verb, const struct weir_token *tokens,
		       size_t count, int64_t arg, uint16_t *codes);
int weir_memory_sub_stats(struct weir_inst *inst, struct weir_sub *sub, struct weir_sub_stats *ret);
/* Forgets a reader, its members, and what it needed. Lock held. */
void weir_memory_reader_free(struct weir_inst *inst, struct reader *reader);
/* Puts the reader into weir_inst.ready or takes it out, as its state asks. Lock held. */
void weir_memory_reader_refresh(struct weir_inst *inst, struct reader *reader);
void weir_memory_sub_refresh(struct weir_inst *inst, struct weir_sub *sub);

/* ---- poll.c: deliveries, completions, timer -------------------------------------- */

int weir_memory_poll(struct weir_inst *inst, struct weir_driver_event *events, size_t max, int64_t timeout_ns,
		     size_t *count);
/* Makes a delivery that is not out come again at due_ns. Lock held. */
void weir_memory_wait(struct weir_inst *inst, struct delivery *delivery, int64_t due_ns);
/* Takes a delivery out of wherever it is, for use by another record. Lock held. */
void weir_memory_delivery_drop(struct weir_inst *inst, struct delivery *delivery);

#endif
