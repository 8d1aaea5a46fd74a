/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/dynbuf: a buffer that grows, up to a maximum that is set when it is made.
 *
 * An append that fails (memory, maximum) changes nothing and marks the buffer as
 * failed; later appends do nothing, so a writer checks once at its end.
 */
#ifndef WEIR_BASE_DYNBUF_H
#define WEIR_BASE_DYNBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/driver.h>

struct weir_dynbuf {
	char *ptr;       /* `len` bytes and a NUL behind them; NULL while empty */
	size_t len;
	size_t capacity;
	size_t max;
	bool failed;
};

void weir_dynbuf_init(struct weir_dynbuf *buf, size_t max);
void weir_dynbuf_fini(struct weir_dynbuf *buf);
/* Empties it, keeps the memory, clears `failed`. */
void weir_dynbuf_reset(struct weir_dynbuf *buf);
/* Room for `more` bytes behind `len`; the caller writes there and adds to `len`. NULL on failure. */
char *weir_dynbuf_reserve(struct weir_dynbuf *buf, size_t more);
bool weir_dynbuf_add(struct weir_dynbuf *buf, const void *bytes, size_t len);
bool weir_dynbuf_add_buf(struct weir_dynbuf *buf, struct weir_buf bytes);
bool weir_dynbuf_add_text(struct weir_dynbuf *buf, const char *text);
bool weir_dynbuf_add_char(struct weir_dynbuf *buf, char c);
bool weir_dynbuf_add_uint(struct weir_dynbuf *buf, uint64_t value);
__attribute__((format(printf, 2, 3))) bool weir_dynbuf_addf(struct weir_dynbuf *buf, const char *format, ...);
/* Drops `count` bytes at the front. */
void weir_dynbuf_consume(struct weir_dynbuf *buf, size_t count);
struct weir_buf weir_dynbuf_view(const struct weir_dynbuf *buf);

#endif
