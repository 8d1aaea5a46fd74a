/* SPDX-License-Identifier: Apache-2.0 */
/* cli/main: finds the subcommand, runs it, and sees to it that what it printed arrived. */
#include "cli/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/near.h"

static const struct weir_cmd *const commands[] = {
	&weir_cmd_serve,  &weir_cmd_publish, &weir_cmd_tail,  &weir_cmd_quarantine, &weir_cmd_drivers,
	&weir_cmd_config, &weir_cmd_conform, &weir_cmd_bench, &weir_cmd_version,
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_overview(FILE *to)
{
	fputs("usage: weir COMMAND [OPTION]...\n\nAn event channel with pluggable backends.\n\ncommands:\n", to);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-10s  %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n'weir COMMAND --help' tells more.\n", to);
}

static const struct weir_cmd *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

static int unknown_command(const char *name)
{
	struct weir_near near = weir_near_init(weir_str(name));

	for (size_t i = 0; i < COMMANDS; i++)
		weir_near_offer(&near, commands[i]->name);
	if (near.best)
		weir_cli_say("there is no command '%s'; did you mean '%s'?", name, near.best);
	else
		weir_cli_say("there is no command '%s'; see 'weir --help'", name);
	return WEIR_EXIT_USAGE;
}

/* Until a command that runs for long sets its own. */
static void log_line(void *ctx, int level, const char *text)
{
	(void)ctx;
	(void)level;
	weir_cli_say("%s", text);
}

static int run_command(const struct weir_cmd *cmd, char **argv, size_t argc)
{
	void *options = weir_mem_zalloc(1, cmd->options_size);
	char *const *args = NULL;
	size_t arg_count = 0;
	int code;

	if (!options)
		return weir_cli_no_memory();
	code = weir_cli_parse(cmd, argv, argc, options, &args, &arg_count);
	if (code < 0)
		code = cmd->run(options, args, arg_count);
	weir_cli_parse_fini(cmd, options);
	weir_mem_free(options);
	return code;
}

/* A result that did not arrive is a failure: the disk may be full, the reader gone. */
static int finish_output(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (errno != EPIPE)
		weir_cli_say("cannot write to standard output: %s", strerror(errno));
	return code ? code : WEIR_EXIT_FAILED;
}

/* Whoever started us may have closed them. The next file opened, a store perhaps, would be taken for standard error. */
static int fill_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -1;
	return close(fd);
}

int main(int argc, char **argv)
{
	const struct weir_cmd *cmd;

	if (fill_standard_streams() < 0)
		return WEIR_EXIT_FAILED;
	/* A connection or a pipe that the other side closed is an error of one write, not the end of the process. */
	signal(SIGPIPE, SIG_IGN);
	weir_log_set(log_line, NULL, WEIR_LOG_WARNING);
	if (argc < 2) {
		print_overview(stderr);
		return WEIR_EXIT_USAGE;
	}
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		print_overview(stdout);
		return finish_output(WEIR_EXIT_OK);
	}
	cmd = find_command(strcmp(argv[1], "--version") == 0 ? "version" : argv[1]);
	if (!cmd)
		return unknown_command(argv[1]);
	return finish_output(run_command(cmd, argv + 2, (size_t)argc - 2));
}
