/* SPDX-License-Identifier: Apache-2.0 */
/* cli/parse, cli/say, cli/ident and the helpers of cli/http */
#include "unit/weir_cmocka.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "cli/cmd.h"
#include "cli/http.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct options {
	bool all, quiet;
	const char *name, *level;
	struct weir_cli_list sets;
	uint64_t count;
	int64_t wait_ms;
};

static const struct weir_cli_option rows[] = {
	{ "all", 'a', WEIR_CLI_FLAG, NULL, "everything", offsetof(struct options, all) },
	{ "quiet", 'q', WEIR_CLI_FLAG, NULL, "less", offsetof(struct options, quiet) },
	{ "name", 'n', WEIR_CLI_TEXT, "NAME", "a name", offsetof(struct options, name) },
	{ "set", 's', WEIR_CLI_LIST, "KEY=VALUE", "settings", offsetof(struct options, sets) },
	{ "count", 0, WEIR_CLI_UINT, "N", "how many", offsetof(struct options, count) },
	{ "wait", 0, WEIR_CLI_DURATION, "DURATION", "how long", offsetof(struct options, wait_ms) },
	{ "level", 0, WEIR_CLI_CHOICE, "low|high", "how much", offsetof(struct options, level) },
};

static const struct weir_cmd cmd = {
	.name = "try",
	.args = "NS/NAME",
	.summary = "Try it",
	.options = rows,
	.option_count = COUNT(rows),
	.options_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 2,
};

/* What the parser made of a line of words. */
struct parsed {
	struct options options;
	char words[256];
	char *argv[16];
	char *const *args;
	size_t arg_count;
	int code;
};

static void parse(struct parsed *parsed, const char *line)
{
	size_t argc = 0;
	char *at;

	memset(parsed, 0, sizeof *parsed);
	snprintf(parsed->words, sizeof parsed->words, "%s", line);
	for (at = parsed->words; *at;) {
		size_t len = strcspn(at, " ");

		parsed->argv[argc++] = at;
		at += len;
		if (*at)
			*at++ = '\0';
	}
	parsed->code = weir_cli_parse(&cmd, parsed->argv, argc, &parsed->options, &parsed->args, &parsed->arg_count);
}

static void end(struct parsed *parsed)
{
	weir_cli_parse_fini(&cmd, &parsed->options);
}

static void options_fill_their_fields_wherever_they_stand(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "-a one --name joe --set a=1 -s b=2 --count 7 --wait PT1.5S --level high two");
	assert_int_equal(p.code, -1);
	assert_true(p.options.all);
	assert_false(p.options.quiet);
	assert_string_equal(p.options.name, "joe");
	assert_int_equal(p.options.sets.count, 2);
	assert_string_equal(p.options.sets.items[0], "a=1");
	assert_string_equal(p.options.sets.items[1], "b=2");
	assert_int_equal(p.options.count, 7);
	assert_int_equal(p.options.wait_ms, 1500);
	assert_string_equal(p.options.level, "high");
	assert_int_equal(p.arg_count, 2);
	assert_string_equal(p.args[0], "one");
	assert_string_equal(p.args[1], "two");
	end(&p);
}

static void values_may_be_joined_and_letters_grouped(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "--name=a=b -aqnjoe x");
	assert_int_equal(p.code, -1);
	assert_true(p.options.all && p.options.quiet);
	assert_string_equal(p.options.name, "joe");
	end(&p);
	parse(&p, "--name= x");
	assert_int_equal(p.code, -1);
	assert_string_equal(p.options.name, "");
	end(&p);
}

static void behind_two_dashes_nothing_is_an_option(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "-- --name -");
	assert_int_equal(p.code, -1);
	assert_int_equal(p.arg_count, 2);
	assert_string_equal(p.args[0], "--name");
	assert_string_equal(p.args[1], "-");
	end(&p);
}

static void wrong_usage_is_exit_code_64(void **state)
{
	static const char *const lines[] = {
		"",             /* an argument is missing */
		"a b c",        /* one too many */
		"a --nmae joe", /* unknown */
		"a --na joe",   /* no abbreviations */
		"a -x",         /* unknown letter */
		"a --name",     /* no value */
		"a -n",         /* no value */
		"a --all=yes",  /* a flag takes none */
		"a --count -1", /* no number */
		"a --count 1x", /* no number */
		"a --count 99999999999999999999",
		"a --wait 5", /* no unit */
		"a --wait 5y",
		"a --wait 1.5ms",
		"a --level middle",
		"a --level low|high",
		"a --level=",
	};
	struct parsed p;

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		parse(&p, lines[i]);
		if (p.code != WEIR_EXIT_USAGE)
			fail_msg("'%s' gave %d", lines[i], p.code);
		end(&p);
	}
}

static void help_is_exit_code_0_even_without_arguments(void **state)
{
	static const char *const lines[] = { "--help", "-h", "-ah", "a b --help" };
	struct parsed p;

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		parse(&p, lines[i]);
		assert_int_equal(p.code, WEIR_EXIT_OK);
		end(&p);
	}
}

