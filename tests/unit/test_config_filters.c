/* SPDX-License-Identifier: Apache-2.0 */
/* `filters` of a subscription: read, compiled, refused with the place of the mistake. */
#include "unit/config_support.h"

#include <weir/event.h>

#define BEFORE                                                                                                         \
	"{\"channels\": [{\"namespace\": \"n\", \"name\": \"c\", \"subscriptions\": [{\"name\": \"s\","                \
	" \"subscriber\": \"http://h/\",\n\"filters\": "
#define AFTER "}]}]}"

static weir_config *config_with(const char *filters)
{
	char text[4096];

	snprintf(text, sizeof text, BEFORE "%s" AFTER, filters);
	return config_of(text);
}

static const struct weir_subscription_settings *subscription_of(const weir_config *config)
{
	const struct weir_channel_settings *channels;

	assert_int_equal(weir_config_channels(config, &channels), 1);
	return &channels[0].subscriptions[0];
}

static bool takes(const struct weir_subscription_settings *subscription, const char *type, const char *subject)
{
	struct weir_filter_scratch *scratch;
	enum weir_filter_fault fault;
	weir_event *event;
	bool passes;

	assert_int_equal(weir_filter_scratch_new(&scratch), WEIR_OK);
	assert_int_equal(weir_event_new(&event), WEIR_OK);
	assert_int_equal(weir_event_set_text(event, "type", type, NULL), WEIR_OK);
	assert_int_equal(weir_event_set_text(event, "subject", subject, NULL), WEIR_OK);
	passes = weir_filter_match(subscription->filter, event, scratch, &fault);
	weir_event_free(event);
	weir_filter_scratch_free(scratch);
	return passes;
}

/* ---- what is right ---------------------------------------------------------- */

static void no_filters_take_everything(void **state)
{
	static const char *const none[] = { "[]" };

	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		weir_config *config = config_with(none[i]);

		load(config);
		assert_null(subscription_of(config)->filter);
		assert_null(subscription_of(config)->filters);
		weir_config_free(config);
	}
}

static void all_filters_of_the_list_must_pass(void **state)
{
	weir_config *config = config_with("[{\"prefix\": {\"type\": \"a.\"}}, {\"suffix\": {\"type\": \".b\"}}]");

	(void)state;
	load(config);
	assert_true(takes(subscription_of(config), "a.b", NULL));
	assert_false(takes(subscription_of(config), "a.c", NULL));
	assert_false(takes(subscription_of(config), "b.b", NULL));
	weir_config_free(config);
}

static void all_attributes_of_a_match_must_match(void **state)
{
	weir_config *config = config_with("[{\"exact\": {\"type\": \"t\", \"subject\": \"s\"}}]");

	(void)state;
	load(config);
	assert_true(takes(subscription_of(config), "t", "s"));
	assert_false(takes(subscription_of(config), "t", "x"));
	assert_false(takes(subscription_of(config), "t", NULL));
	weir_config_free(config);
}

static void groups_nest(void **state)
{
	weir_config *config =
	    config_with("[{\"any\": [{\"all\": [{\"exact\": {\"type\": \"t\"}}, {\"not\": {\"exact\": {\"subject\": "
			"\"s\"}}}]}, {\"prefix\": {\"type\": \"x\"}}]}]");

	(void)state;
	load(config);
	assert_true(takes(subscription_of(config), "t", NULL));
	assert_false(takes(subscription_of(config), "t", "s"));
	assert_true(takes(subscription_of(config), "xy", "s"));
	assert_false(takes(subscription_of(config), "y", NULL));
	weir_config_free(config);
}

static void an_expression_is_a_filter_under_either_name(void **state)
{
	static const char *const both[] = { "cesql", "sql" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char text[256];
		weir_config *config;

		snprintf(text, sizeof text, "[{\"not\": {\"%s\": \"type LIKE 'a.%%' OR EXISTS subject\"}}]", both[i]);
		config = config_with(text);
		load(config);
		assert_false(takes(subscription_of(config), "a.b", NULL));
		assert_false(takes(subscription_of(config), "b", "s"));
		assert_true(takes(subscription_of(config), "b", NULL));
		weir_config_free(config);
	}
}

static void an_expression_that_is_hardly_meant_is_warned_of(void **state)
{
	weir_config *config = config_with("[{\"cesql\": \"NOT id = 1 AND TRUE OR FALSE\"}]");

	(void)state;
	load(config);
	assert_non_null(strstr(weir_config_warning(config, 0),
			       "c.json:2:23: channels[0].subscriptions[0].filters[0].cesql: AND, OR and XOR"));
	assert_non_null(strstr(weir_config_warning(config, 1), "NOT a = b is (NOT a) = b"));
	assert_null(weir_config_warning(config, 2));
	weir_config_free(config);
}

