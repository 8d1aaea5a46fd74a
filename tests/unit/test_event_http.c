/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP binding. Numbers are those of docs/reference/events.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "event_fixture.h"

struct row {
	const char *name;
	const char *headers; /* message_init() */
	int code;
	const char *attribute; /* that is looked at if it is accepted */
	const char *value;
};

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static struct row binary_rows[] = {
	{ "41: no ce- header at all", "!ce-id\n!ce-source\n!ce-type\n!ce-specversion", WEIR_EINVAL, 0, 0 },
	{ "42: id missing", "!ce-id", WEIR_EINVAL, 0, 0 },
	{ "42: source missing", "!ce-source", WEIR_EINVAL, 0, 0 },
	{ "42: type missing", "!ce-type", WEIR_EINVAL, 0, 0 },
	{ "42: specversion missing", "!ce-specversion", WEIR_EINVAL, 0, 0 },
	{ "42: id empty", "ce-id:", WEIR_EINVAL, 0, 0 },
	{ "42: source empty", "ce-source:", WEIR_EINVAL, 0, 0 },
	{ "42: type empty", "ce-type: ", WEIR_EINVAL, 0, 0 },
	{ "42: specversion empty", "ce-specversion:", WEIR_EINVAL, 0, 0 },
	{ "43: specversion 0.3", "ce-specversion:0.3", WEIR_EINVAL, 0, 0 },
	{ "44: specversion 2.0", "ce-specversion:2.0", WEIR_EINVAL, 0, 0 },
	{ "44: specversion 1.1", "ce-specversion:1.1", WEIR_EINVAL, 0, 0 },
	{ "44: specversion 1.0.2", "ce-specversion:1.0.2", WEIR_EINVAL, 0, 0 },
	{ "44: specversion 1", "ce-specversion:1", WEIR_EINVAL, 0, 0 },
	{ "44: specversion v1.0", "ce-specversion:v1.0", WEIR_EINVAL, 0, 0 },
	{ "44: specversion 10.0", "ce-specversion:10.0", WEIR_EINVAL, 0, 0 },
	{ "44: specversion with an encoded space", "ce-specversion:%201.0", WEIR_EINVAL, 0, 0 },
	{ "45: id twice, same", "+ce-id:1", WEIR_EINVAL, 0, 0 },
	{ "45: id twice, other", "+CE-ID:2", WEIR_EINVAL, 0, 0 },
	{ "45: specversion twice", "+ce-specversion:1.0", WEIR_EINVAL, 0, 0 },
	{ "45: extension twice", "ce-ext:1\n+Ce-Ext:1", WEIR_EINVAL, 0, 0 },
	{ "46: id of an encoded space only", "ce-id:%20", WEIR_EINVAL, 0, 0 },
	{ "46: subject of encoded spaces only", "ce-subject:%20%20", WEIR_EINVAL, 0, 0 },
	{ "47: percent and no digits", "ce-id:%ZZ", WEIR_EINVAL, 0, 0 },
	{ "47: percent at the end", "ce-id:a%", WEIR_EINVAL, 0, 0 },
	{ "47: percent and one digit", "ce-id:a%2", WEIR_EINVAL, 0, 0 },
	{ "48: overlong", "ce-id:%C0%A0", WEIR_EINVAL, 0, 0 },
	{ "48: surrogate", "ce-id:%ED%A0%80", WEIR_EINVAL, 0, 0 },
	{ "48: not UTF-8", "ce-id:%FF", WEIR_EINVAL, 0, 0 },
	{ "49: NUL", "ce-id:a%00", WEIR_EINVAL, 0, 0 },
	{ "49: line break and a header", "ce-ext:a%0d%0aX-Evil:1", WEIR_EINVAL, 0, 0 },
	{ "49: delete", "ce-id:%7f", WEIR_EINVAL, 0, 0 },
	{ "49: next line", "ce-id:%C2%85", WEIR_EINVAL, 0, 0 },
	{ "49: noncharacter", "ce-id:%EF%BF%BE", WEIR_EINVAL, 0, 0 },
	{ "50: raw UTF-8", "ce-id:\xc3\xa9", WEIR_EINVAL, 0, 0 },
	{ "50: raw byte", "ce-id:a\xff", WEIR_EINVAL, 0, 0 },
	{ "50: raw UTF-8 in quotes", "ce-ext:\"\xc3\xa9\"", WEIR_EINVAL, 0, 0 },
	{ "51: quoted value", "ce-subject:\"a b\"", WEIR_OK, "subject", "a b" },
	{ "51: quoted quote", "ce-subject:\"a\\\"b\"", WEIR_OK, "subject", "a\"b" },
	{ "51: quoted backslash", "ce-subject:\"a\\\\b\"", WEIR_OK, "subject", "a\\b" },
	{ "51: quoted and percent-encoded", "ce-subject:\"%41 b\"", WEIR_OK, "subject", "A b" },
	{ "51: quoted and empty id", "ce-id:\"\"", WEIR_EINVAL, 0, 0 },
	{ "51: quote that does not end", "ce-subject:\"a", WEIR_EINVAL, 0, 0 },
	{ "51: one quote", "ce-subject:\"", WEIR_EINVAL, 0, 0 },
	{ "51: quote that ends in between", "ce-subject:\"a\" b \"c\"", WEIR_EINVAL, 0, 0 },
	{ "51: quote ended by an escape", "ce-subject:\"a\\\"", WEIR_EINVAL, 0, 0 },
	{ "51: raw space, as older senders wrote", "ce-subject: a b ", WEIR_OK, "subject", "a b" },
	{ "52: needless escape", "ce-subject:%41", WEIR_OK, "subject", "A" },
	{ "52: lower-case digits", "ce-subject:%e2%82%ac", WEIR_OK, "subject", "\xe2\x82\xac" },
	{ "52: decoded once only", "ce-subject:%2541", WEIR_OK, "subject", "%41" },
	{ "52: the example of the binding", "ce-subject:Euro%20%E2%82%AC%20%F0%9F%98%80", WEIR_OK, "subject",
	  "Euro \xe2\x82\xac \xf0\x9f\x98\x80" },
	{ "53: time in words", "ce-time:yesterday", WEIR_EINVAL, 0, 0 },
	{ "53: time without zone", "ce-time:2018-04-05T17:31:00", WEIR_EINVAL, 0, 0 },
	{ "53: February 30", "ce-time:2018-02-30T17:31:00Z", WEIR_EINVAL, 0, 0 },
	{ "53: year 10000", "ce-time:10000-01-01T00:00:00Z", WEIR_EINVAL, 0, 0 },
	{ "53: time empty", "ce-time:", WEIR_EINVAL, 0, 0 },
	{ "54: leap second", "ce-time:2016-12-31T23:59:60Z", WEIR_OK, "time", "2016-12-31T23:59:60Z" },
	{ "54: lower-case t and z", "ce-time:2018-04-05t17:31:00.123456789z", WEIR_OK, "time",
	  "2018-04-05t17:31:00.123456789z" },
	{ "55: source %", "ce-source:%25", WEIR_EINVAL, 0, 0 },
	{ "55: source %, raw", "ce-source:%", WEIR_EINVAL, 0, 0 },
	{ "55: source :", "ce-source::", WEIR_EINVAL, 0, 0 },
	{ "55: source with a space", "ce-source:http://a b/", WEIR_EINVAL, 0, 0 },
	{ "55: source with an open bracket", "ce-source:http://[::1", WEIR_EINVAL, 0, 0 },
	{ "55: source with a backslash", "ce-source:/a\\b", WEIR_EINVAL, 0, 0 },
	{ "55: source with a caret", "ce-source:/a^b", WEIR_EINVAL, 0, 0 },
	{ "56: source, relative path", "ce-source:/s", WEIR_OK, "source", "/s" },
	{ "56: source, URN", "ce-source:urn:x", WEIR_OK, "source", "urn:x" },
	{ "56: source, relative segment", "ce-source:1-555", WEIR_OK, "source", "1-555" },
	{ "57: dataschema relative", "ce-dataschema:/schema", WEIR_EINVAL, 0, 0 },
	{ "57: dataschema empty", "ce-dataschema:", WEIR_EINVAL, 0, 0 },
	{ "57: dataschema absolute", "ce-dataschema:https://e.x/s", WEIR_OK, "dataschema", "https://e.x/s" },
	{ "58: subject empty", "ce-subject:", WEIR_EINVAL, 0, 0 },
	{ "59: name with underscore", "ce-my_ext:1", WEIR_EINVAL, 0, 0 },
	{ "59: name with dash", "ce-my-ext:1", WEIR_EINVAL, 0, 0 },
	{ "59: name with dot", "ce-my.ext:1", WEIR_EINVAL, 0, 0 },
	{ "59: name empty", "ce-:1", WEIR_EINVAL, 0, 0 },
	{ "60: name of 21 characters", "ce-abcdefghijklmnopqrstu:v", WEIR_OK, "abcdefghijklmnopqrstu", "v" },
	{ "60: name of 63 characters", "ce-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx:v", WEIR_OK,
	  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "v" },
	{ "60: name of 64 characters", "ce-" X64 ":v", WEIR_OK, X64, "v" },
	{ "60: name of 65 characters", "ce-" X64 "x:v", WEIR_EINVAL, 0, 0 },
	{ "61: ce-data", "ce-data:1", WEIR_EINVAL, 0, 0 },
	{ "61: ce-data_base64", "ce-data_base64:1", WEIR_EINVAL, 0, 0 },
	{ "61: ce-datacontenttype", "ce-datacontenttype:text/plain", WEIR_EINVAL, 0, 0 },
	{ "61: Ce-DataContentType", "Ce-DataContentType:text/plain", WEIR_EINVAL, 0, 0 },
	{ "63: content type garbage", "content-type:;;;", WEIR_EINVAL, 0, 0 },
	{ "63: content type without slash", "content-type:foo", WEIR_EINVAL, 0, 0 },
	{ "63: content type empty", "content-type:", WEIR_EINVAL, 0, 0 },
	{ "63: content type twice", "content-type:text/plain\n+Content-Type:text/plain", WEIR_EINVAL, 0, 0 },
	{ "63: content type not ASCII", "content-type:text/pl\xc3\xa4in", WEIR_EINVAL, 0, 0 },
	{ "D6.2: content type with parameter", "Content-Type:application/json; charset=utf-8", WEIR_OK,
	  "datacontenttype", "application/json; charset=utf-8" },
	{ "D6.8: header names in any case", "CE-SUBJECT:s\nCe-MyExt:v", WEIR_OK, "myext", "v" },
	{ "names from end to end of the alphabet", "Ce-AZaz09:v", WEIR_OK, "azaz09", "v" },
	{ "extension with an empty value", "ce-ext:", WEIR_OK, "ext", "" },
	{ "other headers are not attributes", "traceparent:00-1\nx-ce-id:2\nce:3\nc:4\n+:5", WEIR_OK, "id", "1" },
};

