/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "event/json_scan.h"

static const char letters[] = "!$OoAaKSNTFZ";

/* The kinds of all tokens, a letter each: O object o, A array a, K key, S string, N number, T F Z(null), $ end, !
 * error. */
static void kinds_of(struct weir_buf text, unsigned depth, char *out, size_t size)
{
	struct weir_json_scan scan;
	struct weir_json_token token;
	size_t count = 0;

	weir_json_init(&scan, text, depth);
	do {
		weir_json_next(&scan, &token);
		assert_true(count + 1 < size);
		out[count++] = letters[token.kind];
	} while (token.kind > WEIR_JSON_END);
	out[count] = '\0';
}

static void documents_give_their_tokens(void **state)
{
	static const struct {
		const char *text;
		const char *kinds;
	} rows[] = {
		{ "null", "Z$" },
		{ " true ", "T$" },
		{ "\t\r\n false\n", "F$" },
		{ "\"\"", "S$" },
		{ "0", "N$" },
		{ "-0", "N$" },
		{ "-12.5e+7", "N$" },
		{ "1E9", "N$" },
		{ "9", "N$" },
		{ "{}", "Oo$" },
		{ "[]", "Aa$" },
		{ "{ }", "Oo$" },
		{ "[ ]", "Aa$" },
		{ "{\"a\":1}", "OKNo$" },
		{ "{ \"a\" : 1 , \"b\" : [ null , { } ] }", "OKNKAZOoao$" },
		{ "[1,\"x\",true,false,null,[],{}]", "ANSTFZAaOoa$" },
		{ "[[[]]]", "AAAaaa$" },
		{ "{\"\":\"\"}", "OKSo$" },
		{ "{\"a\":1,\"a\":2}", "OKNKNo$" },
	};
	char kinds[64];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		kinds_of(weir_str(rows[i].text), 64, kinds, sizeof kinds);
		assert_string_equal(kinds, rows[i].kinds);
		assert_true(weir_json_is_valid(weir_str(rows[i].text), 64));
	}
}

struct refusal {
	const char *text;
	size_t offset;
	const char *word; /* that the error says */
};

static void check_refusals(const struct refusal *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct weir_json_scan scan;
		struct weir_json_token token;

		weir_json_init(&scan, weir_str(rows[i].text), 64);
		while (weir_json_next(&scan, &token) > WEIR_JSON_END)
			continue;
		if (token.kind != WEIR_JSON_ERROR || scan.error_offset != rows[i].offset ||
		    !strstr(scan.error, rows[i].word))
			fail_msg("<%s>: kind %d, \"%s\" at %zu", rows[i].text, (int)token.kind,
				 scan.error ? scan.error : "accepted", scan.error_offset);
		assert_int_equal(weir_json_next(&scan, &token), WEIR_JSON_ERROR);
		assert_false(weir_json_is_valid(weir_str(rows[i].text), 64));
	}
}

static void broken_structure_is_refused_where_it_breaks(void **state)
{
	static const struct refusal rows[] = {
		{ "", 0, "no text" },
		{ "  ", 2, "no text" },
		{ "{", 1, "ends inside" },
		{ "[1", 2, "ends inside" },
		{ "[1,", 3, "ends inside" },
		{ "{\"a\"", 4, "':'" },
		{ "{\"a\":", 5, "ends inside" },
		{ "{\"a\" 1}", 5, "':'" },
		{ "{\"a\":}", 5, "expected a value" },
		{ "{,}", 1, "name of a member" },
		{ "{1:2}", 1, "name of a member" },
		{ "{a:2}", 1, "name of a member" },
		{ "{\"a\":1,}", 7, "name of a member" },
		{ "[1,]", 3, "before the end" },
		{ "[,1]", 1, "expected a value" },
		{ "[1 2]", 3, "','" },
		{ "{\"a\":1 \"b\":2}", 7, "','" },
		{ "[1}", 2, "']'" },
		{ "{\"a\":1]", 6, "'}'" },
		{ "{]", 1, "name of a member" },
		{ "[}", 1, "expected a value" },
		{ "]", 0, "expected a value" },
		{ "{}{}", 2, "follows" },
		{ "{} x", 3, "follows" },
		{ "1 2", 2, "follows" },
		{ "// x\n1", 0, "comments" },
		{ "[/* x */]", 1, "comments" },
		{ "{'a':1}", 1, "double quotes" },
		{ "['a']", 1, "strings take" },
		{ "\xEF\xBB\xBF{}", 0, "byte order mark" },
	};

	(void)state;
	check_refusals(rows, sizeof rows / sizeof rows[0]);
}

