/* SPDX-License-Identifier: Apache-2.0 */
/* The ingress between a server and a backend that do as the test says. */
#include "unit/weir_cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "dispatch/ingress_state.h"

enum { REQUESTS = 200, PUBLISHED = 512, HEADERS = 8 };

struct weir_http_request {
	enum weir_http_method method;
	const char *path;
	struct weir_header headers[HEADERS];
	size_t header_count;
	const char *body;
	int status;       /* 0: not answered */
	char answer[512]; /* headers and body, or the code of an error */
};

struct weir_http_server {
	struct weir_http_server_stats stats;
	bool drained;
};

static struct {
	struct weir_ingress *ingress;
	struct weir_router *router;
	struct weir_ingress_channel orders, other, kyma;
	struct weir_http_server server;
	weir_http_handler *handler;
	void *handler_ctx;
	struct weir_http_request requests[REQUESTS];
	size_t request_count;

	weir_completion_fn *completed;
	void *completed_ctx;
	char published[PUBLISHED][16]; /* ids */
	uint64_t tags[PUBLISHED];
	size_t published_count, publish_calls, atomic_calls;
	size_t room;     /* how many more the backend takes */
	int refusal;     /* what it says then */
	const char *bad; /* the event with this id is WEIR_ETOOBIG */
} fake;

static char orders_channel, other_channel, a_publisher, a_runtime;

/* ---- the server ----------------------------------------------------------- */

int weir_http_server_new(struct weir_loop *loop, const struct weir_http_server_options *options,
			 struct weir_http_server **ret, struct weir_error *err)
{
	(void)loop;
	(void)err;
	fake.handler = options->handler;
	fake.handler_ctx = options->ctx;
	*ret = &fake.server;
	return WEIR_OK;
}

int weir_http_server_listen(struct weir_http_server *server, const char *address, uint16_t *port,
			    struct weir_error *err)
{
	(void)server;
	(void)address;
	(void)err;
	*port = 1;
	return WEIR_OK;
}

int weir_http_server_listen_tls(struct weir_http_server *server, struct weir_tls_slot *slot, const char *address,
				uint16_t *port, struct weir_error *err)
{
	(void)slot;
	return weir_http_server_listen(server, address, port, err);
}

const struct weir_http_server_stats *weir_http_server_stats(const struct weir_http_server *server)
{
	return &server->stats;
}

void weir_http_server_limit_body(struct weir_http_server *server, uint64_t max_body_bytes)
{
	(void)server;
	(void)max_body_bytes;
}

void weir_http_server_drain(struct weir_http_server *server, void (*drained)(void *ctx), void *ctx)
{
	server->drained = true;
	drained(ctx);
}

void weir_http_server_free(struct weir_http_server *server)
{
	(void)server;
}

enum weir_http_method weir_http_request_method(const struct weir_http_request *request)
{
	return request->method;
}

struct weir_buf weir_http_request_path(const struct weir_http_request *request)
{
	return weir_str(request->path);
}

struct weir_buf weir_http_request_host(const struct weir_http_request *request)
{
	(void)request;
	return WEIR_STR("localhost");
}

struct weir_buf weir_http_request_query(const struct weir_http_request *request)
{
	(void)request;
	return (struct weir_buf){ NULL, 0 };
}

size_t weir_http_request_headers(const struct weir_http_request *request, const struct weir_header **ret)
{
	*ret = request->headers;
	return request->header_count;
}

struct weir_buf weir_http_request_header(const struct weir_http_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++) {
		if (weir_str_equal_nocase(request->headers[i].name, weir_str(name)))
			return request->headers[i].value;
	}
	return (struct weir_buf){ NULL, 0 };
}

struct weir_buf weir_http_request_body(const struct weir_http_request *request)
{
	return weir_str(request->body);
}

static void answer(struct weir_http_request *request, int status, const char *text)
{
	assert_int_equal(request->status, 0); /* exactly once */
	request->status = status;
	snprintf(request->answer, sizeof request->answer, "%s", text);
}

