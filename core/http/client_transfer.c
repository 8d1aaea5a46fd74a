/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/client_transfer: carries an exchange through libcurl.
 *
 * A transfer is an easy handle that was set up once for its target; for each
 * exchange only body and headers are given. Header nodes are in memory of the
 * transfer: libcurl's own list functions would allocate twice for each.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"

enum {
	HEADER_NODES = 100,
	HEADER_TEXT_MAX = 64 * 1024,
	EXPECT_FROM_BYTES = 1024 * 1024, /* libcurl adds Expect: from here on */
};

struct weir_http_transfer {
	struct weir_http_easy easy;
	CURLU *url;                      /* parsed once: libcurl would do it again for every exchange */
	struct weir_http_transfer *next; /* unused */
	struct weir_http_exchange *exchange;
	struct curl_slist nodes[HEADER_NODES];
	struct weir_dynbuf text; /* what the nodes point to */
	int code;                /* why we broke it off: WEIR_OK with `stopped`: because nothing more is wanted */
	const char *why;
	bool stopped;
	bool head_done; /* of the final answer */
	unsigned interim;
};

/* ---- what libcurl hands us --------------------------------------------------- */

static size_t stop(struct weir_http_transfer *transfer, int code, const char *why)
{
	transfer->stopped = true;
	transfer->code = code;
	transfer->why = why;
	return 0;
}

/* The empty line: interim answers are skipped, except for 101, after which there is no HTTP any more. */
static size_t head_complete(struct weir_http_transfer *transfer, size_t length)
{
	struct weir_http_exchange *exchange = transfer->exchange;
	long status = 0;

	curl_easy_getinfo(transfer->easy.handle, CURLINFO_RESPONSE_CODE, &status);
	if (status == 101) {
		exchange->status = 101;
		return stop(transfer, WEIR_OK, NULL);
	}
	if (status >= 100 && status < 200) {
		if (++transfer->interim > WEIR_HTTP_INTERIM_MAX)
			return stop(transfer, WEIR_EIO, "more than 8 interim answers came");
		return length;
	}
	exchange->status = (int)status;
	transfer->head_done = true;
	return length;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *ctx)
{
	struct weir_http_transfer *transfer = ctx;
	struct weir_dynbuf *head = &transfer->exchange->head;
	size_t length = size * count;

	if (transfer->head_done)
		return length; /* a trailer: never taken as a header */
	if (length >= 5 && memcmp(bytes, "HTTP/", 5) == 0)
		weir_dynbuf_reset(head);
	if (!weir_dynbuf_add(head, bytes, length))
		return stop(transfer, WEIR_EIO, "the answer's headers are larger than 64 KiB");
	if (length <= 2 && (bytes[0] == '\r' || bytes[0] == '\n'))
		return head_complete(transfer, length);
	return length;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
	struct weir_http_transfer *transfer = ctx;
	struct weir_http_exchange *exchange = transfer->exchange;
	size_t length = size * count;
	size_t room = exchange->post.max_response_bytes - exchange->body.len;

	if (length > room) {
		exchange->body_cut = true;
		if (exchange->post.whole)
			return stop(transfer, WEIR_ETOOBIG, "the answer's body is larger than allowed");
	}
	if (!weir_dynbuf_add(&exchange->body, bytes, length < room ? length : room))
		return stop(transfer, WEIR_EIO, "out of memory for the answer's body");
	return length <= room ? length : stop(transfer, WEIR_OK, NULL);
}

/* Connected, about to send: also each time that libcurl starts over because a kept connection was dead. */
static int on_connected(void *ctx, char *remote, char *local, int remote_port, int local_port)
{
	struct weir_http_transfer *transfer = ctx;

	(void)remote;
	(void)local;
	(void)remote_port;
	(void)local_port;
	transfer->exchange->sends++;
	return CURL_PREREQFUNC_OK;
}

/* ---- setting up ----------------------------------------------------------------- */

#define SET(easy, option, value)                                                                                       \
	do {                                                                                                           \
		CURLcode result_ = curl_easy_setopt(easy, option, value);                                              \
		if (result_ != CURLE_OK)                                                                               \
			return result_ == CURLE_OUT_OF_MEMORY ? WEIR_ENOMEM : WEIR_ENOTSUP;                            \
	} while (0)

