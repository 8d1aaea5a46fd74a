/* SPDX-License-Identifier: Apache-2.0 */
/* Slow clients, many clients, clients that want much. */
#include "unit/weir_cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fixtures/http_fixture.h"

#define POST "POST /ns/name HTTP/1.1\r\nHost: h\r\n"

enum { SHORT_MS = 60, LONG_MS = 30000 };

static struct http_fixture fixture;

/* Every timeout long but the one in question. */
static struct weir_http_limits patient(void)
{
	return (struct weir_http_limits){
		.header_timeout_ms = LONG_MS,
		.body_idle_timeout_ms = LONG_MS,
		.request_timeout_ms = LONG_MS,
		.idle_timeout_ms = LONG_MS,
		.write_timeout_ms = LONG_MS,
	};
}

static int begin(const struct weir_http_limits *limits)
{
	http_fixture_start(&fixture, limits, http_answer_202, NULL);
	return http_connect(fixture.port);
}

static void end(int fd)
{
	close(fd);
	http_fixture_stop(&fixture);
}

static const struct weir_http_server_stats *stats(void)
{
	return weir_http_server_stats(fixture.server);
}

static void check_408(int fd)
{
	struct http_answer answer;

	http_read(fd, &answer, false);
	assert_int_equal(answer.status, 408);
	assert_true(http_at_end(fd));
	assert_int_equal(stats()->timeouts, 1);
	assert_int_equal(stats()->malformed, 1);
	assert_int_equal(stats()->requests, 0);
}

static void slow_head_is_408(void **state)
{
	struct weir_http_limits limits = patient();
	int fd;

	(void)state;
	limits.header_timeout_ms = SHORT_MS;
	fd = begin(&limits);
	http_send_text(fd, "POST /ns");
	check_408(fd);
	end(fd);
}

/* Each byte in time, but not the whole head: dripping does not move the deadline. */
static void dripping_head_is_408(void **state)
{
	struct weir_http_limits limits = patient();
	struct http_answer answer;
	int fd;

	(void)state;
	limits.header_timeout_ms = SHORT_MS;
	fd = begin(&limits);
	http_send_text(fd, POST "X: ");
	for (int i = 0; i < 1000; i++) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };

		http_send_text(fd, "a");
		if (poll(&wait, 1, 10))
			break;
	}
	http_read(fd, &answer, false);
	assert_int_equal(answer.status, 408);
	end(fd);
}

static void body_that_stops_is_408(void **state)
{
	struct weir_http_limits limits = patient();
	int fd;

	(void)state;
	limits.body_idle_timeout_ms = SHORT_MS;
	fd = begin(&limits);
	http_send_text(fd, POST "Content-Length: 5\r\n\r\nhe");
	check_408(fd);
	end(fd);
}

static void request_that_takes_too_long_as_a_whole_is_408(void **state)
{
	struct weir_http_limits limits = patient();
	int fd;

	(void)state;
	limits.request_timeout_ms = SHORT_MS;
	fd = begin(&limits);
	http_send_text(fd, POST "Content-Length: 5\r\n\r\nhe");
	check_408(fd);
	end(fd);
}

static void idle_connection_is_closed_without_a_word(void **state)
{
	struct weir_http_limits limits = patient();
	struct http_answer answer;
	int fd;

	(void)state;
	limits.idle_timeout_ms = SHORT_MS;
	fd = begin(&limits);
	assert_int_equal(http_ask(fd, POST "\r\n", &answer), 202);
	assert_true(http_at_end(fd));
	assert_int_equal(stats()->timeouts, 0);
	end(fd);
}

static void connection_with_only_an_empty_line_is_idle(void **state)
{
	struct weir_http_limits limits = patient();
	int fd;

	(void)state;
	limits.idle_timeout_ms = SHORT_MS;
	fd = begin(&limits);
	http_send_text(fd, "\r\n");
	assert_true(http_at_end(fd));
	end(fd);
}

static void give_much(void *ctx, struct weir_http_request *request)
{
	static char body[16 << 20];

	(void)ctx;
	weir_http_respond(request, 200, NULL, 0, (struct weir_buf){ body, sizeof body });
}

