/* SPDX-License-Identifier: Apache-2.0 */
/* Every row of the table of bad input, whole and in pieces. */
#include "unit/weir_cmocka.h"

#include <stdlib.h>

#include "fixtures/http_parse.h"
#include "fixtures/http_rows.h"

enum { MAX_SPLIT_EVERYWHERE = 4096, SOME_SPLITS = 64 };

static void each_row_gets_its_status(void **state)
{
	(void)state;
	for (size_t i = 0; i < http_row_count; i++) {
		struct weir_dynbuf trace;
		size_t len;
		char *bytes = http_row_bytes(&http_rows[i], &len);
		int status = http_parse(bytes, len, NULL, http_parse_whole, NULL, &trace);

		if (status != http_rows[i].status)
			fail_msg("row %d, %s: %d instead of %d", http_rows[i].row, http_rows[i].name, status,
				 http_rows[i].status);
		weir_dynbuf_fini(&trace);
		free(bytes);
	}
}

static void check_same(const struct http_row *row, const char *bytes, size_t len, http_parse_piece *piece,
		       const void *ctx, const struct weir_dynbuf *wanted)
{
	struct weir_dynbuf trace;

	http_parse(bytes, len, NULL, piece, ctx, &trace);
	if (trace.len != wanted->len || memcmp(trace.ptr, wanted->ptr, trace.len) != 0)
		fail_msg("row %d, %s: in pieces '%.300s' instead of '%.300s'", row->row, row->name, trace.ptr,
			 wanted->ptr);
	weir_dynbuf_fini(&trace);
}

static void a_row_byte_by_byte_is_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < http_row_count; i++) {
		struct weir_dynbuf wanted;
		size_t len;
		char *bytes = http_row_bytes(&http_rows[i], &len);

		http_parse(bytes, len, NULL, http_parse_whole, NULL, &wanted);
		check_same(&http_rows[i], bytes, len, http_parse_bytewise, NULL, &wanted);
		weir_dynbuf_fini(&wanted);
		free(bytes);
	}
}

/* The long rows are one byte many times: splits near both ends and some between. */
static void a_row_split_anywhere_is_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < http_row_count; i++) {
		struct weir_dynbuf wanted;
		size_t len;
		char *bytes = http_row_bytes(&http_rows[i], &len);
		size_t step = len <= MAX_SPLIT_EVERYWHERE ? 1 : len / SOME_SPLITS;

		http_parse(bytes, len, NULL, http_parse_whole, NULL, &wanted);
		for (size_t split = 1; split < len; split += step)
			check_same(&http_rows[i], bytes, len, http_parse_split_at, &split, &wanted);
		for (size_t near = 1; near < 64 && near < len; near++) {
			size_t split = len - near;

			check_same(&http_rows[i], bytes, len, http_parse_split_at, &split, &wanted);
		}
		weir_dynbuf_fini(&wanted);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_gets_its_status),
		cmocka_unit_test(a_row_byte_by_byte_is_the_same),
		cmocka_unit_test(a_row_split_anywhere_is_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
