/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a cursor or a topic of the embedded store: no harm, and what reads as one keeps the rules. The checksum
 * is put right first, or nothing would ever come past it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../drivers/embedded/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

static void cursor_check(const uint8_t *blob, size_t size, const struct weir_embedded_cursor *cursor)
{
	uint8_t *again = calloc(1, size);
	uint64_t before = 0;
	uint32_t i;

	must(again && cursor->next > 0 && weir_embedded_cursor_size(cursor->count) == size);
	weir_embedded_cursor_begin(again, cursor);
	for (i = 0; i < cursor->count; i++) {
		struct weir_embedded_unsettled unsettled = weir_embedded_cursor_get(blob, i);

		must(unsettled.position > before && unsettled.position < cursor->next);
		before = unsettled.position;
		weir_embedded_cursor_put(again, i, &unsettled);
	}
	must(memcmp(again + 8, blob + 8, 12) == 0 && memcmp(again + 24, blob + 24, size - 24) == 0);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_embedded_cursor cursor;
	struct weir_embedded_topic_row row;
	uint8_t *blob;

	weir_embedded_cursor_read(data, size, "key", 3, &cursor);
	weir_embedded_topic_read(data, size, "key", 3, &row);
	if (size < 4)
		return 0;
	blob = malloc(size);
	must(blob != NULL);
	memcpy(blob, data, size);
	weir_embedded_cursor_seal(blob, size, "key", 3);
	if (weir_embedded_cursor_read(blob, size, "key", 3, &cursor))
		cursor_check(blob, size, &cursor);
	if (weir_embedded_topic_read(blob, size, "key", 3, &row)) {
		uint8_t again[WEIR_EMBEDDED_TOPIC_SIZE];

		weir_embedded_topic_write(again, &row, "key", 3);
		must(memcmp(again + 8, blob + 8, sizeof again - 8) == 0);
	}
	free(blob);
	return 0;
}
