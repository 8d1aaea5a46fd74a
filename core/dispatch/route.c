/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/route.h"

#include "base/mem.h"
#include "base/str.h"

struct entry {
	struct weir_buf ns, name;
	void *target; /* NULL: free */
};

struct weir_router {
	struct entry *entries; /* open addressing, at most half full */
	size_t mask;
	size_t count, max;
};

int weir_router_new(size_t max, struct weir_router **ret)
{
	struct weir_router *router = weir_mem_zalloc(1, sizeof *router);
	size_t size = 8;

	if (!router)
		return WEIR_ENOMEM;
	while (size < 2 * max)
		size *= 2;
	router->max = max;
	router->mask = size - 1;
	router->entries = weir_mem_zalloc(size, sizeof *router->entries);
	if (!router->entries) {
		weir_mem_free(router);
		return WEIR_ENOMEM;
	}
	*ret = router;
	return WEIR_OK;
}

void weir_router_free(struct weir_router *router)
{
	if (!router)
		return;
	weir_mem_free(router->entries);
	weir_mem_free(router);
}

/* FNV-1a over lower-case letters, so that both ways of asking find the same entry. */
static size_t hash_add(size_t hash, struct weir_buf text)
{
	const unsigned char *bytes = text.ptr;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = bytes[i];

		if (c >= 'A' && c <= 'Z')
			c = (unsigned char)(c | 0x20);
		hash = (hash ^ c) * 1099511628211u;
	}
	return hash;
}

static size_t hash_names(struct weir_buf ns, struct weir_buf name)
{
	size_t hash = hash_add((size_t)14695981039346656037u, ns);

	hash = hash_add(hash, WEIR_STR("/"));
	hash = hash_add(hash, name);
	return hash ^ (hash >> 32);
}

typedef bool equal_fn(struct weir_buf a, struct weir_buf b);

static struct entry *find(const struct weir_router *router, struct weir_buf ns, struct weir_buf name, equal_fn *equal)
{
	size_t at = hash_names(ns, name) & router->mask;
	struct entry *entry = &router->entries[at];

	while (entry->target && !(equal(entry->name, name) && equal(entry->ns, ns))) {
		at = (at + 1) & router->mask;
		entry = &router->entries[at];
	}
	return entry;
}

int weir_router_add(struct weir_router *router, const char *ns, const char *name, void *target)
{
	struct entry *entry;

	if (router->count == router->max)
		return WEIR_ELIMIT;
	entry = find(router, weir_str(ns), weir_str(name), weir_str_equal);
	if (entry->target)
		return WEIR_EEXIST;
	*entry = (struct entry){ weir_str(ns), weir_str(name), target };
	router->count++;
	return WEIR_OK;
}

/* The service names that Knative's channels give themselves: "NAME" + one of these. */
static bool strip_suffix(struct weir_buf *label)
{
	static const struct weir_buf suffixes[] = { { "-kn-channel", 11 },
						    { "-kn-jsm-channel", 15 },
						    { "-kafkachannel", 13 } };
	const char *text = label->ptr;

	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		size_t len = suffixes[i].len;

		if (label->len <= len)
			continue;
		if (weir_str_equal_nocase((struct weir_buf){ text + label->len - len, len }, suffixes[i])) {
			label->len -= len;
			return true;
		}
	}
	return false;
}

/* Without ":PORT"; a host of letters, digits, '-' and '.' has no other colon. */
static struct weir_buf strip_port(struct weir_buf host)
{
	const char *text = host.ptr;

	for (size_t i = host.len; i > 0; i--) {
		char c = text[i - 1];

		if (c == ':')
			return (struct weir_buf){ text, i - 1 };
		if (c < '0' || c > '9')
			break;
	}
	return host;
}

static void *find_host(const struct weir_router *router, struct weir_buf host)
{
	struct weir_buf name, ns, svc;

	if (!host.ptr)
		return NULL;
	host = strip_port(host);
	if (!weir_str_split(&host, '.', &name) || !weir_str_split(&host, '.', &ns) || !weir_str_split(&host, '.', &svc))
		return NULL;
	if (!weir_str_equal_nocase(svc, WEIR_STR("svc")) || !strip_suffix(&name))
		return NULL;
	return find(router, ns, name, weir_str_equal_nocase)->target;
}

void *weir_router_find(const struct weir_router *router, struct weir_buf path, struct weir_buf host)
{
	const char *text = path.ptr;
	struct weir_buf ns;

	if (path.len == 0 || text[0] != '/')
		return NULL;
	if (path.len == 1)
		return find_host(router, host);
	path = (struct weir_buf){ text + 1, path.len - 1 };
	if (!weir_str_split(&path, '/', &ns))
		return NULL;
	if (!path.ptr)
		return find(router, WEIR_STR(""), ns, weir_str_equal)->target;
	return ns.len ? find(router, ns, path, weir_str_equal)->target : NULL;
}

void *weir_router_find_name(const struct weir_router *router, struct weir_buf ns, struct weir_buf name)
{
	return find(router, ns, name, weir_str_equal)->target;
}
