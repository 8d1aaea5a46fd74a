/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/weir_cmocka.h"

#include "base/str.h"
#include "dispatch/encode.h"

typedef bool encode_fn(struct weir_dynbuf *out, struct weir_buf bytes);

static void check(encode_fn *encode, struct weir_buf in, const char *expected)
{
	struct weir_dynbuf out;

	weir_dynbuf_init(&out, 4096);
	assert_true(encode(&out, in));
	if (*expected)
		assert_string_equal(out.ptr, expected);
	else
		assert_int_equal(out.len, 0);
	weir_dynbuf_fini(&out);
}

static void base64_pads_to_four(void **state)
{
	(void)state;
	check(weir_encode_base64, WEIR_STR(""), "");
	check(weir_encode_base64, WEIR_STR("f"), "Zg==");
	check(weir_encode_base64, WEIR_STR("fo"), "Zm8=");
	check(weir_encode_base64, WEIR_STR("foo"), "Zm9v");
	check(weir_encode_base64, WEIR_STR("foob"), "Zm9vYg==");
	check(weir_encode_base64, WEIR_STR("\xff\xfe\xfd\x00"), "//79AA==");
}

static void base64_beyond_the_maximum_fails(void **state)
{
	struct weir_dynbuf out;

	(void)state;
	weir_dynbuf_init(&out, 7);
	assert_false(weir_encode_base64(&out, WEIR_STR("foob")));
	assert_true(out.failed);
	weir_dynbuf_fini(&out);
}

static void json_text_is_escaped(void **state)
{
	(void)state;
	check(weir_encode_json_text, WEIR_STR("a\"b\\c\n\x7f"), "\"a\\\"b\\\\c\\u000a\\u007f\"");
	check(weir_encode_json_text, WEIR_STR("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\"");
	check(weir_encode_json_text, WEIR_STR(""), "\"\"");
}

static void json_text_that_is_not_utf8_stays_readable(void **state)
{
	(void)state;
	check(weir_encode_json_text, WEIR_STR("a\xff!"), "\"a?!\"");
}

static void no_value_is_null(void **state)
{
	struct weir_buf none = { NULL, 0 };

	(void)state;
	check(weir_encode_json_text, none, "null");
	check(weir_encode_json_bytes, none, "null");
	check(weir_encode_json_bytes, WEIR_STR(""), "\"\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_pads_to_four),  cmocka_unit_test(base64_beyond_the_maximum_fails),
		cmocka_unit_test(json_text_is_escaped), cmocka_unit_test(json_text_that_is_not_utf8_stays_readable),
		cmocka_unit_test(no_value_is_null),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
