/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing, and a driver that misbehaves while doing so. */
#include "fixtures/channel_rig.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "channel/internal.h"

static int open_channel(weir_channel **ret, struct weir_error *err)
{
	return weir_channel_open(rig.runtime, "ns", "name", "FakeChannel", ret, err);
}

/* ---- opening ------------------------------------------------------------- */

static void the_kind_comes_from_the_configuration_if_none_is_named(void **state)
{
	weir_channel *channel;

	(void)state;
	rig_open_runtime();
	assert_int_equal(weir_channel_open(rig.runtime, "ns", "name", NULL, &channel, NULL), WEIR_OK);
	assert_string_equal(weir_channel_kind(channel), "FakeChannel");
	assert_string_equal(weir_channel_namespace(channel), "ns");
	assert_string_equal(weir_channel_name(channel), "name");
}

static void the_same_channel_again_is_the_same_and_counted(void **state)
{
	weir_channel *again;

	(void)state;
	rig_open();
	assert_int_equal(open_channel(&again, NULL), WEIR_OK);
	assert_ptr_equal(again, rig.channel);
	weir_channel_close(again);
	assert_int_equal(fake.topics_open, 1);
	weir_channel_close(rig.channel);
	assert_int_equal(fake.topics_open, 0);
}

static void a_name_that_could_be_a_path_or_cannot_be_shown_is_refused(void **state)
{
	static const char *const bad[] = { "", ".", "..", ".hidden", "a/b", "a b", "a\nb", "\x7f" };
	char large[300];
	weir_channel *channel;

	(void)state;
	rig_open_runtime();
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(weir_channel_open(rig.runtime, bad[i], "n", NULL, &channel, NULL), WEIR_EINVAL);
		assert_int_equal(weir_channel_open(rig.runtime, "n", bad[i], NULL, &channel, NULL), WEIR_EINVAL);
	}
	memset(large, 'a', sizeof large);
	large[254] = '\0';
	assert_int_equal(weir_channel_open(rig.runtime, "n", large, NULL, &channel, NULL), WEIR_EINVAL);
	large[253] = '\0';
	assert_int_equal(weir_channel_open(rig.runtime, "n", large, NULL, &channel, NULL), WEIR_OK);
	assert_int_equal(fake.topics_open, 1);
}

static void *open_in_thread(void *ret)
{
	return (void *)(intptr_t)open_channel(ret, NULL);
}

static void threads_that_open_one_channel_at_the_same_time_share_it(void **state)
{
	weir_channel *channels[4] = { 0 };
	pthread_t threads[4];

	(void)state;
	rig_open_runtime();
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, open_in_thread, &channels[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 4; i++)
		assert_true(channels[i] && channels[i] == channels[0]);
	assert_int_equal(fake.opens, 1);
	assert_int_equal(fake.topics_open, 1);
}

static void why_a_driver_does_not_open_is_told_and_it_may_be_tried_again(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;
	weir_channel *channel;

	(void)state;
	fake.open_code = WEIR_EAUTH;
	rig_open_runtime();
	assert_int_equal(open_channel(&channel, &err), WEIR_EAUTH);
	assert_string_equal(err.text, "fake.path: cannot be opened");
	fake.open_code = WEIR_OK;
	assert_int_equal(open_channel(&channel, &err), WEIR_OK);
}

static void a_wrong_setting_is_told_before_the_driver_opens(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;
	weir_channel *channel;

	(void)state;
	rig.config.driver_code = WEIR_EINVAL;
	rig_open_runtime();
	assert_int_equal(open_channel(&channel, &err), WEIR_EINVAL);
	assert_string_equal(err.text, "fake.pth: no such key");
	assert_int_equal(fake.opens, 0);
}

static void a_driver_that_opens_nothing_is_refused(void **state)
{
	weir_channel *channel;

	(void)state;
	fake.open_without_inst = true;
	rig_open_runtime();
	assert_int_equal(open_channel(&channel, NULL), WEIR_EINTERNAL);
}

