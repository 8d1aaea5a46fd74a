/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/client_multi: libcurl's multi handle on our loop.
 *
 * libcurl asks to watch a socket at the start of every transfer and to forget
 * it at the end, though the connection stays. Each socket's registration is
 * therefore kept until the socket is closed, and changed only if something is
 * asked for that is not watched yet: in the steady state there is no epoll_ctl.
 */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/mem.h"
#include "http/client_internal.h"

enum { SOCKETS_GROW = 64 };

struct weir_http_socket {
	struct weir_watch watch;
	struct weir_http_client *client;
	uint32_t watched; /* EPOLLIN, EPOLLOUT; 0: not registered */
	bool owned;       /* opened by us: lives until it is closed; else until libcurl forgets it */
	bool idle;        /* no transfer uses it */
	bool taken;       /* somebody else closes it */
};

static void collect(struct weir_http_client *client)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
		char *private = NULL;
		struct weir_http_easy *easy;
		CURLcode result = message->data.result;

		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		easy = (struct weir_http_easy *)(void *)private;
		easy->done(easy, result);
	}
}

static void act(struct weir_http_client *client, int fd, int events)
{
	int running;

	curl_multi_socket_action(client->multi, fd, events, &running);
	collect(client);
}

/* ---- sockets ---------------------------------------------------------------- */

static struct weir_http_socket *socket_find(struct weir_http_client *client, int fd)
{
	return (size_t)fd < client->socket_slots ? client->sockets[fd] : NULL;
}

static int socket_slot(struct weir_http_client *client, int fd)
{
	size_t slots = ((size_t)fd / SOCKETS_GROW + 1) * SOCKETS_GROW;
	struct weir_http_socket **grown;

	if ((size_t)fd < client->socket_slots)
		return WEIR_OK;
	grown = weir_mem_realloc(client->sockets, slots * sizeof(struct weir_http_socket *));
	if (!grown)
		return WEIR_ENOMEM;
	for (size_t i = client->socket_slots; i < slots; i++)
		grown[i] = NULL;
	client->sockets = grown;
	client->socket_slots = slots;
	return WEIR_OK;
}

static void socket_unwatch(struct weir_http_socket *socket)
{
	if (socket->watched)
		weir_loop_unwatch(socket->client->loop, &socket->watch);
	socket->watched = 0;
}

static void on_ready(struct weir_watch *watch, uint32_t events)
{
	struct weir_http_socket *socket = WEIR_CONTAINER(watch, struct weir_http_socket, watch);
	int action = 0;

	if (socket->idle) {
		/* The server closed a kept connection. libcurl finds out when it wants to use it. */
		socket_unwatch(socket);
		return;
	}
	if (events & EPOLLIN)
		action |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		action |= CURL_CSELECT_OUT;
	if (events & (EPOLLERR | EPOLLHUP))
		action |= CURL_CSELECT_ERR;
	act(socket->client, socket->watch.fd, action);
}

static struct weir_http_socket *socket_new(struct weir_http_client *client, int fd, bool owned)
{
	struct weir_http_socket *made;

	if (socket_slot(client, fd) != WEIR_OK || !(made = weir_mem_zalloc(1, sizeof *made)))
		return NULL;
	made->watch.fd = fd;
	made->watch.ready = on_ready;
	made->client = client;
	made->owned = owned;
	made->idle = true;
	client->sockets[fd] = made;
	return made;
}

static void socket_free(struct weir_http_socket *socket)
{
	if (!socket)
		return;
	socket_unwatch(socket);
	socket->client->sockets[socket->watch.fd] = NULL;
	weir_mem_free(socket);
}

static int socket_watch(struct weir_http_socket *socket, uint32_t wanted)
{
	struct weir_loop *loop = socket->client->loop;
	int code = WEIR_OK;

	/* Watching for input does no harm to one that only waits for output, and saves a change. */
	wanted |= EPOLLIN;
	if (socket->watched == wanted)
		return WEIR_OK;
	code = socket->watched ? weir_loop_rewatch(loop, &socket->watch, wanted)
			       : weir_loop_watch(loop, &socket->watch, wanted, NULL);
	if (code == WEIR_OK)
		socket->watched = wanted;
	return code;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *assigned)
{
	struct weir_http_client *client = ctx;
	struct weir_http_socket *socket = assigned ? assigned : socket_find(client, fd);
	uint32_t wanted = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (socket && socket->owned)
			socket->idle = true;
		else
			socket_free(socket);
		return 0;
	}
	/* Sockets that we did not open are libcurl's own, such as the resolver's. */
	if (!socket && !(socket = socket_new(client, fd, false)))
		return -1;
	if (!assigned)
		curl_multi_assign(client->multi, fd, socket);
	socket->idle = false;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		wanted |= EPOLLOUT;
	return socket_watch(socket, wanted) == WEIR_OK ? 0 : -1;
}

