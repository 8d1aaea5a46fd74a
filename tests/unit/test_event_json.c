/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON event format. Numbers are those of docs/reference/events.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "event_fixture.h"

/* The members that every event has, without the braces. */
#define BASE "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\""

struct row {
	const char *name;
	const char *text; /* if it does not begin with '=': members after BASE; else the document after it */
	int code;
	const char *attribute; /* that is looked at if it is accepted; "data" is the data */
	const char *value;     /* NULL: absent */
};

static struct row rows[] = {
	{ "minimal", "", WEIR_OK, "id", "1" },
	{ "66: empty", "=", WEIR_EINVAL, 0, 0 },
	{ "66: not JSON", "=hello", WEIR_EINVAL, 0, 0 },
	{ "66: array", "=[{" BASE "}]", WEIR_EINVAL, 0, 0 },
	{ "66: null", "=null", WEIR_EINVAL, 0, 0 },
	{ "66: string", "=\"{}\"", WEIR_EINVAL, 0, 0 },
	{ "66: truncated", "={" BASE, WEIR_EINVAL, 0, 0 },
	{ "66: truncated in a string", "={" BASE ",\"subject\":\"a", WEIR_EINVAL, 0, 0 },
	{ "66: trailing bytes", "={" BASE "}x", WEIR_EINVAL, 0, 0 },
	{ "66: two objects", "={" BASE "}{" BASE "}", WEIR_EINVAL, 0, 0 },
	{ "66: white space around", "= \r\n\t{" BASE "}\n", WEIR_OK, "id", "1" },
	{ "67: id missing", "={\"specversion\":\"1.0\",\"source\":\"/s\",\"type\":\"t\"}", WEIR_EINVAL, 0, 0 },
	{ "67: id empty", "={\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"/s\",\"type\":\"t\"}", WEIR_EINVAL, 0,
	  0 },
	{ "67: id null", "={\"specversion\":\"1.0\",\"id\":null,\"source\":\"/s\",\"type\":\"t\"}", WEIR_EINVAL, 0, 0 },
	{ "67: id number", "={\"specversion\":\"1.0\",\"id\":1,\"source\":\"/s\",\"type\":\"t\"}", WEIR_EINVAL, 0, 0 },
	{ "67: source missing", "={\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\"}", WEIR_EINVAL, 0, 0 },
	{ "67: source empty", "={\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"\",\"type\":\"t\"}", WEIR_EINVAL, 0,
	  0 },
	{ "67: source null", "={\"specversion\":\"1.0\",\"id\":\"1\",\"source\":null,\"type\":\"t\"}", WEIR_EINVAL, 0,
	  0 },
	{ "67: source number", "={\"specversion\":\"1.0\",\"id\":\"1\",\"source\":1,\"type\":\"t\"}", WEIR_EINVAL, 0,
	  0 },
	{ "67: type missing", "={\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\"}", WEIR_EINVAL, 0, 0 },
	{ "67: type empty", "={\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"\"}", WEIR_EINVAL, 0,
	  0 },
	{ "67: type null", "={\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":null}", WEIR_EINVAL, 0,
	  0 },
	{ "67: type number", "={\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":1}", WEIR_EINVAL, 0,
	  0 },
	{ "67: specversion missing", "={\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", WEIR_EINVAL, 0, 0 },
	{ "67: specversion empty", "={\"specversion\":\"\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", WEIR_EINVAL,
	  0, 0 },
	{ "67: specversion null", "={\"specversion\":null,\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", WEIR_EINVAL,
	  0, 0 },
	{ "67: specversion number", "={\"specversion\":1.0,\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", WEIR_EINVAL,
	  0, 0 },
	{ "68: specversion 0.3", "={\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}",
	  WEIR_EINVAL, 0, 0 },
	{ "68: specversion 2.0", "={\"specversion\":\"2.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}",
	  WEIR_EINVAL, 0, 0 },
	{ "69: id twice", ",\"id\":\"1\"", WEIR_EINVAL, 0, 0 },
	{ "69: id twice, one of them spelt with an escape", ",\"\\u0069d\":\"1\"", WEIR_EINVAL, 0, 0 },
	{ "69: subject twice, null first", ",\"subject\":null,\"subject\":\"a\"", WEIR_EINVAL, 0, 0 },
	{ "69: data twice", ",\"data\":1,\"data\":1", WEIR_EINVAL, 0, 0 },
	{ "69: data_base64 twice, null first", ",\"data_base64\":null,\"data_base64\":\"\"", WEIR_EINVAL, 0, 0 },
	{ "69: extension twice", ",\"ext\":\"a\",\"ext\":\"a\"", WEIR_EINVAL, 0, 0 },
	{ "69: extension twice, null first", ",\"ext\":null,\"ext\":\"a\"", WEIR_EINVAL, 0, 0 },
	{ "70: specversion twice", ",\"specversion\":\"1.0\"", WEIR_EINVAL, 0, 0 },
	{ "71: data and data_base64", ",\"data\":1,\"data_base64\":\"MQ==\"", WEIR_EINVAL, 0, 0 },
	{ "71: data null and data_base64", ",\"data\":null,\"data_base64\":\"MQ==\"", WEIR_EINVAL, 0, 0 },
	{ "71: data and data_base64 null", ",\"data\":1,\"data_base64\":null", WEIR_OK, "data", "1" },
	{ "72: base64 of other characters", ",\"data_base64\":\"M*==\"", WEIR_EINVAL, 0, 0 },
	{ "72: base64 without padding", ",\"data_base64\":\"MQ\"", WEIR_EINVAL, 0, 0 },
	{ "72: base64 in the URL alphabet", ",\"data_base64\":\"-_-_\"", WEIR_EINVAL, 0, 0 },
	{ "72: base64 with white space", ",\"data_base64\":\"MQ==\\n\"", WEIR_EINVAL, 0, 0 },
	{ "D6.3: base64 with JSON escapes", ",\"data_base64\":\"\\u0050\\u002f\\/\\u002B\"", WEIR_OK, "data",
	  "\x3f\xff\xfe" },
	{ "73: data_base64 number", ",\"data_base64\":1", WEIR_EINVAL, 0, 0 },
	{ "73: data_base64 null", ",\"data_base64\":null", WEIR_OK, "data", NULL },
	{ "73: data_base64 object", ",\"data_base64\":{}", WEIR_EINVAL, 0, 0 },
	{ "73: data_base64 empty is empty data", ",\"data_base64\":\"\"", WEIR_OK, "data", "" },
	{ "74: data null", ",\"data\":null", WEIR_OK, "data", "null" },
	{ "74: data absent", "", WEIR_OK, "data", NULL },
	{ "74: data null, but the type is no JSON", ",\"datacontenttype\":\"a/b\",\"data\":null", WEIR_EINVAL, 0, 0 },
	{ "76: extension object, D6.7", ",\"ext\":{\"a\":1}", WEIR_EINVAL, 0, 0 },
	{ "76: extension array", ",\"ext\":[]", WEIR_EINVAL, 0, 0 },
	{ "77: name with underscore", ",\"my_ext\":\"a\"", WEIR_EINVAL, 0, 0 },
	{ "77: name with upper case", ",\"MyExt\":\"a\"", WEIR_EINVAL, 0, 0 },
	{ "77: known name with upper case", ",\"Subject\":\"a\"", WEIR_EINVAL, 0, 0 },
	{ "77: name with NUL", ",\"a\\u0000\":\"a\"", WEIR_EINVAL, 0, 0 },
	{ "78: 2147483648", ",\"ext\":2147483648", WEIR_EINVAL, 0, 0 },
	{ "78: 2147483647", ",\"ext\":2147483647", WEIR_OK, "ext", "2147483647" },
	{ "78: -2147483648", ",\"ext\":-2147483648", WEIR_OK, "ext", "-2147483648" },
	{ "78: -2147483649", ",\"ext\":-2147483649", WEIR_EINVAL, 0, 0 },
	{ "78: far beyond 64 bits", ",\"ext\":99999999999999999999999999", WEIR_EINVAL, 0, 0 },
	{ "78: 1.5", ",\"ext\":1.5", WEIR_EINVAL, 0, 0 },
	{ "78: 1.0", ",\"ext\":1.0", WEIR_EINVAL, 0, 0 },
	{ "78: 1e400", ",\"ext\":1e400", WEIR_EINVAL, 0, 0 },
	{ "78: 1e2", ",\"ext\":1e2", WEIR_EINVAL, 0, 0 },
	{ "78: -0", ",\"ext\":-0", WEIR_OK, "ext", "0" },
	{ "79: extension true", ",\"ext\":true", WEIR_OK, "ext", "true" },
	{ "79: extension null", ",\"ext\":null", WEIR_OK, "ext", NULL },
	{ "D6.6: subject null", ",\"subject\":null", WEIR_OK, "subject", NULL },
	{ "81: NUL escaped is no mistake of JSON, but of the attribute", ",\"subject\":\"a\\u0000\"", WEIR_EINVAL, 0,
	  0 },
	{ "81: newline in a string", ",\"subject\":\"a\nb\"", WEIR_EINVAL, 0, 0 },
	{ "81: control character in a string", ",\"data\":\"a\x01\"", WEIR_EINVAL, 0, 0 },
	{ "81: byte order mark", "=\xEF\xBB\xBF{" BASE "}", WEIR_EINVAL, 0, 0 },
	{ "81: comment", "={" BASE "/**/}", WEIR_EINVAL, 0, 0 },
	{ "81: trailing comma", "={" BASE ",}", WEIR_EINVAL, 0, 0 },
	{ "81: single quotes", ",'ext':'a'", WEIR_EINVAL, 0, 0 },
	{ "81: NaN", ",\"data\":NaN", WEIR_EINVAL, 0, 0 },
	{ "82: NUL in an extension", ",\"ext\":\"\\u0000\"", WEIR_EINVAL, 0, 0 },
	{ "82: control character in an extension", ",\"ext\":\"\\u0007\"", WEIR_EINVAL, 0, 0 },
	{ "82: noncharacter in an extension", ",\"ext\":\"\\uffff\"", WEIR_EINVAL, 0, 0 },
	{ "82: lone surrogate", ",\"ext\":\"\\ud800\"", WEIR_EINVAL, 0, 0 },
	{ "82: lone surrogate in data", ",\"data\":\"\\ud800\"", WEIR_EINVAL, 0, 0 },
	{ "82: invalid UTF-8", ",\"ext\":\"\xff\"", WEIR_EINVAL, 0, 0 },
	{ "82: surrogate pair", ",\"ext\":\"\\ud83d\\ude00\"", WEIR_OK, "ext", "\xf0\x9f\x98\x80" },
	{ "83: NUL escaped in JSON data", ",\"data\":\"a\\u0000b\"", WEIR_OK, "data", "\"a\\u0000b\"" },
	{ "84: time bad", ",\"time\":\"yesterday\"", WEIR_EINVAL, 0, 0 },
	{ "84: time number", ",\"time\":1522949460", WEIR_EINVAL, 0, 0 },
	{ "84: source bad", "={\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"a b\",\"type\":\"t\"}", WEIR_EINVAL, 0,
	  0 },
	{ "84: dataschema relative", ",\"dataschema\":\"/x\"", WEIR_EINVAL, 0, 0 },
	{ "84: datacontenttype ;;", ",\"datacontenttype\":\";;\"", WEIR_EINVAL, 0, 0 },
	{ "85: text/plain with an object", ",\"datacontenttype\":\"text/plain\",\"data\":{}", WEIR_EINVAL, 0, 0 },
	{ "85: text/plain after its object", ",\"data\":{},\"datacontenttype\":\"text/plain\"", WEIR_EINVAL, 0, 0 },
	{ "text/plain with a string", ",\"data\":\"a\\n\\u20ac\",\"datacontenttype\":\"text/plain\"", WEIR_OK, "data",
	  "a\n\xe2\x82\xac" },
	{ "D6.2: JSON with parameter", ",\"datacontenttype\":\"application/json; charset=utf-8\",\"data\":{ }", WEIR_OK,
	  "data", "{ }" },
	{ "D6.5: JSON string stays a JSON string", ",\"datacontenttype\":\"application/json\",\"data\":\"a\"", WEIR_OK,
	  "data", "\"a\"" },
	{ "data_base64 of a JSON type", ",\"datacontenttype\":\"application/json\",\"data_base64\":\"e30=\"", WEIR_OK,
	  "data", "{}" },
	{ "80: 1e400 in data", ",\"data\":[1e400 , 1.0,1]", WEIR_OK, "data", "[1e400 , 1.0,1]" },
	{ "86: UTF-16 body", "=\xff\xfe{", WEIR_EINVAL, 0, 0 },
	{ "91: key empty", ",\"\":\"a\"", WEIR_EINVAL, 0, 0 },
	{ "D6.12: time kept as written", ",\"time\":\"2018-04-05T17:31:00.120+00:00\"", WEIR_OK, "time",
	  "2018-04-05T17:31:00.120+00:00" },
	{ "escaped name of an attribute", ",\"\\u0073ubject\":\"s\"", WEIR_OK, "subject", "s" },
	{ "extension with an empty string", ",\"ext\":\"\"", WEIR_OK, "ext", "" },
};

