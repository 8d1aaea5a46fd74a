/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bare epoll server: reads a request, answers with a fixed status, looks at
 * nothing else. As a subscriber it is as cheap as one can be; as a server it is
 * the floor for what an answer costs on this machine.
 *
 *   sink [-s STATUS] [-f FORWARD_PORT] [PORT]
 *
 * Prints its port. GET is answered with the number of POSTs so far as text.
 * With -f each request is also posted to that port on a connection of its own,
 * and its answer read, before the next one is taken: the least that a dispatcher
 * can do, the floor for `weir serve`.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READY = 256, BUFFER = 64 * 1024, BUFFER_MAX = 2 * 1024 * 1024 };

/* A connection from a client, or one to the sink behind: `peer` is the other end of the pair. */
struct end {
	int fd;
	bool upstream;
	bool busy; /* the request is forwarded and not answered */
	struct end *peer;
	size_t len, room;
	char *bytes;
};

static int epoll_fd;
static uint16_t forward_port;
static uint64_t posts;
static char answer[256];
static size_t answer_len;

static void make_answer(int status)
{
	int len = snprintf(answer, sizeof answer, "HTTP/1.1 %d Status\r\n%s\r\n", status,
			   status == 204 ? "" : "Content-Length: 0\r\n");

	answer_len = (size_t)len;
}

static struct end *new_end(int fd, bool upstream)
{
	struct end *end = malloc(sizeof *end);

	if (!end)
		bench_die("malloc");
	end->bytes = malloc(BUFFER);
	if (!end->bytes)
		bench_die("malloc");
	end->room = BUFFER;
	end->fd = fd;
	end->upstream = upstream;
	end->busy = false;
	end->peer = NULL;
	end->len = 0;
	bench_watch(epoll_fd, fd, end);
	return end;
}

static void accept_all(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct end *end = new_end(fd, false);

		if (!forward_port)
			continue;
		end->peer = new_end(bench_connect(forward_port), true);
		end->peer->peer = end;
	}
}

static void send_all(int fd, const char *bytes, size_t len)
{
	if (!bench_send(fd, bytes, len) && errno != EPIPE && errno != ECONNRESET)
		bench_die("send");
}

static void send_count(int fd)
{
	char body[32], text[128];
	int body_len = snprintf(body, sizeof body, "%llu\n", (unsigned long long)posts);
	int len = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", body_len, body);

	send_all(fd, text, (size_t)len);
}

/* Uses the requests that are complete; with forwarding one at a time. */
static void serve(struct end *end)
{
	size_t used;

	while (!end->busy && (used = bench_message_end(end->bytes, end->len))) {
		if (end->bytes[0] == 'G') {
			send_count(end->fd);
		} else {
			posts++;
			send_all(end->fd, answer, answer_len);
			if (end->peer) {
				send_all(end->peer->fd, end->bytes, used);
				end->busy = true;
			}
		}
		memmove(end->bytes, end->bytes + used, end->len - used);
		end->len -= used;
	}
}

/* A pair is closed as a whole. Events of this turn for the other end must not find it: the caller fetches anew. */
static void close_end(struct end *end)
{
	if (end->peer) {
		close(end->peer->fd);
		free(end->peer->bytes);
		free(end->peer);
	}
	close(end->fd);
	free(end->bytes);
	free(end);
}

static void make_room(struct end *end)
{
	if (end->len < end->room)
		return;
	end->room *= 2;
	end->bytes = end->room <= BUFFER_MAX ? realloc(end->bytes, end->room) : NULL;
	if (!end->bytes)
		bench_die("a message of more than 2 MiB");
}

/* False: it was closed. */
static bool on_ready(struct end *end)
{
	ssize_t got;

	make_room(end);
	got = recv(end->fd, end->bytes + end->len, end->room - end->len, 0);
	if (got <= 0) {
		if (got < 0 && errno == EAGAIN)
			return true;
		close_end(end);
		return false;
	}
	end->len += (size_t)got;
	if (!end->upstream) {
		serve(end);
		return true;
	}
	if (bench_message_end(end->bytes, end->len)) {
		end->len = 0;
		end->peer->busy = false;
		serve(end->peer);
	}
	return true;
}

static void run(int listener)
{
	struct epoll_event events[READY];

	for (;;) {
		int count = epoll_wait(epoll_fd, events, READY, -1);
		bool same = true;

		for (int i = 0; i < count && same; i++) {
			if (events[i].data.ptr)
				same = on_ready(events[i].data.ptr);
			else
				accept_all(listener);
		}
	}
}

int main(int argc, char **argv)
{
	uint16_t port = 0;
	int option, listener, status = 202;

	while ((option = getopt(argc, argv, "s:f:")) >= 0) {
		if (option == 's')
			status = (int)bench_number(optarg, 599);
		else if (option == 'f')
			forward_port = (uint16_t)bench_number(optarg, UINT16_MAX);
		else
			return 64;
	}
	if (optind < argc)
		port = (uint16_t)bench_number(argv[optind], UINT16_MAX);
	make_answer(status);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	listener = bench_listen(&port);
	bench_watch(epoll_fd, listener, NULL);
	printf("%u\n", (unsigned)port);
	fflush(stdout);
	run(listener);
}
