/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded driver: the cases of every driver, and what is its own: that it keeps things. */
#include "driver_harness.h"

#include <fcntl.h>
#include <lmdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct weir_sub *reopened(struct harness *h, struct weir_topic **topic)
{
	struct weir_sub *sub;

	harness_close(h);
	harness_open(h, driver_overrides);
	*topic = harness_topic(h, "t");
	sub = harness_subscribe(h, *topic, "s", WEIR_START_LATEST);
	harness_credit(h, sub, 100);
	return sub;
}

static struct weir_sub *subscribed(struct harness *h, struct weir_topic **topic)
{
	struct weir_sub *sub;

	*topic = harness_topic(h, "t");
	sub = harness_subscribe(h, *topic, "s", WEIR_START_LATEST);
	harness_credit(h, sub, 100);
	return sub;
}

/* ---- what survives close ------------------------------------------------------------- */

static void says_what_survives(void **state)
{
	struct harness *h = *state;
	struct weir_caps caps = { .size = sizeof caps };

	h->ops.caps(h->inst, &caps);
	assert_string_equal(caps.durability, "disk");
	assert_true(caps.bits & WEIR_CAP_BIT(WEIR_CAP_DURABLE));
	harness_close(h);
	harness_open(h, "sync=os");
	h->ops.caps(h->inst, &caps);
	assert_string_equal(caps.durability, "process");
	assert_non_null(strstr(caps.durability_note, "power cut"));
}

static void records_survive_close(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);
	struct weir_header header = { { "ce_id", 5 }, { "1", 1 } };
	struct weir_record record = { .key = { "k", 1 }, .body = { "", 0 }, .headers = &header, .header_count = 1 };
	struct weir_driver_event event;
	uint64_t position;

	harness_publish(h, topic, "a");
	position = harness_publish_record(h, topic, &record);
	sub = reopened(h, &topic);
	harness_expect(h, sub, "a");
	event = harness_wait(h, WEIR_EV_DELIVER);
	assert_int_equal(event.position, position);
	assert_int_equal(event.record.header_count, 1);
	assert_memory_equal(event.record.headers[0].name.ptr, "ce_id", 5);
	assert_memory_equal(event.record.key.ptr, "k", 1);
	assert_non_null(event.record.body.ptr);
	assert_int_equal(event.record.body.len, 0);
	h->ops.release(event.lease);
	assert_true(harness_publish(h, topic, "c") > position);
}

static void close_leaves_unsettled_unsettled(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);
	struct weir_driver_event event;

	harness_publish(h, topic, "a");
	harness_expect(h, sub, "a");
	sub = reopened(h, &topic);
	event = harness_expect(h, sub, "a");
	assert_int_equal(event.flags, WEIR_MSG_REDELIVERED);
	harness_ack(h, &event);
}

static void acks_in_any_order_survive_close(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);
	struct weir_driver_event events[10];
	char text[8];
	int i;

	for (i = 0; i < 10; i++) {
		snprintf(text, sizeof text, "%d", i);
		harness_publish(h, topic, text);
		events[i] = harness_expect(h, sub, text);
	}
	for (i = 9; i >= 0; i--)
		if (i != 2 && i != 7)
			harness_ack(h, &events[i]);
	sub = reopened(h, &topic);
	harness_expect(h, sub, "2");
	harness_expect(h, sub, "7");
	harness_silence(h, WEIR_EV_DELIVER);
}

static void attempts_are_counted_across_close(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);
	struct weir_driver_event event;
	uint32_t attempt;

	harness_publish(h, topic, "a");
	event = harness_expect(h, sub, "a");
	assert_int_equal(harness_settle(h, sub, WEIR_NACK, &event, 0), WEIR_OK);
	harness_expect(h, sub, "a");
	for (attempt = 3; attempt < 6; attempt++) {
		sub = reopened(h, &topic);
		assert_int_equal(harness_expect(h, sub, "a").attempt, attempt);
	}
}

static void termed_stays_termed_after_close(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);
	struct weir_driver_event event;

	harness_publish(h, topic, "a");
	event = harness_expect(h, sub, "a");
	harness_settle(h, sub, WEIR_TERM, &event, 0);
	sub = reopened(h, &topic);
	harness_publish(h, topic, "b");
	harness_expect(h, sub, "b");
}

static void nacked_with_a_delay_comes_back_after_close(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);
	struct weir_driver_event event;

	harness_publish(h, topic, "a");
	event = harness_expect(h, sub, "a");
	harness_settle(h, sub, WEIR_NACK, &event, 3600000);
	sub = reopened(h, &topic);
	harness_expect(h, sub, "a");
}

