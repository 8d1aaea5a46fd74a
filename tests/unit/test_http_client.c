/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/client.h"
#include "unit/scripted_server.h"

enum { KEPT = 64, GUARD_MS = 20000 };

/* The same is expected of both ways to carry a post: over a socket of our own, and through libcurl as a whole. */
static bool through_libcurl;

/* What a `done` function was told. */
struct outcome {
	int code, status;
	char text[128];
	char headers[1024]; /* "name=value\n" */
	size_t header_count;
	char body[1024];
	size_t body_len;
	bool body_cut;
	uint32_t sends;
	int64_t took_ns;
};

struct bench {
	struct weir_loop *loop;
	struct weir_http_client *client;
	struct weir_http_target *target;
	struct weir_timer guard;
	size_t done, wanted;
	struct outcome outcomes[KEPT];
	bool inside_post; /* post() is running: nothing may be reported */
	size_t repost;    /* posts that `done` makes */
	bool free_target; /* `done` frees it */
};

static void on_guard(struct weir_timer *timer)
{
	(void)timer;
	fprintf(stderr, "the answer did not come\n");
	abort();
}

static void take_headers(struct outcome *outcome, const struct weir_http_result *result)
{
	size_t used = 0;

	outcome->header_count = result->header_count;
	for (size_t i = 0; i < result->header_count && used < sizeof outcome->headers; i++)
		used += (size_t)snprintf(outcome->headers + used, sizeof outcome->headers - used, "%.*s=%.*s\n",
					 (int)result->headers[i].name.len, (const char *)result->headers[i].name.ptr,
					 (int)result->headers[i].value.len, (const char *)result->headers[i].value.ptr);
}

static void post(struct bench *bench, const struct weir_http_post *how);

static void on_done(void *ctx, const struct weir_http_result *result)
{
	struct bench *bench = ctx;
	struct outcome *outcome = &bench->outcomes[bench->done++ % KEPT];

	assert_false(bench->inside_post);
	memset(outcome, 0, sizeof *outcome);
	outcome->code = result->code;
	outcome->status = result->status;
	if (result->text)
		snprintf(outcome->text, sizeof outcome->text, "%s", result->text);
	take_headers(outcome, result);
	outcome->body_len = result->body.len;
	if (result->body.len)
		memcpy(outcome->body, result->body.ptr,
		       result->body.len < sizeof outcome->body ? result->body.len : sizeof outcome->body);
	outcome->body_cut = result->body_cut;
	outcome->sends = result->sends;
	outcome->took_ns = result->took_ns;
	if (bench->repost) {
		bench->repost--;
		post(bench, NULL);
	}
	if (bench->free_target) {
		weir_http_target_free(bench->target);
		bench->target = NULL;
	}
	if (bench->done == bench->wanted)
		weir_loop_stop(bench->loop);
}

static void post(struct bench *bench, const struct weir_http_post *how)
{
	struct weir_http_post one = { .max_response_bytes = 1024, .timeout_ms = 10000 };

	if (how)
		one = *how;
	one.done = on_done;
	one.ctx = bench;
	bench->inside_post = true;
	assert_int_equal(weir_http_target_post(bench->target, &one), WEIR_OK);
	bench->inside_post = false;
}

/* Runs until `count` posts in all are reported. */
static void wait_done(struct bench *bench, size_t count)
{
	bench->wanted = count;
	if (bench->done >= count)
		return;
	bench->guard.fire = on_guard;
	assert_int_equal(
	    weir_loop_timer_set(bench->loop, &bench->guard, weir_clock_after_ms(weir_clock_now_ns(), GUARD_MS)),
	    WEIR_OK);
	assert_int_equal(weir_loop_run(bench->loop, NULL), WEIR_OK);
	weir_loop_timer_cancel(bench->loop, &bench->guard);
}

static void bench_open(struct bench *bench, const char *url, uint32_t parallel,
		       const struct weir_http_client_options *options)
{
	struct weir_http_client_options usual = { .rules = { .allow_loopback = true },
						  .through_libcurl = through_libcurl };
	struct weir_error err = WEIR_ERROR_INIT;

	memset(bench, 0, sizeof *bench);
	assert_int_equal(weir_loop_new(&bench->loop, NULL), WEIR_OK);
	assert_int_equal(weir_http_client_new(bench->loop, options ? options : &usual, &bench->client, &err), WEIR_OK);
	assert_int_equal(weir_http_target_new(bench->client, url, parallel, &bench->target, &err), WEIR_OK);
}

static void bench_close(struct bench *bench)
{
	weir_http_target_free(bench->target);
	weir_http_client_free(bench->client);
	weir_loop_free(bench->loop);
}

/* One post to a server with this script, with `how`; the outcome. */
static struct outcome exchange(const struct scripted_reply *replies, size_t count, const struct weir_http_post *how)
{
	struct scripted_server *server = scripted_server_start(replies, count);
	struct bench bench;
	struct outcome outcome;

