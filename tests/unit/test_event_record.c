/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "event_fixture.h"

#define BASE "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\""

static const struct weir_caps underscore = {
	.size = sizeof underscore,
	.bits = WEIR_CAP_BIT(WEIR_CAP_HEADERS) | WEIR_CAP_BIT(WEIR_CAP_NULL_BODY),
	.binding = WEIR_BINDING_UNDERSCORE,
};

static const struct weir_caps dash = {
	.size = sizeof dash,
	.bits = WEIR_CAP_BIT(WEIR_CAP_HEADERS) | WEIR_CAP_BIT(WEIR_CAP_NULL_BODY),
	.binding = WEIR_BINDING_DASH,
};

static const struct weir_caps envelope = { .size = sizeof envelope };

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
	set(event, "subject", "Euro \xe2\x82\xac\xf0\x9f\x98\x80 100% \"x\"");
	set(event, "time", "2018-04-05T17:31:00Z");
	set(event, "ext", " spaces around ");
	return event;
}

static void assert_header(const struct weir_record *record, const char *name, const char *value)
{
	for (uint32_t i = 0; i < record->header_count; i++)
		if (weir_str_equal(record->headers[i].name, weir_str(name))) {
			assert_text(record->headers[i].value, value);
			return;
		}
	assert_null(value);
}

static int encode(weir_event *event, const struct weir_caps *caps, struct weir_record *record)
{
	memset(record, 0xff, sizeof *record);
	return weir_event_to_record(event, caps, record, NULL);
}

/* ---- writing ------------------------------------------------------------ */

static void the_underscore_binding_writes_utf8_as_it_is(void **state)
{
	weir_event *event = sample_event();
	struct weir_record record;

	(void)state;
	set(event, "datacontenttype", "text/plain");
	weir_event_set_data(event, WEIR_STR("hi"), NULL);
	assert_int_equal(encode(event, &underscore, &record), WEIR_OK);
	assert_header(&record, "ce_specversion", "1.0");
	assert_header(&record, "ce_subject", "Euro \xe2\x82\xac\xf0\x9f\x98\x80 100% \"x\"");
	assert_header(&record, "ce_ext", " spaces around ");
	assert_header(&record, "content-type", "text/plain");
	assert_header(&record, "ce_datacontenttype", NULL);
	assert_text(record.body, "hi");
	assert_null(record.key.ptr);
	assert_int_equal(record.flags, 0);
	weir_event_free(event);
}

static void the_dash_binding_writes_percent_encoded_and_the_type_as_attribute(void **state)
{
	weir_event *event = sample_event();
	struct weir_record record;

	(void)state;
	set(event, "datacontenttype", "text/plain; a=\"b c\"");
	assert_int_equal(encode(event, &dash, &record), WEIR_OK);
	assert_header(&record, "ce-subject", "Euro%20%E2%82%AC%F0%9F%98%80%20100%25%20%22x%22");
	assert_header(&record, "ce-datacontenttype", "text/plain;%20a=%22b%20c%22");
	assert_header(&record, "content-type", NULL);
	weir_event_free(event);
}

static void no_data_is_no_body_and_empty_data_an_empty_one(void **state)
{
	weir_event *event = sample_event();
	struct weir_record record;

	(void)state;
	assert_int_equal(encode(event, &underscore, &record), WEIR_OK);
	assert_null(record.body.ptr);
	weir_event_set_data(event, WEIR_STR(""), NULL);
	assert_int_equal(encode(event, &underscore, &record), WEIR_OK);
	assert_non_null(record.body.ptr);
	assert_int_equal(record.body.len, 0);
	weir_event_free(event);
}

static void the_envelope_begins_with_its_mark_and_version(void **state)
{
	weir_event *event = event_new();
	struct weir_record record;

	(void)state;
	set(event, "id", "1");
	set(event, "source", "/s");
	set(event, "type", "t");
	assert_int_equal(encode(event, &envelope, &record), WEIR_OK);
	assert_int_equal(record.header_count, 0);
	assert_true(weir_str_equal(record.body, WEIR_STR("WE\x01\0{" BASE "}")));
	weir_event_free(event);
}