static void check_row(void **state)
{
	const struct row *row = *state;
	weir_event *event = event_new();
	struct weir_error err = WEIR_ERROR_INIT;
	char text[512];

	if (row->text[0] == '=')
		snprintf(text, sizeof text, "%s", row->text + 1);
	else
		snprintf(text, sizeof text, "{" BASE "%s}", row->text);
	assert_int_equal(weir_event_from_json(event, weir_str(text), &err), row->code);
	if (row->code)
		assert_true(err.code == row->code && err.text[0]);
	else if (strcmp(row->attribute, "data") == 0)
		assert_text(weir_event_data(event), row->value);
	else
		assert_text(weir_event_get(event, row->attribute), row->value);
	weir_event_free(event);
}

/* ---- generated input ---------------------------------------------------- */

/* A document in a buffer of its own, so that reading past it is noticed. */
struct document {
	char *text;
	size_t len;
	size_t size;
};

static void document_init(struct document *document, size_t size)
{
	document->text = weir_mem_alloc(size);
	document->size = size;
	assert_non_null(document->text);
	document->len = (size_t)snprintf(document->text, size, "{" BASE);
}

static void document_add(struct document *document, const char *text)
{
	document->len += (size_t)snprintf(document->text + document->len, document->size - document->len, "%s", text);
	assert_true(document->len < document->size);
}

