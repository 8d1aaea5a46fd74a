/* SPDX-License-Identifier: Apache-2.0 */
#include "oauth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

enum {
	MAX_ANSWER = 64 * 1024,
	MAX_FILE = 16 * 1024,
	FETCH_MS = 10000,
	MAX_LIFE_S = 86400,
};

/* ---- the request ------------------------------------------------------------------------ */

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void weir_kafka_token_url(struct weir_kafka_token_request *request, const char *url)
{
	free(request->url);
	request->url = strdup(url);
	request->failed = request->failed || !request->url;
}

/* "old&name=value", escaped; NULL: no memory. `old` stays. */
static char *field_join(const char *old, const char *name, const char *value)
{
	char *escaped = curl_easy_escape(NULL, value, 0), *joined = NULL;

	if (escaped && asprintf(&joined, "%s%s%s=%s", old ? old : "", old ? "&" : "", name, escaped) < 0)
		joined = NULL;
	if (escaped)
		explicit_bzero(escaped, strlen(escaped));
	curl_free(escaped);
	return joined;
}

void weir_kafka_token_field(struct weir_kafka_token_request *request, const char *name, const char *value)
{
	char *joined = field_join(request->fields, name, value);

	if (!joined) {
		request->failed = true;
		return;
	}
	wipe(request->fields);
	request->fields = joined;
}

bool weir_kafka_token_file(struct weir_kafka_token_request *request, const char *name, const char *path)
{
	request->file_field = strdup(name);
	request->file = strdup(path);
	return request->file && request->file_field;
}

void weir_kafka_token_request_fini(struct weir_kafka_token_request *request)
{
	free(request->url);
	wipe(request->fields);
	free(request->file);
	free(request->file_field);
	memset(request, 0, sizeof *request);
}

void weir_kafka_token_fini(struct weir_kafka_token *token)
{
	wipe(token->value);
	memset(token, 0, sizeof *token);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

/* Behind the string that begins at text[at], a quote; 0: it has no end. */
static size_t string_end(const char *text, size_t len, size_t at)
{
	for (at++; at < len && text[at] != '"'; at++)
		at += text[at] == '\\';
	return at < len ? at + 1 : 0;
}

static size_t blank_skip(const char *text, size_t len, size_t at)
{
	while (at < len && strchr(" \t\r\n", text[at]) && text[at])
		at++;
	return at;
}

static bool string_take(const char *text, size_t begin, size_t end, char *ret, size_t size)
{
	size_t used = 0;

	for (; begin < end; begin++) {
		if (text[begin] == '\\' && (++begin == end || !strchr("\"\\/", text[begin])))
			return false;
		if (used + 1 >= size || (unsigned char)text[begin] < 0x20)
			return false;
		ret[used++] = text[begin];
	}
	ret[used] = '\0';
	return true;
}

static bool scalar_take(const char *text, size_t len, size_t at, char *ret, size_t size)
{
	size_t end = at;

	if (at < len && text[at] == '"') {
		end = string_end(text, len, at);
		return end && string_take(text, at + 1, end - 1, ret, size);
	}
	while (end < len && ((text[end] >= '0' && text[end] <= '9') || text[end] == '-' || text[end] == '.'))
		end++;
	return end > at && string_take(text, at, end, ret, size);
}

bool weir_kafka_json_scalar(const char *text, size_t len, const char *key, char *ret, size_t size)
{
	size_t at = blank_skip(text, len, 0), depth = 0, end;

	if (at == len || text[at] != '{')
		return false;
	for (; at < len; at++) {
		depth += text[at] == '{' || text[at] == '[';
		depth -= text[at] == '}' || text[at] == ']';
		if (!depth)
			return false;
		if (text[at] != '"')
			continue;
		end = string_end(text, len, at);
		if (!end)
			return false;
		/* Only a name is followed by a colon. */
		if (depth == 1 && end - at - 2 == strlen(key) && memcmp(text + at + 1, key, strlen(key)) == 0) {
			size_t colon = blank_skip(text, len, end);

			if (colon < len && text[colon] == ':')
				return scalar_take(text, len, blank_skip(text, len, colon + 1), ret, size);
		}
		at = end - 1;
	}
	return false;
}

/* ---- the answer ------------------------------------------------------------------------------- */

struct answer {
	size_t len;
	char text[MAX_ANSWER];
};

static size_t on_data(char *data, size_t one, size_t len, void *opaque)
{
	struct answer *answer = opaque;

	(void)one;
	if (len > sizeof answer->text - answer->len)
		return 0;
	memcpy(answer->text + answer->len, data, len);
	answer->len += len;
	return len;
}

static int on_progress(void *opaque, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct weir_kafka_token_request *request = opaque;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return request->stop && atomic_load(request->stop);
}

/* RFC 6749 5.2: a word like invalid_client. Anything else may hold more than one should repeat. */
static void refusal(const struct answer *answer, long status, char *why, size_t size)
{
	char word[64] = "";

	if (!weir_kafka_json_scalar(answer->text, answer->len, "error", word, sizeof word) ||
	    word[strspn(word, "abcdefghijklmnopqrstuvwxyz_")])
		word[0] = '\0';
	snprintf(why, size, "the token endpoint answers %ld%s%s", status, *word ? ": " : "", word);
}

static bool answer_read(const struct answer *answer, struct weir_kafka_token *token, char *why, size_t why_size)
{
	char life[24] = "", *value = malloc(MAX_ANSWER);
	int64_t seconds, now = (int64_t)time(NULL);

	if (!value || !weir_kafka_json_scalar(answer->text, answer->len, "access_token", value, MAX_ANSWER) ||
	    !*value) {
		snprintf(why, why_size, "the token endpoint's answer has no access_token");
		free(value);
		return false;
	}
	if (!weir_kafka_json_scalar(answer->text, answer->len, "expires_in", life, sizeof life) ||
	    (seconds = strtoll(life, NULL, 10)) <= 0) {
		snprintf(why, why_size, "the token endpoint does not say how long its token is valid");
		wipe(value);
		return false;
	}
	wipe(token->value);
	token->value = value;
	token->begin_s = now;
	token->end_s = now + (seconds > MAX_LIFE_S ? MAX_LIFE_S : seconds);
	return true;
}

/* ---- fetching -------------------------------------------------------------------------------------- */

/* The fields with the file's content among them; NULL with `why`. */
static char *fields_now(const struct weir_kafka_token_request *request, char *why, size_t why_size)
{
	char content[MAX_FILE], *fields = NULL;
	FILE *file;
	size_t len;

	if (!request->file)
		return request->fields ? strdup(request->fields) : NULL;
	file = fopen(request->file, "re");
	if (!file) {
		snprintf(why, why_size, "%.150s cannot be read", request->file);
		return NULL;
	}
	len = fread(content, 1, sizeof content - 1, file);
	fclose(file);
	while (len && strchr(" \r\n\t", content[len - 1]))
		len--;
	content[len] = '\0';
	if (len)
		fields = field_join(request->fields, request->file_field, content);
	else
		snprintf(why, why_size, "%.150s is empty", request->file);
	explicit_bzero(content, sizeof content);
	return fields;
}

static void options_set(CURL *curl, const struct weir_kafka_token_request *request, struct answer *answer)
{
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)FETCH_MS);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "weir");
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, request);
	if (request->ca_file && *request->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, request->ca_file);
}

