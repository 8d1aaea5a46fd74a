/* SPDX-License-Identifier: Apache-2.0 */
#include "event/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void weir_base64_encode(struct weir_buf bytes, char *out)
{
	const unsigned char *p = bytes.ptr;
	size_t left = bytes.len;

	for (; left >= 3; left -= 3, p += 3, out += 4) {
		uint32_t group = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		out[0] = alphabet[group >> 18];
		out[1] = alphabet[group >> 12 & 63];
		out[2] = alphabet[group >> 6 & 63];
		out[3] = alphabet[group & 63];
	}
	if (left) {
		uint32_t group = (uint32_t)p[0] << 16 | (left == 2 ? (uint32_t)p[1] << 8 : 0);

		out[0] = alphabet[group >> 18];
		out[1] = alphabet[group >> 12 & 63];
		out[2] = out[3] = '=';
		if (left == 2)
			out[2] = alphabet[group >> 6 & 63];
	}
}

/* 0..63, or 64 for a character that is not of the alphabet. */
static uint32_t value_of(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint32_t)c - 'A';
	if (c >= 'a' && c <= 'z')
		return (uint32_t)c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return (uint32_t)c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : 64;
}

bool weir_base64_decode(struct weir_buf text, unsigned char *out, size_t *len)
{
	const unsigned char *p = text.ptr;
	size_t padding = 0;

	*len = 0;
	if (text.len % 4 != 0)
		return false;
	if (text.len && p[text.len - 1] == '=')
		padding = p[text.len - 2] == '=' ? 2 : 1;
	for (size_t i = 0; i < text.len; i += 4) {
		size_t skip = i + 4 == text.len ? padding : 0;
		uint32_t a = value_of(p[i]), b = value_of(p[i + 1]);
		uint32_t c = skip == 2 ? 0 : value_of(p[i + 2]), d = skip ? 0 : value_of(p[i + 3]);
		uint32_t group = a << 18 | b << 12 | c << 6 | d;

		if ((a | b | c | d) & 64)
			return false;
		out[(*len)++] = (unsigned char)(group >> 16);
		if (skip < 2)
			out[(*len)++] = (unsigned char)(group >> 8);
		if (skip < 1)
			out[(*len)++] = (unsigned char)group;
	}
	return true;
}