static void a_token_of_the_opening_before_is_stale(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);
	struct weir_driver_event event;

	harness_publish(h, topic, "a");
	event = harness_expect(h, sub, "a");
	/* Sorts before "s": after reopening, "s" is not the first subscription any more. */
	harness_subscribe(h, topic, "r", WEIR_START_LATEST);
	sub = reopened(h, &topic);
	assert_int_equal(harness_settle(h, sub, WEIR_ACK, &event, 0), WEIR_ESTALE);
	harness_expect(h, sub, "a");
}

static void a_forgotten_subscription_stays_forgotten(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);

	harness_publish(h, topic, "old");
	harness_unsubscribe(h, sub, 0);
	sub = reopened(h, &topic);
	harness_publish(h, topic, "new");
	harness_expect(h, sub, "new");
}

static void positions_are_never_given_twice(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);
	struct weir_driver_event event;
	struct weir_stats stats = { .size = sizeof stats };
	uint64_t position = harness_publish(h, topic, "a");

	event = harness_expect(h, sub, "a");
	harness_ack(h, &event);
	sub = reopened(h, &topic);
	h->ops.stats(h->inst, &stats);
	assert_int_equal(stats.records, 0);
	assert_true(harness_publish(h, topic, "b") > position);
	harness_expect(h, sub, "b");
}

static void close_flushes_what_is_queued(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);
	int i;

	for (i = 0; i < 300; i++)
		assert_int_equal(harness_send(h, topic, "x"), WEIR_OK);
	sub = reopened(h, &topic);
	harness_credit(h, sub, 300);
	for (i = 0; i < 300; i++)
		harness_expect(h, sub, "x");
}

/* A deadline that has passed gives up what was not written, but not what was settled. */
static void close_without_time_keeps_acks(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);
	struct weir_driver_event event;

	harness_publish(h, topic, "a");
	event = harness_expect(h, sub, "a");
	harness_ack(h, &event);
	assert_int_equal(h->ops.close(h->inst, 0, WEIR_CLOSE_FLUSH, NULL), WEIR_OK);
	harness_open(h, NULL);
	sub = subscribed(h, &topic);
	harness_publish(h, topic, "b");
	harness_expect(h, sub, "b");
}

static void close_with_abort_writes_nothing_more(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub;
	int i;

	harness_close(h);
	harness_open(h, "groupCommitDelay=1000");
	sub = subscribed(h, &topic);
	for (i = 0; i < 10; i++)
		assert_int_equal(harness_send(h, topic, "a"), WEIR_OK);
	assert_int_equal(h->ops.close(h->inst, harness_now() + INT64_C(10000000000), WEIR_CLOSE_ABORT, NULL), WEIR_OK);
	harness_open(h, NULL);
	sub = subscribed(h, &topic);
	harness_publish(h, topic, "b");
	harness_expect(h, sub, "b");
}

static void close_past_the_deadline_says_that_records_were_given_up(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_error err = WEIR_ERROR_INIT;

	harness_close(h);
	harness_open(h, "groupCommitDelay=1000");
	topic = harness_topic(h, "t");
	assert_int_equal(harness_send(h, topic, "a"), WEIR_OK);
	assert_int_equal(h->ops.close(h->inst, 0, WEIR_CLOSE_FLUSH, &err), WEIR_ETIMEDOUT);
	assert_int_equal(err.code, WEIR_ETIMEDOUT);
	h->inst = NULL;
}

static void a_deleted_topic_stays_deleted(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);
	struct weir_stats stats = { .size = sizeof stats };

	harness_publish(h, topic, "a");
	harness_unsubscribe(h, sub, 1);
	h->ops.topic_close(h->inst, topic);
	assert_int_equal(h->ops.topic_delete(h->inst, "ns", "t", harness_now() + INT64_C(10000000000), NULL), WEIR_OK);
	sub = reopened(h, &topic);
	h->ops.stats(h->inst, &stats);
	assert_int_equal(stats.records, 0);
	harness_silence(h, WEIR_EV_DELIVER);
}

