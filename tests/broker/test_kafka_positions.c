/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Kafka driver's positions, seen by an independent client: what is committed
 * when, across stragglers, holes in the offsets, retention, topics made anew.
 */
#include "kafka_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMON                                                                                                         \
	"brokers=127.0.0.1:9092 topicPattern=weir-test.@.{namespace}.{name} groupPattern=weir-test.@.{name}.{uid}"
#define ONE COMMON " partitions=1 properties.heartbeat.interval.ms=200 properties.session.timeout.ms=6000"

static int setup(void **state)
{
	driver_under_test = "kafka";
	driver_overrides = ONE;
	return driver_case_setup(state);
}

static int setup_narrow(void **state)
{
	driver_under_test = "kafka";
	driver_overrides = ONE " maxBehind=100";
	return driver_case_setup(state);
}

static int setup_static(void **state)
{
	driver_under_test = "kafka";
	driver_overrides = ONE " instanceId=pod-0";
	return driver_case_setup(state);
}

static void ack(struct harness *h, const struct weir_driver_event *event)
{
	h->ops.release(event->lease);
	assert_int_equal(h->ops.settle(h->inst, event->sub, WEIR_ACK, &event->token, 1, 0, NULL), WEIR_OK);
}

/* Takes and settles deliveries until one with this position was. `kept`: the first one, which is not settled. */
static void drain_to(struct harness *h, struct weir_sub *sub, uint64_t position, struct weir_driver_event *kept)
{
	enum { BATCH = 256 };
	struct weir_driver_event events[BATCH];
	int64_t deadline = harness_now() + INT64_C(90000000000);
	bool there = false, keep = kept != NULL;
	size_t count, i;

	while (!there) {
		assert_true(harness_now() < deadline);
		events[0].size = sizeof events[0];
		assert_int_equal(h->ops.poll(h->inst, events, BATCH, harness_now() + 100000000, &count), WEIR_OK);
		for (i = 0; i < count; i++) {
			if (events[i].type != WEIR_EV_DELIVER)
				continue;
			there = there || events[i].position >= position;
			if (keep)
				*kept = events[i];
			else
				ack(h, &events[i]);
			keep = false;
		}
		h->ops.credit(h->inst, sub, (int64_t)count, INT64_C(1) << 30);
	}
}

static void a_straggler_with_a_million_behind_it_lets_commits_go_on_once_it_is_settled(void **state)
{
	enum { RECORDS = 1050000 };
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_EARLIEST);
	struct weir_driver_event straggler;
	int64_t grown;
	long before;

	produce_many(h, RECORDS);
	before = resident_kib();
	harness_credit(h, sub, 2000);
	drain_to(h, sub, RECORDS - 1, &straggler);
	grown = resident_kib() - before;
	assert_int_equal(straggler.position, 0);
	assert_int_equal(committed(h, "s"), 0);
	ack(h, &straggler);
	await_committed(h, "s", RECORDS);
	print_message("           %d records behind one, %lld KiB more than before\n", RECORDS, (long long)grown);
	if (!sanitized())
		assert_true(grown < 24 * 1024);
}

static void too_many_behind_a_straggler_stall_its_partition_and_are_reported(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_EARLIEST);
	struct weir_driver_event straggler;

	produce_many(h, 300);
	harness_credit(h, sub, 1000);
	drain_to(h, sub, 99, &straggler);
	harness_silence(h, WEIR_EV_DELIVER);
	h->ops.release(straggler.lease);
	assert_int_equal(harness_settle(h, sub, WEIR_NACK, &straggler, 0), WEIR_OK);
	straggler = harness_wait(h, WEIR_EV_DELIVER);
	assert_int_equal(straggler.position, 0);
	ack(h, &straggler);
	drain_to(h, sub, 299, NULL);
	await_committed(h, "s", 300);
}

static void a_stall_is_reported_with_its_age(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_EARLIEST);
	struct weir_driver_event stall;

	produce_many(h, 300);
	harness_credit(h, sub, 1000);
	stall = harness_wait(h, WEIR_EV_STALL);
	assert_ptr_equal(stall.sub, sub);
	assert_int_equal(stall.partition, 0);
	assert_non_null(stall.error);
	assert_non_null(strstr(stall.error->text, "the record at 0 has been out for"));
}

static void transaction_markers_and_aborted_records_do_not_hold_back_commits(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_EARLIEST);
	int64_t last;

	last = produce_transactions(h, 10, 7);
	harness_credit(h, sub, 1000);
	drain_to(h, sub, (uint64_t)last, NULL);
	/* 10 transactions of 7 records and a marker each, every other one aborted; the last marker is not a record. */
	assert_int_equal(last, 10 * 8 - 2 - 8);
	await_committed(h, "s", last + 1);
	produce_many(h, 1);
	drain_to(h, sub, 80, NULL);
	await_committed(h, "s", 81);
}

