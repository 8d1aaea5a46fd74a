/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "http/client_head.h"

static struct weir_header headers[WEIR_HTTP_HEAD_HEADERS];

static int read_head(const char *text, struct weir_http_head *head)
{
	const char *why = NULL;
	int code = weir_http_head_read(weir_str(text), head, headers, &why);

	/* What is refused has a reason. */
	assert_int_equal(code == WEIR_EIO, why != NULL);
	return code;
}

static void a_head_is_read_up_to_the_empty_line(void **state)
{
	static const char text[] = "HTTP/1.1 204 No Content\r\nA: 1\r\nb:\t2 \r\nEmpty:\r\n\r\nrest";
	struct weir_http_head head;

	(void)state;
	assert_int_equal(read_head(text, &head), WEIR_OK);
	assert_int_equal(head.status, 204);
	assert_int_equal(head.version, 11);
	assert_int_equal(head.bytes, sizeof text - 1 - 4);
	assert_int_equal(head.header_count, 3);
	assert_true(weir_str_equal(headers[0].name, WEIR_STR("A")));
	assert_true(weir_str_equal(headers[1].value, WEIR_STR("2")));
	assert_int_equal(headers[2].value.len, 0);
	assert_non_null(headers[2].value.ptr);
	assert_true(head.keep_alive);
	assert_false(head.chunked);
	assert_true(head.length == UINT64_MAX);
}

static void every_part_of_a_head_is_incomplete(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA: b\r\n\r\n";
	struct weir_http_head head;
	const char *why;

	(void)state;
	for (size_t len = 0; len < sizeof text - 1; len++)
		assert_int_equal(weir_http_head_read((struct weir_buf){ text, len }, &head, headers, &why),
				 WEIR_EAGAIN);
}

static void lines_may_end_with_a_line_feed_alone(void **state)
{
	struct weir_http_head head;

	(void)state;
	assert_int_equal(read_head("HTTP/1.1 200\nContent-Length: 3\n\nabc", &head), WEIR_OK);
	assert_true(head.length == 3);
}

static void the_connection_header_decides_about_keeping(void **state)
{
	static const struct {
		const char *text;
		bool keep;
	} list[] = {
		{ "HTTP/1.1 200 OK\r\n\r\n", true },
		{ "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", false },
		{ "HTTP/1.1 200 OK\r\nCONNECTION: x, Close\r\n\r\n", false },
		{ "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", true },
		{ "HTTP/1.0 200 OK\r\n\r\n", false },
		{ "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", true },
		{ "HTTP/2 200\r\n\r\n", true },
	};
	struct weir_http_head head;

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		assert_int_equal(read_head(list[i].text, &head), WEIR_OK);
		if (head.keep_alive != list[i].keep)
			fail_msg("%s", list[i].text);
	}
}

static void what_is_no_head_is_refused(void **state)
{
	static const char *const list[] = {
		"X",
		"HTTX/1.1 200 OK\r\n",
		"HTTP/1.2 200 OK\r\n",
		"HTTP/1.1  200 OK\r\n",
		"HTTP/1.1 099 OK\r\n",
		"HTTP/1.1 600 OK\r\n",
		"HTTP/1.1 2x0 OK\r\n",
		"HTTP/1.1 2000 OK\r\n",
		"HTTP/1.1 200OK\r\n",
		"HTTP/1.1 200 OK\r\n: no name\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n",
		"HTTP/1.1 200 OK\r\nna me: x\r\n",
		"HTTP/1.1 200 OK\r\nA : x\r\n",
		"HTTP/1.1 200 OK\r\n folded: x\r\n",
		"HTTP/1.1 200 OK\r\nA: a\rb\r\n",
		"HTTP/1.1 200 OK\r\nA: \x01\r\n",
		"HTTP/1.1 200 OK\r\nA: \x7f\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: \r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\ncontent-length: 1\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	};
	struct weir_http_head head;

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		if (read_head(list[i], &head) != WEIR_EIO)
			fail_msg("accepted: %s", list[i]);
	}
}

static void a_head_has_at_most_128_lines_and_64_kib(void **state)
{
	enum { SIZE = 80 * 1024 };
	char *text = malloc(SIZE);
	struct weir_http_head head;
	int used;

	(void)state;
	assert_non_null(text);
	for (int lines = 128; lines <= 129; lines++) {
		used = snprintf(text, SIZE, "HTTP/1.1 200 OK\r\n");
		for (int i = 0; i < lines; i++)
			used += snprintf(text + used, SIZE - (size_t)used, "a: b\r\n");
		snprintf(text + used, SIZE - (size_t)used, "\r\n");
		assert_int_equal(read_head(text, &head), lines == 128 ? WEIR_OK : WEIR_EIO);
	}
	used = snprintf(text, SIZE, "HTTP/1.1 200 OK\r\na: ");
	memset(text + used, 'x', SIZE - (size_t)used - 1);
	text[WEIR_HTTP_HEAD_BYTES - 1] = '\0';
	assert_int_equal(read_head(text, &head), WEIR_EAGAIN);
	text[WEIR_HTTP_HEAD_BYTES - 1] = 'x';
	text[WEIR_HTTP_HEAD_BYTES] = '\0';
	assert_int_equal(read_head(text, &head), WEIR_EIO);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_is_read_up_to_the_empty_line),
		cmocka_unit_test(every_part_of_a_head_is_incomplete),
		cmocka_unit_test(lines_may_end_with_a_line_feed_alone),
		cmocka_unit_test(the_connection_header_decides_about_keeping),
		cmocka_unit_test(what_is_no_head_is_refused),
		cmocka_unit_test(a_head_has_at_most_128_lines_and_64_kib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
