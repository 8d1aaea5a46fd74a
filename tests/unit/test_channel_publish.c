/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing: every accepted event completes exactly once, whatever the driver does. */
#include "fixtures/channel_rig.h"

#include <string.h>

#include "channel/internal.h"

static uint64_t breaches(enum weir_breach breach)
{
	return atomic_load(&rig.channel->places->backend->breaches[breach]);
}

static void an_accepted_event_completes_with_its_tag(void **state)
{
	(void)state;
	rig_open();
	assert_int_equal(rig_publish(77), WEIR_OK);
	rig_wait(rig.completion_count == 1);
	assert_int_equal(rig.completions[0].tag, 77);
	assert_int_equal(rig.completions[0].outcome, WEIR_PERSISTED);
}

static void completions_of_one_poll_come_in_one_call(void **state)
{
	struct weir_publish_item items[100];
	size_t accepted;

	(void)state;
	rig_open();
	for (size_t i = 0; i < 100; i++)
		items[i] = (struct weir_publish_item){ &rig.event, i };
	assert_int_equal(weir_channel_publish(rig.channel, rig.publisher, items, 100, 0, &accepted, NULL), WEIR_OK);
	assert_int_equal(accepted, 100);
	rig_wait(rig.completion_count == 100);
	assert_int_equal(rig.completion_calls, 1);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(rig.completions[i].tag, i);
}

static void a_large_publish_is_cut_into_several_calls_and_completes_whole(void **state)
{
	static struct weir_publish_item items[5000];
	size_t accepted;

	(void)state;
	rig_open();
	for (size_t i = 0; i < 5000; i++)
		items[i] = (struct weir_publish_item){ &rig.event, i };
	assert_int_equal(weir_channel_publish(rig.channel, rig.publisher, items, 5000, 0, &accepted, NULL), WEIR_OK);
	assert_int_equal(accepted, 5000);
	rig_wait(rig.completion_count == 5000);
	assert_true(fake.publishes > 1);
}

static void what_the_driver_does_not_take_is_not_accepted_and_does_not_complete(void **state)
{
	struct weir_publish_item items[10];
	struct weir_error err = WEIR_ERROR_INIT;
	size_t accepted;

	(void)state;
	fake.accept = 4;
	rig_open();
	for (size_t i = 0; i < 10; i++)
		items[i] = (struct weir_publish_item){ &rig.event, i };
	assert_int_equal(weir_channel_publish(rig.channel, rig.publisher, items, 10, 0, &accepted, &err), WEIR_EAGAIN);
	assert_int_equal(accepted, 4);
	assert_string_equal(err.text, "no more");
	rig_wait(rig.completion_count == 4);
	assert_int_equal(weir_backend_pending(rig.channel->places->backend), 0);
}

static void an_event_that_cannot_be_encoded_stops_behind_those_before_it(void **state)
{
	weir_event bad = { .code = WEIR_EINVAL };
	struct weir_publish_item items[3] = { { &rig.event, 1 }, { &bad, 2 }, { &rig.event, 3 } };
	struct weir_error err = WEIR_ERROR_INIT;
	size_t accepted;

	(void)state;
	rig_open();
	assert_int_equal(weir_channel_publish(rig.channel, rig.publisher, items, 3, 0, &accepted, &err), WEIR_EINVAL);
	assert_int_equal(accepted, 1);
	assert_string_equal(err.text, "not a valid event");
	rig_wait(rig.completion_count == 1);
	assert_int_equal(fake.published, 1);
}

static void who_was_refused_hears_that_there_is_room(void **state)
{
	struct weir_publish_item items[2] = { { &rig.event, 1 }, { &rig.event, 2 } };
	size_t accepted;

	(void)state;
	fake.accept = 1;
	rig_open();
	assert_int_equal(weir_channel_publish(rig.channel, rig.publisher, items, 2, 0, &accepted, NULL), WEIR_EAGAIN);
	rig_wait(rig.completion_count == 1);
	assert_int_equal(rig.completion_calls, 1);
	fake_push((struct weir_driver_event){ .type = WEIR_EV_WRITABLE });
	rig_wait(rig.completion_calls == 2);
	assert_int_equal(rig.completion_count, 1);
}

