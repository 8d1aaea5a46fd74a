/* SPDX-License-Identifier: Apache-2.0 */
/* The Kafka driver against a real broker: the cases of every driver, and what is its own. */
#include "driver_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

/* One partition: then a topic is in order, as the shared cases want it. Quick heartbeats: then rebalances are. */
#define COMMON                                                                                                         \
	"brokers=127.0.0.1:9092 topicPattern=weir-test.@.{namespace}.{name} groupPattern=weir-test.@.{name}.{uid}"
#define ONE   COMMON " partitions=1"
#define EIGHT COMMON " partitions=8 properties.heartbeat.interval.ms=200"

/* Shared cases that ask for what Kafka does otherwise. */
static const char *const elsewhere[] = {
	"members_of_a_subscription_share_its_records", /* below, with enough partitions */
	/* It counts on the quiet topic's record being there at once; here it may still be on its way from the broker.
	 */
	"one_busy_topic_does_not_starve_a_quiet_one",
};

/* ---- the cases of every driver --------------------------------------------------------------- */

static bool applies(const struct CMUnitTest *test)
{
	size_t i;

	for (i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
		if (strcmp(elsewhere[i], test->name) == 0)
			return false;
	return true;
}

/* ---- settings ----------------------------------------------------------------------------------- */

static int setup_closed(void **state)
{
	struct harness *h = calloc(1, sizeof *h);

	assert_non_null(h);
	harness_load(h, "kafka");
	*state = h;
	return 0;
}

/* Opens with "KEY=VALUE ..." where the harness has no row for a key below "properties.". */
static int open_with(struct harness *h, const char *key, const char *value, const char *overrides,
		     struct weir_error *err)
{
	struct weir_setting settings[32];
	uint32_t i, count = 0;

	for (i = 0; i < h->ops.option_count; i++)
		if (h->ops.options[i].fallback)
			settings[count++] = (struct weir_setting){ h->ops.options[i].key, h->ops.options[i].fallback };
	if (overrides)
		settings[count++] = (struct weir_setting){ "provider", overrides };
	settings[count++] = (struct weir_setting){ key, value };
	return h->ops.open(&h->host, settings, count, &h->inst, err);
}

static void a_property_that_the_driver_needs_is_refused(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;

	assert_int_equal(open_with(*state, "properties.enable.auto.commit", "true", NULL, &err), WEIR_EINVAL);
	assert_non_null(strstr(err.text, "kafka.properties.enable.auto.commit"));
}

static void a_property_that_librdkafka_does_not_know_is_refused(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;

	assert_int_equal(open_with(*state, "properties.max.request.size", "1", NULL, &err), WEIR_EINVAL);
	assert_non_null(strstr(err.text, "kafka.properties.max.request.size"));
}

static void azure_without_a_user_is_refused(void **state)
{
	struct harness *h = *state;
	struct weir_error err = WEIR_ERROR_INIT;

	assert_int_equal(harness_try_open(h, "provider=azure", &err), WEIR_EINVAL);
	assert_non_null(strstr(err.text, "kafka.username"));
	assert_null(h->inst);
}

static void azure_takes_no_other_user_than_connectionstring(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;

	assert_int_equal(harness_try_open(*state, "provider=azure username=me password=secret-word", &err),
			 WEIR_EINVAL);
	assert_non_null(strstr(err.text, "$ConnectionString"));
	assert_null(strstr(err.text, "secret-word"));
}

static void a_broker_that_is_away_is_no_error_of_open(void **state)
{
	struct harness *h = *state;
	struct weir_health health = { .size = sizeof health };

	harness_open(h, "brokers=127.0.0.1:1");
	assert_int_equal(harness_wait(h, WEIR_EV_DOWN).error->code, WEIR_EUNAVAIL);
	h->ops.health(h->inst, &health);
	assert_int_equal(health.state, WEIR_HEALTH_DOWN);
	harness_close(h);
}

/* ---- the form that others see ----------------------------------------------------------------------- */

/* The name of the topic that the harness' channel "t" lives on. */
static const char *topic_name(const char *overrides)
{
	static char name[256];
	const char *at = strstr(overrides, "topicPattern=") + strlen("topicPattern=");

	snprintf(name, sizeof name, "%.*sns.t", (int)strcspn(at, "{"), at);
	return name;
}

static rd_kafka_t *client(rd_kafka_type_t type)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];
	rd_kafka_t *rk;

	assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", "127.0.0.1:9092", why, sizeof why), 0);
	assert_int_equal(rd_kafka_conf_set(conf, "group.id", "weir-test-reader", why, sizeof why), 0);
	rk = rd_kafka_new(type, conf, why, sizeof why);
	assert_non_null(rk);
	return rk;
}