void weir_http_respond(struct weir_http_request *request, int status, const struct weir_header *headers,
		       size_t header_count, struct weir_buf body)
{
	char text[512];
	size_t used = 0;

	for (size_t i = 0; i < header_count; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%.*s: %.*s\n", (int)headers[i].name.len,
					 (const char *)headers[i].name.ptr, (int)headers[i].value.len,
					 (const char *)headers[i].value.ptr);
	snprintf(text + used, sizeof text - used, "%.*s", (int)body.len, (const char *)body.ptr);
	answer(request, status, text);
}

void weir_http_respond_error(struct weir_http_request *request, int status, const char *code, const char *reason)
{
	(void)reason;
	answer(request, status, code);
}

void weir_http_respond_canned(struct weir_http_request *request, const struct weir_http_canned *canned)
{
	answer(request, canned->status, canned->headers);
}

/* ---- the backend ---------------------------------------------------------- */

int weir_publisher_new(weir_runtime *runtime, weir_completion_fn *done, void *ctx, weir_publisher **ret)
{
	(void)runtime;
	fake.completed = done;
	fake.completed_ctx = ctx;
	*ret = (weir_publisher *)&a_publisher;
	return WEIR_OK;
}

void weir_publisher_free(weir_publisher *publisher)
{
	(void)publisher;
}

int weir_channel_publish(weir_channel *channel, weir_publisher *publisher, const struct weir_publish_item *items,
			 size_t count, int atomic, size_t *accepted, struct weir_error *err)
{
	(void)channel;
	(void)publisher;
	(void)err;
	fake.publish_calls++;
	fake.atomic_calls += atomic != 0;
	for (*accepted = 0; *accepted < count; (*accepted)++) {
		struct weir_buf id = weir_event_attribute(items[*accepted].event, WEIR_ATTR_ID);

		if (fake.bad && weir_str_equal(id, weir_str(fake.bad)))
			return WEIR_ETOOBIG;
		if (fake.room == 0)
			return fake.refusal;
		fake.room--;
		assert_true(fake.published_count < PUBLISHED);
		snprintf(fake.published[fake.published_count], sizeof fake.published[0], "%.*s", (int)id.len,
			 (const char *)id.ptr);
		fake.tags[fake.published_count++] = items[*accepted].tag;
	}
	return WEIR_OK;
}

/* ---- what a test does ----------------------------------------------------- */

static void turn(void)
{
	for (int i = 0; i < 3; i++) {
		weir_loop_stop(fake.ingress->worker.loop);
		assert_int_equal(weir_loop_run(fake.ingress->worker.loop, NULL), WEIR_OK);
	}
}

static void complete_code(size_t published, enum weir_outcome outcome, int code)
{
	const struct weir_error error = { .size = sizeof error, .code = (uint16_t)code };
	const struct weir_completion completion = { .tag = fake.tags[published],
						    .outcome = outcome,
						    .error = code ? &error : NULL };

	fake.completed(fake.completed_ctx, &completion, 1);
	turn();
}

static void complete(size_t published, enum weir_outcome outcome)
{
	complete_code(published, outcome, WEIR_OK);
}

static void add_header(struct weir_http_request *request, const char *name, const char *value)
{
	assert_true(request->header_count < HEADERS);
	request->headers[request->header_count++] = (struct weir_header){ weir_str(name), weir_str(value) };
}

static struct weir_http_request *request_new(enum weir_http_method method, const char *path)
{
	struct weir_http_request *request = &fake.requests[fake.request_count++];

	assert_true(fake.request_count <= REQUESTS);
	*request = (struct weir_http_request){ .method = method, .path = path, .body = "" };
	return request;
}

static struct weir_http_request *event_new(const char *path, const char *id)
{
	struct weir_http_request *request = request_new(WEIR_HTTP_POST, path);

