/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/encode.h"

#include "base/str.h"

enum { PAD = 64 }; /* where '=' stands in the alphabet */

bool weir_encode_base64(struct weir_dynbuf *out, struct weir_buf bytes)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
	const unsigned char *in = bytes.ptr;
	size_t size = (bytes.len + 2) / 3 * 4;
	char *at = weir_dynbuf_reserve(out, size);

	if (!at)
		return false;
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t left = bytes.len - i;
		unsigned group = (unsigned)in[i] << 16;

		if (left > 1)
			group |= (unsigned)in[i + 1] << 8;
		if (left > 2)
			group |= in[i + 2];
		*at++ = alphabet[group >> 18];
		*at++ = alphabet[(group >> 12) & 63];
		*at++ = alphabet[left > 1 ? (group >> 6) & 63 : PAD];
		*at++ = alphabet[left > 2 ? group & 63 : PAD];
	}
	out->len += size;
	out->ptr[out->len] = '\0';
	return true;
}

static void add_escaped(struct weir_dynbuf *out, unsigned char c)
{
	if (c == '"' || c == '\\') {
		weir_dynbuf_add_char(out, '\\');
		weir_dynbuf_add_char(out, (char)c);
	} else if (c < 0x20 || c == 0x7f) {
		weir_dynbuf_addf(out, "\\u%04x", c);
	} else {
		weir_dynbuf_add_char(out, (char)c);
	}
}

bool weir_encode_json_text(struct weir_dynbuf *out, struct weir_buf text)
{
	const unsigned char *bytes = text.ptr;
	bool readable = text.ptr && weir_str_is_utf8(text);

	if (!text.ptr)
		return weir_dynbuf_add_text(out, "null");
	weir_dynbuf_add_char(out, '"');
	for (size_t i = 0; i < text.len; i++)
		add_escaped(out, !readable && bytes[i] >= 0x80 ? '?' : bytes[i]);
	return weir_dynbuf_add_char(out, '"');
}

bool weir_encode_json_bytes(struct weir_dynbuf *out, struct weir_buf bytes)
{
	if (!bytes.ptr)
		return weir_dynbuf_add_text(out, "null");
	weir_dynbuf_add_char(out, '"');
	weir_encode_base64(out, bytes);
	return weir_dynbuf_add_char(out, '"');
}
