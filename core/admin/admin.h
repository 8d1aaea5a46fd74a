/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin/admin: health, readiness, metrics, status and a look into channels,
 * over HTTP on `dispatcher.admin`.
 *
 *   GET /               lists the endpoints
 *   GET /healthz        200 "ok" while the process works
 *   GET /readyz         200 or 503, and what is not ready and why
 *   GET /metrics        Prometheus text 0.0.4, OpenMetrics 1.0 if Accept asks for it
 *   GET /status         everything, as JSON for people and scripts
 *   POST /reload        reload.h
 *   /quarantine         quarantine.h
 *   GET /tail/NS/NAME?from=latest|earliest&count=N
 *                       a channel's events, one structured JSON event on each line
 *
 * It has a thread of its own, so that it answers whatever the data path does.
 * The functions here are for the thread that started it.
 */
#ifndef WEIR_ADMIN_ADMIN_H
#define WEIR_ADMIN_ADMIN_H

#include <stddef.h>
#include <stdint.h>

#include <weir/channel.h>
#include <weir/config.h>
#include <weir/error.h>

#include "dispatch/dispatcher.h"

struct weir_admin;

/*
 * Listens on every address of `dispatcher.admin` and starts answering. All
 * three must outlive it. An empty list of addresses means no admin port: it
 * returns WEIR_OK and *ret is an admin without a server.
 */
int weir_admin_start(const weir_config *config, struct weir_dispatcher *dispatcher, weir_runtime *runtime,
		     struct weir_admin **ret, struct weir_error *err);

/* The port of admin address number `index`; 0 behind the last. */
uint16_t weir_admin_port(const struct weir_admin *admin, size_t index);

/*
 * Before the dispatcher is drained: /readyz answers 503 from here on, running
 * tails are ended and their subscriptions closed (they hold channels), new ones
 * are refused. Everything else goes on. Returns when no tail is left.
 */
void weir_admin_drain(struct weir_admin *admin);

/* Drains, stops listening, ends the thread. Before the dispatcher is freed. NULL is allowed. */
void weir_admin_free(struct weir_admin *admin);

#endif