static void check_binary(void **state)
{
	const struct row *row = *state;
	weir_event *event = event_new();
	struct weir_error err = WEIR_ERROR_INIT;
	struct message message;

	message_init(&message, row->headers);
	assert_int_equal(weir_event_from_http(event, message.headers, message.count, WEIR_STR("{}"), &err), row->code);
	if (row->code)
		assert_true(err.code == row->code && err.text[0]);
	else
		assert_text(weir_event_get(event, row->attribute), row->value);
	weir_event_free(event);
}

struct mode_row {
	const char *name;
	const char *headers; /* added to nothing */
	int code;
	enum weir_mode mode;
};

static struct mode_row mode_rows[] = {
	{ "86: charset utf-16", "content-type:application/cloudevents+json; charset=utf-16", WEIR_EMEDIATYPE,
	  WEIR_MODE_STRUCTURED },
	{ "86: charset UTF-8", "content-type:application/cloudevents+json; charset=UTF-8", WEIR_OK,
	  WEIR_MODE_STRUCTURED },
	{ "86: charset UTF-8 quoted, D6.23", "content-type:application/cloudevents+json;charset=\"UTF-8\"", WEIR_OK,
	  WEIR_MODE_STRUCTURED },
	{ "87: upper case", "Content-Type: APPLICATION/CLOUDEVENTS+JSON", WEIR_OK, WEIR_MODE_STRUCTURED },
	{ "88: avro", "content-type:application/cloudevents+avro", WEIR_EMEDIATYPE, WEIR_MODE_NONE },
	{ "88: xml", "content-type:application/cloudevents+xml", WEIR_EMEDIATYPE, WEIR_MODE_NONE },
	{ "88: no format", "content-type:application/cloudevents", WEIR_EMEDIATYPE, WEIR_MODE_NONE },
	{ "88: avro beside attributes", "content-type:application/cloudevents+avro\nce-id:1", WEIR_EMEDIATYPE,
	  WEIR_MODE_BINARY },
	{ "89: prefix with a slash", "content-type:application/cloudeventsX/json", WEIR_EMEDIATYPE, WEIR_MODE_NONE },
	{ "89: prefix of a batch", "content-type:application/cloudevents-batchX", WEIR_EMEDIATYPE, WEIR_MODE_NONE },
	{ "89: longer format", "content-type:application/cloudevents+jsonx", WEIR_EMEDIATYPE, WEIR_MODE_NONE },
	{ "89: broken parameters", "content-type:application/cloudevents+json;x", WEIR_EINVAL, WEIR_MODE_STRUCTURED },
	{ "92: batch, D6.14", "content-type:application/cloudevents-batch+json", WEIR_OK, WEIR_MODE_BATCH },
	{ "92: batch without format", "content-type:application/cloudevents-batch", WEIR_EMEDIATYPE, WEIR_MODE_NONE },
	{ "92: batch in utf-16", "content-type:application/cloudevents-batch+json;charset=utf-16", WEIR_EMEDIATYPE,
	  WEIR_MODE_BATCH },
	{ "90: structured beside attributes", "ce-id:2\ncontent-type:application/cloudevents+json", WEIR_OK,
	  WEIR_MODE_STRUCTURED },
	{ "binary", "x:y\nCe-Id:1\ncontent-type:application/json", WEIR_OK, WEIR_MODE_BINARY },
	{ "nothing", "", WEIR_OK, WEIR_MODE_NONE },
	{ "41: no event", "content-type:application/json\naccept:x", WEIR_OK, WEIR_MODE_NONE },
	{ "63: broken content type", "content-type:;;;", WEIR_EINVAL, WEIR_MODE_NONE },
	{ "63: content type twice", "content-type:a/b\n+content-type:a/b", WEIR_EINVAL, WEIR_MODE_NONE },
};

