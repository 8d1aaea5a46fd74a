/* SPDX-License-Identifier: Apache-2.0 */
/* What every driver that keeps records itself must do. Run by test_driver_memory and test_driver_embedded. */
#include "driver_harness.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *driver_under_test;
const char *driver_overrides;

/* Backends that outlive a test keep its topics: "@" in the overrides becomes a word of this case's own. */
void driver_case_overrides(char *ret, size_t size)
{
	static unsigned number;
	const char *at = driver_overrides ? driver_overrides : "";
	size_t used = 0;

	number++;
	for (ret[0] = '\0'; *at && used + 32 < size; at++)
		if (*at == '@')
			used += (size_t)snprintf(ret + used, size - used, "%d-%u", (int)getpid(), number);
		else
			used += (size_t)snprintf(ret + used, size - used, "%c", *at);
}

int driver_case_setup(void **state)
{
	struct harness *h = calloc(1, sizeof *h);

	assert_non_null(h);
	harness_load(h, driver_under_test);
	driver_case_overrides(h->overrides, sizeof h->overrides);
	harness_open(h, h->overrides);
	*state = h;
	return 0;
}

int driver_case_teardown(void **state)
{
	harness_unload(*state);
	free(*state);
	return 0;
}

static bool claims(struct harness *h, enum weir_cap cap)
{
	struct weir_caps caps = { .size = sizeof caps };

	assert_int_equal(h->ops.caps(h->inst, &caps), WEIR_OK);
	return caps.bits & WEIR_CAP_BIT(cap);
}

/* ---- publishing ---------------------------------------------------------------------- */

static void publish_completes_once_as_persisted(void **state)
{
	struct harness *h = *state;

	harness_publish(h, harness_topic(h, "t"), "a");
	harness_silence(h, WEIR_EV_PUBLISHED);
}

static void each_of_many_publishes_completes_once(void **state)
{
	enum { MANY = 1000 };
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	static bool done[MANY + 1];
	int i;

	memset(done, 0, sizeof done);
	for (i = 0; i < MANY; i++)
		assert_int_equal(harness_send(h, topic, "x"), WEIR_OK);
	for (i = 0; i < MANY; i++) {
		struct weir_driver_event event = harness_wait(h, WEIR_EV_PUBLISHED);

		assert_true(event.tag >= 1 && event.tag <= MANY);
		assert_false(done[event.tag]);
		done[event.tag] = true;
	}
}

static void caller_may_scribble_after_publish(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	char text[] = "precious";

	harness_credit(h, sub, 1);
	assert_int_equal(harness_send(h, topic, text), WEIR_OK);
	memset(text, 'x', sizeof text - 1);
	harness_expect(h, sub, "precious");
}

static void a_record_that_is_too_large_is_refused_alone(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_caps caps = { .size = sizeof caps };
	struct weir_publish items[2] = { { .size = sizeof items[0], .topic = topic, .tag = 1 },
					 { .size = sizeof items[0], .topic = topic, .tag = 2 } };
	struct weir_error err = WEIR_ERROR_INIT;
	size_t accepted = 9;
	char *large;

	h->ops.caps(h->inst, &caps);
	large = calloc(1, caps.max_record_bytes + 1);
	assert_non_null(large);
	items[0].record = harness_text("a");
	items[1].record.body = (struct weir_buf){ large, caps.max_record_bytes + 1 };
	assert_int_equal(h->ops.publish(h->inst, items, 2, &accepted, &err), WEIR_ETOOBIG);
	assert_int_equal(accepted, 1);
	assert_int_equal(err.code, WEIR_ETOOBIG);
	assert_int_equal(harness_wait(h, WEIR_EV_PUBLISHED).tag, 1);
	free(large);
}

static void the_largest_record_arrives(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	struct weir_caps caps = { .size = sizeof caps };
	struct weir_driver_event event;
	struct weir_record record = { 0 };
	char *large;

	h->ops.caps(h->inst, &caps);
	large = malloc(caps.max_record_bytes);
	assert_non_null(large);
	memset(large, 'z', caps.max_record_bytes);
	record.body = (struct weir_buf){ large, caps.max_record_bytes };
	harness_publish_record(h, topic, &record);
	harness_credit(h, sub, 1);
	event = harness_wait(h, WEIR_EV_DELIVER);
	assert_int_equal(event.record.body.len, caps.max_record_bytes);
	assert_memory_equal(event.record.body.ptr, large, caps.max_record_bytes);
	h->ops.release(event.lease);
	free(large);
}

/* A group of which one is refused is not taken in part. */
static void a_group_is_not_torn(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_caps caps = { .size = sizeof caps };
	struct weir_publish items[3] = {
		{ .size = sizeof items[0], .topic = topic, .tag = 1 },
		{ .size = sizeof items[0], .topic = topic, .tag = 2, .flags = WEIR_PUB_ATOMIC },
		{ .size = sizeof items[0], .topic = topic, .tag = 3 }
	};
	size_t accepted = 9;
	char *large;

	if (!claims(h, WEIR_CAP_ATOMIC_BATCH))
		skip();
	h->ops.caps(h->inst, &caps);
	large = calloc(1, caps.max_record_bytes + 1);
	assert_non_null(large);
	items[2].record.body = (struct weir_buf){ large, caps.max_record_bytes + 1 };
	assert_int_equal(h->ops.publish(h->inst, items, 3, &accepted, NULL), WEIR_ETOOBIG);
	assert_int_equal(accepted, 1);
	assert_int_equal(harness_wait(h, WEIR_EV_PUBLISHED).tag, 1);
	harness_silence(h, WEIR_EV_PUBLISHED);
	free(large);
}