static int set_up_tls(CURL *easy, const struct weir_http_client *client)
{
	SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	SET(easy, CURLOPT_PIPEWAIT, 1L);
	if (client->ca_file)
		SET(easy, CURLOPT_CAINFO, client->ca_file);
	if (client->certificate_file)
		SET(easy, CURLOPT_SSLCERT, client->certificate_file);
	if (client->key_file)
		SET(easy, CURLOPT_SSLKEY, client->key_file);
	return WEIR_OK;
}

static int set_up(struct weir_http_transfer *transfer, const struct weir_http_target *target)
{
	const struct weir_http_client *client = target->client;
	CURL *easy = transfer->easy.handle;

	transfer->url = curl_url();
	if (!transfer->url || curl_url_set(transfer->url, CURLUPART_URL, target->url, CURLU_PATH_AS_IS) != CURLUE_OK)
		return WEIR_ENOMEM;
	SET(easy, CURLOPT_CURLU, transfer->url);
	SET(easy, CURLOPT_PATH_AS_IS, 1L);
	SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(easy, CURLOPT_POST, 1L);
	SET(easy, CURLOPT_NOSIGNAL, 1L);
	SET(easy, CURLOPT_NOPROGRESS, 1L);
	SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
	/* A proxy from the environment would defeat the address rules. */
	SET(easy, CURLOPT_PROXY, "");
	SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	SET(easy, CURLOPT_TCP_NODELAY, 1L);
	SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	SET(easy, CURLOPT_BUFFERSIZE, 16384L);
	SET(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
	SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)client->options.connect_timeout_ms);
	SET(easy, CURLOPT_MAXAGE_CONN, (long)((client->options.max_idle_ms + 999) / 1000));
	SET(easy, CURLOPT_USERAGENT, client->user_agent);
	SET(easy, CURLOPT_HEADERFUNCTION, on_header);
	SET(easy, CURLOPT_HEADERDATA, transfer);
	SET(easy, CURLOPT_WRITEFUNCTION, on_body);
	SET(easy, CURLOPT_WRITEDATA, transfer);
	SET(easy, CURLOPT_PREREQFUNCTION, on_connected);
	SET(easy, CURLOPT_PREREQDATA, transfer);
	if (weir_http_easy_setup(&transfer->easy) != WEIR_OK)
		return WEIR_ENOMEM;
	return target->parts.tls ? set_up_tls(easy, client) : WEIR_OK;
}

static void transfer_free(struct weir_http_transfer *transfer)
{
	if (transfer->easy.handle)
		curl_easy_cleanup(transfer->easy.handle);
	curl_url_cleanup(transfer->url);
	weir_dynbuf_fini(&transfer->text);
	weir_mem_free(transfer);
}

static void on_easy_done(struct weir_http_easy *easy, CURLcode result);

static int transfer_new(struct weir_http_target *target, struct weir_http_transfer **ret)
{
	struct weir_http_transfer *transfer = weir_mem_zalloc(1, sizeof *transfer);
	int code = WEIR_ENOMEM;

	if (!transfer)
		return WEIR_ENOMEM;
	transfer->easy.client = target->client;
	transfer->easy.done = on_easy_done;
	weir_dynbuf_init(&transfer->text, HEADER_TEXT_MAX);
	if (weir_http_multi_ready(target->client) == WEIR_OK)
		transfer->easy.handle = curl_easy_init();
	if (transfer->easy.handle)
		code = set_up(transfer, target);
	if (code != WEIR_OK) {
		transfer_free(transfer);
		return code;
	}
	*ret = transfer;
	return WEIR_OK;
}

/* ---- the request's headers -------------------------------------------------------- */

static bool add_line(struct weir_dynbuf *text, struct weir_buf name, struct weir_buf value)
{
	/* "Name;" is how libcurl is told to send a header without a value. */
	if (value.len == 0)
		return weir_dynbuf_add_buf(text, name) && weir_dynbuf_add(text, ";", 2);
	return weir_dynbuf_add_buf(text, name) && weir_dynbuf_add(text, ": ", 2) && weir_dynbuf_add_buf(text, value) &&
	       weir_dynbuf_add_char(text, '\0');
}

