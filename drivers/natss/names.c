/* SPDX-License-Identifier: Apache-2.0 */
/* Names at the server: of channels, of subscriptions, of ourselves. */
#include "natss.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

enum { CLIENT_LETTERS = sizeof letters - 2 }; /* a client's id has no dots */

/* ---- channels -------------------------------------------------------------- */

size_t weir_natss_pattern_literals(const char *pattern)
{
	size_t count = 0;

	while (*pattern) {
		const char *end = *pattern == '{' ? strchr(pattern, '}') : NULL;

		count += !end;
		pattern = end ? end + 1 : pattern + 1;
	}
	return count;
}

/* What the server takes, less what is special in a subject. In a namespace a dot would make two channels one. */
static int part_check(const char *what, const char *text, bool dots, struct weir_error *err)
{
	size_t len = strlen(text);

	if (len && strspn(text, letters) == len && (dots || !strchr(text, '.')))
		return WEIR_OK;
	return weir_fail(err, WEIR_EINVAL, "natss: the %s cannot be part of a name: letters, digits, '-', '_'%s", what,
			 dots ? " and '.' can" : " can");
}

static int whole_check(const char *name, size_t len, struct weir_error *err)
{
	if (name[0] == '.' || name[len - 1] == '.' || strstr(name, ".."))
		return weir_fail(err, WEIR_EINVAL,
				 "natss: a channel's name must not begin or end with '.', nor have two in a row");
	return WEIR_OK;
}

int weir_natss_channel_name(const char *pattern, const char *ns, const char *name, char ret[WEIR_NATSS_MAX_CHANNEL + 1],
			    struct weir_error *err)
{
	const struct {
		const char *mark, *text;
	} parts[] = { { "{namespace}", ns }, { "{name}", name } };
	int code = part_check("namespace", ns, false, err);
	size_t used = 0;

	code = code ? code : part_check("channel's name", name, true, err);
	while (!code && *pattern) {
		const char *text = pattern;
		size_t len = 1, step = 1;

		for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
			if (strncmp(pattern, parts[i].mark, strlen(parts[i].mark)) != 0)
				continue;
			text = parts[i].text;
			len = strlen(text);
			step = strlen(parts[i].mark);
		}
		if (used + len > WEIR_NATSS_MAX_CHANNEL)
			return weir_fail(err, WEIR_EINVAL,
					 "natss: the channel's name is longer than the %d characters that it may have",
					 WEIR_NATSS_MAX_CHANNEL);
		memcpy(ret + used, text, len);
		used += len;
		pattern += step;
	}
	ret[used] = '\0';
	if (code)
		return code;
	code = part_check("name that natss.channelPattern makes", ret, true, err);
	return code ? code : whole_check(ret, used, err);
}

/* ---- subscriptions --------------------------------------------------------- */

int weir_natss_uid_check(const char *uid, bool queue, struct weir_error *err)
{
	size_t len = strlen(uid);

	if (!len || len > WEIR_NATSS_MAX_UID)
		return weir_fail(err, WEIR_EINVAL, "natss: a subscription's uid has 1 to %d characters",
				 WEIR_NATSS_MAX_UID);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)uid[i] <= ' ' || uid[i] == 0x7f || (queue && uid[i] == ':'))
			return weir_fail(err, WEIR_EINVAL,
					 "natss: a subscription's uid must not have blanks or control characters%s",
					 queue ? ", and with members=queue no ':'" : "");
	return WEIR_OK;
}

/* ---- clients --------------------------------------------------------------- */

/* Adds what of `text` a client's id may have. */
static size_t client_add(char *ret, size_t used, size_t max, const char *text)
{
	for (; *text && used < max; text++)
		ret[used++] = memchr(letters, *text, CLIENT_LETTERS) ? *text : '_';
	ret[used] = '\0';
	return used;
}

/* FNV-1a. */
static uint64_t hash_add(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	while (*text++);
	return hash;
}

void weir_natss_reader_name(const char *channel, const char *uid, char ret[WEIR_NATSS_MAX_CLIENT + 1])
{
	size_t used = client_add(ret, 0, WEIR_NATSS_MAX_CLIENT, "weir-");
	uint64_t hash = hash_add(hash_add(UINT64_C(0xcbf29ce484222325), channel), uid);

	/* The hash tells them apart; the rest is for people. */
	used = client_add(ret, used, used + 40, channel);
	used = client_add(ret, used, used + 1, "-");
	used = client_add(ret, used, used + 40, uid);
	snprintf(ret + used, WEIR_NATSS_MAX_CLIENT + 1 - used, "-%016" PRIx64, hash);
}

void weir_natss_own_name(const char *prefix, char ret[WEIR_NATSS_MAX_CLIENT + 1])
{
	char host[65] = "";
	uint32_t number = 0;
	size_t used = 0;

	if (!prefix) {
		if (gethostname(host, sizeof host - 1) || !*host)
			snprintf(host, sizeof host, "host");
		used = client_add(ret, 0, WEIR_NATSS_MAX_CLIENT, "weir-");
	}
	used = client_add(ret, used, used + 64, prefix ? prefix : host);
	/* A server keeps the id of a process that died for minutes: the next one takes another. */
	if (getrandom(&number, sizeof number, GRND_NONBLOCK) < 0)
		number = (uint32_t)weir_natss_now();
	snprintf(ret + used, WEIR_NATSS_MAX_CLIENT + 1 - used, "-%08" PRIx32, number);
}
