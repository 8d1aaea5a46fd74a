/* SPDX-License-Identifier: Apache-2.0 */
/* What `weir config show` and `explain` are made of: everything is there, no secret is. */
#include "config/describe.h"
#include "config/listing.h"
#include "unit/config_support.h"

#define CANARY "canary-93b2"

static const struct weir_option options[] = {
	{ "url", WEIR_OPT_STRING, 0, "tcp://h:1", 0, 0, NULL, "Where the backend is." },
	{ "password", WEIR_OPT_STRING, WEIR_OPTION_SECRET, NULL, 0, 0, NULL, "Password." },
	{ "retention", WEIR_OPT_DURATION, 0, "60000", 0, 0, NULL, "Time." },
	{ "properties.*", WEIR_OPT_STRING, WEIR_OPTION_PREFIX, NULL, 0, 0, NULL, "Passed on." },
	{ "token", WEIR_OPT_STRING, WEIR_OPTION_SECRET, CANARY "-default", 0, 0, NULL, "Token." },
};
static const struct weir_driver driver = { .name = "acme", .options = options, .option_count = 5 };
static const struct weir_driver *const drivers[] = { &driver };

static struct weir_listing listing;

static void list(weir_config *config)
{
	load(config);
	assert_int_equal(weir_config_list(config, drivers, 1, &listing), WEIR_OK);
}

static void done(weir_config *config)
{
	weir_listing_fini(&listing);
	weir_config_free(config);
}

static const struct weir_listed *listed(const char *key)
{
	for (size_t i = 0; i < listing.count; i++) {
		if (strcmp(listing.items[i].key, key) == 0)
			return &listing.items[i];
	}
	return NULL;
}

static void assert_listed(const char *key, const char *text, const char *origin)
{
	const struct weir_listed *item = listed(key);

	assert_non_null(item);
	assert_string_equal(item->text, text);
	assert_string_equal(item->origin, origin);
}

static void values_are_listed_with_where_they_came_from(void **state)
{
	weir_config *config = config_of("{\"log\": {\n\"level\": \"debug\"}, \"dispatcher.admin\": []}");

	(void)state;
	weir_config_add_setting(config, "acme.url=tcp://set:1");
	list(config);
	assert_listed("log.level", "debug", "c.json:2");
	assert_listed("log.format", "text", "default");
	assert_listed("acme.url", "tcp://set:1", "--set");
	assert_listed("dispatcher.admin", "", "c.json:2");
	done(config);
}

static void a_drivers_defaults_are_listed(void **state)
{
	weir_config *config = config_of(NULL);

	(void)state;
	list(config);
	assert_listed("acme.url", "tcp://h:1", "default");
	assert_listed("acme.retention", "PT1M", "default");
	done(config);
}

static void channels_are_listed_with_everything_filled_in(void **state)
{
	weir_config *config = config_of("{\"channels\": [{\"namespace\": \"n\", \"name\": \"c\", \"subscriptions\": ["
					"{\"name\": \"s\", \"subscriber\": \"http://h/\"}]}]}");

	(void)state;
	list(config);
	assert_listed("channels[n/c].kind", "EmbeddedChannel", "c.json:1:15");
	assert_listed("channels[n/c].subscriptions[s].subscriber", "http://h/", "c.json:1:65");
	assert_listed("channels[n/c].subscriptions[s].delivery.timeout", "PT30S", "c.json:1:65");
	assert_null(listed("channels[n/c].subscriptions[s].reply"));
	done(config);
}

static void no_secret_is_listed(void **state)
{
	weir_config *config = config_of(
	    "{\"acme\": {\"password\": \"" CANARY "\", \"passwrd\": \"" CANARY "\"},"
	    "\"other\": {\"anything\": \"" CANARY "\"}, \"channels\": [{\"namespace\": \"n\","
	    "\"name\": \"c\", \"subscriptions\": [{\"name\": \"s\", \"subscriber\": \"http://h/?key=" CANARY "\"}]}]}");

	(void)state;
	add_variable(config, "WEIR_ACME__TOKEN=" CANARY);
	list(config);
	assert_listed("acme.password", "(secret)", "c.json:1");
	assert_listed("acme.token", "(secret)", "environment");
	assert_listed("channels[n/c].subscriptions[s].subscriber", "http://h/?(not shown)", "c.json:1:164");
	for (size_t i = 0; i < listing.count; i++)
		assert_null(strstr(listing.items[i].text, CANARY));
	done(config);
}

