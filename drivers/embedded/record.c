/* SPDX-License-Identifier: Apache-2.0 */
/* Records in memory. */
#include "embedded.h"

#include <stdlib.h>
#include <string.h>

size_t weir_embedded_max_record(const struct weir_inst *inst)
{
	return inst->max_bytes / 2 < WEIR_EMBEDDED_MAX_RECORD ? (size_t)(inst->max_bytes / 2)
							      : WEIR_EMBEDDED_MAX_RECORD;
}

size_t weir_embedded_record_bytes(const struct weir_record *content)
{
	size_t bytes = content->key.len + content->body.len;
	uint32_t i;

	for (i = 0; i < content->header_count; i++)
		bytes += content->headers[i].name.len + content->headers[i].value.len;
	return bytes;
}

/* One block for the struct, the headers and the stored form; one byte more, for an empty value to point to. */
static struct record *record_alloc(size_t headers, size_t blob_len)
{
	size_t head = sizeof(struct record) + headers * sizeof(struct weir_header);
	struct record *record = malloc(head + blob_len + 1);

	if (!record)
		return NULL;
	memset(record, 0, sizeof *record);
	atomic_init(&record->refs, 1);
	record->blob = (unsigned char *)record + head;
	record->blob_len = blob_len;
	return record;
}

struct record *weir_embedded_record_new(const struct weir_record *content, size_t bytes, int64_t time_ms)
{
	size_t len = weir_embedded_record_size(content);
	struct record *record = record_alloc(content->header_count, len);

	if (!record)
		return NULL;
	weir_embedded_record_write(record->blob, content, time_ms);
	record->sum = weir_embedded_record_sum(record->blob, len);
	record->bytes = bytes;
	/* Read it back: what subscribers get now is then what they get after a restart. */
	if (weir_embedded_record_read(record->blob, len, record->headers, &record->content, &record->time_ms))
		return record;
	free(record);
	return NULL;
}

struct record *weir_embedded_record_stored(const struct weir_embedded_stored *stored)
{
	int64_t headers = stored->intact ? weir_embedded_record_headers(stored->blob, stored->len) : -1;
	struct record *record = record_alloc(headers > 0 ? (size_t)headers : 0, stored->len);

	if (!record)
		return NULL;
	if (stored->len)
		memcpy(record->blob, stored->blob, stored->len);
	record->position = stored->position;
	record->damaged = headers < 0 || !weir_embedded_record_read(record->blob, stored->len, record->headers,
								    &record->content, &record->time_ms);
	if (record->damaged) {
		/* Whoever keeps it for people to look at gets all that is left of it. */
		memset(&record->content, 0, sizeof record->content);
		record->content.body.ptr = record->blob;
		record->content.body.len = stored->len;
	}
	record->bytes = weir_embedded_record_bytes(&record->content);
	return record;
}

struct record *weir_embedded_record_ref(struct record *record)
{
	atomic_fetch_add_explicit(&record->refs, 1, memory_order_relaxed);
	return record;
}

void weir_embedded_release(void *lease)
{
	struct record *record = lease;

	if (record && atomic_fetch_sub_explicit(&record->refs, 1, memory_order_acq_rel) == 1)
		free(record);
}
