/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/scripted_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KEPT_REQUESTS = 64, KEPT_BYTES = 8192, MAX_CONNECTIONS = 256, BUFFER = 4 * 1024 * 1024 };

struct connection {
	struct scripted_server *server;
	pthread_t thread;
	int fd;
};

struct scripted_server {
	const struct scripted_reply *replies;
	size_t count;
	int listener;
	int stop[2]; /* a pipe: readable when it ends */
	uint16_t port;
	char url[64];
	pthread_t thread;
	pthread_mutex_t lock; /* what follows */
	unsigned connections, requests;
	struct connection list[MAX_CONNECTIONS];
	char *kept[KEPT_REQUESTS];
	size_t kept_len[KEPT_REQUESTS];
};

static void must(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "scripted_server: %s\n", what);
	abort();
}

/* False: the server stops. */
static bool wait_for(struct scripted_server *server, int fd, short events, int timeout_ms)
{
	struct pollfd fds[2] = { { .fd = fd, .events = events }, { .fd = server->stop[0], .events = POLLIN } };

	poll(fds, 2, timeout_ms);
	return fds[1].revents == 0;
}

/* Length of the first whole request in the buffer; 0: there is none. */
static size_t request_length(const char *bytes, size_t len)
{
	const char *end = memmem(bytes, len, "\r\n\r\n", 4);
	size_t head, body = 0;

	if (!end)
		return 0;
	head = (size_t)(end - bytes) + 4;
	for (const char *line = bytes; line < end; line = (const char *)memchr(line, '\n', len) + 1) {
		if (strncasecmp(line, "content-length:", 15) == 0)
			body = strtoul(line + 15, NULL, 10);
	}
	return len >= head + body ? head + body : 0;
}

static const struct scripted_reply *next_reply(struct scripted_server *server, const char *bytes, size_t len)
{
	size_t index;

	pthread_mutex_lock(&server->lock);
	index = server->requests++;
	if (index < KEPT_REQUESTS) {
		server->kept_len[index] = len < KEPT_BYTES ? len : KEPT_BYTES;
		server->kept[index] = malloc(KEPT_BYTES);
		must(server->kept[index], "out of memory");
		memcpy(server->kept[index], bytes, server->kept_len[index]);
	}
	pthread_mutex_unlock(&server->lock);
	return &server->replies[index < server->count ? index : server->count - 1];
}

static bool send_all(struct scripted_server *server, int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && (errno != EAGAIN || !wait_for(server, fd, POLLOUT, -1)))
			return false;
		if (sent > 0) {
			bytes += sent;
			len -= (size_t)sent;
		}
	}
	return true;
}

static bool send_filler(struct scripted_server *server, int fd, uint64_t left)
{
	char block[16384];

	memset(block, 'x', sizeof block);
	while (left > 0) {
		size_t part = left < sizeof block ? (size_t)left : sizeof block;
		if (!send_all(server, fd, block, part))
			return false;
		if (left != UINT64_MAX)
			left -= part;
	}
	return true;
}

static bool send_reply(struct scripted_server *server, int fd, const struct scripted_reply *reply)
{
	size_t len = reply->len || !reply->bytes ? reply->len : strlen(reply->bytes);

	if (reply->split)
		return send_all(server, fd, reply->bytes, reply->split) && wait_for(server, -1, 0, 2) &&
		       send_all(server, fd, reply->bytes + reply->split, len - reply->split);
	if (!reply->drip_ms)
		return send_all(server, fd, reply->bytes, len) && send_filler(server, fd, reply->filler);
	for (size_t i = 0; i < len; i++) {
		if (!send_all(server, fd, reply->bytes + i, 1) || !wait_for(server, -1, 0, (int)reply->drip_ms))
			return false;
	}
	return true;
}

static void hang(struct scripted_server *server, int fd)
{
	char byte[256];

	while (wait_for(server, fd, POLLIN, -1) && recv(fd, byte, sizeof byte, MSG_DONTWAIT) > 0)
		;
}