static void the_key_is_the_partitionkey_unless_that_is_empty(void **state)
{
	static const struct weir_caps *const all[] = { &underscore, &dash, &envelope };
	weir_event *event = sample_event();
	struct weir_record record;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		set(event, "partitionkey", "k 1");
		assert_int_equal(encode(event, all[i], &record), WEIR_OK);
		assert_text(record.key, "k 1");
		set(event, "partitionkey", "");
		assert_int_equal(encode(event, all[i], &record), WEIR_OK);
		assert_null(record.key.ptr);
	}
	weir_event_free(event);
}

static void what_does_not_fit_in_headers_goes_structured(void **state)
{
	struct weir_caps few = underscore, small = dash, one_body = underscore;
	weir_event *event = sample_event();
	struct weir_record record;

	(void)state;
	few.max_headers = 7;
	assert_int_equal(encode(event, &few, &record), WEIR_OK);
	assert_int_equal(record.header_count, 7);
	few.max_headers = 6;
	assert_int_equal(encode(event, &few, &record), WEIR_OK);
	assert_int_equal(record.header_count, 1);
	assert_header(&record, "content-type", "application/cloudevents+json");

	set(event, "ext", "0123456789012345678901234567890123456789012345678901234567890");
	small.max_header_bytes = 67;
	assert_int_equal(encode(event, &small, &record), WEIR_OK);
	assert_int_equal(record.header_count, 7);
	small.max_header_bytes = 66;
	assert_int_equal(encode(event, &small, &record), WEIR_OK);
	assert_int_equal(record.header_count, 1);

	one_body.bits = WEIR_CAP_BIT(WEIR_CAP_HEADERS);
	weir_event_set_data(event, WEIR_STR(""), NULL);
	assert_int_equal(encode(event, &one_body, &record), WEIR_OK);
	assert_int_equal(record.header_count, 1);
	weir_event_free(event);
}

static void an_event_within_an_event_goes_structured_where_the_type_would_mislead(void **state)
{
	weir_event *event = sample_event();
	struct weir_record record;

	(void)state;
	set(event, "datacontenttype", "Application/CloudEvents+json");
	assert_int_equal(encode(event, &underscore, &record), WEIR_OK);
	assert_int_equal(record.header_count, 1);
	assert_int_equal(encode(event, &dash, &record), WEIR_OK);
	assert_true(record.header_count > 1);
	weir_event_free(event);
}

static void a_record_beyond_the_backends_limits_is_refused(void **state)
{
	struct weir_caps caps = envelope;
	weir_event *event = sample_event();
	struct weir_record record;

	(void)state;
	set(event, "partitionkey", "12345");
	assert_int_equal(encode(event, &caps, &record), WEIR_OK);
	caps.max_record_bytes = record.body.len + record.key.len;
	assert_int_equal(encode(event, &caps, &record), WEIR_OK);
	caps.max_record_bytes--;
	assert_int_equal(encode(event, &caps, &record), WEIR_ETOOBIG);
	caps.max_record_bytes = 0;
	caps.max_key_bytes = 5;
	assert_int_equal(encode(event, &caps, &record), WEIR_OK);
	caps.max_key_bytes = 4;
	assert_int_equal(encode(event, &caps, &record), WEIR_ETOOBIG);
	weir_event_free(event);
}

static void an_incomplete_event_makes_no_record(void **state)
{
	weir_event *event = event_new();
	struct weir_record record;

	(void)state;
	assert_int_equal(encode(event, &underscore, &record), WEIR_EINVAL);
	weir_event_free(event);
}

/* ---- round trips -------------------------------------------------------- */

