/* SPDX-License-Identifier: Apache-2.0 */
/* base/log and base/clock */
#include "unit/weir_cmocka.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

static char seen[2048];
static int seen_level, seen_count;

static void keep(void *ctx, int level, const char *text)
{
	assert_ptr_equal(ctx, seen);
	seen_level = level;
	seen_count++;
	snprintf(seen, sizeof seen, "%s", text);
}

static int no_sink(void **state)
{
	(void)state;
	weir_log_set(NULL, NULL, WEIR_LOG_DEBUG);
	seen_count = 0;
	return 0;
}

static void without_a_sink_lines_are_dropped(void **state)
{
	(void)state;
	assert_true(weir_log_level() < WEIR_LOG_ERROR);
	weir_log(WEIR_LOG_ERROR, "nobody hears %s", "this");
	assert_int_equal(seen_count, 0);
}

static void lines_above_the_level_are_not_made(void **state)
{
	(void)state;
	weir_log_set(keep, seen, WEIR_LOG_WARNING);
	weir_log(WEIR_LOG_NOTICE, "no");
	assert_int_equal(seen_count, 0);
	weir_log(WEIR_LOG_WARNING, "number %d", 7);
	assert_int_equal(seen_count, 1);
	assert_int_equal(seen_level, WEIR_LOG_WARNING);
	assert_string_equal(seen, "number 7");
	assert_int_equal(weir_log_level(), WEIR_LOG_WARNING);
}

static void control_characters_are_replaced(void **state)
{
	(void)state;
	weir_log_set(keep, seen, WEIR_LOG_NOTICE);
	weir_log(WEIR_LOG_NOTICE, "a\nb\tc\x1b[1m\x7f \xc3\xa4");
	assert_string_equal(seen, "a?b?c?[1m? \xc3\xa4");
}

static void a_line_that_is_too_long_is_cut(void **state)
{
	(void)state;
	weir_log_set(keep, seen, WEIR_LOG_NOTICE);
	weir_log(WEIR_LOG_NOTICE, "%3000s", "x");
	assert_in_range(strlen(seen), 500, 1100);
}

/* ---- the sink for a file descriptor -------------------------------------- */

static size_t read_pipe(int fd, char *text, size_t size)
{
	ssize_t len = read(fd, text, size - 1);

	assert_true(len > 0);
	text[len] = '\0';
	return (size_t)len;
}

static void a_text_line_has_time_level_and_text(void **state)
{
	int ends[2];
	char line[256];
	struct weir_log_fd out = { .format = WEIR_LOG_TEXT };

	(void)state;
	assert_int_equal(pipe(ends), 0);
	out.fd = ends[1];
	weir_log_to_fd(&out, WEIR_LOG_ERROR, "it broke");
	read_pipe(ends[0], line, sizeof line);
	assert_int_equal(line[4], '-');
	assert_int_equal(line[23], 'Z');
	assert_string_equal(line + 24, " error   it broke\n");
	close(ends[0]);
	close(ends[1]);
}

static void a_json_line_is_escaped_and_utf8(void **state)
{
	int ends[2];
	char line[256];
	struct weir_log_fd out = { .format = WEIR_LOG_JSON };

	(void)state;
	assert_int_equal(pipe(ends), 0);
	out.fd = ends[1];
	weir_log_to_fd(&out, WEIR_LOG_WARNING, "say \"\xc3\xa4\\\"\x01");
	read_pipe(ends[0], line, sizeof line);
	assert_memory_equal(line, "{\"time\":\"", 9);
	assert_string_equal(line + 33, "\",\"level\":\"warning\",\"text\":\"say \\\"\xc3\xa4\\\\\\\"?\"}\n");
	weir_log_to_fd(&out, WEIR_LOG_WARNING, "cut \xc3");
	read_pipe(ends[0], line, sizeof line);
	assert_non_null(strstr(line, "\"cut ?\"}\n"));
	close(ends[0]);
	close(ends[1]);
}