/* Records of several topics lie side by side; each topic's come in its order, whichever was written last. */
static void topics_side_by_side_keep_their_records(void **state)
{
	enum { TOPICS = 3, EACH = 40 };
	struct harness *h = *state;
	struct weir_topic *topics[TOPICS];
	char name[16], text[16];
	int i, t, round;

	for (round = 0; round < 2; round++) {
		for (t = 0; t < TOPICS; t++) {
			snprintf(name, sizeof name, "t%d", t);
			topics[t] = harness_topic(h, name);
			harness_subscribe(h, topics[t], "s", WEIR_START_LATEST);
		}
		for (i = round * EACH; i < (round + 1) * EACH; i++) {
			t = i % 2 ? i % TOPICS : TOPICS - 1 - i % TOPICS;
			snprintf(text, sizeof text, "%d", i);
			harness_publish(h, topics[t], text);
		}
		harness_close(h);
		harness_open(h, NULL);
	}
	for (t = 0; t < TOPICS; t++) {
		struct weir_sub *sub;

		snprintf(name, sizeof name, "t%d", t);
		sub = harness_subscribe(h, harness_topic(h, name), "s", WEIR_START_LATEST);
		harness_credit(h, sub, 1000);
		for (i = 0; i < 2 * EACH; i++) {
			if (t != (i % 2 ? i % TOPICS : TOPICS - 1 - i % TOPICS))
				continue;
			snprintf(text, sizeof text, "%d", i);
			harness_expect(h, sub, text);
		}
		harness_silence(h, WEIR_EV_DELIVER);
	}
}

/* ---- where a subscription starts ----------------------------------------------------------- */

static struct weir_sub *started(struct harness *h, struct weir_topic *topic, enum weir_start start, int64_t value)
{
	struct weir_sub_spec spec = {
		.size = sizeof spec, .start = start, .start_value = value, .name = "s", .uid = "s"
	};
	struct weir_sub *sub;

	assert_int_equal(h->ops.subscribe(h->inst, topic, &spec, &sub, NULL), WEIR_OK);
	assert_ptr_equal(harness_wait(h, WEIR_EV_SUB_READY).sub, sub);
	harness_credit(h, sub, 100);
	return sub;
}

static void starts_at_earliest(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub;

	harness_publish(h, topic, "a");
	harness_publish(h, topic, "b");
	sub = started(h, topic, WEIR_START_EARLIEST, 0);
	harness_expect(h, sub, "a");
	harness_expect(h, sub, "b");
}

static void starts_at_a_position(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub;
	uint64_t position;

	harness_publish(h, topic, "a");
	position = harness_publish(h, topic, "b");
	harness_publish(h, topic, "c");
	sub = started(h, topic, WEIR_START_POSITION, (int64_t)position);
	assert_int_equal(harness_expect(h, sub, "b").position, position);
	harness_expect(h, sub, "c");
}

static void a_position_out_of_range_is_the_nearest(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub;

	harness_publish(h, topic, "a");
	sub = started(h, topic, WEIR_START_POSITION, 1000000);
	harness_publish(h, topic, "b");
	harness_expect(h, sub, "b");
	harness_unsubscribe(h, sub, 0);
	sub = started(h, topic, WEIR_START_POSITION, -5);
	/* "a" was needed by nobody, but nothing has expired. */
	harness_expect(h, sub, "a");
}

static void starts_at_a_time(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub;
	struct timespec now;
	int64_t between;

	harness_publish(h, topic, "a");
	harness_publish(h, topic, "b");
	clock_gettime(CLOCK_REALTIME, &now);
	between = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + 1;
	do
		clock_gettime(CLOCK_REALTIME, &now);
	while ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 < between);
	harness_publish(h, topic, "c");
	harness_publish(h, topic, "d");
	sub = started(h, topic, WEIR_START_TIME, between);
	harness_expect(h, sub, "c");
	harness_expect(h, sub, "d");
}

static void the_start_is_for_new_subscriptions_only(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);
	struct weir_driver_event event;

	harness_publish(h, topic, "a");
	event = harness_expect(h, sub, "a");
	harness_ack(h, &event);
	harness_publish(h, topic, "b");
	harness_expect(h, sub, "b");
	harness_unsubscribe(h, sub, 1);
	sub = started(h, topic, WEIR_START_LATEST, 0);
	harness_expect(h, sub, "b");
}

/* ---- space ---------------------------------------------------------------------------------- */

static uint64_t records_kept(struct harness *h)
{
	struct weir_stats stats = { .size = sizeof stats };

	assert_int_equal(h->ops.stats(h->inst, &stats), WEIR_OK);
	return stats.records;
}

static void wait_for_records(struct harness *h, uint64_t count)
{
	int64_t deadline = harness_now() + INT64_C(20000000000);

	while (records_kept(h) != count && harness_now() < deadline)
		poll(NULL, 0, 5);
	assert_int_equal(records_kept(h), count);
}

static void room_is_given_back_when_all_are_past(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);
	struct weir_sub *slow = harness_subscribe(h, topic, "slow", WEIR_START_LATEST);
	struct weir_driver_event event;
	int i;

	for (i = 0; i < 20; i++) {
		harness_publish(h, topic, "a");
		event = harness_expect(h, sub, "a");
		harness_ack(h, &event);
	}
	assert_int_equal(records_kept(h), 20);
	harness_credit(h, slow, 5);
	for (i = 0; i < 5; i++) {
		event = harness_expect(h, slow, "a");
		harness_ack(h, &event);
	}
	wait_for_records(h, 15);
	harness_unsubscribe(h, slow, 0);
	wait_for_records(h, 0);
}