/* Lines into the text, one after the other with a NUL behind each; *count gets their number. */
static bool write_lines(struct weir_dynbuf *text, const struct weir_http_post *post, size_t *count)
{
	bool typed = false;

	for (size_t i = 0; i < post->header_count; i++) {
		if (!add_line(text, post->headers[i].name, post->headers[i].value))
			return false;
		typed |= weir_str_equal_nocase(post->headers[i].name, WEIR_STR("content-type"));
	}
	*count = post->header_count;
	/* "Name:" is how it is told not to add one of its own. */
	if (!weir_dynbuf_add(text, "Accept:", 8))
		return false;
	++*count;
	if (!typed && ++*count && !weir_dynbuf_add(text, "Content-Type:", 14))
		return false;
	if (post->body.len >= EXPECT_FROM_BYTES && ++*count && !weir_dynbuf_add(text, "Expect:", 8))
		return false;
	return true;
}

static int set_headers(struct weir_http_transfer *transfer, const struct weir_http_post *post)
{
	size_t count = 0;
	char *line;

	if (post->header_count > HEADER_NODES - 3)
		return WEIR_ETOOBIG;
	weir_dynbuf_reset(&transfer->text);
	if (!write_lines(&transfer->text, post, &count))
		return WEIR_ENOMEM;
	line = transfer->text.ptr;
	for (size_t i = 0; i < count; i++) {
		transfer->nodes[i].data = line;
		transfer->nodes[i].next = i + 1 < count ? &transfer->nodes[i + 1] : NULL;
		line += strlen(line) + 1;
	}
	SET(transfer->easy.handle, CURLOPT_HTTPHEADER, transfer->nodes);
	return WEIR_OK;
}

/* ---- carrying ------------------------------------------------------------------------ */

static int transfer_begin(struct weir_http_transfer *transfer, struct weir_http_exchange *exchange)
{
	const struct weir_http_post *post = &exchange->post;
	int code = set_headers(transfer, post);

	if (code != WEIR_OK)
		return code;
	SET(transfer->easy.handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->body.len);
	SET(transfer->easy.handle, CURLOPT_POSTFIELDS, post->body.len ? post->body.ptr : "");
	transfer->exchange = exchange;
	transfer->code = WEIR_OK;
	transfer->why = NULL;
	transfer->stopped = false;
	transfer->head_done = false;
	transfer->interim = 0;
	exchange->transfer = transfer;
	return weir_http_easy_start(&transfer->easy);
}

int weir_http_transfer_start(struct weir_http_exchange *exchange)
{
	struct weir_http_target *target = exchange->target;
	struct weir_http_transfer *transfer = target->transfers;
	int code;

	if (transfer)
		target->transfers = transfer->next;
	else if ((code = transfer_new(target, &transfer)) != WEIR_OK)
		return code;
	code = transfer_begin(transfer, exchange);
	if (code != WEIR_OK) {
		exchange->transfer = NULL;
		transfer_free(transfer);
	}
	return code;
}

void weir_http_transfer_stop(struct weir_http_exchange *exchange)
{
	struct weir_http_transfer *transfer = exchange->transfer;

	weir_http_easy_stop(&transfer->easy);
	exchange->transfer = NULL;
	transfer->exchange = NULL;
	transfer->next = exchange->target->transfers;
	exchange->target->transfers = transfer;
}

static void on_easy_done(struct weir_http_easy *easy, CURLcode result)
{
	struct weir_http_transfer *transfer = (struct weir_http_transfer *)easy;
	struct weir_http_exchange *exchange = transfer->exchange;
	struct weir_http_failure failure = { transfer->code, transfer->why };

	if (!transfer->stopped)
		failure = weir_http_failure_of(easy, result);
	weir_http_transfer_stop(exchange);
	exchange->head_view = weir_dynbuf_view(&exchange->head);
	exchange->body_view = weir_dynbuf_view(&exchange->body);
	weir_http_exchange_finish(exchange, failure.code, failure.text);
}

void weir_http_transfer_free_all(struct weir_http_transfer *list)
{
	while (list) {
		struct weir_http_transfer *next = list->next;
		transfer_free(list);
		list = next;
	}
}