/* ---- what is kept of a record ----------------------------------------------------------- */

static void assert_buf(struct weir_buf got, const void *bytes, size_t len)
{
	assert_int_equal(got.len, len);
	assert_non_null(got.ptr);
	assert_memory_equal(got.ptr, bytes, len);
}

static void key_headers_and_body_arrive_as_they_were(void **state)
{
	static const char binary[] = "\x00\xff\n\x80";
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	struct weir_header headers[3] = { { { "dup", 3 }, { "one", 3 } },
					  { { "dup", 3 }, { binary, 4 } },
					  { { "empty", 5 }, { "", 0 } } };
	struct weir_record record = {
		.key = { binary, 4 }, .body = { binary, 4 }, .headers = headers, .header_count = 3
	};
	struct weir_driver_event event;

	harness_publish_record(h, topic, &record);
	harness_credit(h, sub, 1);
	event = harness_wait(h, WEIR_EV_DELIVER);
	assert_buf(event.record.key, binary, 4);
	assert_buf(event.record.body, binary, 4);
	assert_int_equal(event.record.header_count, 3);
	assert_buf(event.record.headers[0].name, "dup", 3);
	assert_buf(event.record.headers[0].value, "one", 3);
	assert_buf(event.record.headers[1].name, "dup", 3);
	assert_buf(event.record.headers[1].value, binary, 4);
	assert_buf(event.record.headers[2].value, "", 0);
	h->ops.release(event.lease);
}

static void no_body_and_empty_body_stay_different(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	struct weir_record none = { .key = { "", 0 } }, empty = { .body = { "", 0 } };
	struct weir_driver_event event;

	harness_publish_record(h, topic, &none);
	harness_publish_record(h, topic, &empty);
	harness_credit(h, sub, 2);
	event = harness_wait(h, WEIR_EV_DELIVER);
	assert_null(event.record.body.ptr);
	assert_non_null(event.record.key.ptr);
	assert_int_equal(event.record.key.len, 0);
	h->ops.release(event.lease);
	event = harness_wait(h, WEIR_EV_DELIVER);
	assert_non_null(event.record.body.ptr);
	assert_int_equal(event.record.body.len, 0);
	assert_null(event.record.key.ptr);
	h->ops.release(event.lease);
}

static void time_and_position_are_told(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	int64_t before = (int64_t)time(NULL) * 1000;
	uint64_t first = harness_publish(h, topic, "a"), second = harness_publish(h, topic, "b");
	struct weir_driver_event event;

	assert_true(second > first);
	harness_credit(h, sub, 2);
	event = harness_expect(h, sub, "a");
	assert_int_equal(event.position, first);
	assert_true(event.time_ms >= before && event.time_ms <= before + 60000);
	assert_int_equal(event.attempt, 1);
	assert_int_equal(event.flags, 0);
	assert_int_equal(harness_expect(h, sub, "b").position, second);
}

/* ---- delivering ----------------------------------------------------------------------------- */

static void first_deliveries_are_in_publish_order(void **state)
{
	enum { MANY = 500 };
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	char text[16];
	int i;

	harness_credit(h, sub, MANY);
	for (i = 0; i < MANY; i++) {
		snprintf(text, sizeof text, "%d", i);
		assert_int_equal(harness_send(h, topic, text), WEIR_OK);
	}
	for (i = 0; i < MANY; i++) {
		struct weir_driver_event event;

		snprintf(text, sizeof text, "%d", i);
		event = harness_expect(h, sub, text);
		harness_ack(h, &event);
	}
}

static void without_credit_there_is_silence(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");

	harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	harness_publish(h, topic, "a");
	harness_silence(h, WEIR_EV_DELIVER);
}

static void credit_is_never_exceeded(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	struct weir_driver_event event;
	int i;

	for (i = 0; i < 20; i++)
		harness_publish(h, topic, "a");
	harness_credit(h, sub, 3);
	for (i = 0; i < 3; i++) {
		event = harness_expect(h, sub, "a");
		harness_ack(h, &event);
	}
	harness_silence(h, WEIR_EV_DELIVER);
	harness_credit(h, sub, 1);
	harness_expect(h, sub, "a");
	harness_silence(h, WEIR_EV_DELIVER);
}

static void byte_credit_stops_behind_the_record_that_uses_it_up(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	int i;

	for (i = 0; i < 4; i++)
		harness_publish(h, topic, "1234567890");
	h->ops.credit(h->inst, sub, 100, 11);
	harness_expect(h, sub, "1234567890");
	harness_expect(h, sub, "1234567890");
	harness_silence(h, WEIR_EV_DELIVER);
	h->ops.credit(h->inst, sub, 0, 20);
	harness_expect(h, sub, "1234567890");
}

