/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Kafka driver against brokers that answer with errors: librdkafka's mock
 * cluster, in this process. What the driver then says of a record is compared
 * with what is in the topic.
 */
#include "driver_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

enum { PRODUCE = 0, OFFSET_COMMIT = 8 }; /* requests of Kafka's protocol */

struct mock {
	struct harness h;
	rd_kafka_t *host; /* a client that the cluster lives in */
	rd_kafka_mock_cluster_t *cluster;
	struct weir_topic *topic;
};

static rd_kafka_t *client(rd_kafka_type_t type, const char *brokers)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];
	rd_kafka_t *rk;

	if (brokers && (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why) ||
			rd_kafka_conf_set(conf, "group.id", "reader", why, sizeof why)))
		fail_msg("%s", why);
	rk = rd_kafka_new(type, conf, why, sizeof why);
	assert_non_null(rk);
	return rk;
}

static int setup_with(void **state, const char *more)
{
	struct mock *m = calloc(1, sizeof *m);
	char overrides[256];

	assert_non_null(m);
	m->host = client(RD_KAFKA_PRODUCER, NULL);
	m->cluster = rd_kafka_mock_cluster_new(m->host, 1);
	assert_non_null(m->cluster);
	assert_int_equal(rd_kafka_mock_topic_create(m->cluster, "knative-messaging-kafka.ns.t", 1, 1), 0);
	harness_load(&m->h, "kafka");
	snprintf(overrides, sizeof overrides, "brokers=%s %s", rd_kafka_mock_cluster_bootstraps(m->cluster), more);
	harness_open(&m->h, overrides);
	m->topic = harness_topic(&m->h, "t");
	*state = m;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, "");
}

/* With it, more errors are fatal to a producer. */
static int setup_gapless(void **state)
{
	return setup_with(state, "properties.enable.gapless.guarantee=true");
}

static int teardown(void **state)
{
	struct mock *m = *state;

	harness_unload(&m->h);
	rd_kafka_mock_cluster_destroy(m->cluster);
	rd_kafka_destroy(m->host);
	free(m);
	return 0;
}

/* How often the body of one record is in the topic, which a marker ends. */
static int times_stored(struct mock *m, const char *text)
{
	rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, rd_kafka_mock_cluster_bootstraps(m->cluster));
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	bool end = false;
	int times = 0;

	harness_publish(&m->h, m->topic, "marker");
	rd_kafka_topic_partition_list_add(list, "knative-messaging-kafka.ns.t", 0)->offset = 0;
	assert_int_equal(rd_kafka_assign(rk, list), 0);
	rd_kafka_topic_partition_list_destroy(list);
	while (!end) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 20000);

		assert_non_null(message);
		assert_int_equal(message->err, 0);
		end = message->len == 6 && memcmp(message->payload, "marker", 6) == 0;
		times += message->len == strlen(text) && memcmp(message->payload, text, message->len) == 0;
		rd_kafka_message_destroy(message);
	}
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	return times;
}

/* Publishes while the brokers answer so; the completion. */
static struct weir_driver_event publish_failing(struct mock *m, rd_kafka_resp_err_t native, const char *text)
{
	rd_kafka_mock_push_request_errors(m->cluster, PRODUCE, 1, native);
	assert_int_equal(harness_send(&m->h, m->topic, text), WEIR_OK);
	return harness_wait(&m->h, WEIR_EV_PUBLISHED);
}

/* Until publish takes something again: it says EAGAIN while the producer is replaced, and WRITABLE after. */
static void publish_again(struct mock *m, const char *text)
{
	while (harness_send(&m->h, m->topic, text) == WEIR_EAGAIN)
		harness_wait(&m->h, WEIR_EV_WRITABLE);
	assert_int_equal(harness_wait(&m->h, WEIR_EV_PUBLISHED).outcome, WEIR_PERSISTED);
}

static void a_producer_that_gave_up_is_replaced(void **state)
{
	struct mock *m = *state;
	struct weir_driver_event event;
	struct weir_health health = { .size = sizeof health };

	harness_wait(&m->h, WEIR_EV_UP);
	harness_publish(&m->h, m->topic, "first");
	event = publish_failing(m, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "one");
	assert_int_not_equal(event.outcome, WEIR_PERSISTED);
	harness_wait(&m->h, WEIR_EV_DOWN);
	publish_again(m, "two");
	harness_wait(&m->h, WEIR_EV_UP);
	assert_int_equal(m->h.ops.health(m->h.inst, &health), WEIR_OK);
	assert_int_equal(health.state, WEIR_HEALTH_UP);
	assert_int_equal(times_stored(m, "two"), 1);
	assert_int_equal(harness_count(&m->h, WEIR_EV_FATAL), 0);
}

