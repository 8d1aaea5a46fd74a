/* SPDX-License-Identifier: Apache-2.0 */
#include "http/request_head.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/str.h"
#include "http/chars.h"

WEIR_HTTP_PROBLEM(bad_target, 400, "bad_request",
		  "The request target is neither a path, nor an http or https URL, nor * with OPTIONS.");
WEIR_HTTP_PROBLEM(bad_escape, 400, "bad_request", "The request target has a % without two hexadecimal digits.");
WEIR_HTTP_PROBLEM(bad_version, 400, "bad_request", "The request line does not end with HTTP/1.0 or HTTP/1.1.");
WEIR_HTTP_PROBLEM(other_version, 505, "version_not_supported", "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
WEIR_HTTP_PROBLEM(bad_length, 400, "bad_header", "Content-Length is not one decimal number.");
WEIR_HTTP_PROBLEM(two_lengths, 400, "bad_header", "Content-Length is given more than once.");
WEIR_HTTP_PROBLEM(bad_coding, 400, "bad_header",
		  "The only Transfer-Encoding understood is chunked, given once, in HTTP/1.1.");
WEIR_HTTP_PROBLEM(both_framings, 400, "bad_header", "Content-Length and Transfer-Encoding exclude each other.");
WEIR_HTTP_PROBLEM(bad_host, 400, "bad_header", "Host is not HOST or HOST:PORT.");
WEIR_HTTP_PROBLEM(two_hosts, 400, "bad_header", "Host is given more than once.");
WEIR_HTTP_PROBLEM(no_host, 400, "bad_header", "Host is missing.");
WEIR_HTTP_PROBLEM(other_host, 400, "bad_header", "Host differs from the authority in the request target.");
WEIR_HTTP_PROBLEM(bad_expect, 417, "expectation_failed", "The only expectation understood is 100-continue.");
WEIR_HTTP_PROBLEM(long_body, 413, "body_too_large", "The body is longer than the limit.");
WEIR_HTTP_PROBLEM(bad_encoding, 415, "unsupported_encoding",
		  "No Content-Encoding is understood: send the body as it is.");

static const struct {
	const char *text;
	enum weir_http_method method;
} methods[] = {
	{ "GET", WEIR_HTTP_GET },         { "HEAD", WEIR_HTTP_HEAD },     { "POST", WEIR_HTTP_POST },
	{ "PUT", WEIR_HTTP_PUT },         { "DELETE", WEIR_HTTP_DELETE }, { "PATCH", WEIR_HTTP_PATCH },
	{ "OPTIONS", WEIR_HTTP_OPTIONS },
};

void weir_http_head_method(struct weir_http_parser *parser, const char *text, size_t len)
{
	parser->method = WEIR_HTTP_OTHER;
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (strlen(methods[i].text) == len && !memcmp(methods[i].text, text, len))
			parser->method = methods[i].method;
}

static struct weir_buf view(const char *bytes, struct weir_http_span span)
{
	return (struct weir_buf){ bytes + span.at, span.len };
}

static bool escapes_are_complete(struct weir_buf text)
{
	const char *at = text.ptr;
	const char *end = at + text.len;

	while ((at = memchr(at, '%', (size_t)(end - at)))) {
		if (end - at < 3 || weir_str_hex(at[1]) < 0 || weir_str_hex(at[2]) < 0)
			return false;
		at += 3;
	}
	return true;
}

/* The length of "[...]" around an IPv6 address, 0 if it is none. */
static size_t literal_length(struct weir_buf text)
{
	char address[INET6_ADDRSTRLEN] = { 0 };
	unsigned char binary[16];
	const char *at = text.ptr;
	const char *end = memchr(at, ']', text.len);

	if (!end || end - at - 1 >= (ptrdiff_t)sizeof address || memchr(at, '\0', (size_t)(end - at)))
		return 0;
	memcpy(address, at + 1, (size_t)(end - at - 1));
	return inet_pton(AF_INET6, address, binary) == 1 ? (size_t)(end - at) + 1 : 0;
}

/* HOST or HOST:PORT, or nothing at all; no user info. */
static bool is_authority(struct weir_buf text)
{
	const char *at = text.ptr;
	size_t pos = 0;

	if (text.len && at[0] == '[') {
		pos = literal_length(text);
		if (!pos)
			return false;
	}
	while (pos < text.len && at[0] != '[' && weir_http_is(at[pos], WEIR_HTTP_REGNAME))
		pos++;
	if (!escapes_are_complete((struct weir_buf){ at, pos }))
		return false;
	if (pos == text.len)
		return true;
	if (at[pos] != ':' || text.len - pos > sizeof ":65535" - 1)
		return false;
	while (++pos < text.len)
		if (at[pos] < '0' || at[pos] > '9')
			return false;
	return true;
}

static void split_query(struct weir_http_parser *parser, const char *bytes, struct weir_http_span rest)
{
	const char *start = bytes + rest.at;
	const char *mark = memchr(start, '?', rest.len);

	parser->path = rest;
	if (!mark)
		return;
	parser->has_query = true;
	parser->path.len = (uint32_t)(mark - start);
	parser->query.at = rest.at + parser->path.len + 1;
	parser->query.len = rest.len - parser->path.len - 1;
}

/* `skip`: the length of "http://". */
static const struct weir_http_problem *split_absolute(struct weir_http_parser *parser, const char *bytes, uint32_t skip)
{
	struct weir_http_span rest = { parser->target.at + skip, parser->target.len - skip };
	uint32_t len = 0;

	while (len < rest.len && bytes[rest.at + len] != '/' && bytes[rest.at + len] != '?')
		len++;
	parser->absolute = true;
	parser->host = (struct weir_http_span){ rest.at, len };
	if (!len || bytes[rest.at] == ':' || !is_authority(view(bytes, parser->host)))
		return &bad_target;
	split_query(parser, bytes, (struct weir_http_span){ rest.at + len, rest.len - len });
	return NULL;
}

const struct weir_http_problem *weir_http_head_target(struct weir_http_parser *parser, const char *bytes)
{
	struct weir_buf target = view(bytes, parser->target);

	if (!target.len)
		return &bad_target;
	if (!escapes_are_complete(target))
		return &bad_escape;
	parser->path = parser->target;
	if (bytes[parser->target.at] == '/') {
		split_query(parser, bytes, parser->target);
		return NULL;
	}
	if (weir_str_starts_nocase(target, WEIR_STR("http://")))
		return split_absolute(parser, bytes, sizeof "http://" - 1);
	if (weir_str_starts_nocase(target, WEIR_STR("https://")))
		return split_absolute(parser, bytes, sizeof "https://" - 1);
	if (weir_str_equal(target, WEIR_STR("*")))
		return parser->method == WEIR_HTTP_OPTIONS ? NULL : &bad_target;
	/* CONNECT's authority; no other method known here can have one. */
	return parser->method == WEIR_HTTP_OTHER && is_authority(target) ? NULL : &bad_target;
}

const struct weir_http_problem *weir_http_head_version(struct weir_http_parser *parser, const char *text)
{
	bool is_version = !memcmp(text, "HTTP/", 5) && text[5] >= '1' && text[5] <= '9' && text[6] == '.' &&
			  text[7] >= '0' && text[7] <= '9';

	if (!is_version)
		return &bad_version;
	if (text[5] != '1')
		return &other_version;
	parser->minor = text[7] == '0' ? 0 : 1;
	return NULL;
}

static const struct weir_http_problem *on_content_length(struct weir_http_parser *parser, struct weir_buf value)
{
	if (parser->has_length)
		return &two_lengths;
	parser->has_length = true;
	return weir_str_to_uint(value, &parser->length) ? NULL : &bad_length;
}

static const struct weir_http_problem *on_transfer_encoding(struct weir_http_parser *parser, struct weir_buf value)
{
	if (parser->chunked || !parser->minor || !weir_str_equal_nocase(value, WEIR_STR("chunked")))
		return &bad_coding;
	parser->chunked = true;
	return NULL;
}

static const struct weir_http_problem *on_host(struct weir_http_parser *parser, const char *bytes,
					       struct weir_http_span span)
{
	struct weir_buf value = view(bytes, span);

	if (parser->has_host)
		return &two_hosts;
	if (!is_authority(value))
		return &bad_host;
	parser->has_host = true;
	if (parser->absolute)
		return weir_str_equal_nocase(value, view(bytes, parser->host)) ? NULL : &other_host;
	parser->host = span;
	return NULL;
}

static void on_connection(struct weir_http_parser *parser, struct weir_buf value)
{
	struct weir_buf part;

	while (weir_str_split(&value, ',', &part)) {
		part = weir_str_trim(part);
		if (weir_str_equal_nocase(part, WEIR_STR("close")))
			parser->close = true;
		else if (weir_str_equal_nocase(part, WEIR_STR("keep-alive")))
			parser->keep_alive = true;
	}
}

static const struct weir_http_problem *on_expect(struct weir_http_parser *parser, struct weir_buf value)
{
	/* RFC 9110, 10.1.1: in HTTP/1.0 it means nothing. */
	if (!parser->minor)
		return NULL;
	parser->expect_continue = weir_str_equal_nocase(value, WEIR_STR("100-continue"));
	return parser->expect_continue ? NULL : &bad_expect;
}

const struct weir_http_problem *weir_http_head_field(struct weir_http_parser *parser, const char *bytes,
						     const struct weir_http_field *field)
{
	struct weir_buf name = view(bytes, field->name);
	struct weir_buf value = view(bytes, field->value);

	switch (name.len) {
	case sizeof "host" - 1:
		return weir_str_equal_nocase(name, WEIR_STR("host")) ? on_host(parser, bytes, field->value) : NULL;
	case sizeof "expect" - 1:
		return weir_str_equal_nocase(name, WEIR_STR("expect")) ? on_expect(parser, value) : NULL;
	case sizeof "connection" - 1:
		if (weir_str_equal_nocase(name, WEIR_STR("connection")))
			on_connection(parser, value);
		return NULL;
	case sizeof "content-length" - 1:
		return weir_str_equal_nocase(name, WEIR_STR("content-length")) ? on_content_length(parser, value)
									       : NULL;
	case sizeof "content-encoding" - 1:
		if (weir_str_equal_nocase(name, WEIR_STR("content-encoding")))
			parser->encoded |= value.len && !weir_str_equal_nocase(value, WEIR_STR("identity"));
		return NULL;
	case sizeof "transfer-encoding" - 1:
		return weir_str_equal_nocase(name, WEIR_STR("transfer-encoding")) ? on_transfer_encoding(parser, value)
										  : NULL;
	default:
		return NULL;
	}
}

const struct weir_http_problem *weir_http_head_end(const struct weir_http_parser *parser)
{
	if (parser->minor && !parser->has_host)
		return &no_host;
	if (parser->has_length && parser->chunked)
		return &both_framings;
	if (parser->length > parser->limits->max_body_bytes)
		return &long_body;
	return parser->encoded ? &bad_encoding : NULL;
}
