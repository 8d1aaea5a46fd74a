/* SPDX-License-Identifier: Apache-2.0 */
/* Brokers and triggers: a broker is a channel, a trigger a subscription that replies to it. */
#include "unit/config_support.h"

static const struct weir_channel_settings *channels;

static size_t read_channels(const weir_config *config)
{
	return weir_config_channels(config, &channels);
}

static void a_broker_is_a_channel_named_default(void **state)
{
	weir_config *config = loaded("{\"brokers\": [{\"namespace\": \"shop\"}]}");

	(void)state;
	assert_int_equal(read_channels(config), 1);
	assert_true(channels[0].is_broker);
	assert_string_equal(channels[0].ns, "shop");
	assert_string_equal(channels[0].name, "default");
	assert_int_equal(channels[0].subscription_count, 0);
	assert_string_equal(channels[0].where, "c.json:1:14");
	weir_config_free(config);
}

static void a_trigger_is_a_subscription_whose_replies_go_back(void **state)
{
	weir_config *config =
	    loaded("{\"brokers\": [{\"namespace\": \"shop\", \"name\": \"b\", \"kind\": \"K\"}],\n"
		   "\"triggers\": [{\"namespace\": \"shop\", \"broker\": \"b\", \"name\": \"t\", \"uid\": \"u\",\n"
		   "\"subscriber\": \"http://h/\", \"from\": \"earliest\"}]}");
	const struct weir_subscription_settings *trigger;

	(void)state;
	assert_int_equal(read_channels(config), 1);
	assert_int_equal(channels[0].subscription_count, 1);
	assert_string_equal(weir_config_kind(config, "shop", "b"), "K");
	trigger = &channels[0].subscriptions[0];
	assert_string_equal(trigger->name, "t");
	assert_string_equal(trigger->uid, "u");
	assert_string_equal(trigger->subscriber, "http://h/");
	assert_string_equal(trigger->reply, "channel:shop/b");
	assert_true(trigger->from_earliest);
	assert_string_equal(trigger->where, "c.json:2:14");
	assert_null(weir_config_warning(config, 0));
	weir_config_free(config);
}

static void a_triggers_delivery_replaces_its_brokers_as_a_whole(void **state)
{
	weir_config *config = loaded(
	    "{\"triggers\": [{\"namespace\": \"n\", \"name\": \"a\", \"subscriber\": \"http://h/\"},"
	    "{\"namespace\": \"n\", \"name\": \"b\", \"subscriber\": \"http://h/\", \"delivery\": {\"retry\": 4}}],"
	    "\"brokers\": [{\"namespace\": \"n\", \"delivery\": {\"retry\": 3, \"maxInFlight\": 5}}]}");

	(void)state;
	assert_int_equal(read_channels(config), 1);
	assert_string_equal(channels[0].subscriptions[0].uid, "a");
	assert_int_equal(channels[0].subscriptions[0].delivery.retry, 3);
	assert_int_equal(channels[0].subscriptions[0].delivery.max_in_flight, 5);
	assert_int_equal(channels[0].subscriptions[1].delivery.retry, 4);
	assert_int_equal(channels[0].subscriptions[1].delivery.max_in_flight, 64);
	weir_config_free(config);
}

static void triggers_of_other_layers_find_their_broker_and_keep_their_order(void **state)
{
	weir_config *config =
	    config_of("{\"triggers\": [{\"namespace\": \"n\", \"name\": \"z\", \"subscriber\": \"http://h/\"}],"
		      "\"brokers\": [{\"namespace\": \"m\"}]}");

	(void)state;
	weir_config_add_text(
	    config, "d.json",
	    WEIR_STR("{\"brokers\": [{\"namespace\": \"n\"}],"
		     "\"triggers\": [{\"namespace\": \"m\", \"name\": \"x\", \"subscriber\": \"http://h/\"},"
		     "{\"namespace\": \"n\", \"name\": \"a\", \"subscriber\": \"http://h/\"}]}"));
	weir_config_add_setting(config,
				"triggers=[{\"namespace\": \"n\", \"name\": \"k\", \"subscriber\": \"http://h/\"}]");
	load(config);
	assert_int_equal(read_channels(config), 2);
	assert_string_equal(channels[0].ns, "m");
	assert_int_equal(channels[0].subscription_count, 1);
	assert_int_equal(channels[1].subscription_count, 3);
	assert_string_equal(channels[1].subscriptions[0].name, "z");
	assert_string_equal(channels[1].subscriptions[1].name, "a");
	assert_string_equal(channels[1].subscriptions[2].name, "k");
	weir_config_free(config);
}

