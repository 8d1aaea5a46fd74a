/* SPDX-License-Identifier: Apache-2.0 */
#include "config/forms.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/str.h"
#include "event/uri_check.h"

enum { LABEL_MAX = 63, NAME_MAX_BYTES = 253, HOST_MAX = 253, URL_MAX = 2048, PATH_MAX_BYTES = 4000 };

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_letter_or_digit(char c)
{
	return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool all(struct weir_buf text, const char *others, bool (*allowed)(char c))
{
	const char *at = text.ptr;

	for (size_t i = 0; i < text.len; i++) {
		if (!allowed(at[i]) && (!at[i] || !strchr(others, at[i])))
			return false;
	}
	return text.len > 0;
}

/* ---- names --------------------------------------------------------------- */

static bool is_label(struct weir_buf text)
{
	const char *at = text.ptr;

	return text.len <= LABEL_MAX && all(text, "-", is_lower_or_digit) && at[0] != '-' && at[text.len - 1] != '-';
}

static bool is_subdomain(struct weir_buf text)
{
	struct weir_buf rest = text, label;
	const char *at = text.ptr;

	if (!text.len || text.len > NAME_MAX_BYTES || at[text.len - 1] == '.')
		return false;
	while (weir_str_split(&rest, '.', &label)) {
		const char *first = label.ptr;

		if (!all(label, "-", is_lower_or_digit) || first[0] == '-' || first[label.len - 1] == '-')
			return false;
	}
	return true;
}

static const char *check_kind(struct weir_buf text)
{
	const char *at = text.ptr;
	bool starts = text.len && is_letter_or_digit(at[0]) && !(at[0] >= '0' && at[0] <= '9');

	if (starts && text.len <= LABEL_MAX && all(text, "", is_letter_or_digit))
		return NULL;
	return "is not the name of a kind; allowed: letters and digits, beginning with a letter, at most 63";
}

static const char *check_uid(struct weir_buf text)
{
	if (text.len <= NAME_MAX_BYTES && all(text, "-._", is_letter_or_digit))
		return NULL;
	return "is not an identity; allowed: letters, digits, '-', '.' and '_', 1 to 253 of them";
}

static const char *check_path(struct weir_buf text)
{
	if (!text.len)
		return "is an empty path";
	return text.len <= PATH_MAX_BYTES ? NULL : "is longer than a path may be, which is 4000 bytes";
}

/* Where code is loaded from must not depend on where a process was started. */
static const char *check_absolute(struct weir_buf text)
{
	if (!weir_str_starts(text, WEIR_STR("/")))
		return "is not an absolute path; allowed: a path that begins with /";
	return check_path(text);
}

/* ---- addresses ----------------------------------------------------------- */

static bool is_ip(struct weir_buf host, int family)
{
	char text[INET6_ADDRSTRLEN], binary[sizeof(struct in6_addr)];

	if (host.len >= sizeof text)
		return false;
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	return inet_pton(family, text, binary) == 1;
}

static bool is_digit_or_dot(char c)
{
	return (c >= '0' && c <= '9') || c == '.';
}

/* "[::1]", "127.0.0.1", "localhost". */
static bool is_host(struct weir_buf host)
{
	const char *at = host.ptr;

	if (host.len > 2 && at[0] == '[' && at[host.len - 1] == ']')
		return is_ip((struct weir_buf){ at + 1, host.len - 2 }, AF_INET6);
	return host.len <= HOST_MAX && all(host, "-._", is_letter_or_digit) && at[0] != '.' && at[0] != '-';
}

static bool is_port(struct weir_buf text, uint64_t least)
{
	uint64_t port;

	return text.len <= 5 && weir_str_to_uint(text, &port) && port >= least && port <= 65535;
}

/* Cuts "host:port" at the colon that is not within brackets. False: no port. */
static bool split_port(struct weir_buf text, struct weir_buf *host, struct weir_buf *port)
{
	const char *at = text.ptr;
	size_t colon = text.len;

	while (colon && at[colon - 1] != ':' && at[colon - 1] != ']')
		colon--;
	if (!colon || at[colon - 1] != ':')
		return false;
	*host = (struct weir_buf){ at, colon - 1 };
	*port = (struct weir_buf){ at + colon, text.len - colon };
	return true;
}

static const char *check_address(struct weir_buf text)
{
	struct weir_buf host, port;

	if (!split_port(text, &host, &port))
		return "is not an address; allowed: HOST:PORT such as 127.0.0.1:8080, [::1]:8080 or :8080";
	if (!is_port(port, 0))
		return "has a wrong port; allowed: 0 to 65535, where 0 takes one that is free";
	/* Digits and dots alone must be a whole IPv4 address. */
	if (host.len && (!is_host(host) || (all(host, "", is_digit_or_dot) && !is_ip(host, AF_INET))))
		return "has a wrong host; allowed: an IPv4 address, an IPv6 address in brackets, a name, or nothing "
		       "for all";
	return NULL;
}

/* ---- URLs ---------------------------------------------------------------- */

/* Numbers that stand for an IPv4 address in another notation are the HTTP client's to judge: it knows what they mean.
 */
static const char *check_authority(struct weir_buf text)
{
	struct weir_buf host = text, port;

	if (memchr(text.ptr, '@', text.len))
		return "holds a user or password, which a URL must not";
	if (split_port(text, &host, &port) && !is_port(port, 1))
		return "has a wrong port; allowed: 1 to 65535";
	if (!host.len)
		return "has no host";
	return is_host(host) ? NULL
			     : "has a wrong host; allowed: a name, an IPv4 address, or an IPv6 address in brackets";
}

static const char *check_url(struct weir_buf text)
{
	struct weir_buf rest;
	const char *at = text.ptr;
	size_t scheme, len = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (at[i] <= ' ' || at[i] == 0x7f)
			return "holds a blank or something outside ASCII; allowed: a URL with such characters as %XX";
	}
	if (text.len > URL_MAX)
		return "is longer than a URL may be, which is 2048 bytes";
	scheme = weir_str_starts_nocase(text, WEIR_STR("http://"))    ? strlen("http://")
		 : weir_str_starts_nocase(text, WEIR_STR("https://")) ? strlen("https://")
								      : 0;
	if (!scheme)
		return "is not a URL that can be posted to; allowed: http://HOST/... and https://HOST/...";
	if (memchr(at, '#', text.len))
		return "has a fragment, which a URL to post to must not";
	rest = (struct weir_buf){ at + scheme, text.len - scheme };
	while (len < rest.len && !strchr("/?", at[scheme + len]))
		len++;
	return check_authority((struct weir_buf){ rest.ptr, len });
}