static void check_round_trip(weir_event *event, const struct weir_caps *caps, bool types)
{
	weir_event *back = event_new();
	struct weir_record record;
	const char *found;

	assert_int_equal(encode(event, caps, &record), WEIR_OK);
	assert_int_equal(weir_event_from_record(back, caps, &record, NULL), WEIR_OK);
	found = event_difference(event, back, types);
	if (found)
		fail_msg("%s changed", found);
	weir_event_free(back);
}

static void check_round_trips(weir_event *event)
{
	struct weir_caps one_body = underscore, few = dash;

	one_body.bits = WEIR_CAP_BIT(WEIR_CAP_HEADERS);
	few.max_headers = 2;
	check_round_trip(event, &underscore, false);
	check_round_trip(event, &dash, false);
	check_round_trip(event, &one_body, false);
	check_round_trip(event, &few, true);
	check_round_trip(event, &envelope, true);
}

static void events_come_back_from_every_kind_of_record(void **state)
{
	static const char *const types[] = { NULL, "text/plain", "application/json", "application/cloudevents+json" };
	static const struct weir_buf data[] = {
		{ NULL, 0 }, { "", 0 }, { "{\"a\": 1.0}", 10 }, { "text \xc3\xa9", 7 }, { "\0\xff", 2 },
	};

	(void)state;
	for (size_t t = 0; t < COUNT_OF(types); t++)
		for (size_t d = 0; d < COUNT_OF(data); d++) {
			weir_event *event = sample_event();

			set(event, "datacontenttype", types[t]);
			weir_event_set_data(event, data[d], NULL);
			check_round_trips(event);
			weir_event_free(event);
		}
}

static void json_data_comes_back_byte_for_byte_from_the_envelope(void **state)
{
	static const char *const data[] = {
		"{\"a\":1}\n", " \t[1 , 2]\r\n ", "\n\n\"text\" ", "1e400\n", "  null",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(data); i++) {
		weir_event *event = sample_event();

		set(event, "datacontenttype", "application/json");
		weir_event_set_data(event, weir_str(data[i]), NULL);
		check_round_trip(event, &envelope, true);
		weir_event_free(event);
	}
}

static void kinds_of_extension_values_survive_the_envelope(void **state)
{
	weir_event *event = event_new();

	(void)state;
	assert_int_equal(weir_event_from_json(event, WEIR_STR("{" BASE ",\"a\":1,\"b\":true,\"data\":[1]}"), NULL),
			 WEIR_OK);
	check_round_trip(event, &envelope, true);
	weir_event_free(event);
}

/* ---- reading what others wrote ------------------------------------------ */

struct row {
	const char *name;
	const struct weir_caps *caps;
	const char *headers; /* lines "name:value" */
	struct weir_buf body;
	int code;
	const char *attribute;
	const char *value;
};

#define KAFKA "ce_specversion:1.0\nce_id:1\nce_source:/s\nce_type:t\n"
#define NATS  "ce-specversion:1.0\nce-id:1\nce-source:/s\nce-type:t\n"
#define BODY(text)                                                                                                     \
	{                                                                                                              \
		text, sizeof(text) - 1                                                                                 \
	}