/* A form by POST, or a query by GET with the header that keeps others from tricking somebody into asking. */
static struct curl_slist *target_set(CURL *curl, const struct weir_kafka_token_request *request, const char *fields,
				     char **url)
{
	struct curl_slist *headers = NULL;

	if (!request->metadata) {
		curl_easy_setopt(curl, CURLOPT_URL, request->url);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, fields);
		return curl_slist_append(NULL, "Accept: application/json");
	}
	if (asprintf(url, "%s?%s", request->url, fields) < 0) {
		*url = NULL;
		return NULL;
	}
	curl_easy_setopt(curl, CURLOPT_URL, *url);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	headers = curl_slist_append(NULL, "Metadata: true");
	return headers;
}

static bool exchange(const struct weir_kafka_token_request *request, const char *fields, struct answer *answer,
		     char *why, size_t why_size)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers;
	char *url = NULL;
	long status = 0;
	CURLcode code = CURLE_OUT_OF_MEMORY;

	if (!curl) {
		snprintf(why, why_size, "no memory");
		return false;
	}
	options_set(curl, request, answer);
	headers = target_set(curl, request, fields, &url);
	if (headers) {
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		code = curl_easy_perform(curl);
	}
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	free(url);
	if (code)
		snprintf(why, why_size, "the token endpoint: %s", curl_easy_strerror(code));
	else if (status != 200)
		refusal(answer, status, why, why_size);
	return !code && status == 200;
}

bool weir_kafka_token_fetch(const struct weir_kafka_token_request *request, struct weir_kafka_token *token, char *why,
			    size_t why_size)
{
	struct answer *answer = calloc(1, sizeof *answer);
	char *fields = fields_now(request, why, why_size);
	bool ok = answer && fields && exchange(request, fields, answer, why, why_size) &&
		  answer_read(answer, token, why, why_size);

	if (!answer || (!fields && !*why))
		snprintf(why, why_size, "no memory");
	if (answer)
		explicit_bzero(answer, sizeof *answer);
	free(answer);
	wipe(fields);
	return ok;
}
