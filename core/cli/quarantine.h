/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/quarantine: quarantine, through the admin port of a running Weir or, when
 * there is none, in its folder. The functions say what went wrong and return the
 * exit code.
 */
#ifndef WEIR_CLI_QUARANTINE_H
#define WEIR_CLI_QUARANTINE_H

#include <stdbool.h>

#include "cli/load.h"

struct weir_cli_quarantine;

/* `admin` NULL: as the configuration says. */
int weir_cli_quarantine_open(const struct weir_cli_config *from, const char *admin, struct weir_cli_quarantine **ret);
void weir_cli_quarantine_close(struct weir_cli_quarantine *quarantine);

/* NULL: any. */
struct weir_cli_quarantine_only {
	const char *ns, *channel, *subscription;
};

/* Called with one line of JSON for each event, the oldest first; false: no more. May act on that event. */
typedef bool weir_cli_quarantine_fn(void *ctx, const char *line);
int weir_cli_quarantine_list(struct weir_cli_quarantine *quarantine, const struct weir_cli_quarantine_only *only,
			     weir_cli_quarantine_fn *each, void *ctx);

int weir_cli_quarantine_show(struct weir_cli_quarantine *quarantine, const char *name);
int weir_cli_quarantine_replay(struct weir_cli_quarantine *quarantine, const char *name);
int weir_cli_quarantine_drop(struct weir_cli_quarantine *quarantine, const char *name);

#endif
