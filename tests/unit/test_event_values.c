/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "event/base64.h"
#include "event/media_type.h"
#include "event/text.h"
#include "event/time_check.h"
#include "event/uri_check.h"
#include "event_fixture.h"

struct row {
	const char *text;
	bool valid;
};

static void check_rows(const struct row *rows, size_t count, bool (*is_valid)(struct weir_buf))
{
	for (size_t i = 0; i < count; i++)
		if (is_valid(weir_str(rows[i].text)) != rows[i].valid)
			fail_msg("<%s> should be %s", rows[i].text, rows[i].valid ? "accepted" : "refused");
}

/* ---- text --------------------------------------------------------------- */

static void strings_hold_characters_and_nothing_else(void **state)
{
	static const struct row rows[] = {
		{ "", true },
		{ " ", true },
		{ "plain", true },
		{ "longer than eight bytes ~", true },
		{ "Euro \xe2\x82\xac\xf0\x9f\x98\x80", true },
		{ "\xc2\xa0", true },
		{ "\xef\xbf\xbd", true },
		{ "\xef\xb7\x8f", true },
		{ "\xef\xb7\xb0", true },
		{ "\xf4\x8f\xbf\xbd", true },
		{ "tab\there", false },
		{ "seven b\n", false },
		{ "line\nbreak", false },
		{ "delete\x7f", false },
		{ "0123456789abcdef\x7f", false },
		{ "\x1f", false },
		{ "\xc2\x80", false },
		{ "\xc2\x85 next line", false },
		{ "\xc2\x9f", false },
		{ "\xef\xbf\xbe", false },
		{ "\xef\xbf\xbf", false },
		{ "\xf0\x9f\xbf\xbe", false },
		{ "\xf4\x8f\xbf\xbf", false },
		{ "\xef\xb7\x90", false },
		{ "\xef\xb7\xaf", false },
		{ "\xed\xa0\x80", false },
		{ "\xc0\xa0", false },
		{ "\xff", false },
		{ "cut \xe2\x82", false },
	};

	(void)state;
	check_rows(rows, COUNT_OF(rows), weir_text_is_valid);
	assert_false(weir_text_is_valid(WEIR_STR("nul\0nul")));
	assert_false(weir_text_is_valid(WEIR_STR("long enough for words\0")));
}

/* The fast path looks at eight bytes at a time: every byte must be seen in every place. */
static void every_byte_is_judged_the_same_in_every_place(void **state)
{
	char text[27];

	(void)state;
	for (size_t len = 1; len <= sizeof text; len++)
		for (size_t at = 0; at < len; at++)
			for (int c = 0; c < 256; c++) {
				struct weir_buf view = { text, len };
				unsigned wanted = 0;

				memset(text, 'x', len);
				text[at] = (char)c;
				if (c < 0x20 || c == 0x7F)
					wanted = WEIR_TEXT_CONTROL;
				else if (c >= 0x80)
					wanted = WEIR_TEXT_HIGH;
				else if (c == '%')
					wanted = WEIR_TEXT_PERCENT;
				if (weir_text_class(view) != wanted)
					fail_msg("byte %d at %zu of %zu", c, at, len);
			}
}

static void names_are_letters_and_digits(void **state)
{
	static const struct row rows[] = {
		{ "a", true },    { "abc123", true }, { "0", true },    { "", false },   { "A", false },
		{ "a_b", false }, { "a-b", false },   { "a.b", false }, { " a", false }, { "\xc3\xa9", false },
	};

	(void)state;
	check_rows(rows, COUNT_OF(rows), weir_text_is_name);
}

/* ---- time --------------------------------------------------------------- */