static void negative_credit_takes_back_what_is_unused(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);

	harness_credit(h, sub, 5);
	h->ops.credit(h->inst, sub, -10, 0);
	harness_publish(h, topic, "a");
	harness_silence(h, WEIR_EV_DELIVER);
	harness_credit(h, sub, 1);
	harness_expect(h, sub, "a");
}

static void every_subscription_gets_every_record(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *subs[5];
	char uid[8];
	int i;

	for (i = 0; i < 5; i++) {
		snprintf(uid, sizeof uid, "s%d", i);
		subs[i] = harness_subscribe(h, topic, uid, WEIR_START_LATEST);
	}
	harness_publish(h, topic, "a");
	for (i = 0; i < 5; i++) {
		harness_credit(h, subs[i], 1);
		harness_expect(h, subs[i], "a");
	}
}

static void members_of_a_subscription_share_its_records(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *one = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	struct weir_sub *two = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	int i, of_one = 0;

	harness_credit(h, one, 10);
	harness_credit(h, two, 10);
	for (i = 0; i < 10; i++)
		harness_publish(h, topic, "a");
	for (i = 0; i < 10; i++) {
		struct weir_driver_event event = harness_wait(h, WEIR_EV_DELIVER);

		of_one += event.sub == one;
		h->ops.release(event.lease);
		harness_ack(h, &event);
	}
	harness_silence(h, WEIR_EV_DELIVER);
	assert_in_range(of_one, 1, 9);
}

static void a_new_subscription_starts_at_latest(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub;

	harness_publish(h, topic, "before");
	sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	harness_credit(h, sub, 10);
	harness_publish(h, topic, "after");
	harness_expect(h, sub, "after");
}

static void an_unclaimed_start_is_refused(void **state)
{
	struct harness *h = *state;
	struct weir_sub_spec spec = { .size = sizeof spec, .start = WEIR_START_EARLIEST, .name = "s", .uid = "s" };
	struct weir_sub *sub;

	if (claims(h, WEIR_CAP_REPLAY_EARLIEST))
		skip();
	assert_int_equal(h->ops.subscribe(h->inst, harness_topic(h, "t"), &spec, &sub, NULL), WEIR_ENOTSUP);
}

static void topics_do_not_mix(void **state)
{
	struct harness *h = *state;
	struct weir_topic *one = harness_topic(h, "one"), *two = harness_topic(h, "two");
	struct weir_sub *sub = harness_subscribe(h, one, "s", WEIR_START_LATEST);

	harness_credit(h, sub, 10);
	harness_publish(h, two, "wrong");
	harness_publish(h, one, "right");
	harness_expect(h, sub, "right");
	harness_silence(h, WEIR_EV_DELIVER);
}

static void one_busy_topic_does_not_starve_a_quiet_one(void **state)
{
	struct harness *h = *state;
	struct weir_topic *busy = harness_topic(h, "busy"), *quiet = harness_topic(h, "quiet");
	struct weir_sub *sub = harness_subscribe(h, busy, "s", WEIR_START_LATEST);
	struct weir_sub *other = harness_subscribe(h, quiet, "s", WEIR_START_LATEST);
	int i;

	for (i = 0; i < 300; i++)
		harness_publish(h, busy, "b");
	harness_publish(h, quiet, "q");
	harness_credit(h, sub, 300);
	harness_credit(h, other, 1);
	for (i = 0; i < 64; i++) {
		struct weir_driver_event event = harness_wait(h, WEIR_EV_DELIVER);

		h->ops.release(event.lease);
		if (event.sub == other)
			return;
	}
	fail_msg("64 records of the busy topic came before the one of the quiet topic");
}

static void pause_stops_deliveries_and_keeps_credit(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);

	harness_credit(h, sub, 10);
	assert_int_equal(h->ops.pause(h->inst, sub, 1), WEIR_OK);
	assert_ptr_equal(harness_wait(h, WEIR_EV_PAUSED).sub, sub);
	harness_publish(h, topic, "a");
	harness_silence(h, WEIR_EV_DELIVER);
	assert_int_equal(h->ops.pause(h->inst, sub, 0), WEIR_OK);
	harness_expect(h, sub, "a");
}

static void a_lease_is_readable_after_its_ack_and_after_close(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	struct weir_driver_event event;

	harness_credit(h, sub, 1);
	harness_publish(h, topic, "still here");
	event = harness_wait(h, WEIR_EV_DELIVER);
	harness_ack(h, &event);
	harness_close(h);
	assert_memory_equal(event.record.body.ptr, "still here", 10);
	h->ops.release(event.lease);
}

/* ---- settling ---------------------------------------------------------------------------------- */

/* Subscribes, publishes "a", and takes the delivery. */
static struct weir_driver_event deliver_one(struct harness *h, struct weir_topic **topic)
{
	struct weir_sub *sub;

