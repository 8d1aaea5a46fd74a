/* SPDX-License-Identifier: Apache-2.0 */
/* Streamed answers. */
#include "unit/weir_cmocka.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "fixtures/http_fixture.h"

#define GET "GET /tail HTTP/1.1\r\nHost: h\r\n\r\n"

struct streamer {
	struct http_fixture fixture;
	struct weir_http_stream *stream;
	_Atomic uint64_t begun;
	_Atomic uint64_t gone;
	int result;
	struct weir_buf bytes;
};

static void on_gone(void *ctx)
{
	struct streamer *streamer = ctx;

	streamer->stream = NULL;
	streamer->gone++;
}

static void begin(void *ctx, struct weir_http_request *request)
{
	struct streamer *streamer = ctx;

	if (!weir_str_equal(weir_http_request_path(request), WEIR_STR("/tail"))) {
		http_answer_202(NULL, request);
		return;
	}
	streamer->stream = weir_http_respond_stream(request, 200, "application/json", on_gone, streamer);
	streamer->begun++;
}

static void do_write(void *ctx)
{
	struct streamer *streamer = ctx;

	streamer->result = WEIR_EAGAIN;
	if (streamer->stream)
		streamer->result = weir_http_stream_write(streamer->stream, streamer->bytes);
}

static void do_end(void *ctx)
{
	struct streamer *streamer = ctx;

	weir_http_stream_end(streamer->stream);
}

static int start(void **state)
{
	struct weir_http_limits limits = { .max_body_bytes = 100000 };
	struct streamer *streamer = calloc(1, sizeof *streamer);

	http_fixture_start(&streamer->fixture, &limits, begin, streamer);
	*state = streamer;
	return 0;
}

static int stop(void **state)
{
	struct streamer *streamer = *state;

	http_fixture_stop(&streamer->fixture);
	free(streamer);
	return 0;
}

static int begin_stream(struct streamer *streamer, const char *request)
{
	int fd = http_connect(streamer->fixture.port);

	http_send_text(fd, request);
	http_fixture_wait(&streamer->begun, 1);
	return fd;
}

static int write_text(struct streamer *streamer, const char *text)
{
	streamer->bytes = weir_str(text);
	http_fixture_call(&streamer->fixture, do_write, streamer);
	return streamer->result;
}

static void check_got(int fd, const char *wanted)
{
	char got[256] = "";

	assert_int_equal(recv(fd, got, strlen(wanted), MSG_WAITALL), strlen(wanted));
	assert_string_equal(got, wanted);
}

