/* SPDX-License-Identifier: Apache-2.0 */
/* Backends with a deadline are told what is still being worked on. */
#include "unit/weir_cmocka.h"

#include <string.h>

#include "base/clock.h"
#include "dispatch/egress_state.h"
#include "unit/dispatch_fakes.h"

enum { ACK_WAIT_MS = 150, PATIENCE_MS = 10000 };

static int begin(void **state)
{
	(void)state;
	fake_begin();
	fake.caps_more = WEIR_CAP_BIT(WEIR_CAP_ACK_DEADLINE) | WEIR_CAP_BIT(WEIR_CAP_EXTEND);
	fake.ack_wait_ms = ACK_WAIT_MS;
	return 0;
}

static int end(void **state)
{
	(void)state;
	fake_end();
	return 0;
}

static void wait_rounds(uint32_t count)
{
	int64_t deadline_ns = weir_clock_after_ms(weir_clock_now_ns(), PATIENCE_MS);

	count += fake.egress->extend_round;
	while (fake.egress->extend_round < count) {
		assert_true(weir_clock_now_ns() < deadline_ns);
		fake_turn();
	}
}

static size_t times_extended(const char *id)
{
	size_t times = 0;

	for (size_t i = 0; i < fake.extend_count; i++)
		times += strcmp(fake.extended[i], id) == 0;
	return times;
}

static void a_slow_subscribers_event_is_extended_in_every_round(void **state)
{
	(void)state;
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	wait_rounds(4);
	assert_in_range(times_extended("1"), 3, 4);
	assert_int_equal(fake.extended_ms, ACK_WAIT_MS);
	fake_answer(0, 200);
	assert_int_equal(fake.ack_count, 1);
}

static void an_event_behind_another_in_its_lane_is_extended_too(void **state)
{
	(void)state;
	fake_subscribe();
	fake_deliver("1", "k");
	fake_deliver("2", "k");
	fake_turn();
	wait_rounds(2);
	assert_true(times_extended("2") > 0);
}

static void an_event_that_waits_for_a_retry_is_extended(void **state)
{
	(void)state;
	fake.settings.delivery.backoff_delay_ms = 60000;
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer(0, 500);
	wait_rounds(2);
	assert_true(times_extended("1") > 0);
}

static void what_is_settled_is_not_extended(void **state)
{
	(void)state;
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer(0, 200);
	wait_rounds(2);
	assert_int_equal(fake.extend_count, 0);
}

static void what_came_in_this_round_has_time_left(void **state)
{
	(void)state;
	fake_subscribe();
	wait_rounds(1);
	fake_deliver("1", NULL);
	fake_turn();
	wait_rounds(1);
	assert_int_equal(fake.extend_count, 0);
}

static void more_than_one_chunk_is_extended_once_each(void **state)
{
	enum { MANY = 150 };
	char id[8];

	(void)state;
	fake.settings.delivery.max_in_flight = MANY;
	fake_subscribe();
	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof id, "%d", i);
		fake_deliver(id, NULL);
	}
	fake_turn();
	wait_rounds(2);
	assert_int_equal(fake.extend_count, MANY);
	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof id, "%d", i);
		assert_int_equal(times_extended(id), 1);
	}
}

static void a_backend_without_a_deadline_is_left_alone(void **state)
{
	(void)state;
	fake.caps_more = 0;
	fake_subscribe();
	assert_int_equal(fake.egress->extend_timer.slot, 0);
}

static void a_deadline_that_cannot_be_extended_is_left_alone(void **state)
{
	(void)state;
	fake.caps_more = WEIR_CAP_BIT(WEIR_CAP_ACK_DEADLINE);
	fake_subscribe();
	assert_int_equal(fake.egress->extend_timer.slot, 0);
}

static void a_backend_that_does_not_say_gets_half_a_minute(void **state)
{
	(void)state;
	fake.ack_wait_ms = 0;
	fake_subscribe();
	assert_int_equal(fake.egress->extend_every_ms, 10000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(a_slow_subscribers_event_is_extended_in_every_round),
		TEST(an_event_behind_another_in_its_lane_is_extended_too),
		TEST(an_event_that_waits_for_a_retry_is_extended),
		TEST(what_is_settled_is_not_extended),
		TEST(what_came_in_this_round_has_time_left),
		TEST(more_than_one_chunk_is_extended_once_each),
		TEST(a_backend_without_a_deadline_is_left_alone),
		TEST(a_deadline_that_cannot_be_extended_is_left_alone),
		TEST(a_backend_that_does_not_say_gets_half_a_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
