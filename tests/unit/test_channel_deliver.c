/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries: credit, settling, pausing, closing. */
#include "fixtures/channel_rig.h"

#include <string.h>

#include "channel/internal.h"

static void a_subscription_gives_credit_for_its_window_at_the_start(void **state)
{
	(void)state;
	rig_open();
	rig_subscribe("s", 10);
	assert_int_equal(fake.credit[0], 10);
	assert_true(fake.credit_bytes[0] >= INT64_MAX / 4);
}

static void deliveries_come_in_order(void **state)
{
	(void)state;
	rig_open();
	rig_subscribe("s", 100);
	for (uint64_t i = 0; i < 100; i++)
		fake_deliver(0, i);
	rig_wait(rig.delivery_count == 100);
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(weir_delivery_position(rig.deliveries[i]), i);
	weir_delivery_settle(rig.deliveries, 100, WEIR_ACK, 0);
}

static void a_delivery_tells_what_the_driver_said_of_it(void **state)
{
	struct weir_driver_event event = { .type = WEIR_EV_DELIVER,
					   .token = { .epoch = 1, .seq = 4 },
					   .attempt = 3,
					   .position = 4,
					   .time_ms = 1700000000123,
					   .flags = WEIR_MSG_REDELIVERED };
	weir_subscription *subscription;
	int word;

	(void)state;
	rig_open();
	subscription = rig_subscribe("s", 10);
	event.sub = fake_sub(0);
	fake_push(event);
	rig_wait(rig.delivery_count == 1);
	assert_ptr_equal(weir_delivery_subscription(rig.deliveries[0]), subscription);
	assert_int_equal(weir_delivery_attempt(rig.deliveries[0]), 3);
	assert_int_equal(weir_delivery_position(rig.deliveries[0]), 4);
	assert_int_equal(weir_delivery_time_ms(rig.deliveries[0]), 1700000000123);
	assert_int_equal(weir_delivery_flags(rig.deliveries[0]), WEIR_MSG_REDELIVERED);
	assert_null(weir_delivery_user(rig.deliveries[0]));
	weir_delivery_set_user(rig.deliveries[0], &word);
	assert_ptr_equal(weir_delivery_user(rig.deliveries[0]), &word);
	weir_delivery_settle(rig.deliveries, 1, WEIR_ACK, 0);
}

static void acking_tells_the_driver_releases_the_lease_and_gives_credit_once(void **state)
{
	(void)state;
	rig_open();
	rig_subscribe("s", 10);
	fake_deliver(0, 4);
	fake_deliver(0, 5);
	rig_wait(rig.delivery_count == 2);
	fake.credit[0] = 0;
	assert_int_equal(weir_delivery_settle(rig.deliveries, 2, WEIR_ACK, 0), WEIR_OK);
	assert_int_equal(fake.settles, 2);
	assert_int_equal(fake.settled[0].token.seq, 4);
	assert_int_equal(fake.settled[1].token.seq, 5);
	assert_int_equal(fake.releases, 2);
	assert_int_equal(fake.credit[0], 2);
}

static void nack_carries_its_delay(void **state)
{
	(void)state;
	rig_open();
	rig_subscribe("s", 10);
	fake_deliver(0, 4);
	rig_wait(rig.delivery_count == 1);
	assert_int_equal(weir_delivery_settle(rig.deliveries, 1, WEIR_NACK, 250), WEIR_OK);
	assert_int_equal(fake.settled[0].verb, WEIR_NACK);
	assert_int_equal(fake.settled[0].arg, 250);
}

static void extending_keeps_the_delivery(void **state)
{
	(void)state;
	rig_open();
	rig_subscribe("s", 10);
	fake_deliver(0, 4);
	rig_wait(rig.delivery_count == 1);
	assert_int_equal(weir_delivery_settle(rig.deliveries, 1, WEIR_EXTEND, 1000), WEIR_OK);
	assert_int_equal(fake.releases, 0);
	assert_int_equal(weir_delivery_position(rig.deliveries[0]), 4);
	assert_int_equal(weir_delivery_settle(rig.deliveries, 1, WEIR_ACK, 0), WEIR_OK);
	assert_int_equal(fake.releases, 1);
}

