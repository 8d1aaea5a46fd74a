/* SPDX-License-Identifier: Apache-2.0 */
/* Each limit at one less, at itself, and at one more; and limits that meet. */
#include "unit/weir_cmocka.h"

#include <stdio.h>
#include <string.h>

#include "fixtures/http_parse.h"

#define HEAD "POST / HTTP/1.1\r\nHost: h\r\n"

/* The status with these limits, which must not depend on how the bytes come. */
static int status_of(const char *bytes, const struct weir_http_limits *limits)
{
	struct weir_dynbuf whole, bytewise;
	int status = http_parse(bytes, strlen(bytes), limits, http_parse_whole, NULL, &whole);

	http_parse(bytes, strlen(bytes), limits, http_parse_bytewise, NULL, &bytewise);
	assert_int_equal(whole.len, bytewise.len);
	assert_memory_equal(whole.ptr, bytewise.ptr, whole.len);
	weir_dynbuf_fini(&whole);
	weir_dynbuf_fini(&bytewise);
	return status;
}

static void target_longer_than_its_limit_is_414(void **state)
{
	const struct weir_http_limits limits = { .max_target_bytes = 10 };

	(void)state;
	assert_int_equal(status_of("GET /234567890 HTTP/1.1\r\nHost: h\r\n\r\n", &limits), 202);
	assert_int_equal(status_of("GET /2345678901 HTTP/1.1\r\nHost: h\r\n\r\n", &limits), 414);
	assert_int_equal(status_of("GET /2345678901", &limits), 414);
}

static void what_comes_first_in_the_bytes_is_what_is_told(void **state)
{
	const struct weir_http_limits limits = { .max_target_bytes = 10 };

	(void)state;
	assert_int_equal(status_of("GET /23456\x01"
				   "8901 HTTP/1.1\r\n",
				   &limits),
			 400);
	assert_int_equal(status_of("GET /2345678901\x01 HTTP/1.1\r\n", &limits), 414);
}

static void header_line_longer_than_its_limit_is_431(void **state)
{
	const struct weir_http_limits limits = { .max_header_bytes = 10 };

	(void)state;
	assert_int_equal(status_of(HEAD "X: 4567890\r\n\r\n", &limits), 202);
	assert_int_equal(status_of(HEAD "X: 45678901\r\n\r\n", &limits), 431);
	assert_int_equal(status_of(HEAD "X:        4\r\n\r\n", &limits), 431);
	assert_int_equal(status_of(HEAD "X4567890:\r\n\r\n", &limits), 202);
	assert_int_equal(status_of(HEAD "X456789012:\r\n\r\n", &limits), 431);
	assert_int_equal(status_of(HEAD "X4567890123", &limits), 431);
}

static void head_longer_than_its_limit_is_431(void **state)
{
	const char head[] = HEAD "A: b\r\n\r\n";
	struct weir_http_limits limits = { .max_head_bytes = sizeof head - 1 };

	(void)state;
	assert_int_equal(status_of(head, &limits), 202);
	limits.max_head_bytes++;
	assert_int_equal(status_of(head, &limits), 202);
	limits.max_head_bytes -= 2;
	assert_int_equal(status_of(head, &limits), 431);
}

static void empty_line_before_the_request_is_not_counted_as_head(void **state)
{
	const char head[] = "\r\n" HEAD "\r\n";
	const struct weir_http_limits limits = { .max_head_bytes = sizeof head - 3 };

	(void)state;
	assert_int_equal(status_of(head, &limits), 202);
}

static void more_headers_than_the_limit_are_431(void **state)
{
	struct weir_http_limits limits = { .max_headers = 3 };

	(void)state;
	assert_int_equal(status_of(HEAD "A: b\r\n\r\n", &limits), 202);
	assert_int_equal(status_of(HEAD "A: b\r\nC: d\r\n\r\n", &limits), 202);
	assert_int_equal(status_of(HEAD "A: b\r\nC: d\r\nE: f\r\n\r\n", &limits), 431);
}

static void declared_body_longer_than_the_limit_is_413_before_it_comes(void **state)
{
	const struct weir_http_limits limits = { .max_body_bytes = 5 };

	(void)state;
	assert_int_equal(status_of(HEAD "Content-Length: 4\r\n\r\n1234", &limits), 202);
	assert_int_equal(status_of(HEAD "Content-Length: 5\r\n\r\n12345", &limits), 202);
	assert_int_equal(status_of(HEAD "Content-Length: 6\r\n\r\n", &limits), 413);
}

static void chunks_longer_than_the_limit_together_are_413(void **state)
{
	const struct weir_http_limits limits = { .max_body_bytes = 5 };

	(void)state;
	assert_int_equal(status_of(HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\n123\r\n1\r\n4\r\n0\r\n\r\n", &limits),
			 202);
	assert_int_equal(status_of(HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\n123\r\n2\r\n45\r\n0\r\n\r\n", &limits),
			 202);
	assert_int_equal(status_of(HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\n123\r\n3\r\n", &limits), 413);
}

static void chunk_extensions_are_limited_over_a_request(void **state)
{
	struct weir_dynbuf bytes;
	char extension[256];

	(void)state;
	memset(extension, 'a', 255);
	extension[255] = '\0';
	weir_dynbuf_init(&bytes, 8192);
	weir_dynbuf_add_text(&bytes, HEAD "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 16; i++)
		weir_dynbuf_addf(&bytes, "1;%s\r\nx\r\n", extension);
	weir_dynbuf_add_text(&bytes, "0");
	assert_int_equal(status_of(bytes.ptr, NULL), 0);
	weir_dynbuf_add_text(&bytes, "\r\n\r\n");
	assert_int_equal(status_of(bytes.ptr, NULL), 202);
	bytes.len -= 4;
	weir_dynbuf_add_text(&bytes, ";a\r\n\r\n");
	assert_int_equal(status_of(bytes.ptr, NULL), 400);
	weir_dynbuf_fini(&bytes);
}

static void trailer_longer_than_a_header_is_431(void **state)
{
	const struct weir_http_limits limits = { .max_header_bytes = 30 };

	(void)state;
	assert_int_equal(
	    status_of(HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\nX:345678901234567890123456789 \r\n\r\n", &limits),
	    202);
	assert_int_equal(
	    status_of(HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\nX:3456789012345678901234567890 \r\n\r\n", &limits),
	    431);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(target_longer_than_its_limit_is_414),
		cmocka_unit_test(what_comes_first_in_the_bytes_is_what_is_told),
		cmocka_unit_test(header_line_longer_than_its_limit_is_431),
		cmocka_unit_test(head_longer_than_its_limit_is_431),
		cmocka_unit_test(empty_line_before_the_request_is_not_counted_as_head),
		cmocka_unit_test(more_headers_than_the_limit_are_431),
		cmocka_unit_test(declared_body_longer_than_the_limit_is_413_before_it_comes),
		cmocka_unit_test(chunks_longer_than_the_limit_together_are_413),
		cmocka_unit_test(chunk_extensions_are_limited_over_a_request),
		cmocka_unit_test(trailer_longer_than_a_header_is_431),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
