/* SPDX-License-Identifier: Apache-2.0 */
#include "config/own_url.h"

#include <string.h>

#include "base/str.h"

struct authority {
	struct weir_buf host, port;
};

/* Cuts "host:port" at the colon behind brackets; without one the port is that of http. */
static struct authority split(struct weir_buf text)
{
	const char *at = text.ptr;
	size_t colon = text.len;

	while (colon && at[colon - 1] != ':' && at[colon - 1] != ']')
		colon--;
	if (!colon || at[colon - 1] != ':')
		return (struct authority){ text, WEIR_STR("80") };
	return (struct authority){ { at, colon - 1 }, { at + colon, text.len - colon } };
}

static bool is_loopback(struct weir_buf host)
{
	return weir_str_equal_nocase(host, WEIR_STR("localhost")) || weir_str_starts(host, WEIR_STR("127.")) ||
	       weir_str_equal(host, WEIR_STR("[::1]"));
}

static bool is_everything(struct weir_buf host)
{
	return !host.len || weir_str_equal(host, WEIR_STR("0.0.0.0")) || weir_str_equal(host, WEIR_STR("[::]"));
}

static bool is_same(const struct authority *to, const struct authority *listen)
{
	uint64_t port, own;

	if (!weir_str_to_uint(to->port, &port) || !weir_str_to_uint(listen->port, &own) || port != own)
		return false;
	if (weir_str_equal_nocase(to->host, listen->host))
		return true;
	return is_loopback(to->host) && (is_loopback(listen->host) || is_everything(listen->host));
}

/* "/NAMESPACE/NAME", with or without a query. */
static bool split_path(struct weir_buf path, struct weir_buf *ns, struct weir_buf *name)
{
	struct weir_buf rest;

	if (!weir_str_split(&path, '?', &rest) || !weir_str_starts(rest, WEIR_STR("/")))
		return false;
	rest = (struct weir_buf){ (const char *)rest.ptr + 1, rest.len - 1 };
	if (!weir_str_split(&rest, '/', ns) || !rest.ptr)
		return false;
	*name = rest;
	return ns->len && name->len;
}

bool weir_own_url(struct weir_buf url, struct weir_buf listen, struct weir_buf *ns, struct weir_buf *name)
{
	const struct weir_buf scheme = WEIR_STR("http://");
	struct weir_buf path, address;
	struct authority to;
	const char *slash;

	if (!weir_str_starts_nocase(url, scheme))
		return false;
	url = (struct weir_buf){ (const char *)url.ptr + scheme.len, url.len - scheme.len };
	slash = url.len ? memchr(url.ptr, '/', url.len) : NULL;
	if (!slash)
		return false;
	to = split((struct weir_buf){ url.ptr, (size_t)(slash - (const char *)url.ptr) });
	path = (struct weir_buf){ slash, url.len - (size_t)(slash - (const char *)url.ptr) };
	while (weir_str_split(&listen, ',', &address)) {
		struct authority own = split(address);

		if (is_same(&to, &own))
			return split_path(path, ns, name);
	}
	return false;
}
