/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "event_fixture.h"

static const struct weir_caps underscore = { .size = sizeof underscore,
					     .bits = WEIR_CAP_BIT(WEIR_CAP_HEADERS),
					     .binding = WEIR_BINDING_UNDERSCORE };
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
	return event;
}

static void a_new_event_has_nothing_but_its_specversion(void **state)
{
	weir_event *event = event_new();
	const struct weir_extension *extensions;

	(void)state;
	assert_text(weir_event_attribute(event, WEIR_ATTR_SPECVERSION), "1.0");
	for (enum weir_attribute i = WEIR_ATTR_ID; i < WEIR_ATTR_COUNT; i++)
		assert_text(weir_event_attribute(event, i), NULL);
	assert_int_equal(weir_event_extensions(event, &extensions), 0);
	assert_null(weir_event_data(event).ptr);
	assert_int_equal(weir_event_validate(event, NULL), WEIR_EINVAL);
	weir_event_free(event);
}

static void values_are_found_by_name_and_by_number(void **state)
{
	static const char *const names[] = { "specversion", "id",   "source",          "type",
					     "subject",     "time", "datacontenttype", "dataschema" };
	static const char *const values[] = { "1.0", "a", "/b", "c", "d", "2018-04-05T17:31:00Z", "a/b", "urn:x" };
	weir_event *event = event_new();

	(void)state;
	for (enum weir_attribute i = WEIR_ATTR_SPECVERSION; i < WEIR_ATTR_COUNT; i++) {
		set(event, names[i], values[i]);
		assert_text(weir_event_attribute(event, i), values[i]);
		assert_text(weir_event_get(event, names[i]), values[i]);
	}
	assert_text(weir_event_attribute(event, WEIR_ATTR_COUNT), NULL);
	weir_event_free(event);
}

static void names_that_look_alike_are_told_apart(void **state)
{
	static const char *const names[] = { "ix",          "tyme", "timx", "souzce", "subjecx",        "dataschemx",
					     "specversiox", "i",    "typ",  "dat",    "datacontenttypx" };
	weir_event *event = sample_event();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		assert_text(weir_event_get(event, names[i]), NULL);
		set(event, names[i], names[i]);
	}
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_text(weir_event_get(event, names[i]), names[i]);
	assert_text(weir_event_get(event, "id"), "1");
	weir_event_free(event);
}

static void setting_copies(void **state)
{
	weir_event *event = event_new();
	char name[] = "ext", value[] = "value", data[] = "data";

	(void)state;
	set(event, name, value);
	assert_int_equal(weir_event_set_data(event, weir_str(data), NULL), WEIR_OK);
	memset(name, 'x', 3);
	memset(value, 'x', 5);
	memset(data, 'x', 4);
	assert_text(weir_event_get(event, "ext"), "value");
	assert_text(weir_event_data(event), "data");
	weir_event_free(event);
}

static void setting_again_replaces(void **state)
{
	weir_event *event = sample_event();
	const struct weir_extension *extensions;

	(void)state;
	set(event, "id", "2");
	set(event, "ext", "a");
	set(event, "ext", "b");
	assert_text(weir_event_get(event, "id"), "2");
	assert_int_equal(weir_event_extensions(event, &extensions), 1);
	assert_text(extensions[0].value, "b");
	weir_event_free(event);
}

static void setting_null_removes(void **state)
{
	weir_event *event = sample_event();
	const struct weir_extension *extensions;

	(void)state;
	set(event, "a", "1");
	set(event, "b", "2");
	set(event, "c", "3");
	set(event, "b", NULL);
	set(event, "absent", NULL);
	set(event, "subject", NULL);
	set(event, "type", NULL);
	assert_int_equal(weir_event_extensions(event, &extensions), 2);
	assert_text(extensions[1].name, "c");
	assert_int_equal(weir_event_validate(event, NULL), WEIR_EINVAL);
	assert_int_equal(weir_event_set_data(event, WEIR_STR("x"), NULL), WEIR_OK);
	assert_int_equal(weir_event_set_data(event, (struct weir_buf){ NULL, 0 }, NULL), WEIR_OK);
	assert_null(weir_event_data(event).ptr);
	weir_event_free(event);
}

