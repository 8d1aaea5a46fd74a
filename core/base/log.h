/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/log: one line per happening, to a sink that the program sets.
 *
 * The library itself never prints: until a sink is set, lines are dropped. A
 * line is `text` for people; programs read metrics and /status instead. A sink
 * must not block the data path: the stderr sink drops and counts when the pipe
 * is full, and says so when it has room again.
 */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <stdint.h>

#include <weir/error.h>

enum weir_log_level {
	WEIR_LOG_ERROR = 0,
	WEIR_LOG_WARNING = 1,
	WEIR_LOG_NOTICE = 2,
	WEIR_LOG_DEBUG = 3,
};

typedef void weir_log_sink(void *ctx, int level, const char *text);

/* Lines above `max_level` are not made. NULL: no sink. Before threads are started. */
void weir_log_set(weir_log_sink *sink, void *ctx, int max_level);
/* Another `max_level`. Any thread, at any time. */
void weir_log_limit(int max_level);
int weir_log_level(void);

/* Writes a line; any thread; control characters are replaced by '?'. */
__attribute__((format(printf, 2, 3))) void weir_log(int level, const char *format, ...);

enum weir_log_format { WEIR_LOG_TEXT = 0, WEIR_LOG_JSON = 1 };
/* Sink for programs: a line to `fd`, never blocking. ctx: struct weir_log_fd *. */
struct weir_log_fd {
	int fd;
	_Atomic enum weir_log_format format; /* may be changed while it is in use */
	_Atomic uint64_t dropped;
	_Atomic uint64_t told; /* of them: the next line that arrives says how many are missing */
};
void weir_log_to_fd(void *ctx, int level, const char *text);

#endif
