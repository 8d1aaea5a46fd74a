/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/reload: another configuration for a `weir serve` that runs. Builds it from
 * the same files, environment and settings as at the start, checks it the same
 * way, and has the dispatcher go over to it: whole, or not at all.
 *
 * It works on the dispatcher's keeper; reloads do not overlap.
 */
#ifndef WEIR_CLI_RELOAD_H
#define WEIR_CLI_RELOAD_H

#include "admin/admin.h"
#include "cli/load.h"
#include "dispatch/dispatcher.h"

struct weir_reload;

struct weir_reload_options {
	const struct weir_cli_config *from;
	weir_config *config; /* the one in use: it belongs to the reload from here on */
	weir_runtime *runtime;
	struct weir_dispatcher *dispatcher;
	struct weir_admin *admin;
	void (*apply)(const weir_config *config); /* what of it is neither the dispatcher's nor the admin port's */
};

/* Answers POST /reload from here on. WEIR_ENOMEM: then the configuration stays the caller's. */
int weir_reload_new(const struct weir_reload_options *options, struct weir_reload **ret);
/* Any thread, also within a reload: reloads soon. `why` is static text: "SIGHUP". */
void weir_reload_ask(struct weir_reload *reload, const char *why);
/* When the keeper does not run any more: the configuration in use, borrowed. */
const weir_config *weir_reload_config(const struct weir_reload *reload);
/* The keeper does not run any more: requests that wait are answered. Before the admin port is freed. NULL is allowed.
 */
void weir_reload_stop(struct weir_reload *reload);
/* When the dispatcher and the runtime are gone. Frees the configuration. NULL is allowed. */
void weir_reload_free(struct weir_reload *reload);

#endif