static struct row rows[] = {
	{ "binary", &underscore, KAFKA "content-type:text/plain", BODY("hi"), WEIR_OK, "datacontenttype",
	  "text/plain" },
	{ "D6.8: headers in any case", &underscore, "Ce_SpecVersion:1.0\nCE_ID:9\nce_Source:/s\nce_type:t\nCe_Ext:v",
	  BODY("hi"), WEIR_OK, "ext", "v" },
	{ "D6.9: ce_datacontenttype", &underscore, KAFKA "ce_datacontenttype:text/plain", BODY("hi"), WEIR_OK,
	  "datacontenttype", "text/plain" },
	{ "D6.9: both types: content-type counts", &underscore, KAFKA "ce_datacontenttype:a/b\ncontent-type:text/plain",
	  BODY("hi"), WEIR_OK, "datacontenttype", "text/plain" },
	{ "dash: both types: ce-datacontenttype counts", &dash, NATS "content-type:a/b\nce-datacontenttype:text/plain",
	  BODY("hi"), WEIR_OK, "datacontenttype", "text/plain" },
	{ "dash: only content-type", &dash, NATS "Content-Type:text/plain", BODY("hi"), WEIR_OK, "datacontenttype",
	  "text/plain" },
	{ "percent is a percent with underscore", &underscore, KAFKA "ce_subject:100%25", BODY("hi"), WEIR_OK,
	  "subject", "100%25" },
	{ "percent is an escape with dash", &dash, NATS "ce-subject:100%25", BODY("hi"), WEIR_OK, "subject", "100%" },
	{ "UTF-8 in headers", &underscore, KAFKA "ce_subject:\xe2\x82\xac", BODY("hi"), WEIR_OK, "subject",
	  "\xe2\x82\xac" },
	{ "invalid UTF-8 in headers", &underscore, KAFKA "ce_subject:\xff", BODY("hi"), WEIR_EINVAL, 0, 0 },
	{ "quotes are quotes with underscore", &underscore, KAFKA "ce_subject:\"a\"", BODY("hi"), WEIR_OK, "subject",
	  "\"a\"" },
	{ "structured", &underscore, "content-type:application/cloudevents+json; charset=UTF-8", BODY("{" BASE "}"),
	  WEIR_OK, "id", "1" },
	{ "structured, upper case", &dash, "Content-Type:Application/CloudEvents+JSON", BODY("{" BASE "}"), WEIR_OK,
	  "id", "1" },
	{ "structured, broken", &dash, "content-type:application/cloudevents+json", BODY("{" BASE), WEIR_EINVAL, 0, 0 },
	{ "structured without body",
	  &dash,
	  "content-type:application/cloudevents+json",
	  { NULL, 0 },
	  WEIR_EINVAL,
	  0,
	  0 },
	{ "unknown event format is poison", &underscore, KAFKA "content-type:application/cloudevents+avro", BODY("x"),
	  WEIR_EINVAL, 0, 0 },
	{ "batch is poison", &underscore, "content-type:application/cloudevents-batch+json", BODY("[{" BASE "}]"),
	  WEIR_EINVAL, 0, 0 },
	{ "content type twice", &underscore, KAFKA "content-type:a/b\ncontent-type:a/b", BODY("x"), WEIR_EINVAL, 0, 0 },
	{ "content type malformed", &underscore, KAFKA "content-type:ab", BODY("x"), WEIR_EINVAL, 0, 0 },
	{ "no event", &underscore, "traceparent:x", BODY("hi"), WEIR_EINVAL, 0, 0 },
	{ "no headers", &underscore, "", BODY("{" BASE "}"), WEIR_EINVAL, 0, 0 },
	{ "headers of the other binding", &underscore, NATS, BODY("hi"), WEIR_EINVAL, 0, 0 },
	{ "attribute twice", &underscore, KAFKA "ce_id:1", BODY("hi"), WEIR_EINVAL, 0, 0 },
	{ "id missing", &underscore, "ce_specversion:1.0\nce_source:/s\nce_type:t", BODY("hi"), WEIR_EINVAL, 0, 0 },
	{ "ce_data is reserved", &underscore, KAFKA "ce_data:1", BODY("hi"), WEIR_EINVAL, 0, 0 },
	{ "D6.10: no body is no data", &underscore, KAFKA, { NULL, 0 }, WEIR_OK, "data", NULL },
	{ "D6.10: empty body is empty data", &underscore, KAFKA, BODY(""), WEIR_OK, "data", "" },
	{ "envelope", &envelope, "", BODY("WE\x01\0{" BASE "}"), WEIR_OK, "id", "1" },
	{ "envelope: plain JSON", &envelope, "", BODY(" {" BASE "}"), WEIR_OK, "id", "1" },
	{ "envelope: later version", &envelope, "", BODY("WE\x02\0{" BASE "}"), WEIR_EINVAL, 0, 0 },
	{ "envelope: unknown flags", &envelope, "", BODY("WE\x01\x01{" BASE "}"), WEIR_EINVAL, 0, 0 },
	{ "envelope: cut in its mark", &envelope, "", BODY("WE\x01"), WEIR_EINVAL, 0, 0 },
	{ "envelope: cut behind its mark", &envelope, "", BODY("WE\x01\0"), WEIR_EINVAL, 0, 0 },
	{ "envelope: empty", &envelope, "", BODY(""), WEIR_EINVAL, 0, 0 },
	{ "envelope: no body", &envelope, "", { NULL, 0 }, WEIR_EINVAL, 0, 0 },
	{ "envelope: something else", &envelope, "", BODY("hello"), WEIR_EINVAL, 0, 0 },
};