static void document_fill(struct document *document, char c, size_t count)
{
	assert_true(document->len + count < document->size);
	memset(document->text + document->len, c, count);
	document->len += count;
}

static int decode(weir_event *event, const struct document *document)
{
	return weir_event_from_json(event, (struct weir_buf){ document->text, document->len }, NULL);
}

static void check_nesting(size_t depth, int code)
{
	weir_event *event = event_new();
	struct document document;

	document_init(&document, 2 * depth + 256);
	document_add(&document, ",\"data\":");
	document_fill(&document, '[', depth);
	document_fill(&document, ']', depth);
	document_add(&document, "}");
	assert_int_equal(decode(event, &document), code);
	weir_mem_free(document.text);
	weir_event_free(event);
}

static void row_75_data_nests_64_deep_and_no_deeper(void **state)
{
	(void)state;
	check_nesting(64, WEIR_OK);
	check_nesting(65, WEIR_EINVAL);
	check_nesting(100000, WEIR_EINVAL);
}

static void check_name_length(size_t len, int code)
{
	weir_event *event = event_new();
	struct document document;

	document_init(&document, len + 256);
	document_add(&document, ",\"");
	document_fill(&document, 'x', len);
	document_add(&document, "\":\"v\"}");
	assert_int_equal(decode(event, &document), code);
	weir_mem_free(document.text);
	weir_event_free(event);
}

