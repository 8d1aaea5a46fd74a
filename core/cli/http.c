/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/http.h"

#include <curl/curl.h>
#include <json.h>
#include <stdio.h>
#include <string.h>

#include <weir/version.h>

#include "base/mem.h"
#include "base/str.h"

enum {
	MAX_ANSWER = 64 * 1024,
	MAX_LINE = 64 * 1024 * 1024, /* of a streamed answer: one event */
	CONNECT_TIMEOUT_MS = 5000,
};

struct weir_cli_http {
	CURL *curl;
	char why[CURL_ERROR_SIZE];
};

int weir_cli_http_new(bool direct, struct weir_cli_http **ret, struct weir_error *err)
{
	struct weir_cli_http *http = weir_mem_zalloc(1, sizeof *http);

	if (!http)
		return weir_fail(err, WEIR_ENOMEM, "out of memory");
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		http->curl = curl_easy_init();
	if (!http->curl) {
		weir_mem_free(http);
		return weir_fail(err, WEIR_EINTERNAL, "libcurl cannot be initialised");
	}
	curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, http->why);
	curl_easy_setopt(http->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(http->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(http->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(http->curl, CURLOPT_USERAGENT, "weir/" WEIR_VERSION_TEXT);
	if (direct)
		curl_easy_setopt(http->curl, CURLOPT_NOPROXY, "*");
	*ret = http;
	return WEIR_OK;
}

void weir_cli_http_free(struct weir_cli_http *http)
{
	if (!http)
		return;
	curl_easy_cleanup(http->curl);
	weir_mem_free(http);
}

static int curl_code(CURLcode code)
{
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return WEIR_ETIMEDOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
		return WEIR_EUNAVAIL;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return WEIR_ETLS;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return WEIR_EINVAL;
	case CURLE_OUT_OF_MEMORY:
		return WEIR_ENOMEM;
	default:
		return WEIR_EIO;
	}
}

static int curl_failed(const struct weir_cli_http *http, CURLcode code, const char *url, struct weir_error *err)
{
	int ret = weir_fail(err, curl_code(code), "%s: %s", url, http->why[0] ? http->why : curl_easy_strerror(code));

	weir_error_native(err, "curl", (int)code);
	return ret;
}

/* ---- POST ---------------------------------------------------------------- */

static bool add_line(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (!longer)
		return false;
	*list = longer;
	return true;
}

static struct curl_slist *make_headers(const struct weir_header *headers, size_t count)
{
	struct curl_slist *list = NULL;
	struct weir_dynbuf line;
	/* No "Expect: 100-continue", which costs a round trip, and no type that the event does not have. */
	bool good = add_line(&list, "Expect:") && add_line(&list, "Content-Type:");

	weir_dynbuf_init(&line, MAX_ANSWER);
	for (size_t i = 0; i < count && good; i++) {
		weir_dynbuf_reset(&line);
		weir_dynbuf_add_buf(&line, headers[i].name);
		/* libcurl's way to say that a header is there and empty is ';'. */
		weir_dynbuf_add_text(&line, headers[i].value.len ? ": " : ";");
		good = weir_dynbuf_add_buf(&line, headers[i].value) && add_line(&list, line.ptr);
	}
	weir_dynbuf_fini(&line);
	if (good)
		return list;
	curl_slist_free_all(list);
	return NULL;
}

static size_t keep_answer(char *bytes, size_t size, size_t count, void *ctx)
{
	struct weir_dynbuf *answer = ctx;
	size_t room = answer->max - answer->len;

	(void)size;
	weir_dynbuf_add(answer, bytes, count < room ? count : room);
	return count;
}

int weir_cli_http_post(struct weir_cli_http *http, const char *url, const struct weir_header *headers, size_t count,
		       struct weir_buf body, int64_t timeout_ms, int *status, struct weir_dynbuf *answer,
		       struct weir_error *err)
{
	struct curl_slist *list = make_headers(headers, count);
	CURLcode code;
	long got = 0;

	if (!list)
		return weir_fail(err, WEIR_ENOMEM, "out of memory");
	weir_dynbuf_reset(answer);
	http->why[0] = '\0';
	curl_easy_setopt(http->curl, CURLOPT_URL, url);
	curl_easy_setopt(http->curl, CURLOPT_POST, 1L);
	curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, body.ptr ? (const char *)body.ptr : "");
	curl_easy_setopt(http->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
	curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(http->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, keep_answer);
	curl_easy_setopt(http->curl, CURLOPT_WRITEDATA, answer);
	code = curl_easy_perform(http->curl);
	curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(list);
	if (code != CURLE_OK)
		return curl_failed(http, code, url, err);
	curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &got);
	*status = (int)got;
	return WEIR_OK;
}

/* ---- GET, line by line --------------------------------------------------- */

struct stream {
	struct weir_cli_http *http;
	struct weir_dynbuf pending; /* the start of a line; or, if it is an error, the answer */
	weir_cli_line_fn *line;
	void *ctx;
	long status;
	bool enough;
};

