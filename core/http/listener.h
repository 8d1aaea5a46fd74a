/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/listener: accepts connections. When the process or the system has no
 * descriptor left it stops for a moment instead of spinning, and turns one
 * waiting client away with the descriptor it kept for that.
 */
#ifndef WEIR_HTTP_LISTENER_H
#define WEIR_HTTP_LISTENER_H

#include <stdbool.h>
#include <sys/queue.h>

#include "base/loop.h"

struct weir_http_server;
struct weir_tls_slot;

struct weir_http_listener {
	struct weir_watch watch;
	struct weir_timer pause;
	int64_t quiet_until_ns; /* one pause after the other is said once */
	struct weir_http_server *server;
	struct weir_tls_slot *tls; /* NULL: plain */
	LIST_ENTRY(weir_http_listener) all;
};

LIST_HEAD(weir_http_listeners, weir_http_listener);

/* Takes `fd` over, also on failure. `tls` NULL: plain. */
int weir_http_listener_open(struct weir_http_server *server, int fd, struct weir_tls_slot *tls, struct weir_error *err);
void weir_http_listener_close(struct weir_http_listener *listener);

#endif