/* What was judged is what is connected to: whatever a name resolves to comes through here. */
static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct weir_http_easy *easy = ctx;
	int fd;

	if (purpose != CURLSOCKTYPE_IPCXN || !weir_http_address_allowed(&easy->client->options.rules, &address->addr)) {
		easy->refused = true;
		return CURL_SOCKET_BAD;
	}
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	if (!socket_new(easy->client, fd, true)) {
		close(fd);
		return CURL_SOCKET_BAD;
	}
	easy->opened = true;
	return fd;
}

static int on_close(void *ctx, curl_socket_t fd)
{
	struct weir_http_client *client = ctx;
	struct weir_http_socket *socket = socket_find(client, fd);
	bool taken = socket && socket->taken;

	socket_free(socket);
	return taken ? 0 : close(fd);
}

/* ---- handles ------------------------------------------------------------------ */

int weir_http_easy_setup(struct weir_http_easy *easy)
{
	if (curl_easy_setopt(easy->handle, CURLOPT_PRIVATE, easy) != CURLE_OK ||
	    curl_easy_setopt(easy->handle, CURLOPT_OPENSOCKETFUNCTION, on_open) != CURLE_OK ||
	    curl_easy_setopt(easy->handle, CURLOPT_OPENSOCKETDATA, easy) != CURLE_OK ||
	    curl_easy_setopt(easy->handle, CURLOPT_CLOSESOCKETFUNCTION, on_close) != CURLE_OK ||
	    curl_easy_setopt(easy->handle, CURLOPT_CLOSESOCKETDATA, easy->client) != CURLE_OK)
		return WEIR_ENOMEM;
	return WEIR_OK;
}

int weir_http_easy_start(struct weir_http_easy *easy)
{
	easy->opened = false;
	easy->refused = false;
	return curl_multi_add_handle(easy->client->multi, easy->handle) == CURLM_OK ? WEIR_OK : WEIR_ENOMEM;
}

void weir_http_easy_stop(struct weir_http_easy *easy)
{
	curl_multi_remove_handle(easy->client->multi, easy->handle);
}

int weir_http_easy_take_socket(struct weir_http_easy *easy)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	struct weir_http_socket *socket;

	if (curl_easy_getinfo(easy->handle, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD)
		return -1;
	socket = socket_find(easy->client, fd);
	if (!socket)
		return -1;
	socket_unwatch(socket);
	socket->taken = true;
	return fd;
}

/* ---- timer -------------------------------------------------------------------- */

static void on_multi_timer(struct weir_timer *timer)
{
	act(WEIR_CONTAINER(timer, struct weir_http_client, multi_timer), CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	struct weir_http_client *client = ctx;
	int64_t now;

	(void)multi;
	if (timeout_ms < 0) {
		weir_loop_timer_cancel(client->loop, &client->multi_timer);
		return 0;
	}
	now = timeout_ms == 0 ? weir_loop_now(client->loop) : weir_clock_now_ns();
	return weir_loop_timer_set(client->loop, &client->multi_timer, weir_clock_after_ms(now, timeout_ms)) == WEIR_OK
		   ? 0
		   : -1;
}

/* ---- the handle ----------------------------------------------------------------- */

int weir_http_multi_ready(struct weir_http_client *client)
{
	long connections = (long)client->options.max_connections;

	if (client->multi)
		return WEIR_OK;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return WEIR_ENOMEM;
	client->multi_timer.fire = on_multi_timer;
	client->multi = curl_multi_init();
	if (!client->multi) {
		curl_global_cleanup();
		return WEIR_ENOMEM;
	}
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	/* Kept connections: libcurl's own default shrinks with the number of transfers, and closes what we need. */
	curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, connections);
	curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
	return WEIR_OK;
}

void weir_http_multi_fini(struct weir_http_client *client)
{
	if (!client->multi)
		return;
	curl_multi_cleanup(client->multi);
	weir_loop_timer_cancel(client->loop, &client->multi_timer);
	for (size_t i = 0; i < client->socket_slots; i++)
		socket_free(client->sockets[i]);
	weir_mem_free(client->sockets);
	curl_global_cleanup();
}
