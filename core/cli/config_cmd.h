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

/* The drivers that are found and can be loaded. */
struct weir_cli_drivers {
	const struct weir_driver **tables;
	size_t count;
};

/* Loads them; those that cannot be are said on stderr. weir_mem_free(ret->tables). 0, or the exit code. */
int weir_cli_drivers_load(weir_runtime *runtime, struct weir_cli_drivers *ret);

#endif
