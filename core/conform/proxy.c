/* SPDX-License-Identifier: Apache-2.0 */
#include "conform/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum { PAIRS = 256, BUFFER = 16384, TICK_MS = 5 };

/* One way of a connection: what was read and not written yet. */
struct way {
	char bytes[BUFFER];
	size_t from, to;
	int64_t due_ns;
	bool ended;
};

struct pair {
	int client, server; /* -1: free */
	struct way out, in; /* to the server, to the client */
};

struct state {
	struct weir_proxy_control *control;
	struct sockaddr_in address;
	int listener;
	uint32_t resets;
	struct pair pairs[PAIRS];
};

int weir_proxy_listen(struct weir_proxy *proxy)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;

	proxy->control = mmap(NULL, sizeof *proxy->control, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (proxy->control == MAP_FAILED)
		return -1;
	proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (proxy->listener < 0 || bind(proxy->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
	    listen(proxy->listener, 128) < 0 || getsockname(proxy->listener, (struct sockaddr *)&address, &size) < 0)
		return -1;
	proxy->port = ntohs(address.sin_port);
	return 0;
}

/* ---- pairs --------------------------------------------------------------- */

static void pair_close(struct pair *pair, bool reset)
{
	struct linger linger = { 1, 0 };

	if (reset) {
		setsockopt(pair->client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
		setsockopt(pair->server, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	}
	close(pair->client);
	close(pair->server);
	pair->client = pair->server = -1;
}

static void close_all(struct state *state, bool reset)
{
	for (int i = 0; i < PAIRS; i++)
		if (state->pairs[i].client >= 0)
			pair_close(&state->pairs[i], reset);
}

static struct pair *free_pair(struct state *state)
{
	for (int i = 0; i < PAIRS; i++)
		if (state->pairs[i].client < 0)
			return &state->pairs[i];
	return NULL;
}

/* Connecting blocks: on loopback that is a moment, and a refusal is what the client shall see. */
static void take_client(struct state *state, int mode)
{
	int client = accept4(state->listener, NULL, NULL, SOCK_CLOEXEC), server, on = 1;
	struct pair *pair = free_pair(state);

	if (client < 0)
		return;
	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!pair || server < 0 || mode == WEIR_PROXY_REFUSE ||
	    connect(server, (struct sockaddr *)&state->address, sizeof state->address) < 0) {
		close(client);
		if (server >= 0)
			close(server);
		return;
	}
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	fcntl(client, F_SETFL, O_NONBLOCK);
	fcntl(server, F_SETFL, O_NONBLOCK);
	memset(&pair->out, 0, sizeof pair->out);
	memset(&pair->in, 0, sizeof pair->in);
	pair->client = client;
	pair->server = server;
	atomic_fetch_add(&state->control->connections, 1);
}

/* ---- passing on ---------------------------------------------------------- */

/* False: the connection is over. */
static bool move(struct state *state, struct way *way, int from, int to, int64_t now_ns)
{
	ssize_t got;

	if (way->to == way->from && !way->ended) {
		got = read(from, way->bytes, sizeof way->bytes);
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		way->from = 0;
		way->to = got > 0 ? (size_t)got : 0;
		way->due_ns = now_ns + atomic_load(&state->control->delay_ms) * WEIR_NS_PER_MS;
	}
	if (way->to == way->from || way->due_ns > now_ns)
		return true;
	got = send(to, way->bytes + way->from, way->to - way->from, MSG_NOSIGNAL);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	way->from += (size_t)got;
	atomic_fetch_add(&state->control->bytes, (uint64_t)got);
	return true;
}

static void pass_on(struct state *state, int mode)
{
	int64_t now_ns = weir_clock_now_ns();

	for (int i = 0; i < PAIRS; i++) {
		struct pair *pair = &state->pairs[i];

		if (pair->client < 0 || mode == WEIR_PROXY_CUT)
			continue;
		if (!move(state, &pair->out, pair->client, pair->server, now_ns) ||
		    (mode != WEIR_PROXY_NO_ANSWER && !move(state, &pair->in, pair->server, pair->client, now_ns)))
			pair_close(pair, false);
	}
}

static size_t fill_poll(const struct state *state, int mode, struct pollfd *fds)
{
	size_t count = 0;

	fds[count++] = (struct pollfd){ state->listener, POLLIN, 0 };
	for (int i = 0; i < PAIRS && mode != WEIR_PROXY_CUT; i++) {
		const struct pair *pair = &state->pairs[i];

		if (pair->client < 0)
			continue;
		fds[count++] = (struct pollfd){ pair->client, pair->out.to == pair->out.from ? POLLIN : 0, 0 };
		if (mode != WEIR_PROXY_NO_ANSWER)
			fds[count++] = (struct pollfd){ pair->server, pair->in.to == pair->in.from ? POLLIN : 0, 0 };
	}
	return count;
}

static void proxy_main(struct state *state)
{
	struct pollfd fds[2 * PAIRS + 1];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int mode = atomic_load(&state->control->mode);
		uint32_t resets = atomic_load(&state->control->resets);

		if (resets != state->resets || mode == WEIR_PROXY_REFUSE)
			close_all(state, true);
		state->resets = resets;
		poll(fds, fill_poll(state, mode, fds), TICK_MS);
		if (fds[0].revents && mode != WEIR_PROXY_CUT)
			take_client(state, mode);
		pass_on(state, mode);
	}
}

static int read_address(const char *text, struct sockaddr_in *ret)
{
	const char *colon = strrchr(text, ':');
	char host[64];

	if (!colon || (size_t)(colon - text) >= sizeof host)
		return -1;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	*ret = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1)) };
	return inet_pton(AF_INET, host, &ret->sin_addr) == 1 ? 0 : -1;
}

int weir_proxy_start(struct weir_proxy *proxy, const char *address)
{
	struct state *state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (state == MAP_FAILED || read_address(address, &state->address) < 0)
		return -1;
	state->control = proxy->control;
	state->listener = proxy->listener;
	for (int i = 0; i < PAIRS; i++)
		state->pairs[i].client = state->pairs[i].server = -1;
	proxy->pid = fork();
	if (proxy->pid == 0)
		proxy_main(state);
	munmap(state, sizeof *state);
	close(proxy->listener);
	proxy->listener = -1;
	return proxy->pid > 0 ? 0 : -1;
}

void weir_proxy_stop(struct weir_proxy *proxy)
{
	if (proxy->pid > 0) {
		kill(proxy->pid, SIGKILL);
		waitpid(proxy->pid, NULL, 0);
	}
	proxy->pid = 0;
}
