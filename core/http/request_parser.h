/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/request_parser: bytes in, one request out. No I/O, no allocation, no clock.
 *
 * The parser reads a request that lies in one buffer, from its first byte on,
 * and remembers offsets into it, so the buffer may move between two calls. What
 * it finds does not depend on how the bytes are split over the calls.
 */
#ifndef WEIR_HTTP_REQUEST_PARSER_H
#define WEIR_HTTP_REQUEST_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/chunked.h"
#include "http/limits.h"
#include "http/problem.h"

enum weir_http_parse {
	WEIR_HTTP_PARSE_MORE,   /* every byte was used; feed more */
	WEIR_HTTP_PARSE_HEAD,   /* once for each request: the head is complete and acceptable; feed again */
	WEIR_HTTP_PARSE_DONE,   /* the request is bytes[0..pos); what follows is the next one */
	WEIR_HTTP_PARSE_FAILED, /* `problem` says why; there is no going on */
};

struct weir_http_span {
	uint32_t at;
	uint32_t len;
};

struct weir_http_field {
	struct weir_http_span name;
	struct weir_http_span value;
};

struct weir_http_parser {
	const struct weir_http_limits *limits; /* borrowed; every one set */
	struct weir_http_field *fields;        /* borrowed; room for limits->max_headers */
	const struct weir_http_problem *problem;

	/* what was found; complete after WEIR_HTTP_PARSE_HEAD, the body after WEIR_HTTP_PARSE_DONE */
	enum weir_http_method method;
	uint8_t minor; /* 0 or 1: HTTP/1.0, or 1.1 and higher */
	bool absolute; /* the target was in absolute-form */
	bool has_query;
	bool has_host;
	bool has_length;
	bool chunked;
	bool close;      /* Connection: close */
	bool keep_alive; /* Connection: keep-alive */
	bool expect_continue;
	bool encoded;               /* a Content-Encoding other than identity */
	struct weir_http_span path; /* len 0 only for an absolute-form target without one */
	struct weir_http_span query;
	struct weir_http_span host; /* the authority */
	uint32_t field_count;
	uint64_t length; /* Content-Length */
	size_t body_at;
	size_t body_len; /* of it that has come so far */

	/* where it is */
	size_t pos;
	uint32_t head_at; /* first byte of the request line */
	uint32_t line_at;
	uint32_t mark; /* first byte of the element being read */
	uint8_t state;
	bool skipped; /* the one empty line before the request line */
	struct weir_http_span target;
	struct weir_http_chunked decoder;
};

/* Starts a request; keeps `limits` and `fields`. */
void weir_http_parser_reset(struct weir_http_parser *parser);

/*
 * Goes on with bytes[0..*len), which begin with those of earlier calls. Chunked
 * data is moved together, so *len may get smaller: the bytes behind it are used
 * up and the caller puts the next ones at bytes[*len].
 */
enum weir_http_parse weir_http_parser_feed(struct weir_http_parser *parser, char *bytes, size_t *len);

/* Nothing of a request has been seen, except perhaps the empty line before it. */
bool weir_http_parser_idle(const struct weir_http_parser *parser);
bool weir_http_parser_in_head(const struct weir_http_parser *parser);

#endif
