/* SPDX-License-Identifier: Apache-2.0 */
/* cli/load: the configuration and the runtime, as every command that opens a channel has them. */
#ifndef WEIR_CLI_LOAD_H
#define WEIR_CLI_LOAD_H

#include <stdbool.h>

#include <weir/channel.h>
#include <weir/config.h>

#include "cli/cmd.h"

/* -c and --set. */
struct weir_cli_config {
	struct weir_cli_list files;
	struct weir_cli_list settings;
};

/* Rows of an option table; `field` is the struct weir_cli_config in the command's struct `type`. */
#define WEIR_CLI_CONFIG_OPTIONS(type, field)                                                                           \
	{ "config",                                                                                                    \
	  'c',                                                                                                         \
	  WEIR_CLI_LIST,                                                                                               \
	  "FILE",                                                                                                      \
	  "read settings from FILE; may be repeated, later files win",                                                 \
	  offsetof(type, field) + offsetof(struct weir_cli_config, files) },                                           \
	{                                                                                                              \
		"set", 0, WEIR_CLI_LIST, "KEY=VALUE", "set one setting; wins over files and environment",              \
		    offsetof(type, field) + offsetof(struct weir_cli_config, settings)                                 \
	}

/*
 * Builds the configuration from files, environment and settings, opens the
 * runtime, which logs through base/log, and checks the sections of the drivers.
 * 0, or the exit code, then every mistake has been said on stderr.
 */
int weir_cli_open(const struct weir_cli_config *from, weir_config **ret_config, weir_runtime **ret_runtime);
/* The same, but both are there also when it is *wrong; what is wrong is said by weir_cli_check(). */
int weir_cli_read(const struct weir_cli_config *from, weir_config **ret_config, weir_runtime **ret_runtime,
		  bool *wrong);
/* Undoes weir_cli_open(); both may be NULL. Says what could not be stored within five seconds. */
void weir_cli_close(weir_config *config, weir_runtime *runtime);

struct weir_cli_channel {
	char ns[256];
	char name[256];
};

/* Takes "NAMESPACE/NAME" apart. 0, or the exit code after it said what is wrong. */
int weir_cli_channel(const struct weir_cmd *cmd, const char *word, struct weir_cli_channel *ret);

#endif
