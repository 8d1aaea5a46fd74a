/* SPDX-License-Identifier: Apache-2.0 */
/* cli/say: what commands tell people, on standard error, and the exit codes that go with it. */
#include "cli/cmd.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/dynbuf.h"
#include "base/log.h"

enum { LINE_SIZE = 2048 };

static _Atomic bool say_to_log;
static _Thread_local struct weir_dynbuf *listener;

void weir_cli_say_also_to(struct weir_dynbuf *lines)
{
	listener = lines;
}

void weir_cli_say_to_log(bool on)
{
	say_to_log = on;
}

/* One call for the whole line: other threads may have something to say as well. */
__attribute__((format(printf, 2, 0))) static void say(int level, const char *format, va_list args)
{
	char line[LINE_SIZE];

	vsnprintf(line, sizeof line, format, args);
	/* When it is full, what was said first is what counts. */
	if (listener && level == WEIR_LOG_ERROR)
		weir_dynbuf_addf(listener, "%s\n", line);
	if (say_to_log || listener)
		weir_log(level, "%s", line);
	else
		fprintf(stderr, "weir: %s%s\n", level == WEIR_LOG_WARNING ? "warning: " : "", line);
}

void weir_cli_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(WEIR_LOG_ERROR, format, args);
	va_end(args);
}

void weir_cli_warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(WEIR_LOG_WARNING, format, args);
	va_end(args);
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
	case WEIR_ENOTSUP:
	case WEIR_ENOPERM:
		return WEIR_EXIT_CONFIG;
	default:
		return WEIR_EXIT_FAILED;
	}
}

int weir_cli_no_memory(void)
{
	weir_cli_say("out of memory");
	return WEIR_EXIT_FAILED;
}
