/* SPDX-License-Identifier: Apache-2.0 */
/* Listening, draining, ending, and many connections that come and go. */
#include "unit/weir_cmocka.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "fixtures/http_fixture.h"

#define POST "POST /ns/name HTTP/1.1\r\nHost: h\r\n"

struct drained {
	struct http_fixture fixture;
	struct weir_http_request *request;
	_Atomic uint64_t seen;
	_Atomic uint64_t drained;
};

static void hold(void *ctx, struct weir_http_request *request)
{
	struct drained *drained = ctx;

	if (!weir_str_equal(weir_http_request_path(request), WEIR_STR("/hold"))) {
		http_answer_202(NULL, request);
		return;
	}
	drained->request = request;
	drained->seen++;
}

static void on_drained(void *ctx)
{
	struct drained *drained = ctx;

	drained->drained++;
}

static void do_drain(void *ctx)
{
	struct drained *drained = ctx;

	weir_http_server_drain(drained->fixture.server, on_drained, drained);
}

static void do_answer(void *ctx)
{
	struct drained *drained = ctx;

	http_answer_202(NULL, drained->request);
}

static int start(void **state)
{
	struct drained *drained = calloc(1, sizeof *drained);

	http_fixture_start(&drained->fixture, NULL, hold, drained);
	*state = drained;
	return 0;
}

static int stop(void **state)
{
	struct drained *drained = *state;

	http_fixture_stop(&drained->fixture);
	free(drained);
	return 0;
}

static void drain_without_connections_is_at_once(void **state)
{
	struct drained *drained = *state;

	http_fixture_call(&drained->fixture, do_drain, drained);
	assert_int_equal(drained->drained, 1);
}

static void drain_closes_idle_connections_and_the_port(void **state)
{
	struct drained *drained = *state;
	struct http_answer answer;
	struct sockaddr_storage address = { 0 };
	void *sockaddr = &address;
	socklen_t len = sizeof address;
	int fd = http_connect(drained->fixture.port);
	int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(http_ask(fd, POST "\r\n", &answer), 202);
	assert_int_equal(getpeername(fd, sockaddr, &len), 0);
	http_fixture_call(&drained->fixture, do_drain, drained);
	assert_true(http_at_end(fd));
	http_fixture_wait(&drained->drained, 1);
	assert_int_equal(connect(other, sockaddr, len), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(other);
	close(fd);
}

static void drain_waits_for_the_request_that_is_handled(void **state)
{
	struct drained *drained = *state;
	struct http_answer answer;
	char text[16] = "";
	int fd = http_connect(drained->fixture.port);

	http_send_text(fd, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
	http_fixture_wait(&drained->seen, 1);
	http_fixture_call(&drained->fixture, do_drain, drained);
	assert_int_equal(drained->drained, 0);
	http_fixture_call(&drained->fixture, do_answer, drained);
	http_read(fd, &answer, false);
	assert_int_equal(answer.status, 202);
	assert_true(http_answer_header(&answer, "Connection", text, sizeof text));
	assert_string_equal(text, "close");
	assert_true(http_at_end(fd));
	http_fixture_wait(&drained->drained, 1);
	/* It does not wait for the client to close its side. */
	assert_int_equal(weir_http_server_stats(drained->fixture.server)->connections, 1);
	close(fd);
}

static void drain_waits_for_the_request_that_is_read(void **state)
{
	struct drained *drained = *state;
	const struct weir_http_server_stats *stats = weir_http_server_stats(drained->fixture.server);
	struct http_answer answer;
	int fd = http_connect(drained->fixture.port);

	http_send_text(fd, POST "Content-Length: 3\r\n\r\na");
	http_fixture_wait(&stats->bytes_in, strlen(POST "Content-Length: 3\r\n\r\na"));
	http_fixture_call(&drained->fixture, do_drain, drained);
	assert_int_equal(drained->drained, 0);
	assert_int_equal(http_ask(fd, "bc", &answer), 202);
	assert_true(http_at_end(fd));
	http_fixture_wait(&drained->drained, 1);
	close(fd);
}

static void reset_by_client(int fd)
{
	struct linger reset = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(fd);
}

static void drain_ends_when_the_client_of_the_last_request_is_gone(void **state)
{
	struct drained *drained = *state;
	int fd = http_connect(drained->fixture.port);

	http_send_text(fd, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
	http_fixture_wait(&drained->seen, 1);
	http_fixture_call(&drained->fixture, do_drain, drained);
	assert_int_equal(drained->drained, 0);
	reset_by_client(fd);
	http_fixture_wait(&drained->drained, 1);
	http_fixture_call(&drained->fixture, do_answer, drained);
}

/* However connections ended before: none of them is waited for. */
static void drain_does_not_wait_for_clients_that_left(void **state)
{
	struct drained *drained = *state;
	const struct weir_http_server_stats *stats = weir_http_server_stats(drained->fixture.server);
	static const char *const requests[] = { POST "\r\n", POST "Connection: close\r\n\r\n", "BAD\r\n" };
	struct http_answer answer;

	for (size_t i = 0; i < 3; i++) {
		int fd = http_connect(drained->fixture.port);

		http_ask(fd, requests[i], &answer);
		close(fd);
	}
	http_fixture_wait(&stats->connections, 0);
	http_fixture_call(&drained->fixture, do_drain, drained);
	assert_int_equal(drained->drained, 1);
}

static void servers_share_an_address(void **state)
{
	struct drained *drained = *state;
	struct weir_http_server_options options = { .handler = http_answer_202 };
	struct weir_http_server *server;
	struct weir_loop *loop;
	struct weir_error err = WEIR_ERROR_INIT;
	char address[32];

	snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)drained->fixture.port);
	assert_int_equal(weir_loop_new(&loop, &err), WEIR_OK);
	assert_int_equal(weir_http_server_new(loop, &options, &server, &err), WEIR_OK);
	assert_int_equal(weir_http_server_listen(server, address, NULL, &err), WEIR_OK);
	weir_http_server_free(server);
	weir_loop_free(loop);
}

/* A second process that is let in would silently get a part of the connections. */
static void address_that_a_server_has_is_not_shared_unasked(void **state)
{
	struct drained *drained = *state;
	struct weir_error err = WEIR_ERROR_INIT;
	char address[32];
	uint16_t port = 0;

	snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)drained->fixture.port);
	assert_int_equal(weir_http_server_listen(drained->fixture.server, address, &port, &err), WEIR_EBUSY);
	assert_non_null(strstr(err.text, address));
}

