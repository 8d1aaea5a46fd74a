/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/outlet: where `weir publish` puts events: a channel that it opens itself,
 * or, when another process holds the backend, that process's HTTP port.
 */
#ifndef WEIR_CLI_OUTLET_H
#define WEIR_CLI_OUTLET_H

#include <stddef.h>
#include <stdint.h>

#include <weir/event.h>

#include "cli/load.h"

enum { WEIR_OUTLET_BATCH = 256 };

struct weir_outlet;

/*
 * `url` is the base of a Weir's HTTP port, or NULL for the channel, which is
 * opened as the configuration says. 0 and *ret, or the exit code after it said
 * why.
 */
int weir_outlet_open(const struct weir_cli_config *from, const char *url, const struct weir_cli_channel *channel,
		     int64_t timeout_ms, struct weir_outlet **ret);
void weir_outlet_close(struct weir_outlet *outlet);

/*
 * Publishes up to WEIR_OUTLET_BATCH events and waits. persisted[i] says whether
 * event i is persisted. 0 if all are; else the exit code, after it said why.
 */
int weir_outlet_publish(struct weir_outlet *outlet, weir_event **events, size_t count, bool *persisted);

#endif
