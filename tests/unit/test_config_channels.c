/* SPDX-License-Identifier: Apache-2.0 */
/* Channels, subscriptions and deliveries as the dispatcher reads them; which kind a channel lives on. */
#include "unit/config_support.h"

static const struct weir_channel_settings *channels;

static size_t read_channels(const weir_config *config)
{
	return weir_config_channels(config, &channels);
}

static void no_channels_are_none(void **state)
{
	weir_config *config = loaded("{\"channels\": []}");

	(void)state;
	assert_int_equal(read_channels(config), 0);
	weir_config_free(config);
}

static void a_delivery_that_says_nothing_has_the_defaults(void **state)
{
	weir_config *config = loaded("{\"channels\": [{\"namespace\": \"n\", \"name\": \"c\", \"subscriptions\": ["
				     "{\"name\": \"s\", \"subscriber\": \"http://h/\"}]}]}");
	const struct weir_subscription_settings *subscription;

	(void)state;
	assert_int_equal(read_channels(config), 1);
	assert_int_equal(channels[0].subscription_count, 1);
	subscription = &channels[0].subscriptions[0];
	assert_string_equal(subscription->uid, "s");
	assert_null(subscription->reply);
	assert_false(subscription->from_earliest);
	assert_null(subscription->delivery.dead_letter_sink);
	assert_int_equal(subscription->delivery.retry, 10);
	assert_int_equal(subscription->delivery.backoff, WEIR_BACKOFF_EXPONENTIAL);
	assert_int_equal(subscription->delivery.backoff_delay_ms, 200);
	assert_int_equal(subscription->delivery.timeout_ms, 30000);
	assert_int_equal(subscription->delivery.retry_after_max_ms, 0);
	assert_int_equal(subscription->delivery.order, WEIR_ORDER_ORDERED);
	assert_int_equal(subscription->delivery.max_in_flight, 64);
	assert_false(subscription->delivery.structured);
	assert_false(subscription->own_subscriber);
	assert_null(subscription->filter);
	weir_config_free(config);
}

static void everything_that_can_be_said_is_read(void **state)
{
	weir_config *config = loaded(
	    "{\"channels\": [{\"namespace\": \"n\", \"name\": \"c\", \"kind\": \"K\", \"subscriptions\": [\n"
	    "{\"name\": \"s\", \"uid\": \"u-1\", \"subscriber\": \"http://h/a\", \"reply\": \"https://r/\", \"from\": "
	    "\"earliest\",\n"
	    " \"delivery\": {\"deadLetterSink\": \"http://d/\", \"retry\": 0, \"backoffPolicy\": \"linear\",\n"
	    " \"backoffDelay\": \"PT1M\", \"timeout\": \"PT0.5S\", \"retryAfterMax\": \"PT2M\", \"order\": "
	    "\"unordered\",\n"
	    " \"maxInFlight\": 7, \"format\": \"json\"}}]}]}");
	const struct weir_subscription_settings *subscription;

	(void)state;
	assert_int_equal(read_channels(config), 1);
	assert_string_equal(channels[0].where, "c.json:1:15");
	subscription = &channels[0].subscriptions[0];
	assert_string_equal(subscription->where, "c.json:2:1");
	assert_string_equal(subscription->uid, "u-1");
	assert_string_equal(subscription->subscriber, "http://h/a");
	assert_string_equal(subscription->reply, "https://r/");
	assert_true(subscription->from_earliest);
	assert_string_equal(subscription->delivery.dead_letter_sink, "http://d/");
	assert_int_equal(subscription->delivery.retry, 0);
	assert_int_equal(subscription->delivery.backoff, WEIR_BACKOFF_LINEAR);
	assert_int_equal(subscription->delivery.backoff_delay_ms, 60000);
	assert_int_equal(subscription->delivery.timeout_ms, 500);
	assert_int_equal(subscription->delivery.retry_after_max_ms, 120000);
	assert_int_equal(subscription->delivery.order, WEIR_ORDER_UNORDERED);
	assert_int_equal(subscription->delivery.max_in_flight, 7);
	assert_true(subscription->delivery.structured);
	weir_config_free(config);
}