	bench_open(&bench, scripted_server_url(server), 4, NULL);
	post(&bench, how);
	wait_done(&bench, 1);
	outcome = bench.outcomes[0];
	bench_close(&bench);
	scripted_server_stop(server);
	return outcome;
}

static struct outcome exchange_one(struct scripted_reply reply, const struct weir_http_post *how)
{
	return exchange(&reply, 1, how);
}

/* ---- what is sent -------------------------------------------------------------- */

static bool request_has(struct weir_buf request, const char *what)
{
	return memmem(request.ptr, request.len, what, strlen(what)) != NULL;
}

static void a_request_carries_method_headers_and_body(void **state)
{
	struct scripted_reply ok = SCRIPTED_OK;
	struct scripted_server *server = scripted_server_start(&ok, 1);
	struct weir_header headers[] = { { WEIR_STR("content-type"), WEIR_STR("text/plain") },
					 { WEIR_STR("ce-id"), WEIR_STR("a b") },
					 { WEIR_STR("ce-empty"), WEIR_STR("") } };
	struct weir_http_post how = { .headers = headers, .header_count = 3, .body = WEIR_STR("hello") };
	struct weir_buf request;
	struct bench bench;

	(void)state;
	bench_open(&bench, scripted_server_url(server), 1, NULL);
	post(&bench, &how);
	wait_done(&bench, 1);
	assert_int_equal(bench.outcomes[0].code, WEIR_OK);
	request = scripted_server_request(server, 0);
	assert_memory_equal(request.ptr, "POST /path HTTP/1.1\r\n", 21);
	assert_true(request_has(request, "content-type: text/plain\r\n"));
	assert_true(request_has(request, "ce-id: a b\r\n"));
	assert_true(request_has(request, "ce-empty:"));
	assert_true(request_has(request, "Content-Length: 5\r\n"));
	assert_true(request_has(request, "User-Agent: weir/"));
	assert_true(request_has(request, "\r\n\r\nhello"));
	bench_close(&bench);
	scripted_server_stop(server);
}

static void a_request_has_no_header_that_nobody_asked_for(void **state)
{
	static const char *const unwanted[] = { "Accept", "Expect", "Content-Type", "content-type", "Accept-Encoding" };
	struct scripted_reply ok = SCRIPTED_OK;
	struct scripted_server *server = scripted_server_start(&ok, 1);
	char *large = calloc(1, 2 * 1024 * 1024);
	struct weir_http_post how = { .body = { large, 2 * 1024 * 1024 } };
	struct bench bench;

	(void)state;
	bench_open(&bench, scripted_server_url(server), 1, NULL);
	post(&bench, &how);
	wait_done(&bench, 1);
	assert_int_equal(bench.outcomes[0].code, WEIR_OK);
	for (size_t i = 0; i < sizeof unwanted / sizeof unwanted[0]; i++)
		assert_false(request_has(scripted_server_request(server, 0), unwanted[i]));
	bench_close(&bench);
	scripted_server_stop(server);
	free(large);
}

static void a_post_without_body_has_length_0(void **state)
{
	struct scripted_reply ok = SCRIPTED_OK;
	struct scripted_server *server = scripted_server_start(&ok, 1);
	struct bench bench;

	(void)state;
	bench_open(&bench, scripted_server_url(server), 1, NULL);
	post(&bench, NULL);
	wait_done(&bench, 1);
	assert_true(request_has(scripted_server_request(server, 0), "Content-Length: 0\r\n"));
	bench_close(&bench);
	scripted_server_stop(server);
}

static void a_proxy_from_the_environment_is_not_used(void **state)
{
	struct outcome outcome;

	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1/", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
	outcome = exchange_one((struct scripted_reply)SCRIPTED_OK, NULL);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	assert_int_equal(outcome.code, WEIR_OK);
}

/* ---- answers ---------------------------------------------------------------------- */

static void an_answer_is_reported_with_status_headers_and_body(void **state)
{
	struct outcome outcome =
	    exchange_one((struct scripted_reply){ .bytes = "HTTP/1.1 201 Made\r\nA: 1\r\n"
							   "b:2 \r\nContent-Length: 3\r\n\r\nxyz" },
			 NULL);

	(void)state;
	assert_int_equal(outcome.code, WEIR_OK);
	assert_int_equal(outcome.status, 201);
	assert_string_equal(outcome.headers, "A=1\nb=2\nContent-Length=3\n");
	assert_int_equal(outcome.body_len, 3);
	assert_memory_equal(outcome.body, "xyz", 3);
	assert_false(outcome.body_cut);
	assert_int_equal(outcome.sends, 1);
	assert_true(outcome.took_ns > 0);
}

static void a_chunked_answer_is_put_together(void **state)
{
	struct outcome outcome =
	    exchange_one((struct scripted_reply){ .bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
							   "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: t\r\n\r\n" },
			 NULL);

	(void)state;
	assert_int_equal(outcome.code, WEIR_OK);
	assert_int_equal(outcome.body_len, 7);
	assert_memory_equal(outcome.body, "abcdefg", 7);
	assert_string_equal(outcome.headers, "Transfer-Encoding=chunked\n");
}