bool weir_form_split_channel(struct weir_buf target, struct weir_buf *ns, struct weir_buf *name)
{
	const struct weir_buf prefix = WEIR_STR("channel:");
	struct weir_buf rest;

	if (!weir_str_starts(target, prefix))
		return false;
	rest = (struct weir_buf){ (const char *)target.ptr + prefix.len, target.len - prefix.len };
	*name = *ns = (struct weir_buf){ "", 0 };
	if (weir_str_split(&rest, '/', ns))
		*name = rest;
	return true;
}

static const char *check_target(struct weir_buf text)
{
	struct weir_buf ns, name;

	if (!weir_form_split_channel(text, &ns, &name))
		return check_url(text);
	return is_label(ns) && is_subdomain(name)
		   ? NULL
		   : "does not name a channel; allowed: channel:NAMESPACE/NAME, or a URL";
}

const char *weir_form_check(enum weir_form form, struct weir_buf text)
{
	switch (form) {
	case WEIR_FORM_ADDRESS:
		return check_address(text);
	case WEIR_FORM_LABEL:
		return is_label(text) ? NULL
				      : "is not a namespace; allowed: a-z, 0-9 and '-', 1 to 63, not '-' at an end";
	case WEIR_FORM_NAME:
		return is_subdomain(text) ? NULL
					  : "is not a name; allowed: a-z, 0-9, '-' and '.', 1 to 253, a letter or "
					    "digit at the ends of each part";
	case WEIR_FORM_UID:
		return check_uid(text);
	case WEIR_FORM_KIND:
		return check_kind(text);
	case WEIR_FORM_PATH:
		return check_path(text);
	case WEIR_FORM_ABSOLUTE:
		return check_absolute(text);
	case WEIR_FORM_URL:
		return check_url(text);
	case WEIR_FORM_TARGET:
		return check_target(text);
	case WEIR_FORM_SOURCE:
		return weir_uri_is_reference(text) ? NULL : "is not a URI reference, which the source of an event is";
	default:
		return NULL;
	}
}