static void a_subscriptions_delivery_replaces_its_channels_as_a_whole(void **state)
{
	weir_config *config = loaded(
	    "{\"channels\": [{\"namespace\": \"n\", \"name\": \"c\", \"delivery\": {\"retry\": 3, \"maxInFlight\": 5},"
	    "\"subscriptions\": [{\"name\": \"a\", \"subscriber\": \"http://h/\"},"
	    "{\"name\": \"b\", \"subscriber\": \"http://h/\", \"delivery\": {\"retry\": 4}}]}]}");

	(void)state;
	assert_int_equal(read_channels(config), 1);
	assert_int_equal(channels[0].subscriptions[0].delivery.retry, 3);
	assert_int_equal(channels[0].subscriptions[0].delivery.max_in_flight, 5);
	assert_int_equal(channels[0].subscriptions[1].delivery.retry, 4);
	assert_int_equal(channels[0].subscriptions[1].delivery.max_in_flight, 64);
	weir_config_free(config);
}

static void channels_of_several_layers_add_up_in_their_order(void **state)
{
	weir_config *config = config_of("{\"channels\": [{\"namespace\": \"n\", \"name\": \"z\"}]}");

	(void)state;
	weir_config_add_setting(config, "channels=[{\"namespace\": \"n\", \"name\": \"m\"}]");
	weir_config_add_text(config, "d.json", WEIR_STR("{\"channels\": [{\"namespace\": \"n\", \"name\": \"a\"}]}"));
	load(config);
	assert_int_equal(read_channels(config), 3);
	assert_string_equal(channels[0].name, "z");
	assert_string_equal(channels[1].name, "a");
	assert_string_equal(channels[2].name, "m");
	weir_config_free(config);
}

static void the_kind_is_the_channels_own_else_its_namespaces_else_the_default(void **state)
{
	weir_config *config =
	    loaded("{\"channel\": {\"default\": {\"kind\": \"D\"}, \"namespaces\": {\"shop\": {\"kind\": \"S\"}}},"
		   "\"channels\": [{\"namespace\": \"shop\", \"name\": \"own\", \"kind\": \"O\"},"
		   "{\"namespace\": \"shop\", \"name\": \"plain\"}]}");

	(void)state;
	assert_string_equal(weir_config_kind(config, "shop", "own"), "O");
	assert_string_equal(weir_config_kind(config, "shop", "plain"), "S");
	assert_string_equal(weir_config_kind(config, "shop", "unknown"), "S");
	assert_string_equal(weir_config_kind(config, "other", "own"), "D");
	weir_config_free(config);
}

static void ten_thousand_channels_are_no_matter(void **state)
{
	enum { COUNT = 10000 };
	weir_config *config = config_of(NULL);
	static char text[COUNT * 200];
	size_t len = (size_t)snprintf(text, sizeof text, "{\"channels\": [");

	(void)state;
	for (int i = 0; i < COUNT; i++)
		len += (size_t)snprintf(
		    text + len, sizeof text - len,
		    "%s{\"namespace\": \"n\", \"name\": \"c%d\", \"kind\": \"K%d\", \"subscriptions\": "
		    "[{\"name\": \"s\", \"subscriber\": \"http://h/\", \"reply\": \"channel:n/c%d\"}]}",
		    i ? "," : "", i, i, i ? i - 1 : 0);
	snprintf(text + len, sizeof text - len, "]}");
	weir_config_add_text(config, "c.json", weir_str(text));
	load(config);
	assert_int_equal(read_channels(config), COUNT);
	assert_string_equal(weir_config_kind(config, "n", "c9999"), "K9999");
	weir_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_channels_are_none),
		cmocka_unit_test(a_delivery_that_says_nothing_has_the_defaults),
		cmocka_unit_test(everything_that_can_be_said_is_read),
		cmocka_unit_test(a_subscriptions_delivery_replaces_its_channels_as_a_whole),
		cmocka_unit_test(channels_of_several_layers_add_up_in_their_order),
		cmocka_unit_test(the_kind_is_the_channels_own_else_its_namespaces_else_the_default),
		cmocka_unit_test(ten_thousand_channels_are_no_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
