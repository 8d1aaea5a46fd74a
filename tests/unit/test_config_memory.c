/* SPDX-License-Identifier: Apache-2.0 */
/* When memory is short: each allocation fails once, and nothing leaks or pretends. */
#include <stdlib.h>

#include "base/mem.h"
#include "config/listing.h"
#include "unit/config_support.h"

static const char text[] =
    "{\"dispatcher\": {\"listen\": [\"127.0.0.1:1\", \"[::1]:2\"], \"limits\": {\"maxBodyBytes\": \"2MiB\"}},"
    "\"acme\": {\"password\": \"\\u0061\", \"list\": [\"a\", \"b\"]},"
    "\"kafka.brokers\": {\"hostname\": \"h\", \"port\": 1}, \"unknown.key\": 1,"
    "\"channels\": [{\"namespace\": \"n\", \"name\": \"a\", \"subscriptions\": ["
    "{\"name\": \"s\", \"subscriber\": \"http://h/\", \"reply\": \"channel:n/a\"},"
    "{\"name\": \"t\", \"subscriber\": \"http://h/\"}]}]}";

static const struct weir_option options[] = {
	{ "password", WEIR_OPT_STRING, WEIR_OPTION_SECRET, NULL, 0, 0, NULL, "Password." },
	{ "list", WEIR_OPT_LIST, 0, NULL, 0, 0, NULL, "List." },
	{ "timeout", WEIR_OPT_DURATION, 0, "PT1S", 0, 0, NULL, "Time." },
};
static const struct weir_driver driver = { .name = "acme", .options = options, .option_count = 3 };

static int list(const weir_config *config)
{
	static const struct weir_driver *const drivers[] = { &driver };
	struct weir_listing listing;
	int code = weir_config_list(config, drivers, 1, &listing);

	weir_listing_fini(&listing);
	return code;
}

static int add_overrides(weir_config *config)
{
	char setting[4200];

	snprintf(setting, sizeof setting, "overrides=%s/configs/overrides-kyma.yaml,%s/configs/overrides-knative.yaml",
		 getenv("WEIR_TEST_SOURCE"), getenv("WEIR_TEST_SOURCE"));
	return weir_config_add_setting(config, setting);
}

static int build(weir_config *config)
{
	static const char *const drivers[] = { "acme", "kafka", "unknown" };
	const struct weir_setting *settings;
	size_t count;
	int code = weir_config_add_text(config, "c.json", weir_str(text));

	if (!code)
		code = weir_config_add_setting(config, "log={\"level\": \"debug\"}");
	if (!code)
		code = add_overrides(config);
	if (!code)
		code = weir_config_load(config, NULL);
	if (!code)
		code = weir_config_check_driver(config, &driver, NULL);
	if (!code)
		code = weir_config_check_sections(config, drivers, 3, NULL);
	if (!code)
		code = weir_config_driver(config, &driver, &settings, &count, NULL);
	return code ? code : list(config);
}

static int build_all(void)
{
	weir_config *config;
	int code = weir_config_new(&config);

	if (!code)
		code = build(config);
	weir_config_free(config);
	return code;
}

static void each_allocation_may_fail(void **state)
{
	uint64_t allocations = 0;

	(void)state;
	assert_int_equal(build_all(), WEIR_OK);
	for (uint64_t nth = 1;; nth++) {
		int code;

		weir_mem_fail(nth, 0);
		code = build_all();
		weir_mem_fail(0, 0);
		if (code == WEIR_OK)
			break;
		assert_int_equal(code, WEIR_ENOMEM);
		allocations = nth;
	}
	assert_true(allocations > 20);
}

static void all_allocations_may_fail_from_some_on(void **state)
{
	int code = WEIR_ENOMEM;

	(void)state;
	for (uint64_t nth = 1; code != WEIR_OK; nth++) {
		weir_mem_fail(nth, 1);
		code = build_all();
		weir_mem_fail(0, 0);
		assert_true(code == WEIR_OK || code == WEIR_ENOMEM);
	}
}

static void problems_that_cannot_be_kept_are_not_no_problems(void **state)
{
	(void)state;
	for (uint64_t nth = 1; nth < 30; nth++) {
		weir_config *config;
		int code = weir_config_new(&config);

		assert_int_equal(code, WEIR_OK);
		weir_mem_fail(nth, 1);
		code = weir_config_add_text(config, "c.json", WEIR_STR("{\"log.level\": 5}"));
		if (!code)
			code = weir_config_load(config, NULL);
		weir_mem_fail(0, 0);
		assert_int_not_equal(code, WEIR_OK);
		weir_config_free(config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_may_fail),
		cmocka_unit_test(all_allocations_may_fail_from_some_on),
		cmocka_unit_test(problems_that_cannot_be_kept_are_not_no_problems),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
