/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a record of the embedded store: no harm, and what reads as a record is written back as the same bytes.
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

static bool within(struct weir_buf buf, const uint8_t *data, size_t size)
{
	const uint8_t *at = buf.ptr;

	return !at || (at >= data && buf.len <= size && (size_t)(at - data) <= size - buf.len);
}

static void record_check(const uint8_t *data, size_t size, const struct weir_record *record, int64_t time_ms)
{
	uint8_t *again = malloc(size);
	uint32_t i;

	must(again && weir_embedded_record_size(record) == size);
	must(within(record->key, data, size) && within(record->body, data, size));
	for (i = 0; i < record->header_count; i++)
		must(within(record->headers[i].name, data, size) && within(record->headers[i].value, data, size));
	weir_embedded_record_write(again, record, time_ms);
	/* Behind the checksum, and but for what is written as zero, whatever was read. */
	must(memcmp(again + 8, data + 8, 20) == 0 && memcmp(again + 32, data + 32, size - 32) == 0);
	weir_embedded_record_seal(again, weir_embedded_record_sum(again, size), "key", 3);
	must(weir_embedded_record_intact(again, size, "key", 3));
	again[size - 1] ^= 0x10;
	must(!weir_embedded_record_intact(again, size, "key", 3));
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t count = weir_embedded_record_headers(data, size), time_ms = 0, same_time = 0;
	struct weir_header *headers;
	struct weir_record record;

	weir_embedded_record_intact(data, size, "key", 3);
	must(weir_embedded_record_time(data, size, &same_time) == (count >= 0));
	if (count < 0)
		return 0;
	headers = malloc((size_t)count * sizeof *headers + 1);
	must(headers != NULL);
	if (weir_embedded_record_read(data, size, headers, &record, &time_ms)) {
		must(time_ms == same_time);
		record_check(data, size, &record, time_ms);
	}
	free(headers);
	return 0;
}
