/* SPDX-License-Identifier: Apache-2.0 */
/* What the handler sees, and what the client sees of its answers. */
#include "unit/weir_cmocka.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "fixtures/http_fixture.h"

#define POST "POST /ns/name HTTP/1.1\r\nHost: h\r\n"

static struct http_fixture fixture;

static void add(char *text, size_t size, const char *name, struct weir_buf value)
{
	size_t len = strlen(text);

	if (value.ptr)
		snprintf(text + len, size - len, "%s=%.*s ", name, (int)value.len, (const char *)value.ptr);
}

/* Answers with what it was asked. */
static void echo(void *ctx, struct weir_http_request *request)
{
	static const char key[] = "X-Count";
	struct weir_header header = { { key, sizeof key - 1 }, { "1", 1 } };
	const struct weir_header *headers;
	char text[1024] = "";

	(void)ctx;
	snprintf(text, sizeof text, "method=%d headers=%zu ", (int)weir_http_request_method(request),
		 weir_http_request_headers(request, &headers));
	add(text, sizeof text, "path", weir_http_request_path(request));
	add(text, sizeof text, "query", weir_http_request_query(request));
	add(text, sizeof text, "host", weir_http_request_host(request));
	add(text, sizeof text, "x", weir_http_request_header(request, "X-a"));
	add(text, sizeof text, "body", weir_http_request_body(request));
	weir_http_respond(request, 200, &header, 1, weir_str(text));
}

