/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event/utf8: one UTF-8 character at a time, and eight ASCII bytes at a time.
 */
#ifndef WEIR_EVENT_UTF8_H
#define WEIR_EVENT_UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Length in bytes of the well-formed character at `p`, 0 if there is none before
 * `end` (overlong, surrogate, above U+10FFFF, cut off). *ret is its code point.
 */
static inline size_t weir_utf8_decode(const unsigned char *p, const unsigned char *end, uint32_t *ret)
{
	size_t left = (size_t)(end - p);
	uint32_t c;

	if (left == 0)
		return 0;
	if (p[0] < 0x80) {
		*ret = p[0];
		return 1;
	}
	if (p[0] < 0xC2 || p[0] > 0xF4 || left < 2 || (p[1] & 0xC0) != 0x80)
		return 0;
	if (p[0] < 0xE0) {
		*ret = (uint32_t)(p[0] & 0x1F) << 6 | (p[1] & 0x3F);
		return 2;
	}
	if (left < 3 || (p[2] & 0xC0) != 0x80)
		return 0;
	if (p[0] < 0xF0) {
		c = (uint32_t)(p[0] & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
		*ret = c;
		return c < 0x800 || (c >= 0xD800 && c <= 0xDFFF) ? 0 : 3;
	}
	if (left < 4 || (p[3] & 0xC0) != 0x80)
		return 0;
	c = (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 | (uint32_t)(p[2] & 0x3F) << 6 |
	    (p[3] & 0x3F);
	*ret = c;
	return c < 0x10000 || c > 0x10FFFF ? 0 : 4;
}

/* Writes a code point (a scalar value) at `out`, which has room for 4; the number of bytes written. */
static inline size_t weir_utf8_encode(uint32_t c, unsigned char *out)
{
	if (c < 0x80) {
		out[0] = (unsigned char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (unsigned char)(0xC0 | c >> 6);
		out[1] = (unsigned char)(0x80 | (c & 0x3F));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (unsigned char)(0xE0 | c >> 12);
		out[1] = (unsigned char)(0x80 | (c >> 6 & 0x3F));
		out[2] = (unsigned char)(0x80 | (c & 0x3F));
		return 3;
	}
	out[0] = (unsigned char)(0xF0 | c >> 18);
	out[1] = (unsigned char)(0x80 | (c >> 12 & 0x3F));
	out[2] = (unsigned char)(0x80 | (c >> 6 & 0x3F));
	out[3] = (unsigned char)(0x80 | (c & 0x3F));
	return 4;
}

#define WEIR_EIGHT(byte) (UINT64_C(0x0101010101010101) * (byte))

/*
 * The high bit of every byte of `word` that is below `limit` (at most 0x80) or
 * above 0x7F. A borrow may mark bytes above one that is marked rightly, so only
 * "none" and the lowest mark can be relied on.
 */
static inline uint64_t weir_eight_outside(uint64_t word, unsigned char limit)
{
	return ((word - WEIR_EIGHT(limit)) | word) & WEIR_EIGHT(0x80);
}

/* The high bit of every byte that equals `byte`; as far as above. */
static inline uint64_t weir_eight_equal(uint64_t word, unsigned char byte)
{
	uint64_t x = word ^ WEIR_EIGHT(byte);

	return (x - WEIR_EIGHT(1)) & ~x & WEIR_EIGHT(0x80);
}

static inline uint64_t weir_eight_load(const void *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof word);
	return word;
}

#endif