static void pieces_are_chunks_and_the_connection_is_kept(void **state)
{
	struct streamer *streamer = *state;
	struct http_answer answer;
	char text[32];
	int fd = begin_stream(streamer, GET);

	http_read(fd, &answer, true);
	assert_int_equal(answer.status, 200);
	assert_true(http_answer_header(&answer, "Transfer-Encoding", text, sizeof text));
	assert_int_equal(write_text(streamer, "hello, weir"), WEIR_OK);
	check_got(fd, "b\r\nhello, weir\r\n");
	assert_int_equal(write_text(streamer, ""), WEIR_OK);
	assert_int_equal(write_text(streamer, "x"), WEIR_OK);
	check_got(fd, "1\r\nx\r\n");
	http_fixture_call(&streamer->fixture, do_end, streamer);
	check_got(fd, "0\r\n\r\n");
	assert_int_equal(http_ask(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", &answer), 202);
	assert_int_equal(streamer->gone, 0);
	close(fd);
}

static void request_behind_a_stream_waits_for_its_end(void **state)
{
	struct streamer *streamer = *state;
	struct http_answer answer;
	int fd = begin_stream(streamer, GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n");

	http_read(fd, &answer, true);
	http_fixture_call(&streamer->fixture, do_end, streamer);
	check_got(fd, "0\r\n\r\n");
	http_read(fd, &answer, false);
	assert_int_equal(answer.status, 202);
	close(fd);
}

static void http_1_0_gets_the_plain_bytes_and_the_end(void **state)
{
	struct streamer *streamer = *state;
	struct http_answer answer;
	char text[32];
	int fd = begin_stream(streamer, "GET /tail HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");

	http_read(fd, &answer, true);
	assert_false(http_answer_header(&answer, "Transfer-Encoding", text, sizeof text));
	assert_true(http_answer_header(&answer, "Connection", text, sizeof text));
	assert_string_equal(text, "close");
	write_text(streamer, "hello");
	check_got(fd, "hello");
	http_fixture_call(&streamer->fixture, do_end, streamer);
	assert_true(http_at_end(fd));
	close(fd);
}

static void head_gets_no_bytes(void **state)
{
	struct streamer *streamer = *state;
	struct http_answer answer;
	int fd = begin_stream(streamer, "HEAD /tail HTTP/1.1\r\nHost: h\r\n\r\n");

	http_read(fd, &answer, true);
	assert_int_equal(write_text(streamer, "hello"), WEIR_OK);
	http_fixture_call(&streamer->fixture, do_end, streamer);
	assert_int_equal(http_ask(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", &answer), 202);
	close(fd);
}

static void client_that_leaves_is_noticed_without_a_write(void **state)
{
	struct streamer *streamer = *state;
	int fd = begin_stream(streamer, GET);

	close(fd);
	http_fixture_wait(&streamer->gone, 1);
	assert_null(streamer->stream);
}

static void client_that_had_closed_its_side_is_taken_for_gone(void **state)
{
	struct streamer *streamer = *state;
	int fd = http_connect(streamer->fixture.port);

	http_send_text(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n" GET);
	shutdown(fd, SHUT_WR);
	http_fixture_wait(&streamer->gone, 1);
	close(fd);
}

static void server_that_ends_tells_its_streams(void **state)
{
	struct streamer *streamer = *state;
	int fd = begin_stream(streamer, GET);

	http_fixture_stop(&streamer->fixture);
	assert_int_equal(streamer->gone, 1);
	close(fd);
	http_fixture_start(&streamer->fixture, NULL, begin, streamer);
}

static void client_that_does_not_read_makes_write_say_again(void **state)
{
	struct streamer *streamer = *state;
	static char piece[50000];
	char got[65536];
	int fd = begin_stream(streamer, GET);
	size_t written = 0, read = 0;

	streamer->bytes = (struct weir_buf){ piece, sizeof piece };
	for (http_fixture_call(&streamer->fixture, do_write, streamer); streamer->result == WEIR_OK; written++) {
		assert_true(written < 1000);
		http_fixture_call(&streamer->fixture, do_write, streamer);
	}
	assert_int_equal(streamer->result, WEIR_EAGAIN);
	while (read < written * sizeof piece) {
		ssize_t count = recv(fd, got, sizeof got, 0);

		assert_true(count > 0);
		read += (size_t)count;
	}
	http_fixture_call(&streamer->fixture, do_write, streamer);
	assert_int_equal(streamer->result, WEIR_OK);
	close(fd);
	http_fixture_wait(&streamer->gone, 1);
}

static void client_that_does_not_read_for_long_is_given_up(void **state)
{
	struct weir_http_limits limits = { .max_body_bytes = 100000, .write_timeout_ms = 60 };
	struct streamer *streamer = *state;
	static char piece[50000];
	int fd;

	http_fixture_stop(&streamer->fixture);
	http_fixture_start(&streamer->fixture, &limits, begin, streamer);
	fd = begin_stream(streamer, GET);
	streamer->bytes = (struct weir_buf){ piece, sizeof piece };
	do
		http_fixture_call(&streamer->fixture, do_write, streamer);
	while (streamer->result == WEIR_OK);
	assert_int_equal(streamer->result, WEIR_EAGAIN);
	http_fixture_wait(&streamer->gone, 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pieces_are_chunks_and_the_connection_is_kept, start, stop),
		cmocka_unit_test_setup_teardown(request_behind_a_stream_waits_for_its_end, start, stop),
		cmocka_unit_test_setup_teardown(http_1_0_gets_the_plain_bytes_and_the_end, start, stop),
		cmocka_unit_test_setup_teardown(head_gets_no_bytes, start, stop),
		cmocka_unit_test_setup_teardown(client_that_leaves_is_noticed_without_a_write, start, stop),
		cmocka_unit_test_setup_teardown(client_that_had_closed_its_side_is_taken_for_gone, start, stop),
		cmocka_unit_test_setup_teardown(server_that_ends_tells_its_streams, start, stop),
		cmocka_unit_test_setup_teardown(client_that_does_not_read_makes_write_say_again, start, stop),
		cmocka_unit_test_setup_teardown(client_that_does_not_read_for_long_is_given_up, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
