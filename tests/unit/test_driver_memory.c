/* SPDX-License-Identifier: Apache-2.0 */
/* The memory driver: the cases of every driver, and its own limits. */
#include "driver_harness.h"

#include <stdlib.h>
#include <string.h>

static int small_setup(void **state)
{
	driver_overrides = "maxBytes=131072 maxRecords=10";
	return driver_case_setup(state);
}

static void says_that_nothing_survives(void **state)
{
	struct harness *h = *state;
	struct weir_caps caps = { .size = sizeof caps };

	h->ops.caps(h->inst, &caps);
	assert_string_equal(caps.durability, "memory");
	assert_non_null(strstr(caps.durability_note, "nothing survives"));
	assert_false(caps.bits & WEIR_CAP_BIT(WEIR_CAP_DURABLE));
}

static void a_record_that_nobody_needs_is_dropped(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_stats stats = { .size = sizeof stats };
	int i;

	for (i = 0; i < 50; i++)
		harness_publish(h, topic, "a");
	h->ops.stats(h->inst, &stats);
	assert_int_equal(stats.records, 0);
	assert_int_equal(stats.bytes, 0);
}

static void full_refuses_and_tells_when_there_is_room(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	int i;

	for (i = 0; i < 10; i++)
		harness_publish(h, topic, "a");
	assert_int_equal(harness_send(h, topic, "b"), WEIR_EAGAIN);
	harness_silence(h, WEIR_EV_WRITABLE);
	harness_credit(h, sub, 10);
	for (i = 0; i < 10; i++) {
		struct weir_driver_event event = harness_expect(h, sub, "a");

		harness_ack(h, &event);
	}
	harness_wait(h, WEIR_EV_WRITABLE);
	assert_int_equal(harness_send(h, topic, "b"), WEIR_OK);
	harness_wait(h, WEIR_EV_PUBLISHED);
}

static void bytes_are_bounded_too(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic = harness_topic(h, "t");
	struct weir_sub *sub = harness_subscribe(h, topic, "s", WEIR_START_LATEST);
	struct weir_stats stats = { .size = sizeof stats };
	static char text[40001];

	memset(text, 'x', sizeof text - 1);
	harness_publish(h, topic, text);
	harness_publish(h, topic, text);
	harness_publish(h, topic, text);
	assert_int_equal(harness_send(h, topic, text), WEIR_EAGAIN);
	h->ops.stats(h->inst, &stats);
	assert_true(stats.bytes <= stats.bytes_max);
	assert_int_equal(stats.records, 3);
	harness_unsubscribe(h, sub, 0);
	harness_wait(h, WEIR_EV_WRITABLE);
}

static void a_bad_setting_is_named(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct harness h;

	(void)state;
	harness_load(&h, "memory");
	assert_int_equal(harness_try_open(&h, "maxBytes=much", &err), WEIR_EINVAL);
	assert_non_null(strstr(err.text, "memory.maxBytes"));
	assert_null(h.inst);
	harness_unload(&h);
}

int main(void)
{
	const struct CMUnitTest own[] = {
		cmocka_unit_test_setup_teardown(says_that_nothing_survives, small_setup, driver_case_teardown),
		cmocka_unit_test_setup_teardown(a_record_that_nobody_needs_is_dropped, small_setup,
						driver_case_teardown),
		cmocka_unit_test_setup_teardown(full_refuses_and_tells_when_there_is_room, small_setup,
						driver_case_teardown),
		cmocka_unit_test_setup_teardown(bytes_are_bounded_too, small_setup, driver_case_teardown),
		cmocka_unit_test(a_bad_setting_is_named),
	};

	return driver_run("memory", own, sizeof own / sizeof own[0]);
}