	*topic = harness_topic(h, "t");
	sub = harness_subscribe(h, *topic, "s", WEIR_START_LATEST);
	harness_credit(h, sub, 10);
	harness_publish(h, *topic, "a");
	return harness_expect(h, sub, "a");
}

static void nacked_comes_back_as_redelivered(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event = deliver_one(h, &topic);
	uint32_t attempt;

	for (attempt = 2; attempt < 6; attempt++) {
		assert_int_equal(harness_settle(h, event.sub, WEIR_NACK, &event, 0), WEIR_OK);
		event = harness_expect(h, event.sub, "a");
		assert_int_equal(event.attempt, attempt);
		assert_int_equal(event.flags, WEIR_MSG_REDELIVERED);
	}
	harness_ack(h, &event);
	harness_silence(h, WEIR_EV_DELIVER);
}

static void nack_delay_is_kept(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event = deliver_one(h, &topic);
	int64_t start = harness_now();

	assert_int_equal(harness_settle(h, event.sub, WEIR_NACK, &event, 60), WEIR_OK);
	harness_expect(h, event.sub, "a");
	assert_true(harness_now() - start >= 60000000);
	assert_true(harness_now() - start < 2000000000);
}

static void others_flow_while_a_nacked_record_waits(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event = deliver_one(h, &topic), other;

	assert_int_equal(harness_settle(h, event.sub, WEIR_NACK, &event, 3600000), WEIR_OK);
	harness_publish(h, topic, "b");
	other = harness_expect(h, event.sub, "b");
	harness_ack(h, &other);
}

static void nacks_come_back_in_the_order_of_their_delays(void **state)
{
	static const int delays[] = { 50, 10, 40, 20, 30, 60, 5 };
	static const char *const order[] = { "6", "1", "3", "4", "2", "0", "5" };
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	struct weir_driver_event events[7];
	char text[8];
	int i;

	harness_credit(h, sub, 100);
	for (i = 0; i < 7; i++) {
		snprintf(text, sizeof text, "%d", i);
		harness_publish(h, topic, text);
		events[i] = harness_expect(h, sub, text);
	}
	for (i = 0; i < 7; i++)
		harness_settle(h, sub, WEIR_NACK, &events[i], delays[i] * 5);
	for (i = 0; i < 7; i++)
		harness_expect(h, sub, order[i]);
}

static void termed_never_comes_back(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event = deliver_one(h, &topic);

	assert_int_equal(harness_settle(h, event.sub, WEIR_TERM, &event, 0), WEIR_OK);
	harness_unsubscribe(h, event.sub, 1);
	harness_credit(h, harness_subscribe(h, topic, "s", WEIR_START_LATEST), 10);
	harness_silence(h, WEIR_EV_DELIVER);
}

static void second_ack_is_stale(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event = deliver_one(h, &topic);

	harness_ack(h, &event);
	assert_int_equal(harness_settle(h, event.sub, WEIR_ACK, &event, 0), WEIR_ESTALE);
}

static void ack_after_nack_is_stale_and_record_comes_again(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event = deliver_one(h, &topic);

	assert_int_equal(harness_settle(h, event.sub, WEIR_NACK, &event, 0), WEIR_OK);
	assert_int_equal(harness_settle(h, event.sub, WEIR_ACK, &event, 0), WEIR_ESTALE);
	harness_expect(h, event.sub, "a");
	assert_int_equal(harness_settle(h, event.sub, WEIR_ACK, &event, 0), WEIR_ESTALE);
}

static void a_made_up_token_is_refused(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event = deliver_one(h, &topic), forged;
	int field;

	for (field = 0; field < 3; field++) {
		forged = event;
		if (field == 0)
			forged.token.epoch = UINT64_MAX;
		else if (field == 1)
			forged.token.lane ^= UINT64_C(1) << 40;
		else
			forged.token.seq = UINT64_MAX;
		assert_int_equal(harness_settle(h, event.sub, WEIR_ACK, &forged, 0), WEIR_EINVAL);
	}
	harness_ack(h, &event);
}

static void a_token_of_another_subscription_is_refused(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event = deliver_one(h, &topic);
	struct weir_sub *other = harness_subscribe(h, topic, "other", WEIR_START_LATEST);
	struct weir_sub *member = harness_subscribe(h, topic, "s", WEIR_START_LATEST);

	assert_int_equal(harness_settle(h, other, WEIR_ACK, &event, 0), WEIR_EINVAL);
	assert_int_equal(harness_settle(h, member, WEIR_ACK, &event, 0), WEIR_EINVAL);
	harness_ack(h, &event);
}

static void extend_is_refused_if_not_claimed(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event = deliver_one(h, &topic);

	if (claims(h, WEIR_CAP_EXTEND))
		skip();
	assert_int_equal(harness_settle(h, event.sub, WEIR_EXTEND, &event, 1000), WEIR_ENOTSUP);
	harness_ack(h, &event);
}

