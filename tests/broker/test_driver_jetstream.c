/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NatsJetStreamChannel on a real server at 127.0.0.1:4222: what every driver
 * must do, and what is this one's own.
 */
#include "driver_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <nats/nats.h>

#define SERVER "nats://127.0.0.1:4222"
/* "@" is another word for each case: what one leaves on the server is not seen by the next. */
#define NAMES "url=" SERVER " streamPattern=W@_{NAMESPACE}__{NAME} subjectPattern=w@.{namespace}.{name}"

/* Shared cases that ask for what NATS does otherwise. */
static const char *const elsewhere[] = {
	"key_headers_and_body_arrive_as_they_were", /* below, without a key and with text in the headers */
	"no_body_and_empty_body_stay_different",    /* it does not claim that */
	/* They count on a record being there at once; here it may still be on its way from the server. */
	"one_busy_topic_does_not_starve_a_quiet_one",
};

static bool applies(const struct CMUnitTest *test)
{
	size_t i;

	for (i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
		if (strcmp(elsewhere[i], test->name) == 0)
			return false;
	return true;
}

/* ---- helpers ------------------------------------------------------------------------- */

static int setup_named(void **state)
{
	struct harness *h = calloc(1, sizeof *h);

	assert_non_null(h);
	harness_load(h, "jetstream");
	driver_case_overrides(h->overrides, sizeof h->overrides);
	harness_open(h, h->overrides);
	*state = h;
	return 0;
}

static int setup_closed(void **state)
{
	struct harness *h = calloc(1, sizeof *h);

	assert_non_null(h);
	harness_load(h, "jetstream");
	*state = h;
	return 0;
}

/* The word that "@" stands for in this case. */
static const char *word(const struct harness *h)
{
	static char text[64];
	const char *at = strstr(h->overrides, "subjectPattern=w") + strlen("subjectPattern=w");

	snprintf(text, sizeof text, "%.*s", (int)strcspn(at, "."), at);
	return text;
}

/* Asks the server in a client of our own; the answer's text is in `ret`. */
static void ask(const char *subject, const char *body, char *ret, size_t size)
{
	natsConnection *nc;
	natsMsg *answer;

	assert_int_equal(natsConnection_ConnectTo(&nc, SERVER), NATS_OK);
	assert_int_equal(natsConnection_RequestString(&answer, nc, subject, body, 5000), NATS_OK);
	snprintf(ret, size, "%.*s", natsMsg_GetDataLength(answer), natsMsg_GetData(answer));
	natsMsg_Destroy(answer);
	natsConnection_Destroy(nc);
}

static void must_ask(const char *subject, const char *body)
{
	char answer[4096];

	ask(subject, body, answer, sizeof answer);
	assert_null(strstr(answer, "\"error\""));
}

static struct weir_sub *subscribe_with(struct harness *h, struct weir_topic *topic, struct weir_sub_spec spec)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_sub *sub;

	spec.size = sizeof spec;
	spec.name = spec.uid = "s";
	if (h->ops.subscribe(h->inst, topic, &spec, &sub, &err))
		fail_msg("subscribe: %s", err.text);
	harness_wait(h, WEIR_EV_SUB_READY);
	harness_credit(h, sub, 100);
	return sub;
}

/* ---- settings -------------------------------------------------------------------------- */

static void a_server_that_is_away_is_no_error_of_open(void **state)
{
	struct harness *h = *state;
	struct weir_health health = { .size = sizeof health };

	harness_open(h, "url=nats://127.0.0.1:1");
	assert_int_equal(harness_wait(h, WEIR_EV_DOWN).error->code, WEIR_EUNAVAIL);
	h->ops.health(h->inst, &health);
	assert_int_equal(health.state, WEIR_HEALTH_DOWN);
	harness_close(h);
}

static void a_pattern_without_its_marks_is_refused(void **state)
{
	static const char *const bad[] = { "streamPattern=all", "subjectPattern=a.{name}", "consumerPattern=one",
					   "inboxPrefix=a..b", "domain=a.b" };
	struct weir_error err = WEIR_ERROR_INIT;
	size_t i;

	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(harness_try_open(*state, bad[i], &err), WEIR_EINVAL);
		assert_non_null(strstr(err.text, "jetstream."));
	}
}

/* ---- records ------------------------------------------------------------------------------ */