/* One request and its reply. False: the connection is over. */
static bool serve_one(struct connection *connection, char *bytes, size_t *len)
{
	struct scripted_server *server = connection->server;
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	const struct scripted_reply *reply;
	size_t whole;

	while ((whole = request_length(bytes, *len)) == 0) {
		ssize_t got;
		must(*len < BUFFER, "request too large");
		if (!wait_for(server, connection->fd, POLLIN, -1))
			return false;
		got = recv(connection->fd, bytes + *len, BUFFER - *len, 0);
		if (got <= 0)
			return false;
		*len += (size_t)got;
		if (server->replies[0].early)
			break;
	}
	if (whole == 0)
		whole = *len;
	reply = next_reply(server, bytes, whole);
	*len -= whole;
	memmove(bytes, bytes + whole, *len);
	if (!send_reply(server, connection->fd, reply))
		return false;
	if (reply->end == SCRIPTED_RESET)
		setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	if (reply->end == SCRIPTED_HANG)
		hang(server, connection->fd);
	return reply->end == SCRIPTED_KEEP;
}

static void *connection_main(void *ctx)
{
	struct connection *connection = ctx;
	char *bytes = malloc(BUFFER);
	size_t len = 0;

	must(bytes, "out of memory");
	while (serve_one(connection, bytes, &len))
		;
	free(bytes);
	close(connection->fd);
	return NULL;
}

static void *accept_main(void *ctx)
{
	struct scripted_server *server = ctx;
	int one = 1;

	while (wait_for(server, server->listener, POLLIN, -1)) {
		int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		pthread_mutex_lock(&server->lock);
		must(server->connections < MAX_CONNECTIONS, "too many connections");
		struct connection *connection = &server->list[server->connections++];
		connection->server = server;
		connection->fd = fd;
		must(pthread_create(&connection->thread, NULL, connection_main, connection) == 0, "no thread");
		pthread_mutex_unlock(&server->lock);
	}
	return NULL;
}

struct scripted_server *scripted_server_start(const struct scripted_reply *replies, size_t count)
{
	struct scripted_server *server = calloc(1, sizeof *server);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;

	must(server, "out of memory");
	server->replies = replies;
	server->count = count;
	must(pipe(server->stop) == 0, "no pipe");
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(server->listener >= 0 && bind(server->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
		 listen(server->listener, 128) == 0 &&
		 getsockname(server->listener, (struct sockaddr *)&address, &size) == 0,
	     "cannot listen");
	server->port = ntohs(address.sin_port);
	snprintf(server->url, sizeof server->url, "http://127.0.0.1:%u/path", server->port);
	pthread_mutex_init(&server->lock, NULL);
	must(pthread_create(&server->thread, NULL, accept_main, server) == 0, "no thread");
	return server;
}

void scripted_server_stop(struct scripted_server *server)
{
	must(write(server->stop[1], "x", 1) == 1, "cannot stop");
	pthread_join(server->thread, NULL);
	for (unsigned i = 0; i < server->connections; i++)
		pthread_join(server->list[i].thread, NULL);
	for (unsigned i = 0; i < KEPT_REQUESTS; i++)
		free(server->kept[i]);
	close(server->listener);
	close(server->stop[0]);
	close(server->stop[1]);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

const char *scripted_server_url(const struct scripted_server *server)
{
	return server->url;
}

uint16_t scripted_server_port(const struct scripted_server *server)
{
	return server->port;
}

unsigned scripted_server_connections(struct scripted_server *server)
{
	unsigned count;

	pthread_mutex_lock(&server->lock);
	count = server->connections;
	pthread_mutex_unlock(&server->lock);
	return count;
}

unsigned scripted_server_requests(struct scripted_server *server)
{
	unsigned count;

	pthread_mutex_lock(&server->lock);
	count = server->requests;
	pthread_mutex_unlock(&server->lock);
	return count;
}

struct weir_buf scripted_server_request(struct scripted_server *server, unsigned index)
{
	struct weir_buf view = { NULL, 0 };

	pthread_mutex_lock(&server->lock);
	if (index < KEPT_REQUESTS && index < server->requests)
		view = (struct weir_buf){ server->kept[index], server->kept_len[index] };
	pthread_mutex_unlock(&server->lock);
	return view;
}