	add_header(request, "ce-specversion", "1.0");
	add_header(request, "ce-type", "t");
	add_header(request, "ce-source", "/s");
	if (id)
		add_header(request, "ce-id", id);
	request->body = "12345";
	return request;
}

static struct weir_http_request *batch_new(const char *body)
{
	struct weir_http_request *request = request_new(WEIR_HTTP_POST, "/shop/orders");

	add_header(request, "content-type", "application/cloudevents-batch+json");
	request->body = body;
	return request;
}

static struct weir_http_request *handle(struct weir_http_request *request)
{
	fake.handler(fake.handler_ctx, request);
	return request;
}

static struct weir_http_request *send(const char *path, const char *id)
{
	return handle(event_new(path, id));
}

static struct weir_ingress_figures figures(void)
{
	struct weir_ingress_figures ret = { 0 };

	weir_ingress_add_figures(&fake.orders, &ret);
	return ret;
}

static struct weir_ingress_options options(void)
{
	return (struct weir_ingress_options){
		.runtime = (weir_runtime *)&a_runtime,
		.router = fake.router,
		.batch = true,
		.event_limits = { .max_extensions = 64,
				  .max_name_bytes = 64,
				  .max_value_bytes = 8192,
				  .max_depth = 64,
				  .max_envelope_keys = 1024,
				  .max_batch_events = 5 },
	};
}

static int begin(void **state)
{
	struct weir_ingress_options with;

	(void)state;
	memset(&fake, 0, sizeof fake);
	fake.room = PUBLISHED;
	fake.orders = (struct weir_ingress_channel){ .channel = (weir_channel *)&orders_channel };
	fake.other = (struct weir_ingress_channel){ .channel = (weir_channel *)&other_channel };
	if (weir_ingress_channel_init(&fake.orders, 1) || weir_ingress_channel_init(&fake.other, 1))
		return -1;
	fake.kyma = fake.orders;
	fake.kyma.kyma_source = "commerce";
	if (weir_router_new(3, &fake.router) || weir_router_add(fake.router, "v1", "events", &fake.kyma) ||
	    weir_router_add(fake.router, "shop", "orders", &fake.orders) ||
	    weir_router_add(fake.router, "shop", "other", &fake.other))
		return -1;
	with = options();
	return weir_ingress_new(&with, &fake.ingress, NULL);
}

static int end(void **state)
{
	(void)state;
	weir_ingress_free(fake.ingress);
	weir_router_free(fake.router);
	weir_ingress_channel_fini(&fake.orders);
	weir_ingress_channel_fini(&fake.other);
	return 0;
}

/* ---- one event ------------------------------------------------------------ */

static void a_request_is_answered_202_when_its_event_is_persisted_and_not_before(void **state)
{
	struct weir_http_request *request = send("/shop/orders", "1");

	(void)state;
	turn();
	assert_int_equal(fake.published_count, 1);
	assert_int_equal(request->status, 0);
	complete(0, WEIR_PERSISTED);
	assert_int_equal(request->status, 202);
	assert_string_equal(request->answer, "");
	assert_int_equal(figures().accepted, 1);
	assert_int_equal(figures().bytes, 5);
}

static void a_backend_in_memory_is_named_in_the_answer(void **state)
{
	struct weir_http_request *request;

	(void)state;
	fake.orders.volatile_store = true;
	request = send("/shop/orders", "1");
	turn();
	complete(0, WEIR_PERSISTED);
	assert_string_equal(request->answer, "Weir-Durability: memory\r\n");
}

static void an_unknown_outcome_is_503(void **state)
{
	struct weir_http_request *request = send("/shop/orders", "1");

	(void)state;
	turn();
	complete_code(0, WEIR_UNKNOWN, WEIR_ETOOBIG); /* whatever the error says */
	assert_int_equal(request->status, 503);
	assert_string_equal(request->answer, "outcome_unknown");
	assert_int_equal(figures().unavailable, 1);
	assert_int_equal(figures().accepted, 0);
}