static void check_mode(void **state)
{
	const struct mode_row *row = *state;
	enum weir_mode mode = WEIR_MODE_BATCH;
	struct message message = { .count = 0 };
	struct weir_buf rest = weir_str(row->headers);
	struct weir_buf line;

	while (weir_str_split(&rest, '\n', &line))
		if (line.len)
			message_edit(&message, line);
	assert_int_equal(weir_http_mode(message.headers, message.count, &mode, NULL), row->code);
	assert_int_equal(mode, row->mode);
}

/* ---- decoding ----------------------------------------------------------- */

static void row_62_extensions_to_the_limit_and_not_beyond(void **state)
{
	weir_event *event = event_new();
	char names[65][16];
	struct message message;

	(void)state;
	message_init(&message, "");
	for (unsigned i = 0; i < 64; i++) {
		snprintf(names[i], sizeof names[i], "ce-x%u", i);
		message_add(&message, weir_str(names[i]), WEIR_STR("v"));
	}
	assert_int_equal(weir_event_from_http(event, message.headers, message.count, WEIR_STR(""), NULL), WEIR_OK);
	message_add(&message, WEIR_STR("ce-y"), WEIR_STR("v"));
	assert_int_equal(weir_event_from_http(event, message.headers, message.count, WEIR_STR(""), NULL), WEIR_EINVAL);
	weir_event_free(event);
}