static void row_91_names_to_the_limit_and_not_beyond(void **state)
{
	(void)state;
	check_name_length(63, WEIR_OK);
	check_name_length(64, WEIR_OK);
	check_name_length(65, WEIR_EINVAL);
	check_name_length(1 << 20, WEIR_EINVAL);
}

static void check_value_length(const char *member, size_t len, int code)
{
	weir_event *event = event_new();
	struct document document;

	document_init(&document, len + 256);
	document_add(&document, member);
	document_fill(&document, 'x', len);
	document_add(&document, "\"}");
	assert_int_equal(decode(event, &document), code);
	weir_mem_free(document.text);
	weir_event_free(event);
}

static void row_91_values_to_the_limit_and_not_beyond(void **state)
{
	(void)state;
	check_value_length(",\"ext\":\"", 8191, WEIR_OK);
	check_value_length(",\"ext\":\"", 8192, WEIR_OK);
	check_value_length(",\"ext\":\"", 8193, WEIR_EINVAL);
	check_value_length(",\"ext\":\"", 1 << 20, WEIR_EINVAL);
	check_value_length(",\"subject\":\"", 8192, WEIR_OK);
	check_value_length(",\"subject\":\"", 8193, WEIR_EINVAL);
}

static void the_length_of_a_value_counts_without_its_escapes(void **state)
{
	weir_event *event = event_new();
	struct document document;

	(void)state;
	document_init(&document, 8192 * 6 + 256);
	document_add(&document, ",\"ext\":\"");
	for (int i = 0; i < 8192; i++)
		document_add(&document, "\\u0041");
	document_add(&document, "\"}");
	assert_int_equal(decode(event, &document), WEIR_OK);
	assert_int_equal(weir_event_get(event, "ext").len, 8192);
	weir_mem_free(document.text);
	weir_event_free(event);
}

