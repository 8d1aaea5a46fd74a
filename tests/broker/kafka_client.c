/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka_client.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 30000, STEP_MS = 20 };

/* ---- names ----------------------------------------------------------------------------- */

/* What the harness was opened with under this key. */
static const char *setting(const struct harness *h, const char *key, char *ret, size_t size)
{
	const char *at = strstr(h->overrides, key);

	assert_non_null(at);
	at += strlen(key);
	snprintf(ret, size, "%.*s", (int)strcspn(at, " "), at);
	return ret;
}

static const char *prefix(const struct harness *h, const char *key, char *ret, size_t size)
{
	setting(h, key, ret, size);
	ret[strcspn(ret, "{")] = '\0';
	return ret;
}

static const char *topic_name(const struct harness *h)
{
	static char name[300];
	char begin[256];

	snprintf(name, sizeof name, "%sns.t", prefix(h, "topicPattern=", begin, sizeof begin));
	return name;
}

static void group_name(const struct harness *h, const char *uid, char *ret, size_t size)
{
	char begin[256];

	snprintf(ret, size, "%st.%s", prefix(h, "groupPattern=", begin, sizeof begin), uid);
}

/* ---- clients ------------------------------------------------------------------------------- */

/* With one more property, or none. */
static rd_kafka_t *client(const struct harness *h, rd_kafka_type_t type, const char *key, const char *value)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256], brokers[128];
	rd_kafka_t *rk;

	setting(h, "brokers=", brokers, sizeof brokers);
	assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why), 0);
	if (key && rd_kafka_conf_set(conf, key, value, why, sizeof why))
		fail_msg("%s", why);
	rk = rd_kafka_new(type, conf, why, sizeof why);
	assert_non_null(rk);
	return rk;
}

static void produce(rd_kafka_t *rk, const char *topic, const char *key, int number)
{
	rd_kafka_vu_t parts[5] = { { .vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic },
				   { .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = 0 },
				   { .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
				   { .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = { &number, sizeof number } },
				   { .vtype = RD_KAFKA_VTYPE_KEY } };
	rd_kafka_error_t *error;

	parts[4].u.mem.ptr = (void *)(uintptr_t)key;
	parts[4].u.mem.size = key ? strlen(key) : 0;
	while ((error = rd_kafka_produceva(rk, parts, 5))) {
		assert_int_equal(rd_kafka_error_code(error), RD_KAFKA_RESP_ERR__QUEUE_FULL);
		rd_kafka_error_destroy(error);
		rd_kafka_poll(rk, STEP_MS);
	}
}

void produce_many(struct harness *h, int count)
{
	rd_kafka_t *rk = client(h, RD_KAFKA_PRODUCER, "enable.idempotence", "true");
	int i;

	for (i = 0; i < count; i++)
		produce(rk, topic_name(h), NULL, i);
	assert_int_equal(rd_kafka_flush(rk, WAIT_MS), 0);
	rd_kafka_destroy(rk);
}

static void succeed(rd_kafka_error_t *error)
{
	if (error)
		fail_msg("%s", rd_kafka_error_string(error));
}

int64_t produce_transactions(struct harness *h, int count, int each)
{
	char id[64];
	rd_kafka_t *rk;
	int64_t last = -1;
	int i, k;

	snprintf(id, sizeof id, "weir-test-%d", (int)getpid());
	rk = client(h, RD_KAFKA_PRODUCER, "transactional.id", id);
	succeed(rd_kafka_init_transactions(rk, WAIT_MS));
	for (i = 0; i < count; i++) {
		succeed(rd_kafka_begin_transaction(rk));
		for (k = 0; k < each; k++)
			produce(rk, topic_name(h), NULL, k);
		assert_int_equal(rd_kafka_flush(rk, WAIT_MS), 0);
		if (i % 2)
			succeed(rd_kafka_abort_transaction(rk, WAIT_MS));
		else
			succeed(rd_kafka_commit_transaction(rk, WAIT_MS));
		if (i % 2 == 0)
			last = (int64_t)i * (each + 1) + each - 1;
	}
	rd_kafka_destroy(rk);
	return last;
}

/* ---- topics ---------------------------------------------------------------------------------- */

static void admin_wait(rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);

	assert_non_null(event);
	assert_int_equal(rd_kafka_event_error(event), 0);
	rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
}