static void words_and_numbers_that_are_not_json_are_refused(void **state)
{
	static const struct refusal rows[] = {
		{ "NaN", 0, "expected a value" },
		{ "Infinity", 0, "expected a value" },
		{ "-Infinity", 0, "not a number" },
		{ "True", 0, "expected a value" },
		{ "nul", 0, "expected a value" },
		{ "truex", 4, "follows" },
		{ "-", 0, "not a number" },
		{ "+1", 0, "expected a value" },
		{ ".5", 0, "expected a value" },
		{ "1.", 0, "not a number" },
		{ "1.e1", 0, "not a number" },
		{ "1e", 0, "not a number" },
		{ "1e+", 0, "not a number" },
		{ "[01]", 1, "begin with 0" },
		{ "-01", 0, "begin with 0" },
		{ "00", 0, "begin with 0" },
		{ "0x1", 1, "follows" },
		{ "1_0", 1, "follows" },
	};

	(void)state;
	check_refusals(rows, sizeof rows / sizeof rows[0]);
}

static void strings_that_are_not_json_are_refused(void **state)
{
	static const struct refusal rows[] = {
		{ "\"", 0, "closing quote" },
		{ "[\"abcdefghijklmnop", 1, "closing quote" },
		{ "\"\\\"", 0, "closing quote" },
		{ "\"a\nb\"", 2, "control" },
		{ "\"12345678901234\x1f\"", 15, "control" },
		{ "\"\\x\"", 1, "escape" },
		{ "\"\\", 1, "escape" },
		{ "\"\\u12\"", 1, "escape" },
		{ "\"\\u12g4\"", 1, "escape" },
		{ "\"\\U0041\"", 1, "escape" },
		{ "\"\\ud800\"", 1, "surrogate" },
		{ "\"\\udc00\"", 1, "surrogate" },
		{ "\"\\ud800\\u0041\"", 1, "surrogate" },
		{ "\"\\ud800\\ud800\"", 1, "surrogate" },
		{ "\"\\udc00\\udc00\"", 1, "surrogate" },
		{ "\"\\ud83d\\ude0\"", 1, "surrogate" },
		{ "\"\xff\"", 1, "UTF-8" },
		{ "\"\x80\"", 1, "UTF-8" },
		{ "\"\xc0\xa0\"", 1, "UTF-8" },
		{ "\"\xc2\"", 1, "UTF-8" },
		{ "\"\xed\xa0\x80\"", 1, "UTF-8" },
		{ "\"\xe0\x80\x80\"", 1, "UTF-8" },
		{ "\"\xf0\x80\x80\x80\"", 1, "UTF-8" },
		{ "\"\xf4\x90\x80\x80\"", 1, "UTF-8" },
		{ "\"\xf5\x80\x80\x80\"", 1, "UTF-8" },
	};

	(void)state;
	check_refusals(rows, sizeof rows / sizeof rows[0]);
}

static void raw_nul_in_a_string_is_refused(void **state)
{
	(void)state;
	assert_false(weir_json_is_valid(WEIR_STR("\"a\0b\""), 64));
	assert_false(weir_json_is_valid(WEIR_STR("\"\\\0\""), 64));
	assert_false(weir_json_is_valid(WEIR_STR("1\0"), 64));
}

static void no_text_at_all_is_refused(void **state)
{
	(void)state;
	assert_false(weir_json_is_valid((struct weir_buf){ NULL, 0 }, 64));
}

static void every_control_character_is_refused_wherever_it_stands(void **state)
{
	char text[] = "\"0123456789abcdefghij\"";

	(void)state;
	assert_true(weir_json_is_valid(weir_str(text), 1));
	for (size_t at = 1; at < sizeof text - 2; at++) {
		char kept = text[at];

		for (char c = 0; c < 0x20; c++) {
			text[at] = c;
			assert_false(weir_json_is_valid((struct weir_buf){ text, sizeof text - 1 }, 1));
		}
		text[at] = 0x7f;
		assert_true(weir_json_is_valid((struct weir_buf){ text, sizeof text - 1 }, 1));
		text[at] = kept;
	}
}

static void fill_nested(char *text, size_t depth, char open, char close)
{
	memset(text, open, depth);
	memset(text + depth, close, depth);
}

