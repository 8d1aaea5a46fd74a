/* SPDX-License-Identifier: Apache-2.0 */
/* Records as they are lent to the host: copies, a few dozen of them in one piece of memory. */
#include "kafka.h"

#include <stdlib.h>
#include <string.h>

void weir_kafka_slab_drop(struct slab *slab)
{
	if (slab && atomic_fetch_sub_explicit(&slab->refs, 1, memory_order_acq_rel) == 1)
		free(slab);
}

void weir_kafka_release(void *lease)
{
	const struct record *record = lease;

	if (record)
		weir_kafka_slab_drop(record->slab);
}

/* The subscription's slab with room for so many bytes, which are not taken yet. */
static struct slab *slab_with(struct weir_sub *sub, size_t bytes)
{
	size_t room = bytes < WEIR_KAFKA_SLAB ? WEIR_KAFKA_SLAB : bytes;
	struct slab *slab = sub->slab;

	if (slab && slab->room - slab->used >= bytes)
		return slab;
	slab = malloc(sizeof *slab + room);
	if (!slab)
		return NULL;
	atomic_init(&slab->refs, 1);
	slab->used = 0;
	slab->room = room;
	weir_kafka_slab_drop(sub->slab);
	sub->slab = slab;
	return slab;
}

static struct record *record_begin(struct weir_sub *sub, size_t bytes)
{
	struct slab *slab = slab_with(sub, bytes);
	struct record *record;

	if (!slab)
		return NULL;
	record = (struct record *)(void *)(slab->bytes + slab->used);
	memset(record, 0, sizeof *record);
	record->slab = slab;
	return record;
}

static void record_end(struct record *record, size_t bytes)
{
	struct slab *slab = record->slab;

	bytes = (bytes + 15) & ~(size_t)15;
	slab->used = slab->room - slab->used < bytes ? slab->room : slab->used + bytes;
	weir_kafka_record_hold(record);
}

static struct weir_buf copy(char **to, const void *from, size_t len)
{
	char *at = *to;

	if (!from)
		return (struct weir_buf){ NULL, 0 };
	if (len)
		memcpy(at, from, len);
	*to += len;
	return (struct weir_buf){ at, len };
}

/* Where the headers are in librdkafka's memory; how many bytes they have. */
static size_t headers_look(struct record *record, const rd_kafka_headers_t *headers, size_t count)
{
	size_t bytes = 0, i, size = 0;

	for (i = 0; i < count; i++) {
		const char *name = "";
		const void *value = NULL;

		if (rd_kafka_header_get_all(headers, i, &name, &value, &size))
			break;
		record->headers[i].name = (struct weir_buf){ name, strlen(name) };
		record->headers[i].value = (struct weir_buf){ value, value ? size : 0 };
		bytes += record->headers[i].name.len + record->headers[i].value.len;
	}
	record->content.headers = record->headers;
	record->content.header_count = (uint32_t)i;
	return bytes;
}

static void headers_copy(struct record *record, char **to)
{
	uint32_t i;

	for (i = 0; i < record->content.header_count; i++) {
		struct weir_header *header = &record->headers[i];

		header->name = copy(to, header->name.ptr, header->name.len);
		header->value = copy(to, header->value.ptr, header->value.len);
	}
}

struct record *weir_kafka_record_new(struct weir_sub *sub, const rd_kafka_message_t *message)
{
	rd_kafka_headers_t *headers = NULL;
	rd_kafka_timestamp_type_t type;
	size_t count = rd_kafka_message_headers(message, &headers) ? 0 : rd_kafka_header_cnt(headers), bytes, all;
	size_t fixed = sizeof(struct record) + count * sizeof(struct weir_header);
	struct record *record = record_begin(sub, fixed);
	char *to;

	if (!record)
		return NULL;
	bytes = message->key_len + message->len + headers_look(record, headers, count);
	all = fixed + bytes + 1; /* one more, so that what is empty has an address, too */
	if (record->slab->room - record->slab->used < all) {
		record = record_begin(sub, all);
		if (!record)
			return NULL;
		headers_look(record, headers, count);
	}
	record->bytes = bytes;
	record->time_ms = rd_kafka_message_timestamp(message, &type);
	to = (char *)&record->headers[count];
	record->content.key = copy(&to, message->key, message->key_len);
	record->content.body = copy(&to, message->payload, message->len);
	headers_copy(record, &to);
	record_end(record, all);
	return record;
}

struct record *weir_kafka_record_damaged(struct weir_sub *sub)
{
	struct record *record = record_begin(sub, sizeof *record);

	if (!record)
		return NULL;
	record->damaged = true;
	record->time_ms = -1;
	record_end(record, sizeof *record);
	return record;
}