static void what_is_passed_on_is_listed_unless_it_sounds_like_a_secret(void **state)
{
	weir_config *config =
	    config_of("{\"acme.properties\": {\"client.id\": \"me\", \"sasl.password\": \"" CANARY "\","
		      "\"ssl.key.pem\": \"" CANARY "\", \"sasl.jaas.config\": \"" CANARY "\"}}");

	(void)state;
	list(config);
	assert_listed("acme.properties.client.id", "me", "c.json:1");
	assert_listed("acme.properties.sasl.password", "(secret)", "c.json:1");
	assert_listed("acme.properties.ssl.key.pem", "(secret)", "c.json:1");
	assert_listed("acme.properties.sasl.jaas.config", "(secret)", "c.json:1");
	done(config);
}

static void a_secret_default_is_not_listed(void **state)
{
	weir_config *config = config_of(NULL);

	(void)state;
	list(config);
	assert_listed("acme.token", "(secret)", "default");
	done(config);
}

static void nothing_listed_reaches_a_terminal_as_control(void **state)
{
	weir_config *config = config_of("{\"drivers.path\": \"/a\\u001b[31m\", \"acme.url\": \"a\\nb\"}");

	(void)state;
	list(config);
	assert_listed("drivers.path", "/a?[31m", "c.json:1");
	assert_listed("acme.url", "a?b", "c.json:1");
	done(config);
}

/* ---- rows ---------------------------------------------------------------- */

static size_t rows;
static bool seen_nested;

static bool count_row(void *ctx, const char *key, const struct weir_field *row)
{
	(void)ctx;
	assert_non_null(row->option.help);
	rows++;
	seen_nested |= strcmp(key, "channels[].subscriptions[].delivery.retry") == 0;
	return true;
}

static bool stop(void *ctx, const char *key, const struct weir_field *row)
{
	(void)ctx;
	(void)key;
	(void)row;
	rows++;
	return false;
}

static void every_row_is_visited_with_its_whole_key(void **state)
{
	(void)state;
	rows = 0;
	weir_fields_visit(count_row, NULL);
	assert_int_equal(rows, weir_fields.count + weir_channel_fields.count + weir_subscription_fields.count +
				   weir_broker_fields.count + weir_trigger_fields.count +
				   4 * weir_delivery_fields.count);
	assert_true(seen_nested);
}

static void a_visit_can_be_stopped(void **state)
{
	(void)state;
	rows = 0;
	weir_fields_visit(stop, NULL);
	assert_int_equal(rows, 1);
}

static void keys_have_the_variable_that_sets_them(void **state)
{
	char variable[64], small[10];

	(void)state;
	assert_true(weir_field_variable("dispatcher.drainTimeout", variable, sizeof variable));
	assert_string_equal(variable, "WEIR_DISPATCHER__DRAINTIMEOUT");
	assert_false(weir_field_variable("drivers.kinds.*", variable, sizeof variable));
	assert_false(weir_field_variable("channels[].name", variable, sizeof variable));
	assert_false(weir_field_variable("dispatcher.listen", small, sizeof small));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_listed_with_where_they_came_from),
		cmocka_unit_test(a_drivers_defaults_are_listed),
		cmocka_unit_test(channels_are_listed_with_everything_filled_in),
		cmocka_unit_test(no_secret_is_listed),
		cmocka_unit_test(what_is_passed_on_is_listed_unless_it_sounds_like_a_secret),
		cmocka_unit_test(a_secret_default_is_not_listed),
		cmocka_unit_test(nothing_listed_reaches_a_terminal_as_control),
		cmocka_unit_test(every_row_is_visited_with_its_whole_key),
		cmocka_unit_test(a_visit_can_be_stopped),
		cmocka_unit_test(keys_have_the_variable_that_sets_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
