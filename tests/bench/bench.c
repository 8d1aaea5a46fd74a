/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

_Noreturn void bench_die(const char *what)
{
	perror(what);
	exit(1);
}

int64_t bench_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

unsigned long bench_number(const char *text, unsigned long max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end != text && !*end && value <= max)
		return value;
	fprintf(stderr, "not a number up to %lu: %s\n", max, text);
	exit(64);
}

static int new_socket(uint16_t port, struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
		bench_die("socket");
	memset(address, 0, sizeof *address);
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address->sin_port = htons(port);
	return fd;
}

int bench_listen(uint16_t *port)
{
	struct sockaddr_in address;
	void *any = &address;
	socklen_t len = sizeof address;
	int on = 1, fd = new_socket(*port, &address);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, any, len) || listen(fd, 1024) || getsockname(fd, any, &len))
		bench_die("listen");
	*port = ntohs(address.sin_port);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

int bench_connect(uint16_t port)
{
	struct sockaddr_in address;
	void *any = &address;
	int fd = new_socket(port, &address);

	if (connect(fd, any, sizeof address))
		bench_die("connect");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

bool bench_send(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
		struct pollfd full = { .fd = fd, .events = POLLOUT };

		if (sent < 0 && errno != EAGAIN)
			return false;
		if (sent > 0) {
			bytes += sent;
			len -= (size_t)sent;
		} else {
			poll(&full, 1, -1);
		}
	}
	return true;
}

void bench_watch(int epoll_fd, int fd, void *ptr)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = ptr };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
		bench_die("epoll_ctl");
}

size_t bench_message_end(const char *bytes, size_t len)
{
	static const char name[] = "\r\nContent-Length: ";
	const char *end = memmem(bytes, len, "\r\n\r\n", 4);
	const char *at = end ? memmem(bytes, (size_t)(end - bytes) + 2, name, sizeof name - 1) : NULL;
	size_t body = at ? strtoul(at + sizeof name - 1, NULL, 10) : 0;
	size_t whole = end ? (size_t)(end - bytes) + 4 + body : 0;

	return whole <= len ? whole : 0;
}

static uint64_t thread_cpu_ns(int pid, const char *thread)
{
	char path[128], text[128] = "";
	int fd;

	snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", pid, thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0; /* the thread has ended meanwhile */
	if (read(fd, text, sizeof text - 1) <= 0)
		bench_die(path);
	close(fd);
	return strtoull(text, NULL, 10);
}

uint64_t bench_cpu_ns(int pid)
{
	struct dirent *entry;
	uint64_t sum = 0;
	char path[64];
	DIR *threads;

	snprintf(path, sizeof path, "/proc/%d/task", pid);
	threads = opendir(path);
	if (!threads)
		bench_die(path);
	while ((entry = readdir(threads)))
		if (entry->d_name[0] != '.')
			sum += thread_cpu_ns(pid, entry->d_name);
	closedir(threads);
	return sum;
}
