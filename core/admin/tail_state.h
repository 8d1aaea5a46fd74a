/* SPDX-License-Identifier: Apache-2.0 */
/* admin/tail_state: a tail, and which thread may touch what of it. Internal to the tails. */
#ifndef WEIR_ADMIN_TAIL_STATE_H
#define WEIR_ADMIN_TAIL_STATE_H

#include <pthread.h>

#include "admin/tail.h"
#include "admin/tail_query.h"
#include "base/dynbuf.h"
#include "base/loop.h"

enum { WEIR_ADMIN_TAIL_WINDOW = 64 }; /* deliveries that are out and not settled */

enum weir_admin_tail_stage {
	WEIR_ADMIN_TAIL_OPENING, /* the worker subscribes; `request` waits for its answer */
	WEIR_ADMIN_TAIL_OPEN,
	WEIR_ADMIN_TAIL_CLOSING, /* the worker ends the subscription */
};

struct weir_admin_tail {
	struct weir_admin_tail *next;     /* of all, the loop's */
	struct weir_admin_tail *next_job; /* the worker's */
	struct weir_admin_tails *tails;
	struct weir_admin_tail_query query;
	enum weir_admin_tail_stage stage;
	bool ending; /* wanted by the loop; while it opens: to be closed as soon as it is open */

	/* the worker's while it opens and closes, read by the loop otherwise */
	weir_channel *channel;
	weir_subscription *subscription;
	int code; /* of opening */
	struct weir_error error;
	struct weir_task done; /* the worker has done its job */

	/* the loop's */
	struct weir_http_request *request;
	struct weir_http_stream *stream; /* NULL: the reader is gone, or not there yet */
	struct weir_timer retry;
	weir_event *event;
	struct weir_dynbuf line;
	uint64_t left; /* events to write; UINT64_MAX: without end */
	weir_delivery *pending[WEIR_ADMIN_TAIL_WINDOW];
	size_t pending_count;

	/* between the pump and the loop */
	pthread_mutex_t lock;
	pthread_cond_t noticed; /* readiness may have changed */
	weir_delivery *arrived[WEIR_ADMIN_TAIL_WINDOW];
	size_t arrived_count;
	bool posted;
	struct weir_task arrival;
};

struct weir_admin_tails {
	struct weir_loop *loop;
	struct weir_dispatcher *dispatcher;
	pthread_t worker;
	struct weir_task drain;

	struct weir_admin_tail *first; /* the loop's */
	size_t count;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t changed;
	struct weir_admin_tail *jobs, **jobs_end;
	size_t open; /* tails that exist */
	bool draining, stop;
};

/* ---- tail_subscription.c ---------------------------------------------------------- */

/* The thread that subscribes and unsubscribes; `ctx`: struct weir_admin_tails. Ends when `stop` is set. */
void *weir_admin_tail_worker(void *ctx);
/* Hands it a tail that is opening or closing; tail->done is posted when that is done. From the loop. */
void weir_admin_tail_give(struct weir_admin_tail *tail);

#endif
