/* SPDX-License-Identifier: Apache-2.0 */
#include "event/uri_check.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* unreserved and sub-delims. */
static bool is_plain(char c)
{
	if (is_alpha(c) || is_digit(c))
		return true;
	switch (c) {
	case '-':
	case '.':
	case '_':
	case '~':
	case '!':
	case '$':
	case '&':
	case '\'':
	case '(':
	case ')':
	case '*':
	case '+':
	case ',':
	case ';':
	case '=':
		return true;
	default:
		return false;
	}
}

/* Characters that mean something in some part, a bit each. */
enum {
	COLON = 1u << 0,
	SLASH = 1u << 1,
	QUESTION = 1u << 2,
	HASH = 1u << 3,
	AT = 1u << 4,
	BRACKET = 1u << 5, /* the closing one */
};

static unsigned delimiter(char c)
{
	switch (c) {
	case ':':
		return COLON;
	case '/':
		return SLASH;
	case '?':
		return QUESTION;
	case '#':
		return HASH;
	case '@':
		return AT;
	case ']':
		return BRACKET;
	default:
		return 0;
	}
}

/* Only plain characters, percent-encoded ones, and those of `more`. */
static bool consists_of(const char *p, const char *end, unsigned more)
{
	while (p < end) {
		if (is_plain(*p) || delimiter(*p) & more) {
			p++;
		} else if (*p == '%' && end - p >= 3 && is_hex(p[1]) && is_hex(p[2])) {
			p += 3;
		} else {
			return false;
		}
	}
	return true;
}

/* The first of the characters `set` in p..end, else end. */
static const char *find(const char *p, const char *end, unsigned set)
{
	while (p < end && !(delimiter(*p) & set))
		p++;
	return p;
}

static bool is_scheme(const char *p, const char *end)
{
	if (p == end || !is_alpha(*p))
		return false;
	for (; p < end; p++)
		if (!is_alpha(*p) && !is_digit(*p) && *p != '+' && *p != '-' && *p != '.')
			return false;
	return true;
}

/* What is between the brackets of an IP literal. */
static bool is_ip_literal(const char *p, const char *end)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	const char *dot;

	if (p < end && (*p == 'v' || *p == 'V')) {
		dot = memchr(p, '.', (size_t)(end - p));
		if (!dot)
			return false;
		for (const char *digit = p + 1; digit < dot; digit++)
			if (!is_hex(*digit))
				return false;
		return dot > p + 1 && end - dot > 1 && !memchr(dot, '%', (size_t)(end - dot)) &&
		       consists_of(dot, end, COLON);
	}
	if ((size_t)(end - p) >= sizeof text)
		return false;
	memcpy(text, p, (size_t)(end - p));
	text[end - p] = '\0';
	return strlen(text) == (size_t)(end - p) && inet_pton(AF_INET6, text, &address) == 1;
}

/* [ userinfo AT ] host [ COLON port ] */
static bool is_authority(const char *p, const char *end)
{
	const char *at = find(p, end, AT);
	const char *host_end;

	if (at < end) {
		if (!consists_of(p, at, COLON))
			return false;
		p = at + 1;
	}
	if (p < end && *p == '[') {
		host_end = find(p, end, BRACKET);
		if (host_end == end || !is_ip_literal(p + 1, host_end))
			return false;
		host_end++;
	} else {
		host_end = find(p, end, COLON);
		if (!consists_of(p, host_end, 0))
			return false;
	}
	if (host_end == end)
		return true;
	if (*host_end != ':')
		return false;
	for (p = host_end + 1; p < end; p++)
		if (!is_digit(*p))
			return false;
	return true;
}

/* Everything after the scheme: [ "//" authority ] path [ "?" query ] [ "#" fragment ] */
static bool is_hierarchy(const char *p, const char *end)
{
	const char *part_end;

	if (end - p >= 2 && p[0] == '/' && p[1] == '/') {
		part_end = find(p + 2, end, SLASH | QUESTION | HASH);
		if (!is_authority(p + 2, part_end))
			return false;
		p = part_end;
	}
	part_end = find(p, end, QUESTION | HASH);
	if (!consists_of(p, part_end, COLON | AT | SLASH))
		return false;
	p = part_end;
	if (p < end && *p == '?') {
		part_end = find(p, end, HASH);
		if (!consists_of(p, part_end, COLON | AT | SLASH | QUESTION))
			return false;
		p = part_end;
	}
	return p == end || consists_of(p + 1, end, COLON | AT | SLASH | QUESTION);
}

static bool is_uri(struct weir_buf text, bool needs_scheme)
{
	const char *p = text.ptr;
	const char *end = p + text.len;
	const char *mark;

	if (text.len == 0)
		return false;
	mark = find(p, end, COLON | SLASH | QUESTION | HASH);
	if (mark < end && *mark == ':')
		return is_scheme(p, mark) && is_hierarchy(mark + 1, end);
	return !needs_scheme && is_hierarchy(p, end);
}

bool weir_uri_is_reference(struct weir_buf text)
{
	return is_uri(text, false);
}

bool weir_uri_is_absolute(struct weir_buf text)
{
	return is_uri(text, true);
}