static void settling_many_at_once_tells_about_each(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event = deliver_one(h, &topic);
	struct weir_token tokens[3] = { event.token, event.token, { 0 } };
	uint16_t codes[3] = { 99, 99, 99 };

	tokens[2] = event.token;
	tokens[2].seq = UINT64_MAX;
	assert_int_equal(h->ops.settle(h->inst, event.sub, WEIR_ACK, tokens, 3, 0, codes), WEIR_OK);
	assert_int_equal(codes[0], WEIR_OK);
	assert_int_equal(codes[1], WEIR_ESTALE);
	assert_int_equal(codes[2], WEIR_EINVAL);
}

static void unsettled_comes_back_to_the_next_member(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event = deliver_one(h, &topic), again;
	struct weir_sub *sub;

	harness_unsubscribe(h, event.sub, 1);
	sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	harness_credit(h, sub, 1);
	again = harness_expect(h, sub, "a");
	if (claims(h, WEIR_CAP_REDELIVERED_FLAG)) {
		assert_int_equal(again.attempt, 2);
		assert_int_equal(again.flags, WEIR_MSG_REDELIVERED);
	}
	assert_int_equal(harness_settle(h, sub, WEIR_ACK, &event, 0), WEIR_ESTALE);
	harness_ack(h, &again);
}

static void unsettled_of_one_member_comes_to_the_other(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event = deliver_one(h, &topic);
	struct weir_sub *other = harness_subscribe(h, topic, "s", WEIR_START_LATEST);

	harness_credit(h, other, 1);
	harness_silence(h, WEIR_EV_DELIVER);
	harness_unsubscribe(h, event.sub, 1);
	harness_expect(h, other, "a");
}

static void a_kept_subscription_misses_nothing(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);

	harness_unsubscribe(h, sub, 1);
	harness_publish(h, topic, "meanwhile");
	sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	harness_credit(h, sub, 1);
	harness_expect(h, sub, "meanwhile");
}

static void a_forgotten_subscription_starts_anew(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);

	harness_publish(h, topic, "old");
	harness_unsubscribe(h, sub, 0);
	sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	harness_credit(h, sub, 10);
	harness_publish(h, topic, "new");
	harness_expect(h, sub, "new");
}

/* ---- event_fd and poll ------------------------------------------------------------------------- */

static void drain(struct harness *h)
{
	struct weir_driver_event event;

	while (harness_take(h, WEIR_EV_UP, &event) || harness_readable(h))
		continue;
}

static void wait_readable(struct harness *h)
{
	struct pollfd fd = { h->ops.event_fd(h->inst), POLLIN, 0 };

	assert_int_equal(poll(&fd, 1, 20000), 1);
}

static void an_ephemeral_subscription_is_forgotten_though_it_is_to_be_kept(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub;

	if (!claims(h, WEIR_CAP_EPHEMERAL))
		skip();
	sub = harness_tail(h, topic, "tail", WEIR_START_LATEST);
	harness_credit(h, sub, 10);
	harness_publish(h, topic, "first");
	harness_expect(h, sub, "first");
	harness_unsubscribe(h, sub, 1);
	harness_publish(h, topic, "second");
	sub = harness_tail(h, topic, "tail", WEIR_START_LATEST);
	harness_credit(h, sub, 10);
	harness_publish(h, topic, "third");
	harness_expect(h, sub, "third");
}

static void event_fd_is_readable_exactly_while_there_are_events(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_driver_event events[4] = { { .size = sizeof events[0] } };
	size_t count;
	int i;

	drain(h);
	assert_false(harness_readable(h));
	for (i = 0; i < 3; i++)
		assert_int_equal(harness_send(h, topic, "a"), WEIR_OK);
	assert_int_equal(h->ops.flush(h->inst, harness_now() + INT64_C(5000000000), &(uint64_t){ 0 }), WEIR_OK);
	/* flush() may return a moment before the thread that it waited for has raised the descriptor. */
	wait_readable(h);
	for (i = 0; i < 3; i++) {
		assert_true(harness_readable(h));
		assert_int_equal(h->ops.poll(h->inst, events, 1, 0, &count), WEIR_OK);
		assert_int_equal(count, 1);
	}
	assert_false(harness_readable(h));
	assert_int_equal(h->ops.poll(h->inst, events, 4, 0, &count), WEIR_OK);
	assert_int_equal(count, 0);
}

static void event_fd_tells_when_credit_meets_records(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);

	harness_publish(h, topic, "a");
	drain(h);
	harness_credit(h, sub, 1);
	wait_readable(h);
	harness_expect(h, sub, "a");
}

static void event_fd_tells_when_a_delay_is_over(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event = deliver_one(h, &topic);

	drain(h);
	assert_int_equal(harness_settle(h, event.sub, WEIR_NACK, &event, 20), WEIR_OK);
	wait_readable(h);
	harness_expect(h, event.sub, "a");
}

static void poll_waits_until_its_timeout(void **state)
{
	struct harness *h = *state;
	struct weir_driver_event events[4] = { { .size = sizeof events[0] } };
	int64_t start;
	size_t count;

	drain(h);
	start = harness_now();
	assert_int_equal(h->ops.poll(h->inst, events, 4, start + 30000000, &count), WEIR_OK);
	assert_int_equal(count, 0);
	assert_true(harness_now() - start >= 30000000);
	assert_true(harness_now() - start < 2000000000);
}