static void what_was_not_persisted_is_answered_as_its_error_says(void **state)
{
	static const struct {
		int code, status;
	} cases[] = { { WEIR_OK, 503 },    { WEIR_EUNAVAIL, 503 }, { WEIR_ELIMIT, 503 },
		      { WEIR_EAUTH, 503 }, { WEIR_ETOOBIG, 413 },  { WEIR_EAGAIN, 429 } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct weir_http_request *request = send("/shop/orders", "1");

		turn();
		complete_code(i, WEIR_NOT_PERSISTED, cases[i].code);
		assert_int_equal(request->status, cases[i].status);
	}
}

/* ---- batches of a turn ---------------------------------------------------- */

static void events_of_one_turn_are_published_in_one_call_for_each_channel(void **state)
{
	(void)state;
	send("/shop/orders", "1");
	send("/shop/other", "2");
	send("/shop/orders", "3");
	turn();
	assert_int_equal(fake.publish_calls, 2);
	assert_int_equal(fake.published_count, 3);
}

static void completions_in_any_order_answer_the_right_request(void **state)
{
	struct weir_http_request *first = send("/shop/orders", "1"), *second = send("/shop/orders", "2");

	(void)state;
	turn();
	complete(1, WEIR_NOT_PERSISTED);
	assert_int_equal(second->status, 503);
	assert_int_equal(first->status, 0);
	complete(0, WEIR_PERSISTED);
	assert_int_equal(first->status, 202);
}

static void when_the_backend_is_full_the_rest_is_429_and_not_offered_one_by_one(void **state)
{
	struct weir_http_request *requests[4];

	(void)state;
	fake.room = 1;
	fake.refusal = WEIR_EAGAIN;
	for (size_t i = 0; i < 4; i++)
		requests[i] = send("/shop/orders", "1");
	turn();
	assert_int_equal(fake.publish_calls, 1);
	assert_int_equal(requests[0]->status, 0);
	for (size_t i = 1; i < 4; i++)
		assert_int_equal(requests[i]->status, 429);
	complete(0, WEIR_PERSISTED);
	assert_int_equal(requests[0]->status, 202);
}

static void an_event_that_is_too_large_does_not_hold_up_those_behind_it(void **state)
{
	struct weir_http_request *requests[3];

	(void)state;
	fake.bad = "2";
	for (size_t i = 0; i < 3; i++)
		requests[i] = send("/shop/orders", (const char *[]){ "1", "2", "3" }[i]);
	turn();
	assert_int_equal(requests[1]->status, 413);
	assert_int_equal(fake.published_count, 2);
	complete(0, WEIR_PERSISTED);
	complete(1, WEIR_PERSISTED);
	assert_int_equal(requests[0]->status, 202);
	assert_int_equal(requests[2]->status, 202);
}

static void more_than_one_call_takes_are_published_in_order(void **state)
{
	(void)state;
	for (int i = 0; i < 150; i++)
		send("/shop/orders", "1");
	turn();
	assert_int_equal(fake.publish_calls, 3);
	assert_int_equal(fake.published_count, 150);
	for (size_t i = 0; i < 150; i++)
		complete(i, WEIR_PERSISTED);
	for (size_t i = 0; i < 150; i++)
		assert_int_equal(fake.requests[i].status, 202);
}

/* ---- what is refused ------------------------------------------------------ */

static void a_bad_event_is_400_and_nothing_is_published(void **state)
{
	struct weir_http_request *request = send("/shop/orders", NULL);

	(void)state;
	turn();
	assert_int_equal(request->status, 400);
	assert_non_null(strstr(request->answer, "\"code\":\"invalid_event\""));
	assert_non_null(strstr(request->answer, "id"));
	assert_int_equal(fake.published_count, 0);
	assert_int_equal(figures().rejected, 1);
}