static void brokers_come_behind_the_channels(void **state)
{
	weir_config *config =
	    loaded("{\"brokers\": [{\"namespace\": \"n\"}], \"channels\": [{\"namespace\": \"n\", \"name\": \"c\"}]}");

	(void)state;
	assert_int_equal(read_channels(config), 2);
	assert_false(channels[0].is_broker);
	assert_true(channels[1].is_broker);
	weir_config_free(config);
}

static void a_circle_through_a_triggers_subscriber_is_warned_of(void **state)
{
	weir_config *config =
	    loaded("{\"brokers\": [{\"namespace\": \"n\"}],\n\"triggers\": [\n"
		   "{\"namespace\": \"n\", \"name\": \"t\", \"subscriber\": \"http://127.0.0.1:8080/n/default\"}]}");

	(void)state;
	assert_string_equal(weir_config_warning(config, 0),
			    "c.json:3:1: subscription t of n/default: subscriber: closes a "
			    "circle through the channel n/default");
	weir_config_free(config);
}

static void a_trigger_without_its_broker_is_refused(void **state)
{
	(void)state;
	assert_only_problem(
	    config_of("{\"brokers\": [{\"namespace\": \"n\", \"name\": \"orders\"}],\n\"triggers\": [\n"
		      "{\"namespace\": \"n\", \"broker\": \"order\", \"name\": \"t\", \"subscriber\": "
		      "\"http://h/\"}]}"),
	    "c.json:3:1: trigger t of n: names the broker n/order, which is not configured; did you mean "
	    "\"orders\"?");
}

static void a_channel_is_no_broker(void **state)
{
	(void)state;
	assert_only_problem(
	    config_of("{\"channels\": [{\"namespace\": \"n\", \"name\": \"default\"}],\n\"triggers\": [\n"
		      "{\"namespace\": \"n\", \"name\": \"t\", \"subscriber\": \"http://h/\"}]}"),
	    "c.json:3:1: trigger t of n: names the broker n/default, which is not configured");
}

static void a_broker_has_its_name_alone_among_the_channels(void **state)
{
	(void)state;
	assert_only_problem(config_of("{\"channels\": [{\"namespace\": \"n\", \"name\": \"default\"}],\n"
				      "\"brokers\": [{\"namespace\": \"n\"}]}"),
			    "c.json:2:13: brokers: channel n/default is there already, at c.json:1:15");
}

static void triggers_of_one_broker_have_names_of_their_own(void **state)
{
	(void)state;
	assert_only_problem(config_of("{\"brokers\": [{\"namespace\": \"n\"}],\n\"triggers\": [\n"
				      "{\"namespace\": \"n\", \"name\": \"t\", \"subscriber\": \"http://h/\"},\n"
				      "{\"namespace\": \"n\", \"name\": \"t\", \"subscriber\": \"http://i/\"}]}"),
			    "c.json:4:1: subscription t of n/default: has the name of the subscription at c.json:3:1");
}

static void what_a_trigger_lacks_is_told(void **state)
{
	(void)state;
	assert_only_problem(config_of("{\"brokers\": [{\"namespace\": \"n\"}],\n"
				      "\"triggers\": [{\"namespace\": \"n\", \"name\": \"t\"}]}"),
			    "c.json:2:14: triggers[0].subscriber: is missing");
}

static void a_reply_of_its_own_is_no_member_of_a_trigger(void **state)
{
	(void)state;
	assert_only_problem(
	    config_of("{\"brokers\": [{\"namespace\": \"n\"}],\n\"triggers\": [{\"namespace\": \"n\", \"name\": "
		      "\"t\", \"subscriber\": \"http://h/\", \"reply\": \"http://h/\"}]}"),
	    "c.json:2:73: triggers[0].reply: unknown key");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_broker_is_a_channel_named_default),
		cmocka_unit_test(a_trigger_is_a_subscription_whose_replies_go_back),
		cmocka_unit_test(a_triggers_delivery_replaces_its_brokers_as_a_whole),
		cmocka_unit_test(triggers_of_other_layers_find_their_broker_and_keep_their_order),
		cmocka_unit_test(brokers_come_behind_the_channels),
		cmocka_unit_test(a_circle_through_a_triggers_subscriber_is_warned_of),
		cmocka_unit_test(a_trigger_without_its_broker_is_refused),
		cmocka_unit_test(a_channel_is_no_broker),
		cmocka_unit_test(a_broker_has_its_name_alone_among_the_channels),
		cmocka_unit_test(triggers_of_one_broker_have_names_of_their_own),
		cmocka_unit_test(what_a_trigger_lacks_is_told),
		cmocka_unit_test(a_reply_of_its_own_is_no_member_of_a_trigger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
