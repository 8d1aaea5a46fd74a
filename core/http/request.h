/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/request: a request with the buffer that it lies in, and the pool they
 * come from. A connection has one only while it reads or answers, so an idle
 * connection costs its own struct and nothing else.
 */
#ifndef WEIR_HTTP_REQUEST_H
#define WEIR_HTTP_REQUEST_H

#include "http/request_parser.h"

struct weir_http_connection;

struct weir_http_request {
	struct weir_http_connection *connection; /* NULL: the client is gone */
	struct weir_http_request *next;          /* in the pool */
	char *bytes;
	size_t len;
	size_t capacity;
	int64_t started_ns; /* its first byte */
	struct weir_header *headers;
	struct weir_http_parser parser;
};

enum {
	WEIR_HTTP_BLOCK_BYTES = 8192,  /* what a request starts with: a small event and its head */
	WEIR_HTTP_POOL_REQUESTS = 128, /* kept for reuse */
};

struct weir_http_pool {
	const struct weir_http_limits *limits;
	struct weir_http_request *unused;
	uint32_t unused_count;
	uint64_t buffered; /* capacity of the requests that are out */
};

void weir_http_pool_init(struct weir_http_pool *pool, const struct weir_http_limits *limits);
void weir_http_pool_fini(struct weir_http_pool *pool);
/* NULL: memory is short, or max_buffered_bytes is reached. */
struct weir_http_request *weir_http_pool_take(struct weir_http_pool *pool);
void weir_http_pool_give(struct weir_http_pool *pool, struct weir_http_request *request);

/* Makes room for at least one byte more, for as many as its Content-Length asks at best. Like take() on failure. */
bool weir_http_request_grow(struct weir_http_pool *pool, struct weir_http_request *request);
/* Drops the request that was read and keeps the bytes behind it, as the beginning of the next. */
void weir_http_request_shift(struct weir_http_pool *pool, struct weir_http_request *request);
/* Fills `headers` from the offsets that the parser left. */
void weir_http_request_complete(struct weir_http_request *request);
/* The pool forgets it: it lives on until it is freed. */
void weir_http_request_orphan(struct weir_http_pool *pool, struct weir_http_request *request);
void weir_http_request_free(struct weir_http_request *request);

#endif
