/* SPDX-License-Identifier: Apache-2.0 */
#include "http/connection.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/mem.h"
#include "http/server_state.h"
#include "http/stream.h"
#include "http/tls_session.h"

enum {
	STEPS_PER_TURN = 16, /* reads or requests; then the others have their turn */
	LINGER_MS = 5000,
};

#define READ_EVENTS ((uint32_t)(EPOLLIN | EPOLLRDHUP | EPOLLET))

WEIR_HTTP_PROBLEM(too_slow, 408, "request_timeout", "The request did not arrive in time.");

/* ---- time ------------------------------------------------------------------ */

static bool is_shaking_hands(const struct weir_http_connection *connection)
{
	return connection->tls && !weir_tls_session_is_open(connection->tls);
}

static int64_t read_deadline(const struct weir_http_connection *connection)
{
	const struct weir_http_limits *limits = &connection->server->limits;
	const struct weir_http_request *request = connection->request;
	int64_t part, whole;

	if (is_shaking_hands(connection))
		return weir_clock_after_ms(connection->since_ns, limits->header_timeout_ms);
	if (!request || weir_http_parser_idle(&request->parser))
		return weir_clock_after_ms(connection->since_ns, limits->idle_timeout_ms);
	whole = weir_clock_after_ms(request->started_ns, limits->request_timeout_ms);
	if (weir_http_parser_in_head(&request->parser))
		part = weir_clock_after_ms(request->started_ns, limits->header_timeout_ms);
	else
		part = weir_clock_after_ms(connection->since_ns, limits->body_idle_timeout_ms);
	return part < whole ? part : whole;
}

static int64_t deadline_of(const struct weir_http_connection *connection)
{
	switch (connection->state) {
	case WEIR_HTTP_READING:
		return read_deadline(connection);
	case WEIR_HTTP_LINGERING:
		return weir_clock_after_ms(connection->since_ns, LINGER_MS);
	default:
		/* How long the handler takes is the handler's business. */
		if (!weir_http_connection_pending(connection))
			return WEIR_NS_NEVER;
		return weir_clock_after_ms(connection->since_ns, connection->server->limits.write_timeout_ms);
	}
}

/* A timer that is too early is left alone, so that it is not moved for each request: it fires, and is set again then.
 */
static void arm(struct weir_http_connection *connection)
{
	struct weir_timer *timer = &connection->timer;
	int64_t deadline_ns = deadline_of(connection);

	if (deadline_ns == WEIR_NS_NEVER || (timer->slot && timer->deadline_ns <= deadline_ns))
		return;
	if (weir_loop_timer_set(connection->server->loop, timer, deadline_ns) == WEIR_OK)
		return;
	connection->broken = true;
	weir_http_connection_resume(connection);
}

void weir_http_connection_progressed(struct weir_http_connection *connection)
{
	connection->since_ns = weir_loop_now(connection->server->loop);
}

/* ---- the end ---------------------------------------------------------------- */

static void detach(struct weir_http_connection *connection)
{
	struct weir_http_server *server = connection->server;

	if (connection->queued) {
		TAILQ_REMOVE(&server->resumes, connection, resume);
		server->resume_count--;
	}
	if (connection->state == WEIR_HTTP_LINGERING)
		server->lingering--;
	LIST_REMOVE(connection, all);
	weir_http_uncount(&server->stats.connections);
	weir_http_peers_give(&server->peers, connection->peer);
	if (connection->request && connection->state == WEIR_HTTP_HANDLING)
		weir_http_request_orphan(&server->pool, connection->request);
	else if (connection->request)
		weir_http_pool_give(&server->pool, connection->request);
	connection->request = NULL;
}

void weir_http_connection_close(struct weir_http_connection *connection)
{
	struct weir_http_server *server = connection->server;
	struct weir_http_stream *stream = connection->stream;

	if (connection->state == WEIR_HTTP_CLOSED)
		return;
	weir_loop_unwatch(server->loop, &connection->watch);
	weir_loop_timer_cancel(server->loop, &connection->timer);
	weir_tls_session_free(connection->tls);
	connection->tls = NULL;
	close(connection->watch.fd);
	detach(connection);
	weir_http_output_fini(&connection->output);
	connection->state = WEIR_HTTP_CLOSED;
	connection->stream = NULL;
	if (!connection->running)
		weir_mem_free(connection);
	weir_http_server_left(server);
	weir_http_stream_gone(stream);
}