static void a_thread_level_that_is_none_is_refused_and_the_instance_closed(void **state)
{
	weir_channel *channel;

	(void)state;
	fake.caps.thread_level = 17;
	rig_open_runtime();
	assert_int_equal(open_channel(&channel, NULL), WEIR_EINVAL);
	assert_int_equal(fake.closes, 1);
}

static void a_driver_without_a_descriptor_is_refused_and_the_instance_closed(void **state)
{
	weir_channel *channel;

	(void)state;
	fake.fd = -1;
	rig_open_runtime();
	assert_int_equal(open_channel(&channel, NULL), WEIR_EINTERNAL);
	assert_int_equal(fake.closes, 1);
}

static void an_open_that_hangs_is_given_up_and_closed_when_it_comes_back(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;
	weir_channel *channel;

	(void)state;
	atomic_store(&weir_backend_open_patience_ms, 50);
	fake.hang_open = true;
	rig_open_runtime();
	assert_int_equal(open_channel(&channel, &err), WEIR_ETIMEDOUT);
	assert_non_null(strstr(err.text, "builtin:fake: open has not returned for 50 ms"));
	rig_close();
	atomic_store(&weir_backend_open_patience_ms, 30000);
	fake.hang_open = false;
	rig_wait(fake.closes == 1);
}

static void a_topic_that_the_driver_refuses_leaves_no_channel(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;
	weir_channel *channel;

	(void)state;
	rig_open_runtime();
	assert_int_equal(weir_channel_open(rig.runtime, "ns", "refused", "FakeChannel", &channel, &err), WEIR_EINVAL);
	assert_string_equal(err.text, "refused");
	assert_null(rig.runtime->channels);
}

static void a_backend_that_is_down_at_the_start_opens_and_is_not_ready(void **state)
{
	(void)state;
	fake.open_down = true;
	rig_open();
	assert_int_equal(weir_channel_ready(rig.channel, NULL), WEIR_EUNAVAIL);
}

static void a_channel_is_ready_when_its_topic_is(void **state)
{
	(void)state;
	fake.topic_silent = true;
	rig_open();
	rig_settle_down();
	assert_int_equal(weir_channel_ready(rig.channel, NULL), WEIR_EAGAIN);
	fake_push((struct weir_driver_event){ .type = WEIR_EV_TOPIC_READY, .topic = fake_topic() });
	rig_settle_down();
	assert_int_equal(weir_channel_ready(rig.channel, NULL), WEIR_OK);
}

static void a_topic_that_fails_later_tells_why(void **state)
{
	static struct weir_error why = { .size = sizeof why, .code = WEIR_ENOPERM, .text = "not allowed" };
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	rig_open();
	fake_push((struct weir_driver_event){ .type = WEIR_EV_TOPIC_FAILED, .topic = fake_topic(), .error = &why });
	rig_settle_down();
	assert_int_equal(weir_channel_ready(rig.channel, &err), WEIR_ENOPERM);
	assert_string_equal(err.text, "not allowed");
	assert_true(rig_logged("channel ns/name: not allowed"));
}

static void what_a_driver_logs_becomes_one_line(void **state)
{
	(void)state;
	rig_open();
	assert_true(rig_logged("2 driver fake: opened?with a second line"));
}

static void changed_capabilities_hold_from_then_on(void **state)
{
	const struct weir_caps *before;

	(void)state;
	rig_open();
	before = weir_channel_caps(rig.channel);
	pthread_mutex_lock(&fake.lock);
	fake.caps.max_record_bytes = 3;
	pthread_mutex_unlock(&fake.lock);
	fake_push((struct weir_driver_event){ .type = WEIR_EV_CAPS_CHANGED });
	rig_settle_down();
	assert_int_equal(weir_channel_caps(rig.channel)->max_record_bytes, 3);
	assert_int_equal(before->max_record_bytes, 0);
}

