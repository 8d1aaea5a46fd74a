/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What records, cursors and topics are as bytes in the store. Little-endian,
 * each with a version and a CRC-32C over itself and the key it is stored
 * under. Reading trusts nothing: any bytes may come.
 */
#ifndef WEIR_DRIVER_EMBEDDED_CODEC_H
#define WEIR_DRIVER_EMBEDDED_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/driver.h>

/* ---- records --------------------------------------------------------------- */

/* Length of a record as bytes. The caller has bounded its parts, so this cannot overflow. */
size_t weir_embedded_record_size(const struct weir_record *content);
/* Writes it to `blob`, which has that length. The checksum is left open. */
void weir_embedded_record_write(void *blob, const struct weir_record *content, int64_t time_ms);
/* The checksum so far; it becomes final with the key. */
uint32_t weir_embedded_record_sum(const void *blob, size_t len);
/* Puts in the checksum for the place where the record goes. */
void weir_embedded_record_seal(void *blob, uint32_t sum, const void *key, size_t key_len);
/* Whether the checksum is right for this place. */
bool weir_embedded_record_intact(const void *blob, size_t len, const void *key, size_t key_len);

/* How many headers a record has; -1: these bytes are not a record. Their number is bounded by their length. */
int64_t weir_embedded_record_headers(const void *blob, size_t len);
/*
 * Reads a record; *content points into `blob` and `headers`, which has room for
 * as many as weir_embedded_record_headers() said. False: not a record.
 */
bool weir_embedded_record_read(const void *blob, size_t len, struct weir_header *headers, struct weir_record *content,
			       int64_t *time_ms);
/* When a record was published. False: not a record. */
bool weir_embedded_record_time(const void *blob, size_t len, int64_t *time_ms);

/* ---- cursors ---------------------------------------------------------------- */

/* One record that was handed out and is not settled. */
struct weir_embedded_unsettled {
	uint64_t position;
	uint32_t attempt; /* how often it was handed out */
};

/*
 * Where a subscription is: every position below `next` is settled, except those
 * that are listed. So acks in any order need no room, and what does is what is
 * in flight.
 */
struct weir_embedded_cursor {
	uint64_t next;  /* never handed out yet */
	uint32_t count; /* unsettled, by rising position, all below `next` */
};

size_t weir_embedded_cursor_size(uint32_t count);
/* Writes the head; then the unsettled one by one; then the checksum. */
void weir_embedded_cursor_begin(void *blob, const struct weir_embedded_cursor *cursor);
void weir_embedded_cursor_put(void *blob, uint32_t index, const struct weir_embedded_unsettled *unsettled);
void weir_embedded_cursor_seal(void *blob, size_t len, const void *key, size_t key_len);
/* False: damaged. *cursor is valid only if true. */
bool weir_embedded_cursor_read(const void *blob, size_t len, const void *key, size_t key_len,
			       struct weir_embedded_cursor *cursor);
/* Number `index` of a cursor that was read. */
struct weir_embedded_unsettled weir_embedded_cursor_get(const void *blob, uint32_t index);

/* ---- topics ----------------------------------------------------------------- */

struct weir_embedded_topic_row {
	uint64_t id;   /* under which its records are kept; never used again */
	uint64_t high; /* no position up to this one may be given again, even if its record is gone */
};

enum { WEIR_EMBEDDED_TOPIC_SIZE = 24 };
void weir_embedded_topic_write(void *blob, const struct weir_embedded_topic_row *row, const void *key, size_t key_len);
bool weir_embedded_topic_read(const void *blob, size_t len, const void *key, size_t key_len,
			      struct weir_embedded_topic_row *row);

#endif
