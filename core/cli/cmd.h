/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/cmd: what a subcommand of `weir` is made of.
 *
 * To add one: write cmd_NAME.c with a `const struct weir_cmd weir_cmd_NAME` at
 * its end, declare it below, add it to `commands` in main.c and to
 * CMakeLists.txt. Options are rows of a table; each fills a field of the
 * command's own struct, which is zeroed before and passed to `run`:
 *
 *   struct serve_options {
 *           struct weir_cli_config config; // -c and --set, see cli/load.h
 *           bool quiet;
 *   };
 *   static const struct weir_cli_option options[] = {
 *           WEIR_CLI_CONFIG_OPTIONS(struct serve_options, config),
 *           { "quiet", 'q', WEIR_CLI_FLAG, NULL, "say less", offsetof(struct serve_options, quiet) },
 *   };
 *
 * -h, --help, "did you mean", exit code 64 and the check of the number of
 * arguments come from the table. Results go to stdout, everything else to
 * stderr. `run` returns the exit code.
 */
#ifndef WEIR_CLI_CMD_H
#define WEIR_CLI_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/error.h>

enum weir_exit {
	WEIR_EXIT_OK = 0,
	WEIR_EXIT_FAILED = 1,       /* it ran and failed */
	WEIR_EXIT_USAGE = 64,       /* wrong usage */
	WEIR_EXIT_UNAVAILABLE = 69, /* backend not available */
	WEIR_EXIT_CONFIG = 78,      /* configuration error, and whatever a driver's file is wrong with */
};

enum weir_cli_type {
	WEIR_CLI_FLAG = 0,     /* bool; takes no value */
	WEIR_CLI_TEXT = 1,     /* const char *; the last one wins */
	WEIR_CLI_LIST = 2,     /* struct weir_cli_list; may be repeated */
	WEIR_CLI_UINT = 3,     /* uint64_t */
	WEIR_CLI_DURATION = 4, /* int64_t, milliseconds; "PT1.5S", "1.5s", "200ms", "2m", "1h" */
	WEIR_CLI_CHOICE = 5,   /* const char *, one of `arg`, written "a|b|c" */
};

struct weir_cli_option {
	const char *name; /* "config", for --config */
	char letter;      /* 'c', for -c; 0: none */
	uint8_t type;     /* enum weir_cli_type */
	const char *arg;  /* what its value is called in the help: "FILE"; the choices; NULL: a flag */
	const char *help; /* one sentence, no full stop */
	size_t offset;    /* of the field in the command's struct */
};

/* Borrows argv; the array is freed after `run`. */
struct weir_cli_list {
	const char **items;
	size_t count;
};

struct weir_cmd {
	const char *name;
	const char *args;    /* "NS/NAME"; "" for none */
	const char *summary; /* one line for `weir --help` */
	const char *details; /* more, for `weir NAME --help`; NULL: nothing more */
	const struct weir_cli_option *options;
	size_t option_count;
	size_t options_size; /* sizeof the command's struct */
	size_t min_args, max_args;
	int (*run)(void *options, char *const *args, size_t arg_count);
};

extern const struct weir_cmd weir_cmd_bench;
extern const struct weir_cmd weir_cmd_config;
extern const struct weir_cmd weir_cmd_conform;
extern const struct weir_cmd weir_cmd_drivers;
extern const struct weir_cmd weir_cmd_publish;
extern const struct weir_cmd weir_cmd_quarantine;
extern const struct weir_cmd weir_cmd_serve;
extern const struct weir_cmd weir_cmd_tail;
extern const struct weir_cmd weir_cmd_version;

/*
 * Reads the arguments behind the command's name into `options` (options_size
 * bytes). Returns -1 to go on with *args (borrowed from argv, which is
 * reordered) or the exit code when there is nothing more to do: after --help,
 * or after it said what is wrong.
 */
int weir_cli_parse(const struct weir_cmd *cmd, char **argv, size_t argc, void *options, char *const **args,
		   size_t *arg_count);
/* Frees the lists in `options`. */
void weir_cli_parse_fini(const struct weir_cmd *cmd, void *options);

/* "weir NAME: text" to stderr, with a hint at --help; returns WEIR_EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int weir_cli_usage(const struct weir_cmd *cmd, const char *format, ...);
/* "weir: text" to stderr. */
__attribute__((format(printf, 1, 2))) void weir_cli_say(const char *format, ...);
/* "weir: warning: text" to stderr. */
__attribute__((format(printf, 1, 2))) void weir_cli_warn(const char *format, ...);
/* Whether both write lines of the log, for a reader that wants nothing else on stderr. Any thread. */
void weir_cli_say_to_log(bool on);
/*
 * From now on what this thread says is logged, and errors are kept too, a line
 * each; NULL: as before.
 */
struct weir_dynbuf;
void weir_cli_say_also_to(struct weir_dynbuf *lines);
/* Says `err` and returns the exit code that belongs to it. */
int weir_cli_fail(const struct weir_error *err);
/* The same when there is no `err`, only no memory. */
int weir_cli_no_memory(void);

#endif
