/* SPDX-License-Identifier: Apache-2.0 */
/* Answers given later, errors, big answers, clients that are gone. */
#include "unit/weir_cmocka.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "fixtures/http_fixture.h"

#define POST "POST /ns/name HTTP/1.1\r\nHost: h\r\n"

enum { MAX_HELD = 64 };

/* Requests that the handler keeps until the test answers them, on the loop's thread. */
struct held {
	struct http_fixture fixture;
	struct weir_http_request *requests[MAX_HELD];
	size_t count;
	_Atomic uint64_t seen;
};

static void hold(void *ctx, struct weir_http_request *request)
{
	struct held *held = ctx;

	if (held->count < MAX_HELD)
		held->requests[held->count++] = request;
	held->seen++;
}

static int start(void **state)
{
	struct held *held = calloc(1, sizeof *held);

	http_fixture_start(&held->fixture, NULL, hold, held);
	*state = held;
	return 0;
}

static int stop(void **state)
{
	struct held *held = *state;

	http_fixture_stop(&held->fixture);
	free(held);
	return 0;
}

static void answer_all(void *ctx)
{
	static const struct weir_http_canned accepted = { 202, "X-Canned: yes\r\n" };
	struct held *held = ctx;

	for (size_t i = 0; i < held->count; i++)
		weir_http_respond_canned(held->requests[i], &accepted);
	held->count = 0;
}

static void answer_with_error(void *ctx)
{
	struct held *held = ctx;

	weir_http_respond_error(held->requests[--held->count], 429, "busy", "say \"please\" \\ \n");
}

static void answer_with_bad_header(void *ctx)
{
	struct held *held = ctx;
	struct weir_header header = { { "X", 1 }, { "a\r\nY: b", 7 } };

	weir_http_respond(held->requests[--held->count], 200, &header, 1, WEIR_STR("body"));
}

static void answer_with_204(void *ctx)
{
	struct held *held = ctx;

	weir_http_respond(held->requests[--held->count], 204, NULL, 0, WEIR_STR(""));
}

enum { BIG = 8 << 20 };

static void answer_with_much(void *ctx)
{
	struct held *held = ctx;
	char *body = malloc(BIG);

	for (size_t i = 0; i < BIG; i++)
		body[i] = (char)(i * 31 % 251);
	weir_http_respond(held->requests[--held->count], 200, NULL, 0, (struct weir_buf){ body, BIG });
	free(body);
}

static void answer_may_come_later(void **state)
{
	struct held *held = *state;
	struct http_answer answer;
	char text[16];
	int fd = http_connect(held->fixture.port);

	for (int i = 0; i < 3; i++) {
		held->seen = 0;
		http_send_text(fd, POST "Content-Length: 3\r\n\r\nabc");
		http_fixture_wait(&held->seen, 1);
		http_fixture_call(&held->fixture, answer_all, held);
		http_read(fd, &answer, false);
		assert_int_equal(answer.status, 202);
		assert_true(http_answer_header(&answer, "X-Canned", text, sizeof text));
	}
	close(fd);
}

static void pipelined_request_waits_for_the_answer_before_it(void **state)
{
	struct held *held = *state;
	struct http_answer answer;
	int fd = http_connect(held->fixture.port);

	http_send_text(fd, POST "\r\n" POST "Content-Length: 3\r\n\r\nab");
	http_fixture_wait(&held->seen, 1);
	http_send_text(fd, "c" POST "\r\n");
	for (uint64_t i = 1; i <= 3; i++) {
		http_fixture_wait(&held->seen, i);
		assert_int_equal(held->count, 1);
		http_fixture_call(&held->fixture, answer_all, held);
		http_read(fd, &answer, false);
		assert_int_equal(answer.status, 202);
	}
	close(fd);
}

static void answer_to_a_client_that_is_gone_is_dropped(void **state)
{
	struct held *held = *state;
	const struct weir_http_server_stats *stats = weir_http_server_stats(held->fixture.server);
	struct linger reset = { 1, 0 };

	for (uint64_t i = 1; i <= 8; i++) {
		int fd = http_connect(held->fixture.port);

		http_send_text(fd, POST "Content-Length: 3\r\n\r\nabc");
		http_fixture_wait(&held->seen, i);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		close(fd);
	}
	http_fixture_wait(&stats->connections, 0);
	http_fixture_call(&held->fixture, answer_all, held);
}