static void who_was_not_refused_hears_nothing_of_room(void **state)
{
	(void)state;
	rig_open();
	assert_int_equal(rig_publish(1), WEIR_OK);
	rig_wait(rig.completion_count == 1);
	fake_push((struct weir_driver_event){ .type = WEIR_EV_WRITABLE });
	rig_settle_down();
	assert_int_equal(rig.completion_calls, 1);
}

static void an_atomic_publish_is_one_call_with_all_but_the_last_marked(void **state)
{
	static struct weir_publish_item items[600];
	size_t accepted;

	(void)state;
	fake.caps.bits |= WEIR_CAP_BIT(WEIR_CAP_ATOMIC_BATCH);
	rig_open();
	for (size_t i = 0; i < 600; i++)
		items[i] = (struct weir_publish_item){ &rig.event, i };
	assert_int_equal(weir_channel_publish(rig.channel, rig.publisher, items, 600, 1, &accepted, NULL), WEIR_OK);
	assert_int_equal(fake.publishes, 1);
	assert_int_equal(fake.flags[0], WEIR_PUB_ATOMIC);
	assert_int_equal(fake.flags[598], WEIR_PUB_ATOMIC);
	assert_int_equal(fake.flags[599], 0);
}

static void an_atomic_publish_with_one_bad_event_publishes_none(void **state)
{
	weir_event bad = { .code = WEIR_EINVAL };
	struct weir_publish_item items[2] = { { &rig.event, 1 }, { &bad, 2 } };
	size_t accepted;

	(void)state;
	fake.caps.bits |= WEIR_CAP_BIT(WEIR_CAP_ATOMIC_BATCH);
	rig_open();
	assert_int_equal(weir_channel_publish(rig.channel, rig.publisher, items, 2, 1, &accepted, NULL), WEIR_EINVAL);
	assert_int_equal(accepted, 0);
	assert_int_equal(fake.publishes, 0);
	assert_int_equal(weir_backend_pending(rig.channel->places->backend), 0);
}

static void a_second_completion_is_dropped_counted_and_logged_once(void **state)
{
	(void)state;
	fake.hold = true;
	rig_open();
	assert_int_equal(rig_publish(5), WEIR_OK);
	fake_complete(0, WEIR_PERSISTED);
	fake_complete(0, WEIR_PERSISTED);
	fake_complete(0, WEIR_NOT_PERSISTED);
	rig_settle_down();
	assert_int_equal(rig.completion_count, 1);
	assert_int_equal(breaches(WEIR_BREACH_TWICE), 2);
	assert_int_equal(rig_log_count("completed a publish twice"), 1);
}

static void a_completion_of_an_unknown_tag_is_dropped_and_counted(void **state)
{
	static const uint64_t tags[] = { 0, UINT64_MAX, UINT64_C(3) << 52, UINT64_C(0x8000) << 32, 9 };

	(void)state;
	fake.hold = true;
	rig_open();
	assert_int_equal(rig_publish(5), WEIR_OK);
	for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
		fake_push((struct weir_driver_event){ .type = WEIR_EV_PUBLISHED, .tag = tags[i] });
	rig_settle_down();
	assert_int_equal(rig.completion_count, 0);
	assert_int_equal(breaches(WEIR_BREACH_UNKNOWN_TAG), 5);
	fake_complete(0, WEIR_PERSISTED);
	rig_wait(rig.completion_count == 1);
}

static void an_outcome_that_is_none_is_told_as_unknown(void **state)
{
	(void)state;
	fake.hold = true;
	rig_open();
	assert_int_equal(rig_publish(5), WEIR_OK);
	fake_complete(0, 1234);
	rig_wait(rig.completion_count == 1);
	assert_int_equal(rig.completions[0].outcome, WEIR_UNKNOWN);
}