static void no_event_follows_unsubscribe(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub_spec spec = { .size = sizeof spec, .name = "s", .uid = "s" };
	struct weir_sub *sub;

	assert_int_equal(h->ops.subscribe(h->inst, topic, &spec, &sub, NULL), WEIR_OK);
	harness_credit(h, sub, 10);
	assert_int_equal(harness_send(h, topic, "a"), WEIR_OK);
	harness_unsubscribe(h, sub, 0);
	harness_silence(h, WEIR_EV_DELIVER);
	assert_int_equal(harness_count(h, WEIR_EV_SUB_READY), 0);
}

/* ---- topics and figures ---------------------------------------------------------------------------- */

static void topic_names_that_cannot_be_are_refused(void **state)
{
	static const char *const bad[] = { "", "a/b", "a\nb", "\x7f" };
	struct harness *h = *state;
	struct weir_topic *topic;
	char large[2048];
	size_t i;

	memset(large, 'x', sizeof large - 1);
	large[sizeof large - 1] = '\0';
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(h->ops.topic_open(h->inst, "ns", bad[i], &topic, NULL), WEIR_EINVAL);
		assert_int_equal(h->ops.topic_open(h->inst, bad[i], "t", &topic, NULL), WEIR_EINVAL);
	}
	assert_int_equal(h->ops.topic_open(h->inst, "ns", large, &topic, NULL), WEIR_EINVAL);
}

static void the_longest_topic_name_works(void **state)
{
	struct harness *h = *state;
	struct weir_caps caps = { .size = sizeof caps };
	struct weir_topic *topic;
	struct weir_sub *sub;
	char name[2048];

	h->ops.caps(h->inst, &caps);
	assert_in_range(caps.max_topic_bytes, 64, sizeof name);
	memset(name, 'x', sizeof name);
	name[caps.max_topic_bytes - 3] = '\0';
	topic = harness_topic(h, name);
	sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	harness_credit(h, sub, 1);
	harness_publish(h, topic, "a");
	harness_expect(h, sub, "a");
}

static void an_open_topic_cannot_be_deleted(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	int64_t deadline = harness_now() + INT64_C(10000000000);

	assert_int_equal(h->ops.topic_delete(h->inst, "ns", "t", deadline, NULL), WEIR_EBUSY);
	h->ops.topic_close(h->inst, topic);
	assert_int_equal(h->ops.topic_delete(h->inst, "ns", "t", deadline, NULL), WEIR_OK);
	assert_int_equal(h->ops.topic_delete(h->inst, "ns", "t", deadline, NULL), WEIR_ENOTFOUND);
}

static void a_deleted_topic_takes_its_records_along(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	struct weir_stats stats = { .size = sizeof stats };

	harness_publish(h, topic, "a");
	harness_unsubscribe(h, sub, 1);
	h->ops.topic_close(h->inst, topic);
	assert_int_equal(h->ops.topic_delete(h->inst, "ns", "t", harness_now() + INT64_C(10000000000), NULL), WEIR_OK);
	assert_int_equal(h->ops.stats(h->inst, &stats), WEIR_OK);
	if (stats.records != UINT64_MAX)
		assert_int_equal(stats.records, 0);
	topic = harness_topic(h, "t");
	harness_credit(h, harness_subscribe(h, topic, "s", WEIR_START_LATEST), 10);
	harness_silence(h, WEIR_EV_DELIVER);
}

static void figures_follow_what_happens(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_driver_event event = deliver_one(h, &topic);
	struct weir_sub_stats stats = { .size = sizeof stats };
	struct weir_stats inst = { .size = sizeof inst };

	harness_publish(h, topic, "b");
	harness_expect(h, event.sub, "b");
	harness_publish(h, topic, "c");
	harness_expect(h, event.sub, "c");
	harness_ack(h, &event);
	assert_int_equal(h->ops.sub_stats(h->inst, event.sub, &stats), WEIR_OK);
	assert_int_equal(stats.lag, 2);
	assert_int_equal(stats.unsettled, 2);
	assert_int_equal(stats.redelivered, 0);
	assert_true(stats.oldest_ms >= 0);
	harness_settle(h, event.sub, WEIR_ACK, &event, 0);
	assert_int_equal(h->ops.stats(h->inst, &inst), WEIR_OK);
	assert_true(inst.records >= 2);
	assert_true(inst.bytes > 0 && inst.bytes <= inst.bytes_max);
	assert_int_equal(inst.stale, 1);
	assert_int_equal(inst.pending, 0);
}

static void health_is_up(void **state)
{
	struct harness *h = *state;
	struct weir_health health = { .size = sizeof health };

	assert_int_equal(h->ops.health(h->inst, &health), WEIR_OK);
	assert_int_equal(health.state, WEIR_HEALTH_UP);
}

/* ---- threads ------------------------------------------------------------------------------------- */

enum { PUBLISHERS = 4, EACH = 500 };

struct publisher {
	struct harness *h;
	struct weir_topic *topic;
	uint64_t number;
};