static void a_full_pipe_drops_and_counts_instead_of_blocking(void **state)
{
	static char block[65536];
	int ends[2];
	struct weir_log_fd out = { .format = WEIR_LOG_TEXT };

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_true(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
	while (write(ends[1], block, sizeof block) > 0)
		;
	assert_true(fcntl(ends[1], F_SETFL, 0) == 0);
	out.fd = ends[1];
	weir_log_to_fd(&out, WEIR_LOG_NOTICE, "one");
	weir_log_to_fd(&out, WEIR_LOG_NOTICE, "two");
	assert_int_equal(out.dropped, 2);
	close(ends[0]);
	close(ends[1]);
}

static void when_there_is_room_again_it_is_told_how_many_are_missing(void **state)
{
	char text[512];
	int ends[2];
	struct weir_log_fd out = { .fd = -1, .format = WEIR_LOG_TEXT };

	(void)state;
	weir_log_to_fd(&out, WEIR_LOG_NOTICE, "lost");
	weir_log_to_fd(&out, WEIR_LOG_NOTICE, "lost");
	assert_int_equal(pipe(ends), 0);
	out.fd = ends[1];
	weir_log_to_fd(&out, WEIR_LOG_NOTICE, "first");
	read_pipe(ends[0], text, sizeof text);
	assert_non_null(strstr(text, "first\n"));
	assert_non_null(strstr(text, "2 lines of the log could not be written\n"));
	weir_log_to_fd(&out, WEIR_LOG_NOTICE, "second");
	read_pipe(ends[0], text, sizeof text);
	assert_null(strstr(text, "could not be written"));
	close(ends[0]);
	close(ends[1]);
}

static void a_closed_descriptor_is_counted(void **state)
{
	struct weir_log_fd out = { .fd = -1, .format = WEIR_LOG_TEXT };

	(void)state;
	weir_log_to_fd(&out, WEIR_LOG_NOTICE, "lost");
	assert_int_equal(out.dropped, 1);
}

/* ---- clock --------------------------------------------------------------- */

static void wall_time_is_written_as_rfc_3339(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ INT64_C(1795519979123), "2026-11-24T11:32:59.123Z" },
		{ INT64_C(951782399999), "2000-02-28T23:59:59.999Z" },
		{ INT64_C(951782400000), "2000-02-29T00:00:00.000Z" },
		{ INT64_C(253402300799999), "9999-12-31T23:59:59.999Z" },
		{ INT64_MAX, "9999-12-31T23:59:59.999Z" },
		{ INT64_MIN, "1970-01-01T00:00:00.000Z" },
	};
	char text[WEIR_CLOCK_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		weir_clock_format(rows[i].ms, text);
		assert_string_equal(text, rows[i].text);
	}
}

static void deadlines_do_not_overflow(void **state)
{
	(void)state;
	assert_true(weir_clock_after_ms(5, 2) == 2000005);
	assert_true(weir_clock_after_ms(5, INT64_MAX) == WEIR_NS_NEVER);
	assert_true(weir_clock_after_ms(INT64_MAX - 1, 1) == WEIR_NS_NEVER);
	assert_true(weir_clock_after_ms(WEIR_NS_NEVER, -1) == WEIR_NS_NEVER);
	assert_true(weir_clock_after_ms(0, INT64_MIN) == INT64_MIN);
}

static void waiting_is_rounded_up_and_never_negative(void **state)
{
	int64_t now = weir_clock_now_ns();

	(void)state;
	assert_int_equal(weir_clock_wait_ms(0), 0);
	assert_int_equal(weir_clock_wait_ms(now), 0);
	assert_int_equal(weir_clock_wait_ms(WEIR_NS_NEVER), INT32_MAX);
	assert_in_range(weir_clock_wait_ms(now + 3600 * WEIR_NS_PER_S + 1), 3500 * 1000, 3600 * 1000 + 1);
}

static void clocks_go_on(void **state)
{
	int64_t a = weir_clock_now_ns(), b = weir_clock_now_ns();

	(void)state;
	assert_true(a > 0 && b >= a);
	assert_true(weir_clock_wall_ms() > INT64_C(1700000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(without_a_sink_lines_are_dropped, no_sink),
		cmocka_unit_test_setup(lines_above_the_level_are_not_made, no_sink),
		cmocka_unit_test_setup(control_characters_are_replaced, no_sink),
		cmocka_unit_test_setup(a_line_that_is_too_long_is_cut, no_sink),
		cmocka_unit_test(a_text_line_has_time_level_and_text),
		cmocka_unit_test(a_json_line_is_escaped_and_utf8),
		cmocka_unit_test(a_full_pipe_drops_and_counts_instead_of_blocking),
		cmocka_unit_test(when_there_is_room_again_it_is_told_how_many_are_missing),
		cmocka_unit_test(a_closed_descriptor_is_counted),
		cmocka_unit_test(wall_time_is_written_as_rfc_3339),
		cmocka_unit_test(deadlines_do_not_overflow),
		cmocka_unit_test(waiting_is_rounded_up_and_never_negative),
		cmocka_unit_test(clocks_go_on),
	};

	return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
