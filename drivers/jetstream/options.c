/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's settings, and the names that they make. */
#include "jetstream.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND_MS = 1000, HOUR_MS = 3600 * 1000 };

const struct weir_option weir_js_options[] = {
	WEIR_NATS_LOGIN_OPTIONS("nats://127.0.0.1:4222"),
	{ "domain", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL, "JetStream domain, for servers that are leaf nodes." },
	{ "inboxPrefix", WEIR_OPT_STRING, 0, "_INBOX", 0, 0, NULL,
	  "What subjects for answers begin with; for users who may only subscribe below a prefix." },
	{ "streamPattern", WEIR_OPT_STRING, 0, "KN_{NAMESPACE}__{NAME}", 0, 0, NULL,
	  "Name of a channel's stream. {NAMESPACE}, {NAME}: in capitals, with '_' for '-' and '.'." },
	{ "subjectPattern", WEIR_OPT_STRING, 0, "{namespace}.{name}._knative", 0, 0, NULL,
	  "Subject that a channel's events are published on." },
	{ "consumerPattern", WEIR_OPT_STRING, 0, "KN_SUB_{UID}", 0, 0, NULL,
	  "Name of a subscription's consumer. {UID}: a UUID in capitals without '-'." },
	{ "createStreams", WEIR_OPT_BOOL, 0, "true", 0, 0, NULL, "Whether to create streams that are missing." },
	{ "storage", WEIR_OPT_ENUM, 0, "file", 0, 0, "file|memory",
	  "Where streams that it creates keep events; in memory they are gone when the server restarts." },
	{ "replicas", WEIR_OPT_INT, 0, "1", 1, 5, NULL, "Servers that keep a copy, in streams that it creates." },
	{ "retention", WEIR_OPT_ENUM, 0, "limits", 0, 0, "limits|interest",
	  "Whether streams that it creates keep events until a limit, or until every subscription has them." },
	{ "maxBytes", WEIR_OPT_BYTES, 0, NULL, 1, INT64_MAX, NULL,
	  "Size of streams that it creates; what does not fit is refused. Default: the server's." },
	{ "maxMessages", WEIR_OPT_INT, 0, NULL, 1, INT64_MAX, NULL,
	  "Events in streams that it creates; what does not fit is refused. Default: any number." },
	{ "maxAge", WEIR_OPT_DURATION, 0, NULL, SECOND_MS, INT64_C(3650) * 24 * HOUR_MS, NULL,
	  "Age at which streams that it creates DROP events, delivered or not. Default: never." },
	{ "discard", WEIR_OPT_ENUM, 0, "new", 0, 0, "new|old",
	  "What a full stream does: refuse new events, or DROP the oldest, delivered or not." },
	{ "duplicateWindow", WEIR_OPT_DURATION, 0, "120000", 10 * SECOND_MS, 24 * HOUR_MS, NULL,
	  "How long streams that it creates know an event again." },
	{ "deduplicate", WEIR_OPT_BOOL, 0, "true", 0, 0, NULL,
	  "Whether an event with the source and id of one before is stored once. Without: only its own retries are." },
	{ "ackWait", WEIR_OPT_DURATION, 0, "10000", SECOND_MS, HOUR_MS, NULL,
	  "How long after the death of a dispatcher its events go to another one." },
	{ "maxAckPending", WEIR_OPT_INT, 0, "65536", 1, 10000000, NULL,
	  "Events that all dispatchers together may have outstanding in one subscription." },
};
const uint32_t weir_js_option_count = sizeof weir_js_options / sizeof weir_js_options[0];

/* ---- reading them ------------------------------------------------------------------ */

static bool is(const struct weir_setting *given, size_t count, const char *key, const char *value)
{
	return strcmp(weir_nats_setting(given, count, key), value) == 0;
}

static int64_t number(const struct weir_setting *given, size_t count, const char *key)
{
	return strtoll(weir_nats_setting(given, count, key), NULL, 10);
}

static int known(const struct weir_setting *given, size_t count, struct weir_error *err)
{
	uint32_t row;
	size_t i;

	for (i = 0; i < count; i++) {
		for (row = 0; row < weir_js_option_count; row++)
			if (strcmp(weir_js_options[row].key, given[i].key) == 0)
				break;
		if (row == weir_js_option_count)
			return weir_fail(err, WEIR_EINVAL, "jetstream.%.100s: there is no such setting", given[i].key);
	}
	return WEIR_OK;
}

/* A subject, or the beginning of one: nothing in it that means more than itself. */
static bool subject_legal(const char *text)
{
	const char *at;

	if (!*text || *text == '.' || text[strlen(text) - 1] == '.' || strstr(text, ".."))
		return false;
	for (at = text; *at; at++)
		if (!isgraph((unsigned char)*at) || *at == '*' || *at == '>')
			return false;
	return true;
}