static void values_to_the_limit_and_not_beyond(void **state)
{
	weir_event *event = event_new();
	static char value[8193];
	struct message message;

	(void)state;
	memset(value, 'v', sizeof value);
	message_init(&message, "");
	message_add(&message, WEIR_STR("ce-ext"), (struct weir_buf){ value, 8192 });
	assert_int_equal(weir_event_from_http(event, message.headers, message.count, WEIR_STR(""), NULL), WEIR_OK);
	message.headers[4].value.len = 8193;
	assert_int_equal(weir_event_from_http(event, message.headers, message.count, WEIR_STR(""), NULL), WEIR_EINVAL);
	weir_event_free(event);
}

static void row_64_data_that_is_not_the_json_it_claims_is_taken_as_it_is(void **state)
{
	weir_event *event = event_new();
	struct message message;

	(void)state;
	message_init(&message, "content-type:application/json");
	assert_int_equal(weir_event_from_http(event, message.headers, message.count, WEIR_STR("{no json"), NULL), 0);
	assert_text(weir_event_data(event), "{no json");
	weir_event_free(event);
}

static void row_65_an_empty_body_is_no_data(void **state)
{
	weir_event *event = event_new();
	struct message message;

	(void)state;
	message_init(&message, "");
	assert_int_equal(weir_event_from_http(event, message.headers, message.count, WEIR_STR(""), NULL), WEIR_OK);
	assert_null(weir_event_data(event).ptr);
	assert_int_equal(
	    weir_event_from_http(event, message.headers, message.count, (struct weir_buf){ NULL, 0 }, NULL), WEIR_OK);
	assert_null(weir_event_data(event).ptr);
	weir_event_free(event);
}