static rd_kafka_message_t *read_first(rd_kafka_t *rk, const char *topic)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_message_t *message;

	rd_kafka_topic_partition_list_add(list, topic, 0)->offset = 0;
	assert_int_equal(rd_kafka_assign(rk, list), 0);
	rd_kafka_topic_partition_list_destroy(list);
	message = rd_kafka_consumer_poll(rk, 20000);
	assert_non_null(message);
	assert_int_equal(message->err, 0);
	return message;
}

static int setup_named(void **state)
{
	struct harness *h = calloc(1, sizeof *h);

	assert_non_null(h);
	harness_load(h, "kafka");
	driver_case_overrides(h->overrides, sizeof h->overrides);
	harness_open(h, h->overrides);
	*state = h;
	return 0;
}

static void assert_header(rd_kafka_headers_t *headers, size_t i, const char *name, const char *value)
{
	const char *got_name;
	const void *got_value;
	size_t size;

	assert_int_equal(rd_kafka_header_get_all(headers, i, &got_name, &got_value, &size), 0);
	assert_string_equal(got_name, name);
	assert_int_equal(size, strlen(value));
	assert_memory_equal(got_value, value, size);
}

static void another_client_reads_what_was_published(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_header headers[2] = { { { "ce_id", 5 }, { "1", 1 } },
					  { { "content-type", 12 }, { "text/plain", 10 } } };
	struct weir_record record = {
		.key = { "k", 1 }, .body = { "hello", 5 }, .headers = headers, .header_count = 2
	};
	rd_kafka_t *rk = client(RD_KAFKA_CONSUMER);
	rd_kafka_message_t *message;
	rd_kafka_headers_t *got;

	harness_publish_record(h, topic, &record);
	message = read_first(rk, topic_name(h->overrides));
	assert_int_equal(message->key_len, 1);
	assert_memory_equal(message->key, "k", 1);
	assert_int_equal(message->len, 5);
	assert_memory_equal(message->payload, "hello", 5);
	assert_int_equal(rd_kafka_message_headers(message, &got), 0);
	assert_int_equal(rd_kafka_header_cnt(got), 2);
	assert_header(got, 0, "ce_id", "1");
	assert_header(got, 1, "content-type", "text/plain");
	rd_kafka_message_destroy(message);
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
}

static void no_data_is_a_null_value(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_record record = { .key = { "k", 1 } };
	rd_kafka_t *rk = client(RD_KAFKA_CONSUMER);
	rd_kafka_message_t *message;

	harness_publish_record(h, topic, &record);
	message = read_first(rk, topic_name(h->overrides));
	assert_null(message->payload);
	rd_kafka_message_destroy(message);
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
}