static void settling_twice_is_refused(void **state)
{
	(void)state;
	rig_open();
	rig_subscribe("s", 10);
	fake_deliver(0, 4);
	rig_wait(rig.delivery_count == 1);
	assert_int_equal(weir_delivery_settle(rig.deliveries, 1, WEIR_ACK, 0), WEIR_OK);
	assert_int_equal(weir_delivery_settle(rig.deliveries, 1, WEIR_ACK, 0), WEIR_EINVAL);
	assert_int_equal(fake.settles, 1);
	assert_int_equal(fake.releases, 1);
}

static void a_stale_token_is_told_and_the_delivery_freed(void **state)
{
	(void)state;
	rig_open();
	rig_subscribe("s", 10);
	fake_deliver(0, 4);
	rig_wait(rig.delivery_count == 1);
	fake.settle_code = WEIR_ESTALE;
	assert_int_equal(weir_delivery_settle(rig.deliveries, 1, WEIR_ACK, 0), WEIR_ESTALE);
	assert_int_equal(fake.releases, 1);
}

static void an_ack_that_the_backend_lost_is_logged_and_told(void **state)
{
	struct weir_error lost = { .size = sizeof lost, .code = WEIR_EIO, .text = "the commit was refused" };
	size_t told;

	(void)state;
	rig_open();
	rig_subscribe("s", 4);
	rig_settle_down();
	told = rig.notice_count;
	fake_push((struct weir_driver_event){ .type = WEIR_EV_SETTLED, .sub = fake_sub(0), .error = &lost });
	rig_wait(rig.notice_count == told + 1);
	assert_int_equal(rig.notices[told].type, WEIR_EV_SETTLED);
	assert_true(rig_logged("has not kept an acknowledgement, the event will come again: the commit was refused"));
}

static void what_was_delivered_before_a_revocation_is_stale_without_asking_the_driver(void **state)
{
	struct weir_driver_event revoked = { .type = WEIR_EV_REVOKED, .sub = fake_sub(0), .token = { 1, 0, 0 } };

	(void)state;
	rig_open();
	rig_subscribe("s", 10);
	fake_deliver(0, 4);
	fake_push(revoked);
	rig_wait(rig.notice_count >= 2);
	assert_int_equal(rig.deliveries_before_notice, 1);
	assert_int_equal(weir_delivery_settle(rig.deliveries, 1, WEIR_ACK, 0), WEIR_ESTALE);
	assert_int_equal(fake.settles, 0);
	assert_int_equal(fake.releases, 1);
}

static void a_delivery_beyond_credit_is_held_until_there_is_credit(void **state)
{
	(void)state;
	rig_open();
	rig_subscribe("s", 2);
	for (uint64_t i = 0; i < 5; i++)
		fake_deliver(0, i);
	rig_settle_down();
	assert_int_equal(rig.delivery_count, 2);
	assert_int_equal(rig_log_count("more than it has credit for"), 1);
	fake.credit[0] = 0;
	assert_int_equal(weir_delivery_settle(rig.deliveries, 1, WEIR_ACK, 0), WEIR_OK);
	rig_wait(rig.delivery_count == 3);
	assert_int_equal(fake.credit[0], 0);
	assert_int_equal(weir_delivery_settle(rig.deliveries + 1, 2, WEIR_ACK, 0), WEIR_OK);
	rig_wait(rig.delivery_count == 5);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(rig.deliveries[i]->position, i);
	assert_int_equal(weir_delivery_settle(rig.deliveries + 3, 2, WEIR_ACK, 0), WEIR_OK);
	assert_int_equal(fake.credit[0], 2);
}

static void a_flood_beyond_credit_loses_nothing(void **state)
{
	size_t settled = 0;

	(void)state;
	rig_open();
	rig_subscribe("s", 4);
	for (uint64_t i = 0; i < 2000; i++)
		fake_deliver(0, i);
	while (settled < 2000) {
		size_t got;

		rig_wait(rig.delivery_count > settled);
		pthread_mutex_lock(&rig.lock);
		got = rig.delivery_count - settled;
		pthread_mutex_unlock(&rig.lock);
		assert_true(got <= 4);
		assert_int_equal(weir_delivery_position(rig.deliveries[settled]), settled);
		assert_int_equal(weir_delivery_settle(rig.deliveries + settled, got, WEIR_ACK, 0), WEIR_OK);
		settled += got;
	}
}