static void what_is_not_valid_cannot_be_set_and_changes_nothing(void **state)
{
	static const char *const rows[][2] = {
		{ "specversion", "0.3" },
		{ "id", "" },
		{ "source", "a b" },
		{ "type", " " },
		{ "subject", "" },
		{ "time", "now" },
		{ "datacontenttype", "x" },
		{ "dataschema", "/x" },
		{ "ext", "\n" },
		{ "ext", "\xff" },
		{ "Ext", "v" },
		{ "", "v" },
		{ "data", "v" },
		{ "data_base64", "v" },
		{ "a-b", "v" },
		{ "a\xc3\xa9", "v" },
	};
	weir_event *event = sample_event();
	struct weir_error err = WEIR_ERROR_INIT;
	const struct weir_extension *extensions;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (weir_event_set_text(event, rows[i][0], rows[i][1], &err) != WEIR_EINVAL)
			fail_msg("%s: <%s>", rows[i][0], rows[i][1]);
	assert_int_equal(weir_event_extensions(event, &extensions), 0);
	assert_text(weir_event_get(event, "id"), "1");
	assert_int_equal(weir_event_validate(event, NULL), WEIR_OK);
	weir_event_free(event);
}

static void limits_hold_for_setting_too(void **state)
{
	struct weir_event_limits limits = { .max_extensions = 2, .max_name_bytes = 3, .max_value_bytes = 4 };
	weir_event *event = event_new();

	(void)state;
	weir_event_set_limits(event, &limits);
	assert_int_equal(weir_event_set_text(event, "abcd", "v", NULL), WEIR_EINVAL);
	assert_int_equal(weir_event_set_text(event, "abc", "12345", NULL), WEIR_EINVAL);
	set(event, "abc", "1234");
	set(event, "b", "v");
	assert_int_equal(weir_event_set_text(event, "c", "v", NULL), WEIR_EINVAL);
	set(event, "b", "w");
	weir_event_clear(event);
	assert_int_equal(weir_event_set_text(event, "abcd", "v", NULL), WEIR_EINVAL);
	weir_event_free(event);
}

static void clearing_forgets_everything(void **state)
{
	weir_event *event = sample_event();
	const struct weir_extension *extensions;

	(void)state;
	set(event, "ext", "v");
	weir_event_set_data(event, WEIR_STR("x"), NULL);
	weir_event_clear(event);
	assert_text(weir_event_get(event, "id"), NULL);
	assert_text(weir_event_get(event, "ext"), NULL);
	assert_int_equal(weir_event_extensions(event, &extensions), 0);
	assert_null(weir_event_data(event).ptr);
	weir_event_free(event);
}

static void an_owned_event_outlives_what_it_was_decoded_from(void **state)
{
	char text[] =
	    "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\",\"ext\":\"v\",\"data\":[1]}";
	weir_event *event = event_new();

	(void)state;
	assert_int_equal(weir_event_from_json(event, weir_str(text), NULL), WEIR_OK);
	assert_int_equal(weir_event_own(event), WEIR_OK);
	memset(text, 'x', sizeof text);
	assert_text(weir_event_get(event, "id"), "1");
	assert_text(weir_event_get(event, "specversion"), "1.0");
	assert_text(weir_event_get(event, "ext"), "v");
	assert_text(weir_event_data(event), "[1]");
	assert_true(weir_event_data_is_json(event));
	weir_event_free(event);
}

static void json_is_told_by_the_type_or_by_where_it_came_from(void **state)
{
	weir_event *event = sample_event();

	(void)state;
	weir_event_set_data(event, WEIR_STR("{}"), NULL);
	assert_false(weir_event_data_is_json(event));
	set(event, "datacontenttype", "application/json");
	assert_true(weir_event_data_is_json(event));
	set(event, "datacontenttype", "text/plain");
	assert_false(weir_event_data_is_json(event));
	assert_int_equal(
	    weir_event_from_json(
		event, WEIR_STR("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/\",\"type\":\"t\",\"data\":1}"),
		NULL),
	    WEIR_OK);
	assert_true(weir_event_data_is_json(event));
	assert_int_equal(
	    weir_event_from_json(
		event,
		WEIR_STR(
		    "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/\",\"type\":\"t\",\"data_base64\":\"MQ==\"}"),
		NULL),
	    WEIR_OK);
	assert_false(weir_event_data_is_json(event));
	weir_event_free(event);
}

static void freeing_nothing_is_allowed(void **state)
{
	(void)state;
	weir_event_free(NULL);
	weir_event_batch_free(NULL, 0);
}

/* ---- memory ------------------------------------------------------------- */

static const char header_lines[] = "Ce-MyExt:\"a b\"\nce-subject:%41%42\nce-time:2018-04-05T17:31:00Z\n"
				   "ce-partitionkey:k\ncontent-type:application/json";
static const char json_text[] =
    "{\"specversion\":\"1.0\",\"id\":\"\\u0031\",\"source\":\"/s\",\"type\":\"t\",\"a\":1,\"b\":null,"
    "\"datacontenttype\":\"text/plain\",\"data\":\"a\\nb\"}";