static void every_address_is_listened_on(void **state)
{
	struct weir_http_server_options options = { .handler = http_answer_202 };
	struct weir_http_server *server;
	struct weir_loop *loop;
	uint16_t port = 0;
	int fd;

	(void)state;
	assert_int_equal(weir_loop_new(&loop, NULL), WEIR_OK);
	assert_int_equal(weir_http_server_new(loop, &options, &server, NULL), WEIR_OK);
	assert_int_equal(weir_http_server_listen(server, ":0", &port, NULL), WEIR_OK);
	assert_int_not_equal(port, 0);
	fd = http_connect(port);
	close(fd);
	weir_http_server_free(server);
	weir_loop_free(loop);
}

static void bad_address_is_named(void **state)
{
	static const char *const bad[] = {
		"",       "8080",    "127.0.0.1", "127.0.0.1:",   "127.0.0.1:65536", "127.0.0.1:x",
		"::1:80", "[::1:80", "[]:80",     "127.0.0.1:-1", "no such host:80"
	};
	struct drained *drained = *state;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct weir_error err = WEIR_ERROR_INIT;
		uint16_t port;

		assert_int_equal(weir_http_server_listen(drained->fixture.server, bad[i], &port, &err), WEIR_EINVAL);
		assert_non_null(strstr(err.text, bad[i]));
	}
}

static void address_that_is_taken_is_named(void **state)
{
	struct drained *drained = *state;
	struct weir_error err = WEIR_ERROR_INIT;
	struct sockaddr_storage own = { 0 };
	void *sockaddr = &own;
	socklen_t len = sizeof own;
	char address[32];
	uint16_t port;
	int taken = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(listen(taken, 1), 0);
	assert_int_equal(getsockname(taken, sockaddr, &len), 0);
	memcpy(&port, (char *)sockaddr + 2, sizeof port);
	snprintf(address, sizeof address, ":%u", (unsigned)(uint16_t)(port >> 8 | port << 8));
	assert_int_equal(weir_http_server_listen(drained->fixture.server, address, NULL, &err), WEIR_EBUSY);
	assert_non_null(strstr(err.text, address));
	assert_int_equal(err.native, EADDRINUSE);
	close(taken);
}