static void nesting_is_accepted_to_the_limit_and_refused_beyond(void **state)
{
	char text[132];

	(void)state;
	fill_nested(text, 64, '[', ']');
	assert_true(weir_json_is_valid((struct weir_buf){ text, 128 }, 64));
	fill_nested(text, 65, '[', ']');
	assert_false(weir_json_is_valid((struct weir_buf){ text, 130 }, 64));
	assert_true(weir_json_is_valid((struct weir_buf){ text, 130 }, 65));
}

static void depth_has_a_hard_limit_whatever_is_asked_for(void **state)
{
	enum { DEEP = 100000 };
	char *text = weir_mem_alloc(2 * DEEP);

	(void)state;
	assert_non_null(text);
	fill_nested(text, DEEP, '[', ']');
	assert_false(weir_json_is_valid((struct weir_buf){ text, 2 * DEEP }, UINT32_MAX));
	fill_nested(text, WEIR_JSON_DEPTH_MAX, '[', ']');
	assert_true(weir_json_is_valid((struct weir_buf){ text, 2 * WEIR_JSON_DEPTH_MAX }, UINT32_MAX));
	weir_mem_free(text);
}

static void each_level_remembers_what_it_is(void **state)
{
	char text[1024] = "";
	size_t len = 0;

	(void)state;
	for (int i = 0; i < 70; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s", i % 3 ? "[" : "{\"k\":");
	len += (size_t)snprintf(text + len, sizeof text - len, "0");
	for (int i = 69; i >= 0; i--)
		text[len++] = i % 3 ? ']' : '}';
	assert_true(weir_json_is_valid((struct weir_buf){ text, len }, 70));
	text[len - 35] = text[len - 35] == ']' ? '}' : ']';
	assert_false(weir_json_is_valid((struct weir_buf){ text, len }, 70));
}

static void tokens_know_their_text_and_place(void **state)
{
	struct weir_buf text = WEIR_STR("{\"k\\n\": \"v\", \"n\": -1.5, \"i\": 42}");
	struct weir_json_scan scan;
	struct weir_json_token token;

	(void)state;
	weir_json_init(&scan, text, 4);
	weir_json_next(&scan, &token);
	assert_int_equal(token.offset, 0);
	weir_json_next(&scan, &token);
	assert_int_equal(token.kind, WEIR_JSON_KEY);
	assert_int_equal(token.offset, 1);
	assert_true(token.escaped);
	assert_true(weir_str_equal(token.text, WEIR_STR("k\\n")));
	weir_json_next(&scan, &token);
	assert_int_equal(token.offset, 8);
	assert_false(token.escaped);
	assert_true(weir_str_equal(token.text, WEIR_STR("v")));
	weir_json_next(&scan, &token);
	weir_json_next(&scan, &token);
	assert_true(weir_str_equal(token.text, WEIR_STR("-1.5")));
	assert_false(token.integer);
	weir_json_next(&scan, &token);
	weir_json_next(&scan, &token);
	assert_true(weir_str_equal(token.text, WEIR_STR("42")));
	assert_true(token.integer);
}

static void skipping_a_value_gives_its_text_verbatim(void **state)
{
	static const char *const values[] = {
		"1e400", "\"a\\u0000b\"", "{ \"x\" : [1, {\"y\":[]}] }", "[]", "null",
	};

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		char text[128];
		struct weir_json_scan scan;
		struct weir_json_token token;
		struct weir_buf value;

		snprintf(text, sizeof text, "[ %s , 7]", values[i]);
		weir_json_init(&scan, weir_str(text), 8);
		weir_json_next(&scan, &token);
		weir_json_next(&scan, &token);
		assert_true(weir_json_skip(&scan, &token, &value));
		assert_true(weir_str_equal(value, weir_str(values[i])));
		assert_int_equal(weir_json_next(&scan, &token), WEIR_JSON_NUMBER);
		assert_true(weir_str_equal(token.text, WEIR_STR("7")));
	}
}

static void skipping_a_broken_value_fails(void **state)
{
	struct weir_json_scan scan;
	struct weir_json_token token;
	struct weir_buf value;

	(void)state;
	weir_json_init(&scan, WEIR_STR("[{\"a\":[1,]}]"), 8);
	weir_json_next(&scan, &token);
	weir_json_next(&scan, &token);
	assert_false(weir_json_skip(&scan, &token, &value));
	assert_int_equal(scan.error_offset, 9);
}

static struct weir_buf unescape(const char *text, struct weir_arena *arena)
{
	struct weir_json_scan scan;
	struct weir_json_token token;
	struct weir_buf value;

	weir_json_init(&scan, weir_str(text), 1);
	assert_int_equal(weir_json_next(&scan, &token), WEIR_JSON_STRING);
	assert_true(weir_json_unescape(&token, arena, &value));
	return value;
}

static void escapes_are_undone(void **state)
{
	static const struct {
		const char *text;
		struct weir_buf value;
	} rows[] = {
		{ "\"\"", { "", 0 } },
		{ "\"plain\"", { "plain", 5 } },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", { "\"\\/\b\f\n\r\t", 8 } },
		{ "\"a\\u0041z\"", { "aAz", 3 } },
		{ "\"\\uFAfa\"", { "\xef\xab\xba", 3 } },
		{ "\"\\u0000\"", { "\0", 1 } },
		{ "\"\\u00e9\\u20AC\"", { "\xc3\xa9\xe2\x82\xac", 5 } },
		{ "\"\\ud83d\\uDE00!\"", { "\xf0\x9f\x98\x80!", 5 } },
		{ "\"\\udbff\\udfff\"", { "\xf4\x8f\xbf\xbf", 4 } },
		{ "\"\xe2\x82\xac\\n\"", { "\xe2\x82\xac\n", 4 } },
		{ "\"\\\\u0041\"", { "\\u0041", 6 } },
	};
	struct weir_arena arena;

	(void)state;
	weir_arena_init(&arena, 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_true(weir_str_equal(unescape(rows[i].text, &arena), rows[i].value));
	weir_arena_fini(&arena);
}