static void check_members(size_t count, const char *value, int code)
{
	weir_event *event = event_new();
	struct document document;
	char member[64];

	document_init(&document, count * 32 + 256);
	for (size_t i = 4; i < count; i++) {
		snprintf(member, sizeof member, ",\"x%zu\":%s", i, value);
		document_add(&document, member);
	}
	document_add(&document, "}");
	assert_int_equal(decode(event, &document), code);
	weir_mem_free(document.text);
	weir_event_free(event);
}

static void row_91_members_to_the_limit_and_not_beyond(void **state)
{
	(void)state;
	check_members(1023, "null", WEIR_OK);
	check_members(1024, "null", WEIR_OK);
	check_members(1025, "null", WEIR_EINVAL);
	check_members(100000, "null", WEIR_EINVAL);
}

static void row_62_extensions_to_the_limit_and_not_beyond(void **state)
{
	(void)state;
	check_members(4 + 63, "\"v\"", WEIR_OK);
	check_members(4 + 64, "1", WEIR_OK);
	check_members(4 + 65, "true", WEIR_EINVAL);
}

static void row_80_a_number_of_400_digits_is_kept_digit_for_digit(void **state)
{
	weir_event *event = event_new();
	struct document document;

	(void)state;
	document_init(&document, 1024);
	document_add(&document, ",\"data\":");
	document_fill(&document, '7', 400);
	document_add(&document, "}");
	assert_int_equal(decode(event, &document), WEIR_OK);
	assert_int_equal(weir_event_data(event).len, 400);
	assert_memory_equal(weir_event_data(event).ptr, document.text + document.len - 401, 400);
	weir_mem_free(document.text);
	weir_event_free(event);
}

static void row_81_a_raw_nul_is_refused(void **state)
{
	weir_event *event = event_new();

	(void)state;
	assert_int_equal(weir_event_from_json(event, WEIR_STR("{" BASE ",\"ext\":\"a\0\"}"), NULL), WEIR_EINVAL);
	assert_int_equal(weir_event_from_json(event, WEIR_STR("{" BASE "}\0"), NULL), WEIR_EINVAL);
	weir_event_free(event);
}

static void data_of_64_kib_is_accepted_and_comes_back(void **state)
{
	weir_event *event = event_new(), *back = event_new();
	struct document document;
	struct weir_buf json;

	(void)state;
	document_init(&document, 65536 + 256);
	document_add(&document, ",\"datacontenttype\":\"text/plain\",\"data\":\"");
	document_fill(&document, 'x', 65536);
	document_add(&document, "\"}");
	assert_int_equal(decode(event, &document), WEIR_OK);
	assert_int_equal(weir_event_data(event).len, 65536);
	assert_int_equal(weir_event_to_json(event, &json, NULL), WEIR_OK);
	assert_int_equal(weir_event_from_json(back, json, NULL), WEIR_OK);
	assert_null(event_difference(event, back, true));
	weir_mem_free(document.text);
	weir_event_free(event);
	weir_event_free(back);
}

