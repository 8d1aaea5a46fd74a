/* SPDX-License-Identifier: Apache-2.0 */
#include "codec.h"
#include "crc32c.h"

#include <string.h>

/*
 * All three begin alike:
 *   0  u32  CRC-32C of everything behind it, then of the key
 *   4  u8   version
 *   5  u8   flags
 *   6  u16  zero
 */
enum {
	VERSION = 1,
	SUM = 4, /* where the summed part begins */
};

static void put32(unsigned char *at, uint32_t value)
{
	int i;

	for (i = 0; i < 4; i++)
		at[i] = (unsigned char)(value >> 8 * i);
}

static void put64(unsigned char *at, uint64_t value)
{
	put32(at, (uint32_t)value);
	put32(at + 4, (uint32_t)(value >> 32));
}

static uint32_t get32(const unsigned char *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t get64(const unsigned char *at)
{
	return get32(at) | (uint64_t)get32(at + 4) << 32;
}

static void head_write(unsigned char *at, uint8_t flags)
{
	put32(at, 0);
	at[4] = VERSION;
	at[5] = flags;
	at[6] = at[7] = 0;
}

static void seal(unsigned char *blob, size_t len, const void *key, size_t key_len)
{
	put32(blob, weir_embedded_crc32c(weir_embedded_crc32c(0, blob + SUM, len - SUM), key, key_len));
}

static bool intact(const unsigned char *blob, size_t len, const void *key, size_t key_len)
{
	return len >= SUM &&
	       get32(blob) == weir_embedded_crc32c(weir_embedded_crc32c(0, blob + SUM, len - SUM), key, key_len);
}

/* ---- records ----------------------------------------------------------------
 *   8  i64  time, milliseconds since 1970
 *  16  u32  length of the key
 *  20  u32  length of the body
 *  24  u32  number of headers
 *  28  u32  zero
 *  32       for each header: u32 length of name, u32 length of value
 *           then the bytes: name, value, name, value, ..., key, body
 * A length of NONE is "no value", which is not an empty value.
 */
enum {
	RECORD_HEAD = 32,
	RECORD_HEADER = 8,
};
#define NONE UINT32_MAX

size_t weir_embedded_record_size(const struct weir_record *content)
{
	size_t size =
	    RECORD_HEAD + (size_t)content->header_count * RECORD_HEADER + content->key.len + content->body.len;
	uint32_t i;

	for (i = 0; i < content->header_count; i++)
		size += content->headers[i].name.len + content->headers[i].value.len;
	return size;
}

/* Writes the length to `len_at` and the bytes to *at. */
static void value_write(unsigned char *len_at, unsigned char **at, struct weir_buf value)
{
	put32(len_at, value.ptr ? (uint32_t)value.len : NONE);
	if (!value.ptr || !value.len)
		return;
	memcpy(*at, value.ptr, value.len);
	*at += value.len;
}

void weir_embedded_record_write(void *blob, const struct weir_record *content, int64_t time_ms)
{
	unsigned char *start = blob, *lens = start + RECORD_HEAD;
	unsigned char *at = lens + (size_t)content->header_count * RECORD_HEADER;
	uint32_t i;

	head_write(start, 0);
	put64(start + 8, (uint64_t)time_ms);
	put32(start + 24, content->header_count);
	put32(start + 28, 0);
	for (i = 0; i < content->header_count; i++, lens += RECORD_HEADER) {
		value_write(lens, &at, content->headers[i].name);
		value_write(lens + 4, &at, content->headers[i].value);
	}
	value_write(start + 16, &at, content->key);
	value_write(start + 20, &at, content->body);
}

uint32_t weir_embedded_record_sum(const void *blob, size_t len)
{
	return weir_embedded_crc32c(0, (const unsigned char *)blob + SUM, len - SUM);
}

void weir_embedded_record_seal(void *blob, uint32_t sum, const void *key, size_t key_len)
{
	put32(blob, weir_embedded_crc32c(sum, key, key_len));
}

bool weir_embedded_record_intact(const void *blob, size_t len, const void *key, size_t key_len)
{
	return intact(blob, len, key, key_len);
}

int64_t weir_embedded_record_headers(const void *blob, size_t len)
{
	const unsigned char *at = blob;
	uint32_t count;

	if (len < RECORD_HEAD || at[4] != VERSION)
		return -1;
	count = get32(at + 24);
	return count <= (len - RECORD_HEAD) / RECORD_HEADER ? (int64_t)count : -1;
}

bool weir_embedded_record_time(const void *blob, size_t len, int64_t *time_ms)
{
	if (weir_embedded_record_headers(blob, len) < 0)
		return false;
	*time_ms = (int64_t)get64((const unsigned char *)blob + 8);
	return true;
}

/* Takes a value of the given length off the front of the bytes. */
static bool value_read(uint32_t len, const unsigned char **at, size_t *left, struct weir_buf *value)
{
	value->ptr = NULL;
	value->len = 0;
	if (len == NONE)
		return true;
	if (len > *left)
		return false;
	value->ptr = *at;
	value->len = len;
	*at += len;
	*left -= len;
	return true;
}

bool weir_embedded_record_read(const void *blob, size_t len, struct weir_header *headers, struct weir_record *content,
			       int64_t *time_ms)
{
	const unsigned char *start = blob, *lens = start + RECORD_HEAD, *at;
	int64_t count = weir_embedded_record_headers(blob, len);
	size_t left;
	uint32_t i;

	memset(content, 0, sizeof *content);
	if (count < 0)
		return false;
	*time_ms = (int64_t)get64(start + 8);
	content->headers = headers;
	content->header_count = (uint32_t)count;
	at = lens + (size_t)count * RECORD_HEADER;
	left = len - (size_t)(at - start);
	for (i = 0; i < content->header_count; i++, lens += RECORD_HEADER)
		if (!value_read(get32(lens), &at, &left, &headers[i].name) ||
		    !value_read(get32(lens + 4), &at, &left, &headers[i].value))
			return false;
	return value_read(get32(start + 16), &at, &left, &content->key) &&
	       value_read(get32(start + 20), &at, &left, &content->body) && left == 0;
}

/* ---- cursors ----------------------------------------------------------------
 *   8  u64  next
 *  16  u32  number of unsettled
 *  20  u32  zero
 *  24       for each: u64 position, u32 attempt
 */
enum {
	CURSOR_HEAD = 24,
	CURSOR_ENTRY = 12,
};

size_t weir_embedded_cursor_size(uint32_t count)
{
	return CURSOR_HEAD + (size_t)count * CURSOR_ENTRY;
}

void weir_embedded_cursor_begin(void *blob, const struct weir_embedded_cursor *cursor)
{
	unsigned char *at = blob;

	head_write(at, 0);
	put64(at + 8, cursor->next);
	put32(at + 16, cursor->count);
	put32(at + 20, 0);
}

void weir_embedded_cursor_put(void *blob, uint32_t index, const struct weir_embedded_unsettled *unsettled)
{
	unsigned char *at = (unsigned char *)blob + CURSOR_HEAD + (size_t)index * CURSOR_ENTRY;

	put64(at, unsettled->position);
	put32(at + 8, unsettled->attempt);
}

void weir_embedded_cursor_seal(void *blob, size_t len, const void *key, size_t key_len)
{
	seal(blob, len, key, key_len);
}

struct weir_embedded_unsettled weir_embedded_cursor_get(const void *blob, uint32_t index)
{
	const unsigned char *at = (const unsigned char *)blob + CURSOR_HEAD + (size_t)index * CURSOR_ENTRY;
	struct weir_embedded_unsettled unsettled = { get64(at), get32(at + 8) };

	return unsettled;
}

bool weir_embedded_cursor_read(const void *blob, size_t len, const void *key, size_t key_len,
			       struct weir_embedded_cursor *cursor)
{
	const unsigned char *at = blob;
	uint64_t before = 0;
	uint32_t i;

	if (len < CURSOR_HEAD || !intact(at, len, key, key_len) || at[4] != VERSION)
		return false;
	cursor->next = get64(at + 8);
	cursor->count = get32(at + 16);
	if (cursor->next == 0 || (len - CURSOR_HEAD) / CURSOR_ENTRY != cursor->count ||
	    (len - CURSOR_HEAD) % CURSOR_ENTRY != 0)
		return false;
	for (i = 0; i < cursor->count; i++) {
		uint64_t position = weir_embedded_cursor_get(blob, i).position;

		if (position <= before || position >= cursor->next)
			return false;
		before = position;
	}
	return true;
}

/* ---- topics ------------------------------------------------------------------
 *   8  u64  id
 *  16  u64  high
 */
void weir_embedded_topic_write(void *blob, const struct weir_embedded_topic_row *row, const void *key, size_t key_len)
{
	unsigned char *at = blob;

	head_write(at, 0);
	put64(at + 8, row->id);
	put64(at + 16, row->high);
	seal(at, WEIR_EMBEDDED_TOPIC_SIZE, key, key_len);
}

bool weir_embedded_topic_read(const void *blob, size_t len, const void *key, size_t key_len,
			      struct weir_embedded_topic_row *row)
{
	const unsigned char *at = blob;

	if (len != WEIR_EMBEDDED_TOPIC_SIZE || !intact(at, len, key, key_len) || at[4] != VERSION)
		return false;
	row->id = get64(at + 8);
	row->high = get64(at + 16);
	return true;
}
