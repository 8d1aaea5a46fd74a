/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/weir_cmocka.h"

#include "base/str.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void equality_is_by_length_and_bytes(void **state)
{
	(void)state;
	assert_true(weir_str_equal(WEIR_STR("abc"), weir_str("abc")));
	assert_true(weir_str_equal(WEIR_STR("a\0b"), WEIR_STR("a\0b")));
	assert_true(weir_str_equal(WEIR_STR(""), weir_str(NULL)));
	assert_false(weir_str_equal(WEIR_STR("abc"), WEIR_STR("abd")));
	assert_false(weir_str_equal(WEIR_STR("abc"), WEIR_STR("ab")));
	assert_false(weir_str_equal(WEIR_STR("abc"), WEIR_STR("ABC")));
}

static void case_is_ignored_for_ascii_letters_only(void **state)
{
	(void)state;
	assert_true(weir_str_equal_nocase(WEIR_STR("Content-TYPE"), WEIR_STR("content-type")));
	assert_false(weir_str_equal_nocase(WEIR_STR("["), WEIR_STR("{")));
	assert_false(weir_str_equal_nocase(WEIR_STR("@"), WEIR_STR("`")));
	assert_false(weir_str_equal_nocase(WEIR_STR("\xc3\x84"), WEIR_STR("\xc3\xa4")));
}

static void a_prefix_may_be_empty_or_everything(void **state)
{
	(void)state;
	assert_true(weir_str_starts(WEIR_STR("ce-id"), WEIR_STR("ce-")));
	assert_true(weir_str_starts(WEIR_STR("ce-"), WEIR_STR("ce-")));
	assert_true(weir_str_starts(WEIR_STR(""), WEIR_STR("")));
	assert_false(weir_str_starts(WEIR_STR("ce"), WEIR_STR("ce-")));
	assert_false(weir_str_starts(WEIR_STR("CE-id"), WEIR_STR("ce-")));
	assert_true(weir_str_starts_nocase(WEIR_STR("CE-id"), WEIR_STR("ce-")));
	assert_false(weir_str_starts_nocase(WEIR_STR("x"), WEIR_STR("xy")));
}

static void trim_takes_spaces_and_tabs_at_both_ends(void **state)
{
	static const struct {
		const char *text, *trimmed;
	} rows[] = { { "a", "a" },   { " \ta b\t ", "a b" }, { "", "" },
		     { " \t ", "" }, { "\na\n", "\na\n" },   { "a ", "a" } };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_true(weir_str_equal(weir_str_trim(weir_str(rows[i].text)), weir_str(rows[i].trimmed)));
}

static void split_gives_every_part_also_empty_ones(void **state)
{
	static const char *const parts[] = { "a", "", "b", "" };
	struct weir_buf rest = WEIR_STR("a,,b,"), part;

	(void)state;
	for (size_t i = 0; i < COUNT(parts); i++) {
		assert_true(weir_str_split(&rest, ',', &part));
		assert_true(weir_str_equal(part, weir_str(parts[i])));
	}
	assert_false(weir_str_split(&rest, ',', &part));
}

static void hexadecimal_digits_have_their_value_and_others_none(void **state)
{
	const char digits[] = "0123456789abcdef";

	(void)state;
	for (int c = 0; c < 256; c++) {
		int lower = c >= 'A' && c <= 'F' ? c + 'a' - 'A' : c;
		const char *at = lower ? memchr(digits, lower, sizeof digits - 1) : NULL;

		assert_int_equal(weir_str_hex((char)c), at ? at - digits : -1);
	}
}

