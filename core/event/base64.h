/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event/base64: the standard alphabet of RFC 4648, with padding.
 */
#ifndef WEIR_EVENT_BASE64_H
#define WEIR_EVENT_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/driver.h>

/* Room that encoding `len` bytes takes. */
static inline size_t weir_base64_encoded_size(size_t len)
{
	return (len / 3 + (len % 3 != 0)) * 4;
}

/* Writes weir_base64_encoded_size(bytes.len) characters at `out`, and no NUL. */
void weir_base64_encode(struct weir_buf bytes, char *out);

/* Room that decoding `len` characters takes at most. */
static inline size_t weir_base64_decoded_size(size_t len)
{
	return len / 4 * 3;
}

/* False for anything but whole groups of the alphabet, the last one padded; *len is what was written at `out`. */
bool weir_base64_decode(struct weir_buf text, unsigned char *out, size_t *len);

#endif
