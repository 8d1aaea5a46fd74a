/* SPDX-License-Identifier: Apache-2.0 */
/* The sections of drivers, judged by their option tables; secrets and the files that hold them. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/config_support.h"

#define CANARY "canary-4f1c"

static const struct weir_option options[] = {
	{ "url", WEIR_OPT_STRING, WEIR_OPTION_REQUIRED, NULL, 0, 0, NULL, "Where the backend is." },
	{ "password", WEIR_OPT_STRING, WEIR_OPTION_SECRET, NULL, 0, 0, NULL, "Password." },
	{ "pin", WEIR_OPT_INT, WEIR_OPTION_SECRET, NULL, 1000, 9999, NULL, "A secret number." },
	{ "replicationFactor", WEIR_OPT_INT, 0, "1", 1, 9, NULL, "Copies." },
	{ "timeout", WEIR_OPT_DURATION, 0, "PT5S", 1, 60000, NULL, "Longest wait." },
	{ "size", WEIR_OPT_BYTES, 0, "1MiB", 1, INT64_C(1) << 40, NULL, "Room." },
	{ "retention", WEIR_OPT_DURATION, 0, "60000", 0, 0, NULL, "A default as it is handed over." },
	{ "sync", WEIR_OPT_ENUM, 0, "always", 0, 0, "always|os", "When it is safe." },
	{ "servers", WEIR_OPT_LIST, 0, NULL, 0, 0, NULL, "More servers." },
	{ "properties.*", WEIR_OPT_STRING, WEIR_OPTION_PREFIX, NULL, 0, 0, NULL, "Passed on." },
};

static const struct weir_driver driver = {
	.name = "acme",
	.kind = "AcmeChannel",
	.options = options,
	.option_count = sizeof options / sizeof options[0],
};

static const struct weir_setting *settings;
static size_t setting_count;

static void read_settings(const weir_config *config)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (weir_config_driver(config, &driver, &settings, &setting_count, &err) != WEIR_OK)
		fail_msg("%s", err.text);
}

static const char *setting(const char *key)
{
	for (size_t i = 0; i < setting_count; i++) {
		if (strcmp(settings[i].key, key) == 0)
			return settings[i].value;
	}
	return NULL;
}

/* Expects that the section is refused with `expected`, by both functions. */
static void assert_refused(weir_config *config, const char *expected)
{
	struct weir_error err = WEIR_ERROR_INIT;

	load(config);
	assert_int_equal(weir_config_driver(config, &driver, &settings, &setting_count, &err), WEIR_EINVAL);
	assert_string_equal(err.text, expected);
	assert_null(weir_config_problem(config, 0));
	assert_int_equal(weir_config_check_driver(config, &driver, &err), WEIR_EINVAL);
	assert_string_equal(weir_config_problem(config, 0), expected);
	weir_config_free(config);
}

static void a_driver_gets_its_settings_with_defaults_filled_in(void **state)
{
	weir_config *config =
	    loaded("{\"acme\": {\"url\": \"tcp://h:1\", \"size\": \"2MiB\", \"servers\": [\"a\", \"b\"]}}");

	(void)state;
	read_settings(config);
	assert_string_equal(setting("url"), "tcp://h:1");
	assert_string_equal(setting("size"), "2097152");
	assert_string_equal(setting("timeout"), "5000");
	assert_string_equal(setting("retention"), "60000");
	assert_string_equal(setting("sync"), "always");
	assert_string_equal(setting("replicationFactor"), "1");
	assert_string_equal(setting("servers"), "a,b");
	assert_null(setting("password"));
	weir_config_free(config);
}

static void settings_are_read_once_and_stay(void **state)
{
	weir_config *config = loaded("{\"acme.url\": \"tcp://h:1\"}");
	const struct weir_setting *first;

	(void)state;
	read_settings(config);
	first = settings;
	read_settings(config);
	assert_ptr_equal(settings, first);
	weir_config_free(config);
}

static void *read_by_a_thread(void *config)
{
	const struct weir_setting *read = NULL;
	size_t count;

	weir_config_driver(config, &driver, &read, &count, NULL);
	return (void *)(uintptr_t)read;
}

static void threads_that_read_at_once_get_the_same_settings(void **state)
{
	enum { THREADS = 8 };
	weir_config *config = loaded("{\"acme.url\": \"tcp://h:1\"}");
	pthread_t threads[THREADS];
	void *read[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_by_a_thread, config), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], &read[i]), 0);
	assert_non_null(read[0]);
	for (int i = 1; i < THREADS; i++)
		assert_ptr_equal(read[i], read[0]);
	weir_config_free(config);
}