static void a_syntax_error_tells_line_and_column(void **state)
{
	weir_event *event = event_new();
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	assert_int_equal(weir_event_from_json(event, WEIR_STR("{\n  \"id\": nope\n}"), &err), WEIR_EINVAL);
	assert_non_null(strstr(err.text, "line 2, column 9"));
	assert_null(strstr(err.text, "nope"));
	weir_event_free(event);
}

static void extensions_remember_their_kind_of_value(void **state)
{
	weir_event *event = event_new();
	const struct weir_extension *extensions;

	(void)state;
	assert_int_equal(
	    weir_event_from_json(event, WEIR_STR("{" BASE ",\"a\":\"1\",\"b\":1,\"c\":null,\"d\":false}"), NULL),
	    WEIR_OK);
	assert_int_equal(weir_event_extensions(event, &extensions), 3);
	assert_int_equal(extensions[0].type, WEIR_VALUE_STRING);
	assert_int_equal(extensions[1].type, WEIR_VALUE_INTEGER);
	assert_int_equal(extensions[2].type, WEIR_VALUE_BOOLEAN);
	assert_text(extensions[2].name, "d");
	weir_event_free(event);
}

/* ---- encoding ----------------------------------------------------------- */

/* What is in comes out like this; NULL: just the same. */
static void check_encoding(const char *in, const char *out)
{
	weir_event *event = event_new();
	struct weir_buf json;

	assert_int_equal(weir_event_from_json(event, weir_str(in), NULL), WEIR_OK);
	assert_int_equal(weir_event_to_json(event, &json, NULL), WEIR_OK);
	assert_text(json, out ? out : in);
	weir_event_free(event);
}

static void events_are_written_in_the_order_of_the_attributes(void **state)
{
	(void)state;
	check_encoding("{ \"data\" : {\"a\": 1} , \"ext\":\"e\", \"type\":\"t\", \"source\":\"/s\",\"id\":\"1\","
		       "\"specversion\":\"1.0\",\"subject\":\"s\",\"time\":\"2018-04-05T17:31:00Z\","
		       "\"dataschema\":\"urn:x\",\"datacontenttype\":\"application/json\"}",
		       "{" BASE ",\"subject\":\"s\",\"time\":\"2018-04-05T17:31:00Z\","
		       "\"datacontenttype\":\"application/json\",\"dataschema\":\"urn:x\",\"ext\":\"e\","
		       "\"data\":{\"a\": 1}}");
}

static void json_data_is_written_verbatim(void **state)
{
	(void)state;
	check_encoding("{" BASE ",\"data\":{ \"b\" : 1.00,\n\"a\":\"\\u0000\\/\" }}", NULL);
	check_encoding("{" BASE ",\"data\":1e400}", NULL);
	check_encoding("{" BASE ",\"data\":\"a\"}", NULL);
}

static void row_74_null_and_absent_data_stay_different(void **state)
{
	(void)state;
	check_encoding("{" BASE ",\"data\":null}", NULL);
	check_encoding("{" BASE "}", NULL);
}

static void kinds_of_extension_values_survive(void **state)
{
	(void)state;
	check_encoding("{" BASE ",\"a\":\"1\",\"b\":1,\"c\":false,\"d\":-2147483648}", NULL);
}

static void strings_are_escaped_where_they_must_be(void **state)
{
	(void)state;
	check_encoding("{" BASE ",\"ext\":\"\\\"\\\\\\u002f\\u20ac\"}", "{" BASE ",\"ext\":\"\\\"\\\\/\xe2\x82\xac\"}");
	check_encoding("{" BASE ",\"datacontenttype\":\"text/plain\",\"data\":\"\\t\\r\\n\\\"\"}", NULL);
}