/* A backlog larger than what is kept in memory, and with records that need pages of their own. */
static void a_long_backlog_is_read_back(void **state)
{
	enum { MANY = 1500 };
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub;
	static char large[9000];
	int i;

	sub = subscribed(h, &topic);
	harness_unsubscribe(h, sub, 1);
	for (i = 0; i < MANY; i++) {
		memset(large, 'a' + i % 26, sizeof large - 1);
		large[i % 2 ? 100 : sizeof large - 1] = '\0';
		assert_int_equal(harness_send(h, topic, large), WEIR_OK);
	}
	sub = reopened(h, &topic);
	for (i = 0; i < MANY; i++) {
		struct weir_driver_event event;

		memset(large, 'a' + i % 26, sizeof large - 1);
		large[i % 2 ? 100 : sizeof large - 1] = '\0';
		event = harness_expect(h, sub, large);
		harness_ack(h, &event);
		harness_credit(h, sub, 1);
	}
	wait_for_records(h, 0);
}

static void a_topic_without_subscriptions_keeps_records_for_a_while(void **state)
{
	struct harness *h = *state;

	harness_publish(h, harness_topic(h, "t"), "a");
	harness_close(h);
	harness_open(h, NULL);
	assert_int_equal(records_kept(h), 1);
	poll(NULL, 0, 2);
	harness_close(h);
	harness_open(h, "retention=1");
	wait_for_records(h, 0);
}

static void an_ephemeral_subscription_deletes_nothing_of_a_topic_without_others(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_driver_event event;
	struct weir_sub *tail;

	harness_publish(h, topic, "a");
	tail = harness_tail(h, topic, "tail", WEIR_START_EARLIEST);
	harness_credit(h, tail, 10);
	event = harness_expect(h, tail, "a");
	harness_ack(h, &event);
	harness_unsubscribe(h, tail, 0);
	harness_close(h);
	harness_open(h, NULL);
	assert_int_equal(records_kept(h), 1);
}

static void an_ephemeral_subscription_keeps_nothing_from_being_deleted(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);
	struct weir_sub *tail = harness_tail(h, topic, "tail", WEIR_START_LATEST);
	struct weir_driver_event event;

	harness_publish(h, topic, "a");
	event = harness_expect(h, sub, "a");
	harness_ack(h, &event);
	/* Though the tail has seen nothing yet. */
	wait_for_records(h, 0);
	harness_unsubscribe(h, tail, 0);
}

/* The process is killed: nobody unsubscribes. */
static void tail_and_die(struct harness *h)
{
	harness_tail(h, harness_topic(h, "t"), "tail", WEIR_START_LATEST);
}

static void in_killed_child(struct harness *h, void (*act)(struct harness *h));

static void an_ephemeral_subscription_is_gone_after_a_crash(void **state)
{
	struct harness *h = *state;

	in_killed_child(h, tail_and_die);
	harness_publish(h, harness_topic(h, "t"), "a");
	harness_close(h);
	poll(NULL, 0, 2);
	/* With a subscription it would be kept for ever. */
	harness_open(h, "retention=1");
	wait_for_records(h, 0);
}

static void full_refuses_and_recovers(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub;
	struct weir_driver_event event;
	struct weir_health health = { .size = sizeof health };
	static char text[20000];
	int stored = 0, i;

	harness_close(h);
	harness_open(h, "maxBytes=1048576");
	sub = subscribed(h, &topic);
	memset(text, 'x', sizeof text - 1);
	for (;;) {
		assert_int_equal(harness_send(h, topic, text), WEIR_OK);
		event = harness_wait(h, WEIR_EV_PUBLISHED);
		if (event.outcome != WEIR_PERSISTED)
			break;
		assert_true(++stored < 100);
	}
	assert_int_equal(event.outcome, WEIR_NOT_PERSISTED);
	assert_int_equal(event.error->code, WEIR_ELIMIT);
	assert_int_equal(event.error->retry, WEIR_RETRY_SAFE);
	assert_true(stored > 20);
	h->ops.health(h->inst, &health);
	assert_int_equal(health.state, WEIR_HEALTH_DEGRADED);
	for (i = 0; i < stored; i++) {
		event = harness_expect(h, sub, text);
		harness_ack(h, &event);
	}
	wait_for_records(h, 0);
	harness_publish(h, topic, "room again");
	harness_expect(h, sub, "room again");
	h->ops.health(h->inst, &health);
	assert_int_equal(health.state, WEIR_HEALTH_UP);
}