static void row_90_the_body_of_a_structured_message_wins(void **state)
{
	weir_event *event = event_new();
	struct message message;
	struct weir_buf body = WEIR_STR("{\"specversion\":\"1.0\",\"id\":\"body\",\"source\":\"/b\",\"type\":\"t\"}");

	(void)state;
	message_init(&message, "ce-id:header\nce-subject:header\ncontent-type:application/cloudevents+json");
	assert_int_equal(weir_event_from_http(event, message.headers, message.count, body, NULL), WEIR_OK);
	assert_text(weir_event_get(event, "id"), "body");
	assert_text(weir_event_get(event, "subject"), NULL);
	weir_event_free(event);
}

static void row_92_a_batch_is_not_one_event(void **state)
{
	weir_event *event = event_new();
	struct message message;

	(void)state;
	message_init(&message, "content-type:application/cloudevents-batch+json");
	assert_int_equal(weir_event_from_http(event, message.headers, message.count, WEIR_STR("[]"), NULL),
			 WEIR_EMEDIATYPE);
	weir_event_free(event);
}

static void a_plain_text_body_without_content_type_is_no_json(void **state)
{
	weir_event *event = event_new();
	struct message message;

	(void)state;
	message_init(&message, "");
	assert_int_equal(weir_event_from_http(event, message.headers, message.count, WEIR_STR("hi"), NULL), WEIR_OK);
	assert_false(weir_event_data_is_json(event));
	weir_event_free(event);
}

static void a_failed_decode_leaves_a_cleared_event(void **state)
{
	weir_event *event = event_new();
	struct message message;
	const struct weir_extension *extensions;

	(void)state;
	message_init(&message, "ce-ext:1\nce-time:never");
	assert_int_equal(weir_event_from_http(event, message.headers, message.count, WEIR_STR("x"), NULL), WEIR_EINVAL);
	assert_text(weir_event_get(event, "id"), NULL);
	assert_int_equal(weir_event_extensions(event, &extensions), 0);
	assert_null(weir_event_data(event).ptr);
	weir_event_free(event);
}

static void errors_name_the_attribute_and_never_repeat_the_input(void **state)
{
	weir_event *event = event_new();
	struct weir_error err = WEIR_ERROR_INIT;
	struct message message;

	(void)state;
	message_init(&message, "ce-time:sesame");
	weir_event_from_http(event, message.headers, message.count, WEIR_STR(""), &err);
	assert_non_null(strstr(err.text, "time"));
	assert_null(strstr(err.text, "sesame"));
	weir_event_free(event);
}

static void an_event_of_64_kib_is_accepted(void **state)
{
	weir_event *event = event_new();
	static char body[65536];
	struct message message;

	(void)state;
	memset(body, 0x80, sizeof body);
	message_init(&message, "content-type:application/octet-stream");
	assert_int_equal(
	    weir_event_from_http(event, message.headers, message.count, (struct weir_buf){ body, sizeof body }, NULL),
	    WEIR_OK);
	assert_int_equal(weir_event_data(event).len, sizeof body);
	weir_event_free(event);
}

/* ---- encoding ----------------------------------------------------------- */

static void set(weir_event *event, const char *name, const char *value)
{
	assert_int_equal(weir_event_set_text(event, name, value, NULL), WEIR_OK);
}

static weir_event *sample_event(void)
{
	weir_event *event = event_new();

	set(event, "id", "1");
	set(event, "source", "/s");
	set(event, "type", "t");
	return event;
}

