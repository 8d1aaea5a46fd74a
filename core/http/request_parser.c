/* SPDX-License-Identifier: Apache-2.0 */
#include "http/request_parser.h"

#include <string.h>

#include "http/chars.h"
#include "http/request_head.h"

enum state {
	START,
	START_LF,
	METHOD,
	TARGET,
	VERSION,
	VERSION_LF,
	FIELD,
	FIELD_NAME,
	FIELD_SPACE,
	FIELD_VALUE,
	FIELD_LF,
	HEAD_LF,
	BODY,
	BODY_CHUNKED,
	DONE,
	FAILED,
};

enum { VERSION_BYTES = 8 };

WEIR_HTTP_PROBLEM(bad_start, 400, "bad_request", "The request does not begin with a method.");
WEIR_HTTP_PROBLEM(bad_method, 400, "bad_request", "The method is not a token of at most 32 characters.");
WEIR_HTTP_PROBLEM(bad_target, 400, "bad_request", "The request line is not METHOD SP TARGET SP HTTP-VERSION CR LF.");
WEIR_HTTP_PROBLEM(long_target, 414, "uri_too_long", "The request target is longer than the limit.");
WEIR_HTTP_PROBLEM(bad_version, 400, "bad_request", "The request line does not end with an HTTP version and CR LF.");
WEIR_HTTP_PROBLEM(bad_field, 400, "bad_header", "A header line is not NAME ':' VALUE CR LF.");
WEIR_HTTP_PROBLEM(long_field, 431, "header_too_large", "A header line is longer than the limit.");
WEIR_HTTP_PROBLEM(long_head, 431, "header_too_large", "The request head is longer than the limit.");
WEIR_HTTP_PROBLEM(many_fields, 431, "header_too_large", "There are more headers than the limit.");
WEIR_HTTP_PROBLEM(bad_end, 400, "bad_header", "The headers do not end with CR LF CR LF.");

void weir_http_parser_reset(struct weir_http_parser *parser)
{
	const struct weir_http_limits *limits = parser->limits;
	struct weir_http_field *fields = parser->fields;

	memset(parser, 0, sizeof *parser);
	parser->limits = limits;
	parser->fields = fields;
}

bool weir_http_parser_idle(const struct weir_http_parser *parser)
{
	return parser->state <= START_LF;
}

bool weir_http_parser_in_head(const struct weir_http_parser *parser)
{
	return parser->state < BODY;
}

static void fail(struct weir_http_parser *parser, const struct weir_http_problem *problem)
{
	parser->state = FAILED;
	parser->problem = problem;
}

/* Goes to `to` unless there is a problem. */
static void next(struct weir_http_parser *parser, enum state to, const struct weir_http_problem *problem)
{
	if (problem) {
		fail(parser, problem);
		return;
	}
	parser->state = (uint8_t)to;
	parser->mark = (uint32_t)parser->pos;
}