static void the_first_mistake_is_told_in_printable_characters(void **state)
{
	(void)state;
	assert_refused(config_of("{\"acme\": {\"url\": \"u\", \"zz\\u001b[31m\\nzzzzzz\": 1}}"),
		       "c.json:1:23: acme.zz?[31m?zzzzzz: unknown key of the driver acme");
}

static void keys_below_a_prefix_are_passed_on(void **state)
{
	weir_config *config =
	    loaded("{\"acme\": {\"url\": \"u\", \"properties\": {\"socket.timeout.ms\": 60000, \"debug\": true,"
		   " \"client\": {\"id\": \"x\"}}}}");

	(void)state;
	read_settings(config);
	assert_string_equal(setting("properties.socket.timeout.ms"), "60000");
	assert_string_equal(setting("properties.debug"), "true");
	assert_string_equal(setting("properties.client.id"), "x");
	weir_config_free(config);
}

static void the_environment_reaches_keys_whose_capitals_it_cannot_tell(void **state)
{
	weir_config *config = config_of("{\"acme\": {\"url\": \"u\", \"replicationFactor\": 2}}");

	(void)state;
	add_variable(config, "WEIR_ACME__REPLICATIONFACTOR=3");
	add_variable(config, "WEIR_ACME__PROPERTIES__LINGER__MS=5");
	load(config);
	read_settings(config);
	assert_string_equal(setting("replicationFactor"), "3");
	assert_string_equal(setting("properties.linger.ms"), "5");
	weir_config_free(config);
}

static void an_unknown_key_names_the_nearest_one(void **state)
{
	(void)state;
	assert_refused(config_of("{\"acme\": {\"url\": \"u\",\n \"replicationfactor\": 2}}"),
		       "c.json:2:2: acme.replicationfactor: unknown key of the driver acme; did you mean "
		       "\"acme.replicationFactor\"?");
}

static void a_required_key_must_be_set(void **state)
{
	(void)state;
	assert_refused(config_of(NULL),
		       "configuration: acme.url: is not set, and the driver needs it: Where the backend is.");
}

static void a_required_key_with_a_wrong_value_is_not_called_missing(void **state)
{
	(void)state;
	assert_refused(config_of("{\"acme.url\": 5}"), "c.json:1:14: acme.url: must be a string, not a number");
}

static void ranges_and_choices_of_options_hold(void **state)
{
	(void)state;
	assert_refused(config_of("{\"acme\": {\"url\": \"u\", \"replicationFactor\": 12}}"),
		       "c.json:1:44: acme.replicationFactor: \"12\" is out of range; allowed: 1 to 9");
	assert_refused(
	    config_of("{\"acme\": {\"url\": \"u\", \"sync\": \"allways\"}}"),
	    "c.json:1:31: acme.sync: \"allways\" is not a choice; allowed: always, os; did you mean \"always\"?");
	assert_refused(
	    config_of("{\"acme\": {\"url\": \"u\", \"timeout\": \"10s\"}}"),
	    "c.json:1:34: acme.timeout: \"10s\" is not an ISO 8601 duration; allowed: PT0.001S to PT1M; did you mean "
	    "\"PT10S\"?");
}

static void every_mistake_of_a_section_becomes_a_problem(void **state)
{
	weir_config *config = loaded("{\"acme\": {\"replicationFactor\": 12, \"sync\": \"never\", \"zzzzzzzz\": 1}}");
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	assert_int_equal(weir_config_check_driver(config, &driver, &err), WEIR_EINVAL);
	/* Three wrong ones, and the url that is missing. */
	assert_non_null(weir_config_problem(config, 3));
	assert_null(weir_config_problem(config, 4));
	assert_string_equal(err.text, weir_config_problem(config, 0));
	weir_config_free(config);
}

static void a_section_that_no_driver_reads_is_a_mistake(void **state)
{
	static const char *const drivers[] = { "acme", "memory" };
	weir_config *config = loaded("{\"acme.url\": \"u\",\n\"zebra\": {},\n\"dispacher\": {\"listen\": \":1\"},\n"
				     "\"acne.url\": \"u\"}");
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	assert_int_equal(weir_config_check_sections(config, drivers, 2, &err), WEIR_EINVAL);
	assert_string_equal(weir_config_problem(config, 0),
			    "c.json:2:1: zebra: unknown key: neither Weir nor a driver that was "
			    "found is called \"zebra\"");
	assert_string_equal(weir_config_problem(config, 1),
			    "c.json:3:15: dispacher.listen: unknown key; did you mean \"dispatcher.listen\"?");
	assert_string_equal(weir_config_problem(config, 2),
			    "c.json:4:1: acne.url: unknown key; did you mean \"acme.url\"?");
	assert_null(weir_config_problem(config, 3));
	weir_config_free(config);
}

