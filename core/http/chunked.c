/* SPDX-License-Identifier: Apache-2.0 */
#include "http/chunked.h"

#include <string.h>

#include "base/str.h"
#include "http/chars.h"

enum state {
	SIZE,
	SIZE_LF,
	EXT_NAME, /* at least one byte of it */
	EXT_NAME_MORE,
	EXT_VALUE,
	EXT_TOKEN,
	EXT_QUOTED,
	EXT_QUOTED_PAIR,
	EXT_END, /* after a quoted string */
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	LAST_LF,
	DONE,
	FAILED,
};

WEIR_HTTP_PROBLEM(bad_size, 400, "bad_chunk", "A chunk does not begin with its size in hexadecimal digits.");
WEIR_HTTP_PROBLEM(bad_extension, 400, "bad_chunk", "A chunk extension is malformed.");
WEIR_HTTP_PROBLEM(long_extension, 400, "bad_chunk", "The chunk extensions are longer than the limit.");
WEIR_HTTP_PROBLEM(bad_end, 400, "bad_chunk", "A chunk does not end with CR LF after as many bytes as its size says.");
WEIR_HTTP_PROBLEM(bad_trailer, 400, "bad_trailer", "A trailer field is malformed.");
WEIR_HTTP_PROBLEM(many_trailers, 400, "bad_trailer", "There are more trailer fields than the limit.");
WEIR_HTTP_PROBLEM(long_trailer, 431, "header_too_large", "A trailer field is longer than the limit.");
WEIR_HTTP_PROBLEM(long_body, 413, "body_too_large", "The body is longer than the limit.");

static void fail(struct weir_http_chunked *chunked, const struct weir_http_problem *problem)
{
	chunked->state = FAILED;
	chunked->problem = problem;
}

void weir_http_chunked_init(struct weir_http_chunked *chunked)
{
	memset(chunked, 0, sizeof *chunked);
	chunked->state = SIZE;
}

/* After the size, or after an extension. */
static void end_of_part(struct weir_http_chunked *chunked, char c, const struct weir_http_problem *otherwise)
{
	if (c == '\r')
		chunked->state = SIZE_LF;
	else if (c == ';')
		chunked->state = EXT_NAME;
	else
		fail(chunked, otherwise);
}

static void on_size(struct weir_http_chunked *chunked, char c)
{
	int digit = weir_str_hex(c);

	if (digit < 0 && chunked->digits) {
		end_of_part(chunked, c, &bad_size);
		return;
	}
	if (digit < 0 || ++chunked->digits > WEIR_HTTP_MAX_CHUNK_DIGITS) {
		fail(chunked, &bad_size);
		return;
	}
	chunked->left = chunked->left << 4 | (uint64_t)digit;
}

static void on_size_lf(struct weir_http_chunked *chunked, const struct weir_http_limits *limits, char c)
{
	if (c != '\n') {
		fail(chunked, &bad_size);
		return;
	}
	chunked->digits = 0;
	chunked->ext_line = 0;
	if (!chunked->left) {
		chunked->state = TRAILER;
		return;
	}
	/* `total` is within the limit, or the limit was lowered meanwhile. */
	if (chunked->total > limits->max_body_bytes || chunked->left > limits->max_body_bytes - chunked->total) {
		fail(chunked, &long_body);
		return;
	}
	chunked->total += chunked->left;
	chunked->state = DATA;
}

static void on_ext_name(struct weir_http_chunked *chunked, char c)
{
	if (weir_http_is(c, WEIR_HTTP_TOKEN))
		chunked->state = EXT_NAME_MORE;
	else if (c == '=' && chunked->state == EXT_NAME_MORE)
		chunked->state = EXT_VALUE;
	else if (chunked->state == EXT_NAME_MORE)
		end_of_part(chunked, c, &bad_extension);
	else
		fail(chunked, &bad_extension);
}

static void on_ext_value(struct weir_http_chunked *chunked, char c)
{
	if (weir_http_is(c, WEIR_HTTP_TOKEN))
		chunked->state = EXT_TOKEN;
	else if (c == '"' && chunked->state == EXT_VALUE)
		chunked->state = EXT_QUOTED;
	else if (chunked->state == EXT_TOKEN)
		end_of_part(chunked, c, &bad_extension);
	else
		fail(chunked, &bad_extension);
}

static void on_ext_quoted(struct weir_http_chunked *chunked, char c)
{
	bool pair = chunked->state == EXT_QUOTED_PAIR;

	if (pair && weir_http_is(c, WEIR_HTTP_VALUE))
		chunked->state = EXT_QUOTED;
	else if (!pair && c == '"')
		chunked->state = EXT_END;
	else if (!pair && c == '\\')
		chunked->state = EXT_QUOTED_PAIR;
	else if (pair || !weir_http_is(c, WEIR_HTTP_QDTEXT))
		fail(chunked, &bad_extension);
}

