/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin.h"
#include "unit/admin_fakes.h"

#define EVENT(id) "{\"specversion\":\"1.0\",\"id\":\"" id "\",\"source\":\"/s\",\"type\":\"t\"}"

static struct weir_admin *admin;

static int open_admin(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	fake_world_reset();
	return weir_admin_start(NULL, NULL, NULL, &admin, &err);
}

static int close_admin(void **state)
{
	(void)state;
	weir_admin_free(admin);
	return 0;
}

/* A tail that is open: its head was answered. */
static void tail_open(struct fake_http *http, const char *path)
{
	unsigned before = fake_read(&world.subscribed);

	fake_http_open(http, weir_admin_port(admin, 0), "GET", path, NULL);
	fake_wait(&world.subscribed, before + 1);
	assert_true(fake_http_until(http, "\r\n\r\n"));
	assert_int_equal(fake_http_status(http), 200);
}

static void a_tail_streams_each_event_on_a_line_and_acknowledges_it(void **state)
{
	struct fake_http http;

	(void)state;
	tail_open(&http, "/tail/ns/open");
	assert_non_null(strstr(http.bytes, "\r\nContent-Type: application/x-ndjson\r\n"));
	assert_int_equal(world.start, WEIR_START_LATEST);
	fake_deliver(EVENT("one"), 1);
	assert_true(fake_http_until(&http, "\"one\""));
	fake_deliver(EVENT("two"), 1);
	assert_true(fake_http_until(&http, "\"two\""));
	assert_true(fake_http_until(&http, "}\n\r\n"));
	fake_wait(&world.acked, 2);
	fake_http_close(&http);
	fake_wait(&world.closed, 1);
	assert_int_equal(fake_read(&world.kept), 0);
	assert_int_equal(fake_read(&world.freed), 0);
}

static void a_tail_ends_after_as_many_events_as_asked_for(void **state)
{
	struct fake_http http;

	(void)state;
	tail_open(&http, "/tail/ns/open?count=2&from=earliest");
	assert_int_equal(world.start, WEIR_START_EARLIEST);
	fake_deliver(EVENT("one"), 1);
	fake_deliver(EVENT("two"), 1);
	fake_http_rest(&http);
	assert_non_null(strstr(http.bytes, "\"two\""));
	assert_non_null(strstr(http.bytes, "\r\n0\r\n\r\n"));
	fake_wait(&world.closed, 1);
	fake_http_close(&http);
}

static void events_beyond_the_count_are_not_acknowledged(void **state)
{
	struct fake_http http;

	(void)state;
	fake_http_open(&http, weir_admin_port(admin, 0), "GET", "/tail/ns/open?count=1", NULL);
	fake_wait(&world.subscribed, 1);
	assert_true(fake_http_until(&http, "\r\n\r\n"));
	fake_deliver(EVENT("x"), 3);
	fake_http_rest(&http);
	fake_wait(&world.freed, 2);
	assert_int_equal(fake_read(&world.acked), 1);
	fake_http_close(&http);
}

static void data_with_line_breaks_stays_on_one_line(void **state)
{
	struct fake_http http;

	(void)state;
	tail_open(&http, "/tail/ns/open?count=1");
	fake_deliver("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\","
		     "\"data\":{\n\t\"a\":\r\n1}}",
		     1);
	fake_http_rest(&http);
	assert_non_null(strstr(http.bytes, "{ \t\"a\":  1}"));
	fake_http_close(&http);
}

static void a_record_that_is_no_event_is_left_out(void **state)
{
	struct fake_http http;

	(void)state;
	tail_open(&http, "/tail/ns/open?count=1");
	fake_deliver("no event", 1);
	fake_deliver(EVENT("good"), 1);
	fake_http_rest(&http);
	assert_non_null(strstr(http.bytes, "\"good\""));
	assert_null(strstr(http.bytes, "no event"));
	fake_wait(&world.acked, 2);
	fake_http_close(&http);
}

static void each_tail_is_a_subscription_of_its_own(void **state)
{
	struct fake_http one, two;
	char uid[64];

	(void)state;
	tail_open(&one, "/tail/ns/open");
	snprintf(uid, sizeof uid, "%s", world.uid);
	tail_open(&two, "/tail/ns/open");
	assert_memory_equal(uid, "weir-tail-", 10);
	assert_string_not_equal(uid, world.uid);
	fake_http_close(&one);
	fake_http_close(&two);
	fake_wait(&world.closed, 2);
}

static void the_answer_begins_when_the_subscription_is_ready(void **state)
{
	struct fake_http http;
	struct pollfd ready;

	(void)state;
	world.subscription_ready = false;
	fake_http_open(&http, weir_admin_port(admin, 0), "GET", "/tail/ns/open", NULL);
	fake_wait(&world.subscribed, 1);
	ready = (struct pollfd){ .fd = http.fd, .events = POLLIN };
	assert_int_equal(poll(&ready, 1, 50), 0);
	fake_set_ready(true);
	assert_true(fake_http_until(&http, "200 OK"));
	fake_http_close(&http);
}

