/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conform/history: what was done to a driver, and what it reported, in order.
 *
 * Lives in memory that forked processes share, so that it outlives a process
 * that is killed in the middle of a case. Only appended to. Any thread of any of
 * those processes.
 */
#ifndef WEIR_CONFORM_HISTORY_H
#define WEIR_CONFORM_HISTORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weir_op_kind {
	WEIR_OP_NONE = 0,  /* a place that was taken and, its process killed, never filled */
	WEIR_OP_SUBSCRIBE, /* reader, member, topic; arg: enum weir_start */
	WEIR_OP_READY,     /* reader, member */
	WEIR_OP_CREDIT,    /* member; arg: records. Written before the call */
	WEIR_OP_PUBLISH,   /* number, topic, key. Written before the call */
	WEIR_OP_REFUSED,   /* number; code: it was not accepted after all */
	WEIR_OP_DONE,      /* number; arg: enum weir_outcome; code */
	WEIR_OP_DELIVER,   /* reader, member, number, topic, attempt, flags */
	WEIR_OP_SETTLE,    /* reader, member, number; arg: enum weir_verb; code: the answer */
	WEIR_OP_PAUSED,    /* member: the driver said so */
	WEIR_OP_RESUME,    /* member; written before the call */
	WEIR_OP_ENDED,     /* reader, member; arg: keep. Written after the call */
	WEIR_OP_REVOKED,   /* member: deliveries of it may go to others */
	WEIR_OP_DOWN,      /* the backend went away: what is out may come again */
	WEIR_OP_UP,
	WEIR_OP_CLOSED, /* in an orderly way: every member ended */
	WEIR_OP_CRASH,  /* the process was killed: every member ended, acks and completions may be lost */
	WEIR_OP_WHOLE,  /* reader: here the case expects to have received all that it must */
};

enum {
	WEIR_OP_REDELIVERED = 1u << 0,
	WEIR_OP_DAMAGED = 1u << 1, /* not what was published */
	WEIR_OP_STRANGE = 1u << 2, /* nobody published it */
};

struct weir_op {
	int64_t at_ns; /* CLOCK_MONOTONIC */
	_Atomic uint16_t kind;
	uint16_t code;
	uint32_t reader; /* 1..: a topic and a uid */
	uint32_t member; /* 1..: one subscribe() */
	uint32_t topic;  /* 1.. */
	uint64_t number; /* 1..: of the record */
	uint32_t key;    /* 0: none */
	uint32_t attempt;
	uint32_t flags;
	uint32_t reserved;
	int64_t arg;
};

struct weir_history {
	_Atomic size_t count;
	size_t room;
	struct weir_op ops[];
};

/* Shared memory for `room` operations; the pages are taken as they are used. NULL: there is none. */
struct weir_history *weir_history_new(size_t room);
void weir_history_free(struct weir_history *history);
/* Appends a copy with the time of now. False: it is full. */
bool weir_history_add(struct weir_history *history, const struct weir_op *op);
/* "deliver", ... */
const char *weir_history_kind(unsigned kind);

#endif