static void a_compressed_body_is_415_and_identity_is_not(void **state)
{
	struct weir_http_request *gzip = event_new("/shop/orders", "1"), *identity = event_new("/shop/orders", "2");

	(void)state;
	add_header(gzip, "content-encoding", "gzip");
	add_header(identity, "Content-Encoding", " Identity ");
	handle(gzip);
	handle(identity);
	turn();
	assert_int_equal(gzip->status, 415);
	assert_int_equal(fake.published_count, 1);
}

static void other_methods_are_405_whatever_the_path(void **state)
{
	struct weir_http_request *request = handle(request_new(WEIR_HTTP_GET, "/nowhere"));

	(void)state;
	assert_int_equal(request->status, 405);
	assert_non_null(strstr(request->answer, "allow: POST, OPTIONS\n"));
}

static void an_unknown_channel_is_404(void **state)
{
	(void)state;
	assert_int_equal(send("/shop/nothing", "1")->status, 404);
	assert_int_equal(handle(request_new(WEIR_HTTP_OPTIONS, "/shop/nothing"))->status, 404);
}

static void options_of_the_server_as_a_whole_are_answered(void **state)
{
	struct weir_http_request *request = handle(request_new(WEIR_HTTP_OPTIONS, "*"));

	(void)state;
	assert_int_equal(request->status, 200);
	assert_string_equal(request->answer, "allow: POST, OPTIONS\n");
}

static void the_handshake_allows_the_origin_that_asks(void **state)
{
	struct weir_http_request *request = request_new(WEIR_HTTP_OPTIONS, "/shop/orders");

	(void)state;
	add_header(request, "WebHook-Request-Origin", "events.example.com");
	handle(request);
	assert_int_equal(request->status, 200);
	assert_non_null(strstr(request->answer, "webhook-allowed-origin: events.example.com\n"));
	assert_null(strstr(request->answer, "webhook-allowed-rate"));
}

/* ---- batch mode ----------------------------------------------------------- */

#define EVENT(id) "{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"/s\",\"id\":\"" id "\"}"

static void a_batch_is_202_only_when_all_of_it_is_persisted(void **state)
{
	struct weir_http_request *request = handle(batch_new("[" EVENT("1") "," EVENT("2") "]"));

	(void)state;
	assert_int_equal(fake.published_count, 2);
	complete(0, WEIR_PERSISTED);
	assert_int_equal(request->status, 0);
	complete(1, WEIR_PERSISTED);
	assert_int_equal(request->status, 202);
	assert_int_equal(figures().accepted, 2);
}

static void a_batch_of_which_one_is_lost_is_503_after_all_have_completed(void **state)
{
	struct weir_http_request *request = handle(batch_new("[" EVENT("1") "," EVENT("2") "]"));

	(void)state;
	complete(0, WEIR_UNKNOWN);
	assert_int_equal(request->status, 0);
	complete(1, WEIR_PERSISTED);
	assert_int_equal(request->status, 503);
	assert_int_equal(figures().accepted, 0);
}

static void a_batch_that_is_taken_in_part_is_not_202(void **state)
{
	struct weir_http_request *request;

	(void)state;
	fake.room = 1;
	fake.refusal = WEIR_EAGAIN;
	request = handle(batch_new("[" EVENT("1") "," EVENT("2") "]"));
	assert_int_equal(request->status, 0);
	complete(0, WEIR_PERSISTED);
	assert_int_equal(request->status, 429);
}

static void a_batch_with_one_bad_event_publishes_none(void **state)
{
	struct weir_http_request *request = handle(batch_new("[" EVENT("1") ",{}]"));

	(void)state;
	assert_int_equal(request->status, 400);
	assert_int_equal(fake.published_count, 0);
}

static void an_empty_batch_is_400_and_a_long_one_413(void **state)
{
	static const char long_one[] =
	    "[" EVENT("1") "," EVENT("2") "," EVENT("3") "," EVENT("4") "," EVENT("5") "," EVENT("6") "]";

	(void)state;
	assert_int_equal(handle(batch_new("[]"))->status, 400);
	assert_int_equal(handle(batch_new(long_one))->status, 413);
}