/* Hands on every whole line; false when no more is wanted. */
static bool take_lines(struct stream *stream)
{
	size_t from = 0;
	char *end;

	while (from < stream->pending.len &&
	       (end = memchr(stream->pending.ptr + from, '\n', stream->pending.len - from))) {
		char *start = stream->pending.ptr + from;

		*end = '\0';
		from = (size_t)(end - stream->pending.ptr) + 1;
		if (end > start && !stream->line(stream->ctx, start, (size_t)(end - start))) {
			stream->enough = true;
			return false;
		}
	}
	weir_dynbuf_consume(&stream->pending, from);
	return true;
}

static size_t take_bytes(char *bytes, size_t size, size_t count, void *ctx)
{
	struct stream *stream = ctx;

	(void)size;
	if (!stream->status)
		curl_easy_getinfo(stream->http->curl, CURLINFO_RESPONSE_CODE, &stream->status);
	if (stream->status != 200) {
		if (stream->pending.len + count <= MAX_ANSWER)
			weir_dynbuf_add(&stream->pending, bytes, count);
		return count;
	}
	if (!weir_dynbuf_add(&stream->pending, bytes, count) || !take_lines(stream))
		return 0;
	return count;
}

static int stream_result(struct stream *stream, CURLcode code, const char *url, struct weir_error *err)
{
	char reason[256];
	long status = 0;

	if (stream->enough)
		return WEIR_OK;
	if (stream->pending.failed)
		return weir_fail(err, WEIR_ETOOBIG, "%s: a line is longer than %d bytes", url, MAX_LINE);
	if (code != CURLE_OK)
		return curl_failed(stream->http, code, url, err);
	curl_easy_getinfo(stream->http->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return WEIR_OK;
	if (!weir_cli_http_reason(weir_dynbuf_view(&stream->pending), reason, sizeof reason))
		snprintf(reason, sizeof reason, "no reason given");
	return weir_fail(err,
			 status == 404   ? WEIR_ENOTFOUND
			 : status == 503 ? WEIR_EUNAVAIL
					 : WEIR_EUNKNOWN,
			 "%s answered %ld: %s", url, status, reason);
}

int weir_cli_http_lines(struct weir_cli_http *http, const char *url, int64_t timeout_ms, weir_cli_line_fn *line,
			void *ctx, struct weir_error *err)
{
	struct stream stream = { .http = http, .line = line, .ctx = ctx };
	CURLcode code;
	int result;

	weir_dynbuf_init(&stream.pending, MAX_LINE);
	http->why[0] = '\0';
	curl_easy_setopt(http->curl, CURLOPT_URL, url);
	curl_easy_setopt(http->curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(http->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(http->curl, CURLOPT_WRITEDATA, &stream);
	code = curl_easy_perform(http->curl);
	result = stream_result(&stream, code, url, err);
	weir_dynbuf_fini(&stream.pending);
	return result;
}

/* ---- helpers ------------------------------------------------------------- */

bool weir_cli_http_reason(struct weir_buf body, char *text, size_t size)
{
	json_tokener *tokener = json_tokener_new();
	json_object *root = NULL, *reason;
	bool found = false;

	if (tokener && body.len && body.len < MAX_ANSWER)
		root = json_tokener_parse_ex(tokener, body.ptr, (int)body.len);
	if (json_object_is_type(root, json_type_object) && json_object_object_get_ex(root, "reason", &reason) &&
	    json_object_is_type(reason, json_type_string)) {
		snprintf(text, size, "%s", json_object_get_string(reason));
		for (char *c = text; *c; c++) {
			if ((unsigned char)*c < 0x20 || *c == 0x7f)
				*c = '?';
		}
		found = true;
	}
	json_object_put(root);
	if (tokener)
		json_tokener_free(tokener);
	return found;
}

bool weir_cli_http_base(const char *addresses, char *url, size_t size)
{
	struct weir_buf rest = weir_str(addresses), address;
	const char *text, *colon;
	struct weir_buf host, port;
	uint64_t number;

	if (!weir_str_split(&rest, ',', &address))
		return false;
	address = weir_str_trim(address);
	text = address.ptr;
	colon = address.len ? memrchr(text, ':', address.len) : NULL;
	if (!colon)
		return false;
	host = (struct weir_buf){ text, (size_t)(colon - text) };
	port = (struct weir_buf){ colon + 1, address.len - host.len - 1 };
	if (!weir_str_to_uint(port, &number) || number == 0 || number > 65535)
		return false;
	if (!host.len || weir_str_equal(host, WEIR_STR("0.0.0.0")) || weir_str_equal(host, WEIR_STR("*")))
		host = WEIR_STR("127.0.0.1");
	else if (weir_str_equal(host, WEIR_STR("[::]")))
		host = WEIR_STR("[::1]");
	return (size_t)snprintf(url, size, "http://%.*s:%u", (int)host.len, (const char *)host.ptr, (unsigned)number) <
	       size;
}

static bool add_escaped(struct weir_dynbuf *url, const char *name)
{
	char *escaped = curl_easy_escape(NULL, name, 0);
	bool good = escaped && weir_dynbuf_add_text(url, escaped);

	curl_free(escaped);
	return good;
}

bool weir_cli_http_path(struct weir_dynbuf *url, const char *base, const char *prefix, const char *ns, const char *name)
{
	size_t len = strlen(base);

	while (len && base[len - 1] == '/')
		len--;
	return weir_dynbuf_add(url, base, len) && weir_dynbuf_add_text(url, prefix) && add_escaped(url, ns) &&
	       weir_dynbuf_add_char(url, '/') && add_escaped(url, name);
}
