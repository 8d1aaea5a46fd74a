/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/chunked: undoes the chunked coding where the bytes lie. No I/O.
 *
 * The data of all chunks is moved together at `body_end` of the same buffer.
 * Extensions are checked and ignored; trailer fields are checked and dropped,
 * never taken as headers. No white space is allowed around sizes and extensions.
 */
#ifndef WEIR_HTTP_CHUNKED_H
#define WEIR_HTTP_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

#include "http/limits.h"
#include "http/problem.h"

enum weir_http_chunked_result {
	WEIR_HTTP_CHUNKED_MORE, /* every byte was used */
	WEIR_HTTP_CHUNKED_DONE, /* the last byte of the message was used */
	WEIR_HTTP_CHUNKED_FAILED,
};

struct weir_http_chunked {
	uint64_t left;     /* of this chunk */
	uint64_t total;    /* size of the chunks announced so far */
	uint32_t digits;   /* of the size */
	uint32_t ext_line; /* bytes of extensions on this line, and on all */
	uint32_t ext_total;
	uint32_t trailers;
	uint32_t line; /* bytes of this trailer line */
	uint8_t state;
	const struct weir_http_problem *problem; /* when it failed */
};

void weir_http_chunked_init(struct weir_http_chunked *chunked);
/*
 * Uses bytes[*pos..len) and moves *pos on; adds data at bytes[*body_end..].
 * *body_end <= *pos always. limits: max_body_bytes and max_header_bytes.
 */
enum weir_http_chunked_result weir_http_chunked_feed(struct weir_http_chunked *chunked,
						     const struct weir_http_limits *limits, char *bytes, size_t *pos,
						     size_t len, size_t *body_end);

#endif
