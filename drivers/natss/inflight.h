/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natss/inflight: what the server has delivered and not heard of.
 *
 * The server hands out an event again whenever AckWait has passed, knowing
 * nothing of whether it is still being worked on, and nothing of acks that were
 * lost on the way. So a subscription keeps each event here, by its sequence,
 * from its first arrival until it is settled: what arrives again meanwhile is
 * the same one. And it remembers what was acked lately: that is acked again.
 *
 * Pure: no locks, no library but for its messages, whose memory entries own.
 */
#ifndef WEIR_DRIVER_NATSS_INFLIGHT_H
#define WEIR_DRIVER_NATSS_INFLIGHT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nats/nats.h>

#include "../common/list.h"

/* ---- entries ------------------------------------------------------------- */

enum weir_natss_state {
	WEIR_NATSS_NEW,     /* received, and due now */
	WEIR_NATSS_WAITING, /* nacked, and due later */
	WEIR_NATSS_OUT,     /* handed out */
	WEIR_NATSS_SETTLED, /* no longer in the table */
};

struct entry {
	struct link link;
	struct entry *chain; /* in its bucket */
	atomic_uint refs;    /* the table or the list of acks, and each lease */
	uint32_t attempt;
	enum weir_natss_state state;
	uint64_t sequence;
	int64_t time_ns; /* of publishing, by the server's clock */
	int64_t due_ns, out_ns;
	size_t len;
	const void *data;      /* in `message` */
	void *message, *newer; /* stanMsg; `newer`: the server sent it again. Only the newest can be acked */
	uintptr_t from;        /* the connection through which the newest came */
};

struct weir_natss_inflight {
	struct entry **buckets;
	size_t mask, count;                     /* count: entries in the table */
	struct link fresh, again, waiting, out; /* waiting: by due_ns */
	size_t out_count;
};

/* How the memory of a message is given back; tests set their own. */
extern void (*weir_natss_message_free)(void *message);

/* Takes the message. NULL: no memory, and the message is the caller's still. */
struct entry *weir_natss_entry_new(void *message, uint64_t sequence, int64_t time_ns, const void *data, size_t len,
				   bool redelivered, uintptr_t from);
/* NULL is allowed. */
void weir_natss_entry_unref(struct entry *entry);

/* `expected` entries at once; more only cost time. False: no memory. */
bool weir_natss_inflight_init(struct weir_natss_inflight *inflight, size_t expected);
/* Lets go of all entries. */
void weir_natss_inflight_clear(struct weir_natss_inflight *inflight);
void weir_natss_inflight_fini(struct weir_natss_inflight *inflight);

struct entry *weir_natss_inflight_find(const struct weir_natss_inflight *inflight, uint64_t sequence);
/* A new one, behind those that came before. Takes over its reference. */
void weir_natss_inflight_add(struct weir_natss_inflight *inflight, struct entry *entry);
/* `again` is the same event as `entry`: takes its message as the newest, and frees the rest of it. */
void weir_natss_inflight_merge(struct entry *entry, struct entry *again);
/* Out of the table; the table's reference is the caller's now. */
void weir_natss_inflight_remove(struct weir_natss_inflight *inflight, struct entry *entry);
/* The next to hand out: what came back first. NULL: none is due. */
struct entry *weir_natss_inflight_next(struct weir_natss_inflight *inflight, int64_t now_ns);
/* It is handed out now. */
void weir_natss_inflight_hand_out(struct weir_natss_inflight *inflight, struct entry *entry, int64_t now_ns);
/* It was handed out and shall come again then. */
void weir_natss_inflight_nack(struct weir_natss_inflight *inflight, struct entry *entry, int64_t due_ns);
/* When the first waiting one is due; INT64_MAX: none waits. */
int64_t weir_natss_inflight_due(const struct weir_natss_inflight *inflight);

/* ---- sequences ------------------------------------------------------------- */

enum { WEIR_NATSS_REMEMBERED = 1 << 18 }; /* sequences back from the newest, of which it is known what was acked */

/*
 * What has been seen of a channel's sequence. The server numbers a channel's
 * events without a gap and sends new ones in order, to one reader. So whoever
 * gets a new one that is not the next has missed some: they were lost on the
 * way, and come again on a new connection; or the server has dropped them.
 */
struct weir_natss_sequence {
	uint64_t last;      /* newest new one; 0: none yet */
	int64_t newest_ns;  /* latest time of publishing that was seen */
	bool begun;         /* on this connection, one beyond `last` has come */
	bool shared;        /* others read, too: there are gaps */
	uint8_t *acked;     /* bits, by sequence modulo WEIR_NATSS_REMEMBERED; NULL: none yet */
	uint64_t acked_top; /* bits up to here are valid */
};

enum weir_natss_arrival {
	WEIR_NATSS_TAKE,   /* deliver it */
	WEIR_NATSS_ACK,    /* was acked before: ack it again */
	WEIR_NATSS_MISSED, /* some before it were lost on the way: do not take it, connect anew */
	WEIR_NATSS_GAP,    /* deliver it; the server has dropped first..last */
	WEIR_NATSS_REBORN, /* deliver it; the channel was deleted and begins anew: nothing known before holds */
};

void weir_natss_sequence_fini(struct weir_natss_sequence *seen);
/* Forgets everything. */
void weir_natss_sequence_reset(struct weir_natss_sequence *seen);
/* Another connection: what was sent on the last one and not acked comes again, in order. */
void weir_natss_sequence_reconnect(struct weir_natss_sequence *seen);
/* Judges an event that is not in the table. *first and *last are set for a gap. */
enum weir_natss_arrival weir_natss_sequence_arrive(struct weir_natss_sequence *seen, uint64_t sequence, int64_t time_ns,
						   bool redelivered, uint64_t *first, uint64_t *last);
/* Remembers it; without memory it does not. */
void weir_natss_sequence_acked(struct weir_natss_sequence *seen, uint64_t sequence);

#endif
