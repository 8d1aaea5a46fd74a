/* SPDX-License-Identifier: Apache-2.0 */
/* The dialects exact, prefix, suffix, all, any and not. */
#include "unit/filter_fixture.h"

/* ---- one attribute --------------------------------------------------------- */

struct match_row {
	const char *name;
	enum weir_filter_dialect dialect;
	const char *attribute, *wanted;
	bool passes;
};

static struct match_row match_rows[] = {
	{ "exact_is_the_whole_value", WEIR_FILTER_EXACT, "type", "com.example.order.created", true },
	{ "exact_is_not_a_beginning", WEIR_FILTER_EXACT, "type", "com.example.order", false },
	{ "exact_is_not_longer", WEIR_FILTER_EXACT, "type", "com.example.order.created.", false },
	{ "exact_has_case", WEIR_FILTER_EXACT, "type", "com.example.order.Created", false },
	{ "exact_of_an_extension", WEIR_FILTER_EXACT, "region", "eu", true },
	{ "exact_of_a_missing_attribute", WEIR_FILTER_EXACT, "subject", "x", false },
	{ "exact_of_a_missing_extension", WEIR_FILTER_EXACT, "nowhere", "x", false },
	{ "exact_of_specversion", WEIR_FILTER_EXACT, "specversion", "1.0", true },
	{ "prefix_is_a_beginning", WEIR_FILTER_PREFIX, "type", "com.example.", true },
	{ "prefix_may_be_everything", WEIR_FILTER_PREFIX, "type", "com.example.order.created", true },
	{ "prefix_is_not_an_end", WEIR_FILTER_PREFIX, "type", ".created", false },
	{ "prefix_is_not_longer", WEIR_FILTER_PREFIX, "region", "eur", false },
	{ "prefix_of_a_missing_attribute", WEIR_FILTER_PREFIX, "subject", "x", false },
	{ "suffix_is_an_end", WEIR_FILTER_SUFFIX, "type", ".created", true },
	{ "suffix_may_be_everything", WEIR_FILTER_SUFFIX, "region", "eu", true },
	{ "suffix_is_not_a_beginning", WEIR_FILTER_SUFFIX, "type", "com.", false },
	{ "suffix_is_not_longer", WEIR_FILTER_SUFFIX, "region", "seu", false },
	{ "suffix_of_a_missing_attribute", WEIR_FILTER_SUFFIX, "subject", "x", false },
};

static struct filter_fixture *fixture;

static void matches_as_the_row_says(const struct match_row *row)
{
	set_attribute(fixture->event, "region", "eu");
	add_match(fixture, row->dialect, row->attribute, row->wanted);
	if (passes(fixture, finish(fixture)) != row->passes)
		fail_msg("%s", row->name);
	assert_int_equal(fixture->fault, WEIR_FILTER_NO_FAULT);
}

static void one_attribute_is_compared(void **state)
{
	for (size_t i = 0; i < sizeof match_rows / sizeof match_rows[0]; i++) {
		filter_begin(state);
		fixture = *state;
		matches_as_the_row_says(&match_rows[i]);
		filter_end(state);
	}
}

static void an_integer_extension_is_compared_as_its_text(void **state)
{
	struct filter_fixture *own = *state;
	struct weir_error err = WEIR_ERROR_INIT;

	assert_int_equal(weir_event_from_json(own->event,
					      WEIR_STR("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/\","
						       "\"type\":\"t\",\"count\":42}"),
					      &err),
			 WEIR_OK);
	add_match(own, WEIR_FILTER_EXACT, "count", "42");
	assert_true(passes(own, finish(own)));
}

/* ---- groups ---------------------------------------------------------------- */

/* T and F are filters that do and do not pass; '&', '|', '!' and '.' begin a group of all, any, not, and end it. */
static bool evaluate(struct filter_fixture *own, const char *program)
{
	for (; *program; program++) {
		if (*program == 'T' || *program == 'F')
			add_match(own, WEIR_FILTER_EXACT, "id", *program == 'T' ? "1" : "2");
		else if (*program == '.')
			end_group(own);
		else
			begin_group(own, *program == '&'   ? WEIR_FILTER_ALL
					 : *program == '|' ? WEIR_FILTER_ANY
							   : WEIR_FILTER_NOT);
	}
	return passes(own, finish(own));
}

