/* SPDX-License-Identifier: Apache-2.0 */
/* The reading half of a connection: from bytes in the kernel to a request for the handler. */
#include <errno.h>
#include <sys/socket.h>

#include "http/connection.h"
#include "http/server_state.h"

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

/* False: no bytes came. */
static bool fill(struct weir_http_connection *connection)
{
	struct weir_http_request *request = connection->request;
	size_t room = request->capacity - request->len;
	ssize_t got = recv(connection->watch.fd, request->bytes + request->len, room, 0);

	if (got > 0) {
		weir_http_count(&connection->server->stats.bytes_in, (uint64_t)got);
		weir_http_connection_progressed(connection);
		if (!request->len)
			request->started_ns = connection->since_ns;
		request->len += (size_t)got;
		/* Less than there was room for: the kernel has no more, except perhaps the end. */
		connection->readable = (size_t)got == room || connection->hangup;
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