static bool name_legal(const char *text)
{
	return subject_legal(text) && !strpbrk(text, "./\\");
}

static int patterns_check(const struct settings *settings, struct weir_error *err)
{
	static const char both[] = "needs {namespace} and {name}, in small letters or capitals";

	if (!strcasestr(settings->stream_pattern, "{namespace}") || !strcasestr(settings->stream_pattern, "{name}"))
		return weir_fail(err, WEIR_EINVAL, "jetstream.streamPattern: %s", both);
	if (!strcasestr(settings->subject_pattern, "{namespace}") || !strcasestr(settings->subject_pattern, "{name}"))
		return weir_fail(err, WEIR_EINVAL, "jetstream.subjectPattern: %s", both);
	if (!strcasestr(settings->consumer_pattern, "{uid}"))
		return weir_fail(err, WEIR_EINVAL, "jetstream.consumerPattern: needs {UID} or {uid}");
	if (strlen(settings->stream_pattern) > 100 || strlen(settings->consumer_pattern) > 100 ||
	    strlen(settings->subject_pattern) > 200)
		return weir_fail(err, WEIR_EINVAL, "jetstream: a pattern for names leaves no room for the names");
	if (!subject_legal(settings->inbox_prefix) || strlen(settings->inbox_prefix) > 64)
		return weir_fail(err, WEIR_EINVAL, "jetstream.inboxPrefix: is no subject of at most 64 characters");
	return WEIR_OK;
}

static int texts_read(struct settings *settings, const struct weir_setting *given, size_t count, struct weir_error *err)
{
	const char *domain = weir_nats_setting(given, count, "domain");

	settings->stream_pattern = strdup(weir_nats_setting(given, count, "streamPattern"));
	settings->subject_pattern = strdup(weir_nats_setting(given, count, "subjectPattern"));
	settings->consumer_pattern = strdup(weir_nats_setting(given, count, "consumerPattern"));
	settings->inbox_prefix = strdup(weir_nats_setting(given, count, "inboxPrefix"));
	if (!settings->stream_pattern || !settings->subject_pattern || !settings->consumer_pattern ||
	    !settings->inbox_prefix)
		return weir_fail(err, WEIR_ENOMEM, "jetstream: no memory for the settings");
	if (*domain && (!name_legal(domain) || strlen(domain) > 64))
		return weir_fail(err, WEIR_EINVAL, "jetstream.domain: is no name of at most 64 characters");
	snprintf(settings->api, sizeof settings->api, *domain ? "$JS.%s.API" : "$JS.API%s", domain);
	return patterns_check(settings, err);
}

int weir_js_settings_init(struct settings *settings, const struct weir_setting *given, size_t count,
			  struct weir_error *err)
{
	int code = known(given, count, err);

	memset(settings, 0, sizeof *settings);
	code = code ? code : weir_nats_login_init(&settings->login, "jetstream", given, count, err);
	code = code ? code : texts_read(settings, given, count, err);
	if (code)
		return code;
	settings->create = is(given, count, "createStreams", "true");
	settings->memory = is(given, count, "storage", "memory");
	settings->interest = is(given, count, "retention", "interest");
	settings->discard_old = is(given, count, "discard", "old");
	settings->deduplicate = is(given, count, "deduplicate", "true");
	settings->replicas = (int)number(given, count, "replicas");
	settings->max_bytes = number(given, count, "maxBytes");
	settings->max_messages = number(given, count, "maxMessages");
	settings->max_age_ms = number(given, count, "maxAge");
	settings->duplicates_ms = number(given, count, "duplicateWindow");
	settings->ack_wait_ms = (uint32_t)number(given, count, "ackWait");
	settings->max_ack_pending = number(given, count, "maxAckPending");
	if (settings->ack_wait_ms < SECOND_MS)
		return weir_fail(err, WEIR_EINVAL, "jetstream.ackWait: is less than a second");
	if (settings->max_age_ms && settings->duplicates_ms > settings->max_age_ms)
		settings->duplicates_ms = settings->max_age_ms;
	return WEIR_OK;
}

void weir_js_settings_fini(struct settings *settings)
{
	weir_nats_login_fini(&settings->login);
	free(settings->stream_pattern);
	free(settings->subject_pattern);
	free(settings->consumer_pattern);
	free(settings->inbox_prefix);
	memset(settings, 0, sizeof *settings);
}

/* ---- names ------------------------------------------------------------------------------ */

/* Puts `text` at the place of a pattern's mark. False: it does not fit. */
typedef bool put_fn(const char *text, char *ret, size_t size, size_t *used);

static bool put_char(char what, char *ret, size_t size, size_t *used)
{
	if (*used + 1 >= size)
		return false;
	ret[(*used)++] = what;
	return true;
}