static void too_many_pending_are_refused_until_there_is_room(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	int code = WEIR_OK, sent = 0;

	harness_close(h);
	harness_open(h, "maxPending=4 groupCommitDelay=50");
	topic = harness_topic(h, "t");
	while (code == WEIR_OK && sent < 1000) {
		code = harness_send(h, topic, "a");
		sent += code == WEIR_OK;
	}
	assert_int_equal(code, WEIR_EAGAIN);
	assert_int_equal(sent, 4);
	harness_wait(h, WEIR_EV_WRITABLE);
	for (; sent; sent--)
		harness_wait(h, WEIR_EV_PUBLISHED);
	harness_publish(h, topic, "b");
}

static void a_group_larger_than_the_queue_is_taken_when_it_is_empty(void **state)
{
	struct harness *h = *state;
	struct weir_publish items[8];
	struct weir_topic *topic;
	size_t accepted, i;

	harness_close(h);
	harness_open(h, "maxPending=4");
	topic = harness_topic(h, "t");
	memset(items, 0, sizeof items);
	for (i = 0; i < 8; i++) {
		items[i].size = sizeof items[i];
		items[i].topic = topic;
		items[i].flags = i < 6 ? WEIR_PUB_ATOMIC : 0;
		items[i].record = harness_text("a");
	}
	/* Seven belong together; the eighth has to wait. */
	assert_int_equal(h->ops.publish(h->inst, items, 8, &accepted, NULL), WEIR_EAGAIN);
	assert_int_equal(accepted, 7);
	for (i = 0; i < 7; i++)
		assert_int_equal(harness_wait(h, WEIR_EV_PUBLISHED).outcome, WEIR_PERSISTED);
}

/* A cursor of LMDB outside of the driver, to do to the store what a disk may do. */
static void tamper(struct harness *h, const char *db, void (*change)(MDB_txn *txn, MDB_dbi dbi))
{
	char path[128];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	snprintf(path, sizeof path, "%s/store", h->folder);
	assert_int_equal(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 8);
	assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, db, 0, &dbi), 0);
	change(txn, dbi);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

/* Flips a bit near the end of the second entry. */
static void flip_second(MDB_txn *txn, MDB_dbi dbi)
{
	static unsigned char bytes[1024];
	MDB_val key, value;
	MDB_cursor *at;

	assert_int_equal(mdb_cursor_open(txn, dbi, &at), 0);
	assert_int_equal(mdb_cursor_get(at, &key, &value, MDB_NEXT), 0);
	assert_int_equal(mdb_cursor_get(at, &key, &value, MDB_NEXT), 0);
	assert_true(value.mv_size > 4 && value.mv_size <= sizeof bytes);
	memcpy(bytes, value.mv_data, value.mv_size);
	bytes[value.mv_size - 1] ^= 1;
	value.mv_data = bytes;
	assert_int_equal(mdb_cursor_put(at, &key, &value, MDB_CURRENT), 0);
	mdb_cursor_close(at);
}

static void cut_first(MDB_txn *txn, MDB_dbi dbi)
{
	MDB_val key, value;
	MDB_cursor *at;

	assert_int_equal(mdb_cursor_open(txn, dbi, &at), 0);
	assert_int_equal(mdb_cursor_get(at, &key, &value, MDB_NEXT), 0);
	value.mv_size = 3;
	assert_int_equal(mdb_cursor_put(at, &key, &value, MDB_CURRENT), 0);
	mdb_cursor_close(at);
}

static void delete_second(MDB_txn *txn, MDB_dbi dbi)
{
	MDB_val key, value;
	MDB_cursor *at;

	assert_int_equal(mdb_cursor_open(txn, dbi, &at), 0);
	assert_int_equal(mdb_cursor_get(at, &key, &value, MDB_NEXT), 0);
	assert_int_equal(mdb_cursor_get(at, &key, &value, MDB_NEXT), 0);
	assert_int_equal(mdb_cursor_del(at, 0), 0);
	mdb_cursor_close(at);
}

static void newer_format(MDB_txn *txn, MDB_dbi dbi)
{
	unsigned char number[8] = { 2 };
	MDB_val key = { 6, (void *)(uintptr_t) "format" }, value = { 8, number };

	assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
}

static void no_format(MDB_txn *txn, MDB_dbi dbi)
{
	MDB_val key = { 6, (void *)(uintptr_t) "format" };

	assert_int_equal(mdb_del(txn, dbi, &key, NULL), 0);
}

