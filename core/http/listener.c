/* SPDX-License-Identifier: Apache-2.0 */
#include "http/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/server_state.h"
#include "http/tls_session.h"

enum { ACCEPTS_PER_TURN = 64, PAUSE_MS = 100, QUIET_MS = 60000 };

#define REFUSAL "{\"code\":\"too_many_connections\",\"reason\":\"The limit of connections is reached.\"}"

/* Without a date, for it must be possible to send it when nothing else is. */
static const char refusal[] = "HTTP/1.1 503 Service Unavailable\r\n"
			      "Content-Type: application/json\r\n"
			      "Content-Length: 79\r\n"
			      "Retry-After: 1\r\n"
			      "Connection: close\r\n"
			      "\r\n" REFUSAL;

_Static_assert(sizeof REFUSAL - 1 == 79, "Content-Length of the refusal");

/* Reads what is there already, so that closing is not a reset that takes the answer along. */
static void turn_away(const struct weir_http_listener *listener, int fd)
{
	struct weir_http_server *server = listener->server;

	weir_http_count(&server->stats.refused, 1);
	if (recv(fd, server->trash, sizeof server->trash, MSG_DONTWAIT) != 0 && !listener->tls)
		(void)!send(fd, refusal, sizeof refusal - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static bool is_full(const struct weir_http_server *server, int fd)
{
	const struct weir_http_limits *limits = &server->limits;

	if (limits->max_fd && (uint32_t)fd > limits->max_fd)
		return true;
	return atomic_load_explicit(&server->stats.connections, memory_order_relaxed) >= limits->max_connections;
}

static void open_tls(struct weir_http_listener *listener, int fd, struct weir_http_peer *peer)
{
	struct weir_tls *identity = weir_tls_slot_get(listener->tls);
	struct weir_tls_session *session = identity ? weir_tls_session_new(identity, fd) : NULL;

	if (session) {
		weir_http_connection_open(listener->server, fd, peer, session);
		return;
	}
	weir_http_count(&listener->server->stats.refused, 1);
	weir_http_peers_give(&listener->server->peers, peer);
	close(fd);
}

static void admit(struct weir_http_listener *listener, int fd, const struct sockaddr_storage *address)
{
	struct weir_http_server *server = listener->server;
	const struct weir_http_limits *limits = &server->limits;
	struct weir_http_peer *peer = NULL;

	if (is_full(server, fd) ||
	    weir_http_peers_take(&server->peers, address, limits->max_connections_per_peer, &peer) != WEIR_OK)
		turn_away(listener, fd);
	else if (listener->tls)
		open_tls(listener, fd, peer);
	else
		weir_http_connection_open(server, fd, peer, NULL);
}

static void pause_accepting(struct weir_http_listener *listener, int error)
{
	struct weir_http_server *server = listener->server;
	int64_t now = weir_loop_now(server->loop);
	int fd;

	if (now >= listener->quiet_until_ns)
		weir_log(WEIR_LOG_WARNING, "accepting connections is paused, and tried again every %d ms: %s", PAUSE_MS,
			 strerror(error));
	listener->quiet_until_ns = weir_clock_after_ms(now, QUIET_MS);
	if (server->reserve_fd >= 0) {
		close(server->reserve_fd);
		fd = accept4(listener->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			turn_away(listener, fd);
		server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	/* Without the timer nothing would resume: then better try again at once. */
	if (weir_loop_timer_set(server->loop, &listener->pause, weir_clock_after_ms(now, PAUSE_MS)) == WEIR_OK)
		weir_loop_rewatch(server->loop, &listener->watch, 0);
}

static void on_pause_over(struct weir_timer *timer)
{
	struct weir_http_listener *listener = WEIR_CONTAINER(timer, struct weir_http_listener, pause);

	weir_loop_rewatch(listener->server->loop, &listener->watch, EPOLLIN);
}

/* False: no more for now. */
static bool accept_one(struct weir_http_listener *listener)
{
	struct sockaddr_storage address = { 0 };
	socklen_t len = sizeof address;
	void *sockaddr = &address;
	int fd = accept4(listener->watch.fd, sockaddr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		admit(listener, fd, &address);
		return true;
	}
	switch (errno) {
	case EAGAIN:
		return false;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		pause_accepting(listener, errno);
		return false;
	default:
		/* accept(2): what happened to that connection is no reason not to take the next. */
		return true;
	}
}

static void on_ready(struct weir_watch *watch, uint32_t events)
{
	struct weir_http_listener *listener = WEIR_CONTAINER(watch, struct weir_http_listener, watch);

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(listener);)
		i++;
}

int weir_http_listener_open(struct weir_http_server *server, int fd, struct weir_tls_slot *tls, struct weir_error *err)
{
	struct weir_http_listener *listener = weir_mem_zalloc(1, sizeof *listener);
	int rc;

	if (!listener) {
		close(fd);
		return weir_fail(err, WEIR_ENOMEM, "no memory to listen");
	}
	listener->server = server;
	listener->tls = tls;
	listener->watch.fd = fd;
	listener->watch.ready = on_ready;
	listener->pause.fire = on_pause_over;
	rc = weir_loop_watch(server->loop, &listener->watch, EPOLLIN, err);
	if (rc != WEIR_OK) {
		close(fd);
		weir_mem_free(listener);
		return rc;
	}
	LIST_INSERT_HEAD(&server->listeners, listener, all);
	return WEIR_OK;
}

void weir_http_listener_close(struct weir_http_listener *listener)
{
	weir_loop_unwatch(listener->server->loop, &listener->watch);
	weir_loop_timer_cancel(listener->server->loop, &listener->pause);
	close(listener->watch.fd);
	LIST_REMOVE(listener, all);
	weir_mem_free(listener);
}