static void every_record_under_way_completes_once_when_the_producer_gives_up(void **state)
{
	enum { RECORDS = 3000, ROUNDS = 3 };
	struct mock *m = *state;
	static unsigned char seen[RECORDS * ROUNDS];
	int i, round, sent, total = 0;

	memset(seen, 0, sizeof seen);
	for (round = 0; round < ROUNDS; round++) {
		for (i = sent = 0; i < RECORDS; i++) {
			struct weir_publish item = { .size = sizeof item,
						     .topic = m->topic,
						     .tag = (uint64_t)(total + sent) };
			struct weir_error err = WEIR_ERROR_INIT;
			size_t accepted;
			int code;

			if (i == RECORDS / 2)
				rd_kafka_mock_push_request_errors(m->cluster, PRODUCE, 1,
								  RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
			item.record.body = harness_buf("many");
			while ((code = m->h.ops.publish(m->h.inst, &item, 1, &accepted, &err)) == WEIR_EAGAIN)
				harness_wait(&m->h, WEIR_EV_WRITABLE);
			if (code)
				fail_msg("%s", err.text);
			sent += (int)accepted;
		}
		for (i = 0; i < sent; i++) {
			struct weir_driver_event event = harness_wait(&m->h, WEIR_EV_PUBLISHED);

			assert_in_range(event.tag, 0, sizeof seen - 1);
			assert_int_equal(seen[event.tag]++, 0);
		}
		total += sent;
		harness_wait(&m->h, WEIR_EV_DOWN);
	}
	harness_silence(&m->h, WEIR_EV_PUBLISHED);
	assert_int_equal(total, RECORDS * ROUNDS);
}

static void a_leader_that_moves_costs_nothing_and_repeats_nothing(void **state)
{
	struct mock *m = *state;
	struct weir_driver_event event;

	rd_kafka_mock_push_request_errors(m->cluster, PRODUCE, 2, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
					  RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
	event = publish_failing(m, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, "one");
	assert_int_equal(event.outcome, WEIR_PERSISTED);
	assert_int_equal(times_stored(m, "one"), 1);
}

static void a_record_that_the_broker_finds_too_large_is_refused_as_too_large(void **state)
{
	struct mock *m = *state;
	struct weir_driver_event event = publish_failing(m, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "one");

	assert_int_equal(event.outcome, WEIR_NOT_PERSISTED);
	assert_int_equal(event.error->code, WEIR_ETOOBIG);
	assert_int_equal(event.error->retry, WEIR_RETRY_NEVER);
	assert_int_equal(times_stored(m, "one"), 0);
}

static void a_topic_that_may_not_be_written_says_so(void **state)
{
	struct mock *m = *state;
	struct weir_driver_event event = publish_failing(m, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "one");

	assert_int_equal(event.outcome, WEIR_NOT_PERSISTED);
	assert_int_equal(event.error->code, WEIR_ENOPERM);
}

static void errors_of_the_group_coordinator_lose_nothing(void **state)
{
	enum { RECORDS = 200 };
	struct mock *m = *state;
	struct weir_sub *sub;
	struct weir_driver_event event;
	unsigned char seen[RECORDS] = { 0 };
	int i, distinct = 0;

	rd_kafka_mock_push_request_errors(m->cluster, OFFSET_COMMIT, 2, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
					  RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
	sub = harness_subscribe(&m->h, m->topic, "s", WEIR_START_EARLIEST);
	harness_credit(&m->h, sub, 100000);
	for (i = 0; i < RECORDS; i++) {
		char text[8];

		snprintf(text, sizeof text, "%d", i);
		harness_publish(&m->h, m->topic, text);
	}
	while (distinct < RECORDS) {
		event = harness_wait(&m->h, WEIR_EV_DELIVER);
		i = 0;
		for (const char *at = event.record.body.ptr, *end = at + event.record.body.len; at < end; at++)
			i = i * 10 + (*at - '0');
		assert_in_range(i, 0, RECORDS - 1);
		distinct += !seen[i];
		seen[i] = 1;
		m->h.ops.release(event.lease);
		m->h.ops.settle(m->h.inst, sub, WEIR_ACK, &event.token, 1, 0, NULL);
	}
}

static void brokers_that_go_and_come_back_are_down_and_up(void **state)
{
	struct mock *m = *state;

	harness_wait(&m->h, WEIR_EV_UP);
	assert_int_equal(rd_kafka_mock_broker_set_down(m->cluster, 1), 0);
	assert_int_equal(harness_wait(&m->h, WEIR_EV_DOWN).error->code, WEIR_EUNAVAIL);
	assert_int_equal(harness_send(&m->h, m->topic, "meanwhile"), WEIR_OK);
	assert_int_equal(rd_kafka_mock_broker_set_up(m->cluster, 1), 0);
	harness_wait(&m->h, WEIR_EV_UP);
	assert_int_equal(harness_wait(&m->h, WEIR_EV_PUBLISHED).outcome, WEIR_PERSISTED);
	assert_int_equal(times_stored(m, "meanwhile"), 1);
}

#define CASE(name)    cmocka_unit_test_setup_teardown(name, setup, teardown)
#define GAPLESS(name) cmocka_unit_test_setup_teardown(name, setup_gapless, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		GAPLESS(a_producer_that_gave_up_is_replaced),
		GAPLESS(every_record_under_way_completes_once_when_the_producer_gives_up),
		CASE(a_leader_that_moves_costs_nothing_and_repeats_nothing),
		CASE(a_record_that_the_broker_finds_too_large_is_refused_as_too_large),
		CASE(a_topic_that_may_not_be_written_says_so),
		CASE(errors_of_the_group_coordinator_lose_nothing),
		CASE(brokers_that_go_and_come_back_are_down_and_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