static void times_are_those_of_rfc_3339(void **state)
{
	static const struct row rows[] = {
		{ "2018-04-05T17:31:00Z", true },
		{ "2018-04-05t17:31:00z", true },
		{ "2018-04-05T17:31:00+00:00", true },
		{ "2018-04-05T17:31:00-23:59", true },
		{ "2018-04-05T17:31:00.1Z", true },
		{ "2018-04-05T17:31:00.0Z", true },
		{ "2018-04-05T17:31:00.123456789012345Z", true },
		{ "2016-12-31T23:59:60Z", true },
		{ "2024-02-29T00:00:00Z", true },
		{ "2000-02-29T00:00:00Z", true },
		{ "0000-01-01T00:00:00Z", true },
		{ "9999-12-31T23:59:59Z", true },
		{ "", false },
		{ "yesterday", false },
		{ "2018-04-05", false },
		{ "2018-04-05T17:31:00", false },
		{ "2018-04-05T17:31Z", false },
		{ "2018-04-05 17:31:00Z", false },
		{ "2018-02-30T00:00:00Z", false },
		{ "2023-02-29T00:00:00Z", false },
		{ "1900-02-29T00:00:00Z", false },
		{ "2018-04-31T00:00:00Z", false },
		{ "2018-13-01T00:00:00Z", false },
		{ "2018-00-01T00:00:00Z", false },
		{ "2018-01-00T00:00:00Z", false },
		{ "10000-01-01T00:00:00Z", false },
		{ "2018-04-05T24:00:00Z", false },
		{ "2018-04-05T17:60:00Z", false },
		{ "2018-04-05T17:31:61Z", false },
		{ "2018-04-05T17:31:00.Z", false },
		{ "2018-04-05T17:31:00,5Z", false },
		{ "2018-04-05T17:31:00+24:00", false },
		{ "2018-04-05T17:31:00+00:60", false },
		{ "2018-04-05T17:31:00+0000", false },
		{ "2018-04-05T17:31:00+00", false },
		{ "2018-04-05T17:31:00ZZ", false },
		{ " 2018-04-05T17:31:00Z", false },
		{ "-018-04-05T17:31:00Z", false },
		{ "2018-4-5T17:31:00Z", false },
		{ "201-04-05T17:31:00Z", false },
		{ "2018/04-05T17:31:00Z", false },
		{ "2018-04/05T17:31:00Z", false },
		{ "2018-04-05T17-31:00Z", false },
		{ "2018-04-05T17:31-00Z", false },
	};

	(void)state;
	check_rows(rows, COUNT_OF(rows), weir_time_is_valid);
}

/* ---- URIs --------------------------------------------------------------- */

static void references_are_those_of_rfc_3986(void **state)
{
	static const struct row rows[] = {
		{ "/s", true },
		{ "1-555", true },
		{ "urn:x", true },
		{ "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", true },
		{ "mailto:cncf-wg-serverless@lists.cncf.io", true },
		{ "https://github.com/cloudevents", true },
		{ "/sensors/tn-1234567/alerts", true },
		{ "//host/path", true },
		{ "?query", true },
		{ "#fragment", true },
		{ ".", true },
		{ "a/b:c", true },
		{ "./a:b", true },
		{ "http://user:pw@host:80/p?q=/?#f/?", true },
		{ "http://host:/", true },
		{ "http:///p", true },
		{ "http:", true },
		{ "http://[::1]/", true },
		{ "http://[::ffff:1.2.3.4]:80", true },
		{ "http://[v1.fe:x]/", true },
		{ "http://a%20b/%C3%A9%fF%aA", true },
		{ "x+-.1:a", true },
		{ "", false },
		{ "%", false },
		{ "%4", false },
		{ "%zz", false },
		{ ":", false },
		{ "1a:b", false },
		{ "a_b:c", false },
		{ "http://a b/", false },
		{ "http://[::1", false },
		{ "http://[::1]x/", false },
		{ "http://[1:2]/", false },
		{ "http://[]/", false },
		{ "http://[v.a]/", false },
		{ "http://[v1.]/", false },
		{ "http://[v1]/", false },
		{ "http://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]/", false },
		{ "http://[vg.a]/", false },
		{ "http://[fe80::1%25eth0]/", false },
		{ "http://h:8a/", false },
		{ "http://h:1:2/", false },
		{ "http://a@b@c/", false },
		{ "/a\\b", false },
		{ "/a^b", false },
		{ "/a[b", false },
		{ "/a\"b", false },
		{ "/a<b>", false },
		{ "/a{b}", false },
		{ "/a|b", false },
		{ "/a`b", false },
		{ "/a#b#c", false },
		{ "/\xc3\xa9", false },
		{ " /s", false },
	};

	(void)state;
	check_rows(rows, COUNT_OF(rows), weir_uri_is_reference);
	assert_false(weir_uri_is_reference(WEIR_STR("/a\0b")));
	assert_false(weir_uri_is_reference(WEIR_STR("http://[::1\0]/")));
}

static void absolute_uris_have_a_scheme(void **state)
{
	static const struct row rows[] = {
		{ "https://example.com/schema.json", true },
		{ "urn:x", true },
		{ "https://example.com/s.json#/defs/a", true },
		{ "/s", false },
		{ "//host/s", false },
		{ "schema.json", false },
		{ "", false },
		{ "http://a b/", false },
	};

	(void)state;
	check_rows(rows, COUNT_OF(rows), weir_uri_is_absolute);
}

/* ---- media types -------------------------------------------------------- */

