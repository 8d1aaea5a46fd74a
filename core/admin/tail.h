/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin/tail: a channel's events as they come, one JSON event on each line.
 * Internal to core/admin.
 *
 * A tail is a subscription of its own that is forgotten when it ends. Opening
 * and closing it may block, so a worker thread does that; the pump hands
 * deliveries to the admin loop, which writes and acknowledges them. At most
 * `window` deliveries are out: a reader that is slow stops the credit.
 */
#ifndef WEIR_ADMIN_TAIL_H
#define WEIR_ADMIN_TAIL_H

#include <weir/channel.h>

#include "dispatch/dispatcher.h"
#include "http/server.h"

struct weir_admin_tails;

/* Starts the worker thread. `loop`: where requests come from. */
int weir_admin_tails_new(struct weir_loop *loop, struct weir_dispatcher *dispatcher, struct weir_admin_tails **ret,
			 struct weir_error *err);
/* After weir_admin_tails_drain(), while the loop does not run. NULL is allowed. */
void weir_admin_tails_free(struct weir_admin_tails *tails);
/* Answers GET /tail/...; on the loop. */
void weir_admin_tails_handle(struct weir_admin_tails *tails, struct weir_http_request *request);
/* Ends all tails, refuses new ones, and waits until none is left. Any thread but the loop's, which must run. */
void weir_admin_tails_drain(struct weir_admin_tails *tails);

#endif