static void unsigned_numbers_are_digits_up_to_the_maximum(void **state)
{
	static const struct {
		const char *text;
		bool valid;
		uint64_t value;
	} rows[] = {
		{ "0", true, 0 },
		{ "007", true, 7 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "18446744073709551616", false, 0 },
		{ "99999999999999999999", false, 0 },
		{ "", false, 0 },
		{ "-1", false, 0 },
		{ "+1", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "0x1", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t value = 0;

		assert_int_equal(weir_str_to_uint(weir_str(rows[i].text), &value), rows[i].valid);
		assert_int_equal(value, rows[i].value);
	}
}

static void signed_numbers_reach_both_ends(void **state)
{
	static const struct {
		const char *text;
		bool valid;
		int64_t value;
	} rows[] = {
		{ "0", true, 0 },
		{ "-0", true, 0 },
		{ "-12", true, -12 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "-9223372036854775808", true, INT64_MIN },
		{ "9223372036854775808", false, 0 },
		{ "-9223372036854775809", false, 0 },
		{ "-", false, 0 },
		{ "--1", false, 0 },
		{ "", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t value = 0;

		assert_int_equal(weir_str_to_int(weir_str(rows[i].text), &value), rows[i].valid);
		assert_true(value == rows[i].value);
	}
}

static void durations_follow_iso_8601(void **state)
{
	static const struct {
		const char *text;
		bool valid;
		int64_t ms;
	} rows[] = {
		{ "PT0.2S", true, 200 },
		{ "PT0,2S", true, 200 },
		{ "PT0S", true, 0 },
		{ "PT30S", true, 30000 },
		{ "PT1.5S", true, 1500 },
		{ "PT.5S", false, 0 },
		{ "PT1.S", false, 0 },
		{ "PT0.0001S", true, 1 },
		{ "PT0.0010S", true, 1 },
		{ "PT1H2M3S", true, 3723000 },
		{ "PT2M", true, 120000 },
		{ "PT90M", true, 5400000 },
		{ "P1D", true, 86400000 },
		{ "P1DT2H", true, 93600000 },
		{ "P2W", true, 1209600000 },
		{ "PT1.5H", false, 0 },
		{ "P1Y", false, 0 },
		{ "P1M", false, 0 },
		{ "PT1S2M", false, 0 },
		{ "PT1S1S", false, 0 },
		{ "P", false, 0 },
		{ "PT", false, 0 },
		{ "P1DT", false, 0 },
		{ "T1S", false, 0 },
		{ "-PT1S", false, 0 },
		{ "PT-1S", false, 0 },
		{ "pt1s", false, 0 },
		{ "PT1S ", false, 0 },
		{ "1s", false, 0 },
		{ "", false, 0 },
		{ "PT9223372036854775S", true, INT64_C(9223372036854775000) },
		{ "PT9223372036854776S", false, 0 },
		{ "P106751991167DT8H", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t ms = 0;
		bool valid = weir_str_to_duration_ms(weir_str(rows[i].text), &ms);

		if (valid != rows[i].valid || ms != rows[i].ms)
			fail_msg("%s: %d, %lld ms", rows[i].text, valid, (long long)ms);
	}
}

static void utf8_is_judged_as_unicode_says(void **state)
{
	static const struct {
		struct weir_buf text;
		bool valid;
	} rows[] = {
		{ { "", 0 }, true },
		{ { "plain ASCII, longer than a word", 31 }, true },
		{ { "\0", 1 }, true },
		{ { "\xc2\x80", 2 }, true },
		{ { "\xdf\xbf", 2 }, true },
		{ { "\xe0\xa0\x80", 3 }, true },
		{ { "\xed\x9f\xbf", 3 }, true },
		{ { "\xee\x80\x80", 3 }, true },
		{ { "\xef\xbf\xbf", 3 }, true },
		{ { "\xf0\x90\x80\x80", 4 }, true },
		{ { "\xf4\x8f\xbf\xbf", 4 }, true },
		{ { "\x80", 1 }, false },             /* continuation alone */
		{ { "\xc0\xaf", 2 }, false },         /* overlong */
		{ { "\xc1\xbf", 2 }, false },         /* overlong */
		{ { "\xe0\x9f\xbf", 3 }, false },     /* overlong */
		{ { "\xf0\x8f\xbf\xbf", 4 }, false }, /* overlong */
		{ { "\xed\xa0\x80", 3 }, false },     /* surrogate */
		{ { "\xed\xbf\xbf", 3 }, false },     /* surrogate */
		{ { "\xf4\x90\x80\x80", 4 }, false }, /* above U+10FFFF */
		{ { "\xf5\x80\x80\x80", 4 }, false }, /* above U+10FFFF */
		{ { "\xff", 1 }, false },
		{ { "\xc3", 1 }, false },         /* cut */
		{ { "\xe2\x82", 2 }, false },     /* cut */
		{ { "\xf0\x9f\x98", 3 }, false }, /* cut */
		{ { "\xc3(", 2 }, false },
		{ { "\xe2\x82(", 3 }, false },
		{ { "\xf0\x9f\x98(", 4 }, false },
		{ { "12345678\xc3\xa4"
		    "12345678",
		    18 },
		  true },
		{ { "1234567890123456\xc3", 17 }, false },
		{ { "12345678\x80"
		    "1234567",
		    16 },
		  false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (weir_str_is_utf8(rows[i].text) != rows[i].valid)
			fail_msg("row %zu", i);
	}
}

static void utf8_accepts_every_code_point_and_no_surrogate(void **state)
{
	(void)state;
	for (uint32_t c = 0x800; c < 0x10000; c++) {
		unsigned char bytes[3] = { (unsigned char)(0xe0 | c >> 12), (unsigned char)(0x80 | (c >> 6 & 0x3f)),
					   (unsigned char)(0x80 | (c & 0x3f)) };

		assert_int_equal(weir_str_is_utf8((struct weir_buf){ bytes, 3 }), c < 0xd800 || c > 0xdfff);
	}
}

static void distance_counts_edits_up_to_the_limit(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned limit, distance;
	} rows[] = {
		{ "", "", 3, 0 },
		{ "abc", "abc", 0, 0 },
		{ "abc", "", 5, 3 },
		{ "", "abc", 5, 3 },
		{ "publish", "publsh", 3, 1 },
		{ "kitten", "sitting", 5, 3 },
		{ "kitten", "sitting", 2, 3 },
		{ "serve", "tail", 3, 4 },
		{ "abcdef", "x", 2, 3 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(weir_str_distance(weir_str(rows[i].a), weir_str(rows[i].b), rows[i].limit),
				 rows[i].distance);
}

static void distance_of_long_texts_is_beyond_the_limit_unless_equal(void **state)
{
	char a[200], b[200];

	(void)state;
	memset(a, 'a', sizeof a);
	memset(b, 'a', sizeof b);
	assert_int_equal(weir_str_distance((struct weir_buf){ a, 200 }, (struct weir_buf){ b, 200 }, 3), 0);
	b[100] = 'b';
	assert_int_equal(weir_str_distance((struct weir_buf){ a, 200 }, (struct weir_buf){ b, 200 }, 3), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equality_is_by_length_and_bytes),
		cmocka_unit_test(case_is_ignored_for_ascii_letters_only),
		cmocka_unit_test(a_prefix_may_be_empty_or_everything),
		cmocka_unit_test(trim_takes_spaces_and_tabs_at_both_ends),
		cmocka_unit_test(split_gives_every_part_also_empty_ones),
		cmocka_unit_test(hexadecimal_digits_have_their_value_and_others_none),
		cmocka_unit_test(unsigned_numbers_are_digits_up_to_the_maximum),
		cmocka_unit_test(signed_numbers_reach_both_ends),
		cmocka_unit_test(durations_follow_iso_8601),
		cmocka_unit_test(utf8_is_judged_as_unicode_says),
		cmocka_unit_test(utf8_accepts_every_code_point_and_no_surrogate),
		cmocka_unit_test(distance_counts_edits_up_to_the_limit),
		cmocka_unit_test(distance_of_long_texts_is_beyond_the_limit_unless_equal),
	};

	return cmocka_run_group_tests_name("base/str", tests, NULL, NULL);
}