static void *publisher_run(void *arg)
{
	struct publisher *publisher = arg;
	uint64_t i;

	for (i = 0; i < EACH; i++) {
		struct weir_publish item = { .size = sizeof item, .topic = publisher->topic, .tag = i };
		uint64_t value = publisher->number << 32 | i;
		size_t accepted = 0;

		item.record.body = (struct weir_buf){ &value, sizeof value };
		while (publisher->h->ops.publish(publisher->h->inst, &item, 1, &accepted, NULL) == WEIR_EAGAIN)
			poll(NULL, 0, 1);
		if (accepted != 1)
			abort();
	}
	return NULL;
}

static void publishers_and_settlers_run_beside_each_other(void **state)
{
	static uint64_t next[PUBLISHERS];
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	struct publisher publishers[PUBLISHERS];
	pthread_t threads[PUBLISHERS];
	int i, published = 0, delivered = 0;

	memset(next, 0, sizeof next);
	harness_credit(h, sub, 100);
	for (i = 0; i < PUBLISHERS; i++) {
		publishers[i] = (struct publisher){ h, topic, (uint64_t)i };
		assert_int_equal(pthread_create(&threads[i], NULL, publisher_run, &publishers[i]), 0);
	}
	while (delivered < PUBLISHERS * EACH) {
		struct weir_driver_event event = harness_wait(h, WEIR_EV_DELIVER);
		uint64_t value;

		memcpy(&value, event.record.body.ptr, sizeof value);
		h->ops.release(event.lease);
		assert_int_equal(value & 0xffffffff, next[value >> 32]++);
		harness_ack(h, &event);
		harness_credit(h, sub, 1);
		delivered++;
		while (harness_take(h, WEIR_EV_PUBLISHED, &event))
			published++;
	}
	for (i = 0; i < PUBLISHERS; i++)
		pthread_join(threads[i], NULL);
	while (published < PUBLISHERS * EACH) {
		harness_wait(h, WEIR_EV_PUBLISHED);
		published++;
	}
	harness_silence(h, WEIR_EV_DELIVER);
}

/* Members of one subscription, and whole subscriptions, come and go while poll() delivers a backlog. */
struct coming {
	struct harness *h;
	struct weir_topic *topic;
	atomic_bool done;
	int failures;
};

static void *coming_run(void *arg)
{
	struct coming *coming = arg;
	struct weir_driver *ops = &coming->h->ops;
	int i;

	for (i = 0; i < 40; i++) {
		struct weir_sub_spec spec = { .size = sizeof spec, .name = "x", .uid = i % 3 ? "kept" : "s" };
		struct weir_sub *sub;

		if (ops->subscribe(coming->h->inst, coming->topic, &spec, &sub, NULL)) {
			coming->failures++;
			continue;
		}
		ops->credit(coming->h->inst, sub, 1 + i % 7, 1 << 20);
		if (i % 5 == 0)
			poll(NULL, 0, 1);
		if (ops->unsubscribe(coming->h->inst, sub, i % 4 != 0, harness_now() + INT64_C(10000000000), NULL))
			coming->failures++;
	}
	atomic_store(&coming->done, true);
	return NULL;
}

static void subscriptions_come_and_go_while_poll_delivers(void **state)
{
	struct harness *h = *state;
	struct coming coming = { .h = h, .topic = harness_topic(h, "t") };
	struct weir_sub *sub = harness_subscribe(h, coming.topic, "s", WEIR_START_LATEST);
	struct weir_driver_event event;
	pthread_t thread;
	int i;

	harness_unsubscribe(h, harness_subscribe(h, coming.topic, "kept", WEIR_START_LATEST), 1);
	for (i = 0; i < 500; i++)
		assert_int_equal(harness_send(h, coming.topic, "a"), WEIR_OK);
	assert_int_equal(pthread_create(&thread, NULL, coming_run, &coming), 0);
	while (!atomic_load(&coming.done))
		while (harness_take(h, WEIR_EV_DELIVER, &event))
			h->ops.release(event.lease);
	pthread_join(thread, NULL);
	assert_int_equal(coming.failures, 0);
	/* Nobody has settled anything: all of it is still there for the one that stayed. */
	while (harness_take(h, WEIR_EV_DELIVER, &event))
		h->ops.release(event.lease);
	while (harness_take(h, WEIR_EV_SUB_READY, &event))
		continue;
	harness_unsubscribe(h, sub, 1);
	sub = harness_subscribe(h, coming.topic, "s", WEIR_START_LATEST);
	harness_credit(h, sub, 1000);
	for (i = 0; i < 500; i++) {
		event = harness_expect(h, sub, "a");
		harness_ack(h, &event);
	}
	harness_silence(h, WEIR_EV_DELIVER);
}

/* ---- loading, opening and closing -------------------------------------------------------------------- */

static void another_abi_is_refused(void **state)
{
	struct harness *h = *state;
	struct weir_driver table = { .size = sizeof table };
	struct weir_error err = WEIR_ERROR_INIT;

	assert_int_equal(h->init(WEIR_ABI_MAJOR + 1, 0, &table, &err), WEIR_EVERSION);
	assert_int_equal(err.code, WEIR_EVERSION);
	assert_null(table.name);
}