static const struct weir_header *find_header(const struct weir_header *headers, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (weir_str_equal(headers[i].name, weir_str(name)))
			return &headers[i];
	return NULL;
}

static void check_header(weir_event *event, const char *name, const char *value)
{
	const struct weir_header *headers, *found;
	struct weir_buf body;
	size_t count;

	assert_int_equal(weir_event_to_http(event, WEIR_MODE_BINARY, &headers, &count, &body, NULL), WEIR_OK);
	found = find_header(headers, count, name);
	if (!found) {
		assert_null(value);
		return;
	}
	assert_text(found->value, value);
}

static void values_are_percent_encoded_as_the_binding_says(void **state)
{
	static const char *const rows[][2] = {
		{ "Euro \xe2\x82\xac \xf0\x9f\x98\x80", "Euro%20%E2%82%AC%20%F0%9F%98%80" },
		{ "plain!#$&'()*+,-./:;<=>?@[]^_`{|}~", "plain!#$&'()*+,-./:;<=>?@[]^_`{|}~" },
		{ "100%", "100%25" },
		{ "%", "%25" },
		{ "\xc3\xa9", "%C3%A9" },
		{ "\"quoted\" text", "%22quoted%22%20text" },
		{ "\\", "\\" },
		{ "", "" },
	};
	weir_event *event = sample_event();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		set(event, "ext", rows[i][0]);
		check_header(event, "ce-ext", rows[i][1]);
	}
	weir_event_free(event);
}

static void the_content_type_carries_datacontenttype_and_no_ce_header_does(void **state)
{
	weir_event *event = sample_event();

	(void)state;
	set(event, "datacontenttype", "text/plain; a=\"b c\"");
	check_header(event, "content-type", "text/plain; a=\"b c\"");
	check_header(event, "ce-datacontenttype", NULL);
	weir_event_free(event);
}

static void json_data_without_a_type_is_sent_as_application_json(void **state)
{
	weir_event *event = event_new();
	struct weir_buf json =
	    WEIR_STR("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/\",\"type\":\"t\",\"data\":\"text\"}");

	(void)state;
	assert_int_equal(weir_event_from_json(event, json, NULL), WEIR_OK);
	assert_text(weir_event_data(event), "\"text\"");
	check_header(event, "content-type", "application/json");
	weir_event_free(event);
}

static void an_event_within_an_event_goes_structured(void **state)
{
	weir_event *event = sample_event();
	const struct weir_header *headers;
	struct weir_buf body;
	size_t count;

	(void)state;
	set(event, "datacontenttype", "application/cloudevents+json");
	assert_int_equal(weir_event_set_data(event, WEIR_STR("{\"id\":\"inner\"}"), NULL), WEIR_OK);
	assert_int_equal(weir_event_to_http(event, WEIR_MODE_BINARY, &headers, &count, &body, NULL), WEIR_OK);
	assert_int_equal(count, 1);
	assert_text(headers[0].name, "content-type");
	assert_text(headers[0].value, "application/cloudevents+json");
	weir_event_free(event);
}

static void an_incomplete_event_is_not_encoded(void **state)
{
	weir_event *event = event_new();
	const struct weir_header *headers;
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_buf body;
	size_t count;

	(void)state;
	set(event, "id", "1");
	set(event, "type", "t");
	assert_int_equal(weir_event_to_http(event, WEIR_MODE_BINARY, &headers, &count, &body, &err), WEIR_EINVAL);
	assert_non_null(strstr(err.text, "source"));
	assert_text(weir_event_get(event, "id"), "1");
	weir_event_free(event);
}

static void a_batch_is_not_written(void **state)
{
	weir_event *event = sample_event();
	const struct weir_header *headers;
	struct weir_buf body;
	size_t count;

	(void)state;
	assert_int_equal(weir_event_to_http(event, WEIR_MODE_BATCH, &headers, &count, &body, NULL), WEIR_EINVAL);
	weir_event_free(event);
}