static void check_data_member(const char *type, struct weir_buf data, const char *member)
{
	weir_event *event = event_new();
	struct weir_buf json;
	char wanted[256];
	size_t len;

	assert_int_equal(weir_event_set_text(event, "id", "1", NULL), WEIR_OK);
	assert_int_equal(weir_event_set_text(event, "source", "/s", NULL), WEIR_OK);
	assert_int_equal(weir_event_set_text(event, "type", "t", NULL), WEIR_OK);
	assert_int_equal(weir_event_set_text(event, "datacontenttype", type, NULL), WEIR_OK);
	assert_int_equal(weir_event_set_data(event, data, NULL), WEIR_OK);
	assert_int_equal(weir_event_to_json(event, &json, NULL), WEIR_OK);
	len = (size_t)snprintf(wanted, sizeof wanted, "%s}", member);
	assert_true(json.len > len);
	assert_text((struct weir_buf){ (const char *)json.ptr + json.len - len, len }, wanted);
	weir_event_free(event);
}

static void data_is_written_in_the_form_that_loses_nothing(void **state)
{
	(void)state;
	check_data_member(NULL, WEIR_STR("{}"), ",\"data_base64\":\"e30=\"");
	check_data_member("application/json", WEIR_STR("{}"), ",\"data\":{}");
	check_data_member("application/json", WEIR_STR("{no json"), ",\"data_base64\":\"e25vIGpzb24=\"");
	check_data_member("application/json", WEIR_STR(""), ",\"data_base64\":\"\"");
	check_data_member("application/x+json", WEIR_STR("[\"\\ud800\"]"), ",\"data_base64\":\"WyJcdWQ4MDAiXQ==\"");
	check_data_member("text/plain", WEIR_STR("hi\n"), ",\"data\":\"hi\\n\"");
	check_data_member("text/plain", WEIR_STR(""), ",\"data\":\"\"");
	check_data_member("text/plain", WEIR_STR("\x7f"), ",\"data\":\"\x7f\"");
	check_data_member("text/plain", WEIR_STR("\xc3\xa9"), ",\"data\":\"\xc3\xa9\"");
	check_data_member("text/plain;charset=UTF-8", WEIR_STR("\xc3\xa9"), ",\"data\":\"\xc3\xa9\"");
	check_data_member("text/plain;charset=latin1", WEIR_STR("\xc3\xa9"), ",\"data_base64\":\"w6k=\"");
	check_data_member("text/plain;charset=latin1", WEIR_STR("e"), ",\"data\":\"e\"");
	check_data_member("text/plain", WEIR_STR("\xe9"), ",\"data_base64\":\"6Q==\"");
	check_data_member("text/plain", WEIR_STR("\0"), ",\"data_base64\":\"AA==\"");
}

static void json_of_an_event_is_one_line(void **state)
{
	weir_event *event = event_new();
	struct weir_buf json;

	(void)state;
	assert_int_equal(weir_event_from_json(event, WEIR_STR("{\n" BASE ",\n\"data\":\n1\n}\n"), NULL), WEIR_OK);
	assert_int_equal(weir_event_to_json(event, &json, NULL), WEIR_OK);
	assert_null(memchr(json.ptr, '\n', json.len));
	weir_event_free(event);
}

/* ---- batches ------------------------------------------------------------ */

#define ITEM "{" BASE "}"

struct batch_row {
	const char *name;
	const char *text;
	int code;
	size_t count;
};

static struct batch_row batch_rows[] = {
	{ "93: empty batch", "[]", WEIR_EINVAL, 0 },
	{ "93: not an array", ITEM, WEIR_EINVAL, 0 },
	{ "93: null", "null", WEIR_EINVAL, 0 },
	{ "93: one bad item", "[" ITEM ",{" BASE ",\"id\":\"2\"}," ITEM "]", WEIR_EINVAL, 0 },
	{ "93: item that is no object", "[" ITEM ",1]", WEIR_EINVAL, 0 },
	{ "93: item that is an array", "[[" ITEM "]]", WEIR_EINVAL, 0 },
	{ "93: truncated", "[" ITEM ",", WEIR_EINVAL, 0 },
	{ "93: truncated in an item", "[" ITEM ",{" BASE, WEIR_EINVAL, 0 },
	{ "93: trailing bytes", "[" ITEM "] x", WEIR_EINVAL, 0 },
	{ "93: trailing comma", "[" ITEM ",]", WEIR_EINVAL, 0 },
	{ "one", "[" ITEM "]", WEIR_OK, 1 },
	{ "three", " [ " ITEM " , " ITEM " , " ITEM " ] ", WEIR_OK, 3 },
};

