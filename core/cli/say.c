/* SPDX-License-Identifier: Apache-2.0 */
/* cli/say: what commands tell people, on standard error, and the exit codes that go with it. */
#include "cli/cmd.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINE_SIZE = 2048 };

/* One call for the whole line: other threads may have something to say as well. */
void weir_cli_say(const char *format, ...)
{
	char line[LINE_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	fprintf(stderr, "weir: %s\n", line);
}

int weir_cli_usage(const struct weir_cmd *cmd, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	fprintf(stderr, "weir %s: %s; see 'weir %s --help'\n", cmd->name, line, cmd->name);
	return WEIR_EXIT_USAGE;
}

int weir_cli_fail(const struct weir_error *err)
{
	weir_cli_say("%s", err->text[0] ? err->text : weir_code_text(err->code));
	switch (err->code) {
	case WEIR_EUNAVAIL:
	case WEIR_ETIMEDOUT:
	case WEIR_EAUTH:
	case WEIR_ETLS:
	case WEIR_EBUSY:
	case WEIR_EAGAIN:
	case WEIR_ELIMIT:
		return WEIR_EXIT_UNAVAILABLE;
	case WEIR_EINVAL:
	case WEIR_ENOTFOUND:
	case WEIR_EVERSION:
	case WEIR_ENOPERM:
		return WEIR_EXIT_CONFIG;
	default:
		return WEIR_EXIT_FAILED;
	}
}
