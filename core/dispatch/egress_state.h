/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/egress_state: what the files of the egress share. All of it belongs to the delivery loop's thread. */
#ifndef WEIR_DISPATCH_EGRESS_STATE_H
#define WEIR_DISPATCH_EGRESS_STATE_H

#include "dispatch/egress.h"
#include "dispatch/figure.h"
#include "dispatch/lane.h"
#include "dispatch/mailbox.h"
#include "dispatch/retry.h"
#include "dispatch/sink.h"

enum {
	WEIR_FAILURE_DATA = 768, /* bytes kept of a failed answer: 1024 in base64 */
	WEIR_FAILURE_WORDS = 384,
	WEIR_FAILURE_MARKS = 8,        /* headers of a failed answer that become extensions */
	WEIR_FAILURE_MARK_BYTES = 512, /* of all of them */
	WEIR_EGRESS_BUCKETS = 16,
};

/* What a delivery is going through. */
enum weir_phase {
	WEIR_PHASE_SUBSCRIBER,
	WEIR_PHASE_DEAD_LETTER,
	WEIR_PHASE_QUARANTINE,
};

struct weir_quarantine_note;

/* How the last attempt failed, for the dead-letter sink and quarantine. */
struct weir_failure {
	struct weir_sink *destination; /* held; NULL: the record is no event */
	int status;                    /* 0: no answer came */
	char text[160];                /* for people */
	size_t data_len;
	unsigned char data[WEIR_FAILURE_DATA]; /* the answer's body */
	size_t mark_count, mark_bytes;
	char marks[WEIR_FAILURE_MARK_BYTES]; /* of each its name and its value, both with a NUL behind them */
};

/* One delivery, from the backend's hand-over until it is settled. */
struct weir_egress_item {
	struct weir_lane_item lane; /* first: an item is its lane's address */
	struct weir_egress *egress;
	weir_delivery *delivery; /* NULL: the item is free */
	struct weir_egress_item *next_free;
	struct weir_timer timer; /* until the next attempt */
	uint32_t tries;          /* attempts made in this phase */
	enum weir_phase phase;
	bool poison;
	uint32_t extend_round;             /* of the egress when it came */
	bool unfiltered;                   /* it could not be decoded when it came: the filter is asked when it can */
	struct weir_failure *failure;      /* NULL: none so far */
	struct weir_attempt *attempt;      /* under way; NULL: none */
	struct weir_quarantine_note *note; /* being written; NULL: none */
};

/* An event on its way to a sink. Pooled; keeps its memory. */
struct weir_attempt {
	struct weir_attempt *next; /* spare */
	struct weir_egress_item *item;
	struct weir_sink *sink; /* held; NULL: not sent yet */
	weir_event *event;
	struct weir_header *headers;
	size_t header_capacity;
	bool reply; /* the event is the subscriber's reply, not the delivery's event */
};

struct weir_egress_counters {
	weir_figure attempts, delivered, filtered, filter_faults, looped, retries, dead_lettered, quarantined, replies,
	    poison, stale, duration_ns;
	weir_figure duration_buckets[WEIR_EGRESS_BUCKETS];
	weir_figure in_flight, waiting;
	weir_figure failing;            /* 1: the last attempt at the subscriber, or at its reply's target, failed */
	weir_figure quarantine_failing; /* 1: the last try to write failed */
};

struct weir_egress {
	struct weir_mailbox mailbox; /* first */
	struct weir_egress_options options;
	char *name; /* of the subscription, for the log on any thread */
	/* NULL: not subscribed, or closed. Changed only by whoever subscribes and closes. */
	_Atomic(weir_subscription *) subscription;
	/* options.settings, for those who look from other threads. */
	_Atomic(const struct weir_subscription_settings *) shown;
	bool key_kept;       /* the backend keeps keys, so that lanes need not decode */
	weir_event *scratch; /* for lanes that have to */
	uint64_t key_seed;

	struct weir_lanes lanes;
	struct weir_egress_item *items; /* window of them */
	struct weir_egress_item *free_items;
	uint32_t window;

	struct weir_sink *subscriber, *reply, *dead_letter; /* NULL: there is none */

	struct weir_timer extend_timer;
	uint32_t extend_every_ms; /* 0: the backend has no deadline */
	uint32_t extend_round;

	weir_delivery **acks; /* gathered in this turn; window of them */
	size_t ack_count;
	struct weir_egress *next_unsettled;

	struct weir_egress_next {
		const struct weir_subscription_settings *settings; /* NULL: nothing is prepared */
		struct weir_sink *subscriber, *reply, *dead_letter;
	} next;

	bool draining, closing;
	void (*idle)(void *ctx);
	void *idle_ctx;
	struct weir_task drain_task;