static void a_batch_is_atomic_where_the_backend_can(void **state)
{
	(void)state;
	handle(batch_new("[" EVENT("1") "," EVENT("2") "]"));
	assert_int_equal(fake.atomic_calls, 0);
	fake.orders.atomic_batch = true;
	handle(batch_new("[" EVENT("3") "," EVENT("4") "]"));
	assert_int_equal(fake.atomic_calls, 1);
}

static void a_batch_stays_behind_what_came_before_it_in_the_same_turn(void **state)
{
	(void)state;
	send("/shop/orders", "1");
	handle(batch_new("[" EVENT("2") "]"));
	send("/shop/orders", "3");
	turn();
	assert_string_equal(fake.published[0], "1");
	assert_string_equal(fake.published[1], "2");
	assert_string_equal(fake.published[2], "3");
}

/* ---- Kyma's format -------------------------------------------------------- */

#define KYMA_ID "31109198-4d69-4ae0-972d-76117f3748c8"

static struct weir_http_request *kyma_new(const char *body)
{
	struct weir_http_request *request = request_new(WEIR_HTTP_POST, "/v1/events");

	request->body = body;
	return request;
}

static void an_event_in_kymas_format_is_answered_200_with_its_id_when_it_is_persisted(void **state)
{
	struct weir_http_request *request =
	    handle(kyma_new("{\"event-type\":\"t\",\"event-type-version\":\"v1\",\"event-id\":\"" KYMA_ID
			    "\",\"event-time\":\"2020-09-28T14:47:16Z\",\"data\":1}"));

	(void)state;
	turn();
	assert_int_equal(request->status, 0);
	assert_memory_equal(fake.published[0], KYMA_ID, 15);
	complete(0, WEIR_PERSISTED);
	assert_int_equal(request->status, 200);
	assert_string_equal(request->answer, "content-type: application/json\n{\"event-id\":\"" KYMA_ID "\"}");
	assert_int_equal(figures().accepted, 1);
}

static void an_event_in_kymas_format_without_id_is_told_the_one_that_was_published(void **state)
{
	struct weir_http_request *request =
	    handle(kyma_new("{\"event-type\":\"t\",\"event-type-version\":\"v1\",\"event-time\":"
			    "\"2020-09-28T14:47:16Z\",\"data\":1}"));

	(void)state;
	turn();
	complete(0, WEIR_PERSISTED);
	assert_int_equal(request->status, 200);
	assert_int_equal(strlen(fake.published[0]), 15);
	assert_non_null(strstr(request->answer, fake.published[0]));
}

static void an_event_in_kymas_format_that_was_not_persisted_is_answered_like_any_other(void **state)
{
	struct weir_http_request *request =
	    handle(kyma_new("{\"event-type\":\"t\",\"event-type-version\":\"v1\",\"event-time\":"
			    "\"2020-09-28T14:47:16Z\",\"data\":1}"));

	(void)state;
	turn();
	complete(0, WEIR_UNKNOWN);
	assert_int_equal(request->status, 503);
	assert_string_equal(request->answer, "outcome_unknown");
}

static void what_is_wrong_in_kymas_format_is_told_in_its_words_and_ours(void **state)
{
	struct weir_http_request *request = handle(kyma_new("{\"event-type\":\"t\"}"));

	(void)state;
	assert_int_equal(request->status, 400);
	assert_string_equal(request->answer,
			    "content-type: application/json\n"
			    "{\"code\":\"invalid_event\",\"reason\":\"event-type-version: is missing\",\"status\":400,"
			    "\"type\":\"validation_violation\",\"message\":\"Missing field\",\"moreInfo\":\"\","
			    "\"details\":[{\"field\":\"event-type-version\",\"type\":\"missing_field\",\"message\":"
			    "\"Missing field\",\"moreInfo\":\"\"}]}");
	request = handle(kyma_new("nonsense"));
	assert_int_equal(request->status, 400);
	assert_non_null(strstr(request->answer, "\"type\":\"bad_payload_syntax\""));
	turn();
	assert_int_equal(fake.published_count, 0);
	assert_int_equal(figures().rejected, 2);
}