static void round_trip(enum weir_mode mode, const char *lines, struct weir_buf data)
{
	weir_event *event = event_new(), *back = event_new();
	const struct weir_header *headers;
	struct weir_buf body;
	struct message message;
	const char *found;
	size_t count;

	message_init(&message, lines);
	assert_int_equal(weir_event_from_http(event, message.headers, message.count, data, NULL), WEIR_OK);
	assert_int_equal(weir_event_to_http(event, mode, &headers, &count, &body, NULL), WEIR_OK);
	assert_int_equal(weir_event_from_http(back, headers, count, body, NULL), WEIR_OK);
	found = event_difference(event, back, true);
	if (found)
		fail_msg("%s changed", found);
	weir_event_free(event);
	weir_event_free(back);
}

static const char rich[] = "ce-subject:Euro%20%E2%82%AC%22%25\nce-time:2018-04-05t17:31:00.1z\n"
			   "ce-dataschema:urn:x\nce-ext:\"a b\"\nce-empty:\nce-backslash:\\";

static void binary_comes_back_as_it_was(void **state)
{
	(void)state;
	round_trip(WEIR_MODE_BINARY, rich, WEIR_STR("any \0 bytes \xff"));
	round_trip(WEIR_MODE_BINARY, rich, WEIR_STR(""));
}

static void structured_comes_back_as_it_was(void **state)
{
	char lines[512];

	(void)state;
	round_trip(WEIR_MODE_STRUCTURED, rich, WEIR_STR("any \0 bytes \xff"));
	round_trip(WEIR_MODE_STRUCTURED, rich, WEIR_STR(""));
	snprintf(lines, sizeof lines, "%s\ncontent-type:text/plain", rich);
	round_trip(WEIR_MODE_STRUCTURED, lines, WEIR_STR("text\n\"\\\xe2\x82\xac\t"));
	round_trip(WEIR_MODE_STRUCTURED, lines, WEIR_STR("control \x01"));
	round_trip(WEIR_MODE_STRUCTURED, lines, WEIR_STR("latin \xe9"));
	snprintf(lines, sizeof lines, "%s\ncontent-type:application/json", rich);
	round_trip(WEIR_MODE_STRUCTURED, lines, WEIR_STR("{\"a\":[1e400]}"));
	round_trip(WEIR_MODE_STRUCTURED, lines, WEIR_STR("not json"));
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(row_62_extensions_to_the_limit_and_not_beyond),
		cmocka_unit_test(values_to_the_limit_and_not_beyond),
		cmocka_unit_test(row_64_data_that_is_not_the_json_it_claims_is_taken_as_it_is),
		cmocka_unit_test(row_65_an_empty_body_is_no_data),
		cmocka_unit_test(row_90_the_body_of_a_structured_message_wins),
		cmocka_unit_test(row_92_a_batch_is_not_one_event),
		cmocka_unit_test(a_plain_text_body_without_content_type_is_no_json),
		cmocka_unit_test(a_failed_decode_leaves_a_cleared_event),
		cmocka_unit_test(errors_name_the_attribute_and_never_repeat_the_input),
		cmocka_unit_test(an_event_of_64_kib_is_accepted),
		cmocka_unit_test(values_are_percent_encoded_as_the_binding_says),
		cmocka_unit_test(the_content_type_carries_datacontenttype_and_no_ce_header_does),
		cmocka_unit_test(json_data_without_a_type_is_sent_as_application_json),
		cmocka_unit_test(an_event_within_an_event_goes_structured),
		cmocka_unit_test(an_incomplete_event_is_not_encoded),
		cmocka_unit_test(a_batch_is_not_written),
		cmocka_unit_test(binary_comes_back_as_it_was),
		cmocka_unit_test(structured_comes_back_as_it_was),
	};
	struct CMUnitTest binary[COUNT_OF(binary_rows)];
	struct CMUnitTest modes[COUNT_OF(mode_rows)];
	int failed;

	for (size_t i = 0; i < COUNT_OF(binary_rows); i++)
		binary[i] = (struct CMUnitTest)ROW_TEST(&binary_rows[i], check_binary);
	for (size_t i = 0; i < COUNT_OF(mode_rows); i++)
		modes[i] = (struct CMUnitTest)ROW_TEST(&mode_rows[i], check_mode);
	failed = cmocka_run_group_tests_name("binary", binary, NULL, NULL);
	failed += cmocka_run_group_tests_name("mode", modes, NULL, NULL);
	failed += cmocka_run_group_tests_name("http", others, NULL, NULL);
	return failed != 0;
}