/* All that is done to an event on its way; the first failure ends it. */
static int whole_way(weir_event *event, weir_event *other)
{
	const struct weir_header *headers;
	struct weir_record record;
	struct weir_buf body;
	struct message message;
	size_t count;
	int code;

	message_init(&message, header_lines);
	if ((code = weir_event_from_http(event, message.headers, message.count, WEIR_STR("{\"a\":1}"), NULL)) ||
	    (code = weir_event_to_record(event, &underscore, &record, NULL)) ||
	    (code = weir_event_from_record(other, &underscore, &record, NULL)) ||
	    (code = weir_event_to_http(other, WEIR_MODE_BINARY, &headers, &count, &body, NULL)) ||
	    (code = weir_event_to_http(other, WEIR_MODE_STRUCTURED, &headers, &count, &body, NULL)) ||
	    (code = weir_event_from_json(event, weir_str(json_text), NULL)) || (code = weir_event_own(event)) ||
	    (code = weir_event_set_text(event, "more", "v", NULL)) ||
	    (code = weir_event_set_data(event, WEIR_STR("data"), NULL)) ||
	    (code = weir_event_to_record(event, &envelope, &record, NULL)) ||
	    (code = weir_event_from_record(other, &envelope, &record, NULL)))
		return code;
	return WEIR_OK;
}

static int new_and_whole_way(void)
{
	weir_event *event = NULL, *other = NULL;
	int code = weir_event_new(&event);

	if (!code)
		code = weir_event_new(&other);
	if (!code)
		code = whole_way(event, other);
	weir_event_free(event);
	weir_event_free(other);
	return code;
}

static void the_second_event_needs_no_memory(void **state)
{
	weir_event *event = event_new(), *other = event_new();
	uint64_t before;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(whole_way(event, other), WEIR_OK);
	before = weir_mem_count();
	for (int i = 0; i < 10; i++)
		assert_int_equal(whole_way(event, other), WEIR_OK);
	assert_int_equal(weir_mem_count() - before, 0);
	weir_event_free(event);
	weir_event_free(other);
}

static void every_allocation_may_fail(void **state)
{
	uint64_t before = weir_mem_count();
	uint64_t needed;

	(void)state;
	assert_int_equal(new_and_whole_way(), WEIR_OK);
	needed = weir_mem_count() - before;
	assert_true(needed > 4);
	for (uint64_t k = 1; k <= needed; k++) {
		for (int sticky = 0; sticky < 2; sticky++) {
			int code;

			weir_mem_fail(k, sticky);
			code = new_and_whole_way();
			weir_mem_fail(0, 0);
			assert_true(code == WEIR_OK || code == WEIR_ENOMEM);
		}
	}
}

static int decode_batch(void)
{
	char text[1024];
	weir_event **events = NULL;
	size_t count = 0;
	int code;

	snprintf(text, sizeof text, "[%s,%s,%s]", json_text, json_text, json_text);
	code = weir_event_batch_from_json(weir_str(text), NULL, &events, &count, NULL);
	assert_int_equal(count, code ? 0 : 3);
	weir_event_batch_free(events, count);
	return code;
}

static void every_allocation_of_a_batch_may_fail(void **state)
{
	uint64_t before = weir_mem_count();
	uint64_t needed;

	(void)state;
	assert_int_equal(decode_batch(), WEIR_OK);
	needed = weir_mem_count() - before;
	for (uint64_t k = 1; k <= needed; k++) {
		weir_mem_fail(k, 1);
		assert_int_equal(decode_batch(), WEIR_ENOMEM);
		weir_mem_fail(0, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_event_has_nothing_but_its_specversion),
		cmocka_unit_test(values_are_found_by_name_and_by_number),
		cmocka_unit_test(names_that_look_alike_are_told_apart),
		cmocka_unit_test(setting_copies),
		cmocka_unit_test(setting_again_replaces),
		cmocka_unit_test(setting_null_removes),
		cmocka_unit_test(what_is_not_valid_cannot_be_set_and_changes_nothing),
		cmocka_unit_test(limits_hold_for_setting_too),
		cmocka_unit_test(clearing_forgets_everything),
		cmocka_unit_test(an_owned_event_outlives_what_it_was_decoded_from),
		cmocka_unit_test(json_is_told_by_the_type_or_by_where_it_came_from),
		cmocka_unit_test(freeing_nothing_is_allowed),
		cmocka_unit_test(the_second_event_needs_no_memory),
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(every_allocation_of_a_batch_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
