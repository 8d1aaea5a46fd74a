/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/request_head: what the elements of a request's head mean. Called by the
 * parser when an element is complete; each returns NULL or why it is refused.
 */
#ifndef WEIR_HTTP_REQUEST_HEAD_H
#define WEIR_HTTP_REQUEST_HEAD_H

#include "http/request_parser.h"

void weir_http_head_method(struct weir_http_parser *parser, const char *text, size_t len);
const struct weir_http_problem *weir_http_head_target(struct weir_http_parser *parser, const char *bytes);
/* `text`: 8 bytes that should be "HTTP/1.1". */
const struct weir_http_problem *weir_http_head_version(struct weir_http_parser *parser, const char *text);
const struct weir_http_problem *weir_http_head_field(struct weir_http_parser *parser, const char *bytes,
						     const struct weir_http_field *field);
/* The relations between them, when all are known. */
const struct weir_http_problem *weir_http_head_end(const struct weir_http_parser *parser);

#endif