static void bytes_are_given_as_credit_when_there_is_a_window_for_them(void **state)
{
	struct weir_subscription_spec spec = rig_spec("s", 10);
	weir_subscription *sub;

	(void)state;
	rig_open();
	spec.window_bytes = 1000;
	assert_int_equal(weir_channel_subscribe(rig.channel, &spec, &sub, NULL), WEIR_OK);
	assert_int_equal(fake.credit_bytes[0], 1000);
	fake_deliver(0, 1);
	rig_wait(rig.delivery_count == 1);
	assert_int_equal(weir_delivery_settle(rig.deliveries, 1, WEIR_ACK, 0), WEIR_OK);
	assert_int_equal(fake.credit_bytes[0], 1004);
}

static void a_paused_subscription_gets_nothing_until_it_is_resumed(void **state)
{
	weir_subscription *sub;

	(void)state;
	rig_open();
	sub = rig_subscribe("s", 10);
	assert_int_equal(weir_subscription_pause(sub, 1), WEIR_OK);
	fake_deliver(0, 1);
	rig_settle_down();
	assert_int_equal(rig.delivery_count, 0);
	assert_int_equal(weir_subscription_pause(sub, 0), WEIR_OK);
	rig_wait(rig.delivery_count == 1);
	assert_int_equal(weir_delivery_settle(rig.deliveries, 1, WEIR_ACK, 0), WEIR_OK);
}

static void a_driver_that_can_pause_is_told(void **state)
{
	weir_subscription *sub;

	(void)state;
	fake.caps.bits |= WEIR_CAP_BIT(WEIR_CAP_PAUSE);
	rig_open();
	sub = rig_subscribe("s", 10);
	assert_int_equal(weir_subscription_pause(sub, 1), WEIR_OK);
	assert_int_equal(fake.paused, 1);
	assert_int_equal(weir_subscription_pause(sub, 0), WEIR_OK);
	assert_int_equal(fake.paused, 0);
}

static void after_closing_no_delivery_comes_and_the_lease_is_released(void **state)
{
	weir_subscription *sub;

	(void)state;
	rig_open();
	sub = rig_subscribe("s", 10);
	assert_int_equal(weir_subscription_close(sub, 1, rig_soon(), NULL), WEIR_OK);
	fake_deliver(0, 1);
	rig_wait(fake.releases == 1);
	assert_int_equal(rig.delivery_count, 0);
	assert_int_equal(rig_log_count("subscription or channel that is not open"), 1);
}

static void deliver_and_wait(void)
{
	fake_deliver(0, 1);
	fake_until_polled();
}

static void what_comes_while_it_is_being_closed_is_not_handed_out(void **state)
{
	weir_subscription *sub;

	(void)state;
	fake.on_unsubscribe = deliver_and_wait;
	rig_open();
	sub = rig_subscribe("s", 10);
	assert_int_equal(weir_subscription_close(sub, 1, rig_soon(), NULL), WEIR_OK);
	assert_int_equal(rig.delivery_count, 0);
	assert_int_equal(fake.releases, 1);
	assert_false(rig_logged("breaks its contract"));
}

/* On another channel: the turn of this one is with whoever closes. */
static void subscribe_again(void)
{
	struct weir_subscription_spec spec = rig_spec("again", 10);
	weir_subscription *sub;
	weir_channel *other;

	fake.on_unsubscribe = NULL;
	fake.subs = 0;
	assert_int_equal(weir_channel_open(rig.runtime, "ns", "other", NULL, &other, NULL), WEIR_OK);
	assert_int_equal(weir_channel_subscribe(other, &spec, &sub, NULL), WEIR_OK);
}

static void a_new_subscription_may_have_the_address_of_one_that_is_being_closed(void **state)
{
	weir_subscription *sub;

	(void)state;
	fake.on_unsubscribe = subscribe_again;
	rig_open();
	sub = rig_subscribe("s", 10);
	assert_int_equal(weir_subscription_close(sub, 1, rig_soon(), NULL), WEIR_OK);
	fake_deliver(0, 1);
	rig_wait(rig.delivery_count == 1);
	assert_int_equal(weir_delivery_settle(rig.deliveries, 1, WEIR_ACK, 0), WEIR_OK);
}

