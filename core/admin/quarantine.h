/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin/quarantine: a look into quarantine, and a way out of it. Internal to
 * core/admin.
 *
 *   GET  /quarantine?after=NAME&limit=N&namespace=NS&channel=NAME&subscription=NAME
 *                                  a line of JSON for each event, at most 1000; a
 *                                  last line {"more":"NAME"} if there are more
 *   GET  /quarantine/NAME          the file
 *   POST /quarantine/NAME/replay   to its subscription once more, and out of quarantine
 *   POST /quarantine/NAME/drop     out of quarantine
 *
 * A thread of its own does that, one request after the other: it waits for disks
 * and backends, which the loop must not.
 */
#ifndef WEIR_ADMIN_QUARANTINE_H
#define WEIR_ADMIN_QUARANTINE_H

#include <weir/error.h>

#include "dispatch/dispatcher.h"
#include "http/server.h"

struct weir_admin_quarantine;

/* The thread starts with the first request. WEIR_ENOMEM. */
int weir_admin_quarantine_new(struct weir_loop *loop, struct weir_dispatcher *dispatcher,
			      struct weir_admin_quarantine **ret, struct weir_error *err);
/* Refuses requests from now on, and waits for the one under way. Any thread but the loop's, which must run. */
void weir_admin_quarantine_drain(struct weir_admin_quarantine *quarantine);
/* After it was drained, while the loop does not run. NULL is allowed. */
void weir_admin_quarantine_free(struct weir_admin_quarantine *quarantine);
/* On the loop. */
void weir_admin_quarantine_handle(struct weir_admin_quarantine *quarantine, struct weir_http_request *request);

#endif
