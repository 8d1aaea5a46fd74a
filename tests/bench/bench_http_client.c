/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a POST of 1 KiB costs in CPU of the client's process:
 *   floor    a bare epoll client that sends the same bytes and looks at nothing
 *   socket   core/http's client, http:// as it is carried normally
 *   libcurl  core/http's client, carried through libcurl as a whole
 * All against the same bare sink in a process of its own.
 *
 *   bench_http_client [POSTS [PARALLEL]]
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/client.h"

enum { BODY = 1024, READY = 256 };

static char body[BODY];
static uint16_t port;
static unsigned long posts = 200000, parallel = 64;

static void must(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "bench_http_client: %s\n", what);
	exit(1);
}

static double cpu_us(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static void no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

/* ---- the sink -------------------------------------------------------------------- */

static void sink_answer(int fd)
{
	static const char answer[] = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
	char request[8192];
	ssize_t got = recv(fd, request, sizeof request, 0);

	if (got <= 0 || send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
		close(fd);
}

static void sink(int listener)
{
	struct epoll_event events[READY];
	int epoll = epoll_create1(0);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	watch(epoll, listener);
	for (;;) {
		int count = epoll_wait(epoll, events, READY, -1);
		for (int i = 0; i < count; i++) {
			if (events[i].data.fd != listener) {
				sink_answer(events[i].data.fd);
				continue;
			}
			int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
			must(fd >= 0, "accept");
			no_delay(fd);
			watch(epoll, fd);
		}
	}
}

static pid_t sink_start(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	pid_t child;

	must(listener >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1024) == 0 &&
		 getsockname(listener, (struct sockaddr *)&address, &size) == 0,
	     "cannot listen");
	port = ntohs(address.sin_port);
	child = fork();
	must(child >= 0, "fork");
	if (child == 0)
		sink(listener);
	close(listener);
	return child;
}

/* ---- the floor --------------------------------------------------------------------- */

#define TEXT(literal)                                                                                                  \
	{                                                                                                              \
		literal, sizeof literal - 1                                                                            \
	} /* WEIR_STR() is no constant */

static const struct weir_header headers[] = {
	{ TEXT("content-type"), TEXT("application/octet-stream") },
	{ TEXT("ce-specversion"), TEXT("1.0") },
	{ TEXT("ce-id"), TEXT("0b1f3c1e-8a3b-4a1e-9a53-3c6b2f7e9d10") },
	{ TEXT("ce-source"), TEXT("/bench/client") },
	{ TEXT("ce-type"), TEXT("io.weir.bench") },
	{ TEXT("ce-time"), TEXT("2026-11-24T11:32:59.123Z") },
	{ TEXT("prefer"), TEXT("reply") },
};

enum { HEADERS = sizeof headers / sizeof headers[0] };

static size_t write_request(char *request, size_t size)
{
	int used = snprintf(request, size, "POST /x HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: weir/0\r\n", port);

	for (size_t i = 0; i < HEADERS; i++)
		used += snprintf(request + used, size - (size_t)used, "%s: %s\r\n", (const char *)headers[i].name.ptr,
				 (const char *)headers[i].value.ptr);
	used += snprintf(request + used, size - (size_t)used, "Content-Length: %d\r\n\r\n", BODY);
	memcpy(request + used, body, BODY);
	return (size_t)used + BODY;
}

static double floor_us(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	static char request[4096], answer[4096];
	struct epoll_event events[READY];
	size_t length = write_request(request, sizeof request);
	int epoll = epoll_create1(0);
	unsigned long done = 0;
	double before;

	for (unsigned long i = 0; i < parallel; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		must(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
		no_delay(fd);
		watch(epoll, fd);
		must(send(fd, request, length, 0) > 0, "send");
	}
	before = cpu_us();
	while (done < posts) {
		int count = epoll_wait(epoll, events, READY, -1);
		for (int i = 0; i < count; i++, done++) {
			must(recv(events[i].data.fd, answer, sizeof answer, 0) > 0, "recv");
			must(send(events[i].data.fd, request, length, MSG_NOSIGNAL) > 0, "send");
		}
	}
	return (cpu_us() - before) / (double)done;
}

/* ---- the client ----------------------------------------------------------------------- */

struct run {
	struct weir_loop *loop;
	struct weir_http_target *target;
	unsigned long started, done, warm;
	double before;
	uint64_t allocations;
};

static void start_one(struct run *run);

static void on_done(void *ctx, const struct weir_http_result *result)
{
	struct run *run = ctx;

	must(result->code == WEIR_OK && result->status == 202, "a post failed");
	if (++run->done == run->warm) {
		run->before = cpu_us();
		run->allocations = weir_mem_count();
	}
	if (run->started < posts + run->warm)
		start_one(run);
	else if (run->done == run->started)
		weir_loop_stop(run->loop);
}

static void start_one(struct run *run)
{
	struct weir_http_post post = {
		.headers = headers,
		.header_count = HEADERS,
		.body = { body, BODY },
		.timeout_ms = 30000,
		.max_response_bytes = 65536,
		.done = on_done,
		.ctx = run,
	};

	run->started++;
	must(weir_http_target_post(run->target, &post) == WEIR_OK, "post");
}

static void client_us(bool through_libcurl, const char *name)
{
	struct weir_http_client_options options = { .rules = { .allow_loopback = true },
						    .through_libcurl = through_libcurl };
	struct run run = { .warm = parallel * 4 };
	struct weir_http_client *client;
	char url[64];

	snprintf(url, sizeof url, "http://127.0.0.1:%u/x", port);
	must(weir_loop_new(&run.loop, NULL) == WEIR_OK, "loop");
	must(weir_http_client_new(run.loop, &options, &client, NULL) == WEIR_OK, "client");
	must(weir_http_target_new(client, url, (uint32_t)parallel, &run.target, NULL) == WEIR_OK, "target");
	for (unsigned long i = 0; i < parallel; i++)
		start_one(&run);
	must(weir_loop_run(run.loop, NULL) == WEIR_OK, "run");
	printf("%-8s %6.2f us CPU per POST, %.3f allocations of the core\n", name,
	       (cpu_us() - run.before) / (double)posts, (double)(weir_mem_count() - run.allocations) / (double)posts);
	weir_http_client_free(client);
	weir_loop_free(run.loop);
}

int main(int argc, char **argv)
{
	pid_t child;

	if (argc > 1)
		posts = strtoul(argv[1], NULL, 10);
	if (argc > 2)
		parallel = strtoul(argv[2], NULL, 10);
	must(posts > 0 && parallel > 0 && parallel <= 1024, "usage: bench_http_client [POSTS [PARALLEL up to 1024]]");
	memset(body, 'x', sizeof body);
	child = sink_start();
	printf("%lu posts of %d bytes, %lu in parallel\n", posts, BODY, parallel);
	printf("floor    %6.2f us CPU per POST\n", floor_us());
	client_us(false, "socket");
	client_us(true, "libcurl");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}