enum { MANY = 400, ROUNDS = 5 };

static void many_connections_come_and_go(void **state)
{
	struct drained *drained = *state;
	const struct weir_http_server_stats *stats = weir_http_server_stats(drained->fixture.server);
	struct http_answer answer;
	int fds[MANY];

	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < MANY; i++)
			fds[i] = http_connect(drained->fixture.port);
		for (int i = 0; i < MANY; i++)
			http_send_text(fds[i], POST "Content-Length: 3\r\n\r\nabc");
		for (int i = 0; i < MANY; i++) {
			http_read(fds[i], &answer, false);
			assert_int_equal(answer.status, 202);
		}
		for (int i = 0; i < MANY; i++)
			close(fds[i]);
	}
	http_fixture_wait(&stats->connections, 0);
	assert_int_equal(stats->accepted, MANY * ROUNDS);
	assert_int_equal(stats->requests, MANY * ROUNDS);
}

static void warm_connections_allocate_nothing(void **state)
{
	struct drained *drained = *state;
	struct http_answer answer;
	uint64_t before = 0;
	int fd = http_connect(drained->fixture.port);

	for (int i = 0; i < 200; i++) {
		if (i == 100)
			before = weir_mem_count();
		assert_int_equal(http_ask(fd, POST "Content-Length: 3\r\n\r\nabc", &answer), 202);
	}
	assert_int_equal(weir_mem_count(), before);
	close(fd);
}

enum { BIG_BODY = 200000 };

/* A body that needs the buffer to grow several times, in one piece or as one chunk. */
static void post_big(int fd, bool chunked, struct http_answer *answer)
{
	static char body[BIG_BODY];

	http_send_text(fd, chunked ? POST "Transfer-Encoding: chunked\r\n\r\n30d40\r\n"
				   : POST "Content-Length: 200000\r\n\r\n");
	http_send(fd, body, sizeof body);
	http_ask(fd, chunked ? "\r\n0\r\n\r\n" : "", answer);
}

/*
 * Each allocation in turn fails: the client gets an answer or an end, the server
 * goes on, and what it counts as buffered is given back.
 */
static void server_survives_each_failed_allocation(void **state)
{
	struct weir_http_limits limits = { .max_buffered_bytes = 2 * BIG_BODY };
	struct http_fixture fixture;
	struct http_answer answer;

	(void)state;
	http_fixture_start(&fixture, &limits, http_answer_202, NULL);
	for (uint64_t nth = 1; nth <= 12; nth++) {
		for (int way = 0; way < 4; way++) {
			int fd = http_connect(fixture.port);

			weir_mem_fail(nth, way / 2);
			post_big(fd, way % 2, &answer);
			assert_true(answer.status == 202 || answer.status == 503 || answer.status == 0);
			weir_mem_fail(0, 0);
			close(fd);
			fd = http_connect(fixture.port);
			post_big(fd, way % 2, &answer);
			assert_int_equal(answer.status, 202);
			close(fd);
		}
	}
	http_fixture_stop(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(drain_without_connections_is_at_once, start, stop),
		cmocka_unit_test_setup_teardown(drain_closes_idle_connections_and_the_port, start, stop),
		cmocka_unit_test_setup_teardown(drain_waits_for_the_request_that_is_handled, start, stop),
		cmocka_unit_test_setup_teardown(drain_waits_for_the_request_that_is_read, start, stop),
		cmocka_unit_test_setup_teardown(drain_ends_when_the_client_of_the_last_request_is_gone, start, stop),
		cmocka_unit_test_setup_teardown(drain_does_not_wait_for_clients_that_left, start, stop),
		cmocka_unit_test_setup_teardown(servers_share_an_address, start, stop),
		cmocka_unit_test_setup_teardown(address_that_a_server_has_is_not_shared_unasked, start, stop),
		cmocka_unit_test_setup_teardown(every_address_is_listened_on, start, stop),
		cmocka_unit_test_setup_teardown(bad_address_is_named, start, stop),
		cmocka_unit_test_setup_teardown(address_that_is_taken_is_named, start, stop),
		cmocka_unit_test_setup_teardown(many_connections_come_and_go, start, stop),
		cmocka_unit_test_setup_teardown(warm_connections_allocate_nothing, start, stop),
		cmocka_unit_test(server_survives_each_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