/* Calls that run hold the locks of the level they began with. */
static void capabilities_with_another_thread_level_are_not_taken(void **state)
{
	const struct weir_caps *before;

	(void)state;
	rig_open();
	before = weir_channel_caps(rig.channel);
	pthread_mutex_lock(&fake.lock);
	fake.caps.max_record_bytes = 3;
	fake.caps.thread_level = WEIR_THREAD_INSTANCE;
	pthread_mutex_unlock(&fake.lock);
	fake_push((struct weir_driver_event){ .type = WEIR_EV_CAPS_CHANGED });
	rig_settle_down();
	assert_ptr_equal(weir_channel_caps(rig.channel), before);
}

static void an_open_backend_tells_how_it_is_doing(void **state)
{
	static struct weir_error why = { .size = sizeof why, .code = WEIR_EUNAVAIL, .text = "connection refused" };
	struct weir_backend_info info;

	(void)state;
	fake.hold = true;
	rig_open();
	assert_int_equal(rig_publish(1), WEIR_OK);
	fake_push((struct weir_driver_event){ .type = WEIR_EV_PUBLISHED, .tag = 12345 });
	rig_settle_down();
	assert_int_equal(weir_runtime_backend_info(rig.runtime, 0, &info), WEIR_OK);
	assert_string_equal(info.kind, "FakeChannel");
	assert_string_equal(info.driver, "fake");
	assert_int_equal(info.health.state, WEIR_HEALTH_UP);
	assert_int_equal(info.pending, 1);
	assert_int_equal(info.breaches, 1);
	assert_int_equal(info.stats.records, UINT64_MAX);
	assert_int_equal(weir_runtime_backend_info(rig.runtime, 1, &info), WEIR_ENOTFOUND);
	fake_push((struct weir_driver_event){ .type = WEIR_EV_DOWN, .error = &why });
	rig_settle_down();
	assert_int_equal(weir_runtime_backend_info(rig.runtime, 0, &info), WEIR_OK);
	assert_int_equal(info.health.state, WEIR_HEALTH_DOWN);
	assert_string_equal(info.health.error.text, "connection refused");
}

/* ---- while it runs ------------------------------------------------------- */

static void events_that_make_no_sense_do_no_harm(void **state)
{
	static struct weir_error garbage = { .size = 7, .code = 60000, .retry = 99 };
	static char nobody;

	(void)state;
	memset(garbage.text, '\n', sizeof garbage.text);
	rig_open();
	rig_subscribe("s", 10);
	for (uint32_t type = 0; type < 40; type++) {
		fake_push((struct weir_driver_event){ .type = type == WEIR_EV_FATAL ? 0 : type, .tag = 99 });
		fake_push((struct weir_driver_event){
		    .type = type == WEIR_EV_FATAL ? 0 : type, .sub = (struct weir_sub *)&nobody, .error = &garbage });
		fake_push((struct weir_driver_event){ .type = type == WEIR_EV_FATAL ? 0 : type,
						      .topic = (struct weir_topic *)&nobody });
	}
	fake_push((struct weir_driver_event){ .type = WEIR_EV_STALL, .sub = fake_sub(0), .error = &garbage });
	rig_settle_down();
	assert_int_equal(rig.notices[rig.notice_count - 1].type, WEIR_EV_STALL);
	assert_int_equal(rig_publish(1), WEIR_OK);
	rig_wait(rig.completion_count == 1);
}

static void being_slowed_down_is_logged_but_not_each_time(void **state)
{
	static struct weir_error why = { .size = sizeof why, .code = WEIR_EAGAIN, .text = "quota exceeded" };

	(void)state;
	rig_open();
	for (int i = 0; i < 5; i++)
		fake_push((struct weir_driver_event){ .type = WEIR_EV_THROTTLE, .error = &why });
	rig_settle_down();
	assert_int_equal(rig_log_count("the backend slows Weir down: quota exceeded"), 1);
}