static void client_that_does_not_read_is_reset(void **state)
{
	static char bytes[65536];
	struct weir_http_limits limits = patient();
	ssize_t got;
	int fd;

	(void)state;
	limits.write_timeout_ms = SHORT_MS;
	http_fixture_start(&fixture, &limits, give_much, NULL);
	fd = http_connect(fixture.port);
	http_send_text(fd, POST "\r\n");
	http_fixture_wait(&stats()->timeouts, 1);
	http_fixture_wait(&stats()->connections, 0);
	/* Not an end that could be taken for that of the answer. */
	while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0)
		;
	assert_int_equal(got, -1);
	assert_int_equal(errno, ECONNRESET);
	end(fd);
}

static void give_much_without_memory(void *ctx, struct weir_http_request *request)
{
	weir_mem_fail(1, 1);
	give_much(ctx, request);
	weir_mem_fail(0, 0);
}

static void answer_that_cannot_be_kept_ends_the_connection(void **state)
{
	static char bytes[65536];
	struct weir_http_limits limits = patient();
	int fd;

	(void)state;
	http_fixture_start(&fixture, &limits, give_much_without_memory, NULL);
	fd = http_connect(fixture.port);
	http_send_text(fd, POST "\r\n");
	while (recv(fd, bytes, sizeof bytes, 0) > 0)
		;
	http_fixture_wait(&stats()->connections, 0);
	end(fd);
}

static void keep_alive_ends_with_the_last_request_allowed(void **state)
{
	struct weir_http_limits limits = { .max_keepalive_requests = 3 };
	struct http_answer answer;
	char text[16];
	int fd;

	(void)state;
	fd = begin(&limits);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(http_ask(fd, POST "\r\n", &answer), 202);
		assert_int_equal(http_answer_header(&answer, "Connection", text, sizeof text), i == 3);
	}
	assert_true(http_at_end(fd));
	end(fd);
}

static void last_answer_reaches_a_client_that_pipelined_more(void **state)
{
	struct weir_http_limits limits = { .max_keepalive_requests = 2 };
	struct http_answer answer;
	int fd;

	(void)state;
	fd = begin(&limits);
	http_send_text(fd, POST "\r\n" POST "\r\n" POST "\r\n" POST "\r\n");
	http_read(fd, &answer, false);
	assert_int_equal(answer.status, 202);
	http_read(fd, &answer, false);
	assert_int_equal(answer.status, 202);
	assert_true(http_at_end(fd));
	end(fd);
}

static void connection_over_the_limit_gets_503(struct weir_http_limits limits)
{
	struct http_answer answer;
	int second, third;
	int fd = begin(&limits);

	assert_int_equal(http_ask(fd, POST "\r\n", &answer), 202);
	second = http_connect(fixture.port);
	assert_int_equal(http_ask(second, POST "\r\n", &answer), 202);
	third = http_connect(fixture.port);
	http_read(third, &answer, false);
	assert_int_equal(answer.status, 503);
	assert_non_null(strstr(answer.body, "\"too_many_connections\""));
	assert_true(answer.body[answer.body_len - 1] == '}' && http_at_end(third));
	assert_int_equal(stats()->refused, 1);
	close(third);
	close(second);
	http_fixture_wait(&stats()->connections, 1);
	second = http_connect(fixture.port);
	assert_int_equal(http_ask(second, POST "\r\n", &answer), 202);
	close(second);
	end(fd);
}

static void connection_over_the_total_is_refused(void **state)
{
	(void)state;
	connection_over_the_limit_gets_503((struct weir_http_limits){ .max_connections = 2 });
}

/* The connections that this process makes itself, and its files, need descriptors too. */
static void connection_beyond_the_last_descriptor_is_refused(void **state)
{
	struct weir_http_limits limits = { 0 };
	struct http_answer answer;
	int next = dup(STDERR_FILENO), last_of[20], fd;

	(void)state;
	close(next);
	/* The fixture opens some of its own first, and each connection of this test has both ends here. */
	limits.max_fd = (uint32_t)next + 20;
	fd = begin(&limits);
	/* The server has its end of the first one before this end takes the next twenty descriptors. */
	assert_int_equal(http_ask(fd, POST "\r\n", &answer), 202);
	for (int i = 0; i < 20; i++)
		last_of[i] = http_connect(fixture.port);
	http_read(last_of[19], &answer, false);
	assert_int_equal(answer.status, 503);
	assert_int_equal(http_ask(fd, POST "\r\n", &answer), 202);
	for (int i = 0; i < 20; i++)
		close(last_of[i]);
	end(fd);
}