static void closing_a_paused_subscription_releases_what_was_held(void **state)
{
	weir_subscription *sub;

	(void)state;
	rig_open();
	sub = rig_subscribe("s", 10);
	weir_subscription_pause(sub, 1);
	fake_deliver(0, 1);
	rig_settle_down();
	assert_int_equal(weir_subscription_close(sub, 1, rig_soon(), NULL), WEIR_OK);
	assert_int_equal(fake.releases, 1);
	assert_int_equal(fake.settles, 0);
}

static void a_delivery_outlives_its_subscription_and_the_runtime(void **state)
{
	weir_subscription *sub;

	(void)state;
	rig_open();
	sub = rig_subscribe("s", 10);
	fake_deliver(0, 1);
	rig_wait(rig.delivery_count == 1);
	assert_int_equal(weir_subscription_close(sub, 1, rig_soon(), NULL), WEIR_OK);
	rig_close();
	assert_memory_equal(weir_delivery_record(rig.deliveries[0])->body.ptr, "body", 4);
	assert_int_equal(fake.releases, 0);
	weir_delivery_free(rig.deliveries[0]);
	assert_int_equal(fake.releases, 1);
}

static void settling_after_closing_is_refused_and_frees(void **state)
{
	weir_subscription *sub;

	(void)state;
	rig_open();
	sub = rig_subscribe("s", 10);
	fake_deliver(0, 1);
	rig_wait(rig.delivery_count == 1);
	assert_int_equal(weir_subscription_close(sub, 1, rig_soon(), NULL), WEIR_OK);
	assert_int_equal(weir_delivery_settle(rig.deliveries, 1, WEIR_ACK, 0), WEIR_ECLOSED);
	assert_int_equal(fake.settles, 0);
	assert_int_equal(fake.releases, 1);
}

static void a_damaged_record_is_told_as_that(void **state)
{
	struct weir_driver_event event = { .type = WEIR_EV_DELIVER, .sub = fake_sub(0), .flags = WEIR_MSG_DAMAGED };
	weir_event decoded = { 0 };

	(void)state;
	rig_open();
	rig_subscribe("s", 10);
	fake_push(event);
	rig_wait(rig.delivery_count == 1);
	assert_int_equal(weir_delivery_event(rig.deliveries[0], &decoded, NULL), WEIR_ECORRUPT);
	weir_delivery_settle(rig.deliveries, 1, WEIR_TERM, 0);
}

static void a_subscription_is_ready_when_the_driver_has_said_so(void **state)
{
	weir_subscription *sub;

	(void)state;
	fake.sub_silent = true;
	rig_open();
	sub = rig_subscribe("s", 10);
	rig_settle_down();
	assert_int_equal(weir_subscription_ready(sub, NULL), WEIR_EAGAIN);
	fake_push((struct weir_driver_event){ .type = WEIR_EV_SUB_READY, .sub = fake_sub(0) });
	rig_settle_down();
	assert_int_equal(weir_subscription_ready(sub, NULL), WEIR_OK);
}

static void a_ready_event_that_comes_before_subscribe_returns_is_not_lost(void **state)
{
	weir_subscription *sub;

	(void)state;
	fake.early_ready = true;
	rig_open();
	sub = rig_subscribe("s", 10);
	rig_settle_down();
	assert_int_equal(weir_channel_ready(rig.channel, NULL), WEIR_OK);
	assert_int_equal(weir_subscription_ready(sub, NULL), WEIR_OK);
	assert_int_equal(rig.notices[0].type, WEIR_EV_SUB_READY);
	assert_false(rig_logged("breaks its contract"));
}

static void a_failed_subscription_tells_why(void **state)
{
	static struct weir_error why = { .size = sizeof why, .code = WEIR_EAUTH, .text = "no rights" };
	struct weir_error err = WEIR_ERROR_INIT;
	weir_subscription *sub;

	(void)state;
	rig_open();
	sub = rig_subscribe("s", 10);
	fake_push((struct weir_driver_event){ .type = WEIR_EV_SUB_FAILED, .sub = fake_sub(0), .error = &why });
	rig_settle_down();
	assert_int_equal(weir_subscription_ready(sub, &err), WEIR_EAUTH);
	assert_string_equal(err.text, "no rights");
}

