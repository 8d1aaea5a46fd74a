/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/ingress_state.h"

#include <string.h>

#include "base/container.h"
#include "base/dynbuf.h"
#include "base/mem.h"
#include "base/str.h"
#include "dispatch/encode.h"
#include "dispatch/status.h"

/* ---- answers -------------------------------------------------------------- */

struct weir_ingress_pending *weir_ingress_pend(struct weir_ingress *ingress, struct weir_ingress_channel *channel,
					       struct weir_http_request *request)
{
	struct weir_ingress_pending *pending = ingress->free;

	if (pending)
		ingress->free = pending->next;
	else if (ingress->slab_used < WEIR_INGRESS_OUTSTANDING)
		pending = &ingress->slab[ingress->slab_used++];
	else
		return NULL;
	*pending = (struct weir_ingress_pending){ .request = request, .channel = channel };
	weir_ingress_slot(ingress, channel)->pending++;
	return pending;
}

static void give_back(struct weir_ingress *ingress, struct weir_ingress_pending *pending)
{
	weir_mem_free(pending->kyma_id);
	pending->kyma_id = NULL;
	weir_ingress_slot(ingress, pending->channel)->pending--;
	pending->request = NULL;
	pending->next = ingress->free;
	ingress->free = pending;
}

/* `challenge`: of WWW-Authenticate; NULL: none. */
static void respond_reason(struct weir_http_request *request, const struct weir_status *status, const char *text,
			   const char *challenge)
{
	const struct weir_header headers[] = { { WEIR_STR("content-type"), WEIR_STR("application/json") },
					       { WEIR_STR("www-authenticate"), weir_str(challenge) } };
	struct weir_dynbuf body;

	weir_dynbuf_init(&body, 2048);
	weir_dynbuf_addf(&body, "{\"code\":\"%s\",\"reason\":", status->code);
	weir_encode_json_text(&body, weir_str(text));
	if (weir_dynbuf_add_char(&body, '}'))
		weir_http_respond(request, status->status, headers, challenge ? 2 : 1, weir_dynbuf_view(&body));
	else
		weir_http_respond_error(request, status->status, status->code, status->reason);
	weir_dynbuf_fini(&body);
}

void weir_ingress_refuse(struct weir_ingress *ingress, const struct weir_ingress_channel *channel,
			 struct weir_http_request *request, int code, const char *text)
{
	const struct weir_status *status = weir_status_of_code(code);
	struct weir_ingress_counters *counters = &weir_ingress_slot(ingress, channel)->counters;
	bool later = status->status == 429 || status->status >= 500;

	weir_figure_add(later ? &counters->unavailable : &counters->rejected, 1);
	if (text && !later)
		respond_reason(request, status, text, NULL);
	else
		weir_http_respond_error(request, status->status, status->code, status->reason);
}

void weir_ingress_answer(struct weir_ingress *ingress, struct weir_ingress_pending *pending)
{
	static const struct weir_http_canned stored = { 202, "" };
	static const struct weir_http_canned in_memory = { 202, "Weir-Durability: memory\r\n" };
	struct weir_ingress_counters *counters = &weir_ingress_slot(ingress, pending->channel)->counters;

	if (pending->failed) {
		weir_ingress_refuse(ingress, pending->channel, pending->request, pending->failed, NULL);
	} else {
		weir_figure_add(&counters->accepted, pending->events);
		weir_figure_add(&counters->bytes, pending->bytes);
		if (pending->kyma_id)
			weir_ingress_kyma_stored(pending->request, pending->kyma_id);
		else
			weir_http_respond_canned(pending->request,
						 pending->channel->volatile_store ? &in_memory : &stored);
	}
	give_back(ingress, pending);
}

void weir_ingress_published(void *ctx, uint64_t tag, int code)
{
	struct weir_ingress_pending *pending = (struct weir_ingress_pending *)(uintptr_t)tag;

	if (code && !pending->failed)
		pending->failed = code;
	if (--pending->left == 0)
		weir_ingress_answer(ctx, pending);
}

/* ---- gathering ------------------------------------------------------------ */

static weir_event *take_event(struct weir_ingress *ingress)
{
	weir_event *event;

	if (ingress->spare_count)
		return ingress->spare[--ingress->spare_count];
	if (weir_event_new(&event))
		return NULL;
	weir_event_set_limits(event, &ingress->options.event_limits);
	return event;
}

static void leave_event(struct weir_ingress *ingress, weir_event *event)
{
	/* A cleared event keeps its memory: large ones are not kept, or a pool of them would stay large for ever. */
	if (ingress->spare_count == WEIR_INGRESS_GATHER || weir_event_data(event).len > WEIR_INGRESS_KEEP_BYTES) {
		weir_event_free(event);
		return;
	}
	weir_event_clear(event);
	ingress->spare[ingress->spare_count++] = event;
}