static void unescaping_plain_text_needs_no_memory(void **state)
{
	struct weir_arena arena;

	(void)state;
	weir_arena_init(&arena, 0);
	weir_mem_fail(1, 1);
	assert_int_equal(unescape("\"plain\"", &arena).len, 5);
	weir_mem_fail(0, 0);
	weir_arena_fini(&arena);
}

static void unescaping_without_memory_fails(void **state)
{
	struct weir_json_scan scan;
	struct weir_json_token token;
	struct weir_buf value;
	struct weir_arena arena;

	(void)state;
	weir_arena_init(&arena, 0);
	weir_json_init(&scan, WEIR_STR("\"\\n\""), 1);
	weir_json_next(&scan, &token);
	weir_mem_fail(1, 1);
	assert_false(weir_json_unescape(&token, &arena, &value));
	weir_mem_fail(0, 0);
	weir_arena_fini(&arena);
}

static void positions_count_lines_and_characters(void **state)
{
	struct weir_buf text = WEIR_STR("{\n  \"\xe2\x82\xac\": x\n}");
	struct weir_json_position at = weir_json_position(text, 0);

	(void)state;
	assert_int_equal(at.line, 1);
	assert_int_equal(at.column, 1);
	at = weir_json_position(text, 11);
	assert_int_equal(at.line, 2);
	assert_int_equal(at.column, 8);
	at = weir_json_position(text, 1000);
	assert_int_equal(at.line, 3);
	assert_int_equal(at.column, 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_give_their_tokens),
		cmocka_unit_test(broken_structure_is_refused_where_it_breaks),
		cmocka_unit_test(words_and_numbers_that_are_not_json_are_refused),
		cmocka_unit_test(strings_that_are_not_json_are_refused),
		cmocka_unit_test(raw_nul_in_a_string_is_refused),
		cmocka_unit_test(no_text_at_all_is_refused),
		cmocka_unit_test(every_control_character_is_refused_wherever_it_stands),
		cmocka_unit_test(nesting_is_accepted_to_the_limit_and_refused_beyond),
		cmocka_unit_test(depth_has_a_hard_limit_whatever_is_asked_for),
		cmocka_unit_test(each_level_remembers_what_it_is),
		cmocka_unit_test(tokens_know_their_text_and_place),
		cmocka_unit_test(skipping_a_value_gives_its_text_verbatim),
		cmocka_unit_test(skipping_a_broken_value_fails),
		cmocka_unit_test(escapes_are_undone),
		cmocka_unit_test(unescaping_plain_text_needs_no_memory),
		cmocka_unit_test(unescaping_without_memory_fails),
		cmocka_unit_test(positions_count_lines_and_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