/* Three records for a subscription, and the store closed. */
static void three_records(struct harness *h)
{
	struct weir_topic *topic = harness_topic(h, "t");

	harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	harness_publish(h, topic, "a");
	harness_publish(h, topic, "b");
	harness_publish(h, topic, "c");
	harness_close(h);
}

static void a_damaged_record_is_delivered_as_damaged(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event;
	struct weir_sub *sub;

	three_records(h);
	tamper(h, "records", flip_second);
	harness_open(h, NULL);
	sub = subscribed(h, &topic);
	assert_int_equal(harness_expect(h, sub, "a").flags, 0);
	event = harness_wait(h, WEIR_EV_DELIVER);
	assert_true(event.flags & WEIR_MSG_DAMAGED);
	/* All that is left of it, for people to look at. */
	assert_true(event.record.body.len > 1);
	assert_int_equal(((const char *)event.record.body.ptr)[event.record.body.len - 1], 'b' ^ 1);
	h->ops.release(event.lease);
	harness_ack(h, &event);
	assert_int_equal(harness_expect(h, sub, "c").flags, 0);
}

static void a_truncated_record_is_delivered_as_damaged(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event;
	struct weir_sub *sub;

	three_records(h);
	tamper(h, "records", cut_first);
	harness_open(h, NULL);
	sub = subscribed(h, &topic);
	event = harness_wait(h, WEIR_EV_DELIVER);
	assert_true(event.flags & WEIR_MSG_DAMAGED);
	h->ops.release(event.lease);
	harness_expect(h, sub, "b");
}

static void a_missing_record_is_told_as_a_gap(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event;
	struct weir_sub *sub;

	three_records(h);
	tamper(h, "records", delete_second);
	harness_open(h, NULL);
	sub = subscribed(h, &topic);
	harness_expect(h, sub, "a");
	event = harness_wait(h, WEIR_EV_GAP);
	assert_ptr_equal(event.sub, sub);
	assert_int_equal(event.position, 2);
	assert_int_equal(event.position_end, 2);
	harness_expect(h, sub, "c");
}

/* Better twice than never. */
static void a_damaged_position_starts_at_the_oldest_record(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub;

	three_records(h);
	tamper(h, "cursors", cut_first);
	harness_open(h, NULL);
	sub = subscribed(h, &topic);
	harness_expect(h, sub, "a");
	harness_expect(h, sub, "b");
	harness_expect(h, sub, "c");
}

static int open_fails(struct harness *h, const char *overrides, const char *text)
{
	struct weir_error err = WEIR_ERROR_INIT;
	int code = harness_try_open(h, overrides, &err);

	assert_null(h->inst);
	if (!strstr(err.text, text))
		fail_msg("\"%s\" does not say \"%s\"", err.text, text);
	assert_int_equal(err.code, code);
	return code;
}

static void a_damaged_topic_is_named(void **state)
{
	struct harness *h = *state;

	three_records(h);
	tamper(h, "topics", cut_first);
	assert_int_equal(open_fails(h, NULL, "ns/t"), WEIR_ECORRUPT);
}

static void a_newer_format_is_refused(void **state)
{
	struct harness *h = *state;

	three_records(h);
	tamper(h, "weir", newer_format);
	assert_int_equal(open_fails(h, NULL, "format 2"), WEIR_EVERSION);
}

static void an_environment_of_somebody_else_is_refused(void **state)
{
	struct harness *h = *state;

	three_records(h);
	tamper(h, "weir", no_format);
	assert_int_equal(open_fails(h, NULL, h->folder), WEIR_ECORRUPT);
}

static void write_file(const struct harness *h, const char *name, const void *bytes, size_t len)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/store/%s", h->folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

static void a_file_of_something_else_is_refused(void **state)
{
	static char noise[16384];
	struct harness *h = *state;

	harness_close(h);
	memset(noise, 0x5a, sizeof noise);
	write_file(h, "data.mdb", noise, sizeof noise);
	assert_int_equal(open_fails(h, NULL, h->folder), WEIR_ECORRUPT);
}

static void a_file_that_was_cut_is_refused(void **state)
{
	struct harness *h = *state;
	char path[128];

	three_records(h);
	snprintf(path, sizeof path, "%s/store/data.mdb", h->folder);
	assert_int_equal(truncate(path, 3 * 4096), 0);
	assert_int_equal(open_fails(h, NULL, "cut"), WEIR_ECORRUPT);
}

