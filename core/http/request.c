/* SPDX-License-Identifier: Apache-2.0 */
#include "http/request.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* What a body that needs more than a block gets first; from there it doubles. */
enum { GROWN_BYTES = 65536 };

void weir_http_pool_init(struct weir_http_pool *pool, const struct weir_http_limits *limits)
{
	memset(pool, 0, sizeof *pool);
	pool->limits = limits;
}

void weir_http_pool_fini(struct weir_http_pool *pool)
{
	struct weir_http_request *request;

	while ((request = pool->unused)) {
		pool->unused = request->next;
		weir_http_request_free(request);
	}
	pool->unused_count = 0;
}

void weir_http_request_free(struct weir_http_request *request)
{
	if (!request)
		return;
	weir_mem_free(request->bytes);
	weir_mem_free(request);
}

/* One piece of memory: the request, its headers, its fields. */
static struct weir_http_request *request_new(const struct weir_http_limits *limits)
{
	size_t each = sizeof(struct weir_header) + sizeof(struct weir_http_field);
	struct weir_http_request *request = weir_mem_alloc(sizeof *request + limits->max_headers * each);

	if (!request)
		return NULL;
	memset(request, 0, sizeof *request);
	request->headers = (struct weir_header *)(request + 1);
	request->parser.limits = limits;
	request->parser.fields = (struct weir_http_field *)(request->headers + limits->max_headers);
	request->bytes = weir_mem_alloc(WEIR_HTTP_BLOCK_BYTES);
	request->capacity = WEIR_HTTP_BLOCK_BYTES;
	if (request->bytes)
		return request;
	weir_mem_free(request);
	return NULL;
}

struct weir_http_request *weir_http_pool_take(struct weir_http_pool *pool)
{
	struct weir_http_request *request = pool->unused;

	if (pool->buffered + WEIR_HTTP_BLOCK_BYTES > pool->limits->max_buffered_bytes)
		return NULL;
	if (request) {
		pool->unused = request->next;
		pool->unused_count--;
	} else {
		request = request_new(pool->limits);
	}
	if (!request)
		return NULL;
	pool->buffered += request->capacity;
	request->len = 0;
	weir_http_parser_reset(&request->parser);
	return request;
}

void weir_http_pool_give(struct weir_http_pool *pool, struct weir_http_request *request)
{
	pool->buffered -= request->capacity;
	if (request->capacity != WEIR_HTTP_BLOCK_BYTES || pool->unused_count == WEIR_HTTP_POOL_REQUESTS) {
		weir_http_request_free(request);
		return;
	}
	request->connection = NULL;
	request->next = pool->unused;
	pool->unused = request;
	pool->unused_count++;
}

/*
 * A body is not given what its Content-Length claims but what its sender has
 * earned by sending: a claim costs nothing, memory does.
 */
static size_t wanted_capacity(const struct weir_http_request *request)
{
	const struct weir_http_parser *parser = &request->parser;
	size_t wanted = request->capacity * 2 > GROWN_BYTES ? request->capacity * 2 : GROWN_BYTES;
	size_t whole = parser->body_at + (size_t)parser->length;

	if (weir_http_parser_in_head(parser))
		return request->capacity * 2;
	return !parser->chunked && whole < wanted ? whole : wanted;
}

bool weir_http_request_grow(struct weir_http_pool *pool, struct weir_http_request *request)
{
	size_t wanted = wanted_capacity(request);
	size_t more = wanted - request->capacity;
	char *bytes;

	if (pool->buffered + more > pool->limits->max_buffered_bytes)
		return false;
	bytes = weir_mem_realloc(request->bytes, wanted);
	if (!bytes)
		return false;
	pool->buffered += more;
	request->bytes = bytes;
	request->capacity = wanted;
	return true;
}

void weir_http_request_shift(struct weir_http_pool *pool, struct weir_http_request *request)
{
	size_t used = request->parser.pos;
	size_t rest = request->len - used;
	char *block;

	memmove(request->bytes, request->bytes + used, rest);
	request->len = rest;
	weir_http_parser_reset(&request->parser);
	if (request->capacity == WEIR_HTTP_BLOCK_BYTES || rest > WEIR_HTTP_BLOCK_BYTES)
		return;
	/* Back to a block; if that fails the bigger one does it too. */
	block = weir_mem_realloc(request->bytes, WEIR_HTTP_BLOCK_BYTES);
	if (!block)
		return;
	pool->buffered -= request->capacity - WEIR_HTTP_BLOCK_BYTES;
	request->bytes = block;
	request->capacity = WEIR_HTTP_BLOCK_BYTES;
}

static struct weir_buf view(const struct weir_http_request *request, struct weir_http_span span)
{
	return (struct weir_buf){ request->bytes + span.at, span.len };
}

void weir_http_request_complete(struct weir_http_request *request)
{
	const struct weir_http_parser *parser = &request->parser;

	for (uint32_t i = 0; i < parser->field_count; i++) {
		request->headers[i].name = view(request, parser->fields[i].name);
		request->headers[i].value = view(request, parser->fields[i].value);
	}
}

void weir_http_request_orphan(struct weir_http_pool *pool, struct weir_http_request *request)
{
	pool->buffered -= request->capacity;
	request->connection = NULL;
}

/* ---- for the handler ----------------------------------------------------- */

enum weir_http_method weir_http_request_method(const struct weir_http_request *request)
{
	return request->parser.method;
}

struct weir_buf weir_http_request_path(const struct weir_http_request *request)
{
	/* RFC 9110, 4.2.3: an http URL without a path means "/". */
	return request->parser.path.len ? view(request, request->parser.path) : WEIR_STR("/");
}

struct weir_buf weir_http_request_query(const struct weir_http_request *request)
{
	return request->parser.has_query ? view(request, request->parser.query) : (struct weir_buf){ NULL, 0 };
}

struct weir_buf weir_http_request_host(const struct weir_http_request *request)
{
	return view(request, request->parser.host);
}

size_t weir_http_request_headers(const struct weir_http_request *request, const struct weir_header **ret)
{
	*ret = request->headers;
	return request->parser.field_count;
}

struct weir_buf weir_http_request_header(const struct weir_http_request *request, const char *name)
{
	struct weir_buf wanted = weir_str(name);

	for (uint32_t i = 0; i < request->parser.field_count; i++)
		if (weir_str_equal_nocase(request->headers[i].name, wanted))
			return request->headers[i].value;
	return (struct weir_buf){ NULL, 0 };
}

struct weir_buf weir_http_request_body(const struct weir_http_request *request)
{
	return (struct weir_buf){ request->bytes + request->parser.body_at, request->parser.body_len };
}