static void a_poll_that_fails_is_tried_again(void **state)
{
	unsigned polls;

	(void)state;
	rig_open();
	fake.poll_code = WEIR_EIO;
	fake_push((struct weir_driver_event){ .type = WEIR_EV_WRITABLE });
	rig_wait(rig_logged("poll failed"));
	polls = fake.polls;
	rig_wait(fake.polls > polls);
	fake.poll_code = WEIR_OK;
	assert_int_equal(rig_publish(1), WEIR_OK);
	rig_wait(rig.completion_count == 1);
}

static void a_poll_that_says_fatal_makes_the_instance_dead(void **state)
{
	(void)state;
	fake.hold = true;
	rig_open();
	assert_int_equal(rig_publish(1), WEIR_OK);
	fake.poll_code = WEIR_EFATAL;
	fake_push((struct weir_driver_event){ .type = WEIR_EV_WRITABLE });
	rig_wait(rig.completion_count == 1);
	assert_int_equal(rig.completions[0].outcome, WEIR_UNKNOWN);
	assert_int_equal(weir_channel_ready(rig.channel, NULL), WEIR_EFATAL);
	assert_int_equal(rig_log_count("its instance is dead and will be opened anew"), 1);
}

static void a_descriptor_that_stays_readable_does_not_keep_the_pump_busy(void **state)
{
	unsigned polls;
	int64_t start;

	(void)state;
	rig_open();
	fake.spin = true;
	fake_push((struct weir_driver_event){ .type = WEIR_EV_WRITABLE });
	rig_wait(rig_logged("its event_fd is readable though poll has nothing"));
	polls = fake.polls;
	start = weir_clock_now_ns();
	rig_wait(fake.polls >= polls + 20);
	assert_true(weir_clock_now_ns() - start > 50 * WEIR_NS_PER_MS);
}

static void *publish_in_thread(void *ctx)
{
	(void)ctx;
	return (void *)(intptr_t)rig_publish(1);
}

static void a_publish_that_blocks_is_reported(void **state)
{
	int64_t start = weir_clock_now_ns();
	pthread_t thread;

	(void)state;
	rig_open();
	fake.hang_publish = true;
	pthread_create(&thread, NULL, publish_in_thread, NULL);
	rig_wait(weir_clock_now_ns() - start > 1200 * WEIR_NS_PER_MS);
	fake.hang_publish = false;
	pthread_join(thread, NULL);
	assert_true(rig_logged("publish took longer than a second"));
}

/* ---- closing ------------------------------------------------------------- */

static void closing_flushes_unsubscribes_and_closes(void **state)
{
	(void)state;
	rig_open();
	rig_subscribe("s", 10);
	assert_int_equal(weir_runtime_close(rig.runtime, rig_soon(), NULL), WEIR_OK);
	rig.runtime = NULL;
	assert_int_equal(fake.flushes, 1);
	assert_int_equal(fake.unsubscribes, 1);
	assert_int_equal(fake.topics_open, 0);
	assert_int_equal(fake.closes, 1);
}

static void events_that_were_not_dispatched_at_the_close_are_given_back(void **state)
{
	(void)state;
	rig_open();
	rig_subscribe("s", 1000);
	weir_mem_fail(1, 1);
	for (uint64_t i = 0; i < 10; i++)
		fake_deliver(0, i);
	/* The topic is ready, the subscription is ready, and the first delivery. */
	rig_wait(fake_polled() >= 3);
	assert_int_equal(weir_runtime_close(rig.runtime, rig_in_ms(0), NULL), WEIR_OK);
	rig.runtime = NULL;
	weir_mem_fail(0, 0);
	assert_int_equal(fake.releases, fake_polled() - 2);
}

static void *complete_in_thread(void *ctx)
{
	rig_wait(fake.flushes == 1);
	*(int *)ctx = rig_publish(2);
	fake_complete(0, WEIR_PERSISTED);
	return NULL;
}