static void refuses_from_now_on(struct harness *h, struct weir_topic *topic, const char *why)
{
	struct weir_driver_event event;
	struct weir_health health = { .size = sizeof health };

	assert_int_equal(harness_send(h, topic, "after"), WEIR_OK);
	event = harness_wait(h, WEIR_EV_PUBLISHED);
	assert_int_not_equal(event.outcome, WEIR_PERSISTED);
	assert_int_equal(event.error->code, WEIR_ECORRUPT);
	assert_non_null(strstr(event.error->text, why));
	h->ops.health(h->inst, &health);
	assert_int_equal(health.state, WEIR_HEALTH_DOWN);
	assert_int_not_equal(h->ops.close(h->inst, harness_now() + INT64_C(10000000000), WEIR_CLOSE_FLUSH, NULL),
			     WEIR_OK);
	h->inst = NULL;
}

/* An event that is confirmed but in a removed file would be gone with the process. */
static void a_file_that_is_removed_while_in_use_confirms_nothing_more(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	char path[128];

	harness_publish(h, topic, "before");
	snprintf(path, sizeof path, "%s/store/data.mdb", h->folder);
	assert_int_equal(unlink(path), 0);
	refuses_from_now_on(h, topic, "was removed");
}

static void a_file_that_is_cut_while_in_use_confirms_nothing_more(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	char path[128];

	harness_publish(h, topic, "before");
	snprintf(path, sizeof path, "%s/store/data.mdb", h->folder);
	assert_int_equal(truncate(path, 3 * 4096), 0);
	refuses_from_now_on(h, topic, "was cut");
}

/* ---- who may open it ------------------------------------------------------------------------------- */

static void a_second_instance_is_refused(void **state)
{
	struct harness *h = *state, second = *h;
	char pid[32];

	second.inst = NULL;
	snprintf(pid, sizeof pid, "process %ld", (long)getpid());
	assert_int_equal(open_fails(&second, NULL, pid), WEIR_EBUSY);
	harness_publish(h, harness_topic(h, "t"), "still works");
}