static void holes_of_compaction_do_not_hold_back_commits(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub;
	struct weir_driver_event event;
	int64_t records, end;

	end = make_compacted(h, &records);
	topic = harness_topic(h, "t");
	sub = harness_subscribe(h, topic, "s", WEIR_START_EARLIEST);
	assert_true(records < end);
	harness_credit(h, sub, 100000);
	do {
		event = harness_wait(h, WEIR_EV_DELIVER);
		ack(h, &event);
	} while ((int64_t)event.position < end - 1);
	await_committed(h, "s", end);
	print_message("           %lld records in %lld offsets\n", (long long)records, (long long)end);
}

static void what_retention_took_is_reported_as_a_gap(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_EARLIEST);
	struct weir_driver_event gap;

	produce_many(h, 10);
	harness_credit(h, sub, 1000);
	drain_to(h, sub, 9, NULL);
	await_committed(h, "s", 10);
	harness_unsubscribe(h, sub, 1);
	produce_many(h, 20);
	delete_records(h, 25);
	sub = harness_subscribe(h, topic, "s", WEIR_START_EARLIEST);
	harness_credit(h, sub, 1000);
	gap = harness_wait(h, WEIR_EV_GAP);
	assert_ptr_equal(gap.sub, sub);
	assert_int_equal(gap.position, 10);
	assert_int_equal(gap.position_end, 24);
	drain_to(h, sub, 29, NULL);
	await_committed(h, "s", 30);
}

static void a_topic_that_was_made_anew_is_read_from_its_beginning(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_EARLIEST);
	struct weir_driver_event event;

	produce_many(h, 10);
	harness_credit(h, sub, 1000);
	drain_to(h, sub, 9, NULL);
	await_committed(h, "s", 10);
	delete_topic(h);
	create_topic(h, NULL, NULL);
	produce_many(h, 3);
	do {
		event = harness_wait(h, WEIR_EV_DELIVER);
		ack(h, &event);
	} while (event.position != 2);
	await_committed(h, "s", 3);
}

static void commits_never_go_back_when_members_come_and_go(void **state)
{
	enum { ROUNDS = 4, EACH = 200 };
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_EARLIEST), *other;
	int64_t last = 0, now;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		produce_many(h, EACH);
		harness_credit(h, sub, 1000);
		drain_to(h, sub, (uint64_t)((i + 1) * EACH - 1), NULL);
		other = harness_subscribe(h, topic, "s", WEIR_START_EARLIEST);
		now = committed(h, "s");
		assert_true(now >= last);
		last = now;
		harness_unsubscribe(h, sub, 1);
		assert_int_equal(committed(h, "s"), (i + 1) * EACH);
		last = (i + 1) * EACH;
		sub = other;
	}
}

static void the_start_of_a_subscription_is_committed_before_it_is_ready(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");

	produce_many(h, 5);
	harness_subscribe(h, topic, "late", WEIR_START_LATEST);
	assert_int_equal(committed(h, "late"), 5);
	harness_subscribe(h, topic, "early", WEIR_START_EARLIEST);
	assert_int_equal(committed(h, "early"), 0);
}

static void a_member_whose_name_another_one_takes_is_fenced(void **state)
{
	struct harness *h = *state, other = { 0 };
	struct weir_driver_event fenced;
	struct weir_sub *sub;

	sub = harness_subscribe(h, harness_topic(h, "t"), "s", WEIR_START_EARLIEST);
	harness_wait(h, WEIR_EV_ASSIGNED);
	harness_load(&other, "kafka");
	harness_open(&other, h->overrides);
	harness_subscribe(&other, harness_topic(&other, "t"), "s", WEIR_START_EARLIEST);
	fenced = harness_wait(h, WEIR_EV_FENCED);
	assert_ptr_equal(fenced.sub, sub);
	assert_int_equal(fenced.error->code, WEIR_EFENCED);
	harness_unload(&other);
}

#define CASE(name)          cmocka_unit_test_setup_teardown(name, setup, driver_case_teardown)
#define WITH(name, prepare) cmocka_unit_test_setup_teardown(name, prepare, driver_case_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_start_of_a_subscription_is_committed_before_it_is_ready),
		CASE(a_straggler_with_a_million_behind_it_lets_commits_go_on_once_it_is_settled),
		WITH(too_many_behind_a_straggler_stall_its_partition_and_are_reported, setup_narrow),
		WITH(a_stall_is_reported_with_its_age, setup_narrow),
		CASE(transaction_markers_and_aborted_records_do_not_hold_back_commits),
		CASE(holes_of_compaction_do_not_hold_back_commits),
		CASE(what_retention_took_is_reported_as_a_gap),
		CASE(a_topic_that_was_made_anew_is_read_from_its_beginning),
		CASE(commits_never_go_back_when_members_come_and_go),
		WITH(a_member_whose_name_another_one_takes_is_fenced, setup_static),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
