/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

enum {
	TEXT_SIZE = 1024,                /* of one line's text; the rest is cut */
	LINE_SIZE = TEXT_SIZE * 2 + 128, /* every byte escaped, and what is around it; below PIPE_BUF */
};

static struct {
	weir_log_sink *sink;
	void *ctx;
	_Atomic int max_level;
} target = { NULL, NULL, -1 };

void weir_log_set(weir_log_sink *sink, void *ctx, int max_level)
{
	target.sink = sink;
	target.ctx = ctx;
	weir_log_limit(sink ? max_level : -1);
}

void weir_log_limit(int max_level)
{
	atomic_store_explicit(&target.max_level, max_level, memory_order_relaxed);
}

int weir_log_level(void)
{
	return atomic_load_explicit(&target.max_level, memory_order_relaxed);
}

static void replace_controls(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

void weir_log(int level, const char *format, ...)
{
	char text[TEXT_SIZE];
	va_list args;

	if (level > weir_log_level())
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	replace_controls(text);
	target.sink(target.ctx, level, text);
}

/* ---- sink for a file descriptor ------------------------------------------ */

static const char *level_name(int level)
{
	static const char *const names[] = { "error", "warning", "notice", "debug" };

	return level >= 0 && level <= WEIR_LOG_DEBUG ? names[level] : "debug";
}

static size_t format_text(char line[LINE_SIZE], const char *when, int level, const char *text)
{
	int len = snprintf(line, LINE_SIZE, "%s %-7s %.*s\n", when, level_name(level), TEXT_SIZE - 1, text);

	return len > 0 ? (size_t)len : 0;
}

static size_t format_json(char line[LINE_SIZE], const char *when, int level, const char *text)
{
	int head = snprintf(line, LINE_SIZE, "{\"time\":\"%s\",\"level\":\"%s\",\"text\":\"", when, level_name(level));
	size_t len = head > 0 ? (size_t)head : 0;
	size_t text_len = strnlen(text, TEXT_SIZE - 1);
	/* A cut line may end within a character; JSON must be UTF-8. */
	bool ascii_only = !weir_str_is_utf8((struct weir_buf){ text, text_len });

	for (size_t i = 0; i < text_len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			line[len++] = '\\';
		line[len++] = c < 0x20 || (c >= 0x80 && ascii_only) ? '?' : text[i];
	}
	memcpy(line + len, "\"}\n", 3);
	return len + 3;
}

/*
 * A file descriptor that came from outside must not be made non-blocking: it is
 * shared with whoever started us. A pipe that polls as writable takes PIPE_BUF
 * bytes at once, so writing after poll(2) does not block, one writer at a time.
 */
static bool write_now(int fd, const char *line, size_t len)
{
	static pthread_mutex_t one_writer = PTHREAD_MUTEX_INITIALIZER;
	struct pollfd writable = { .fd = fd, .events = POLLOUT };
	ssize_t written = -1;

	pthread_mutex_lock(&one_writer);
	if (poll(&writable, 1, 0) == 1 && (writable.revents & POLLOUT)) {
		do
			written = write(fd, line, len);
		while (written < 0 && errno == EINTR);
	}
	pthread_mutex_unlock(&one_writer);
	return written == (ssize_t)len;
}

static bool write_line(struct weir_log_fd *out, int level, const char *text)
{
	char line[LINE_SIZE], when[WEIR_CLOCK_TEXT_SIZE];
	size_t len;

	weir_clock_format(weir_clock_wall_ms(), when);
	len =
	    out->format == WEIR_LOG_JSON ? format_json(line, when, level, text) : format_text(line, when, level, text);
	return write_now(out->fd, line, len);
}

/* A gap in the log that nobody knows of would be taken for silence. */
static void tell_dropped(struct weir_log_fd *out)
{
	uint64_t dropped = atomic_load_explicit(&out->dropped, memory_order_relaxed);
	uint64_t told = atomic_exchange_explicit(&out->told, dropped, memory_order_relaxed);
	char text[80];

	if (dropped <= told)
		return;
	snprintf(text, sizeof text, "%" PRIu64 " lines of the log could not be written", dropped - told);
	if (!write_line(out, WEIR_LOG_WARNING, text))
		atomic_store_explicit(&out->told, told, memory_order_relaxed);
}

void weir_log_to_fd(void *ctx, int level, const char *text)
{
	struct weir_log_fd *out = ctx;
	int saved_errno = errno;

	if (write_line(out, level, text))
		tell_dropped(out);
	else
		atomic_fetch_add_explicit(&out->dropped, 1, memory_order_relaxed);
	errno = saved_errno;
}
