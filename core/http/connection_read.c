/* SPDX-License-Identifier: Apache-2.0 */
/* The reading half of a connection: from bytes in the kernel to a request for the handler. */
#include <errno.h>
#include <sys/socket.h>

#include "http/connection.h"
#include "http/server_state.h"
#include "http/tls_session.h"

enum { HANDSHAKES_PER_TURN = 8 };

WEIR_HTTP_PROBLEM(cut_short, 400, "bad_request", "The connection was closed in the middle of the request.");
WEIR_HTTP_PROBLEM(overloaded, 503, "overloaded", "Too many requests are being received; try again later.");

static void hand_over(struct weir_http_connection *connection)
{
	struct weir_http_server *server = connection->server;

	weir_http_request_complete(connection->request);
	connection->state = WEIR_HTTP_HANDLING;
	connection->served++;
	weir_http_count(&server->stats.requests, 1);
	server->handler(server->ctx, connection->request);
}

static void say_continue(struct weir_http_connection *connection)
{
	const struct weir_http_parser *parser = &connection->request->parser;
	static char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct iovec part = { line, sizeof line - 1 };

	if (parser->expect_continue && (parser->chunked || parser->length))
		weir_http_connection_send(connection, &part, 1);
}

/* Uses what was read, until a request is complete. */
static void parse(struct weir_http_connection *connection)
{
	struct weir_http_request *request = connection->request;

	for (;;) {
		switch (weir_http_parser_feed(&request->parser, request->bytes, &request->len)) {
		case WEIR_HTTP_PARSE_HEAD:
			say_continue(connection);
			break;
		case WEIR_HTTP_PARSE_DONE:
			hand_over(connection);
			return;
		case WEIR_HTTP_PARSE_FAILED:
			weir_http_connection_refuse(connection, request->parser.problem);
			return;
		default:
			return;
		}
	}
}

static bool make_room(struct weir_http_connection *connection)
{
	struct weir_http_pool *pool = &connection->server->pool;

	if (connection->request) {
		if (connection->request->len < connection->request->capacity ||
		    weir_http_request_grow(pool, connection->request))
			return true;
	} else {
		connection->request = weir_http_pool_take(pool);
		if (connection->request) {
			connection->request->connection = connection;
			return true;
		}
	}
	weir_http_connection_refuse(connection, &overloaded);
	return false;
}

static void on_end(struct weir_http_connection *connection)
{
	const struct weir_http_request *request = connection->request;

	if (request && !weir_http_parser_idle(&request->parser))
		weir_http_connection_refuse(connection, &cut_short);
	else
		weir_http_connection_close(connection);
}

/*
 * A handshake costs as much as many requests, so only a few go on in each turn;
 * connections that are open are not held up by those that would be.
 */
static bool may_shake(struct weir_http_server *server)
{
	int64_t now_ns = weir_loop_now(server->loop);

	if (server->shaken_ns != now_ns) {
		server->shaken_ns = now_ns;
		server->shaken = 0;
	}
	return server->shaken++ < HANDSHAKES_PER_TURN;
}

/* False: there is nothing to do now. */
static bool shake_hands(struct weir_http_connection *connection)
{
	struct weir_http_server *server = connection->server;

	if (!connection->readable)
		return false;
	if (!may_shake(server)) {
		weir_http_connection_resume(connection);
		return false;
	}
	switch (weir_tls_session_shake(connection->tls)) {
	case WEIR_TLS_DONE:
		weir_http_count(&server->stats.handshakes, 1);
		weir_http_connection_progressed(connection);
		return true;
	case WEIR_TLS_WANTS_READ:
		connection->readable = false;
		if (!connection->hangup)
			return false;
		break;
	case WEIR_TLS_WANTS_WRITE:
		connection->readable = false;
		if (weir_http_connection_wait_for_room(connection))
			return false;
		break;
	default:
		break;
	}
	/* The client is told in an alert, which a reset would take from it. */
	weir_http_count(&server->stats.handshakes_failed, 1);
	connection->closing = true;
	weir_http_connection_finish(connection);
	return connection->state == WEIR_HTTP_LINGERING;
}

/* As recv(). */
static ssize_t receive(struct weir_http_connection *connection, char *bytes, size_t room)
{
	if (connection->tls)
		return weir_tls_session_read(connection->tls, bytes, room);
	return recv(connection->watch.fd, bytes, room, 0);
}

/* False: no bytes came. */
static bool fill(struct weir_http_connection *connection)
{
	struct weir_http_request *request = connection->request;
	size_t room = request->capacity - request->len;
	ssize_t got = receive(connection, request->bytes + request->len, room);

	if (got > 0) {
		weir_http_count(&connection->server->stats.bytes_in, (uint64_t)got);
		weir_http_connection_progressed(connection);
		if (!request->len)
			request->started_ns = connection->since_ns;
		request->len += (size_t)got;
		/* Less than there was room for: the kernel has no more, except perhaps the end; TLS may have. */
		connection->readable = connection->tls || (size_t)got == room || connection->hangup;
		return true;
	}
	if (got == 0) {
		on_end(connection);
	} else if (errno == EAGAIN) {
		connection->readable = false;
		if (!request->len)
			weir_http_connection_drop_request(connection, true);
	} else if (errno != EINTR) {
		weir_http_connection_close(connection);
	}
	return false;
}

bool weir_http_connection_read(struct weir_http_connection *connection)
{
	struct weir_http_request *request = connection->request;

	if (connection->tls && !weir_tls_session_is_open(connection->tls))
		return shake_hands(connection);
	if (request && request->parser.pos < request->len) {
		parse(connection);
		return connection->state == WEIR_HTTP_READING;
	}
	if (!connection->readable || !make_room(connection))
		return false;
	if (fill(connection))
		parse(connection);
	return connection->state == WEIR_HTTP_READING;
}

bool weir_http_connection_throw_away(struct weir_http_connection *connection)
{
	struct weir_http_server *server = connection->server;
	ssize_t got;

	if (!connection->readable)
		return false;
	got = recv(connection->watch.fd, server->trash, sizeof server->trash, 0);
	if (got > 0 || (got < 0 && errno == EINTR))
		return true;
	if (got < 0 && errno == EAGAIN)
		connection->readable = false;
	else
		weir_http_connection_close(connection);
	return false;
}