static void answer_may_come_after_the_server_is_gone(void **state)
{
	struct held *held = *state;
	int fd = http_connect(held->fixture.port);

	http_send_text(fd, POST "Content-Length: 3\r\n\r\nabc");
	http_fixture_wait(&held->seen, 1);
	http_fixture_stop(&held->fixture);
	answer_all(held);
	close(fd);
	http_fixture_start(&held->fixture, NULL, hold, held);
}

static void error_is_json_with_a_hint_when_to_try_again(void **state)
{
	struct held *held = *state;
	struct http_answer answer;
	char text[64];
	int fd = http_connect(held->fixture.port);

	http_send_text(fd, POST "\r\n");
	http_fixture_wait(&held->seen, 1);
	http_fixture_call(&held->fixture, answer_with_error, held);
	http_read(fd, &answer, false);
	assert_int_equal(answer.status, 429);
	assert_string_equal(answer.body, "{\"code\":\"busy\",\"reason\":\"say \\\"please\\\" \\\\ \\u000a\"}");
	assert_true(http_answer_header(&answer, "Retry-After", text, sizeof text));
	assert_true(http_answer_header(&answer, "Content-Type", text, sizeof text));
	assert_string_equal(text, "application/json");
	close(fd);
}

static void handlers_error_keeps_the_connection(void **state)
{
	struct held *held = *state;
	struct http_answer answer;
	int fd = http_connect(held->fixture.port);

	for (uint64_t i = 1; i <= 2; i++) {
		http_send_text(fd, POST "\r\n");
		http_fixture_wait(&held->seen, i);
		http_fixture_call(&held->fixture, answer_with_error, held);
		http_read(fd, &answer, false);
		assert_int_equal(answer.status, 429);
	}
	close(fd);
}

static void header_with_a_line_break_is_not_sent(void **state)
{
	struct held *held = *state;
	struct http_answer answer;
	int fd = http_connect(held->fixture.port);

	http_send_text(fd, POST "\r\n");
	http_fixture_wait(&held->seen, 1);
	http_fixture_call(&held->fixture, answer_with_bad_header, held);
	http_read(fd, &answer, false);
	assert_int_equal(answer.status, 500);
	assert_null(strstr(answer.head, "Y: b"));
	close(fd);
}

static void status_204_has_no_length(void **state)
{
	struct held *held = *state;
	struct http_answer answer;
	char text[64];
	int fd = http_connect(held->fixture.port);

	http_send_text(fd, POST "\r\n");
	http_fixture_wait(&held->seen, 1);
	http_fixture_call(&held->fixture, answer_with_204, held);
	http_read(fd, &answer, false);
	assert_int_equal(answer.status, 204);
	assert_false(http_answer_header(&answer, "Content-Length", text, sizeof text));
	close(fd);
}

static void answer_that_the_kernel_cannot_take_at_once_arrives_whole(void **state)
{
	struct held *held = *state;
	struct http_answer answer;
	char *body = malloc(BIG);
	int fd = http_connect(held->fixture.port);

	http_send_text(fd, POST "\r\n" POST "\r\n");
	http_fixture_wait(&held->seen, 1);
	http_fixture_call(&held->fixture, answer_with_much, held);
	http_read(fd, &answer, true);
	assert_int_equal(answer.body_len, 0);
	assert_int_equal(recv(fd, body, BIG, MSG_WAITALL), BIG);
	for (size_t i = 0; i < BIG; i++)
		if (body[i] != (char)(i * 31 % 251))
			fail_msg("byte %zu is wrong", i);
	/* And the request behind it is not forgotten. */
	http_fixture_wait(&held->seen, 2);
	http_fixture_call(&held->fixture, answer_all, held);
	http_read(fd, &answer, false);
	assert_int_equal(answer.status, 202);
	free(body);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answer_may_come_later, start, stop),
		cmocka_unit_test_setup_teardown(pipelined_request_waits_for_the_answer_before_it, start, stop),
		cmocka_unit_test_setup_teardown(answer_to_a_client_that_is_gone_is_dropped, start, stop),
		cmocka_unit_test_setup_teardown(answer_may_come_after_the_server_is_gone, start, stop),
		cmocka_unit_test_setup_teardown(error_is_json_with_a_hint_when_to_try_again, start, stop),
		cmocka_unit_test_setup_teardown(handlers_error_keeps_the_connection, start, stop),
		cmocka_unit_test_setup_teardown(header_with_a_line_break_is_not_sent, start, stop),
		cmocka_unit_test_setup_teardown(status_204_has_no_length, start, stop),
		cmocka_unit_test_setup_teardown(answer_that_the_kernel_cannot_take_at_once_arrives_whole, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