static void a_publish_that_never_completes_is_unknown_after_the_timeout(void **state)
{
	(void)state;
	fake.hold = true;
	fake_config_set(&rig.config, "dispatcher.publishTimeout", "50");
	rig_open();
	assert_int_equal(rig_publish(5), WEIR_OK);
	rig_wait(rig.completion_count == 1);
	assert_int_equal(rig.completions[0].outcome, WEIR_UNKNOWN);
	assert_int_equal(rig.completion_codes[0], WEIR_ETIMEDOUT);
}

static void a_completion_after_the_timeout_is_dropped_and_counted(void **state)
{
	(void)state;
	fake.hold = true;
	fake_config_set(&rig.config, "dispatcher.publishTimeout", "50");
	rig_open();
	assert_int_equal(rig_publish(5), WEIR_OK);
	rig_wait(rig.completion_count == 1);
	fake_complete(0, WEIR_PERSISTED);
	rig_settle_down();
	assert_int_equal(rig.completion_count, 1);
	assert_int_equal(atomic_load(&rig.channel->places->backend->late_persisted), 1);
	assert_int_equal(breaches(WEIR_BREACH_TWICE), 0);
}

static void a_freed_publisher_is_not_told_and_its_lane_serves_the_next(void **state)
{
	(void)state;
	fake.hold = true;
	rig_open();
	assert_int_equal(rig_publish(5), WEIR_OK);
	weir_publisher_free(rig.publisher);
	assert_int_equal(weir_publisher_new(rig.runtime, rig_completion, NULL, &rig.publisher), WEIR_OK);
	assert_int_equal(rig_publish(6), WEIR_OK);
	fake_complete(0, WEIR_PERSISTED);
	fake_complete(1, WEIR_PERSISTED);
	rig_settle_down();
	assert_int_equal(rig.completion_count, 1);
	assert_int_equal(rig.completions[0].tag, 6);
	assert_int_equal(rig.channel->places->backend->lane_count, 1);
}

static void too_many_publishes_under_way_are_refused_and_taken_again_later(void **state)
{
	uint64_t taken = 0;
	int code;

	(void)state;
	fake.hold = true;
	rig_open();
	while ((code = rig_publish(taken)) == WEIR_OK)
		taken++;
	assert_int_equal(code, WEIR_EAGAIN);
	assert_int_equal(taken, WEIR_LANE_CHUNK * WEIR_LANE_CHUNKS);
	fake_complete(7, WEIR_PERSISTED);
	rig_wait(rig.completion_count == 1);
	assert_int_equal(rig_publish(taken), WEIR_OK);
}

static void a_dead_instance_completes_what_is_pending_as_unknown(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	fake.hold = true;
	rig_open();
	assert_int_equal(rig_publish(5), WEIR_OK);
	fake_push((struct weir_driver_event){ .type = WEIR_EV_FATAL });
	rig_wait(rig.completion_count == 1);
	assert_int_equal(rig.completions[0].outcome, WEIR_UNKNOWN);
	assert_int_equal(weir_channel_ready(rig.channel, &err), WEIR_EFATAL);
}

static void publish_wait_returns_when_the_event_is_persisted(void **state)
{
	(void)state;
	rig_open();
	assert_int_equal(weir_channel_publish_wait(rig.channel, &rig.event, rig_soon(), NULL), WEIR_OK);
	assert_int_equal(fake.published, 1);
}

static void publish_wait_gives_up_at_its_deadline_and_hears_no_late_completion(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	fake.hold = true;
	rig_open();
	assert_int_equal(weir_channel_publish_wait(rig.channel, &rig.event, rig_in_ms(20), &err), WEIR_ETIMEDOUT);
	assert_int_equal(err.retry, WEIR_RETRY_MAY_DUP);
	fake_complete(0, WEIR_NOT_PERSISTED);
	rig_settle_down();
	fake.hold = false;
	assert_int_equal(weir_channel_publish_wait(rig.channel, &rig.event, rig_soon(), NULL), WEIR_OK);
}