static int start(void **state)
{
	(void)state;
	http_fixture_start(&fixture, NULL, echo, NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	http_fixture_stop(&fixture);
	return 0;
}

static void check_echo(const char *request, const char *wanted)
{
	struct http_answer answer;
	int fd = http_connect(fixture.port);

	assert_int_equal(http_ask(fd, request, &answer), 200);
	assert_string_equal(answer.body, wanted);
	close(fd);
}

static void handler_sees_the_parts_of_a_request(void **state)
{
	(void)state;
	check_echo("PUT /a/b?c=d HTTP/1.1\r\nhost: H:80\r\nx-A: 1\r\nContent-Length: 2\r\n\r\nhi",
		   "method=3 headers=3 path=/a/b query=c=d host=H:80 x=1 body=hi ");
}

static void absolute_form_gives_path_and_authority(void **state)
{
	(void)state;
	check_echo("GET http://Other:81/p?q HTTP/1.1\r\nHost: other:81\r\n\r\n",
		   "method=0 headers=1 path=/p query=q host=Other:81 body= ");
	check_echo("GET http://other HTTP/1.1\r\nHost: other\r\n\r\n", "method=0 headers=1 path=/ host=other body= ");
}

static void unknown_method_is_passed_on(void **state)
{
	(void)state;
	check_echo("get / HTTP/1.1\r\nHost: h\r\n\r\n", "method=7 headers=1 path=/ host=h body= ");
}

static void chunks_arrive_as_one_body_without_trailers(void **state)
{
	(void)state;
	check_echo(POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-A: evil\r\n\r\n",
		   "method=2 headers=2 path=/ns/name host=h body=abcde ");
}

static void path_is_not_decoded_and_not_normalised(void **state)
{
	(void)state;
	check_echo("GET /a/%2e%2e//./b HTTP/1.1\r\nHost: h\r\n\r\n",
		   "method=0 headers=1 path=/a/%2e%2e//./b host=h body= ");
}

static void answer_to_head_has_the_length_but_no_body(void **state)
{
	struct http_answer answer;
	char length[32];
	int fd = http_connect(fixture.port);

	(void)state;
	assert_int_equal(http_ask(fd, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", &answer), 200);
	assert_true(http_answer_header(&answer, "Content-Length", length, sizeof length));
	assert_string_equal(length, "39");
	/* Were there a body, it would stand where the next answer begins. */
	assert_int_equal(http_ask(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", &answer), 200);
	close(fd);
}

static void answer_has_a_date_and_the_handlers_headers(void **state)
{
	struct http_answer answer;
	char text[64];
	int fd = http_connect(fixture.port);

	(void)state;
	http_ask(fd, POST "\r\n", &answer);
	assert_true(http_answer_header(&answer, "X-Count", text, sizeof text));
	assert_string_equal(text, "1");
	assert_true(http_answer_header(&answer, "Date", text, sizeof text));
	assert_int_equal(strlen(text), strlen("Tue, 24 Nov 2026 11:32:59 GMT"));
	assert_string_equal(text + 25, " GMT");
	assert_false(http_answer_header(&answer, "Connection", text, sizeof text));
	close(fd);
}

static void connection_is_kept_for_the_next_request(void **state)
{
	struct http_answer answer;
	int fd = http_connect(fixture.port);

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(http_ask(fd, POST "Content-Length: 1\r\n\r\nx", &answer), 200);
	close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	static const char *const paths[] = { "path=/1 ", "path=/2 ", "path=/3 " };
	struct http_answer answer;
	int fd = http_connect(fixture.port);

	(void)state;
	http_send_text(fd, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n"
			   "abcGET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
	for (int i = 0; i < 3; i++) {
		http_read(fd, &answer, false);
		assert_non_null(strstr(answer.body, paths[i]));
	}
	close(fd);
}

static void thousand_pipelined_requests_are_all_answered(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
	struct http_answer answer;
	char *bytes = malloc(999 * sizeof request);
	int fd = http_connect(fixture.port);
	size_t len = 0;

	(void)state;
	assert_non_null(bytes);
	for (int i = 0; i < 999; i++, len += sizeof request - 1)
		memcpy(bytes + len, request, sizeof request);
	http_send(fd, bytes, len);
	for (int i = 0; i < 999; i++) {
		http_read(fd, &answer, false);
		assert_int_equal(answer.status, 200);
	}
	free(bytes);
	close(fd);
}

static void bad_request_behind_a_good_one_is_answered_after_it(void **state)
{
	struct http_answer answer;
	int fd = http_connect(fixture.port);

	(void)state;
	http_send_text(fd, POST "Content-Length: 1\r\n\r\nxBAD\r\n\r\n");
	http_read(fd, &answer, false);
	assert_int_equal(answer.status, 200);
	http_read(fd, &answer, false);
	assert_int_equal(answer.status, 400);
	assert_true(http_at_end(fd));
	close(fd);
}

static void client_that_asks_for_close_gets_it(void **state)
{
	struct http_answer answer;
	char text[64] = "";
	int fd = http_connect(fixture.port);

	(void)state;
	assert_int_equal(http_ask(fd, POST "Connection: foo, Close\r\n\r\n", &answer), 200);
	assert_true(http_answer_header(&answer, "Connection", text, sizeof text));
	assert_string_equal(text, "close");
	assert_true(http_at_end(fd));
	close(fd);
}

static void http_1_0_is_closed_unless_it_asks_to_keep(void **state)
{
	struct http_answer answer;
	char text[64] = "";
	int fd = http_connect(fixture.port);

	(void)state;
	assert_int_equal(http_ask(fd, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &answer), 200);
	assert_true(http_answer_header(&answer, "Connection", text, sizeof text));
	assert_string_equal(text, "keep-alive");
	assert_int_equal(http_ask(fd, "GET / HTTP/1.0\r\n\r\n", &answer), 200);
	assert_true(http_at_end(fd));
	close(fd);
}

static void client_that_closed_its_side_is_answered_and_closed(void **state)
{
	struct http_answer answer;
	int fd = http_connect(fixture.port);

	(void)state;
	http_send_text(fd, POST "\r\n");
	shutdown(fd, SHUT_WR);
	http_read(fd, &answer, false);
	assert_int_equal(answer.status, 200);
	assert_true(http_at_end(fd));
	close(fd);
}

static void expectation_is_met_before_the_body_comes(void **state)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct http_answer answer;
	char got[sizeof go_on] = "";
	int fd = http_connect(fixture.port);

	(void)state;
	http_send_text(fd, POST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	assert_int_equal(recv(fd, got, sizeof go_on - 1, MSG_WAITALL), sizeof go_on - 1);
	assert_string_equal(got, go_on);
	assert_int_equal(http_ask(fd, "ok", &answer), 200);
	assert_non_null(strstr(answer.body, "body=ok"));
	close(fd);
}

static void too_long_a_body_is_refused_while_it_is_still_sent(void **state)
{
	static char body[3 << 20];
	struct http_answer answer;
	int fd = http_connect(fixture.port);

	(void)state;
	http_send_text(fd, POST "Content-Length: 3145728\r\n\r\n");
	/* A client that sends everything before it looks must not lose the answer to a reset. */
	assert_true(http_send(fd, body, sizeof body));
	http_read(fd, &answer, false);
	assert_int_equal(answer.status, 413);
	assert_true(http_at_end(fd));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handler_sees_the_parts_of_a_request),
		cmocka_unit_test(absolute_form_gives_path_and_authority),
		cmocka_unit_test(unknown_method_is_passed_on),
		cmocka_unit_test(chunks_arrive_as_one_body_without_trailers),
		cmocka_unit_test(path_is_not_decoded_and_not_normalised),
		cmocka_unit_test(answer_to_head_has_the_length_but_no_body),
		cmocka_unit_test(answer_has_a_date_and_the_handlers_headers),
		cmocka_unit_test(connection_is_kept_for_the_next_request),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(thousand_pipelined_requests_are_all_answered),
		cmocka_unit_test(bad_request_behind_a_good_one_is_answered_after_it),
		cmocka_unit_test(client_that_asks_for_close_gets_it),
		cmocka_unit_test(http_1_0_is_closed_unless_it_asks_to_keep),
		cmocka_unit_test(client_that_closed_its_side_is_answered_and_closed),
		cmocka_unit_test(expectation_is_met_before_the_body_comes),
		cmocka_unit_test(too_long_a_body_is_refused_while_it_is_still_sent),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
