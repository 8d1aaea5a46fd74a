/* SPDX-License-Identifier: Apache-2.0 */
/* What a reload would change is told beforehand, and no secret with it. */
#include <stdlib.h>
#include <unistd.h>

#include "config/plan.h"
#include "config/sources.h"
#include "unit/config_support.h"

#define CANARY "canary-51fd"

static const struct weir_option options[] = {
	{ "url", WEIR_OPT_STRING, 0, "tcp://h:1", 0, 0, NULL, "Where the backend is." },
	{ "username", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL, "User." },
	{ "password", WEIR_OPT_STRING, WEIR_OPTION_SECRET, NULL, 0, 0, NULL, "Password." },
};
static const struct weir_driver driver = {
	.name = "acme", .kind = "AcmeChannel", .options = options, .option_count = 3
};
static const struct weir_driver *const drivers[] = { &driver };

static struct {
	weir_config *now, *next;
	struct weir_plan plan;
} at;

static int end(void **state)
{
	(void)state;
	weir_plan_fini(&at.plan);
	weir_config_free(at.now);
	weir_config_free(at.next);
	memset(&at, 0, sizeof at);
	return 0;
}

static void plan(const char *now, const char *next)
{
	at.now = loaded(now);
	at.next = loaded(next);
	assert_int_equal(weir_plan_make(at.now, at.next, drivers, 1, &at.plan), WEIR_OK);
}

static void assert_step(size_t index, enum weir_plan_effect effect, const char *key, const char *text)
{
	assert_true(index < at.plan.count);
	assert_string_equal(at.plan.steps[index].key, key);
	assert_int_equal(at.plan.steps[index].effect, effect);
	if (text)
		assert_string_equal(at.plan.steps[index].text, text);
}

static void the_same_is_no_change(void **state)
{
	const char *text = "{\"log.level\": \"debug\", \"acme.password\": \"" CANARY "\", \"channels\": "
			   "[{\"namespace\": \"n\", \"name\": \"a\", \"subscriptions\": [{\"name\": \"s\", "
			   "\"subscriber\": \"http://h/\"}]}]}";

	(void)state;
	plan(text, text);
	assert_int_equal(at.plan.count, 0);
	assert_null(weir_plan_obstacle(&at.plan));
}

static void a_default_that_is_written_down_is_no_change(void **state)
{
	(void)state;
	plan("{}", "{\"log.level\": \"notice\"}");
	assert_int_equal(at.plan.count, 0);
}

static void what_is_read_only_at_a_start_is_an_obstacle(void **state)
{
	(void)state;
	plan("{}", "{\"dispatcher.listen\": \"127.0.0.1:1\", \"log.level\": \"debug\"}");
	assert_int_equal(at.plan.count, 2);
	assert_step(0, WEIR_PLAN_RESTART, "dispatcher.listen", "from 127.0.0.1:8080 to 127.0.0.1:1");
	assert_step(1, WEIR_PLAN_CHANGE, "log.level", "from notice to debug");
	assert_ptr_equal(weir_plan_obstacle(&at.plan), &at.plan.steps[0]);
}

static void other_credentials_renew_the_backend_and_are_not_shown(void **state)
{
	(void)state;
	plan("{\"acme\": {\"username\": \"u\", \"password\": \"" CANARY "-old\"}}",
	     "{\"acme\": {\"username\": \"v\", \"password\": \"" CANARY "-new\"}}");
	assert_int_equal(at.plan.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(at.plan.steps[i].effect, WEIR_PLAN_RENEW);
		assert_string_equal(at.plan.steps[i].kind, "AcmeChannel");
		assert_null(strstr(at.plan.steps[i].text, CANARY));
	}
}

static void a_secret_that_is_another_one_in_the_same_file_renews_the_backend(void **state)
{
	char path[] = "/tmp/weir-plan-XXXXXX", text[128];
	int fd = mkstemp(path);
	const struct weir_setting *settings;
	size_t count;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "one", 3, 0), 3);
	snprintf(text, sizeof text, "{\"acme.passwordFile\": \"%s\"}", path);
	at.now = loaded(text);
	/* As a start does it: it is read once. */
	assert_int_equal(weir_config_driver(at.now, &driver, &settings, &count, NULL), WEIR_OK);
	assert_int_equal(pwrite(fd, "two", 3, 0), 3);
	at.next = loaded(text);
	assert_int_equal(weir_plan_make(at.now, at.next, drivers, 1, &at.plan), WEIR_OK);
	assert_int_equal(at.plan.count, 1);
	assert_step(0, WEIR_PLAN_RENEW, "acme.password", NULL);
	close(fd);
	unlink(path);
}

static void another_place_of_an_open_backend_is_an_obstacle(void **state)
{
	(void)state;
	plan("{}", "{\"acme.url\": \"tcp://other:1\"}");
	assert_int_equal(at.plan.count, 1);
	assert_step(0, WEIR_PLAN_RESTART, "acme.url", NULL);
}

