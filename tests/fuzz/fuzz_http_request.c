/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request parser on any bytes. Oracle: however they are split, what is found
 * is the same; with the default limits and with limits so tight that they are met.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fixtures/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_PIECE = 40, WAYS = 3 };

struct splits {
	uint64_t seed;
};

static size_t some_piece(const void *ctx, size_t at)
{
	const struct splits *splits = ctx;
	uint64_t mixed = (splits->seed + at) * UINT64_C(0x9e3779b97f4a7c15);

	return 1 + (size_t)(mixed >> 40) % MAX_PIECE;
}

/* So that one input always does the same. */
static uint64_t hash(const uint8_t *data, size_t size)
{
	uint64_t value = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		value = (value ^ data[i]) * UINT64_C(0x100000001b3);
	return value;
}

static void check(const char *bytes, size_t size, const struct weir_http_limits *limits)
{
	struct weir_dynbuf wanted, got;
	struct splits splits = { hash((const uint8_t *)bytes, size) };
	int status = http_parse(bytes, size, limits, http_parse_whole, NULL, &wanted);

	for (int way = 0; way < WAYS; way++) {
		int other = http_parse(bytes, size, limits, way ? some_piece : http_parse_bytewise, &splits, &got);

		if (other != status || got.len != wanted.len || memcmp(got.ptr, wanted.ptr, got.len) != 0)
			abort();
		weir_dynbuf_fini(&got);
		splits.seed++;
	}
	weir_dynbuf_fini(&wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct weir_http_limits tight = {
		.max_target_bytes = 12,
		.max_header_bytes = 24,
		.max_head_bytes = 120,
		.max_headers = 4,
		.max_body_bytes = 20,
	};
	const char *bytes = (const char *)data;

	check(bytes, size, NULL);
	check(bytes, size, &tight);
	return 0;
}
