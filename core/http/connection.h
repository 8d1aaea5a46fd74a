/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/connection: one client's connection, from accept to close.
 *
 *   READING    between requests, or in the middle of one
 *   HANDLING   the handler has the request
 *   STREAMING  a streamed answer is under way
 *   WRITING    an answer is complete, but the kernel has not taken all of it
 *   LINGERING  answered and closed for writing; what the client still sends is
 *              thrown away, for a reset would take the answer from it
 *   CLOSED     only its memory is left
 *
 * epoll is edge-triggered: `readable` remembers an edge until a read says that
 * there is no more. So nothing is told to epoll again for a request, and bytes
 * of the next one wait in the kernel while this one is handled.
 *
 * With TLS a connection reads (nothing, so far) until the handshake is done.
 */
#ifndef WEIR_HTTP_CONNECTION_H
#define WEIR_HTTP_CONNECTION_H

#include <sys/queue.h>

#include "base/loop.h"
#include "http/output.h"
#include "http/peers.h"
#include "http/problem.h"
#include "http/request.h"
#include "http/server.h"

enum weir_http_state {
	WEIR_HTTP_READING,
	WEIR_HTTP_HANDLING,
	WEIR_HTTP_STREAMING,
	WEIR_HTTP_WRITING,
	WEIR_HTTP_LINGERING,
	WEIR_HTTP_CLOSED,
};

struct weir_http_connection {
	struct weir_watch watch;
	struct weir_timer timer;
	int64_t since_ns; /* last progress */
	struct weir_http_server *server;
	struct weir_http_request *request;
	struct weir_http_stream *stream;
	struct weir_http_peer *peer;
	struct weir_tls_session *tls; /* NULL: plain */
	struct weir_http_output output;
	LIST_ENTRY(weir_http_connection) all;
	TAILQ_ENTRY(weir_http_connection) resume;
	uint32_t served;
	uint8_t state;
	bool readable;
	bool hangup;  /* the client will send no more: read until the end is seen */
	bool running; /* advance() is on the stack: do not free */
	bool queued;  /* in the server's resume list */
	bool closing; /* after this answer */
	bool polite;  /* the client itself asked for that: no need to linger */
	bool broken;  /* a write failed */
};

LIST_HEAD(weir_http_connections, weir_http_connection);
TAILQ_HEAD(weir_http_resumes, weir_http_connection);

/* Takes `fd`, `peer` and `tls` over, also on failure. `tls` NULL: plain. */
void weir_http_connection_open(struct weir_http_server *server, int fd, struct weir_http_peer *peer,
			       struct weir_tls_session *tls);
/* At once, whatever it is doing. A request that the handler has is orphaned; a stream is told. */
void weir_http_connection_close(struct weir_http_connection *connection);
/* Closes it if nothing of a request has come; used while the server drains. */
void weir_http_connection_close_idle(struct weir_http_connection *connection);
/* Goes on with it in the loop's next turn: the server then calls resumed(). */
void weir_http_connection_resume(struct weir_http_connection *connection);
void weir_http_connection_resumed(struct weir_http_connection *connection);

/* Writes now what can be written, keeps the rest. Sets `broken` when that fails. */
void weir_http_connection_send(struct weir_http_connection *connection, struct iovec *parts, int count);
size_t weir_http_connection_pending(const struct weir_http_connection *connection);
/* The answer has been given to send() whole: on to the next request, or the end. */
void weir_http_connection_finish(struct weir_http_connection *connection);
/* Answers with the server's own words, then closes. */
void weir_http_connection_refuse(struct weir_http_connection *connection, const struct weir_http_problem *problem);

/* ---- between connection.c and connection_read.c ------------------------------ */

/* One read, or one request; false: there is nothing to do any more. */
bool weir_http_connection_read(struct weir_http_connection *connection);
/* One read of what nobody wants; false likewise. */
bool weir_http_connection_throw_away(struct weir_http_connection *connection);
/* Makes epoll tell when the socket can be written to. */
bool weir_http_connection_wait_for_room(struct weir_http_connection *connection);
/* Something came or went: timeouts that look for progress start anew. */
void weir_http_connection_progressed(struct weir_http_connection *connection);
/* The request that was answered goes; bytes behind it stay unless `all`. */
void weir_http_connection_drop_request(struct weir_http_connection *connection, bool all);

#endif
