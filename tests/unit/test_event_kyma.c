/* SPDX-License-Identifier: Apache-2.0 */
/* Kyma's older events as CloudEvents: what each member becomes, and what is refused in which words. */
#include "unit/weir_cmocka.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "event/kyma.h"

#define UUID "31109198-4d69-4ae0-972d-76117f3748c8"
#define REST "\"event-type-version\":\"v1\",\"event-time\":\"2020-09-28T14:47:16.491Z\",\"data\":{\"a\":1}"

static struct {
	weir_event *event;
	struct weir_kyma_fault fault;
	struct weir_error err;
} at;

static int begin(void **state)
{
	(void)state;
	memset(&at, 0, sizeof at);
	at.err = (struct weir_error)WEIR_ERROR_INIT;
	return weir_event_new(&at.event);
}

static int end(void **state)
{
	(void)state;
	weir_event_free(at.event);
	return 0;
}

static int decode(const char *json)
{
	return weir_event_from_kyma(at.event, weir_str(json), WEIR_STR("commerce"), WEIR_STR("made-up"), &at.fault,
				    &at.err);
}

static void assert_attribute(const char *name, const char *value)
{
	struct weir_buf found = weir_event_get(at.event, name);

	assert_non_null(found.ptr);
	assert_true(weir_str_equal(found, weir_str(value)));
}

static void assert_fault(const char *json, const char *field, bool missing)
{
	assert_int_equal(decode(json), WEIR_EINVAL);
	if (field)
		assert_string_equal(at.fault.field, field);
	else
		assert_null(at.fault.field);
	assert_int_equal(at.fault.missing, missing);
	assert_true(at.err.text[0] != '\0');
}

static void every_member_becomes_an_attribute(void **state)
{
	(void)state;
	assert_int_equal(decode("{\"event-type\":\"order.created\",\"event-id\":\"" UUID "\"," REST "}"), WEIR_OK);
	assert_attribute("specversion", "1.0");
	assert_attribute("type", "order.created");
	assert_attribute("eventtypeversion", "v1");
	assert_attribute("id", UUID);
	assert_attribute("time", "2020-09-28T14:47:16.491Z");
	assert_attribute("source", "commerce");
	assert_attribute("datacontenttype", "application/json");
}

static void data_is_what_was_written(void **state)
{
	(void)state;
	assert_int_equal(
	    decode("{\"event-type\":\"t\",\"event-type-version\":\"v1\",\"event-time\":\"2020-09-28T14:47:16Z\","
		   "\"data\": { \"n\" : 1.0e400,\"n\":12345678901234567890123 } }"),
	    WEIR_OK);
	assert_true(
	    weir_str_equal(weir_event_data(at.event), WEIR_STR("{ \"n\" : 1.0e400,\"n\":12345678901234567890123 }")));
}

static void an_event_without_id_gets_the_one_that_was_made_up(void **state)
{
	(void)state;
	assert_int_equal(decode("{\"event-type\":\"t\"," REST "}"), WEIR_OK);
	assert_attribute("id", "made-up");
	assert_int_equal(decode("{\"event-type\":\"t\",\"event-id\":\"\"," REST "}"), WEIR_OK);
	assert_attribute("id", "made-up");
	assert_int_equal(decode("{\"event-type\":\"t\",\"event-id\":null," REST "}"), WEIR_OK);
	assert_attribute("id", "made-up");
}

static void members_of_other_names_are_not_looked_at(void **state)
{
	(void)state;
	assert_int_equal(decode("{\"x\":{\"event-type\":[1]},\"event-type\":\"t\"," REST ",\"y\":null}"), WEIR_OK);
	assert_int_equal(weir_event_extensions(at.event, &(const struct weir_extension *){ NULL }), 1);
}

static void names_may_be_written_with_escapes(void **state)
{
	(void)state;
	assert_int_equal(decode("{\"\\u0065vent-type\":\"t\\u00e4\"," REST "}"), WEIR_OK);
	assert_attribute("type", "t\xc3\xa4");
}