static void durations_have_short_forms(void **state)
{
	static const struct {
		const char *line;
		int64_t ms;
	} cases[] = {
		{ "x --wait 200ms", 200 }, { "x --wait 1.5s", 1500 },    { "x --wait 30s", 30000 },
		{ "x --wait 2m", 120000 }, { "x --wait 1h", 3600000 },   { "x --wait PT2M", 120000 },
		{ "x --wait 0s", 0 },      { "x --wait P1D", 86400000 },
	};
	struct parsed p;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		parse(&p, cases[i].line);
		assert_int_equal(p.code, -1);
		assert_int_equal(p.options.wait_ms, cases[i].ms);
		end(&p);
	}
}

static void a_list_that_finds_no_memory_fails(void **state)
{
	struct parsed p;

	(void)state;
	weir_mem_fail(1, 0);
	parse(&p, "x --set a=1");
	assert_int_equal(p.code, WEIR_EXIT_FAILED);
	end(&p);
}

static void each_kind_of_error_has_its_exit_code(void **state)
{
	static const struct {
		int code, exit_code;
	} cases[] = {
		{ WEIR_EUNAVAIL, WEIR_EXIT_UNAVAILABLE }, { WEIR_EBUSY, WEIR_EXIT_UNAVAILABLE },
		{ WEIR_EINVAL, WEIR_EXIT_CONFIG },        { WEIR_EVERSION, WEIR_EXIT_CONFIG },
		{ WEIR_ENOTFOUND, WEIR_EXIT_CONFIG },     { WEIR_EIO, WEIR_EXIT_FAILED },
		{ WEIR_ENOMEM, WEIR_EXIT_FAILED },
	};
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		weir_fail(&err, cases[i].code, "on purpose");
		assert_int_equal(weir_cli_fail(&err), cases[i].exit_code);
	}
}

static void an_address_to_listen_on_becomes_one_to_connect_to(void **state)
{
	static const struct {
		const char *addresses, *url;
	} cases[] = {
		{ "127.0.0.1:8080", "http://127.0.0.1:8080" },
		{ " 10.1.2.3:80 ,127.0.0.1:81", "http://10.1.2.3:80" },
		{ ":8080", "http://127.0.0.1:8080" },
		{ "0.0.0.0:8080", "http://127.0.0.1:8080" },
		{ "[::]:8080", "http://[::1]:8080" },
		{ "[::1]:8080", "http://[::1]:8080" },
		{ "127.0.0.1:0", NULL },
		{ "127.0.0.1:65536", NULL },
		{ "127.0.0.1", NULL },
		{ "", NULL },
		{ NULL, NULL },
	};
	char url[64];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(weir_cli_http_base(cases[i].addresses, url, sizeof url), cases[i].url != NULL);
		if (cases[i].url)
			assert_string_equal(url, cases[i].url);
	}
	assert_false(weir_cli_http_base("127.0.0.1:8080", url, 10));
}

static void names_are_escaped_in_a_path(void **state)
{
	struct weir_dynbuf url;

	(void)state;
	weir_dynbuf_init(&url, 256);
	assert_true(weir_cli_http_path(&url, "http://h:1//", "/tail/", "a b", "../c?d"));
	assert_string_equal(url.ptr, "http://h:1/tail/a%20b/..%2Fc%3Fd");
	weir_dynbuf_fini(&url);
}

static void the_reason_of_an_error_body_is_found_and_made_harmless(void **state)
{
	char text[64];

	(void)state;
	assert_true(
	    weir_cli_http_reason(WEIR_STR("{\"code\":\"x\",\"reason\":\"no\\u001b[2J room\"}"), text, sizeof text));
	assert_string_equal(text, "no?[2J room");
	assert_false(weir_cli_http_reason(WEIR_STR(""), text, sizeof text));
	assert_false(weir_cli_http_reason(WEIR_STR("<html>"), text, sizeof text));
	assert_false(weir_cli_http_reason(WEIR_STR("[1]"), text, sizeof text));
	assert_false(weir_cli_http_reason(WEIR_STR("{\"reason\":5}"), text, sizeof text));
}

static void uuids_are_of_version_4_and_differ(void **state)
{
	char a[WEIR_UUID_SIZE], b[WEIR_UUID_SIZE];

	(void)state;
	assert_true(weir_uuid(a) && weir_uuid(b));
	assert_int_equal(strlen(a), 36);
	assert_int_equal(strspn(a, "0123456789abcdef-"), 36);
	assert_int_equal(a[8], '-');
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
	assert_string_not_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_fill_their_fields_wherever_they_stand),
		cmocka_unit_test(values_may_be_joined_and_letters_grouped),
		cmocka_unit_test(behind_two_dashes_nothing_is_an_option),
		cmocka_unit_test(wrong_usage_is_exit_code_64),
		cmocka_unit_test(help_is_exit_code_0_even_without_arguments),
		cmocka_unit_test(durations_have_short_forms),
		cmocka_unit_test(a_list_that_finds_no_memory_fails),
		cmocka_unit_test(each_kind_of_error_has_its_exit_code),
		cmocka_unit_test(an_address_to_listen_on_becomes_one_to_connect_to),
		cmocka_unit_test(names_are_escaped_in_a_path),
		cmocka_unit_test(the_reason_of_an_error_body_is_found_and_made_harmless),
		cmocka_unit_test(uuids_are_of_version_4_and_differ),
	};

	return cmocka_run_group_tests_name("cli/parse", tests, NULL, NULL);
}