	int64_t logged_until_ns; /* each line costs a second of the past; see weir_egress_log() */
	uint64_t unlogged;
	struct weir_egress_counters counters;
};

/* ---- egress.c ------------------------------------------------------------- */

/* Starts what may be started now. At the end of whatever may have changed that. */
void weir_egress_pump(struct weir_egress *egress);

/* Acknowledges what was gathered. */
void weir_egress_settle(struct weir_egress *egress);
/* For the backend, on its pump. */
void weir_egress_deliver(void *ctx, weir_delivery *const *deliveries, size_t count);
void weir_egress_notice(void *ctx, const struct weir_notice *notice);
/* For the mailbox. */
void weir_egress_receive(struct weir_mailbox *mailbox, const struct weir_mail *mail, size_t count);
/* A terminal outcome: the delivery will be acknowledged at the end of the turn. `counter` gets one more. */
void weir_egress_finish(struct weir_egress_item *item, weir_figure *counter);
/* The item waits and is then tried again in its phase. `nth` as weir_retry_delay_ms(). */
void weir_egress_wait(struct weir_egress_item *item, int64_t delay_ms);
/* Logs something about the subscription: a burst of ten lines, then one a second. */
__attribute__((format(printf, 3, 4))) void weir_egress_log(struct weir_egress *egress, int level, const char *format,
							   ...);

/* ---- extend.c ------------------------------------------------------------- */

/* Begins to ask for more time, if the backend wants to be asked. WEIR_ENOMEM. */
int weir_egress_extend_begin(struct weir_egress *egress);
void weir_egress_extend_end(struct weir_egress *egress);

/* ---- hops.c --------------------------------------------------------------- */

uint32_t weir_hops_of(const weir_event *event);
/* One more than `before`. WEIR_EINVAL: that is too many. */
int weir_hops_add(struct weir_egress *egress, weir_event *event, uint32_t before, struct weir_error *err);

/* ---- passing.c ------------------------------------------------------------ */

/* True: the subscription wants the event, and it is to be delivered. */
bool weir_egress_wants(struct weir_egress *egress, const weir_event *event);

/* ---- outcome.c ------------------------------------------------------------ */

/* Makes the next attempt of a running item, whatever its phase. */
void weir_egress_attempt(struct weir_egress_item *item);
/* What became of an attempt; takes it. */
void weir_egress_attempted(struct weir_attempt *attempt, const struct weir_http_result *result);
/* Keeps how an attempt failed. */
void weir_failure_note(struct weir_egress_item *item, struct weir_sink *destination, int status, const char *text,
		       struct weir_buf data);
void weir_failure_forget(struct weir_egress_item *item);

/* "http://host/: status 500", for a line of the log; NULL is allowed. Returns `words`. */
const char *weir_failure_words(const struct weir_failure *failure, char words[WEIR_FAILURE_WORDS]);

/* ---- attempt.c ------------------------------------------------------------ */

/* Becomes item->attempt. NULL: out of memory. */
struct weir_attempt *weir_attempt_take(struct weir_egress_item *item);
void weir_attempt_leave(struct weir_attempt *attempt);
void weir_attempt_free_spares(struct weir_delivery_loop *loop);
/* Sends attempt->event to a sink. weir_egress_attempted() is called later, never from inside, if it returns WEIR_OK. */
int weir_attempt_send(struct weir_attempt *attempt, struct weir_sink *sink, struct weir_error *err);
/* For the delivery loop's publisher. */
void weir_attempt_published(void *ctx, uint64_t tag, int code);

/* ---- reply.c -------------------------------------------------------------- */

enum weir_reply {
	WEIR_REPLY_NONE,    /* there is none, or nobody wants it */
	WEIR_REPLY_SENT,    /* on its way; the attempt goes on with it */
	WEIR_REPLY_INVALID, /* it claims to be an event and is none */
	WEIR_REPLY_FAILED,  /* could not be sent now */
};

/* Looks for an event in a subscriber's 200 and sends it on. */
enum weir_reply weir_reply_forward(struct weir_attempt *attempt, const struct weir_http_result *result,
				   struct weir_error *err);

/* ---- dead_letter.c -------------------------------------------------------- */

/* Keeps the headers of a failed answer that begin with "kne-", and fit. */
void weir_failure_marks(struct weir_failure *failure, const struct weir_http_result *result);
/* Adds what went wrong to the attempt's event. */
int weir_dead_letter_mark(weir_event *event, const struct weir_failure *failure, struct weir_error *err);

/* ---- quarantine_note.c ---------------------------------------------------- */

/* Has a running item's event written to quarantine; the item is finished, or waits, when that is done. */
void weir_egress_quarantine(struct weir_egress_item *item);
/* When the writer is gone. NULL is allowed. */
void weir_quarantine_note_free(struct weir_quarantine_note *note);

#endif