static void headers_and_body_arrive_as_they_were(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	struct weir_header headers[2] = { { { "ce-id", 5 }, { "1", 1 } }, { { "ce-source", 9 }, { "/a%20b", 6 } } };
	struct weir_record record = { .body = { "\x00\xff\n\x80", 4 }, .headers = headers, .header_count = 2 };
	struct weir_driver_event event;
	uint32_t i, found = 0;

	harness_publish_record(h, topic, &record);
	harness_credit(h, sub, 1);
	event = harness_wait(h, WEIR_EV_DELIVER);
	assert_int_equal(event.record.body.len, 4);
	assert_memory_equal(event.record.body.ptr, "\x00\xff\n\x80", 4);
	/* The server's and the driver's own headers are not the event's. */
	assert_int_equal(event.record.header_count, 2);
	for (i = 0; i < 2; i++)
		found += event.record.headers[i].name.len == 5 &&
			 memcmp(event.record.headers[i].name.ptr, "ce-id", 5) == 0 &&
			 event.record.headers[i].value.len == 1;
	assert_int_equal(found, 1);
	h->ops.release(event.lease);
}

static void a_header_that_would_make_another_is_refused(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_header header = { { "a", 1 }, { "1\r\nb: 2", 7 } };
	struct weir_publish item = { .size = sizeof item, .topic = topic };
	size_t accepted;

	item.record.headers = &header;
	item.record.header_count = 1;
	assert_int_equal(h->ops.publish(h->inst, &item, 1, &accepted, NULL), WEIR_EINVAL);
	header = (struct weir_header){ { "a: 1\r\nb", 7 }, { "2", 1 } };
	assert_int_equal(h->ops.publish(h->inst, &item, 1, &accepted, NULL), WEIR_EINVAL);
}

static void the_same_event_again_is_stored_once(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_header headers[2] = { { { "ce-id", 5 }, { "1", 1 } }, { { "ce-source", 9 }, { "/s", 2 } } };
	struct weir_record record = { .body = { "x", 1 }, .headers = headers, .header_count = 2 };
	uint64_t first = harness_publish_record(h, topic, &record);

	assert_int_equal(harness_publish_record(h, topic, &record), first);
	headers[0].value = (struct weir_buf){ "2", 1 };
	assert_true(harness_publish_record(h, topic, &record) > first);
}

/* ---- where a subscription begins ------------------------------------------------------------- */

static void it_begins_at_the_oldest_at_a_position_and_at_a_time(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub;
	uint64_t second;
	int64_t between;

	harness_publish(h, topic, "a");
	second = harness_publish(h, topic, "b");
	sub = subscribe_with(h, topic, (struct weir_sub_spec){ .start = WEIR_START_EARLIEST });
	between = harness_expect(h, sub, "a").time_ms;
	harness_unsubscribe(h, sub, 0);
	sub = subscribe_with(h, topic,
			     (struct weir_sub_spec){ .start = WEIR_START_POSITION, .start_value = (int64_t)second });
	harness_expect(h, sub, "b");
	harness_unsubscribe(h, sub, 0);
	sub = subscribe_with(h, topic, (struct weir_sub_spec){ .start = WEIR_START_TIME, .start_value = between - 1 });
	harness_expect(h, sub, "a");
}

/* ---- deadlines ------------------------------------------------------------------------------------ */

static void what_is_not_settled_in_time_comes_again(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = subscribe_with(h, topic, (struct weir_sub_spec){ .ack_wait_ms = 1000 });
	struct weir_driver_event first, again;

	harness_publish(h, topic, "a");
	first = harness_expect(h, sub, "a");
	again = harness_expect(h, sub, "a");
	assert_int_equal(again.attempt, 2);
	assert_int_equal(harness_settle(h, sub, WEIR_ACK, &first, 0), WEIR_ESTALE);
	harness_ack(h, &again);
}

static void more_time_is_given_to_who_asks_for_it(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = subscribe_with(h, topic, (struct weir_sub_spec){ .ack_wait_ms = 1000 });
	struct weir_driver_event event, other;
	int64_t until;

	harness_publish(h, topic, "a");
	event = harness_expect(h, sub, "a");
	assert_int_equal(harness_settle(h, sub, WEIR_EXTEND, &event, 60000), WEIR_OK);
	for (until = harness_now() + INT64_C(3500000000); harness_now() < until;)
		assert_false(harness_take(h, WEIR_EV_DELIVER, &other));
	harness_ack(h, &event);
}

/* ---- what others do to the server -------------------------------------------------------------------- */

static void another_channels_stream_is_not_taken(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;

	harness_topic(h, "a-b");
	assert_int_equal(h->ops.topic_open(h->inst, "ns", "a.b", &topic, NULL), WEIR_OK);
	assert_int_equal(harness_wait(h, WEIR_EV_TOPIC_FAILED).error->code, WEIR_EEXIST);
	assert_int_not_equal(harness_send(h, topic, "x"), WEIR_EFATAL);
	assert_int_equal(harness_wait(h, WEIR_EV_PUBLISHED).outcome, WEIR_NOT_PERSISTED);
}