static void bad_requests_are_refused(void **state)
{
	static const struct {
		const char *path;
		int status;
	} list[] = {
		{ "/tail/ns/unknown", 404 },
		{ "/tail/", 400 },
		{ "/tail/ns", 400 },
		{ "/tail/ns/", 400 },
		{ "/tail//open", 400 },
		{ "/tail/ns/open/more", 400 },
		{ "/tail/ns/open?from=middle", 400 },
		{ "/tail/ns/open?from=", 400 },
		{ "/tail/ns/open?count=0", 400 },
		{ "/tail/ns/open?count=-1", 400 },
		{ "/tail/ns/open?count=x", 400 },
		{ "/tail/ns/open?count=99999999999999999999", 400 },
		{ "/tail/ns/open?what=x", 400 },
		{ "/tail/ns/open?&", 400 },
	};
	struct fake_http http;

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		int status = fake_http_get(&http, weir_admin_port(admin, 0), "GET", list[i].path, NULL);
		if (status != list[i].status)
			fail_msg("%s: %d", list[i].path, status);
		fake_http_close(&http);
	}
	assert_int_equal(fake_read(&world.subscribed), 0);
}

static char *large_event(int size)
{
	char *event;

	assert_true(
	    asprintf(&event,
		     "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\",\"data\":\"%0*d\"}", size,
		     0) > size);
	return event;
}

/* Lets the reader stand still: what is handed out must stop at the window. */
static void a_slow_reader_stops_the_credit(void **state)
{
	enum { WINDOW = 64 }; /* the pump of a real channel hands out no more that are not settled */
	char *event = large_event(128 * 1024);
	struct fake_http http;
	unsigned delivered = 0;

	(void)state;
	tail_open(&http, "/tail/ns/open");
	do {
		while (delivered - fake_read(&world.acked) < WINDOW) {
			fake_deliver(event, 1);
			delivered++;
		}
		assert_true(delivered < 1000);
	} while (fake_wait_ms(&world.acked, delivered - WINDOW + 1, 250));
	/* Then it reads: everything comes. */
	fake_http_until(&http, "\r\n\r\n");
	while (fake_read(&world.acked) < delivered) {
		struct pollfd more = { .fd = http.fd, .events = POLLIN };
		char sunk[65536];

		/* The last bytes may be here before the last acknowledgement. */
		if (poll(&more, 1, 10) == 1)
			assert_true(read(http.fd, sunk, sizeof sunk) > 0);
	}
	fake_http_close(&http);
	fake_wait(&world.closed, 1);
	free(event);
}

static void a_reader_that_leaves_ends_its_tail(void **state)
{
	struct fake_http http;

	(void)state;
	tail_open(&http, "/tail/ns/open");
	fake_http_close(&http);
	fake_wait(&world.closed, 1);
}

static void draining_ends_tails_and_refuses_new_ones(void **state)
{
	struct fake_http http, late;

	(void)state;
	tail_open(&http, "/tail/ns/open");
	weir_admin_drain(admin);
	assert_int_equal(fake_read(&world.closed), 1);
	fake_http_rest(&http);
	assert_non_null(strstr(http.bytes, "\r\n0\r\n\r\n"));
	assert_int_equal(fake_http_get(&late, weir_admin_port(admin, 0), "GET", "/tail/ns/open", NULL), 503);
	fake_http_close(&http);
	fake_http_close(&late);
}

static void draining_does_not_wait_for_a_subscription_that_is_not_ready(void **state)
{
	struct fake_http http;

	(void)state;
	world.subscription_ready = false;
	fake_http_open(&http, weir_admin_port(admin, 0), "GET", "/tail/ns/open", NULL);
	fake_wait(&world.subscribed, 1);
	weir_admin_drain(admin);
	assert_int_equal(fake_read(&world.closed), 1);
	fake_http_rest(&http);
	assert_int_equal(fake_http_status(&http), 503);
	fake_http_close(&http);
}

static void the_ninth_tail_is_refused(void **state)
{
	struct fake_http http[8], ninth;

	(void)state;
	for (int i = 0; i < 8; i++)
		tail_open(&http[i], "/tail/ns/open");
	assert_int_equal(fake_http_get(&ninth, weir_admin_port(admin, 0), "GET", "/tail/ns/open", NULL), 503);
	fake_http_close(&ninth);
	for (int i = 0; i < 8; i++)
		fake_http_close(&http[i]);
	fake_wait(&world.closed, 8);
}

#define TAIL_TEST(name) cmocka_unit_test_setup_teardown(name, open_admin, close_admin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TAIL_TEST(a_tail_streams_each_event_on_a_line_and_acknowledges_it),
		TAIL_TEST(a_tail_ends_after_as_many_events_as_asked_for),
		TAIL_TEST(events_beyond_the_count_are_not_acknowledged),
		TAIL_TEST(data_with_line_breaks_stays_on_one_line),
		TAIL_TEST(a_record_that_is_no_event_is_left_out),
		TAIL_TEST(each_tail_is_a_subscription_of_its_own),
		TAIL_TEST(the_answer_begins_when_the_subscription_is_ready),
		TAIL_TEST(bad_requests_are_refused),
		TAIL_TEST(a_slow_reader_stops_the_credit),
		TAIL_TEST(a_reader_that_leaves_ends_its_tail),
		TAIL_TEST(draining_ends_tails_and_refuses_new_ones),
		TAIL_TEST(draining_does_not_wait_for_a_subscription_that_is_not_ready),
		TAIL_TEST(the_ninth_tail_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