static void closing_waits_for_pending_publishes_and_takes_no_more(void **state)
{
	int code = -1;
	pthread_t thread;

	(void)state;
	fake.hold = true;
	rig_open();
	assert_int_equal(rig_publish(1), WEIR_OK);
	pthread_create(&thread, NULL, complete_in_thread, &code);
	assert_int_equal(weir_runtime_close(rig.runtime, rig_soon(), NULL), WEIR_OK);
	rig.runtime = NULL;
	pthread_join(thread, NULL);
	assert_int_equal(code, WEIR_ECLOSED);
	assert_int_equal(rig.completion_count, 1);
	assert_int_equal(rig.completions[0].outcome, WEIR_PERSISTED);
}

static void what_is_pending_at_the_deadline_completes_as_unknown(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	fake.hold = true;
	rig_open();
	assert_int_equal(rig_publish(1), WEIR_OK);
	assert_int_equal(weir_runtime_close(rig.runtime, rig_in_ms(20), &err), WEIR_ETIMEDOUT);
	rig.runtime = NULL;
	assert_non_null(strstr(err.text, "publishes were still pending"));
	assert_int_equal(rig.completion_count, 1);
	assert_int_equal(rig.completions[0].outcome, WEIR_UNKNOWN);
}

static void a_call_that_does_not_return_does_not_keep_the_runtime_from_closing(void **state)
{
	int64_t deadline_ns;
	pthread_t thread;

	(void)state;
	rig_open();
	fake.hang_publish = true;
	pthread_create(&thread, NULL, publish_in_thread, NULL);
	rig_wait(fake.inside > 0);
	deadline_ns = rig_in_ms(50);
	assert_int_equal(weir_runtime_close(rig.runtime, deadline_ns, NULL), WEIR_ETIMEDOUT);
	rig.runtime = NULL;
	assert_true(weir_clock_now_ns() < deadline_ns + WEIR_NS_PER_S);
	assert_int_equal(fake.closes, 0);
	fake.hang_publish = false;
	pthread_join(thread, NULL);
}

static void close_in_callback(void *ctx, const struct weir_completion *completions, size_t count)
{
	(void)completions;
	(void)count;
	*(int *)ctx = weir_runtime_close(rig.runtime, 0, NULL);
	rig_completion(NULL, completions, count);
}

static void closing_from_a_callback_is_refused(void **state)
{
	int code = -1;

	(void)state;
	rig_open();
	weir_publisher_free(rig.publisher);
	assert_int_equal(weir_publisher_new(rig.runtime, close_in_callback, &code, &rig.publisher), WEIR_OK);
	assert_int_equal(rig_publish(1), WEIR_OK);
	rig_wait(rig.completion_count == 1);
	assert_int_equal(code, WEIR_EINVAL);
}

static void a_publisher_may_be_freed_after_the_runtime(void **state)
{
	(void)state;
	rig_open();
	assert_int_equal(rig_publish(1), WEIR_OK);
	rig_wait(rig.completion_count == 1);
	assert_int_equal(weir_runtime_close(rig.runtime, rig_soon(), NULL), WEIR_OK);
	rig.runtime = NULL;
	weir_publisher_free(rig.publisher);
	rig.publisher = NULL;
}

/* ---- fork ---------------------------------------------------------------- */