static void a_second_process_is_told_the_pid_of_the_first(void **state)
{
	struct harness *h = *state;
	int to_child[2], from_child[2], status;
	char byte, pid[32];
	pid_t child;

	harness_close(h);
	assert_int_equal(pipe(to_child), 0);
	assert_int_equal(pipe(from_child), 0);
	child = fork();
	if (child == 0) {
		struct weir_error err = WEIR_ERROR_INIT;

		close(to_child[1]);
		byte = harness_try_open(h, NULL, &err) == WEIR_OK;
		_exit(write(from_child[1], &byte, 1) == 1 && read(to_child[0], &byte, 1) == 0 ? 0 : 1);
	}
	assert_int_equal(read(from_child[0], &byte, 1), 1);
	assert_int_equal(byte, 1);
	snprintf(pid, sizeof pid, "process %ld", (long)child);
	assert_int_equal(open_fails(h, NULL, pid), WEIR_EBUSY);
	close(to_child[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	harness_open(h, NULL);
	close(to_child[0]);
	close(from_child[0]);
	close(from_child[1]);
}

static void the_folder_is_made_for_its_owner_alone(void **state)
{
	struct harness *h = *state;
	struct stat info;
	char path[128];

	snprintf(path, sizeof path, "%s/store", h->folder);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0700);
	snprintf(path, sizeof path, "%s/store/data.mdb", h->folder);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
}

static void a_path_that_cannot_be_is_refused(void **state)
{
	struct harness *h = *state;

	harness_close(h);
	assert_int_equal(open_fails(h, "path=/proc/self/none/store", "/proc/self/none/store"), WEIR_EINVAL);
	assert_int_equal(open_fails(h, "path=/dev/null", "/dev/null"), WEIR_EINVAL);
	assert_int_equal(open_fails(h, "sync=never", "embedded.sync"), WEIR_EINVAL);
	assert_int_equal(open_fails(h, "maxBytes=12", "embedded.maxBytes"), WEIR_EINVAL);
}

/* ---- kill ---------------------------------------------------------------------------------------------- */

/* Opens the store in a child, does something, and is killed when the child says that it is done. */
static void in_killed_child(struct harness *h, void (*act)(struct harness *h))
{
	int done[2], status;
	pid_t child;
	char byte;

	harness_close(h);
	assert_int_equal(pipe(done), 0);
	child = fork();
	if (child == 0) {
		harness_open(h, driver_overrides);
		act(h);
		if (write(done[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(done[1]);
	assert_int_equal(read(done[0], &byte, 1), 1);
	close(done[0]);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	harness_open(h, driver_overrides);
}

static void publish_three(struct harness *h)
{
	struct weir_topic *topic = harness_topic(h, "t");

	harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	harness_publish(h, topic, "a");
	harness_publish(h, topic, "b");
	harness_publish(h, topic, "c");
}

static void what_is_confirmed_survives_kill(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub;

	in_killed_child(h, publish_three);
	sub = subscribed(h, &topic);
	harness_expect(h, sub, "a");
	harness_expect(h, sub, "b");
	harness_expect(h, sub, "c");
}

/* Acks the second of three and waits until that must be in the store. */
static void ack_second(struct harness *h)
{
	struct weir_topic *topic;
	struct weir_sub *sub;
	struct weir_driver_event events[3];
	char text[2] = "a";

	publish_three(h);
	sub = subscribed(h, &topic);
	for (; *text <= 'c'; ++*text)
		events[*text - 'a'] = harness_expect(h, sub, text);
	harness_ack(h, &events[1]);
	/* Ending another member makes the positions durable. */
	harness_unsubscribe(h, harness_subscribe(h, topic, "s", WEIR_START_LATEST), 1);
}

static void a_stored_ack_survives_kill_and_so_do_attempts(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub;

	in_killed_child(h, ack_second);
	sub = subscribed(h, &topic);
	assert_int_equal(harness_expect(h, sub, "a").attempt, 2);
	assert_int_equal(harness_expect(h, sub, "c").attempt, 2);
	harness_silence(h, WEIR_EV_DELIVER);
}

static void acks_become_durable_by_themselves(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub = subscribed(h, &topic);
	struct weir_driver_event event;
	int64_t start;

	harness_publish(h, topic, "a");
	event = harness_expect(h, sub, "a");
	start = harness_now();
	harness_ack(h, &event);
	/* The record goes only in a transaction that has the ack. */
	wait_for_records(h, 0);
	assert_true(harness_now() - start < INT64_C(2000000000));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, driver_case_setup, driver_case_teardown)

int main(void)
{
	const struct CMUnitTest own[] = {
		CASE(says_what_survives),
		CASE(records_survive_close),
		CASE(close_leaves_unsettled_unsettled),
		CASE(acks_in_any_order_survive_close),
		CASE(attempts_are_counted_across_close),
		CASE(termed_stays_termed_after_close),
		CASE(nacked_with_a_delay_comes_back_after_close),
		CASE(a_token_of_the_opening_before_is_stale),
		CASE(a_forgotten_subscription_stays_forgotten),
		CASE(positions_are_never_given_twice),
		CASE(close_flushes_what_is_queued),
		CASE(close_without_time_keeps_acks),
		CASE(close_with_abort_writes_nothing_more),
		CASE(close_past_the_deadline_says_that_records_were_given_up),
		CASE(a_deleted_topic_stays_deleted),
		CASE(topics_side_by_side_keep_their_records),
		CASE(starts_at_earliest),
		CASE(starts_at_a_position),
		CASE(a_position_out_of_range_is_the_nearest),
		CASE(starts_at_a_time),
		CASE(the_start_is_for_new_subscriptions_only),
		CASE(room_is_given_back_when_all_are_past),
		CASE(a_long_backlog_is_read_back),
		CASE(a_topic_without_subscriptions_keeps_records_for_a_while),
		CASE(an_ephemeral_subscription_deletes_nothing_of_a_topic_without_others),
		CASE(an_ephemeral_subscription_keeps_nothing_from_being_deleted),
		CASE(an_ephemeral_subscription_is_gone_after_a_crash),
		CASE(full_refuses_and_recovers),
		CASE(too_many_pending_are_refused_until_there_is_room),
		CASE(a_group_larger_than_the_queue_is_taken_when_it_is_empty),
		CASE(a_damaged_record_is_delivered_as_damaged),
		CASE(a_truncated_record_is_delivered_as_damaged),
		CASE(a_missing_record_is_told_as_a_gap),
		CASE(a_damaged_position_starts_at_the_oldest_record),
		CASE(a_damaged_topic_is_named),
		CASE(a_newer_format_is_refused),
		CASE(an_environment_of_somebody_else_is_refused),
		CASE(a_file_of_something_else_is_refused),
		CASE(a_file_that_was_cut_is_refused),
		CASE(a_file_that_is_removed_while_in_use_confirms_nothing_more),
		CASE(a_file_that_is_cut_while_in_use_confirms_nothing_more),
		CASE(a_second_instance_is_refused),
		CASE(a_second_process_is_told_the_pid_of_the_first),
		CASE(the_folder_is_made_for_its_owner_alone),
		CASE(a_path_that_cannot_be_is_refused),
		CASE(what_is_confirmed_survives_kill),
		CASE(a_stored_ack_survives_kill_and_so_do_attempts),
		CASE(acks_become_durable_by_themselves),
	};

	return driver_run("embedded", own, sizeof own / sizeof own[0]);
}