static void what_another_client_publishes_is_delivered(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	rd_kafka_t *rk = client(RD_KAFKA_PRODUCER);
	char key[] = "key", value[] = "theirs", id[] = "7";
	rd_kafka_vu_t parts[5] = {
		{ .vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic_name(h->overrides) },
		{ .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = { key, 3 } },
		{ .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = { value, 6 } },
		{ .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
		{ .vtype = RD_KAFKA_VTYPE_HEADER, .u.header = { "ce_id", id, 1 } },
	};
	struct weir_driver_event event;

	harness_credit(h, sub, 1);
	assert_null(rd_kafka_produceva(rk, parts, 5));
	event = harness_wait(h, WEIR_EV_DELIVER);
	assert_int_equal(event.record.body.len, 6);
	assert_memory_equal(event.record.body.ptr, "theirs", 6);
	assert_int_equal(event.record.key.len, 3);
	assert_int_equal(event.record.header_count, 1);
	assert_memory_equal(event.record.headers[0].name.ptr, "ce_id", 5);
	h->ops.release(event.lease);
	rd_kafka_flush(rk, 10000);
	rd_kafka_destroy(rk);
}

/* ---- positions ---------------------------------------------------------------------------------------- */

static struct weir_sub *reopened(struct harness *h)
{
	struct weir_sub *sub;

	harness_close(h);
	harness_open(h, h->overrides);
	sub = harness_subscribe(h, harness_topic(h, "t"), "s", WEIR_START_LATEST);
	harness_credit(h, sub, 100);
	return sub;
}

static void earliest_begins_with_the_oldest(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub;

	harness_publish(h, topic, "a");
	sub = harness_subscribe(h, topic, "s", WEIR_START_EARLIEST);
	harness_credit(h, sub, 1);
	harness_expect(h, sub, "a");
}

static void only_what_is_settled_without_a_gap_is_committed(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	struct weir_driver_event events[6];
	char text[8];
	int i;

	harness_credit(h, sub, 100);
	for (i = 0; i < 6; i++) {
		snprintf(text, sizeof text, "%d", i);
		harness_publish(h, topic, text);
		events[i] = harness_expect(h, sub, text);
	}
	for (i = 0; i < 6; i++)
		if (i != 2)
			harness_ack(h, &events[i]);
	sub = reopened(h);
	for (i = 2; i < 6; i++) {
		snprintf(text, sizeof text, "%d", i);
		harness_expect(h, sub, text);
	}
	harness_silence(h, WEIR_EV_DELIVER);
}

static void nacked_and_waiting_is_not_committed(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	struct weir_driver_event event;

	harness_credit(h, sub, 100);
	harness_publish(h, topic, "a");
	event = harness_expect(h, sub, "a");
	assert_int_equal(harness_settle(h, sub, WEIR_NACK, &event, 3600000), WEIR_OK);
	harness_publish(h, topic, "b");
	event = harness_expect(h, sub, "b");
	harness_ack(h, &event);
	harness_expect(h, reopened(h), "a");
}

/* ---- groups ------------------------------------------------------------------------------------------------ */

enum { EVENTS = 4000 };

struct tally {
	unsigned char seen[EVENTS];
	int distinct, again, of_two;
};

static void send_number(struct harness *h, struct weir_topic *topic, int number)
{
	struct weir_publish item = { .size = sizeof item, .topic = topic, .tag = (uint64_t)number };
	size_t accepted;

	item.record.key = (struct weir_buf){ &number, sizeof number };
	item.record.body = item.record.key;
	assert_int_equal(h->ops.publish(h->inst, &item, 1, &accepted, NULL), WEIR_OK);
}

/* Takes one delivery if there is one, and acks it. */
static void take_one(struct harness *h, struct weir_sub *two, struct tally *tally, bool wait)
{
	struct weir_driver_event event;
	int number;

	if (wait)
		event = harness_wait(h, WEIR_EV_DELIVER);
	else if (!harness_take(h, WEIR_EV_DELIVER, &event))
		return;
	assert_int_equal(event.record.body.len, sizeof number);
	memcpy(&number, event.record.body.ptr, sizeof number);
	assert_in_range(number, 0, EVENTS - 1);
	h->ops.release(event.lease);
	tally->distinct += !tally->seen[number];
	tally->again += tally->seen[number];
	tally->seen[number] = 1;
	tally->of_two += event.sub == two;
	h->ops.settle(h->inst, event.sub, WEIR_ACK, &event.token, 1, 0, NULL);
	harness_credit(h, event.sub, 1);
}

/* A second member comes and goes while events flow: none is lost, and at most what was out comes twice. */
static void members_share_and_a_rebalance_loses_nothing(void **state)
{
	enum { WINDOW = 50 };
	static struct tally tally;
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *one = harness_subscribe(h, topic, "s", WEIR_START_LATEST), *two = NULL;
	struct weir_driver_event event;
	int i;

	memset(&tally, 0, sizeof tally);
	harness_credit(h, one, WINDOW);
	for (i = 0; i < EVENTS; i++) {
		send_number(h, topic, i);
		take_one(h, two, &tally, false);
		if (i == EVENTS / 4) {
			two = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
			harness_credit(h, two, WINDOW);
		}
		if (i == EVENTS / 2)
			do {
				event = harness_wait(h, WEIR_EV_ASSIGNED);
			} while (event.sub != two);
	}
	while (tally.distinct < EVENTS * 3 / 4)
		take_one(h, two, &tally, true);
	assert_true(tally.of_two > 0);
	harness_unsubscribe(h, two, 1);
	while (tally.distinct < EVENTS)
		take_one(h, NULL, &tally, true);
	harness_silence(h, WEIR_EV_DELIVER);
	print_message("           %d events, %d again\n", tally.distinct, tally.again);
	assert_in_range(tally.again, 0, 4 * WINDOW);
}

static void a_revoked_token_is_stale(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *one = harness_subscribe(h, topic, "s", WEIR_START_LATEST), *two;
	struct weir_driver_event out[200], revoked;
	int i, stale = 0;

	harness_credit(h, one, 200);
	for (i = 0; i < 200; i++)
		send_number(h, topic, i);
	for (i = 0; i < 200; i++) {
		out[i] = harness_wait(h, WEIR_EV_DELIVER);
		h->ops.release(out[i].lease);
	}
	two = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	revoked = harness_wait(h, WEIR_EV_REVOKED);
	assert_ptr_equal(revoked.sub, one);
	for (i = 0; i < 200; i++) {
		uint16_t code = harness_settle(h, one, WEIR_ACK, &out[i], 0);

		if (out[i].token.lane == revoked.token.lane) {
			assert_int_equal(code, WEIR_ESTALE);
			stale++;
		}
	}
	assert_true(stale > 0);
	harness_credit(h, two, 200);
	/* What the first one had out and could not settle comes to the second. */
	out[0] = harness_wait(h, WEIR_EV_DELIVER);
	assert_ptr_equal(out[0].sub, two);
	h->ops.release(out[0].lease);
}

/* ---- the list ---------------------------------------------------------------------------------------------- */

#define OWN(name)    cmocka_unit_test_setup_teardown(name, setup_named, driver_case_teardown)
#define CLOSED(name) cmocka_unit_test_setup_teardown(name, setup_closed, driver_case_teardown)

static const struct CMUnitTest with_one[] = {
	CLOSED(a_property_that_the_driver_needs_is_refused),
	CLOSED(a_property_that_librdkafka_does_not_know_is_refused),
	CLOSED(azure_without_a_user_is_refused),
	CLOSED(azure_takes_no_other_user_than_connectionstring),
	CLOSED(a_broker_that_is_away_is_no_error_of_open),
	OWN(another_client_reads_what_was_published),
	OWN(no_data_is_a_null_value),
	OWN(what_another_client_publishes_is_delivered),
	OWN(earliest_begins_with_the_oldest),
	OWN(only_what_is_settled_without_a_gap_is_committed),
	OWN(nacked_and_waiting_is_not_committed),
};

static const struct CMUnitTest with_eight[] = {
	OWN(members_share_and_a_rebalance_loses_nothing),
	OWN(a_revoked_token_is_stale),
};

int main(void)
{
	const struct CMUnitTest *all;
	struct CMUnitTest some[128];
	size_t count, i, used = 0;
	int failed;

	driver_under_test = "kafka";
	driver_overrides = ONE;
	all = driver_cases(&count);
	for (i = 0; i < count && used < 128; i++)
		if (applies(&all[i]))
			some[used++] = all[i];
	failed = _cmocka_run_group_tests("every driver", some, used, NULL, NULL);
	failed += cmocka_run_group_tests_name("its own", with_one, NULL, NULL);
	driver_overrides = EIGHT;
	failed += cmocka_run_group_tests_name("its own, with eight partitions", with_eight, NULL, NULL);
	return failed ? 1 : 0;
}
