/* SPDX-License-Identifier: Apache-2.0 */
/* The NATS Streaming driver against a real server: the cases of every driver, and what is its own. */
#include "driver_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stan_client.h"

#define SERVER    "127.0.0.1:4230"
#define URL       "nats://" SERVER
#define COMMON    "url=" URL " channelPattern=weir-test-@.{name}.{namespace}"
#define EXCLUSIVE COMMON
#define QUEUE     COMMON " members=queue"

/* Shared cases that ask for what this backend does not claim, or does otherwise. */
static const char *const never[] = {
	"key_headers_and_body_arrive_as_they_were", /* it keeps bytes only; the core makes an envelope */
	"no_body_and_empty_body_stay_different",
	"time_and_position_are_told",  /* the server does not tell a publisher the position; below */
	"figures_follow_what_happens", /* the lag is asked for, and known a moment later; below */
	"an_open_topic_cannot_be_deleted",
	"a_deleted_topic_takes_its_records_along",
	/* It counts on the quiet topic's record being there at once; here it may still be on its way. */
	"one_busy_topic_does_not_starve_a_quiet_one",
};

/* These have two members in one process. */
static const char *const with_queue[] = {
	"members_of_a_subscription_share_its_records",
	"unsettled_of_one_member_comes_to_the_other",
	"a_token_of_another_subscription_is_refused",
	"subscriptions_come_and_go_while_poll_delivers",
};