static void connection_over_its_peers_limit_is_refused(void **state)
{
	(void)state;
	connection_over_the_limit_gets_503((struct weir_http_limits){ .max_connections_per_peer = 2 });
}

static void request_that_does_not_fit_into_memory_gets_503(void **state)
{
	struct weir_http_limits limits = { .max_buffered_bytes = 100000 };
	struct http_answer answer;
	char *body = calloc(1, 60000);
	int second, fd;

	(void)state;
	fd = begin(&limits);
	http_send_text(fd, POST "Content-Length: 60001\r\n\r\n");
	http_send(fd, body, 60000);
	http_fixture_wait(&stats()->bytes_in, 60000 + strlen(POST "Content-Length: 60001\r\n\r\n"));
	second = http_connect(fixture.port);
	http_send_text(second, POST "Content-Length: 60001\r\n\r\n");
	http_send(second, body, 60000);
	http_read(second, &answer, false);
	assert_int_equal(answer.status, 503);
	assert_true(http_at_end(second));
	assert_int_equal(http_ask(fd, "x", &answer), 202);
	close(second);
	/* What was held is given back. */
	second = http_connect(fixture.port);
	http_send_text(second, POST "Content-Length: 60000\r\n\r\n");
	http_send(second, body, 60000);
	http_read(second, &answer, false);
	assert_int_equal(answer.status, 202);
	close(second);
	free(body);
	end(fd);
}

enum { IDLE = 50 };

static void idle_connections_hold_no_buffer(void **state)
{
	struct weir_http_limits limits = { .max_buffered_bytes = 2 * 8192 };
	struct http_answer answer;
	int others[IDLE], fd;

	(void)state;
	fd = begin(&limits);
	for (int i = 0; i < IDLE; i++) {
		others[i] = http_connect(fixture.port);
		assert_int_equal(http_ask(others[i], POST "Content-Length: 3\r\n\r\nabc", &answer), 202);
	}
	for (int i = 0; i < IDLE; i++)
		close(others[i]);
	end(fd);
}

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The process may have only as many descriptors as it has now: its own client takes the last. */
static void running_out_of_descriptors_neither_spins_nor_lasts(void **state)
{
	struct rlimit old, tight;
	struct http_answer answer;
	int held[256], count = 0, fd = begin(NULL);
	double before;

	(void)state;
	assert_int_equal(http_ask(fd, POST "\r\n", &answer), 202);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	tight = old;
	tight.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	while (count < 256 && (held[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		count++;
	close(held[--count]);
	before = cpu_seconds();
	held[count] = http_connect(fixture.port);
	/* The client that waited is turned away with the descriptor kept for that. */
	http_read(held[count], &answer, false);
	assert_int_equal(answer.status, 503);
	poll(NULL, 0, 250);
	assert_true(cpu_seconds() - before < 0.15);
	for (int i = 0; i <= count; i++)
		close(held[i]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(http_ask(fd, POST "\r\n", &answer), 202);
	held[0] = http_connect(fixture.port);
	assert_int_equal(http_ask(held[0], POST "\r\n", &answer), 202);
	close(held[0]);
	end(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slow_head_is_408),
		cmocka_unit_test(dripping_head_is_408),
		cmocka_unit_test(body_that_stops_is_408),
		cmocka_unit_test(request_that_takes_too_long_as_a_whole_is_408),
		cmocka_unit_test(idle_connection_is_closed_without_a_word),
		cmocka_unit_test(connection_with_only_an_empty_line_is_idle),
		cmocka_unit_test(client_that_does_not_read_is_reset),
		cmocka_unit_test(answer_that_cannot_be_kept_ends_the_connection),
		cmocka_unit_test(keep_alive_ends_with_the_last_request_allowed),
		cmocka_unit_test(last_answer_reaches_a_client_that_pipelined_more),
		cmocka_unit_test(connection_over_the_total_is_refused),
		cmocka_unit_test(connection_beyond_the_last_descriptor_is_refused),
		cmocka_unit_test(connection_over_its_peers_limit_is_refused),
		cmocka_unit_test(request_that_does_not_fit_into_memory_gets_503),
		cmocka_unit_test(idle_connections_hold_no_buffer),
		cmocka_unit_test(running_out_of_descriptors_neither_spins_nor_lasts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
