/* SPDX-License-Identifier: Apache-2.0 */
#include "http/address_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { URL_MAX = 4096 };

/* Part of a URL; NULL: it has none. curl_free(). */
static char *part(CURLU *parsed, CURLUPart which, unsigned flags)
{
	char *text = NULL;

	if (curl_url_get(parsed, which, &text, flags) != CURLUE_OK)
		return NULL;
	return text;
}

/* What parsers of URLs are known to disagree about is refused before one of them sees it. */
static int check_characters(const char *url, struct weir_error *err)
{
	size_t length = strnlen(url, URL_MAX + 1);

	if (length == 0)
		return weir_fail(err, WEIR_EINVAL, "the URL is empty");
	if (length > URL_MAX)
		return weir_fail(err, WEIR_EINVAL, "the URL is longer than %d bytes", URL_MAX);
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)url[i];
		if (c <= ' ' || c >= 0x7f || c == '\\' || c == '"' || c == '<' || c == '>')
			return weir_fail(err, WEIR_EINVAL,
					 "the URL has a character that must be percent-encoded, at byte %zu", i);
	}
	if (strchr(url, '#'))
		return weir_fail(err, WEIR_EINVAL, "the URL has a fragment (\"#\"), which cannot be posted to");
	return WEIR_OK;
}

/* Scheme and authority, as they are written. */
static int check_authority(const char *url, struct weir_error *err)
{
	const char *authority;
	size_t length;

	if (strncasecmp(url, "http://", 7) == 0)
		authority = url + 7;
	else if (strncasecmp(url, "https://", 8) == 0)
		authority = url + 8;
	else
		return weir_fail(err, WEIR_EINVAL, "the URL must begin with http:// or https://");
	length = strcspn(authority, "/?");
	if (length == 0 || authority[0] == ':')
		return weir_fail(err, WEIR_EINVAL, "the URL has no host");
	if (memchr(authority, '@', length))
		return weir_fail(err, WEIR_EINVAL, "the URL has user information (\"user@\"), which is not supported");
	if (memchr(authority, '%', length))
		return weir_fail(err, WEIR_EINVAL, "the URL's host has a zone or is percent-encoded");
	return WEIR_OK;
}

/* An IPv4 address in any notation that some resolver takes: "127.1", "0177.0.0.1", "2130706433", "0x7f000001". */
static bool numeric_v4(const char *host, struct sockaddr_in *ret)
{
	char text[64];
	size_t length = strlen(host);

	if (length > 0 && host[length - 1] == '.')
		length--;
	if (length == 0 || length >= sizeof text)
		return false;
	memcpy(text, host, length);
	text[length] = '\0';
	ret->sin_family = AF_INET;
	return inet_aton(text, &ret->sin_addr) != 0;
}

static int check_host(const char *host, const struct weir_http_address_rules *rules, struct weir_error *err)
{
	struct sockaddr_in in = { 0 };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	const struct sockaddr *address = (const struct sockaddr *)&in;
	size_t length = strlen(host);
	char text[INET6_ADDRSTRLEN];

	if (host[0] == '[') {
		if (length < 4 || length - 2 >= sizeof text)
			return weir_fail(err, WEIR_EINVAL, "the URL's host is not an IPv6 address");
		memcpy(text, host + 1, length - 2);
		text[length - 2] = '\0';
		if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1)
			return weir_fail(err, WEIR_EINVAL, "the URL's host is not an IPv6 address");
		address = (const struct sockaddr *)&in6;
	} else if (!numeric_v4(host, &in)) {
		return WEIR_OK; /* a name: judged when it is resolved */
	}
	if (weir_http_address_allowed(rules, address))
		return WEIR_OK;
	return weir_fail(err, WEIR_ENOPERM,
			 "the URL's address may not be posted to: it is link-local, multicast, reserved, or of a "
			 "range that the configuration does not allow");
}

static int check_port(const char *port, struct weir_error *err)
{
	uint64_t number = 0;

	if (!weir_str_to_uint(weir_str(port), &number) || number == 0 || number > 65535)
		return weir_fail(err, WEIR_EINVAL, "the URL's port must be in 1..65535");
	return WEIR_OK;
}