static void settings_of_a_backend_that_is_not_open_are_no_obstacle(void **state)
{
	(void)state;
	at.now = loaded("{}");
	at.next = loaded("{\"acme.url\": \"tcp://other:1\"}");
	assert_int_equal(weir_plan_make(at.now, at.next, drivers, 0, &at.plan), WEIR_OK);
	assert_int_equal(at.plan.count, 0);
}

#define CHANNEL(members) "{\"channels\": [{\"namespace\": \"n\", \"name\": \"a\"" members "}]}"
#define S                "channels[n/a].subscriptions[s]"

static void a_channel_that_moves_says_where(void **state)
{
	(void)state;
	plan(CHANNEL(), CHANNEL(", \"kind\": \"InMemoryChannel\""));
	assert_int_equal(at.plan.count, 1);
	assert_step(0, WEIR_PLAN_MOVE, "channels[n/a]",
		    "from EmbeddedChannel to InMemoryChannel: new events go there, the old backend is drained");
	assert_string_equal(at.plan.steps[0].kind, "InMemoryChannel");
	assert_string_equal(at.plan.steps[0].ns, "n");
	assert_string_equal(at.plan.steps[0].name, "a");
}

static void a_default_that_changes_moves_each_channel_that_follows_it(void **state)
{
	(void)state;
	plan(CHANNEL(), "{\"channel.default.kind\": \"InMemoryChannel\", \"channels\": [{\"namespace\": \"n\", "
			"\"name\": \"a\"}]}");
	assert_int_equal(at.plan.count, 1);
	assert_step(0, WEIR_PLAN_MOVE, "channels[n/a]", NULL);
}

static void a_subscription_says_what_of_it_changes(void **state)
{
	(void)state;
	plan(CHANNEL(", \"subscriptions\": [{\"name\": \"s\", \"subscriber\": \"http://h/?" CANARY "\"}]"),
	     CHANNEL(", \"subscriptions\": [{\"name\": \"s\", \"subscriber\": \"http://i/?" CANARY "\", \"delivery\": "
		     "{\"retry\": 1, \"deadLetterSink\": \"http://d/\"}}]"));
	assert_int_equal(at.plan.count, 1);
	assert_step(0, WEIR_PLAN_CHANGE, S, "subscriber, deadLetterSink, retry");
}

static void what_comes_and_goes_is_told(void **state)
{
	(void)state;
	plan(CHANNEL(", \"subscriptions\": [{\"name\": \"s\", \"subscriber\": \"http://h/\"}]"),
	     "{\"channels\": [{\"namespace\": \"n\", \"name\": \"b\"}]}");
	assert_int_equal(at.plan.count, 3);
	assert_step(0, WEIR_PLAN_REMOVE, S, NULL);
	assert_step(1, WEIR_PLAN_REMOVE, "channels[n/a]", NULL);
	assert_step(2, WEIR_PLAN_ADD, "channels[n/b]", "on EmbeddedChannel");
}

static void what_was_read_is_known(void **state)
{
	const struct weir_source *sources;
	struct weir_stamp none = { 0 };
	size_t count;

	(void)state;
	at.now = config_of(NULL);
	assert_int_equal(weir_config_add_file(at.now, "/nowhere/c.json"), WEIR_OK);
	weir_config_add_setting(at.now, "overrides=[\"/nowhere/o.yaml\"]");
	weir_config_add_setting(at.now, "dispatcher.tls.keyFile=/nowhere/key");
	weir_config_load(at.now, NULL);
	count = weir_config_sources(at.now, &sources);
	assert_int_equal(count, 3);
	assert_string_equal(sources[0].path, "/nowhere/c.json");
	assert_true(weir_stamp_same(&sources[0].stamp, &none));
	assert_string_equal(sources[1].path, "/nowhere/o.yaml");
	assert_string_equal(sources[2].path, "/nowhere/key");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_same_is_no_change, end),
		cmocka_unit_test_teardown(a_default_that_is_written_down_is_no_change, end),
		cmocka_unit_test_teardown(what_is_read_only_at_a_start_is_an_obstacle, end),
		cmocka_unit_test_teardown(other_credentials_renew_the_backend_and_are_not_shown, end),
		cmocka_unit_test_teardown(a_secret_that_is_another_one_in_the_same_file_renews_the_backend, end),
		cmocka_unit_test_teardown(another_place_of_an_open_backend_is_an_obstacle, end),
		cmocka_unit_test_teardown(settings_of_a_backend_that_is_not_open_are_no_obstacle, end),
		cmocka_unit_test_teardown(a_channel_that_moves_says_where, end),
		cmocka_unit_test_teardown(a_default_that_changes_moves_each_channel_that_follows_it, end),
		cmocka_unit_test_teardown(a_subscription_says_what_of_it_changes, end),
		cmocka_unit_test_teardown(what_comes_and_goes_is_told, end),
		cmocka_unit_test_teardown(what_was_read_is_known, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
