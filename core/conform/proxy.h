/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conform/proxy: stands between a driver and its server, in a process of its
 * own, and does to connections what networks do.
 */
#ifndef WEIR_CONFORM_PROXY_H
#define WEIR_CONFORM_PROXY_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

enum weir_proxy_mode {
	WEIR_PROXY_PASS = 0,
	WEIR_PROXY_CUT = 1,       /* nothing passes, nothing is closed: a cable that is out, a balancer that forgot */
	WEIR_PROXY_REFUSE = 2,    /* connections are closed, new ones too */
	WEIR_PROXY_DELAY = 3,     /* whatever passes does so `delay_ms` later */
	WEIR_PROXY_NO_ANSWER = 4, /* requests pass, answers do not */
};

/* Shared by the proxy's process and the cases'. */
struct weir_proxy_control {
	_Atomic int mode; /* enum weir_proxy_mode */
	_Atomic uint32_t delay_ms;
	_Atomic uint32_t resets; /* each increment: all connections there are get a reset */
	_Atomic uint64_t connections, bytes;
};

struct weir_proxy {
	struct weir_proxy_control *control;
	int listener;
	uint16_t port; /* where clients connect */
	pid_t pid;     /* 0: not running */
};

/* A listening socket on a free port of loopback. -1: none. */
int weir_proxy_listen(struct weir_proxy *proxy);
/* Runs it, towards "HOST:PORT" (an IPv4 address). -1: it could not. Ends with the process that started it. */
int weir_proxy_start(struct weir_proxy *proxy, const char *address);
void weir_proxy_stop(struct weir_proxy *proxy);

#endif