static int parse_failed(CURLUcode code, struct weir_error *err)
{
	switch (code) {
	case CURLUE_OUT_OF_MEMORY:
		return weir_fail(err, WEIR_ENOMEM, "out of memory while reading a URL");
	case CURLUE_BAD_PORT_NUMBER:
		return weir_fail(err, WEIR_EINVAL, "the URL's port must be in 1..65535");
	case CURLUE_NO_HOST:
		return weir_fail(err, WEIR_EINVAL, "the URL has no host");
	default:
		return weir_fail(err, WEIR_EINVAL, "the URL is malformed: %s", curl_url_strerror(code));
	}
}

/* Fills *ret from what was checked. */
static int take_apart(struct weir_http_url *ret, CURLU *parsed, const char *host, struct weir_error *err)
{
	char *scheme = part(parsed, CURLUPART_SCHEME, 0);
	char *port = part(parsed, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
	char *path = part(parsed, CURLUPART_PATH, 0);
	char *query = part(parsed, CURLUPART_QUERY, 0);
	size_t authority_size = strlen(host) + 8;
	size_t target_size = (path ? strlen(path) : 1) + (query ? strlen(query) + 1 : 0) + 1;

	ret->tls = scheme && strcmp(scheme, "https") == 0;
	ret->authority = weir_mem_alloc(authority_size);
	ret->target = weir_mem_alloc(target_size);
	if (scheme && ret->authority && ret->target) {
		snprintf(ret->authority, authority_size, "%s%s%s", host, port ? ":" : "", port ? port : "");
		snprintf(ret->target, target_size, "%s%s%s", path ? path : "/", query ? "?" : "", query ? query : "");
	} else {
		weir_http_url_fini(ret);
	}
	curl_free(query);
	curl_free(path);
	curl_free(port);
	curl_free(scheme);
	return ret->authority ? WEIR_OK : weir_fail(err, WEIR_ENOMEM, "out of memory while reading a URL");
}

static int check_parsed(struct weir_http_url *ret, CURLU *parsed, const struct weir_http_address_rules *rules,
			struct weir_error *err)
{
	char *host = part(parsed, CURLUPART_HOST, 0);
	char *port = part(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	int code;

	if (!host || !port)
		code = weir_fail(err, WEIR_EINVAL, "the URL has no host");
	else if ((code = check_port(port, err)) == WEIR_OK && (code = check_host(host, rules, err)) == WEIR_OK && ret)
		code = take_apart(ret, parsed, host, err);
	curl_free(port);
	curl_free(host);
	return code;
}

static int url_open(struct weir_http_url *ret, const char *url, const struct weir_http_address_rules *rules,
		    struct weir_error *err)
{
	CURLU *parsed;
	CURLUcode parsing;
	int code;

	if ((code = check_characters(url, err)) != WEIR_OK || (code = check_authority(url, err)) != WEIR_OK)
		return code;
	parsed = curl_url();
	if (!parsed)
		return weir_fail(err, WEIR_ENOMEM, "out of memory while reading a URL");
	parsing = curl_url_set(parsed, CURLUPART_URL, url, CURLU_PATH_AS_IS);
	code = parsing == CURLUE_OK ? check_parsed(ret, parsed, rules, err) : parse_failed(parsing, err);
	curl_url_cleanup(parsed);
	return code;
}

int weir_http_url_check(const char *url, const struct weir_http_address_rules *rules, struct weir_error *err)
{
	return url_open(NULL, url, rules, err);
}

int weir_http_url_init(struct weir_http_url *ret, const char *url, const struct weir_http_address_rules *rules,
		       struct weir_error *err)
{
	memset(ret, 0, sizeof *ret);
	return url_open(ret, url, rules, err);
}

void weir_http_url_fini(struct weir_http_url *url)
{
	weir_mem_free(url->authority);
	weir_mem_free(url->target);
	url->authority = NULL;
	url->target = NULL;
}