static void reset_connection(struct weir_http_connection *connection)
{
	struct linger linger = { 1, 0 };

	/* Nothing more is said, not even goodbye. */
	setsockopt(connection->watch.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	weir_http_connection_close(connection);
}

static void linger(struct weir_http_connection *connection)
{
	if (connection->tls)
		weir_tls_session_end(connection->tls);
	shutdown(connection->watch.fd, SHUT_WR);
	connection->state = WEIR_HTTP_LINGERING;
	weir_http_connection_progressed(connection);
	connection->server->lingering++;
	weir_http_server_left(connection->server);
}

/* ---- one request after the other ---------------------------------------------- */

void weir_http_connection_resume(struct weir_http_connection *connection)
{
	struct weir_http_server *server = connection->server;

	if (connection->queued)
		return;
	connection->queued = true;
	TAILQ_INSERT_TAIL(&server->resumes, connection, resume);
	server->resume_count++;
	weir_http_server_wake(server);
}

/* The request that was answered goes; bytes behind it stay. */
void weir_http_connection_drop_request(struct weir_http_connection *connection, bool all)
{
	struct weir_http_request *request = connection->request;
	struct weir_http_pool *pool = &connection->server->pool;

	if (!request)
		return;
	if (!all && request->len > request->parser.pos) {
		weir_http_request_shift(pool, request);
		request->started_ns = weir_loop_now(connection->server->loop);
		return;
	}
	weir_http_pool_give(pool, request);
	connection->request = NULL;
}

/* There are bytes, or an end, that nobody has looked at. */
static bool has_input(const struct weir_http_connection *connection)
{
	return connection->request || connection->readable;
}

/* Everything is written. */
static void written(struct weir_http_connection *connection)
{
	if (!connection->closing) {
		connection->state = WEIR_HTTP_READING;
		weir_http_connection_progressed(connection);
	} else if (connection->polite && !has_input(connection)) {
		weir_http_connection_close(connection);
	} else {
		weir_http_connection_drop_request(connection, true);
		linger(connection);
	}
}

/* Ends what began by setting `running`, unless an outer one goes on. */
static void leave(struct weir_http_connection *connection, bool was_running)
{
	connection->running = was_running;
	if (was_running)
		return;
	if (connection->state == WEIR_HTTP_CLOSED)
		weir_mem_free(connection);
	else
		arm(connection);
}

void weir_http_connection_finish(struct weir_http_connection *connection)
{
	bool was_running = connection->running;

	connection->running = true;
	connection->state = WEIR_HTTP_WRITING;
	connection->stream = NULL;
	if (connection->broken) {
		weir_http_connection_close(connection);
	} else {
		weir_http_connection_drop_request(connection, false);
		if (!weir_http_connection_pending(connection))
			written(connection);
		if (!was_running && connection->state != WEIR_HTTP_CLOSED && has_input(connection))
			weir_http_connection_resume(connection);
	}
	leave(connection, was_running);
}

void weir_http_connection_refuse(struct weir_http_connection *connection, const struct weir_http_problem *problem)
{
	struct weir_http_request *request = connection->request;
	bool without_body = request && request->parser.method == WEIR_HTTP_HEAD;

	weir_http_count(&connection->server->stats.malformed, 1);
	connection->closing = true;
	weir_http_response_problem(connection, problem, without_body);
	weir_http_connection_drop_request(connection, true);
	weir_http_connection_finish(connection);
}

static bool go_on(struct weir_http_connection *connection)
{
	switch (connection->state) {
	case WEIR_HTTP_READING:
		return weir_http_connection_read(connection) || connection->state == WEIR_HTTP_LINGERING;
	case WEIR_HTTP_LINGERING:
		return weir_http_connection_throw_away(connection);
	default:
		return false;
	}
}

static bool is_idle(const struct weir_http_connection *connection)
{
	return connection->state == WEIR_HTTP_READING &&
	       (!connection->request || weir_http_parser_idle(&connection->request->parser));
}

/* Not at once: a request that is on its way would be answered by a reset. */
void weir_http_connection_close_idle(struct weir_http_connection *connection)
{
	if (!is_idle(connection) || connection->readable)
		return;
	weir_http_connection_drop_request(connection, true);
	linger(connection);
	arm(connection);
}

static void advance(struct weir_http_connection *connection)
{
	int steps = STEPS_PER_TURN;

	connection->running = true;
	if (connection->broken || (connection->state == WEIR_HTTP_STREAMING && connection->hangup))
		weir_http_connection_close(connection);
	while (steps && go_on(connection))
		steps--;
	if (connection->server->draining)
		weir_http_connection_close_idle(connection);
	if (!steps && connection->state != WEIR_HTTP_CLOSED)
		weir_http_connection_resume(connection);
	leave(connection, false);
}

void weir_http_connection_resumed(struct weir_http_connection *connection)
{
	struct weir_http_server *server = connection->server;

	TAILQ_REMOVE(&server->resumes, connection, resume);
	server->resume_count--;
	connection->queued = false;
	advance(connection);
}

static bool watch_for(struct weir_http_connection *connection, uint32_t events)
{
	return weir_loop_rewatch(connection->server->loop, &connection->watch, events) == WEIR_OK;
}

bool weir_http_connection_wait_for_room(struct weir_http_connection *connection)
{
	return watch_for(connection, READ_EVENTS | EPOLLOUT);
}

/* ---- writing ---------------------------------------------------------------------- */

size_t weir_http_connection_pending(const struct weir_http_connection *connection)
{
	return weir_http_output_pending(&connection->output);
}

static struct weir_http_wire wire_of(const struct weir_http_connection *connection)
{
	return (struct weir_http_wire){ connection->watch.fd, connection->tls };
}

void weir_http_connection_send(struct weir_http_connection *connection, struct iovec *parts, int count)
{
	bool waited = weir_http_connection_pending(connection) > 0;
	int rc = WEIR_EIO;

	if (!connection->broken)
		rc = weir_http_output_send(&connection->output, wire_of(connection), parts, count);
	if (rc == WEIR_OK || (rc == WEIR_EAGAIN && waited))
		return;
	if (rc != WEIR_EAGAIN || !watch_for(connection, READ_EVENTS | EPOLLOUT)) {
		connection->broken = true;
		return;
	}
	weir_http_connection_progressed(connection);
	if (!connection->running)
		arm(connection);
}

static void flush(struct weir_http_connection *connection)
{
	size_t progress;
	int rc = weir_http_output_flush(&connection->output, wire_of(connection), &progress);

	if (progress)
		weir_http_connection_progressed(connection);
	if (rc == WEIR_EAGAIN)
		return;
	if (rc != WEIR_OK || !watch_for(connection, READ_EVENTS))
		weir_http_connection_close(connection);
	else if (connection->state == WEIR_HTTP_WRITING)
		written(connection);
}

/* ---- what the loop says ------------------------------------------------------------- */

/* Nobody is there to take the answer. A client that only closed its side of the connection still takes one. */
static bool is_gone(const struct weir_http_connection *connection, uint32_t events)
{
	switch (connection->state) {
	case WEIR_HTTP_HANDLING:
	case WEIR_HTTP_WRITING:
		return (events & (EPOLLHUP | EPOLLERR)) != 0;
	case WEIR_HTTP_STREAMING:
		return (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0;
	default:
		return false;
	}
}

static void on_ready(struct weir_watch *watch, uint32_t events)
{
	struct weir_http_connection *connection = WEIR_CONTAINER(watch, struct weir_http_connection, watch);

	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		connection->hangup = true;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		connection->readable = true;
	/* A handshake may have waited for room. */
	if (connection->tls && events & EPOLLOUT)
		connection->readable = true;
	connection->running = true;
	if (is_gone(connection, events))
		weir_http_connection_close(connection);
	else if (events & EPOLLOUT)
		flush(connection);
	advance(connection);
}

static void expire(struct weir_http_connection *connection)
{
	bool reading = connection->state == WEIR_HTTP_READING;
	bool shaking = is_shaking_hands(connection);
	bool idle = is_idle(connection);

	if (shaking)
		weir_http_count(&connection->server->stats.handshakes_failed, 1);
	if ((!idle || shaking) && connection->state != WEIR_HTTP_LINGERING)
		weir_http_count(&connection->server->stats.timeouts, 1);
	if (reading && !idle && !shaking)
		weir_http_connection_refuse(connection, &too_slow);
	else if (reading || connection->state == WEIR_HTTP_LINGERING)
		weir_http_connection_close(connection);
	else
		reset_connection(connection);
}

static void on_timer(struct weir_timer *timer)
{
	struct weir_http_connection *connection = WEIR_CONTAINER(timer, struct weir_http_connection, timer);

	connection->running = true;
	if (weir_loop_now(connection->server->loop) >= deadline_of(connection))
		expire(connection);
	leave(connection, false);
}

void weir_http_connection_open(struct weir_http_server *server, int fd, struct weir_http_peer *peer,
			       struct weir_tls_session *tls)
{
	struct weir_http_connection *connection = weir_mem_zalloc(1, sizeof *connection);

	if (!connection) {
		weir_tls_session_free(tls);
		close(fd);
		weir_http_peers_give(&server->peers, peer);
		return;
	}
	connection->server = server;
	connection->peer = peer;
	connection->tls = tls;
	connection->watch.fd = fd;
	connection->watch.ready = on_ready;
	connection->timer.fire = on_timer;
	connection->state = WEIR_HTTP_READING;
	weir_http_output_init(&connection->output);
	LIST_INSERT_HEAD(&server->connections, connection, all);
	weir_http_count(&server->stats.connections, 1);
	weir_http_count(&server->stats.accepted, 1);
	weir_http_connection_progressed(connection);
	connection->running = true;
	if (weir_loop_watch(server->loop, &connection->watch, READ_EVENTS, NULL) != WEIR_OK)
		weir_http_connection_close(connection);
	leave(connection, false);
}