static void a_work_queue_is_refused(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	char subject[128], body[256];

	snprintf(subject, sizeof subject, "$JS.API.STREAM.CREATE.W%s_NS__T", word(h));
	snprintf(body, sizeof body, "{\"name\":\"W%s_NS__T\",\"subjects\":[\"w%s.ns.t\"],\"retention\":\"workqueue\"}",
		 word(h), word(h));
	must_ask(subject, body);
	assert_int_equal(h->ops.topic_open(h->inst, "ns", "t", &topic, NULL), WEIR_OK);
	assert_non_null(strstr(harness_wait(h, WEIR_EV_TOPIC_FAILED).error->text, "work queue"));
}

static void a_stream_that_drops_is_used_but_not_called_healthy(void **state)
{
	struct harness *h = *state;
	struct weir_health health = { .size = sizeof health };
	char subject[128], body[256];

	snprintf(subject, sizeof subject, "$JS.API.STREAM.CREATE.W%s_NS__T", word(h));
	snprintf(body, sizeof body,
		 "{\"name\":\"W%s_NS__T\",\"subjects\":[\"w%s.ns.t\"],\"max_msgs\":10,\"discard\":\"old\"}", word(h),
		 word(h));
	must_ask(subject, body);
	harness_publish(h, harness_topic(h, "t"), "x");
	h->ops.health(h->inst, &health);
	assert_int_equal(health.state, WEIR_HEALTH_DEGRADED);
}

static void a_consumer_that_is_deleted_goes_on_where_it_was(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = subscribe_with(h, topic, (struct weir_sub_spec){ .ack_wait_ms = 1000 });
	struct weir_driver_event event;
	char subject[160];

	harness_publish(h, topic, "a");
	event = harness_expect(h, sub, "a");
	harness_ack(h, &event);
	snprintf(subject, sizeof subject, "$JS.API.CONSUMER.DELETE.W%s_NS__T.KN_SUB_s", word(h));
	must_ask(subject, "");
	harness_publish(h, topic, "b");
	harness_expect(h, sub, "b");
	harness_silence(h, WEIR_EV_DELIVER);
}

/* ---- manners ---------------------------------------------------------------------------------------------- */

static void waiting_costs_nothing(void **state)
{
	struct harness *h = *state;
	struct weir_driver_event event;
	struct timespec before, after;
	int64_t used_us, until;
	size_t count;

	subscribe_with(h, harness_topic(h, "t"), (struct weir_sub_spec){ 0 });
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	for (until = harness_now() + INT64_C(1500000000); harness_now() < until;) {
		event.size = sizeof event;
		assert_int_equal(h->ops.poll(h->inst, &event, 1, until, &count), WEIR_OK);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	used_us = (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
	print_message("           %lld us of CPU in 1.5 s\n", (long long)used_us);
	assert_in_range(used_us, 0, 15000);
}

#define OWN(name)    cmocka_unit_test_setup_teardown(name, setup_named, driver_case_teardown)
#define CLOSED(name) cmocka_unit_test_setup_teardown(name, setup_closed, driver_case_teardown)

static const struct CMUnitTest own[] = {
	CLOSED(a_server_that_is_away_is_no_error_of_open),
	CLOSED(a_pattern_without_its_marks_is_refused),
	OWN(headers_and_body_arrive_as_they_were),
	OWN(a_header_that_would_make_another_is_refused),
	OWN(the_same_event_again_is_stored_once),
	OWN(it_begins_at_the_oldest_at_a_position_and_at_a_time),
	OWN(what_is_not_settled_in_time_comes_again),
	OWN(more_time_is_given_to_who_asks_for_it),
	OWN(another_channels_stream_is_not_taken),
	OWN(a_work_queue_is_refused),
	OWN(a_stream_that_drops_is_used_but_not_called_healthy),
	OWN(a_consumer_that_is_deleted_goes_on_where_it_was),
	OWN(waiting_costs_nothing),
};

int main(void)
{
	const struct CMUnitTest *all;
	struct CMUnitTest some[128];
	size_t count, i, used = 0;
	int failed;

	driver_under_test = "jetstream";
	driver_overrides = NAMES;
	all = driver_cases(&count);
	for (i = 0; i < count && used < 128; i++)
		if (applies(&all[i]))
			some[used++] = all[i];
	failed = _cmocka_run_group_tests("every driver", some, used, NULL, NULL);
	failed += cmocka_run_group_tests_name("its own", own, NULL, NULL);
	return failed ? 1 : 0;
}