void create_topic(struct harness *h, const char *key, const char *value)
{
	rd_kafka_t *rk = client(h, RD_KAFKA_PRODUCER, NULL, NULL);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	char why[128];
	rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(topic_name(h), 1, 1, why, sizeof why);

	if (key)
		rd_kafka_NewTopic_set_config(topic, key, value);
	if (key) {
		rd_kafka_NewTopic_set_config(topic, "segment.ms", "100");
		rd_kafka_NewTopic_set_config(topic, "min.cleanable.dirty.ratio", "0.001");
		rd_kafka_NewTopic_set_config(topic, "max.compaction.lag.ms", "200");
	}
	rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
	rd_kafka_NewTopic_destroy(topic);
	admin_wait(queue);
	rd_kafka_destroy(rk);
}

void delete_topic(struct harness *h)
{
	rd_kafka_t *rk = client(h, RD_KAFKA_PRODUCER, NULL, NULL);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(topic_name(h));

	rd_kafka_DeleteTopics(rk, &topic, 1, NULL, queue);
	rd_kafka_DeleteTopic_destroy(topic);
	admin_wait(queue);
	rd_kafka_destroy(rk);
}

void delete_records(struct harness *h, int64_t offset)
{
	rd_kafka_t *rk = client(h, RD_KAFKA_PRODUCER, NULL, NULL);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_DeleteRecords_t *records;

	rd_kafka_topic_partition_list_add(list, topic_name(h), 0)->offset = offset;
	records = rd_kafka_DeleteRecords_new(list);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_DeleteRecords(rk, &records, 1, NULL, queue);
	rd_kafka_DeleteRecords_destroy(records);
	admin_wait(queue);
	rd_kafka_destroy(rk);
}

/* How many records can be read from the beginning to `end`. */
static int64_t count_records(struct harness *h, int64_t end)
{
	rd_kafka_t *rk = client(h, RD_KAFKA_CONSUMER, "group.id", "weir-test-counter");
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	int64_t count = 0, at = -1;

	rd_kafka_topic_partition_list_add(list, topic_name(h), 0)->offset = 0;
	assert_int_equal(rd_kafka_assign(rk, list), 0);
	rd_kafka_topic_partition_list_destroy(list);
	while (at < end - 1) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, WAIT_MS);

		assert_non_null(message);
		assert_int_equal(message->err, 0);
		at = message->offset;
		count++;
		rd_kafka_message_destroy(message);
	}
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	return count;
}

/* Writes the same few keys until the cleaner has been there: it never touches the newest segment. */
int64_t make_compacted(struct harness *h, int64_t *records)
{
	int64_t deadline = harness_now() + WAIT_MS * INT64_C(1000000), end = 0;
	rd_kafka_t *rk;
	int i;

	create_topic(h, "cleanup.policy", "compact");
	rk = client(h, RD_KAFKA_PRODUCER, NULL, NULL);
	do {
		assert_true(harness_now() < deadline);
		for (i = 0; i < 50; i++) {
			char key[16];

			snprintf(key, sizeof key, "key-%d", i % 7);
			produce(rk, topic_name(h), key, i);
			end++;
		}
		assert_int_equal(rd_kafka_flush(rk, WAIT_MS), 0);
		poll(NULL, 0, 500);
		*records = count_records(h, end);
	} while (*records == end);
	rd_kafka_destroy(rk);
	return end;
}

/* ---- positions ---------------------------------------------------------------------------------- */

int64_t committed(struct harness *h, const char *uid)
{
	char group[300];
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_t *rk;
	int64_t offset;

	group_name(h, uid, group, sizeof group);
	rk = client(h, RD_KAFKA_CONSUMER, "group.id", group);
	rd_kafka_topic_partition_list_add(list, topic_name(h), 0);
	assert_int_equal(rd_kafka_committed(rk, list, WAIT_MS), 0);
	offset = list->elems[0].offset;
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_destroy(rk);
	return offset;
}

void await_committed(struct harness *h, const char *uid, int64_t offset)
{
	int64_t deadline = harness_now() + WAIT_MS * INT64_C(1000000), now;

	while ((now = committed(h, uid)) != offset) {
		if (harness_now() > deadline)
			fail_msg("%lld is committed instead of %lld", (long long)now, (long long)offset);
		poll(NULL, 0, STEP_MS);
	}
}

/* ---- the process ------------------------------------------------------------------------------------ */

long resident_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long size = 0, resident = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld %ld", &size, &resident), 2);
	fclose(file);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

bool sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#else
	return false;
#endif
}
