/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver ABI, version 1.0, as it is laid out on 64-bit machines. A number
 * here that has to be changed means that every driver built before breaks: then
 * it is not the number that is wrong. Appended fields get lines of their own.
 */
#include "unit/weir_cmocka.h"

#include <weir/driver.h>

#define SIZE(type, bytes)      assert_int_equal(sizeof(struct type), bytes)
#define AT(type, field, bytes) assert_int_equal(offsetof(struct type, field), bytes)

static void structs_that_cross_in_arrays_keep_their_size(void **state)
{
	(void)state;
	SIZE(weir_buf, 16);
	SIZE(weir_header, 32);
	SIZE(weir_setting, 16);
	SIZE(weir_record, 48);
	SIZE(weir_token, 24);
	SIZE(weir_option, 56);
	SIZE(weir_publish, 80);
	SIZE(weir_driver_event, 160);
	SIZE(weir_driver_note, 124);
}

static void fields_stay_where_they_are(void **state)
{
	(void)state;
	AT(weir_error, retry_after_ms, 8);
	AT(weir_error, text, 32);
	AT(weir_caps, bits, 8);
	AT(weir_caps, max_record_bytes, 24);
	AT(weir_caps, durability_note, 72);
	AT(weir_host, ctx, 16);
	AT(weir_host, log, 24);
	AT(weir_publish, tag, 16);
	AT(weir_publish, record, 32);
	AT(weir_driver_event, sub, 8);
	AT(weir_driver_event, token, 24);
	AT(weir_driver_event, tag, 48);
	AT(weir_driver_event, position, 72);
	AT(weir_driver_event, record, 96);
	AT(weir_driver_event, lease, 144);
	AT(weir_driver_event, error, 152);
	AT(weir_sub_spec, uid, 24);
	AT(weir_sub_spec, max_unsettled, 36);
}

static void operations_stay_in_their_order(void **state)
{
	size_t first = offsetof(struct weir_driver, open);

	(void)state;
	AT(weir_driver, name, 16);
	AT(weir_driver, options, 48);
	assert_int_equal(first, 56);
#define OPERATION(name, number) AT(weir_driver, name, first + (number) * sizeof(void *))
	OPERATION(close, 1);
	OPERATION(caps, 2);
	OPERATION(topic_open, 3);
	OPERATION(topic_close, 4);
	OPERATION(publish, 5);
	OPERATION(subscribe, 6);
	OPERATION(credit, 7);
	OPERATION(poll, 8);
	OPERATION(event_fd, 9);
	OPERATION(settle, 10);
	OPERATION(release, 11);
	OPERATION(unsubscribe, 12);
	OPERATION(flush, 13);
	OPERATION(pause, 14);
	OPERATION(health, 15);
	OPERATION(stats, 16);
	OPERATION(sub_stats, 17);
	OPERATION(topic_delete, 18);
	assert_int_equal(WEIR_DRIVER_SIZE_1_0, first + 19 * sizeof(void *));
}

static void numbers_are_frozen(void **state)
{
	(void)state;
	assert_int_equal(WEIR_EIO, 26);
	assert_int_equal(WEIR_EFORKED, 19);
	assert_int_equal(WEIR_EV_DELIVER, 1);
	assert_int_equal(WEIR_EV_FATAL, 19);
	assert_int_equal(WEIR_CAP_ACK_SELECTIVE, 16);
	assert_int_equal(WEIR_CAP_PUB_CONFIRM, 32);
	assert_int_equal(WEIR_CAP_HEADERS, 40);
	assert_int_equal(WEIR_CAP_BORROW, 51);
	assert_int_equal(WEIR_UNKNOWN, 2);
	assert_int_equal(WEIR_EXTEND, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structs_that_cross_in_arrays_keep_their_size),
		cmocka_unit_test(fields_stay_where_they_are),
		cmocka_unit_test(operations_stay_in_their_order),
		cmocka_unit_test(numbers_are_frozen),
	};

	return sizeof(void *) == 8 ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
