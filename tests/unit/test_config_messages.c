/* SPDX-License-Identifier: Apache-2.0 */
/* Every mistake and its message, against tests/fixtures/config/messages.txt, which explains itself. */
#include <stdio.h>
#include <stdlib.h>

#include "base/dynbuf.h"
#include "unit/config_support.h"

enum { FILE_MAX = 1024 * 1024 };

struct one_case {
	const char *name;
	struct weir_buf whole;  /* from "=== NAME" to before "---" */
	struct weir_buf input;  /* behind the name */
	struct weir_buf output; /* what is expected */
};

static struct weir_dynbuf golden, actual;

/* The line at the front of *rest, with its end. */
static struct weir_buf take_line(struct weir_buf *rest)
{
	const char *end = memchr(rest->ptr, '\n', rest->len);
	struct weir_buf line = { rest->ptr, end ? (size_t)(end + 1 - (const char *)rest->ptr) : rest->len };

	*rest = (struct weir_buf){ (const char *)rest->ptr + line.len, rest->len - line.len };
	return line;
}

static bool begins_case(struct weir_buf rest)
{
	return weir_str_starts(rest, WEIR_STR("=== "));
}

static struct weir_buf between(const void *from, const void *to)
{
	return (struct weir_buf){ from, (size_t)((const char *)to - (const char *)from) };
}

/* What stands before the first case is put out as it is. */
static void take_preface(struct weir_buf *rest)
{
	while (rest->len && !begins_case(*rest))
		weir_dynbuf_add_buf(&actual, take_line(rest));
}

static void take_case(struct weir_buf *rest, struct one_case *ret)
{
	const void *start = rest->ptr, *input;

	ret->name = take_line(rest).ptr;
	input = rest->ptr;
	while (rest->len && !weir_str_starts(*rest, WEIR_STR("---\n")))
		take_line(rest);
	ret->whole = between(start, rest->ptr);
	ret->input = between(input, rest->ptr);
	take_line(rest);
	start = rest->ptr;
	while (rest->len && !begins_case(*rest))
		take_line(rest);
	ret->output = between(start, rest->ptr);
}

/* Takes a line "WORD value" off the input; false if it is another line. */
static bool take_word(struct weir_buf *input, struct weir_buf word, char value[256])
{
	struct weir_buf line;

	if (!weir_str_starts(*input, word))
		return false;
	line = take_line(input);
	snprintf(value, 256, "%.*s", (int)(line.len - word.len - 1), (const char *)line.ptr + word.len);
	return true;
}

static void say(struct weir_dynbuf *out, weir_config *config)
{
	struct weir_error err = WEIR_ERROR_INIT;
	int code = weir_config_load(config, &err);
	const char *line;

	for (size_t i = 0; (line = weir_config_warning(config, i)); i++)
		weir_dynbuf_addf(out, "warning: %s\n", line);
	for (size_t i = 0; (line = weir_config_problem(config, i)); i++)
		weir_dynbuf_addf(out, "%s\n", line);
	if (code == WEIR_OK)
		weir_dynbuf_add_text(out, "ok\n");
	else
		assert_int_equal(code, WEIR_EINVAL);
}

static void run_case(const struct one_case *one, struct weir_dynbuf *out)
{
	weir_config *config = config_of(NULL);
	struct weir_buf input = one->input;
	bool without_file = false;
	char value[256];

	for (bool more = true; more;) {
		more = take_word(&input, WEIR_STR("set "), value);
		if (more)
			assert_int_equal(weir_config_add_setting(config, value), WEIR_OK);
		else if ((more = take_word(&input, WEIR_STR("env "), value)))
			add_variable(config, value);
		without_file |= more;
	}
	if (input.len || !without_file)
		assert_int_equal(weir_config_add_text(config, "c.json", input), WEIR_OK);
	say(out, config);
	weir_config_free(config);
}

static void read_golden(const char *path)
{
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	weir_dynbuf_init(&golden, FILE_MAX);
	weir_dynbuf_init(&actual, FILE_MAX);
	assert_non_null(weir_dynbuf_reserve(&golden, FILE_MAX - 1));
	golden.len = fread(golden.ptr, 1, FILE_MAX - 1, file);
	fclose(file);
}

static void write_golden(const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(actual.ptr, 1, actual.len, file), actual.len);
	assert_int_equal(fclose(file), 0);
}

static void every_mistake_gives_its_message(void **state)
{
	bool update = getenv("WEIR_TEST_UPDATE") != NULL;
	size_t cases = 0, wrong = 0;
	struct weir_buf rest;
	char path[4096];

	(void)state;
	snprintf(path, sizeof path, "%s/tests/fixtures/config/messages.txt", getenv("WEIR_TEST_SOURCE"));
	read_golden(path);
	rest = weir_dynbuf_view(&golden);
	for (take_preface(&rest); rest.len; cases++) {
		struct weir_buf said = { NULL, 0 };
		struct one_case one;
		size_t start;

		take_case(&rest, &one);
		weir_dynbuf_add_buf(&actual, one.whole);
		weir_dynbuf_add_text(&actual, "---\n");
		start = actual.len;
		run_case(&one, &actual);
		said = between(actual.ptr + start, actual.ptr + actual.len);
		if (update || weir_str_equal(said, one.output))
			continue;
		wrong++;
		print_error("%.*sexpected:\n%.*sgot:\n%.*s", (int)one.whole.len, (const char *)one.whole.ptr,
			    (int)one.output.len, (const char *)one.output.ptr, (int)said.len, (const char *)said.ptr);
	}
	if (update)
		write_golden(path);
	assert_true(cases > 40);
	assert_int_equal(wrong, 0);
	weir_dynbuf_fini(&golden);
	weir_dynbuf_fini(&actual);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mistake_gives_its_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