static void a_reason_that_makes_no_sense_is_brought_into_range(void **state)
{
	static struct weir_error why = { .size = 1, .code = 60000, .retry = 99, .scope = 99 };
	struct weir_error err = WEIR_ERROR_INIT;
	weir_subscription *sub;

	(void)state;
	memset(why.text, '\n', sizeof why.text);
	rig_open();
	sub = rig_subscribe("s", 10);
	fake_push((struct weir_driver_event){ .type = WEIR_EV_SUB_FAILED, .sub = fake_sub(0), .error = &why });
	rig_settle_down();
	assert_int_equal(weir_subscription_ready(sub, &err), WEIR_EUNKNOWN);
	assert_true(err.retry <= WEIR_RETRY_AFTER_REOPEN);
	assert_int_equal(strnlen(err.text, sizeof err.text), sizeof err.text - 1);
	assert_null(strchr(err.text, '\n'));
}

static void while_the_backend_is_down_nothing_is_ready(void **state)
{
	static struct weir_error why = { .size = sizeof why, .code = WEIR_EUNAVAIL, .text = "connection refused" };
	struct weir_error err = WEIR_ERROR_INIT;
	weir_subscription *sub;

	(void)state;
	rig_open();
	sub = rig_subscribe("s", 10);
	fake_push((struct weir_driver_event){ .type = WEIR_EV_DOWN, .error = &why });
	rig_settle_down();
	assert_int_equal(weir_channel_ready(rig.channel, &err), WEIR_EUNAVAIL);
	assert_string_equal(err.text, "connection refused");
	assert_int_equal(weir_subscription_ready(sub, NULL), WEIR_EUNAVAIL);
	fake_push((struct weir_driver_event){ .type = WEIR_EV_UP });
	rig_settle_down();
	assert_int_equal(weir_channel_ready(rig.channel, NULL), WEIR_OK);
	assert_int_equal(weir_subscription_ready(sub, NULL), WEIR_OK);
}

static void a_subscription_that_the_driver_refuses_leaves_nothing(void **state)
{
	struct weir_subscription_spec spec = rig_spec("refused", 1);
	struct weir_error err = WEIR_ERROR_INIT;
	weir_subscription *sub;

	(void)state;
	rig_open();
	assert_int_equal(weir_channel_subscribe(rig.channel, &spec, &sub, &err), WEIR_EBUSY);
	assert_string_equal(err.text, "refused");
	assert_null(rig.channel->subs);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_subscription_gives_credit_for_its_window_at_the_start),
		CASE(deliveries_come_in_order),
		CASE(a_delivery_tells_what_the_driver_said_of_it),
		CASE(acking_tells_the_driver_releases_the_lease_and_gives_credit_once),
		CASE(nack_carries_its_delay),
		CASE(extending_keeps_the_delivery),
		CASE(settling_twice_is_refused),
		CASE(a_stale_token_is_told_and_the_delivery_freed),
		CASE(an_ack_that_the_backend_lost_is_logged_and_told),
		CASE(what_was_delivered_before_a_revocation_is_stale_without_asking_the_driver),
		CASE(a_delivery_beyond_credit_is_held_until_there_is_credit),
		CASE(a_flood_beyond_credit_loses_nothing),
		CASE(bytes_are_given_as_credit_when_there_is_a_window_for_them),
		CASE(a_paused_subscription_gets_nothing_until_it_is_resumed),
		CASE(a_driver_that_can_pause_is_told),
		CASE(after_closing_no_delivery_comes_and_the_lease_is_released),
		CASE(what_comes_while_it_is_being_closed_is_not_handed_out),
		CASE(a_new_subscription_may_have_the_address_of_one_that_is_being_closed),
		CASE(closing_a_paused_subscription_releases_what_was_held),
		CASE(a_delivery_outlives_its_subscription_and_the_runtime),
		CASE(settling_after_closing_is_refused_and_frees),
		CASE(a_damaged_record_is_told_as_that),
		CASE(a_subscription_is_ready_when_the_driver_has_said_so),
		CASE(a_ready_event_that_comes_before_subscribe_returns_is_not_lost),
		CASE(a_failed_subscription_tells_why),
		CASE(a_reason_that_makes_no_sense_is_brought_into_range),
		CASE(while_the_backend_is_down_nothing_is_ready),
		CASE(a_subscription_that_the_driver_refuses_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
