/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server would drop. It has limits by default, of a million events
 * among others, and beyond them it forgets the oldest, read or not, and tells
 * nobody. Clients are not told the limits; its monitoring endpoint is asked.
 */
#include "natss.h"

#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <json-c/json.h>
#include <json-c/json_object_iterator.h>

enum { ANSWER_MAX = 1 << 20, ANSWER_MS = 2000 };

struct answer {
	char *bytes;
	size_t len;
};

static size_t on_bytes(char *bytes, size_t size, size_t count, void *ctx)
{
	struct answer *answer = ctx;
	size_t len = size * count;
	char *bigger = answer->len + len < ANSWER_MAX ? realloc(answer->bytes, answer->len + len + 1) : NULL;

	if (!bigger)
		return 0;
	memcpy(bigger + answer->len, bytes, len);
	answer->bytes = bigger;
	answer->len += len;
	bigger[answer->len] = '\0';
	return len;
}

static int fetch(const char *base, struct answer *answer, struct weir_error *err)
{
	CURL *easy = curl_easy_init();
	char url[512], why[CURL_ERROR_SIZE] = "";
	size_t len = strlen(base);
	CURLcode result = CURLE_OUT_OF_MEMORY;

	while (len && base[len - 1] == '/')
		len--;
	snprintf(url, sizeof url, "%.*s/streaming/storez", (int)len, base);
	if (easy) {
		curl_easy_setopt(easy, CURLOPT_URL, url);
		curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)ANSWER_MS);
		curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
		curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
		curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
		result = curl_easy_perform(easy);
		curl_easy_cleanup(easy);
	}
	if (result == CURLE_OK)
		return WEIR_OK;
	return weir_fail(err, WEIR_EUNAVAIL,
			 "natss.monitorUrl: the server's limits cannot be read: %.200s; without the setting they are "
			 "not asked for",
			 *why ? why : curl_easy_strerror(result));
}

/* ---- reading it ------------------------------------------------------------------ */

static const struct {
	const char *name, *flag, *unit;
	int64_t divisor;
} drops[] = {
	{ "max_msgs", "-mm 0", "events of a channel", 1 },
	{ "max_bytes", "-mb 0", "bytes of a channel", 1 },
	{ "max_age", "-ma 0", "seconds", 1000000000 },
	{ "max_inactivity", "-mi 0", "seconds in which nobody uses a channel", 1000000000 },
};

static int64_t member(json_object *object, const char *name)
{
	json_object *value = NULL;

	return json_object_object_get_ex(object, name, &value) ? json_object_get_int64(value) : 0;
}

/* Says what of `limits` drops events; "" if nothing does. Returns how much of `text` it used. */
static size_t describe(json_object *limits, const char *of, char *text, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < sizeof drops / sizeof drops[0] && used < size; i++) {
		int64_t value = member(limits, drops[i].name);

		if (value > 0)
			used += (size_t)snprintf(text + used, size - used, "%s%lld %s%s%s (%s)", used ? ", " : "",
						 (long long)(value / drops[i].divisor), drops[i].unit,
						 *of ? " in " : "", of, drops[i].flag);
	}
	return used < size ? used : size - 1;
}

static void describe_all(json_object *store, char *text, size_t size)
{
	json_object *limits = NULL, *channels = NULL, *type = NULL;
	struct json_object_iterator at, end;
	size_t used = 0;

	text[0] = '\0';
	if (json_object_object_get_ex(store, "type", &type) && strcmp(json_object_get_string(type), "MEMORY") == 0)
		used = (size_t)snprintf(text, size, "everything when it stops (-store file)");
	if (!json_object_object_get_ex(store, "limits", &limits))
		return;
	if (used + 2 < size) {
		char more[256];
		size_t len = describe(limits, "", more, sizeof more);

		if (len)
			used += (size_t)snprintf(text + used, size - used, "%severything beyond %s", used ? ", " : "",
						 more);
	}
	if (!json_object_object_get_ex(limits, "channels", &channels))
		return;
	for (at = json_object_iter_begin(channels), end = json_object_iter_end(channels);
	     !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
		char more[128];

		if (used + 2 < size &&
		    describe(json_object_iter_peek_value(&at), json_object_iter_peek_name(&at), more, sizeof more))
			used += (size_t)snprintf(text + used, size - used, "%severything beyond %s", used ? ", " : "",
						 more);
	}
}

static int judge(const struct weir_inst *inst, const char *json, struct weir_error *err)
{
	json_object *store = json_tokener_parse(json);
	char drops_text[300];

	if (!json_object_is_type(store, json_type_object)) {
		json_object_put(store);
		return weir_fail(
		    err, WEIR_EUNAVAIL,
		    "natss.monitorUrl: what answers there is not a streaming server's monitoring endpoint");
	}
	describe_all(store, drops_text, sizeof drops_text);
	json_object_put(store);
	if (!*drops_text)
		return WEIR_OK;
	if (inst->settings.allow_loss) {
		weir_natss_log(inst, 1, "natss: EVENTS MAY BE LOST: the server drops %s, and natss.allowLoss allows it",
			       drops_text);
		return WEIR_OK;
	}
	return weir_fail(err, WEIR_ELIMIT,
			 "natss: the server silently drops %s; start it with the flags named, or set natss.allowLoss",
			 drops_text);
}

int weir_natss_limits_check(const struct weir_inst *inst, struct weir_error *err)
{
	struct answer answer = { NULL, 0 };
	int code;

	if (!inst->settings.monitor)
		return WEIR_OK;
	code = fetch(inst->settings.monitor, &answer, err);
	if (!code)
		code = judge(inst, answer.bytes ? answer.bytes : "", err);
	free(answer.bytes);
	return code;
}
