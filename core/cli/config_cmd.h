/* SPDX-License-Identifier: Apache-2.0 */
/* cli/config_cmd: the parts of `weir config`, one file each. All return the exit code. */
#ifndef WEIR_CLI_CONFIG_CMD_H
#define WEIR_CLI_CONFIG_CMD_H

#include <stdbool.h>

#include "cli/load.h"

/* Every effective key with its value; with `origin` also where it came from. */
int weir_cli_config_show(const struct weir_cli_config *from, bool origin);
/* What a key means and takes; `key` NULL: all keys, a line each, or with `markdown` the rows of a table. */
int weir_cli_config_explain(const struct weir_cli_config *from, const char *key, bool markdown);
/* A JSON Schema of the configuration, with the drivers that are found. */
int weir_cli_config_schema(const struct weir_cli_config *from);

/* What a reload would change if `file` were read in the place of from's files. 1: it would be refused. */
int weir_cli_config_plan(const struct weir_cli_config *from, const char *file);

/* A configuration, with the drivers that are found and can be loaded. */
struct weir_cli_drivers {
	weir_config *config;
	weir_runtime *runtime;
	const struct weir_driver **tables;
	size_t count;
};

/* Loads both; drivers that cannot be loaded are said on stderr. 0, or the exit code: then there is nothing to close. */
int weir_cli_drivers_open(const struct weir_cli_config *from, struct weir_cli_drivers *ret);
void weir_cli_drivers_close(struct weir_cli_drivers *drivers);

#endif
