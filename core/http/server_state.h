/* SPDX-License-Identifier: Apache-2.0 */
/* http/server_state: what a server is made of; shared by the files that make it up. */
#ifndef WEIR_HTTP_SERVER_STATE_H
#define WEIR_HTTP_SERVER_STATE_H

#include <stdatomic.h>
#include <stddef.h>

#include "http/connection.h"
#include "http/listener.h"
#include "http/response.h"

enum { WEIR_HTTP_TRASH_BYTES = 16384 };

struct weir_http_server {
	struct weir_loop *loop;
	struct weir_http_limits limits;
	weir_http_handler *handler;
	void *ctx;
	struct weir_http_server_stats stats;
	struct weir_http_listeners listeners;
	struct weir_http_connections connections;
	struct weir_http_resumes resumes;
	uint32_t resume_count;
	uint32_t lingering; /* connections that only linger */
	struct weir_timer resume_timer;
	struct weir_http_pool pool;
	struct weir_http_peers peers;
	struct weir_http_writer writer;
	int reserve_fd; /* given up for a moment when there is no other */
	int64_t shaken_ns; /* the turn that `shaken` counts handshakes of */
	uint32_t shaken;
	bool draining;
	void (*drained)(void *ctx);
	void *drained_ctx;
	char trash[WEIR_HTTP_TRASH_BYTES]; /* where bytes of lingering connections go */
};

/* Counters have one writer, so they need no locked instruction. */
static inline void weir_http_count(_Atomic uint64_t *counter, uint64_t more)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
			      memory_order_relaxed);
}

static inline void weir_http_uncount(_Atomic uint64_t *counter)
{
	weir_http_count(counter, UINT64_MAX); /* wraps to minus one */
}

/* A connection was closed or began to linger: perhaps it was the one that a drain waits for. */
void weir_http_server_left(struct weir_http_server *server);
/* Runs the resume list in the next turn. */
void weir_http_server_wake(struct weir_http_server *server);

#endif
