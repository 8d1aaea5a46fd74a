/* SPDX-License-Identifier: Apache-2.0 */
/* When memory is short: every allocation fails once, in turn. Nothing crashes, leaks or is lost. */
#include "fixtures/channel_rig.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "channel/internal.h"

enum { MOST = 200, DELIVERIES = 70 };

/* Opens everything; false as soon as memory is short. Any other failure fails the test. */
static bool try_open(weir_subscription **sub)
{
	struct weir_subscription_spec spec = rig_spec("s", 1000);
	int code;

	code = weir_runtime_open(&rig.config, NULL, NULL, &rig.runtime, NULL);
	if (!code)
		code = weir_channel_open(rig.runtime, "ns", "name", "FakeChannel", &rig.channel, NULL);
	if (!code)
		code = weir_publisher_new(rig.runtime, rig_completion, NULL, &rig.publisher);
	if (!code)
		code = weir_channel_subscribe(rig.channel, &spec, sub, NULL);
	if (code)
		assert_int_equal(code, WEIR_ENOMEM);
	return code == WEIR_OK;
}

/* The failing call says so, and the next one succeeds. */
static void publish_in_spite(void)
{
	int code = rig_publish(1);

	if (code) {
		assert_int_equal(code, WEIR_ENOMEM);
		code = rig_publish(1);
	}
	assert_int_equal(code, WEIR_OK);
}

static void each_allocation_may_fail_while_opening_and_serving(void **state)
{
	unsigned failed = 0, served = 0;

	for (uint64_t nth = 1; nth <= MOST; nth++) {
		weir_subscription *sub = NULL;

		rig_setup(state);
		weir_mem_fail(nth, 0);
		if (try_open(&sub)) {
			publish_in_spite();
			for (uint64_t i = 0; i < DELIVERIES; i++)
				fake_deliver(0, i);
			rig_wait(rig.completion_count == 1);
			rig_wait(rig.delivery_count == DELIVERIES);
			assert_int_equal(weir_delivery_settle(rig.deliveries, DELIVERIES, WEIR_ACK, 0), WEIR_OK);
			assert_int_equal(fake.releases, DELIVERIES);
			served++;
		} else {
			failed++;
		}
		rig_close();
		weir_mem_fail(0, 0);
		assert_int_equal(fake.closes, fake.opens);
		assert_int_equal(fake.topics_open, 0);
	}
	assert_true(failed > 10);
	assert_true(served > 10);
}

static uint64_t turns(void)
{
	struct weir_backend *backend = rig.channel->places->backend;
	uint64_t now;

	pthread_mutex_lock(&backend->lock);
	now = backend->turns;
	pthread_mutex_unlock(&backend->lock);
	return now;
}

static void deliveries_wait_while_memory_is_short_and_come_in_order_afterwards(void **state)
{
	uint64_t turn;
	int64_t start;

	(void)state;
	rig_open();
	rig_subscribe("s", 1000);
	weir_mem_fail(1, 1);
	for (uint64_t i = 0; i < DELIVERIES; i++)
		fake_deliver(0, i);
	/* The topic is ready, the subscription is ready, and the first delivery. */
	rig_wait(fake_polled() >= 3);
	assert_int_equal(rig.delivery_count, 0);
	/* Not busily. */
	start = weir_clock_now_ns();
	turn = turns();
	rig_wait(turns() >= turn + 10);
	assert_true(weir_clock_now_ns() - start > 50 * WEIR_NS_PER_MS);
	weir_mem_fail(0, 0);
	rig_wait(rig.delivery_count == DELIVERIES);
	for (uint64_t i = 0; i < DELIVERIES; i++)
		assert_int_equal(weir_delivery_position(rig.deliveries[i]), i);
	weir_delivery_settle(rig.deliveries, DELIVERIES, WEIR_ACK, 0);
}

static void the_steady_state_allocates_nothing(void **state)
{
	uint64_t before;

	(void)state;
	rig_open();
	rig_subscribe("s", 100);
	for (int round = 0; round < 3; round++) {
		before = weir_mem_count();
		rig.completion_count = rig.delivery_count = 0;
		for (uint64_t i = 0; i < 100; i++) {
			assert_int_equal(rig_publish(i), WEIR_OK);
			fake_deliver(0, i);
		}
		rig_wait(rig.completion_count == 100 && rig.delivery_count == 100);
		assert_int_equal(weir_delivery_settle(rig.deliveries, 100, WEIR_ACK, 0), WEIR_OK);
		rig_settle_down();
	}
	assert_int_equal(weir_mem_count(), before);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_allocation_may_fail_while_opening_and_serving),
		CASE(deliveries_wait_while_memory_is_short_and_come_in_order_afterwards),
		CASE(the_steady_state_allocates_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