static void refuse_item(struct weir_ingress *ingress, const struct weir_publish_item *item, int code)
{
	struct weir_ingress_pending *pending = (struct weir_ingress_pending *)(uintptr_t)item->tag;

	pending->failed = code;
	weir_ingress_answer(ingress, pending);
}

/* True if a code is about one item only, so that those behind it may still be taken. */
static bool is_about_item(int code)
{
	return code == WEIR_ETOOBIG || code == WEIR_EINVAL;
}

static void publish_gather(struct weir_ingress *ingress, struct weir_ingress_gather *gather)
{
	size_t at = 0, accepted;
	int code = WEIR_OK;

	while (at < gather->count) {
		if (!code || is_about_item(code)) {
			code = weir_publishing_publish(&ingress->publishing, gather->channel->channel,
						       gather->items + at, gather->count - at, 0, &accepted, NULL);
			at += accepted;
		}
		if (at < gather->count)
			refuse_item(ingress, &gather->items[at++], code ? code : WEIR_EUNAVAIL);
	}
	for (size_t i = 0; i < gather->count; i++)
		leave_event(ingress, gather->items[i].event);
	gather->count = 0;
}

void weir_ingress_end_turn(struct weir_hook *hook)
{
	struct weir_ingress *ingress = WEIR_CONTAINER(hook, struct weir_ingress, hook);
	struct weir_ingress_gather *gather;

	while ((gather = ingress->listed)) {
		ingress->listed = gather->next;
		gather->listed = false;
		publish_gather(ingress, gather);
	}
}

void weir_ingress_flush(struct weir_ingress *ingress, const struct weir_ingress_channel *channel)
{
	struct weir_ingress_gather *gather = weir_ingress_slot(ingress, channel)->gather;

	if (gather)
		publish_gather(ingress, gather);
}

static struct weir_ingress_gather *find_gather(struct weir_ingress *ingress, struct weir_ingress_channel *channel)
{
	struct weir_ingress_slot *slot = weir_ingress_slot(ingress, channel);
	struct weir_ingress_gather *gather = slot->gather;

	if (!gather) {
		gather = weir_mem_zalloc(1, sizeof *gather);
		if (!gather)
			return NULL;
		gather->channel = channel;
		slot->gather = gather;
	}
	if (!gather->listed) {
		gather->listed = true;
		gather->next = ingress->listed;
		ingress->listed = gather;
	}
	return gather;
}

/* Takes the event, and the id if it is to be answered with one. */
static void gather_event(struct weir_ingress *ingress, struct weir_ingress_channel *channel,
			 struct weir_http_request *request, weir_event *event, char *kyma_id)
{
	struct weir_ingress_gather *gather = find_gather(ingress, channel);
	struct weir_ingress_pending *pending = gather ? weir_ingress_pend(ingress, channel, request) : NULL;

	if (!pending) {
		leave_event(ingress, event);
		weir_mem_free(kyma_id);
		weir_ingress_refuse(ingress, channel, request, gather ? WEIR_EAGAIN : WEIR_ENOMEM, NULL);
		return;
	}
	pending->kyma_id = kyma_id;
	pending->bytes = weir_event_data(event).len;
	pending->events = 1;
	pending->left = 1;
	gather->items[gather->count++] =
	    (struct weir_publish_item){ .event = event, .tag = (uint64_t)(uintptr_t)pending };
	if (gather->count == WEIR_INGRESS_GATHER)
		publish_gather(ingress, gather);
}

/* ---- requests ------------------------------------------------------------- */

static bool is_batch(const struct weir_http_request *request)
{
	const struct weir_header *headers;
	size_t count = weir_http_request_headers(request, &headers);
	enum weir_mode mode;

	return weir_http_mode(headers, count, &mode, NULL) == WEIR_OK && mode == WEIR_MODE_BATCH;
}

/* Bodies are passed on as they are, so one that says it is compressed would reach subscribers as something else. */
static bool is_encoded(const struct weir_http_request *request)
{
	struct weir_buf encoding = weir_http_request_header(request, "content-encoding");

	return encoding.ptr && !weir_str_equal_nocase(weir_str_trim(encoding), WEIR_STR("identity"));
}

static void on_kyma_post(struct weir_ingress *ingress, struct weir_ingress_channel *channel,
			 struct weir_http_request *request, weir_event *event)
{
	char *id;

	if (weir_ingress_kyma_decode(ingress, channel, request, event, &id))
		leave_event(ingress, event);
	else
		gather_event(ingress, channel, request, event, id);
}

static void on_post(struct weir_ingress *ingress, struct weir_ingress_channel *channel,
		    struct weir_http_request *request)
{
	const struct weir_header *headers;
	size_t count = weir_http_request_headers(request, &headers);
	struct weir_error err = WEIR_ERROR_INIT;
	weir_event *event;
	int code;