static bool listed(const char *const *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

#define LISTED(list, name) listed(list, sizeof(list) / sizeof((list)[0]), name)

static int setup_closed(void **state)
{
	struct harness *h = calloc(1, sizeof *h);

	assert_non_null(h);
	harness_load(h, "natss");
	*state = h;
	return 0;
}

static int setup_named(void **state)
{
	struct harness *h;

	setup_closed(state);
	h = *state;
	driver_case_overrides(h->overrides, sizeof h->overrides);
	harness_open(h, h->overrides);
	return 0;
}

/* ---- settings ------------------------------------------------------------------------- */

static void assert_refused(void **state, const char *overrides, const char *key)
{
	struct harness *h = *state;
	struct weir_error err = WEIR_ERROR_INIT;

	assert_int_equal(harness_try_open(h, overrides, &err), WEIR_EINVAL);
	assert_non_null(strstr(err.text, key));
	assert_null(h->inst);
}

static void a_pattern_without_both_names_is_refused(void **state)
{
	assert_refused(state, "channelPattern={name}", "natss.channelPattern");
}

static void a_cluster_id_that_is_none_is_refused(void **state)
{
	assert_refused(state, "clusterId=a*b", "natss.clusterId");
}

static void an_ack_wait_below_the_servers_is_refused(void **state)
{
	assert_refused(state, "ackWait=999", "natss.ackWait");
}

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

static void a_cluster_that_is_not_there_is_told(void **state)
{
	struct harness *h = *state;
	struct weir_health health = { .size = sizeof health };

	harness_open(h, "url=" URL " clusterId=no-such-cluster");
	assert_int_equal(harness_wait(h, WEIR_EV_DOWN).error->code, WEIR_EUNAVAIL);
	h->ops.health(h->inst, &health);
	assert_int_equal(health.state, WEIR_HEALTH_DOWN);
	assert_non_null(strstr(health.error.text, "no-such-cluster"));
}

static void a_publish_while_the_server_is_away_is_surely_not_stored(void **state)
{
	struct harness *h = *state;
	struct weir_publish item = { .size = sizeof item, .tag = 7 };
	struct weir_driver_event event;
	size_t accepted;

	harness_open(h, "url=nats://127.0.0.1:1");
	assert_int_equal(h->ops.topic_open(h->inst, "ns", "t", &item.topic, NULL), WEIR_OK);
	item.record = harness_text("a");
	item.deadline_ns = harness_now() + 200000000;
	assert_int_equal(h->ops.publish(h->inst, &item, 1, &accepted, NULL), WEIR_OK);
	event = harness_wait(h, WEIR_EV_PUBLISHED);
	assert_int_equal(event.tag, 7);
	assert_int_equal(event.outcome, WEIR_NOT_PERSISTED);
	assert_int_equal(event.error->code, WEIR_ETIMEDOUT);
	assert_int_equal(event.error->retry, WEIR_RETRY_SAFE);
}

/* ---- the form that others see ------------------------------------------------------------ */

/* The name of the server's channel that the harness' channel "t" lives on. */
static const char *channel_name(const char *overrides)
{
	static char name[256];
	const char *at = strstr(overrides, "channelPattern=") + strlen("channelPattern=");

	snprintf(name, sizeof name, "%.*st.ns", (int)strcspn(at, "{"), at);
	return name;
}

static void another_client_reads_what_was_published(void **state)
{
	struct harness *h = *state;
	struct weir_record record = { .body = { "a\0b", 3 } };
	stanConnection *sc = stan_client_open(URL, "weir-test-other");
	stanMsg *message;

	harness_publish_record(h, harness_topic(h, "t"), &record);
	message = stan_client_first(sc, channel_name(h->overrides));
	assert_int_equal(stanMsg_GetDataLength(message), 3);
	assert_memory_equal(stanMsg_GetData(message), "a\0b", 3);
	stanMsg_Destroy(message);
	stan_client_close(sc);
}

static void what_another_client_publishes_is_delivered(void **state)
{
	struct harness *h = *state;
	struct weir_sub *sub = harness_subscribe(h, harness_topic(h, "t"), "s", WEIR_START_LATEST);
	stanConnection *sc = stan_client_open(URL, "weir-test-other");

	harness_credit(h, sub, 1);
	stan_client_publish(sc, channel_name(h->overrides), "theirs", 6);
	harness_expect(h, sub, "theirs");
	stan_client_close(sc);
}

/* ---- positions ---------------------------------------------------------------------------- */

static void time_and_position_of_a_delivery_are_told(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	int64_t before = (int64_t)time(NULL) * 1000;
	struct weir_driver_event event;

	harness_publish(h, topic, "a");
	harness_publish(h, topic, "b");
	harness_credit(h, sub, 2);
	event = harness_expect(h, sub, "a");
	assert_int_equal(event.position, 1);
	assert_int_equal(event.flags, 0);
	assert_true(event.time_ms >= before && event.time_ms <= before + 60000);
	assert_int_equal(harness_expect(h, sub, "b").position, 2);
}

static struct weir_sub *start_at(struct harness *h, struct weir_topic *topic, enum weir_start start, int64_t value)
{
	struct weir_sub_spec spec = {
		.size = sizeof spec, .name = "s", .uid = "s", .start = start, .start_value = value, .max_unsettled = 100
	};
	struct weir_sub *sub;

	assert_int_equal(h->ops.subscribe(h->inst, topic, &spec, &sub, NULL), WEIR_OK);
	harness_wait(h, WEIR_EV_SUB_READY);
	harness_credit(h, sub, 100);
	return sub;
}

static void earliest_begins_with_the_oldest(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");

	harness_publish(h, topic, "a");
	harness_expect(h, start_at(h, topic, WEIR_START_EARLIEST, 0), "a");
}

static void a_position_is_where_it_begins(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");

	harness_publish(h, topic, "a");
	harness_publish(h, topic, "b");
	harness_expect(h, start_at(h, topic, WEIR_START_POSITION, 2), "b");
}

static void only_what_was_not_acked_comes_again(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = start_at(h, topic, WEIR_START_LATEST, 0);
	struct weir_driver_event events[6];
	char text[8];

	for (int i = 0; i < 6; i++) {
		snprintf(text, sizeof text, "%d", i);
		harness_publish(h, topic, text);
		events[i] = harness_expect(h, sub, text);
	}
	for (int i = 0; i < 6; i++)
		if (i != 2 && i != 4)
			harness_ack(h, &events[i]);
	harness_close(h);
	harness_open(h, h->overrides);
	sub = start_at(h, harness_topic(h, "t"), WEIR_START_LATEST, 0);
	harness_expect(h, sub, "2");
	harness_expect(h, sub, "4");
	harness_silence(h, WEIR_EV_DELIVER);
}

static void nacked_and_waiting_is_not_acked(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = start_at(h, topic, WEIR_START_LATEST, 0);
	struct weir_driver_event event;

	harness_publish(h, topic, "a");
	event = harness_expect(h, sub, "a");
	assert_int_equal(harness_settle(h, sub, WEIR_NACK, &event, 3600000), WEIR_OK);
	harness_close(h);
	harness_open(h, h->overrides);
	harness_expect(h, start_at(h, harness_topic(h, "t"), WEIR_START_LATEST, 0), "a");
}

/* ---- the deadline -------------------------------------------------------------------------- */

/* Waits for a marker that comes after so many seconds: nothing else may come in the meantime. */
static void assert_nothing_comes(struct harness *h, int seconds)
{
	int64_t end = harness_now() + seconds * INT64_C(1000000000);

	while (harness_now() < end)
		harness_silence(h, WEIR_EV_DELIVER);
}

static void what_is_being_worked_on_beyond_the_deadline_does_not_come_twice(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub;
	struct weir_driver_event event;

	harness_close(h);
	snprintf(h->overrides + strlen(h->overrides), 32, " ackWait=1000");
	harness_open(h, h->overrides);
	topic = harness_topic(h, "t");
	sub = start_at(h, topic, WEIR_START_LATEST, 0);
	harness_publish(h, topic, "slow");
	event = harness_expect(h, sub, "slow");
	assert_nothing_comes(h, 3);
	harness_ack(h, &event);
	/* The server has heard of the ack: another reader does not get it. */
	assert_nothing_comes(h, 2);
	harness_unsubscribe(h, sub, 1);
	start_at(h, topic, WEIR_START_LATEST, 0);
	harness_silence(h, WEIR_EV_DELIVER);
}

/* ---- members -------------------------------------------------------------------------------- */

static void a_subscription_is_had_once_in_a_process(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub_spec spec = { .size = sizeof spec, .name = "s", .uid = "s" };
	struct weir_sub *sub;

	harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	assert_int_equal(h->ops.subscribe(h->inst, topic, &spec, &sub, NULL), WEIR_EBUSY);
}

/* Another process, but for being in this one. */
static void the_second_process_takes_over_what_the_first_left(void **state)
{
	struct harness *h = *state, second = { 0 };
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *one = start_at(h, topic, WEIR_START_LATEST, 0), *two;
	struct weir_driver_event event;

	harness_load(&second, "natss");
	harness_open(&second, h->overrides);
	two = start_at(&second, harness_topic(&second, "t"), WEIR_START_LATEST, 0);
	harness_publish(h, topic, "1");
	harness_publish(h, topic, "2");
	event = harness_expect(h, one, "1");
	harness_ack(h, &event);
	harness_expect(h, one, "2");
	harness_silence(&second, WEIR_EV_DELIVER);
	harness_unsubscribe(h, one, 1);
	event = harness_expect(&second, two, "2");
	assert_int_equal(event.flags, WEIR_MSG_REDELIVERED);
	harness_ack(&second, &event);
	harness_silence(&second, WEIR_EV_DELIVER);
	harness_unload(&second);
}

static void an_ordered_subscription_has_one_reader_also_with_a_queue(void **state)
{
	struct harness *h = *state;
	struct weir_sub_spec spec = { .size = sizeof spec, .name = "s", .uid = "s", .flags = WEIR_SUB_ORDERED };
	struct weir_topic *topic;
	struct weir_sub *sub;

	harness_close(h);
	snprintf(h->overrides + strlen(h->overrides), 32, " members=queue");
	harness_open(h, h->overrides);
	topic = harness_topic(h, "t");
	assert_int_equal(h->ops.subscribe(h->inst, topic, &spec, &sub, NULL), WEIR_OK);
	harness_wait(h, WEIR_EV_SUB_READY);
	assert_int_equal(h->ops.subscribe(h->inst, topic, &spec, &sub, NULL), WEIR_EBUSY);
}

static void forgetting_what_another_process_reads_is_told(void **state)
{
	struct harness *h = *state, second = { 0 };
	struct weir_sub *two;
	struct weir_error err = WEIR_ERROR_INIT;

	start_at(h, harness_topic(h, "t"), WEIR_START_LATEST, 0);
	harness_load(&second, "natss");
	harness_open(&second, h->overrides);
	two = start_at(&second, harness_topic(&second, "t"), WEIR_START_LATEST, 0);
	assert_int_equal(second.ops.unsubscribe(second.inst, two, 0, harness_now() + INT64_C(500000000), &err),
			 WEIR_ETIMEDOUT);
	assert_non_null(strstr(err.text, "another process"));
	harness_unload(&second);
}

/* ---- names ------------------------------------------------------------------------------------ */

/* ---- figures ---------------------------------------------------------------------------------- */

/* Asks until it is known. */
static uint64_t lag_of(struct harness *h, struct weir_sub *sub, int64_t since_ns)
{
	struct weir_sub_stats stats = { .size = sizeof stats };
	int64_t deadline = harness_now() + INT64_C(10000000000);

	do {
		assert_true(harness_now() < deadline);
		harness_silence(h, WEIR_EV_SUB_FAILED);
		assert_int_equal(h->ops.sub_stats(h->inst, sub, &stats), WEIR_OK);
	} while (stats.lag == UINT64_MAX || stats.lag_ns < since_ns);
	return stats.lag;
}

static void the_lag_counts_what_the_server_has(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub_spec spec = { .size = sizeof spec, .name = "s", .uid = "s", .max_unsettled = 2 };
	struct weir_sub_stats stats = { .size = sizeof stats };
	struct weir_driver_event events[5];
	struct weir_sub *sub;
	char text[8];

	assert_int_equal(h->ops.subscribe(h->inst, topic, &spec, &sub, NULL), WEIR_OK);
	harness_wait(h, WEIR_EV_SUB_READY);
	for (int i = 0; i < 5; i++) {
		snprintf(text, sizeof text, "%d", i);
		harness_publish(h, topic, text);
	}
	harness_credit(h, sub, 5);
	events[0] = harness_expect(h, sub, "0");
	events[1] = harness_expect(h, sub, "1");
	assert_int_equal(lag_of(h, sub, harness_now()), 5);
	assert_int_equal(h->ops.sub_stats(h->inst, sub, &stats), WEIR_OK);
	assert_int_equal(stats.unsettled, 2);
	assert_true(stats.oldest_ms >= 0);
	harness_ack(h, &events[0]);
	harness_ack(h, &events[1]);
	for (int i = 2; i < 5; i++) {
		snprintf(text, sizeof text, "%d", i);
		events[i] = harness_expect(h, sub, text);
		harness_ack(h, &events[i]);
	}
	assert_int_equal(lag_of(h, sub, harness_now()), 0);
}

static void an_empty_channel_has_no_lag(void **state)
{
	struct harness *h = *state;

	assert_int_equal(lag_of(h, harness_subscribe(h, harness_topic(h, "t"), "s", WEIR_START_LATEST), harness_now()),
			 0);
}

static void who_has_read_everything_before_has_no_lag(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = start_at(h, topic, WEIR_START_LATEST, 0);
	struct weir_driver_event event;

	harness_publish(h, topic, "a");
	event = harness_expect(h, sub, "a");
	harness_ack(h, &event);
	harness_unsubscribe(h, sub, 1);
	sub = start_at(h, topic, WEIR_START_LATEST, 0);
	assert_int_equal(lag_of(h, sub, harness_now()), 0);
}

static void an_ephemeral_subscription_leaves_nothing_behind(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub_spec spec = { .size = sizeof spec,
				      .name = "s",
				      .uid = "s",
				      .start = WEIR_START_EARLIEST,
				      .max_unsettled = 10,
				      .flags = WEIR_SUB_EPHEMERAL };
	struct weir_sub *sub;

	harness_publish(h, topic, "a");
	for (int i = 0; i < 2; i++) {
		struct weir_driver_event event;

		assert_int_equal(h->ops.subscribe(h->inst, topic, &spec, &sub, NULL), WEIR_OK);
		harness_wait(h, WEIR_EV_SUB_READY);
		harness_credit(h, sub, 1);
		event = harness_expect(h, sub, "a");
		assert_int_equal(event.attempt, 1);
		harness_ack(h, &event);
		harness_unsubscribe(h, sub, 1);
	}
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void a_server_without_limits_is_taken(void **state)
{
	struct harness *h = *state;

	harness_open(h, "url=" URL " monitorUrl=http://127.0.0.1:8230 channelPattern=weir-limits.{name}.{namespace}");
	harness_publish(h, harness_topic(h, "t"), "a");
}

static void names_that_the_server_does_not_take_are_refused(void **state)
{
	static const char *const bad[] = { "a..b", "a.", "a*", ">", "a b", "\xc3\xa4" };
	struct harness *h = *state;
	struct weir_topic *topic;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(h->ops.topic_open(h->inst, "ns", bad[i], &topic, NULL), WEIR_EINVAL);
	/* Or "b" in "ns" and "a.ns" in "x" could be one. */
	assert_int_equal(h->ops.topic_open(h->inst, "n.s", "a", &topic, NULL), WEIR_EINVAL);
}

/* ---- the list ---------------------------------------------------------------------------------- */

#define OWN(name)    cmocka_unit_test_setup_teardown(name, setup_named, driver_case_teardown)
#define CLOSED(name) cmocka_unit_test_setup_teardown(name, setup_closed, driver_case_teardown)

static const struct CMUnitTest own[] = {
	CLOSED(a_pattern_without_both_names_is_refused),
	CLOSED(a_cluster_id_that_is_none_is_refused),
	CLOSED(an_ack_wait_below_the_servers_is_refused),
	CLOSED(a_server_that_is_away_is_no_error_of_open),
	CLOSED(a_cluster_that_is_not_there_is_told),
	CLOSED(a_publish_while_the_server_is_away_is_surely_not_stored),
	OWN(another_client_reads_what_was_published),
	OWN(what_another_client_publishes_is_delivered),
	OWN(time_and_position_of_a_delivery_are_told),
	OWN(earliest_begins_with_the_oldest),
	OWN(a_position_is_where_it_begins),
	OWN(only_what_was_not_acked_comes_again),
	OWN(nacked_and_waiting_is_not_acked),
	OWN(what_is_being_worked_on_beyond_the_deadline_does_not_come_twice),
	OWN(a_subscription_is_had_once_in_a_process),
	OWN(the_second_process_takes_over_what_the_first_left),
	OWN(an_ordered_subscription_has_one_reader_also_with_a_queue),
	OWN(forgetting_what_another_process_reads_is_told),
	OWN(names_that_the_server_does_not_take_are_refused),
	OWN(the_lag_counts_what_the_server_has),
	OWN(an_empty_channel_has_no_lag),
	OWN(who_has_read_everything_before_has_no_lag),
	OWN(an_ephemeral_subscription_leaves_nothing_behind),
	CLOSED(a_server_without_limits_is_taken),
};

/* The shared cases that fit, with or without those of two members. */
static int run_shared(const char *name, bool queue)
{
	const struct CMUnitTest *all;
	struct CMUnitTest some[128];
	size_t count, used = 0;

	all = driver_cases(&count);
	for (size_t i = 0; i < count && used < 128; i++)
		if (!LISTED(never, all[i].name) && (queue == LISTED(with_queue, all[i].name)))
			some[used++] = all[i];
	return _cmocka_run_group_tests(name, some, used, NULL, NULL);
}

int main(void)
{
	int failed;

	driver_under_test = "natss";
	driver_overrides = QUEUE;
	failed = run_shared("every driver, members=queue", true);
	driver_overrides = EXCLUSIVE;
	failed += run_shared("every driver", false);
	failed += cmocka_run_group_tests_name("its own", own, NULL, NULL);
	return failed ? 1 : 0;
}