/* ---- the end -------------------------------------------------------------- */

static bool drained;

static void on_drained(void *ctx)
{
	(void)ctx;
	drained = true;
}

static void draining_is_the_servers(void **state)
{
	(void)state;
	drained = false;
	weir_ingress_drain(fake.ingress, on_drained, NULL);
	assert_false(fake.server.drained); /* it belongs to the loop's thread */
	turn();
	assert_true(fake.server.drained && drained);
}

static void what_is_not_answered_at_the_end_is_503(void **state)
{
	struct weir_http_request *request = send("/shop/orders", "1");

	(void)state;
	turn();
	weir_ingress_stop(fake.ingress);
	assert_int_equal(request->status, 503);
	assert_string_equal(request->answer, "outcome_unknown");
}

/* Everything that making an ingress and taking an event allocates fails once. */
static void short_memory_is_an_answer_and_leaks_nothing(void **state)
{
	struct weir_ingress_options with = options();
	struct weir_ingress *other = NULL;
	int failures = 0;

	(void)state;
	for (uint64_t nth = 1; !other; nth++) {
		weir_mem_fail(nth, 0);
		if (weir_ingress_new(&with, &other, NULL))
			failures++;
		weir_mem_fail(0, 0);
	}
	assert_true(failures >= 3);
	weir_ingress_free(other);
}

static void an_event_that_there_is_no_memory_for_is_503(void **state)
{
	struct weir_http_request *request = event_new("/shop/orders", "1");

	(void)state;
	weir_mem_fail(1, 1);
	handle(request);
	weir_mem_fail(0, 0);
	turn();
	assert_int_equal(request->status, 503);
	assert_int_equal(fake.published_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_is_answered_202_when_its_event_is_persisted_and_not_before),
		TEST(a_backend_in_memory_is_named_in_the_answer),
		TEST(an_unknown_outcome_is_503),
		TEST(what_was_not_persisted_is_answered_as_its_error_says),
		TEST(events_of_one_turn_are_published_in_one_call_for_each_channel),
		TEST(completions_in_any_order_answer_the_right_request),
		TEST(when_the_backend_is_full_the_rest_is_429_and_not_offered_one_by_one),
		TEST(an_event_that_is_too_large_does_not_hold_up_those_behind_it),
		TEST(more_than_one_call_takes_are_published_in_order),
		TEST(a_bad_event_is_400_and_nothing_is_published),
		TEST(a_compressed_body_is_415_and_identity_is_not),
		TEST(other_methods_are_405_whatever_the_path),
		TEST(an_unknown_channel_is_404),
		TEST(options_of_the_server_as_a_whole_are_answered),
		TEST(the_handshake_allows_the_origin_that_asks),
		TEST(a_batch_is_202_only_when_all_of_it_is_persisted),
		TEST(a_batch_of_which_one_is_lost_is_503_after_all_have_completed),
		TEST(a_batch_that_is_taken_in_part_is_not_202),
		TEST(a_batch_with_one_bad_event_publishes_none),
		TEST(an_empty_batch_is_400_and_a_long_one_413),
		TEST(a_batch_is_atomic_where_the_backend_can),
		TEST(a_batch_stays_behind_what_came_before_it_in_the_same_turn),
		TEST(an_event_in_kymas_format_is_answered_200_with_its_id_when_it_is_persisted),
		TEST(an_event_in_kymas_format_without_id_is_told_the_one_that_was_published),
		TEST(an_event_in_kymas_format_that_was_not_persisted_is_answered_like_any_other),
		TEST(what_is_wrong_in_kymas_format_is_told_in_its_words_and_ours),
		TEST(draining_is_the_servers),
		TEST(what_is_not_answered_at_the_end_is_503),
		TEST(short_memory_is_an_answer_and_leaks_nothing),
		TEST(an_event_that_there_is_no_memory_for_is_503),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