static bool put_as_is(const char *text, char *ret, size_t size, size_t *used)
{
	while (*text)
		if (!put_char(*text++, ret, size, used))
			return false;
	return true;
}

static bool put_capitals(const char *text, char *ret, size_t size, size_t *used)
{
	for (; *text; text++) {
		char c = *text == '-' || *text == '.' ? '_' : (char)toupper((unsigned char)*text);

		if (!put_char(c, ret, size, used))
			return false;
	}
	return true;
}

static bool is_uuid(const char *text)
{
	size_t i;

	for (i = 0; text[i]; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-' : !strchr("0123456789abcdef", text[i]))
			return false;
	return i == 36;
}

/* Knative's form of a UUID; anything else so that no two of them become one. */
static bool put_uid(const char *text, char *ret, size_t size, size_t *used)
{
	bool uuid = is_uuid(text), ok = true;

	for (; ok && *text; text++) {
		char escaped[4];

		if (uuid && *text == '-')
			continue;
		if (uuid || isalnum((unsigned char)*text) || *text == '-' || *text == '_') {
			ok = put_char(uuid ? (char)toupper((unsigned char)*text) : *text, ret, size, used);
			continue;
		}
		snprintf(escaped, sizeof escaped, "=%02X", (unsigned)(unsigned char)*text);
		ok = put_as_is(escaped, ret, size, used);
	}
	return ok;
}

static int spell(const char *key, const char *pattern, const char *ns, const char *name, const char *uid, char *ret,
		 size_t size, struct weir_error *err)
{
	const struct {
		const char *mark, *text;
		put_fn *put;
	} marks[] = {
		{ "{namespace}", ns, put_as_is },       { "{name}", name, put_as_is },
		{ "{uid}", uid ? uid : "", put_as_is }, { "{NAMESPACE}", ns, put_capitals },
		{ "{NAME}", name, put_capitals },       { "{UID}", uid ? uid : "", put_uid },
	};
	size_t used = 0, i;
	bool ok = true;

	while (ok && *pattern) {
		for (i = 0; i < sizeof marks / sizeof marks[0]; i++)
			if (strncmp(pattern, marks[i].mark, strlen(marks[i].mark)) == 0)
				break;
		if (i < sizeof marks / sizeof marks[0]) {
			ok = marks[i].put(marks[i].text, ret, size, &used);
			pattern += strlen(marks[i].mark);
		} else {
			ok = put_char(*pattern++, ret, size, &used);
		}
	}
	ret[used] = '\0';
	if (!ok)
		return weir_fail(err, WEIR_EINVAL, "jetstream: the %s is longer than the %zu characters it may have",
				 key, size - 1);
	return WEIR_OK;
}

/* Dots part a subject: in a namespace one would make two channels share it. */
static int part_check(const char *what, const char *text, bool dots, struct weir_error *err)
{
	static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	if (!subject_legal(text) || text[strspn(text, legal)] || (!dots && strchr(text, '.')))
		return weir_fail(err, WEIR_EINVAL,
				 "jetstream: the %s cannot be part of a name: letters, digits, '-', '_'%s", what,
				 dots ? " and single '.' within can" : " can");
	return WEIR_OK;
}

static int parts_check(const char *ns, const char *name, struct weir_error *err)
{
	int code = part_check("namespace", ns, false, err);

	return code ? code : part_check("channel's name", name, true, err);
}

int weir_js_stream_name(const struct settings *settings, const char *ns, const char *name, char *ret, size_t size,
			struct weir_error *err)
{
	int code = parts_check(ns, name, err);

	code = code ? code : spell("stream's name", settings->stream_pattern, ns, name, NULL, ret, size, err);
	if (!code && !name_legal(ret))
		code = weir_fail(err, WEIR_EINVAL, "jetstream.streamPattern: makes a name that no stream can have");
	return code;
}

int weir_js_subject(const struct settings *settings, const char *ns, const char *name, char *ret, size_t size,
		    struct weir_error *err)
{
	int code = parts_check(ns, name, err);

	code = code ? code : spell("subject", settings->subject_pattern, ns, name, NULL, ret, size, err);
	if (!code && !subject_legal(ret))
		code = weir_fail(err, WEIR_EINVAL, "jetstream.subjectPattern: makes no subject");
	return code;
}

int weir_js_consumer_name(const struct settings *settings, const char *ns, const char *name, const char *uid, char *ret,
			  size_t size, struct weir_error *err)
{
	int code = spell("consumer's name", settings->consumer_pattern, ns, name, uid, ret, size, err);

	if (!code && (!*uid || !name_legal(ret)))
		code = weir_fail(err, WEIR_EINVAL, "jetstream: the subscription's uid makes no name of a consumer");
	return code;
}