	if (is_encoded(request)) {
		weir_ingress_refuse(ingress, channel, request, WEIR_EMEDIATYPE,
				    "Content-Encoding is not supported; send the body as it is.");
		return;
	}
	event = take_event(ingress);
	if (!event) {
		weir_ingress_refuse(ingress, channel, request, WEIR_ENOMEM, NULL);
		return;
	}
	if (channel->kyma_source) {
		on_kyma_post(ingress, channel, request, event);
		return;
	}
	code = weir_event_from_http(event, headers, count, weir_http_request_body(request), &err);
	if (!code) {
		gather_event(ingress, channel, request, event, NULL);
		return;
	}
	leave_event(ingress, event);
	/* The codec does not know batches; asked only here, as nearly all requests have one event. */
	if (ingress->options.batch && is_batch(request))
		weir_ingress_batch(ingress, channel, request);
	else
		weir_ingress_refuse(ingress, channel, request, code, err.text);
}

/* A host name or address as an origin is written; anything else is not sent back. */
static bool is_origin(struct weir_buf origin)
{
	const char *text = origin.ptr;

	if (!text || origin.len == 0 || origin.len > 255)
		return false;
	for (size_t i = 0; i < origin.len; i++) {
		char c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      strchr("-._:/[]", c)))
			return false;
	}
	return true;
}

/* The validation handshake of the webhook specification: any origin may deliver, at any rate. */
static void on_options(struct weir_http_request *request)
{
	struct weir_buf origin = weir_http_request_header(request, "webhook-request-origin");
	struct weir_header headers[3] = { { WEIR_STR("allow"), WEIR_STR("POST, OPTIONS") } };
	size_t count = 1;

	if (is_origin(origin))
		headers[count++] = (struct weir_header){ WEIR_STR("webhook-allowed-origin"), origin };
	if (count > 1 && weir_http_request_header(request, "webhook-request-rate").ptr)
		headers[count++] = (struct weir_header){ WEIR_STR("webhook-allowed-rate"), WEIR_STR("*") };
	weir_http_respond(request, 200, headers, count, WEIR_STR(""));
}

static void refuse_method(struct weir_http_request *request)
{
	const struct weir_header headers[] = { { WEIR_STR("allow"), WEIR_STR("POST, OPTIONS") },
					       { WEIR_STR("content-type"), WEIR_STR("application/json") } };

	weir_http_respond(request, 405, headers, 2,
			  WEIR_STR("{\"code\":\"method_not_allowed\",\"reason\":\"Events are sent with POST.\"}"));
}

/* False: it is answered. */
static bool may_send(struct weir_ingress *ingress, struct weir_ingress_channel *channel,
		     struct weir_http_request *request)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_ingress_counters *counters = &weir_ingress_slot(ingress, channel)->counters;
	const struct weir_auth_answer *answer;
	const struct weir_header *headers;
	enum weir_auth_verdict verdict;
	size_t count;

	if (!ingress->options.auth)
		return true;
	count = weir_http_request_headers(request, &headers);
	verdict = weir_auth_check(ingress->options.auth, ingress->auth_cache, headers, count,
				  weir_http_request_query(request), &channel->scope, &err);
	if (verdict == WEIR_AUTH_GRANTED)
		return true;
	answer = weir_auth_answer_of(verdict);
	weir_figure_add(answer->status == 503 ? &counters->unavailable : &counters->rejected, 1);
	if (answer->challenge)
		respond_reason(request, &(const struct weir_status){ answer->status, answer->code, "" }, err.text,
			       answer->challenge);
	else
		weir_http_respond_error(request, answer->status, answer->code, err.text);
	return false;
}

void weir_ingress_request(void *ctx, struct weir_http_request *request)
{
	struct weir_ingress *ingress = ctx;
	enum weir_http_method method = weir_http_request_method(request);
	const struct weir_status *unknown = weir_status_of_code(WEIR_ENOTFOUND);
	struct weir_ingress_channel *channel;

	if (method != WEIR_HTTP_POST && method != WEIR_HTTP_OPTIONS) {
		refuse_method(request);
		return;
	}
	/* Asks the server as a whole; only OPTIONS gets here with it. */
	if (weir_str_equal(weir_http_request_path(request), WEIR_STR("*"))) {
		on_options(request);
		return;
	}
	channel =
	    weir_router_find(ingress->options.router, weir_http_request_path(request), weir_http_request_host(request));
	if (!channel)
		weir_http_respond_error(request, unknown->status, unknown->code, unknown->reason);
	else if (method == WEIR_HTTP_OPTIONS)
		on_options(request);
	else if (may_send(ingress, channel, request))
		on_post(ingress, channel, request);
}
