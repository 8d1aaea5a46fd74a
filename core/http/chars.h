/* SPDX-License-Identifier: Apache-2.0 */
/* http/chars: which bytes may stand where (RFC 9110, 9112, 3986). */
#ifndef WEIR_HTTP_CHARS_H
#define WEIR_HTTP_CHARS_H

#include <stdbool.h>
#include <stdint.h>

enum weir_http_char {
	WEIR_HTTP_TOKEN = 1,   /* tchar: methods, header names, chunk extensions */
	WEIR_HTTP_TARGET = 2,  /* path and query; bytes from 0x80 too, for the handler to find nothing there */
	WEIR_HTTP_VALUE = 4,   /* header values: visible, space, tab, bytes from 0x80 */
	WEIR_HTTP_REGNAME = 8, /* reg-name of an authority, '%' included */
	WEIR_HTTP_QDTEXT = 16, /* inside a quoted string, without '"' and '\' */
};

extern const uint8_t weir_http_chars[256];

static inline bool weir_http_is(char c, enum weir_http_char what)
{
	return (weir_http_chars[(unsigned char)c] & what) != 0;
}

#endif