/* Moves on while bytes are of this kind, up to `stop`. */
static void run(struct weir_http_parser *parser, const char *bytes, size_t stop, enum weir_http_char what)
{
	size_t pos = parser->pos;

	while (pos < stop && weir_http_is(bytes[pos], what))
		pos++;
	parser->pos = pos;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static struct weir_http_span since_mark(const struct weir_http_parser *parser)
{
	return (struct weir_http_span){ parser->mark, (uint32_t)parser->pos - parser->mark };
}

static void on_start(struct weir_http_parser *parser, const char *bytes)
{
	char c = bytes[parser->pos];

	if (c == '\r' && !parser->skipped) {
		parser->skipped = true;
		parser->pos++;
		parser->state = START_LF;
		return;
	}
	if (!weir_http_is(c, WEIR_HTTP_TOKEN)) {
		fail(parser, &bad_start);
		return;
	}
	parser->head_at = (uint32_t)parser->pos;
	next(parser, METHOD, NULL);
}

static void on_method(struct weir_http_parser *parser, const char *bytes, size_t end)
{
	size_t limit = parser->mark + (size_t)WEIR_HTTP_MAX_METHOD_BYTES;
	struct weir_http_span method;

	run(parser, bytes, least(end, limit), WEIR_HTTP_TOKEN);
	if (parser->pos == end)
		return;
	if (bytes[parser->pos] != ' ') {
		fail(parser, &bad_method);
		return;
	}
	method = since_mark(parser);
	weir_http_head_method(parser, bytes + method.at, method.len);
	parser->pos++;
	next(parser, TARGET, NULL);
}

static void on_target(struct weir_http_parser *parser, const char *bytes, size_t end)
{
	size_t limit = (size_t)parser->mark + parser->limits->max_target_bytes;

	run(parser, bytes, least(end, limit), WEIR_HTTP_TARGET);
	if (parser->pos == end)
		return;
	if (parser->pos == limit && weir_http_is(bytes[limit], WEIR_HTTP_TARGET)) {
		fail(parser, &long_target);
		return;
	}
	if (bytes[parser->pos] != ' ') {
		fail(parser, &bad_target);
		return;
	}
	parser->target = since_mark(parser);
	parser->pos++;
	next(parser, VERSION, weir_http_head_target(parser, bytes));
}

/* The version has a fixed length; what is in it is judged when it is complete. */
static void on_version(struct weir_http_parser *parser, const char *bytes, size_t end)
{
	size_t stop = (size_t)parser->mark + VERSION_BYTES;
	size_t pos = parser->pos;

	while (pos < least(end, stop) && bytes[pos] != '\r' && bytes[pos] != '\n')
		pos++;
	parser->pos = pos;
	if (pos == end)
		return;
	if (pos != stop || bytes[pos] != '\r') {
		fail(parser, &bad_version);
		return;
	}
	parser->pos++;
	parser->state = VERSION_LF;
}

static void on_line_feed(struct weir_http_parser *parser, const char *bytes)
{
	const struct weir_http_problem *problem = NULL;
	bool is = bytes[parser->pos++] == '\n';

	switch (parser->state) {
	case START_LF:
		next(parser, START, is ? NULL : &bad_start);
		break;
	case VERSION_LF:
		problem = is ? weir_http_head_version(parser, bytes + parser->mark) : &bad_version;
		next(parser, FIELD, problem);
		break;
	case FIELD_LF:
		next(parser, FIELD, is ? NULL : &bad_field);
		break;
	default:
		problem = is ? weir_http_head_end(parser) : &bad_end;
		next(parser, parser->chunked ? BODY_CHUNKED : BODY, problem);
		parser->body_at = parser->pos;
		break;
	}
}

static void on_field(struct weir_http_parser *parser, const char *bytes)
{
	char c = bytes[parser->pos];

	if (c == '\r') {
		parser->pos++;
		parser->state = HEAD_LF;
		return;
	}
	if (!weir_http_is(c, WEIR_HTTP_TOKEN)) {
		fail(parser, &bad_field);
		return;
	}
	if (parser->field_count == parser->limits->max_headers) {
		fail(parser, &many_fields);
		return;
	}
	parser->line_at = (uint32_t)parser->pos;
	next(parser, FIELD_NAME, NULL);
}

/* Where the line is too long; the CR that ends it may stand there. */
static size_t line_limit(const struct weir_http_parser *parser)
{
	return (size_t)parser->line_at + parser->limits->max_header_bytes;
}

static void on_field_name(struct weir_http_parser *parser, const char *bytes, size_t end)
{
	size_t limit = line_limit(parser);

	run(parser, bytes, least(end, limit), WEIR_HTTP_TOKEN);
	if (parser->pos == end)
		return;
	if (bytes[parser->pos] != ':' && !weir_http_is(bytes[parser->pos], WEIR_HTTP_TOKEN)) {
		fail(parser, &bad_field);
		return;
	}
	if (parser->pos == limit) {
		fail(parser, &long_field);
		return;
	}
	parser->fields[parser->field_count].name = since_mark(parser);
	parser->pos++;
	next(parser, FIELD_SPACE, NULL);
}

static void on_field_space(struct weir_http_parser *parser, const char *bytes, size_t end)
{
	size_t stop = least(end, line_limit(parser));
	size_t pos = parser->pos;

	while (pos < stop && (bytes[pos] == ' ' || bytes[pos] == '\t'))
		pos++;
	parser->pos = pos;
	if (pos < end)
		next(parser, FIELD_VALUE, NULL);
}

static void on_field_value(struct weir_http_parser *parser, const char *bytes, size_t end)
{
	size_t limit = line_limit(parser);
	struct weir_http_field *field = &parser->fields[parser->field_count];

	run(parser, bytes, least(end, limit), WEIR_HTTP_VALUE);
	if (parser->pos == end)
		return;
	if (parser->pos == limit && weir_http_is(bytes[limit], WEIR_HTTP_VALUE)) {
		fail(parser, &long_field);
		return;
	}
	if (bytes[parser->pos] != '\r') {
		fail(parser, &bad_field);
		return;
	}
	field->value = since_mark(parser);
	while (field->value.len && (bytes[field->value.at + field->value.len - 1] == ' ' ||
				    bytes[field->value.at + field->value.len - 1] == '\t'))
		field->value.len--;
	parser->field_count++;
	parser->pos++;
	next(parser, FIELD_LF, weir_http_head_field(parser, bytes, field));
}

static void head_step(struct weir_http_parser *parser, const char *bytes, size_t end)
{
	switch (parser->state) {
	case START:
		on_start(parser, bytes);
		break;
	case METHOD:
		on_method(parser, bytes, end);
		break;
	case TARGET:
		on_target(parser, bytes, end);
		break;
	case VERSION:
		on_version(parser, bytes, end);
		break;
	case FIELD:
		on_field(parser, bytes);
		break;
	case FIELD_NAME:
		on_field_name(parser, bytes, end);
		break;
	case FIELD_SPACE:
		on_field_space(parser, bytes, end);
		break;
	case FIELD_VALUE:
		on_field_value(parser, bytes, end);
		break;
	default:
		on_line_feed(parser, bytes);
		break;
	}
}

static enum weir_http_parse feed_head(struct weir_http_parser *parser, const char *bytes, size_t len)
{
	while (parser->pos < len && parser->state < BODY) {
		size_t head_end = (size_t)parser->head_at + parser->limits->max_head_bytes;

		head_step(parser, bytes, least(len, head_end));
		if (parser->pos >= head_end && parser->state < BODY)
			fail(parser, &long_head);
	}
	if (parser->state == FAILED)
		return WEIR_HTTP_PARSE_FAILED;
	return parser->state < BODY ? WEIR_HTTP_PARSE_MORE : WEIR_HTTP_PARSE_HEAD;
}

static enum weir_http_parse feed_body(struct weir_http_parser *parser, size_t len)
{
	size_t have = len - parser->body_at;

	if (have < parser->length) {
		parser->body_len = have;
		parser->pos = len;
		return WEIR_HTTP_PARSE_MORE;
	}
	parser->body_len = (size_t)parser->length;
	parser->pos = parser->body_at + parser->body_len;
	parser->state = DONE;
	return WEIR_HTTP_PARSE_DONE;
}

static enum weir_http_parse feed_chunked(struct weir_http_parser *parser, char *bytes, size_t *len)
{
	size_t body_end = parser->body_at + parser->body_len;
	enum weir_http_chunked_result result =
	    weir_http_chunked_feed(&parser->decoder, parser->limits, bytes, &parser->pos, *len, &body_end);

	parser->body_len = body_end - parser->body_at;
	switch (result) {
	case WEIR_HTTP_CHUNKED_MORE:
		*len = parser->pos = body_end;
		return WEIR_HTTP_PARSE_MORE;
	case WEIR_HTTP_CHUNKED_DONE:
		parser->state = DONE;
		return WEIR_HTTP_PARSE_DONE;
	default:
		fail(parser, parser->decoder.problem);
		return WEIR_HTTP_PARSE_FAILED;
	}
}

enum weir_http_parse weir_http_parser_feed(struct weir_http_parser *parser, char *bytes, size_t *len)
{
	switch (parser->state) {
	case BODY:
		return feed_body(parser, *len);
	case BODY_CHUNKED:
		return feed_chunked(parser, bytes, len);
	case DONE:
		return WEIR_HTTP_PARSE_DONE;
	case FAILED:
		return WEIR_HTTP_PARSE_FAILED;
	default:
		return feed_head(parser, bytes, *len);
	}
}
