/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dynbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { FIRST_CAPACITY = 256 };

void weir_dynbuf_init(struct weir_dynbuf *buf, size_t max)
{
	/* One byte is always kept for the NUL, so that capacity = max + 1 cannot overflow. */
	*buf = (struct weir_dynbuf){ .max = max < SIZE_MAX ? max : SIZE_MAX - 1 };
}

void weir_dynbuf_fini(struct weir_dynbuf *buf)
{
	weir_mem_free(buf->ptr);
	weir_dynbuf_init(buf, buf->max);
}

void weir_dynbuf_reset(struct weir_dynbuf *buf)
{
	buf->len = 0;
	buf->failed = false;
	if (buf->ptr)
		buf->ptr[0] = '\0';
}

/* `needed` includes the NUL and is at most max + 1. */
static bool grow(struct weir_dynbuf *buf, size_t needed)
{
	size_t capacity = buf->capacity ? buf->capacity : FIRST_CAPACITY;
	char *ptr;

	while (capacity < needed)
		capacity = capacity <= SIZE_MAX / 2 ? capacity * 2 : SIZE_MAX;
	if (capacity > buf->max + 1)
		capacity = buf->max + 1;
	ptr = weir_mem_realloc(buf->ptr, capacity);
	if (!ptr)
		return false;
	buf->ptr = ptr;
	buf->capacity = capacity;
	return true;
}

char *weir_dynbuf_reserve(struct weir_dynbuf *buf, size_t more)
{
	if (buf->failed)
		return NULL;
	if (more > buf->max - buf->len || (more >= buf->capacity - buf->len && !grow(buf, buf->len + more + 1))) {
		buf->failed = true;
		return NULL;
	}
	buf->ptr[buf->len + more] = '\0';
	return buf->ptr + buf->len;
}

bool weir_dynbuf_add(struct weir_dynbuf *buf, const void *bytes, size_t len)
{
	char *room = weir_dynbuf_reserve(buf, len);

	if (!room)
		return false;
	if (len)
		memcpy(room, bytes, len);
	buf->len += len;
	return true;
}

bool weir_dynbuf_add_buf(struct weir_dynbuf *buf, struct weir_buf bytes)
{
	return weir_dynbuf_add(buf, bytes.ptr, bytes.len);
}

bool weir_dynbuf_add_text(struct weir_dynbuf *buf, const char *text)
{
	return weir_dynbuf_add(buf, text, strlen(text));
}

bool weir_dynbuf_add_char(struct weir_dynbuf *buf, char c)
{
	return weir_dynbuf_add(buf, &c, 1);
}

bool weir_dynbuf_add_uint(struct weir_dynbuf *buf, uint64_t value)
{
	char digits[20];
	size_t start = sizeof digits;

	do {
		digits[--start] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return weir_dynbuf_add(buf, digits + start, sizeof digits - start);
}

bool weir_dynbuf_addf(struct weir_dynbuf *buf, const char *format, ...)
{
	va_list args, again;
	int len;
	char *room = NULL;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	if (len < 0)
		buf->failed = true;
	else
		room = weir_dynbuf_reserve(buf, (size_t)len);
	if (room) {
		vsnprintf(room, (size_t)len + 1, format, again);
		buf->len += (size_t)len;
	}
	va_end(again);
	va_end(args);
	return room != NULL;
}

void weir_dynbuf_consume(struct weir_dynbuf *buf, size_t count)
{
	if (count >= buf->len) {
		buf->len = 0;
	} else {
		memmove(buf->ptr, buf->ptr + count, buf->len - count);
		buf->len -= count;
	}
	if (buf->ptr)
		buf->ptr[buf->len] = '\0';
}

struct weir_buf weir_dynbuf_view(const struct weir_dynbuf *buf)
{
	struct weir_buf view = { buf->ptr ? buf->ptr : "", buf->len };

	return view;
}