static void check_batch(void **state)
{
	const struct batch_row *row = *state;
	weir_event **events = NULL;
	size_t count = 0;

	assert_int_equal(weir_event_batch_from_json(weir_str(row->text), NULL, &events, &count, NULL), row->code);
	assert_int_equal(count, row->count);
	for (size_t i = 0; i < count; i++)
		assert_text(weir_event_get(events[i], "id"), "1");
	weir_event_batch_free(events, count);
}

static void check_batch_size(size_t items, int code)
{
	struct document document;
	weir_event **events = NULL;
	size_t count = 0;

	document_init(&document, items * 64 + 256);
	document.len = 0;
	for (size_t i = 0; i < items; i++)
		document_add(&document, i ? "," ITEM : "[" ITEM);
	document_add(&document, "]");
	assert_int_equal(
	    weir_event_batch_from_json((struct weir_buf){ document.text, document.len }, NULL, &events, &count, NULL),
	    code);
	assert_int_equal(count, code ? 0 : items);
	weir_event_batch_free(events, count);
	weir_mem_free(document.text);
}

static void row_93_batches_to_the_limit_and_not_beyond(void **state)
{
	(void)state;
	check_batch_size(999, WEIR_OK);
	check_batch_size(1000, WEIR_OK);
	check_batch_size(1001, WEIR_ETOOBIG);
}

static void row_75_data_in_a_batch_nests_as_deep_as_elsewhere(void **state)
{
	char text[400];
	weir_event **events = NULL;
	size_t count = 0;

	(void)state;
	snprintf(text, sizeof text, "[{" BASE ",\"data\":%.*s%.*s}]", 64,
		 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 64,
		 "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
	assert_int_equal(weir_event_batch_from_json(weir_str(text), NULL, &events, &count, NULL), WEIR_OK);
	weir_event_batch_free(events, count);
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(row_75_data_nests_64_deep_and_no_deeper),
		cmocka_unit_test(row_91_names_to_the_limit_and_not_beyond),
		cmocka_unit_test(row_91_values_to_the_limit_and_not_beyond),
		cmocka_unit_test(the_length_of_a_value_counts_without_its_escapes),
		cmocka_unit_test(row_91_members_to_the_limit_and_not_beyond),
		cmocka_unit_test(row_62_extensions_to_the_limit_and_not_beyond),
		cmocka_unit_test(row_80_a_number_of_400_digits_is_kept_digit_for_digit),
		cmocka_unit_test(row_81_a_raw_nul_is_refused),
		cmocka_unit_test(data_of_64_kib_is_accepted_and_comes_back),
		cmocka_unit_test(a_syntax_error_tells_line_and_column),
		cmocka_unit_test(extensions_remember_their_kind_of_value),
		cmocka_unit_test(events_are_written_in_the_order_of_the_attributes),
		cmocka_unit_test(json_data_is_written_verbatim),
		cmocka_unit_test(row_74_null_and_absent_data_stay_different),
		cmocka_unit_test(kinds_of_extension_values_survive),
		cmocka_unit_test(strings_are_escaped_where_they_must_be),
		cmocka_unit_test(data_is_written_in_the_form_that_loses_nothing),
		cmocka_unit_test(json_of_an_event_is_one_line),
		cmocka_unit_test(row_93_batches_to_the_limit_and_not_beyond),
		cmocka_unit_test(row_75_data_in_a_batch_nests_as_deep_as_elsewhere),
	};
	struct CMUnitTest table[COUNT_OF(rows)];
	struct CMUnitTest batches[COUNT_OF(batch_rows)];
	int failed;

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		table[i] = (struct CMUnitTest)ROW_TEST(&rows[i], check_row);
	for (size_t i = 0; i < COUNT_OF(batch_rows); i++)
		batches[i] = (struct CMUnitTest)ROW_TEST(&batch_rows[i], check_batch);
	failed = cmocka_run_group_tests_name("structured", table, NULL, NULL);
	failed += cmocka_run_group_tests_name("batch", batches, NULL, NULL);
	failed += cmocka_run_group_tests_name("json", others, NULL, NULL);
	return failed != 0;
}
