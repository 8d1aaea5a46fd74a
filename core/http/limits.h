/* SPDX-License-Identifier: Apache-2.0 */
/* http/limits: what a server takes at most, and the defaults for it. */
#ifndef WEIR_HTTP_LIMITS_H
#define WEIR_HTTP_LIMITS_H

#include "http/server.h"

/* Limits of chunked coding; not for anybody to change. */
enum {
	WEIR_HTTP_MAX_METHOD_BYTES = 32,
	WEIR_HTTP_MAX_CHUNK_DIGITS = 16,
	WEIR_HTTP_MAX_CHUNK_EXT_LINE = 256,
	WEIR_HTTP_MAX_CHUNK_EXT = 4096, /* over one request */
	WEIR_HTTP_MAX_TRAILERS = 16,
};

/* Puts the default where there is a 0. */
void weir_http_limits_fill(struct weir_http_limits *limits);

#endif