static void the_same_is_kept_as_text_on_one_line(void **state)
{
	weir_config *config =
	    config_with("[ {\"any\" : [ {\"exact\": {\"type\": \"\\u0061\\\"\\\\\\n\", \"id\": \"1\"}},\n"
			" {\"not\": {\"prefix\": {\"source\": \"/\"}}}]} ]");

	(void)state;
	load(config);
	assert_string_equal(subscription_of(config)->filters,
			    "[{\"any\":[{\"exact\":{\"type\":\"a\\\"\\\\\\u000a\",\"id\":\"1\"}},"
			    "{\"not\":{\"prefix\":{\"source\":\"/\"}}}]}]");
	weir_config_free(config);
}

/* ---- what is wrong ----------------------------------------------------------- */

#define KEY "channels[0].subscriptions[0].filters"

static void each_mistake_is_told_with_its_place(void **state)
{
	static const struct {
		const char *filters, *problem;
	} rows[] = {
		{ "{}", "c.json:2:12: " KEY ": must be an array of filters, not an object" },
		{ "[1]", "c.json:2:13: " KEY "[0]: must be an object with one dialect, not a number" },
		{ "[{}]", "c.json:2:13: " KEY
			  "[0]: must have just one dialect; several filters are several objects of a list" },
		{ "[{\"exact\": {\"type\": \"t\"}, \"prefix\": {\"id\": \"1\"}}]",
		  "c.json:2:13: " KEY
		  "[0]: must have just one dialect; several filters are several objects of a list" },
		{ "[{\"exacd\": {\"type\": \"t\"}}]",
		  "c.json:2:14: " KEY "[0]: \"exacd\" is no dialect of filters; did you mean \"exact\"?" },
		{ "[{\"exact\": [\"type\"]}]",
		  "c.json:2:23: " KEY "[0].exact: must be an object of attributes and their values, not an array" },
		{ "[{\"exact\": {}}]",
		  "c.json:2:23: " KEY "[0].exact: must be an object of attributes and their values" },
		{ "[{\"exact\": {\"type\": 1}}]",
		  "c.json:2:32: " KEY "[0].exact.type: must be a string, not a number" },
		{ "[{\"suffix\": {\"type\": \"\"}}]", "c.json:2:33: " KEY "[0].suffix.type: must not be empty" },
		{ "[{\"prefix\": {\"my_ext\": \"x\"}}]",
		  "c.json:2:35: " KEY "[0].prefix.my_ext: is not the name of an attribute: allowed are a-z and 0-9" },
		{ "[{\"exact\": {\"data\": \"x\"}}]",
		  "c.json:2:32: " KEY
		  "[0].exact.data: is the event's data, which cannot be filtered by: only attributes can" },
		{ "[{\"exact\": {\"id\": \"1\"}}, {\"any\": []}]",
		  "c.json:2:45: " KEY "[1].any: must be an array of filters that is not empty" },
		{ "[{\"all\": {\"exact\": {\"id\": \"1\"}}}]",
		  "c.json:2:21: " KEY "[0].all: must be an array of filters, not an object" },
		{ "[{\"not\": [{\"exact\": {\"id\": \"1\"}}]}]",
		  "c.json:2:21: " KEY "[0].not: must be an object with one dialect, not an array" },
		{ "[{\"all\": [{\"exact\": {\"id\": \"1\"}}, {\"not\": {\"any\": [{\"exact\": {\"id\": 5}}]}}]}]",
		  "c.json:2:80: " KEY "[0].all[1].not.any[0].exact.id: must be a string, not a number" },
		{ "[{\"cesql\": {}}]",
		  "c.json:2:23: " KEY "[0].cesql: must be a string with an expression, not an object" },
		{ "[{\"cesql\": \"id = \"}]",
		  "c.json:2:23: " KEY "[0].cesql: at character 6: expected a value, but the expression ends" },
		{ "[{\"sql\": \"1 + 1\"}]",
		  "c.json:2:21: " KEY
		  "[0].sql: at character 1: the expression gives an integer; a filter must give true or false" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_only_problem(config_with(rows[i].filters), rows[i].problem);
}

static void several_mistakes_are_told_at_once(void **state)
{
	weir_config *config = config_with("[{\"exact\": {\"type\": 1}}, {\"any\": []}, {\"nott\": {}}]");

	(void)state;
	assert_int_equal(weir_config_load(config, NULL), WEIR_EINVAL);
	assert_non_null(strstr(weir_config_problem(config, 0), "[0].exact.type: "));
	assert_non_null(strstr(weir_config_problem(config, 1), "[1].any: "));
	assert_non_null(strstr(weir_config_problem(config, 2), "did you mean \"not\"?"));
	assert_null(weir_config_problem(config, 3));
	weir_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_filters_take_everything),
		cmocka_unit_test(all_filters_of_the_list_must_pass),
		cmocka_unit_test(all_attributes_of_a_match_must_match),
		cmocka_unit_test(groups_nest),
		cmocka_unit_test(an_expression_is_a_filter_under_either_name),
		cmocka_unit_test(an_expression_that_is_hardly_meant_is_warned_of),
		cmocka_unit_test(the_same_is_kept_as_text_on_one_line),
		cmocka_unit_test(each_mistake_is_told_with_its_place),
		cmocka_unit_test(several_mistakes_are_told_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
