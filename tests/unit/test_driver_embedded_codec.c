/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums, and records, cursors and topics as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../drivers/embedded/codec.h"
#include "../drivers/embedded/crc32c.h"

/* ---- checksums --------------------------------------------------------------------------- */

static void checksum_has_the_known_values(void **state)
{
	static const unsigned char zeros[32];
	unsigned char rising[32];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rising; i++)
		rising[i] = (unsigned char)i;
	assert_int_equal(weir_embedded_crc32c(0, "", 0), 0);
	assert_int_equal(weir_embedded_crc32c(0, "123456789", 9), 0xe3069283u);
	assert_int_equal(weir_embedded_crc32c(0, zeros, sizeof zeros), 0x8a9136aau);
	assert_int_equal(weir_embedded_crc32c(0, rising, sizeof rising), 0x46dd794eu);
	assert_int_equal(weir_embedded_crc32c_table(0, "123456789", 9), 0xe3069283u);
}

static void both_ways_of_computing_it_agree(void **state)
{
	unsigned char bytes[300];
	size_t start, len, i;

	(void)state;
	for (i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(i * 37 + 11);
	for (start = 0; start < 9; start++)
		for (len = 0; len < 280; len++)
			assert_int_equal(weir_embedded_crc32c(7, bytes + start, len),
					 weir_embedded_crc32c_table(7, bytes + start, len));
}

static void checksum_can_be_computed_in_pieces(void **state)
{
	(void)state;
	assert_int_equal(weir_embedded_crc32c(weir_embedded_crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}

/* ---- records ------------------------------------------------------------------------------- */

enum { MAX_BLOB = 512 };

static size_t sample(unsigned char *blob)
{
	static const struct weir_header headers[] = { { { "ce_id", 5 }, { "1", 1 } }, { { "x", 1 }, { "", 0 } } };
	struct weir_record record = {
		.key = { "key", 3 }, .body = { "body", 4 }, .headers = headers, .header_count = 2
	};
	size_t len = weir_embedded_record_size(&record);

	assert_true(len <= MAX_BLOB);
	weir_embedded_record_write(blob, &record, 1234567890123);
	weir_embedded_record_seal(blob, weir_embedded_record_sum(blob, len), "place", 5);
	return len;
}

static void a_record_reads_as_it_was_written(void **state)
{
	unsigned char blob[MAX_BLOB];
	size_t len = sample(blob);
	struct weir_header headers[2];
	struct weir_record record;
	int64_t time_ms;

	(void)state;
	assert_int_equal(weir_embedded_record_headers(blob, len), 2);
	assert_true(weir_embedded_record_read(blob, len, headers, &record, &time_ms));
	assert_true(time_ms == 1234567890123);
	assert_int_equal(record.key.len, 3);
	assert_memory_equal(record.key.ptr, "key", 3);
	assert_memory_equal(record.body.ptr, "body", 4);
	assert_memory_equal(record.headers[0].name.ptr, "ce_id", 5);
	assert_non_null(record.headers[1].value.ptr);
	assert_int_equal(record.headers[1].value.len, 0);
}

static void every_flipped_bit_is_found(void **state)
{
	unsigned char blob[MAX_BLOB];
	size_t len = sample(blob), bit;

	(void)state;
	assert_true(weir_embedded_record_intact(blob, len, "place", 5));
	for (bit = 0; bit < len * 8; bit++) {
		blob[bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_false(weir_embedded_record_intact(blob, len, "place", 5));
		blob[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
}

static void a_record_in_the_place_of_another_is_found(void **state)
{
	unsigned char blob[MAX_BLOB];
	size_t len = sample(blob);

	(void)state;
	assert_false(weir_embedded_record_intact(blob, len, "plane", 5));
	assert_false(weir_embedded_record_intact(blob, len - 1, "place", 5));
	assert_false(weir_embedded_record_intact(blob, 3, "place", 5));
}

static void a_record_cut_anywhere_does_not_read(void **state)
{
	unsigned char blob[MAX_BLOB];
	size_t len = sample(blob), cut;
	struct weir_header headers[2];
	struct weir_record record;
	int64_t time_ms;

	(void)state;
	for (cut = 0; cut < len; cut++)
		if (weir_embedded_record_headers(blob, cut) >= 0)
			assert_false(weir_embedded_record_read(blob, cut, headers, &record, &time_ms));
	assert_false(weir_embedded_record_read(blob, len + 1, headers, &record, &time_ms));
}

static void a_record_of_another_version_does_not_read(void **state)
{
	unsigned char blob[MAX_BLOB];
	size_t len = sample(blob);
	int64_t time_ms;

	(void)state;
	blob[4]++;
	assert_int_equal(weir_embedded_record_headers(blob, len), -1);
	assert_false(weir_embedded_record_time(blob, len, &time_ms));
}

/* ---- cursors ---------------------------------------------------------------------------------- */

static size_t cursor_write(unsigned char *blob, uint64_t next, const uint64_t *positions, uint32_t count)
{
	struct weir_embedded_cursor cursor = { next, count };
	uint32_t i;

	weir_embedded_cursor_begin(blob, &cursor);
	for (i = 0; i < count; i++) {
		struct weir_embedded_unsettled unsettled = { positions[i], i + 1 };

		weir_embedded_cursor_put(blob, i, &unsettled);
	}
	weir_embedded_cursor_seal(blob, weir_embedded_cursor_size(count), "place", 5);
	return weir_embedded_cursor_size(count);
}

static void a_cursor_reads_as_it_was_written(void **state)
{
	static const uint64_t positions[] = { 1, 5, UINT64_MAX - 1 };
	unsigned char blob[MAX_BLOB];
	size_t len = cursor_write(blob, UINT64_MAX, positions, 3);
	struct weir_embedded_cursor cursor;

	(void)state;
	assert_true(weir_embedded_cursor_read(blob, len, "place", 5, &cursor));
	assert_true(cursor.next == UINT64_MAX);
	assert_int_equal(cursor.count, 3);
	assert_true(weir_embedded_cursor_get(blob, 2).position == UINT64_MAX - 1);
	assert_int_equal(weir_embedded_cursor_get(blob, 2).attempt, 3);
}

static void a_cursor_that_breaks_a_rule_does_not_read(void **state)
{
	static const struct {
		uint64_t next, positions[2];
	} rows[] = { { 0, { 0, 0 } }, { 9, { 5, 5 } }, { 9, { 5, 4 } }, { 9, { 5, 9 } }, { 9, { 0, 1 } } };
	unsigned char blob[MAX_BLOB];
	struct weir_embedded_cursor cursor;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t len = cursor_write(blob, rows[i].next, rows[i].positions, 2);

		assert_false(weir_embedded_cursor_read(blob, len, "place", 5, &cursor));
	}
}

static void a_cursor_of_the_wrong_length_does_not_read(void **state)
{
	static const uint64_t positions[] = { 1, 2, 3 };
	unsigned char blob[MAX_BLOB];
	size_t len = cursor_write(blob, 9, positions, 3), wrong;
	struct weir_embedded_cursor cursor;

	(void)state;
	for (wrong = 4; wrong < len + 20; wrong++) {
		if (wrong == len)
			continue;
		weir_embedded_cursor_seal(blob, wrong, "place", 5);
		assert_false(weir_embedded_cursor_read(blob, wrong, "place", 5, &cursor));
	}
}

/* ---- topics -------------------------------------------------------------------------------------- */

static void a_topic_reads_as_it_was_written_and_only_there(void **state)
{
	struct weir_embedded_topic_row row = { 77, UINT64_MAX }, read;
	unsigned char blob[WEIR_EMBEDDED_TOPIC_SIZE];

	(void)state;
	weir_embedded_topic_write(blob, &row, "ns/t", 4);
	assert_true(weir_embedded_topic_read(blob, sizeof blob, "ns/t", 4, &read));
	assert_int_equal(read.id, 77);
	assert_true(read.high == UINT64_MAX);
	assert_false(weir_embedded_topic_read(blob, sizeof blob, "ns/u", 4, &read));
	assert_false(weir_embedded_topic_read(blob, sizeof blob - 1, "ns/t", 4, &read));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksum_has_the_known_values),
		cmocka_unit_test(both_ways_of_computing_it_agree),
		cmocka_unit_test(checksum_can_be_computed_in_pieces),
		cmocka_unit_test(a_record_reads_as_it_was_written),
		cmocka_unit_test(every_flipped_bit_is_found),
		cmocka_unit_test(a_record_in_the_place_of_another_is_found),
		cmocka_unit_test(a_record_cut_anywhere_does_not_read),
		cmocka_unit_test(a_record_of_another_version_does_not_read),
		cmocka_unit_test(a_cursor_reads_as_it_was_written),
		cmocka_unit_test(a_cursor_that_breaks_a_rule_does_not_read),
		cmocka_unit_test(a_cursor_of_the_wrong_length_does_not_read),
		cmocka_unit_test(a_topic_reads_as_it_was_written_and_only_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