static void *wait_in_thread(void *ctx)
{
	weir_event event = { .record.body = { "x", 1 } };

	(void)ctx;
	return (void *)(intptr_t)weir_channel_publish_wait(rig.channel, &event, rig_soon(), NULL);
}

static void publish_wait_tells_why_an_event_was_not_persisted(void **state)
{
	static struct weir_error full = { .size = sizeof full, .code = WEIR_ELIMIT, .text = "disk full" };
	struct weir_driver_event event = { .type = WEIR_EV_PUBLISHED, .outcome = WEIR_NOT_PERSISTED, .error = &full };
	pthread_t thread;
	void *code;

	(void)state;
	fake.hold = true;
	rig_open();
	assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, NULL), 0);
	rig_wait(fake.published == 1);
	event.tag = fake_tag(0);
	fake_push(event);
	pthread_join(thread, &code);
	assert_int_equal((intptr_t)code, WEIR_ELIMIT);
}

static void publish_wait_is_not_ended_by_the_completion_of_one_that_gave_up(void **state)
{
	pthread_t thread;
	void *code;

	(void)state;
	fake.hold = true;
	rig_open();
	assert_int_equal(weir_channel_publish_wait(rig.channel, &rig.event, rig_in_ms(20), NULL), WEIR_ETIMEDOUT);
	assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, NULL), 0);
	rig_wait(fake.published == 2);
	fake_complete(0, WEIR_NOT_PERSISTED);
	rig_settle_down();
	fake_complete(1, WEIR_PERSISTED);
	pthread_join(thread, &code);
	assert_int_equal((intptr_t)code, WEIR_OK);
}

static void publish_wait_tells_why_an_event_was_not_taken(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	fake.publish_code = WEIR_ELIMIT;
	rig_open();
	assert_int_equal(weir_channel_publish_wait(rig.channel, &rig.event, rig_soon(), &err), WEIR_ELIMIT);
	assert_string_equal(err.text, "no more");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_accepted_event_completes_with_its_tag),
		CASE(completions_of_one_poll_come_in_one_call),
		CASE(a_large_publish_is_cut_into_several_calls_and_completes_whole),
		CASE(what_the_driver_does_not_take_is_not_accepted_and_does_not_complete),
		CASE(an_event_that_cannot_be_encoded_stops_behind_those_before_it),
		CASE(who_was_refused_hears_that_there_is_room),
		CASE(who_was_not_refused_hears_nothing_of_room),
		CASE(an_atomic_publish_is_one_call_with_all_but_the_last_marked),
		CASE(an_atomic_publish_with_one_bad_event_publishes_none),
		CASE(a_second_completion_is_dropped_counted_and_logged_once),
		CASE(a_completion_of_an_unknown_tag_is_dropped_and_counted),
		CASE(an_outcome_that_is_none_is_told_as_unknown),
		CASE(a_publish_that_never_completes_is_unknown_after_the_timeout),
		CASE(a_completion_after_the_timeout_is_dropped_and_counted),
		CASE(a_freed_publisher_is_not_told_and_its_lane_serves_the_next),
		CASE(too_many_publishes_under_way_are_refused_and_taken_again_later),
		CASE(a_dead_instance_completes_what_is_pending_as_unknown),
		CASE(publish_wait_returns_when_the_event_is_persisted),
		CASE(publish_wait_gives_up_at_its_deadline_and_hears_no_late_completion),
		CASE(publish_wait_tells_why_an_event_was_not_persisted),
		CASE(publish_wait_is_not_ended_by_the_completion_of_one_that_gave_up),
		CASE(publish_wait_tells_why_an_event_was_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