static void groups_combine_their_members(void **state)
{
	static const struct {
		const char *program;
		bool passes;
	} rows[] = {
		{ "T", true },      { "F", false },       { "TT", true },       { "TF", false },
		{ "FT", false },    { "TTF", false },     { "&T.", true },      { "&TF.", false },
		{ "&FT.", false },  { "&TTT.", true },    { "|F.", false },     { "|FT.", true },
		{ "|TF.", true },   { "|FFF.", false },   { "|FFT.", true },    { "!T.", false },
		{ "!F.", true },    { "!!T..", true },    { "T!F.", true },     { "T!T.", false },
		{ "F!F.", false },  { "|F&TT..", true },  { "|&TF.F.", false }, { "&|FT.|TF..", true },
		{ "!|FF..", true }, { "!&TT..F", false }, { "|!T.!F..", true }, { "&!F.|F&T!F....", true },
		{ "T|FF.", false }, { "|FF.T", false },   { "T|FT.T", true },   { "|&T&T&F...T.", true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		filter_begin(state);
		if (evaluate(*state, rows[i].program) != rows[i].passes)
			fail_msg("%s", rows[i].program);
		filter_end(state);
	}
}

/* What a program of the letters above gives, by its definition. Recursion is for tests. */
static bool model(const char **program)
{
	char kind = *(*program)++;
	bool all = true, any = false, member;

	if (kind == 'T' || kind == 'F')
		return kind == 'T';
	while (**program != '.') {
		member = model(program);
		all &= member;
		any |= member;
	}
	(*program)++;
	return kind == '&' ? all : kind == '|' ? any : !any;
}

static size_t random_program(char *out, unsigned *seed, int depth)
{
	unsigned kind = (*seed = *seed * 1103515245u + 12345u) >> 16;
	size_t len = 0;
	unsigned members;

	if (depth == 0 || kind % 3 == 0) {
		out[0] = kind & 4 ? 'T' : 'F';
		return 1;
	}
	out[len++] = "&|!"[kind / 8 % 3];
	members = out[0] == '!' ? 1 : 1 + kind / 64 % 3;
	while (members--)
		len += random_program(out + len, seed, depth - 1);
	out[len++] = '.';
	return len;
}

static void any_nesting_gives_what_its_definition_says(void **state)
{
	char program[4096];
	unsigned seed = 1;

	for (int i = 0; i < 3000; i++) {
		const char *at = program;

		program[random_program(program, &seed, 6)] = '\0';
		filter_begin(state);
		if (evaluate(*state, program) != model(&at))
			fail_msg("%s", program);
		filter_end(state);
	}
}

/* ---- mistakes --------------------------------------------------------------- */

static void a_name_that_no_attribute_can_have_is_refused(void **state)
{
	static const char *const names[] = {
		"",        "Type",     "my-ext", "my_ext",
		"ce.type", "\xc3\xa9", "data",   "a234567890123456789012345678901234567890123456789012345678901234x"
	};
	struct filter_fixture *own = *state;
	struct weir_error err;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_int_equal(
		    weir_filter_add_match(own->builder, WEIR_FILTER_EXACT, weir_str(names[i]), WEIR_STR("x"), &err),
		    WEIR_EINVAL);
}

static void an_empty_value_is_refused(void **state)
{
	struct filter_fixture *own = *state;
	struct weir_error err;

	assert_int_equal(weir_filter_add_match(own->builder, WEIR_FILTER_PREFIX, WEIR_STR("type"), WEIR_STR(""), &err),
			 WEIR_EINVAL);
	assert_string_equal(err.text, "must not be empty");
}

static void groups_must_have_members_and_not_just_one(void **state)
{
	struct filter_fixture *own = *state;
	const struct weir_filter *filter;

	begin_group(own, WEIR_FILTER_ANY);
	assert_int_equal(weir_filter_end(own->builder, NULL), WEIR_EINVAL);
	begin_group(own, WEIR_FILTER_NOT);
	add_match(own, WEIR_FILTER_EXACT, "id", "1");
	add_match(own, WEIR_FILTER_EXACT, "id", "1");
	assert_int_equal(weir_filter_end(own->builder, NULL), WEIR_EINVAL);
	assert_int_equal(weir_filter_finish(own->builder, &filter, NULL), WEIR_EINVAL);
}

static void nesting_has_a_limit(void **state)
{
	struct filter_fixture *own = *state;

	for (int i = 0; i < WEIR_FILTER_NESTING_MAX; i++)
		begin_group(own, WEIR_FILTER_NOT);
	assert_int_equal(weir_filter_begin(own->builder, WEIR_FILTER_NOT, NULL), WEIR_ETOOBIG);
}

static void a_filter_with_as_many_steps_as_allowed_works_and_with_one_more_is_refused(void **state)
{
	const struct weir_filter *filter;

	for (int extra = 0; extra <= 1; extra++) {
		struct filter_fixture *own;

		filter_begin(state);
		own = *state;
		if (extra) { /* a jump and a match each, but for the first */
			begin_group(own, WEIR_FILTER_NOT);
			add_match(own, WEIR_FILTER_EXACT, "id", "2");
			end_group(own);
		}
		for (int i = 0; i < WEIR_FILTER_STEPS_MAX / 2; i++)
			add_match(own, WEIR_FILTER_EXACT, "id", "1");
		assert_int_equal(weir_filter_finish(own->builder, &filter, NULL), extra ? WEIR_ETOOBIG : WEIR_OK);
		if (!extra)
			assert_true(passes(own, filter));
		filter_end(state);
	}
}

/* ---- memory ----------------------------------------------------------------- */

static bool build_once(struct weir_arena *arena)
{
	struct weir_filter_builder *builder = NULL;
	const struct weir_filter *filter;
	int code = weir_filter_builder_new(arena, &builder);

	if (!code)
		code = weir_filter_begin(builder, WEIR_FILTER_ANY, NULL);
	for (int i = 0; i < 40 && !code; i++)
		code = weir_filter_add_match(builder, WEIR_FILTER_EXACT, WEIR_STR("type"), WEIR_STR("t"), NULL);
	if (!code)
		code = weir_filter_end(builder, NULL);
	if (!code)
		code = weir_filter_finish(builder, &filter, NULL);
	weir_filter_builder_free(builder);
	assert_true(code == WEIR_OK || code == WEIR_ENOMEM);
	return code == WEIR_OK;
}

static void short_memory_is_an_error_and_leaks_nothing(void **state)
{
	bool done = false;
	uint64_t nth;

	(void)state;
	for (nth = 1; nth < 100 && !done; nth++) {
		struct weir_arena arena;

		weir_arena_init(&arena, 0);
		weir_mem_fail(nth, 0);
		done = build_once(&arena);
		weir_mem_fail(0, 0);
		weir_arena_fini(&arena);
	}
	assert_true(done);
	assert_true(nth > 4);
}

static void matching_allocates_nothing(void **state)
{
	struct filter_fixture *own = *state;
	const struct weir_filter *filter;
	uint64_t before;

	add_match(own, WEIR_FILTER_PREFIX, "type", "com.");
	begin_group(own, WEIR_FILTER_NOT);
	add_match(own, WEIR_FILTER_SUFFIX, "source", "/x");
	end_group(own);
	filter = finish(own);
	before = weir_mem_count();
	assert_true(passes(own, filter));
	assert_int_equal(weir_mem_count(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_attribute_is_compared),
		FILTER_TEST(an_integer_extension_is_compared_as_its_text),
		cmocka_unit_test(groups_combine_their_members),
		cmocka_unit_test(any_nesting_gives_what_its_definition_says),
		FILTER_TEST(a_name_that_no_attribute_can_have_is_refused),
		FILTER_TEST(an_empty_value_is_refused),
		FILTER_TEST(groups_must_have_members_and_not_just_one),
		FILTER_TEST(nesting_has_a_limit),
		cmocka_unit_test(a_filter_with_as_many_steps_as_allowed_works_and_with_one_more_is_refused),
		cmocka_unit_test(short_memory_is_an_error_and_leaks_nothing),
		FILTER_TEST(matching_allocates_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