/* Returns the number of the first call that was not refused; 0: all were. */
static int calls_in_child(weir_subscription *sub)
{
	struct weir_subscription_spec spec = rig_spec("t", 1);
	weir_subscription *other;
	weir_channel *channel;
	unsigned publishes = fake.publishes;
	struct weir_caps caps;

	if (rig_publish(1) != WEIR_EFORKED)
		return 1;
	if (weir_channel_publish_wait(rig.channel, &rig.event, rig_soon(), NULL) != WEIR_EFORKED)
		return 2;
	if (open_channel(&channel, NULL) != WEIR_EFORKED)
		return 3;
	if (weir_channel_subscribe(rig.channel, &spec, &other, NULL) != WEIR_EFORKED)
		return 4;
	if (weir_delivery_settle(rig.deliveries, 1, WEIR_ACK, 0) != WEIR_EFORKED)
		return 5;
	if (weir_channel_ready(rig.channel, NULL) != WEIR_EFORKED)
		return 6;
	if (weir_subscription_pause(sub, 1) != WEIR_EFORKED)
		return 7;
	if (weir_subscription_close(sub, 1, rig_soon(), NULL) != WEIR_EFORKED)
		return 8;
	if (weir_runtime_close(rig.runtime, rig_soon(), NULL) != WEIR_EFORKED)
		return 9;
	if (weir_guard_caps(&rig.channel->places->backend->guard, &caps) != WEIR_EFORKED)
		return 10;
	weir_delivery_free(rig.deliveries[0]);
	return fake.publishes == publishes && fake.settles == 0 && fake.releases == 0 ? 0 : 11;
}

static void in_a_forked_child_every_call_is_refused_and_the_parent_goes_on(void **state)
{
	weir_subscription *sub;
	pid_t child;
	int status;

	(void)state;
	rig_open();
	sub = rig_subscribe("s", 10);
	fake_deliver(0, 1);
	rig_wait(rig.delivery_count == 1);
	child = fork();
	if (child == 0)
		_exit(calls_in_child(sub));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(rig_publish(1), WEIR_OK);
	rig_wait(rig.completion_count == 1);
	assert_int_equal(weir_delivery_settle(rig.deliveries, 1, WEIR_ACK, 0), WEIR_OK);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_kind_comes_from_the_configuration_if_none_is_named),
		CASE(the_same_channel_again_is_the_same_and_counted),
		CASE(a_name_that_could_be_a_path_or_cannot_be_shown_is_refused),
		CASE(threads_that_open_one_channel_at_the_same_time_share_it),
		CASE(why_a_driver_does_not_open_is_told_and_it_may_be_tried_again),
		CASE(a_wrong_setting_is_told_before_the_driver_opens),
		CASE(a_driver_that_opens_nothing_is_refused),
		CASE(a_thread_level_that_is_none_is_refused_and_the_instance_closed),
		CASE(a_driver_without_a_descriptor_is_refused_and_the_instance_closed),
		CASE(an_open_that_hangs_is_given_up_and_closed_when_it_comes_back),
		CASE(a_topic_that_the_driver_refuses_leaves_no_channel),
		CASE(a_backend_that_is_down_at_the_start_opens_and_is_not_ready),
		CASE(a_channel_is_ready_when_its_topic_is),
		CASE(a_topic_that_fails_later_tells_why),
		CASE(what_a_driver_logs_becomes_one_line),
		CASE(changed_capabilities_hold_from_then_on),
		CASE(capabilities_with_another_thread_level_are_not_taken),
		CASE(an_open_backend_tells_how_it_is_doing),
		CASE(events_that_make_no_sense_do_no_harm),
		CASE(being_slowed_down_is_logged_but_not_each_time),
		CASE(a_poll_that_fails_is_tried_again),
		CASE(a_poll_that_says_fatal_makes_the_instance_dead),
		CASE(a_descriptor_that_stays_readable_does_not_keep_the_pump_busy),
		CASE(a_publish_that_blocks_is_reported),
		CASE(closing_flushes_unsubscribes_and_closes),
		CASE(events_that_were_not_dispatched_at_the_close_are_given_back),
		CASE(closing_waits_for_pending_publishes_and_takes_no_more),
		CASE(what_is_pending_at_the_deadline_completes_as_unknown),
		CASE(a_call_that_does_not_return_does_not_keep_the_runtime_from_closing),
		CASE(closing_from_a_callback_is_refused),
		CASE(a_publisher_may_be_freed_after_the_runtime),
		CASE(in_a_forked_child_every_call_is_refused_and_the_parent_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