static void an_answer_may_end_with_the_connection(void **state)
{
	struct outcome outcome =
	    exchange_one((struct scripted_reply){ .bytes = "HTTP/1.1 200 OK\r\n\r\nabc", .end = SCRIPTED_CLOSE }, NULL);

	(void)state;
	assert_int_equal(outcome.code, WEIR_OK);
	assert_int_equal(outcome.body_len, 3);
}

static void an_answer_that_comes_byte_by_byte_is_whole(void **state)
{
	struct outcome outcome = exchange_one(
	    (struct scripted_reply){
		.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", .drip_ms = 1 },
	    NULL);

	(void)state;
	assert_int_equal(outcome.code, WEIR_OK);
	assert_int_equal(outcome.body_len, 2);
	assert_memory_equal(outcome.body, "hi", 2);
}

/* Wherever it is cut in two, what is found is the same. */
static void expect_same_in_pieces(const char *bytes, const char *headers, const char *body)
{
	size_t count = strlen(bytes) - 1;
	struct scripted_reply *replies = calloc(count, sizeof *replies);
	struct scripted_server *server;
	struct bench bench;

	assert_non_null(replies);
	for (size_t i = 0; i < count; i++)
		replies[i] = (struct scripted_reply){ .bytes = bytes, .split = i + 1 };
	server = scripted_server_start(replies, count);
	bench_open(&bench, scripted_server_url(server), 1, NULL);
	for (size_t i = 0; i < count; i++) {
		const struct outcome *outcome = &bench.outcomes[i % KEPT];
		post(&bench, NULL);
		wait_done(&bench, i + 1);
		if (outcome->code != WEIR_OK || outcome->status != 200)
			fail_msg("cut at %zu: %s", i + 1, outcome->text);
		assert_string_equal(outcome->headers, headers);
		assert_string_equal(outcome->body, body);
	}
	assert_int_equal(scripted_server_connections(server), 1);
	bench_close(&bench);
	scripted_server_stop(server);
	free(replies);
}

static void a_chunked_answer_behind_interim_ones_may_come_in_any_two_pieces(void **state)
{
	(void)state;
	expect_same_in_pieces("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
			      "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"
			      "2\r\nhe\r\n3\r\nllo\r\n0\r\nT: t\r\n\r\n",
			      "A=b\nTransfer-Encoding=chunked\n", "hello");
}

static void an_answer_with_a_length_may_come_in_any_two_pieces(void **state)
{
	(void)state;
	expect_same_in_pieces(
	    "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nB: c\r\n\r\nhello",
	    "Content-Length=5\nB=c\n", "hello");
}

static void a_204_has_no_body_and_keeps_the_connection(void **state)
{
	struct scripted_reply replies[] = { { .bytes = "HTTP/1.1 204 No Content\r\n\r\n" } };
	struct scripted_server *server = scripted_server_start(replies, 1);
	struct bench bench;

	(void)state;
	bench_open(&bench, scripted_server_url(server), 1, NULL);
	post(&bench, NULL);
	post(&bench, NULL);
	wait_done(&bench, 2);
	assert_int_equal(bench.outcomes[1].status, 204);
	assert_int_equal(scripted_server_connections(server), 1);
	bench_close(&bench);
	scripted_server_stop(server);
}

static void a_compressed_answer_is_left_as_it_is(void **state)
{
	struct outcome outcome = exchange_one(
	    (struct scripted_reply){
		.bytes = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8bzz" },
	    NULL);

	(void)state;
	assert_int_equal(outcome.code, WEIR_OK);
	assert_int_equal(outcome.body_len, 4);
	assert_memory_equal(outcome.body, "\x1f\x8bzz", 4);
}

static void a_redirect_is_reported_and_not_followed(void **state)
{
	struct scripted_reply replies[] = {
		{ .bytes = "HTTP/1.1 301 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n" }, SCRIPTED_OK
	};
	struct scripted_server *server = scripted_server_start(replies, 2);
	struct bench bench;

	(void)state;
	bench_open(&bench, scripted_server_url(server), 1, NULL);
	post(&bench, NULL);
	wait_done(&bench, 1);
	assert_int_equal(bench.outcomes[0].status, 301);
	assert_int_equal(scripted_server_requests(server), 1);
	bench_close(&bench);
	scripted_server_stop(server);
}

static void interim_answers_are_skipped(void **state)
{
	struct outcome outcome = exchange_one(
	    (struct scripted_reply){ .bytes = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
					      "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n" },
	    NULL);

	(void)state;
	assert_int_equal(outcome.code, WEIR_OK);
	assert_int_equal(outcome.status, 202);
	assert_string_equal(outcome.headers, "Content-Length=0\n");
}

#define CONTINUE   "HTTP/1.1 100 Continue\r\n\r\n"
#define CONTINUE_4 CONTINUE CONTINUE CONTINUE CONTINUE

static void eight_interim_answers_are_skipped_and_nine_fail(void **state)
{
	struct outcome eight = exchange_one(
	    (struct scripted_reply){ .bytes = CONTINUE_4 CONTINUE_4 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
	    NULL);
	struct outcome nine = exchange_one((struct scripted_reply){ .bytes = CONTINUE_4 CONTINUE_4 CONTINUE
								    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
					   NULL);

	(void)state;
	assert_int_equal(eight.code, WEIR_OK);
	assert_int_equal(nine.code, WEIR_EIO);
}

static void switching_protocols_is_a_final_answer(void **state)
{
	struct outcome outcome = exchange_one(
	    (struct scripted_reply){
		.bytes = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		.end = SCRIPTED_HANG },
	    NULL);

	(void)state;
	assert_int_equal(outcome.code, WEIR_OK);
	assert_int_equal(outcome.status, 101);
	assert_int_equal(outcome.body_len, 0);
}

/* ---- answers that are no answers ------------------------------------------------------ */

static void malformed_answers_fail(void **state)
{
	static const struct {
		const char *what, *bytes;
	} list[] = {
		{ "HTTP/0.9", "hello, world\r\n" },
		{ "garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" },
		{ "status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n" },
		{ "status 999", "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n" },
		{ "HTTP/3.0", "HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n" },
		{ "two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n" },
		{ "two different lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 0\r\n\r\nxx" },
		{ "negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" },
		{ "length and chunked",
		  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
		{ "bad chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" },
		{ "unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: bzip\r\n\r\nzz\r\n" },
		{ "header without colon", "HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n" },
		{ "folded header", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n" },
		{ "nothing", "" },
		{ "half a head", "HTTP/1.1 200 OK\r\nContent-Le" },
		{ "half a body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc" },
		{ "half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		struct outcome outcome =
		    exchange_one((struct scripted_reply){ .bytes = list[i].bytes, .end = SCRIPTED_CLOSE }, NULL);
		if (outcome.code != WEIR_EIO)
			fail_msg("%s: %s (%s)", list[i].what, weir_code_name(outcome.code), outcome.text);
		assert_true(outcome.text[0] != '\0');
	}
}

static void a_nul_in_a_header_fails(void **state)
{
	static const char bytes[] = "HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 0\r\n\r\n";
	struct outcome outcome = exchange_one(
	    (struct scripted_reply){ .bytes = bytes, .len = sizeof bytes - 1, .end = SCRIPTED_CLOSE }, NULL);

	(void)state;
	assert_int_equal(outcome.code, WEIR_EIO);
}

static void a_reset_after_the_headers_fails(void **state)
{
	struct outcome outcome = exchange_one(
	    (struct scripted_reply){ .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", .end = SCRIPTED_RESET },
	    NULL);

	(void)state;
	assert_int_equal(outcome.code, WEIR_EIO);
	assert_int_equal(outcome.sends, 1);
}

static void headers_without_end_fail(void **state)
{
	struct outcome one_line =
	    exchange_one((struct scripted_reply){ .bytes = "HTTP/1.1 200 OK\r\nA: ", .filler = UINT64_MAX }, NULL);
	char many[129 * 6 + 64];
	int used = snprintf(many, sizeof many, "HTTP/1.1 200 OK\r\n");
	struct outcome lines;

	(void)state;
	assert_int_equal(one_line.code, WEIR_EIO);
	for (int i = 0; i < 129; i++)
		used += snprintf(many + used, sizeof many - (size_t)used, "a: b\r\n");
	snprintf(many + used, sizeof many - (size_t)used, "\r\n");
	lines = exchange_one((struct scripted_reply){ .bytes = many, .end = SCRIPTED_CLOSE }, NULL);
	assert_int_equal(lines.code, WEIR_EIO);
}

/* ---- bodies beyond the limit ------------------------------------------------------------- */

static void a_long_body_is_cut_and_still_succeeds(void **state)
{
	struct weir_http_post how = { .max_response_bytes = 100 };
	struct outcome outcome =
	    exchange_one((struct scripted_reply){ .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
						  .filler = UINT64_MAX },
			 &how);

	(void)state;
	assert_int_equal(outcome.code, WEIR_OK);
	assert_int_equal(outcome.status, 200);
	assert_int_equal(outcome.body_len, 100);
	assert_true(outcome.body_cut);
}

static void a_long_body_is_too_big_if_it_must_be_whole(void **state)
{
	struct weir_http_post how = { .max_response_bytes = 100, .whole = true };
	struct outcome outcome = exchange_one(
	    (struct scripted_reply){ .bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", .filler = UINT64_MAX },
	    &how);

	(void)state;
	assert_int_equal(outcome.code, WEIR_ETOOBIG);
	assert_int_equal(outcome.status, 200);
}

static void a_body_of_exactly_the_limit_is_whole(void **state)
{
	struct weir_http_post how = { .max_response_bytes = 3, .whole = true };
	struct outcome outcome =
	    exchange_one((struct scripted_reply){ .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc" }, &how);

	(void)state;
	assert_int_equal(outcome.code, WEIR_OK);
	assert_false(outcome.body_cut);
}

static void an_endless_chunked_body_is_cut(void **state)
{
	struct weir_http_post how = { .max_response_bytes = 64 };
	struct outcome outcome = exchange_one(
	    (struct scripted_reply){ .bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
				     .filler = UINT64_MAX },
	    &how);

	(void)state;
	assert_int_equal(outcome.code, WEIR_OK);
	assert_int_equal(outcome.body_len, 64);
	assert_true(outcome.body_cut);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void expect_timeout(struct scripted_reply reply)
{
	struct weir_http_post how = { .timeout_ms = 100, .max_response_bytes = 1024 };
	struct outcome outcome = exchange_one(reply, &how);

	assert_int_equal(outcome.code, WEIR_ETIMEDOUT);
	assert_in_range(outcome.took_ns / WEIR_NS_PER_MS, 100, 5000);
}

static void silence_times_out(void **state)
{
	(void)state;
	expect_timeout((struct scripted_reply){ .end = SCRIPTED_HANG });
}

static void a_dripping_head_times_out_by_the_whole_time(void **state)
{
	(void)state;
	expect_timeout((struct scripted_reply){
	    .bytes = "HTTP/1.1 200 OK\r\nA: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    .drip_ms = 20 });
}

static void a_dripping_body_times_out_by_the_whole_time(void **state)
{
	(void)state;
	expect_timeout((struct scripted_reply){
	    .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    .drip_ms = 20 });
}

static void a_body_that_stops_in_the_middle_times_out(void **state)
{
	(void)state;
	expect_timeout((struct scripted_reply){ .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
						.end = SCRIPTED_HANG });
}

static void time_in_the_queue_counts(void **state)
{
	struct scripted_reply silent = { .end = SCRIPTED_HANG };
	struct scripted_server *server = scripted_server_start(&silent, 1);
	struct weir_http_post first = { .timeout_ms = 400 }, second = { .timeout_ms = 50 };
	struct bench bench;

	(void)state;
	bench_open(&bench, scripted_server_url(server), 1, NULL);
	post(&bench, &first);
	post(&bench, &second);
	wait_done(&bench, 1);
	assert_int_equal(bench.outcomes[0].code, WEIR_ETIMEDOUT);
	assert_int_equal(bench.outcomes[0].sends, 0);
	wait_done(&bench, 2);
	assert_int_equal(bench.outcomes[1].code, WEIR_ETIMEDOUT);
	assert_int_equal(bench.outcomes[1].sends, 1);
	bench_close(&bench);
	scripted_server_stop(server);
}

static void a_timeout_frees_its_place(void **state)
{
	struct scripted_reply replies[] = { { .end = SCRIPTED_HANG }, SCRIPTED_OK };
	struct scripted_server *server = scripted_server_start(replies, 2);
	struct weir_http_post first = { .timeout_ms = 50 };
	struct bench bench;

	(void)state;
	bench_open(&bench, scripted_server_url(server), 1, NULL);
	post(&bench, &first);
	post(&bench, NULL);
	wait_done(&bench, 2);
	assert_int_equal(bench.outcomes[0].code, WEIR_ETIMEDOUT);
	assert_int_equal(bench.outcomes[1].code, WEIR_OK);
	assert_int_equal(scripted_server_connections(server), 2);
	bench_close(&bench);
	scripted_server_stop(server);
}

/* ---- connections ------------------------------------------------------------------------------- */

static void a_refused_connection_is_unavailable(void **state)
{
	struct scripted_reply ok = SCRIPTED_OK;
	struct scripted_server *server = scripted_server_start(&ok, 1);
	char url[64];
	struct bench bench;

	(void)state;
	snprintf(url, sizeof url, "%s", scripted_server_url(server));
	scripted_server_stop(server);
	bench_open(&bench, url, 1, NULL);
	post(&bench, NULL);
	wait_done(&bench, 1);
	assert_int_equal(bench.outcomes[0].code, WEIR_EUNAVAIL);
	assert_int_equal(bench.outcomes[0].status, 0);
	assert_int_equal(bench.outcomes[0].sends, 0);
	bench_close(&bench);
}

static void a_name_that_does_not_resolve_is_unavailable(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "http://no-such-host.invalid/", 1, NULL);
	post(&bench, NULL);
	wait_done(&bench, 1);
	assert_int_equal(bench.outcomes[0].code, WEIR_EUNAVAIL);
	bench_close(&bench);
}

static void a_name_is_judged_by_what_it_resolves_to(void **state)
{
	struct scripted_reply ok = SCRIPTED_OK;
	struct scripted_server *server = scripted_server_start(&ok, 1);
	struct weir_http_client_options strict = { .rules = { false, false }, .through_libcurl = through_libcurl };
	char url[64];
	struct bench bench;

	(void)state;
	snprintf(url, sizeof url, "http://localhost:%u/", scripted_server_port(server));
	bench_open(&bench, url, 1, &strict);
	post(&bench, NULL);
	wait_done(&bench, 1);
	assert_int_equal(bench.outcomes[0].code, WEIR_ENOPERM);
	assert_int_equal(scripted_server_connections(server), 0);
	bench_close(&bench);
	scripted_server_stop(server);
}

static void connections_are_kept_and_reused(void **state)
{
	struct scripted_reply ok = SCRIPTED_OK;
	struct scripted_server *server = scripted_server_start(&ok, 1);
	struct bench bench;

	(void)state;
	bench_open(&bench, scripted_server_url(server), 4, NULL);
	bench.repost = 196;
	for (int i = 0; i < 4; i++)
		post(&bench, NULL);
	wait_done(&bench, 200);
	assert_int_equal(scripted_server_requests(server), 200);
	assert_true(scripted_server_connections(server) <= 4);
	for (size_t i = 0; i < KEPT; i++)
		assert_int_equal(bench.outcomes[i].status, 200);
	bench_close(&bench);
	scripted_server_stop(server);
}

static void posts_beyond_max_parallel_wait_in_order(void **state)
{
	struct scripted_reply ok = SCRIPTED_OK;
	struct scripted_server *server = scripted_server_start(&ok, 1);
	struct bench bench;
	char ids[10][8];

	(void)state;
	bench_open(&bench, scripted_server_url(server), 1, NULL);
	for (int i = 0; i < 10; i++) {
		snprintf(ids[i], sizeof ids[i], "body-%d", i);
		post(&bench, &(struct weir_http_post){ .body = { ids[i], 6 } });
	}
	wait_done(&bench, 10);
	assert_int_equal(scripted_server_connections(server), 1);
	for (unsigned i = 0; i < 10; i++)
		assert_true(request_has(scripted_server_request(server, i), ids[i]));
	bench_close(&bench);
	scripted_server_stop(server);
}

static void a_connection_that_the_server_closes_is_not_reused(void **state)
{
	struct scripted_reply replies[] = {
		{ .bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", .end = SCRIPTED_HANG },
		SCRIPTED_OK
	};
	struct scripted_server *server = scripted_server_start(replies, 2);
	struct bench bench;

	(void)state;
	bench_open(&bench, scripted_server_url(server), 1, NULL);
	post(&bench, NULL);
	post(&bench, NULL);
	wait_done(&bench, 2);
	assert_int_equal(bench.outcomes[1].code, WEIR_OK);
	assert_int_equal(scripted_server_connections(server), 2);
	bench_close(&bench);
	scripted_server_stop(server);
}

/* The server takes the second request of a connection and closes without a word: it may have been lost on the way. */
static void a_kept_connection_that_dies_is_replaced_once_and_counted(void **state)
{
	struct scripted_reply replies[] = { SCRIPTED_OK, { .bytes = "", .end = SCRIPTED_CLOSE }, SCRIPTED_OK };
	struct scripted_server *server = scripted_server_start(replies, 3);
	struct bench bench;

	(void)state;
	bench_open(&bench, scripted_server_url(server), 1, NULL);
	post(&bench, NULL);
	post(&bench, NULL);
	wait_done(&bench, 2);
	assert_int_equal(bench.outcomes[0].sends, 1);
	assert_int_equal(bench.outcomes[1].code, WEIR_OK);
	assert_int_equal(bench.outcomes[1].sends, 2);
	assert_int_equal(scripted_server_requests(server), 3);
	bench_close(&bench);
	scripted_server_stop(server);
}

static void a_new_connection_that_dies_is_not_replaced(void **state)
{
	struct scripted_reply replies[] = { { .bytes = "", .end = SCRIPTED_CLOSE }, SCRIPTED_OK };
	struct outcome outcome = exchange(replies, 2, NULL);

	(void)state;
	assert_int_equal(outcome.code, WEIR_EIO);
	assert_int_equal(outcome.sends, 1);
}

static void a_connection_that_idles_too_long_is_closed(void **state)
{
	struct scripted_reply ok = SCRIPTED_OK, silent = { .end = SCRIPTED_HANG };
	struct scripted_server *server = scripted_server_start(&ok, 1), *other = scripted_server_start(&silent, 1);
	struct weir_http_client_options options = { .rules = { .allow_loopback = true },
						    .through_libcurl = through_libcurl,
						    .max_idle_ms = 1 };
	struct weir_http_target *target;
	struct bench bench;

	(void)state;
	bench_open(&bench, scripted_server_url(server), 1, &options);
	assert_int_equal(weir_http_target_new(bench.client, scripted_server_url(other), 1, &target, NULL), WEIR_OK);
	post(&bench, NULL);
	wait_done(&bench, 1);
	/* Time passes: another's timeout, for libcurl counts in seconds. */
	weir_http_target_post(target, &(struct weir_http_post){
					  .timeout_ms = through_libcurl ? 2100 : 50, .done = on_done, .ctx = &bench });
	wait_done(&bench, 2);
	post(&bench, NULL);
	wait_done(&bench, 3);
	assert_int_equal(bench.outcomes[2].code, WEIR_OK);
	assert_int_equal(bench.outcomes[2].sends, 1);
	assert_int_equal(scripted_server_connections(server), 2);
	bench_close(&bench);
	scripted_server_stop(server);
	scripted_server_stop(other);
}

static void connections_are_bounded_over_all_targets(void **state)
{
	enum { TARGETS = 3, POSTS = 10 };
	struct scripted_reply ok = SCRIPTED_OK;
	struct scripted_server *servers[TARGETS];
	struct weir_http_client_options options = { .rules = { .allow_loopback = true },
						    .through_libcurl = through_libcurl,
						    .max_connections = 1 };
	struct weir_http_target *targets[TARGETS];
	struct bench bench;

	(void)state;
	for (int i = 0; i < TARGETS; i++)
		servers[i] = scripted_server_start(&ok, 1);
	bench_open(&bench, scripted_server_url(servers[0]), 4, &options);
	targets[0] = bench.target;
	for (int i = 1; i < TARGETS; i++)
		assert_int_equal(
		    weir_http_target_new(bench.client, scripted_server_url(servers[i]), 4, &targets[i], NULL), WEIR_OK);
	for (int i = 0; i < POSTS; i++) {
		bench.target = targets[i % TARGETS];
		post(&bench, NULL);
	}
	wait_done(&bench, POSTS);
	for (int i = 0; i < POSTS; i++)
		assert_int_equal(bench.outcomes[i].code, WEIR_OK);
	bench_close(&bench);
	for (int i = 0; i < TARGETS; i++)
		scripted_server_stop(servers[i]);
}

static void an_early_answer_to_a_large_request_is_taken(void **state)
{
	static const char head_only[] = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	size_t size = 3 * 1024 * 1024;
	char *large = calloc(1, size);
	struct weir_http_post how = { .body = { large, size } };
	struct outcome outcome;

	(void)state;
	assert_non_null(large);
	outcome =
	    exchange_one((struct scripted_reply){ .bytes = head_only, .early = true, .end = SCRIPTED_HANG }, &how);
	assert_int_equal(outcome.code, WEIR_OK);
	assert_int_equal(outcome.status, 413);
	free(large);
}

/* ---- giving up ------------------------------------------------------------------------------------ */

static void freeing_a_target_cancels_what_is_under_way(void **state)
{
	struct scripted_reply silent = { .end = SCRIPTED_HANG };
	struct scripted_server *server = scripted_server_start(&silent, 1);
	struct weir_http_post how = { .timeout_ms = 100 };
	struct weir_http_target *second;
	struct bench bench;

	(void)state;
	bench_open(&bench, scripted_server_url(server), 2, NULL);
	/* One that times out, so that the others are surely under way or queued. */
	post(&bench, &how);
	for (int i = 0; i < 4; i++)
		post(&bench, NULL);
	wait_done(&bench, 1);
	assert_int_equal(weir_http_target_new(bench.client, scripted_server_url(server), 1, &second, NULL), WEIR_OK);
	weir_http_target_free(bench.target);
	bench.target = second;
	assert_int_equal(bench.done, 5);
	for (int i = 1; i < 5; i++)
		assert_int_equal(bench.outcomes[i].code, WEIR_ECANCELED);
	bench_close(&bench);
	scripted_server_stop(server);
}

static void freeing_the_client_cancels_everything(void **state)
{
	struct scripted_reply silent = { .end = SCRIPTED_HANG };
	struct scripted_server *server = scripted_server_start(&silent, 1);
	struct bench bench;

	(void)state;
	bench_open(&bench, scripted_server_url(server), 1, NULL);
	post(&bench, NULL);
	post(&bench, NULL);
	weir_http_client_free(bench.client);
	assert_int_equal(bench.done, 2);
	assert_int_equal(bench.outcomes[0].code, WEIR_ECANCELED);
	weir_loop_free(bench.loop);
	scripted_server_stop(server);
}

static void done_may_free_its_target(void **state)
{
	struct scripted_reply ok = SCRIPTED_OK;
	struct scripted_server *server = scripted_server_start(&ok, 1);
	struct bench bench;

	(void)state;
	bench_open(&bench, scripted_server_url(server), 1, NULL);
	bench.free_target = true;
	post(&bench, NULL);
	post(&bench, NULL);
	wait_done(&bench, 2);
	assert_int_equal(bench.outcomes[0].code, WEIR_OK);
	assert_int_equal(bench.outcomes[1].code, WEIR_ECANCELED);
	bench_close(&bench);
	scripted_server_stop(server);
}

static void a_bad_url_makes_no_target(void **state)
{
	struct scripted_reply ok = SCRIPTED_OK;
	struct scripted_server *server = scripted_server_start(&ok, 1);
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_http_target *target = NULL;
	struct bench bench;

	(void)state;
	bench_open(&bench, scripted_server_url(server), 1, NULL);
	assert_int_equal(weir_http_target_new(bench.client, "http://169.254.169.254/", 1, &target, &err), WEIR_ENOPERM);
	assert_null(target);
	bench_close(&bench);
	scripted_server_stop(server);
}

/* Every allocation fails in turn: the post is refused or reported, and nothing is lost or leaked. */
static void failing_allocations_are_reported(void **state)
{
	struct scripted_reply ok = SCRIPTED_OK;
	struct scripted_server *server = scripted_server_start(&ok, 1);

	(void)state;
	for (uint64_t nth = 1; nth < 40; nth++) {
		struct weir_http_client_options options = { .rules = { .allow_loopback = true },
							    .through_libcurl = through_libcurl };
		struct weir_http_post how = { .timeout_ms = 5000, .max_response_bytes = 10, .done = on_done };
		struct bench bench = { 0 };
		int code;

		how.ctx = &bench;
		assert_int_equal(weir_loop_new(&bench.loop, NULL), WEIR_OK);
		weir_mem_fail(nth, 0);
		code = weir_http_client_new(bench.loop, &options, &bench.client, NULL);
		if (code == WEIR_OK)
			code = weir_http_target_new(bench.client, scripted_server_url(server), 1, &bench.target, NULL);
		if (code == WEIR_OK)
			code = weir_http_target_post(bench.target, &how);
		if (code == WEIR_OK)
			wait_done(&bench, 1);
		else
			assert_int_equal(code, WEIR_ENOMEM);
		weir_mem_fail(0, 0);
		bench_close(&bench);
	}
	scripted_server_stop(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_carries_method_headers_and_body),
		cmocka_unit_test(a_request_has_no_header_that_nobody_asked_for),
		cmocka_unit_test(a_post_without_body_has_length_0),
		cmocka_unit_test(a_proxy_from_the_environment_is_not_used),
		cmocka_unit_test(an_answer_is_reported_with_status_headers_and_body),
		cmocka_unit_test(a_chunked_answer_is_put_together),
		cmocka_unit_test(an_answer_may_end_with_the_connection),
		cmocka_unit_test(an_answer_that_comes_byte_by_byte_is_whole),
		cmocka_unit_test(a_chunked_answer_behind_interim_ones_may_come_in_any_two_pieces),
		cmocka_unit_test(an_answer_with_a_length_may_come_in_any_two_pieces),
		cmocka_unit_test(a_204_has_no_body_and_keeps_the_connection),
		cmocka_unit_test(a_compressed_answer_is_left_as_it_is),
		cmocka_unit_test(a_redirect_is_reported_and_not_followed),
		cmocka_unit_test(interim_answers_are_skipped),
		cmocka_unit_test(eight_interim_answers_are_skipped_and_nine_fail),
		cmocka_unit_test(switching_protocols_is_a_final_answer),
		cmocka_unit_test(malformed_answers_fail),
		cmocka_unit_test(a_nul_in_a_header_fails),
		cmocka_unit_test(a_reset_after_the_headers_fails),
		cmocka_unit_test(headers_without_end_fail),
		cmocka_unit_test(a_long_body_is_cut_and_still_succeeds),
		cmocka_unit_test(a_long_body_is_too_big_if_it_must_be_whole),
		cmocka_unit_test(a_body_of_exactly_the_limit_is_whole),
		cmocka_unit_test(an_endless_chunked_body_is_cut),
		cmocka_unit_test(silence_times_out),
		cmocka_unit_test(a_dripping_head_times_out_by_the_whole_time),
		cmocka_unit_test(a_dripping_body_times_out_by_the_whole_time),
		cmocka_unit_test(a_body_that_stops_in_the_middle_times_out),
		cmocka_unit_test(time_in_the_queue_counts),
		cmocka_unit_test(a_timeout_frees_its_place),
		cmocka_unit_test(a_refused_connection_is_unavailable),
		cmocka_unit_test(a_name_that_does_not_resolve_is_unavailable),
		cmocka_unit_test(a_name_is_judged_by_what_it_resolves_to),
		cmocka_unit_test(connections_are_kept_and_reused),
		cmocka_unit_test(posts_beyond_max_parallel_wait_in_order),
		cmocka_unit_test(a_connection_that_the_server_closes_is_not_reused),
		cmocka_unit_test(a_kept_connection_that_dies_is_replaced_once_and_counted),
		cmocka_unit_test(a_new_connection_that_dies_is_not_replaced),
		cmocka_unit_test(a_connection_that_idles_too_long_is_closed),
		cmocka_unit_test(connections_are_bounded_over_all_targets),
		cmocka_unit_test(an_early_answer_to_a_large_request_is_taken),
		cmocka_unit_test(freeing_a_target_cancels_what_is_under_way),
		cmocka_unit_test(freeing_the_client_cancels_everything),
		cmocka_unit_test(done_may_free_its_target),
		cmocka_unit_test(a_bad_url_makes_no_target),
		cmocka_unit_test(failing_allocations_are_reported),
	};

	int failed = cmocka_run_group_tests_name("over a socket", tests, NULL, NULL);

	through_libcurl = true;
	return failed + cmocka_run_group_tests_name("through libcurl", tests, NULL, NULL);
}