static void what_is_missing_is_named(void **state)
{
	(void)state;
	assert_fault("{" REST "}", "event-type", true);
	assert_fault("{\"event-type\":\"\"," REST "}", "event-type", true);
	assert_fault("{\"event-type\":null," REST "}", "event-type", true);
	assert_fault("{\"event-type\":\"t\"}", "event-type-version", true);
	assert_fault("{\"event-type\":\"t\",\"event-type-version\":\"v1\"}", "event-time", true);
	assert_fault("{\"event-type\":\"t\",\"event-type-version\":\"v1\",\"event-time\":\"2020-09-28T14:47:16Z\"}",
		     "data", true);
	assert_fault(
	    "{\"event-type\":\"t\",\"event-type-version\":\"v1\",\"event-time\":\"2020-09-28T14:47:16Z\",\"data\":"
	    "null}",
	    "data", true);
	assert_fault(
	    "{\"event-type\":\"t\",\"event-type-version\":\"v1\",\"event-time\":\"2020-09-28T14:47:16Z\",\"data\":"
	    "\"\"}",
	    "data", true);
}

static void what_is_wrong_is_named(void **state)
{
	(void)state;
	assert_fault("{\"event-type\":5," REST "}", "event-type", false);
	assert_fault("{\"event-type\":\"a\\u0000\"," REST "}", "event-type", false);
	assert_fault("{\"event-type\":\"a\",\"event-type\":\"b\"," REST "}", "event-type", false);
	assert_fault("{\"event-type\":\"t\",\"event-id\":\"4711\"," REST "}", "event-id", false);
	assert_fault("{\"event-type\":\"t\",\"event-id\":\"31109198-4d69-4ae0-972d+76117f3748c8\"," REST "}",
		     "event-id", false);
	assert_fault(
	    "{\"event-type\":\"t\",\"event-type-version\":\"..\",\"event-time\":\"2020-09-28T14:47:16Z\",\"data\":1}",
	    "event-type-version", false);
	assert_fault(
	    "{\"event-type\":\"t\",\"event-type-version\":\"v\\u0001\",\"event-time\":\"2020-09-28T14:47:16Z\","
	    "\"data\":1}",
	    "event-type-version", false);
	assert_fault("{\"event-type\":\"t\",\"event-type-version\":\"v1\",\"event-time\":\"yesterday\",\"data\":1}",
		     "event-time", false);
}

static void what_is_no_json_object_has_no_field(void **state)
{
	(void)state;
	assert_fault("", NULL, false);
	assert_fault("[]", NULL, false);
	assert_fault("null", NULL, false);
	assert_fault("{\"event-type\":\"t\"," REST "} x", NULL, false);
	assert_fault("{\"event-type\":\"t\"," REST, NULL, false);
	assert_fault("{\"event-type\":\"t\"," REST ",\"x\":[}", NULL, false);
	assert_fault("{\"event-type\":\"\xff\"," REST "}", NULL, false);
}

static void limits_of_events_hold(void **state)
{
	struct weir_event_limits limits = { .max_extensions = 64,
					    .max_name_bytes = 64,
					    .max_value_bytes = 64,
					    .max_depth = 2,
					    .max_envelope_keys = 5,
					    .max_batch_events = 1 };
	char json[1024], text[600];

	(void)state;
	weir_event_set_limits(at.event, &limits);
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	snprintf(json, sizeof json, "{\"event-type\":\"%.64s\"," REST "}", text);
	assert_int_equal(decode(json), WEIR_OK);
	snprintf(json, sizeof json, "{\"event-type\":\"%.65s\"," REST "}", text);
	assert_fault(json, "event-type", false);
	snprintf(json, sizeof json, "{\"event-type\":\"%.500s\"," REST "}", text);
	assert_fault(json, "event-type", false);
	snprintf(json, sizeof json, "{\"event-type\":\"t\",\"%.500s\":1," REST "}", text);
	assert_int_equal(decode(json), WEIR_OK);
	assert_fault("{\"event-type\":\"t\",\"x\":1,\"y\":2," REST "}", NULL, false);
	assert_fault("{\"event-type\":\"t\",\"x\":[[[]]]," REST "}", NULL, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_member_becomes_an_attribute, begin, end),
		cmocka_unit_test_setup_teardown(data_is_what_was_written, begin, end),
		cmocka_unit_test_setup_teardown(an_event_without_id_gets_the_one_that_was_made_up, begin, end),
		cmocka_unit_test_setup_teardown(members_of_other_names_are_not_looked_at, begin, end),
		cmocka_unit_test_setup_teardown(names_may_be_written_with_escapes, begin, end),
		cmocka_unit_test_setup_teardown(what_is_missing_is_named, begin, end),
		cmocka_unit_test_setup_teardown(what_is_wrong_is_named, begin, end),
		cmocka_unit_test_setup_teardown(what_is_no_json_object_has_no_field, begin, end),
		cmocka_unit_test_setup_teardown(limits_of_events_hold, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