static void on_extension(struct weir_http_chunked *chunked, char c)
{
	switch (chunked->state) {
	case EXT_NAME:
	case EXT_NAME_MORE:
		on_ext_name(chunked, c);
		break;
	case EXT_VALUE:
	case EXT_TOKEN:
		on_ext_value(chunked, c);
		break;
	case EXT_QUOTED:
	case EXT_QUOTED_PAIR:
		on_ext_quoted(chunked, c);
		break;
	default:
		end_of_part(chunked, c, &bad_extension);
		break;
	}
}

/* Every byte from the first ';' to the end of the line counts. */
static void count_extension(struct weir_http_chunked *chunked)
{
	if (chunked->state < EXT_NAME || chunked->state > EXT_END)
		return;
	if (++chunked->ext_line > WEIR_HTTP_MAX_CHUNK_EXT_LINE || ++chunked->ext_total > WEIR_HTTP_MAX_CHUNK_EXT)
		fail(chunked, &long_extension);
}

static void on_trailer_name(struct weir_http_chunked *chunked, char c)
{
	if (weir_http_is(c, WEIR_HTTP_TOKEN))
		chunked->state = TRAILER_NAME;
	else if (c == ':' && chunked->state == TRAILER_NAME)
		chunked->state = TRAILER_VALUE;
	else
		fail(chunked, &bad_trailer);
}

static void on_trailer(struct weir_http_chunked *chunked, const struct weir_http_limits *limits, char c)
{
	if (chunked->state == TRAILER) {
		if (c == '\r') {
			chunked->state = LAST_LF;
			return;
		}
		if (++chunked->trailers > WEIR_HTTP_MAX_TRAILERS) {
			fail(chunked, &many_trailers);
			return;
		}
		chunked->line = 0;
	}
	if (chunked->state == TRAILER_VALUE && c == '\r') {
		chunked->state = TRAILER_LF;
		return;
	}
	if (chunked->state != TRAILER_VALUE)
		on_trailer_name(chunked, c);
	else if (!weir_http_is(c, WEIR_HTTP_VALUE))
		fail(chunked, &bad_trailer);
	if (chunked->state != FAILED && ++chunked->line > limits->max_header_bytes)
		fail(chunked, &long_trailer);
}

static void expect(struct weir_http_chunked *chunked, char c, char wanted, enum state next)
{
	if (c == wanted)
		chunked->state = (uint8_t)next;
	else
		fail(chunked, chunked->state < TRAILER ? &bad_end : &bad_trailer);
}

static void on_byte(struct weir_http_chunked *chunked, const struct weir_http_limits *limits, char c)
{
	switch (chunked->state) {
	case SIZE:
		on_size(chunked, c);
		break;
	case SIZE_LF:
		on_size_lf(chunked, limits, c);
		break;
	case DATA_CR:
		expect(chunked, c, '\r', DATA_LF);
		break;
	case DATA_LF:
		expect(chunked, c, '\n', SIZE);
		break;
	case TRAILER_LF:
		expect(chunked, c, '\n', TRAILER);
		break;
	case LAST_LF:
		expect(chunked, c, '\n', DONE);
		break;
	case TRAILER:
	case TRAILER_NAME:
	case TRAILER_VALUE:
		on_trailer(chunked, limits, c);
		break;
	default:
		on_extension(chunked, c);
		break;
	}
	count_extension(chunked);
}

static void take_data(struct weir_http_chunked *chunked, char *bytes, size_t *pos, size_t len, size_t *body_end)
{
	size_t take = len - *pos;

	if (take > chunked->left)
		take = (size_t)chunked->left;
	memmove(bytes + *body_end, bytes + *pos, take);
	*body_end += take;
	*pos += take;
	chunked->left -= take;
	if (!chunked->left)
		chunked->state = DATA_CR;
}

enum weir_http_chunked_result weir_http_chunked_feed(struct weir_http_chunked *chunked,
						     const struct weir_http_limits *limits, char *bytes, size_t *pos,
						     size_t len, size_t *body_end)
{
	while (*pos < len && chunked->state != DONE && chunked->state != FAILED) {
		if (chunked->state == DATA)
			take_data(chunked, bytes, pos, len, body_end);
		else
			on_byte(chunked, limits, bytes[(*pos)++]);
	}
	if (chunked->state == DONE)
		return WEIR_HTTP_CHUNKED_DONE;
	return chunked->state == FAILED ? WEIR_HTTP_CHUNKED_FAILED : WEIR_HTTP_CHUNKED_MORE;
}