static void media_types_are_those_of_rfc_2046(void **state)
{
	static const struct row rows[] = {
		{ "application/json", true },
		{ "text/plain", true },
		{ "TEXT/Plain; Charset=UTF-8", true },
		{ "application/json;charset=utf-8", true },
		{ "application/json ; charset=utf-8", true },
		{ "a/b;c=\"d;e\"", true },
		{ "a/b;c=\"d\\\"e\"", true },
		{ "a/b;c=\"\"", true },
		{ "text/plain;", true },
		{ "text/plain;; a=b", true },
		{ "application/vnd.x+json", true },
		{ "*/*", true },
		{ "azAZ09/x", true },
		{ "", false },
		{ ";;;", false },
		{ ";;", false },
		{ "foo", false },
		{ "foo/", false },
		{ "/foo", false },
		{ "a/b/c", false },
		{ "a b/c", false },
		{ "a/b c", false },
		{ "a/b;c", false },
		{ "a/b;c=", false },
		{ "a/b;=c", false },
		{ "a/b;c =d", false },
		{ "a/b;c=\"d", false },
		{ "a/b;c=\"d\\", false },
		{ "a/b;c=\"d\"e", false },
		{ "a/b;c=\"\xc3\xa9\"", false },
		{ "a/b;c=\"\x01\"", false },
		{ "a/b\r\nx: y", false },
		{ "a/b;charset=utf-8;charset=utf-8", false },
		{ "a/\xc3\xa9", false },
	};

	(void)state;
	check_rows(rows, COUNT_OF(rows), weir_media_type_is_valid);
}

static void json_is_told_by_subtype_or_suffix(void **state)
{
	static const struct row rows[] = {
		{ "application/json", true },
		{ "application/json; charset=utf-8", true },
		{ "APPLICATION/JSON", true },
		{ "text/json", true },
		{ "application/vnd.x+json ;a=b", true },
		{ "a/json", true },
		{ "application/jsonx", false },
		{ "application/xjson", false },
		{ "text/plain", false },
		{ "text/plain; x=\"/json\"", false },
		{ "application/json-patch", false },
		{ "application/json-seq", false },
	};

	(void)state;
	check_rows(rows, COUNT_OF(rows), weir_media_type_is_json);
}

static void charset_is_read_with_or_without_quotes(void **state)
{
	struct weir_media_type type;

	(void)state;
	assert_true(weir_media_type_parse(WEIR_STR("a/b;x=y; charset=\"UTF-8\""), &type));
	assert_text(type.charset, "UTF-8");
	assert_text(type.essence, "a/b");
	assert_true(weir_media_type_is_utf8(&type));
	assert_true(weir_media_type_parse(WEIR_STR("a/b;charset=utf-16"), &type));
	assert_false(weir_media_type_is_utf8(&type));
	assert_true(weir_media_type_parse(WEIR_STR("a/b"), &type));
	assert_text(type.charset, NULL);
	assert_true(weir_media_type_is_utf8(&type));
}

/* ---- base64 ------------------------------------------------------------- */

static void base64_knows_the_vectors_of_rfc_4648(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xfb\xff\xbf", "+/+/" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char encoded[16];
		unsigned char decoded[16];
		size_t len = strlen(rows[i][1]);

		assert_int_equal(weir_base64_encoded_size(strlen(rows[i][0])), len);
		weir_base64_encode(weir_str(rows[i][0]), encoded);
		assert_memory_equal(encoded, rows[i][1], len);
		assert_true(weir_base64_decode(weir_str(rows[i][1]), decoded, &len));
		assert_text((struct weir_buf){ decoded, len }, rows[i][0]);
	}
}

static void base64_in_other_dialects_is_refused(void **state)
{
	static const char *const rows[] = {
		"Z",         "Zg",     "Zg=",   "Zm8",  "Zg===",    "====", "=",    "Z===", "Zg==Zg==",
		"Zm9v Zm9v", "Zm9v\n", " Zm9v", "-_-_", "Zm9v====", "Zm=v", "Z=9v", "Zm9*", "\xc3\xa9==",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		unsigned char decoded[16];
		size_t len;

		if (weir_base64_decode(weir_str(rows[i]), decoded, &len))
			fail_msg("<%s> should be refused", rows[i]);
	}
}

static void base64_brings_back_every_byte(void **state)
{
	unsigned char bytes[256], decoded[258];
	char encoded[344];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)i;
	weir_base64_encode((struct weir_buf){ bytes, sizeof bytes }, encoded);
	assert_true(weir_base64_decode((struct weir_buf){ encoded, sizeof encoded }, decoded, &len));
	assert_int_equal(len, sizeof bytes);
	assert_memory_equal(decoded, bytes, len);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_hold_characters_and_nothing_else),
		cmocka_unit_test(every_byte_is_judged_the_same_in_every_place),
		cmocka_unit_test(names_are_letters_and_digits),
		cmocka_unit_test(times_are_those_of_rfc_3339),
		cmocka_unit_test(references_are_those_of_rfc_3986),
		cmocka_unit_test(absolute_uris_have_a_scheme),
		cmocka_unit_test(media_types_are_those_of_rfc_2046),
		cmocka_unit_test(json_is_told_by_subtype_or_suffix),
		cmocka_unit_test(charset_is_read_with_or_without_quotes),
		cmocka_unit_test(base64_knows_the_vectors_of_rfc_4648),
		cmocka_unit_test(base64_in_other_dialects_is_refused),
		cmocka_unit_test(base64_brings_back_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
