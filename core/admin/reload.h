/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin/reload: POST /reload, and what became of the last one. Who reloads is told
 * of the request and answers it when it is done; the admin port goes on meanwhile.
 */
#ifndef WEIR_ADMIN_RELOAD_H
#define WEIR_ADMIN_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/driver.h>

struct weir_admin;

/* For /status and /metrics. */
struct weir_admin_reload_state {
	uint64_t generation;       /* of the configuration in use; 1 at the start */
	uint64_t applied, refused; /* reloads, also those that changed nothing */
	int64_t last_ms;           /* when the last one was, wall clock; 0: there was none */
	bool last_refused;
	char text[1024]; /* what became of it, for people; no secrets */
};

/* Any thread. Copied. */
void weir_admin_reload_note(struct weir_admin *admin, const struct weir_admin_reload_state *state);

/* One POST /reload that waits for its answer. */
struct weir_admin_ticket;

/* On the admin port's thread: must not block, and has the ticket answered once. */
typedef void weir_admin_reload_fn(void *ctx, struct weir_admin_ticket *ticket);
/* Any thread. Until it is called, and after it with NULL, requests are answered 503. */
void weir_admin_reload_handler(struct weir_admin *admin, weir_admin_reload_fn *reload, void *ctx);

/* Any thread, until the admin port is freed: answers with a JSON body, which is copied. */
void weir_admin_ticket_answer(struct weir_admin_ticket *ticket, int status, struct weir_buf body);

#endif