static void a_section_of_a_driver_that_was_found_is_no_mistake(void **state)
{
	static const char *const drivers[] = { "acme" };
	weir_config *config = loaded("{\"acme\": {}, \"acme.any\": 1}");

	(void)state;
	assert_int_equal(weir_config_check_sections(config, drivers, 1, NULL), WEIR_OK);
	weir_config_free(config);
}

/* ---- secrets ------------------------------------------------------------- */

static char folder[] = "/tmp/weir-test-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof path, "%s/secret", folder);
	unlink(path);
	return rmdir(folder);
}

/* A configuration whose acme.passwordFile is a file with this content and mode. */
static weir_config *with_secret(const void *content, size_t len, mode_t mode)
{
	char path[64], text[160];
	FILE *file;

	snprintf(path, sizeof path, "%s/secret", folder);
	unlink(path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
	snprintf(text, sizeof text, "{\"acme.url\": \"u\", \"acme.passwordFile\": \"%s\"}", path);
	return config_of(text);
}

static void assert_secret_refused(weir_config *config, const char *reason)
{
	char expected[256];

	snprintf(expected, sizeof expected, "c.json:1:19: acme.passwordFile: %s", reason);
	assert_refused(config, expected);
}

static void a_secret_is_read_from_its_file(void **state)
{
	weir_config *config = with_secret(CANARY "\n", sizeof CANARY, 0600);

	(void)state;
	load(config);
	read_settings(config);
	assert_string_equal(setting("password"), CANARY);
	assert_null(setting("passwordFile"));
	weir_config_free(config);
}

static void only_one_line_end_is_taken_off_a_secret(void **state)
{
	weir_config *config = with_secret("a\n\r\n", 4, 0600);

	(void)state;
	load(config);
	read_settings(config);
	assert_string_equal(setting("password"), "a\n");
	weir_config_free(config);
}

static void a_secret_that_others_may_write_is_refused(void **state)
{
	(void)state;
	assert_secret_refused(
	    with_secret(CANARY, 6, 0620),
	    "names a file that others may write to; allowed: a file that only its owner may write to");
}

static void a_secret_that_everybody_may_read_is_warned_of(void **state)
{
	weir_config *config = with_secret(CANARY, 6, 0644);

	(void)state;
	load(config);
	assert_int_equal(weir_config_check_driver(config, &driver, NULL), WEIR_OK);
	assert_string_equal(weir_config_warning(config, 0),
			    "c.json:1:19: acme.passwordFile: names a file that everybody may read");
	weir_config_free(config);
}

static void an_empty_secret_is_refused(void **state)
{
	(void)state;
	assert_secret_refused(with_secret("\n", 1, 0600), "names a file that is empty");
}

static void a_secret_with_a_nul_is_refused(void **state)
{
	(void)state;
	assert_secret_refused(with_secret("a\0b", 3, 0600), "names a file with a NUL character in it");
}

static void a_secret_that_is_too_large_is_refused(void **state)
{
	char *large = calloc(1, 65537);

	(void)state;
	assert_non_null(large);
	memset(large, 'x', 65537);
	assert_secret_refused(with_secret(large, 65537, 0600),
			      "the file that it names has 65537 bytes; allowed: at most 65536");
	free(large);
}

static void a_secret_that_is_missing_is_refused(void **state)
{
	(void)state;
	assert_refused(
	    config_of("{\"acme.url\": \"u\", \"acme.passwordFile\": \"/no/such/file\"}"),
	    "c.json:1:19: acme.passwordFile: the file that it names cannot be opened: No such file or directory");
}

static void only_secrets_have_a_file_variant(void **state)
{
	(void)state;
	assert_refused(config_of("{\"acme.url\": \"u\", \"acme.syncFile\": \"/etc/passwd\"}"),
		       "c.json:1:19: acme.syncFile: unknown key of the driver acme");
}

static void a_secret_and_its_file_in_one_place_contradict_each_other(void **state)
{
	(void)state;
	assert_refused(
	    config_of("{\"acme.url\": \"u\", \"acme.password\": \"" CANARY "\", \"acme.passwordFile\": \"/x\"}"),
	    "c.json:1:51: acme.passwordFile: is given beside acme.password: leave one of them out");
}

static void a_later_layer_decides_between_a_secret_and_its_file(void **state)
{
	weir_config *config = with_secret("from-file", 9, 0600);

	(void)state;
	weir_config_add_setting(config, "acme.password=from-setting");
	load(config);
	read_settings(config);
	assert_string_equal(setting("password"), "from-setting");
	weir_config_free(config);
}

/* Every way to get a secret wrong that comes to mind. */
static void no_message_shows_a_secret(void **state)
{
	static const char *const texts[] = {
		"{\"acme\": {\"url\": \"u\", \"password\": [\"" CANARY "\"]}}",
		"{\"acme\": {\"url\": \"u\", \"password\": {\"x\": \"" CANARY "\"}}}",
		"{\"acme\": {\"url\": \"u\", \"password\": \"" CANARY "\\u0000\"}}",
		"{\"acme\": {\"url\": \"u\", \"pin\": \"" CANARY "\"}}",
		"{\"acme\": {\"url\": \"u\", \"pin\": 31337}}",
		"{\"acme\": {\"url\": \"u\", \"passwrd\": \"" CANARY "\"}}",
		"{\"acme\": {\"url\": \"u\", \"passwordFile\": \"/no/" CANARY "\"}}",
		"{\"acne\": {\"password\": \"" CANARY "\"}}",
		"{\"acme.password\": \"" CANARY,
		"{\"acme.password\": " CANARY "}",
		"{\"acme.password\": \"a\", \"acme.password\": \"" CANARY "\"}",
		"{\"channels\": [{\"namespace\": \"n\", \"name\": \"a\", \"subscriptions\": [{\"name\": \"s\", "
		"\"subscriber\": "
		"\"http://u:" CANARY "@h/\", \"reply\": \"ftp://u:" CANARY "@h/\"}]}]}",
	};
	static const char *const drivers[] = { "acme" };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct weir_error err = WEIR_ERROR_INIT, driver_err = WEIR_ERROR_INIT;
		weir_config *config = config_of(texts[i]);
		const char *problem;

		weir_config_load(config, &err);
		weir_config_check_driver(config, &driver, &driver_err);
		weir_config_check_sections(config, drivers, 1, NULL);
		assert_non_null(weir_config_problem(config, 0));
		assert_null(strstr(err.text, CANARY));
		assert_null(strstr(driver_err.text, CANARY));
		for (size_t j = 0; (problem = weir_config_problem(config, j)); j++) {
			assert_null(strstr(problem, CANARY));
			assert_null(strstr(problem, "31337"));
		}
		weir_config_free(config);
	}
}