static void the_table_of_an_older_host_is_not_overrun(void **state)
{
	struct harness *h = *state;
	struct weir_driver table;

	memset(&table, 0x5a, sizeof table);
	table.size = (uint32_t)offsetof(struct weir_driver, flush);
	assert_int_equal(h->init(WEIR_ABI_MAJOR, WEIR_ABI_MINOR, &table, NULL), WEIR_OK);
	assert_int_equal(table.size, offsetof(struct weir_driver, flush));
	assert_ptr_equal(table.unsubscribe, h->ops.unsubscribe);
	assert_memory_equal(&table.flush, "\x5a\x5a\x5a\x5a\x5a\x5a\x5a\x5a", 8);
}

static int entries(const char *path)
{
	DIR *folder = opendir(path);
	int count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void closing_leaves_no_descriptor_and_no_thread(void **state)
{
	struct harness *h = *state;
	int files, threads, i;

	harness_close(h);
	files = entries("/proc/self/fd");
	threads = entries("/proc/self/task");
	for (i = 0; i < 10; i++) {
		harness_open(h, h->overrides);
		harness_subscribe(h, harness_topic(h, "t"), "s", WEIR_START_LATEST);
		harness_close(h);
	}
	assert_int_equal(entries("/proc/self/fd"), files);
	assert_int_equal(entries("/proc/self/task"), threads);
}

/* ---- the list ---------------------------------------------------------------------------------------- */

#define CASE(name) cmocka_unit_test_setup_teardown(name, driver_case_setup, driver_case_teardown)

static const struct CMUnitTest cases[] = {
	CASE(publish_completes_once_as_persisted),
	CASE(each_of_many_publishes_completes_once),
	CASE(caller_may_scribble_after_publish),
	CASE(a_record_that_is_too_large_is_refused_alone),
	CASE(the_largest_record_arrives),
	CASE(a_group_is_not_torn),
	CASE(key_headers_and_body_arrive_as_they_were),
	CASE(no_body_and_empty_body_stay_different),
	CASE(time_and_position_are_told),
	CASE(first_deliveries_are_in_publish_order),
	CASE(without_credit_there_is_silence),
	CASE(credit_is_never_exceeded),
	CASE(byte_credit_stops_behind_the_record_that_uses_it_up),
	CASE(negative_credit_takes_back_what_is_unused),
	CASE(every_subscription_gets_every_record),
	CASE(members_of_a_subscription_share_its_records),
	CASE(a_new_subscription_starts_at_latest),
	CASE(an_unclaimed_start_is_refused),
	CASE(topics_do_not_mix),
	CASE(one_busy_topic_does_not_starve_a_quiet_one),
	CASE(pause_stops_deliveries_and_keeps_credit),
	CASE(a_lease_is_readable_after_its_ack_and_after_close),
	CASE(nacked_comes_back_as_redelivered),
	CASE(nack_delay_is_kept),
	CASE(others_flow_while_a_nacked_record_waits),
	CASE(nacks_come_back_in_the_order_of_their_delays),
	CASE(termed_never_comes_back),
	CASE(second_ack_is_stale),
	CASE(ack_after_nack_is_stale_and_record_comes_again),
	CASE(a_made_up_token_is_refused),
	CASE(a_token_of_another_subscription_is_refused),
	CASE(extend_is_refused_if_not_claimed),
	CASE(settling_many_at_once_tells_about_each),
	CASE(unsettled_comes_back_to_the_next_member),
	CASE(unsettled_of_one_member_comes_to_the_other),
	CASE(a_kept_subscription_misses_nothing),
	CASE(a_forgotten_subscription_starts_anew),
	CASE(an_ephemeral_subscription_is_forgotten_though_it_is_to_be_kept),
	CASE(event_fd_is_readable_exactly_while_there_are_events),
	CASE(event_fd_tells_when_credit_meets_records),
	CASE(event_fd_tells_when_a_delay_is_over),
	CASE(poll_waits_until_its_timeout),
	CASE(no_event_follows_unsubscribe),
	CASE(topic_names_that_cannot_be_are_refused),
	CASE(the_longest_topic_name_works),
	CASE(an_open_topic_cannot_be_deleted),
	CASE(a_deleted_topic_takes_its_records_along),
	CASE(figures_follow_what_happens),
	CASE(health_is_up),
	CASE(publishers_and_settlers_run_beside_each_other),
	CASE(subscriptions_come_and_go_while_poll_delivers),
	CASE(another_abi_is_refused),
	CASE(the_table_of_an_older_host_is_not_overrun),
	CASE(closing_leaves_no_descriptor_and_no_thread),
};

const struct CMUnitTest *driver_cases(size_t *count)
{
	*count = sizeof cases / sizeof cases[0];
	return cases;
}

int driver_run(const char *driver, const struct CMUnitTest *own, size_t own_count)
{
	int failed;

	driver_under_test = driver;
	driver_overrides = NULL;
	failed = cmocka_run_group_tests_name("every driver", cases, NULL, NULL);
	return failed + _cmocka_run_group_tests("its own", own, own_count, NULL, NULL) ? 1 : 0;
}
