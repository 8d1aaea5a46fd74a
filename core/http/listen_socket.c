/* SPDX-License-Identifier: Apache-2.0 */
#include "http/listen_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"

enum { BACKLOG = 1024, MAX_HOST_BYTES = 255 };

struct host_port {
	char host[MAX_HOST_BYTES + 1]; /* "": every address */
	char port[sizeof "65535"];
};

/* "[::1]:80" and "host:80" are taken apart; false: it is neither. */
static bool split(const char *address, struct host_port *ret)
{
	const char *colon = strrchr(address, ':');
	size_t host_len = colon ? (size_t)(colon - address) : 0;
	uint64_t number;

	if (!colon || !weir_str_to_uint(weir_str(colon + 1), &number) || number > UINT16_MAX)
		return false;
	snprintf(ret->port, sizeof ret->port, "%u", (unsigned)number);
	if (host_len && address[0] == '[') {
		if (address[host_len - 1] != ']' || host_len < 3)
			return false;
		address++;
		host_len -= 2;
	} else if (memchr(address, ':', host_len)) {
		return false;
	}
	if (host_len > MAX_HOST_BYTES)
		return false;
	memcpy(ret->host, address, host_len);
	ret->host[host_len] = '\0';
	return true;
}

static int share(int fd)
{
	int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
}

static int set_options(int fd, int family)
{
	int on = 1, off = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on))
		return -1;
	/* Inherited by the sockets that are accepted. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
		return -1;
	/* "[::]" and "" take IPv4 as well. */
	return family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) : 0;
}

/*
 * The first one on an address is bound before it may be shared: another process
 * of the same user would otherwise be let in, and get a part of the connections.
 */
static int bind_to(int fd, const struct addrinfo *info, bool join)
{
	if (join)
		return share(fd) || bind(fd, info->ai_addr, info->ai_addrlen);
	return bind(fd, info->ai_addr, info->ai_addrlen) || share(fd);
}

/* -1 and errno on failure. */
static int open_one(const struct addrinfo *info, bool join)
{
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int saved;

	if (fd < 0)
		return -1;
	if (!set_options(fd, info->ai_family) && !bind_to(fd, info, join) && !listen(fd, BACKLOG))
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* For every address IPv6 is tried first, which takes both; a system without it has IPv4. */
static int open_first(const struct addrinfo *list, bool join)
{
	static const int order[] = { AF_INET6, AF_INET };
	int fd = -1;

	if (!list->ai_next)
		return open_one(list, join);
	for (size_t i = 0; i < 2 && fd < 0; i++)
		for (const struct addrinfo *info = list; info && fd < 0; info = info->ai_next)
			if (info->ai_family == order[i])
				fd = open_one(info, join);
	return fd;
}

/* Both kinds of address have the port in the same place. */
_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port), "port");

static uint16_t port_of(int fd)
{
	struct sockaddr_in6 address = { 0 };
	socklen_t len = sizeof address;
	void *any = &address;

	return getsockname(fd, any, &len) ? 0 : ntohs(address.sin6_port);
}

static const char *hint(int number)
{
	switch (number) {
	case EADDRINUSE:
		return "; another program has it, choose another port";
	case EADDRNOTAVAIL:
		return "; this machine has no such address";
	case EACCES:
		return "; ports below 1024 need CAP_NET_BIND_SERVICE";
	default:
		return "";
	}
}

int weir_http_listen_socket(const char *address, int *ret, uint16_t *port, struct weir_error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	struct host_port parts;
	int rc, saved;

	if (!split(address, &parts))
		return weir_fail(err, WEIR_EINVAL, "listen address '%.100s': must be HOST:PORT, [IPV6]:PORT or :PORT",
				 address);
	rc = getaddrinfo(parts.host[0] ? parts.host : NULL, parts.port, &hints, &list);
	if (rc)
		return weir_fail(err, WEIR_EINVAL, "listen address '%.100s': the host cannot be resolved: %s", address,
				 gai_strerror(rc));
	*ret = open_first(list, !port);
	saved = errno;
	freeaddrinfo(list);
	if (*ret < 0) {
		rc = weir_fail(err, saved == EADDRINUSE ? WEIR_EBUSY : WEIR_EIO, "cannot listen on '%.100s': %s%s",
			       address, strerror(saved), hint(saved));
		weir_error_native(err, "errno", saved);
		return rc;
	}
	if (port)
		*port = port_of(*ret);
	return WEIR_OK;
}