static void no_message_shows_a_secret_that_was_a_setting(void **state)
{
	static const char *const assignments[] = { CANARY, "acme.pin=" CANARY, "acme.passwrd=" CANARY,
						   "acme.password={\"" CANARY };

	(void)state;
	for (size_t i = 0; i < sizeof assignments / sizeof assignments[0]; i++) {
		weir_config *config = config_of("{\"acme.url\": \"u\"}");
		const char *problem;

		weir_config_add_setting(config, assignments[i]);
		weir_config_load(config, NULL);
		weir_config_check_driver(config, &driver, NULL);
		for (size_t j = 0; (problem = weir_config_problem(config, j)); j++)
			assert_null(strstr(problem, CANARY));
		weir_config_free(config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_driver_gets_its_settings_with_defaults_filled_in),
		cmocka_unit_test(settings_are_read_once_and_stay),
		cmocka_unit_test(threads_that_read_at_once_get_the_same_settings),
		cmocka_unit_test(the_first_mistake_is_told_in_printable_characters),
		cmocka_unit_test(keys_below_a_prefix_are_passed_on),
		cmocka_unit_test(the_environment_reaches_keys_whose_capitals_it_cannot_tell),
		cmocka_unit_test(an_unknown_key_names_the_nearest_one),
		cmocka_unit_test(a_required_key_must_be_set),
		cmocka_unit_test(a_required_key_with_a_wrong_value_is_not_called_missing),
		cmocka_unit_test(ranges_and_choices_of_options_hold),
		cmocka_unit_test(every_mistake_of_a_section_becomes_a_problem),
		cmocka_unit_test(a_section_that_no_driver_reads_is_a_mistake),
		cmocka_unit_test(a_section_of_a_driver_that_was_found_is_no_mistake),
		cmocka_unit_test(a_secret_is_read_from_its_file),
		cmocka_unit_test(only_one_line_end_is_taken_off_a_secret),
		cmocka_unit_test(a_secret_that_others_may_write_is_refused),
		cmocka_unit_test(a_secret_that_everybody_may_read_is_warned_of),
		cmocka_unit_test(an_empty_secret_is_refused),
		cmocka_unit_test(a_secret_with_a_nul_is_refused),
		cmocka_unit_test(a_secret_that_is_too_large_is_refused),
		cmocka_unit_test(a_secret_that_is_missing_is_refused),
		cmocka_unit_test(only_secrets_have_a_file_variant),
		cmocka_unit_test(a_secret_and_its_file_in_one_place_contradict_each_other),
		cmocka_unit_test(a_later_layer_decides_between_a_secret_and_its_file),
		cmocka_unit_test(no_message_shows_a_secret),
		cmocka_unit_test(no_message_shows_a_secret_that_was_a_setting),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