static void check_row(void **state)
{
	const struct row *row = *state;
	weir_event *event = event_new();
	struct message message = { .count = 0 };
	struct weir_buf rest = weir_str(row->headers);
	struct weir_buf line, name;
	struct weir_record record = { .body = row->body };
	struct weir_error err = WEIR_ERROR_INIT;

	while (weir_str_split(&rest, '\n', &line))
		if (line.len && weir_str_split(&line, ':', &name))
			message_add(&message, name, line);
	record.headers = message.headers;
	record.header_count = (uint32_t)message.count;
	assert_int_equal(weir_event_from_record(event, row->caps, &record, &err), row->code);
	if (row->code)
		assert_int_equal(err.code, row->code);
	else if (strcmp(row->attribute, "data") == 0)
		assert_text(weir_event_data(event), row->value);
	else
		assert_text(weir_event_get(event, row->attribute), row->value);
	weir_event_free(event);
}

static void without_a_null_body_an_empty_one_is_no_data(void **state)
{
	struct weir_caps caps = underscore;
	weir_event *event = sample_event(), *back = event_new();
	struct weir_record record;

	(void)state;
	caps.bits = WEIR_CAP_BIT(WEIR_CAP_HEADERS);
	assert_int_equal(encode(event, &caps, &record), WEIR_OK);
	record.body = WEIR_STR("");
	assert_int_equal(weir_event_from_record(back, &caps, &record, NULL), WEIR_OK);
	assert_null(weir_event_data(back).ptr);
	weir_event_free(event);
	weir_event_free(back);
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(the_underscore_binding_writes_utf8_as_it_is),
		cmocka_unit_test(the_dash_binding_writes_percent_encoded_and_the_type_as_attribute),
		cmocka_unit_test(no_data_is_no_body_and_empty_data_an_empty_one),
		cmocka_unit_test(the_envelope_begins_with_its_mark_and_version),
		cmocka_unit_test(the_key_is_the_partitionkey_unless_that_is_empty),
		cmocka_unit_test(what_does_not_fit_in_headers_goes_structured),
		cmocka_unit_test(an_event_within_an_event_goes_structured_where_the_type_would_mislead),
		cmocka_unit_test(a_record_beyond_the_backends_limits_is_refused),
		cmocka_unit_test(an_incomplete_event_makes_no_record),
		cmocka_unit_test(events_come_back_from_every_kind_of_record),
		cmocka_unit_test(json_data_comes_back_byte_for_byte_from_the_envelope),
		cmocka_unit_test(kinds_of_extension_values_survive_the_envelope),
		cmocka_unit_test(without_a_null_body_an_empty_one_is_no_data),
	};
	struct CMUnitTest table[COUNT_OF(rows)];
	int failed;

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		table[i] = (struct CMUnitTest)ROW_TEST(&rows[i], check_row);
	failed = cmocka_run_group_tests_name("records of others", table, NULL, NULL);
	failed += cmocka_run_group_tests_name("record", others, NULL, NULL);
	return failed != 0;
}
