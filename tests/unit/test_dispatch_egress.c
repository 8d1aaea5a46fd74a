/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/weir_cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/str.h"
#include "dispatch/egress.h"
#include "filter/build.h"
#include "unit/dispatch_fakes.h"

static int begin(void **state)
{
	(void)state;
	fake_begin();
	return 0;
}

static int end(void **state)
{
	(void)state;
	fake_end();
	return 0;
}

static void assert_posts(size_t count, const char *ids)
{
	char seen[1024] = "";
	size_t used = 0;

	for (size_t i = 0; i < fake.post_count; i++)
		used += (size_t)snprintf(seen + used, sizeof seen - used, "%s%s", i ? " " : "", fake.posts[i].id);
	assert_string_equal(seen, ids);
	assert_int_equal(fake.post_count, count);
}

/* ---- success -------------------------------------------------------------- */

static void an_event_is_acked_after_a_2xx_and_not_before(void **state)
{
	(void)state;
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	assert_posts(1, "1");
	assert_int_equal(fake.ack_count, 0);
	fake_answer(0, 204);
	assert_int_equal(fake.ack_count, 1);
	assert_string_equal(fake.acked[0], "1");
	assert_int_equal(fake_figures().delivered, 1);
}

static void the_subscriber_is_asked_for_a_reply_and_gets_the_event(void **state)
{
	(void)state;
	fake_subscribe();
	fake_deliver("1", "k");
	fake_turn();
	assert_non_null(strstr(fake.posts[0].all, "prefer: reply\n"));
	assert_non_null(strstr(fake.posts[0].all, "ce-partitionkey: k\n"));
	assert_int_equal(fake.posts[0].post.timeout_ms, 1000);
	assert_true(weir_str_equal(fake.posts[0].post.body, WEIR_STR("data")));
}

static void acks_of_one_turn_are_settled_in_one_call(void **state)
{
	(void)state;
	fake.settings.delivery.order = WEIR_ORDER_UNORDERED;
	fake_subscribe();
	for (int i = 0; i < 4; i++)
		fake_deliver((const char *[]){ "1", "2", "3", "4" }[i], NULL);
	fake_turn();
	for (size_t i = 0; i < 4; i++) {
		const struct weir_http_result result = { .status = 200 };

		fake.posts[i].open = false;
		fake.posts[i].post.done(fake.posts[i].post.ctx, &result);
	}
	fake_turn();
	assert_int_equal(fake.ack_count, 4);
	assert_int_equal(fake.settle_calls, 1);
}

static void a_stale_ack_is_counted(void **state)
{
	(void)state;
	fake_subscribe();
	fake.settle_code = WEIR_ESTALE;
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer(0, 200);
	assert_int_equal(fake_figures().stale, 1);
}

static void the_window_asked_for_is_twice_what_may_be_in_flight(void **state)
{
	(void)state;
	fake.settings.delivery.max_in_flight = 100;
	fake_subscribe();
	assert_int_equal(fake.spec.window, 200);
	assert_int_equal(fake.spec.window_bytes, 1 << 20);
}

/* ---- hops ----------------------------------------------------------------- */

static const struct weir_header hop_headers[] = {
	{ { "ce-specversion", 14 }, { "1.0", 3 } }, { { "ce-id", 5 }, { "r", 1 } },
	{ { "ce-source", 9 }, { "/r", 2 } },        { { "ce-type", 7 }, { "t", 1 } },
	{ { "ce-weirhops", 11 }, { "0", 1 } },
};

static void a_reply_counts_one_hop_more_than_the_event_whatever_it_says(void **state)
{
	(void)state;
	fake.settings.reply = "http://reply/";
	fake.hops = "2";
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer_with(0, 200, hop_headers, 5, "");
	assert_posts(2, "1 r");
	assert_non_null(strstr(fake.posts[1].all, "ce-weirhops: 3\n"));
}

static void what_was_sent_on_too_often_is_neither_replied_nor_dead_lettered_but_quarantined(void **state)
{
	(void)state;
	fake.settings.reply = "http://reply/";
	fake.settings.delivery.dead_letter_sink = "http://dead/";
	fake.hops = "3";
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer_with(0, 200, hop_headers, 5, "");
	fake_wait_quarantined(1);
	assert_posts(1, "1");
	assert_non_null(strstr(fake.quarantined[0], "weirhops"));
	assert_int_equal(fake_figures().looped, 2);
}

static void an_event_to_a_channel_of_ones_own_counts_a_hop_and_to_others_none(void **state)
{
	(void)state;
	fake.settings.own_subscriber = true;
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	assert_non_null(strstr(fake.posts[0].all, "ce-weirhops: 1\n"));
	fake_answer(0, 202);
	fake.settings.own_subscriber = false;
	fake_deliver("2", NULL);
	fake_turn();
	assert_null(strstr(fake.posts[1].all, "weirhops"));
}

/* ---- filters -------------------------------------------------------------- */

static struct weir_arena filter_arena;

/* The subscription wants the event whose id is "1", only or not at all. */
static void set_filter(bool only)
{
	struct weir_filter_builder *builder;

	weir_arena_init(&filter_arena, 0);
	assert_int_equal(weir_filter_builder_new(&filter_arena, &builder), WEIR_OK);
	if (!only)
		assert_int_equal(weir_filter_begin(builder, WEIR_FILTER_NOT, NULL), WEIR_OK);
	assert_int_equal(weir_filter_add_match(builder, WEIR_FILTER_EXACT, WEIR_STR("id"), WEIR_STR("1"), NULL),
			 WEIR_OK);
	if (!only)
		assert_int_equal(weir_filter_end(builder, NULL), WEIR_OK);
	assert_int_equal(weir_filter_finish(builder, &fake.settings.filter, NULL), WEIR_OK);
	weir_filter_builder_free(builder);
}

static void an_event_that_does_not_pass_is_acked_without_a_post(void **state)
{
	(void)state;
	set_filter(false);
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_deliver("2", NULL);
	fake_turn();
	assert_posts(1, "2");
	assert_int_equal(fake.ack_count, 1);
	assert_string_equal(fake.acked[0], "1");
	assert_int_equal(fake_figures().filtered, 1);
	assert_int_equal(fake_figures().delivered, 0);
	weir_arena_fini(&filter_arena);
}

static void what_does_not_pass_waits_for_nobody(void **state)
{
	(void)state;
	set_filter(true);
	fake_subscribe();
	fake_deliver("1", "k");
	fake_deliver("2", "k");
	fake_turn();
	assert_posts(1, "1"); /* not answered yet, and 2 is behind it in its lane */
	assert_int_equal(fake.ack_count, 1);
	assert_string_equal(fake.acked[0], "2");
	weir_arena_fini(&filter_arena);
}

static void a_record_that_is_no_event_is_not_filtered_away(void **state)
{
	(void)state;
	set_filter(true);
	fake_subscribe();
	fake_deliver_poison();
	fake_wait_quarantined(1);
	assert_int_equal(fake_figures().filtered, 0);
	weir_arena_fini(&filter_arena);
}

static void an_event_that_could_not_be_decoded_at_first_is_filtered_later(void **state)
{
	(void)state;
	set_filter(false);
	fake_subscribe();
	fake_deliver("1", NULL);
	weir_mem_fail(1, 0); /* in the scratch event's first decoding */
	fake_turn();
	weir_mem_fail(0, 0);
	fake_turn();
	assert_int_equal(fake.post_count, 0);
	assert_int_equal(fake_figures().filtered, 1);
	weir_arena_fini(&filter_arena);
}

static void an_event_for_another_subscription_is_acked_without_a_post(void **state)
{
	(void)state;
	fake.only = "shipping";
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	assert_int_equal(fake.post_count, 0);
	assert_int_equal(fake.ack_count, 1);
	assert_int_equal(fake_figures().filtered, 1);
}

static void an_event_for_this_subscription_passes_its_filters_and_does_not_say_so(void **state)
{
	(void)state;
	set_filter(false);
	fake.only = "billing";
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	assert_posts(1, "1");
	assert_null(strstr(fake.posts[0].all, "weirfor"));
	weir_arena_fini(&filter_arena);
}

/* ---- what a failed answer says ---------------------------------------------- */

static void headers_of_a_failed_answer_become_extensions_of_the_dead_letter_within_bounds(void **state)
{
	static char long_value[1024];
	const struct weir_header headers[] = {
		{ WEIR_STR("kne-reason"), WEIR_STR("full") },
		{ WEIR_STR("KNE-Shelf7"), WEIR_STR("a b") },
		{ WEIR_STR("kne-"), WEIR_STR("x") },
		{ WEIR_STR("kne-bad_name"), WEIR_STR("x") },
		{ WEIR_STR("kne-id"), WEIR_STR("other") },
		{ WEIR_STR("kne-partitionkey"), WEIR_STR("other") },
		{ WEIR_STR("kne-weirhops"), WEIR_STR("0") },
		{ WEIR_STR("kne-long"), { long_value, sizeof long_value } },
		{ WEIR_STR("kne-control"), WEIR_STR("a\x01") },
		{ WEIR_STR("kn"), WEIR_STR("x") },
	};
	const char *letter;

	(void)state;
	memset(long_value, 'x', sizeof long_value);
	fake.settings.delivery.dead_letter_sink = "http://dead/";
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer_with(0, 400, headers, sizeof headers / sizeof headers[0], "");
	assert_posts(2, "1 1");
	letter = fake.posts[1].all;
	assert_non_null(strstr(letter, "ce-reason: full\n"));
	assert_non_null(strstr(letter, "ce-shelf7: a%20b\n"));
	assert_non_null(strstr(letter, "ce-weirhops: 1\n"));
	assert_null(strstr(letter, "other"));
	assert_null(strstr(letter, "ce-long"));
	assert_null(strstr(letter, "ce-control"));
	assert_null(strstr(letter, "ce-bad"));
}

static void no_more_than_eight_headers_are_kept(void **state)
{
	struct weir_header headers[20];
	char names[20][8];
	size_t found = 0;

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		snprintf(names[i], sizeof names[i], "kne-x%c", (char)('a' + i));
		headers[i] = (struct weir_header){ weir_str(names[i]), WEIR_STR("v") };
	}
	fake.settings.delivery.dead_letter_sink = "http://dead/";
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer_with(0, 400, headers, 20, "");
	for (const char *at = fake.posts[1].all; (at = strstr(at, "ce-x")); at++)
		found++;
	assert_int_equal(found, 8);
}

static void events_are_posted_as_json_where_asked(void **state)
{
	(void)state;
	fake.settings.delivery.structured = true;
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	assert_non_null(strstr(fake.posts[0].all, "content-type: application/cloudevents+json"));
	assert_non_null(memmem(fake.posts[0].post.body.ptr, fake.posts[0].post.body.len, "\"id\":\"1\"", 8));
}

/* ---- order ---------------------------------------------------------------- */

static void one_key_is_serial_and_keys_are_parallel(void **state)
{
	(void)state;
	fake_subscribe();
	fake_deliver("a1", "a");
	fake_deliver("a2", "a");
	fake_deliver("b1", "b");
	fake_turn();
	assert_posts(2, "a1 b1");
	fake_answer(0, 200);
	assert_posts(3, "a1 b1 a2");
}

static void keys_are_found_in_the_event_where_the_backend_keeps_none(void **state)
{
	(void)state;
	fake.caps_without = 1;
	fake_subscribe();
	fake_deliver("a1", "a");
	fake_deliver("a2", "a");
	fake_deliver("b1", "b");
	fake_turn();
	assert_posts(2, "a1 b1");
}

static void a_key_that_waits_for_a_retry_blocks_only_itself(void **state)
{
	(void)state;
	fake_subscribe();
	fake_deliver("a1", "a");
	fake_deliver("a2", "a");
	fake_deliver("b1", "b");
	fake_deliver("b2", "b");
	fake_turn();
	fake_answer(0, 503);
	fake_answer(1, 200);
	fake_wait_posts(4);
	assert_posts(4, "a1 b1 b2 a1");
	fake_answer(3, 200);
	assert_posts(5, "a1 b1 b2 a1 a2");
}

static void events_without_a_key_are_serial_together(void **state)
{
	(void)state;
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_deliver("2", NULL);
	fake_turn();
	assert_posts(1, "1");
}

static void no_more_posts_are_open_than_allowed(void **state)
{
	(void)state;
	fake.settings.delivery.order = WEIR_ORDER_UNORDERED;
	fake_subscribe();
	for (int i = 0; i < 6; i++)
		fake_deliver((const char *[]){ "1", "2", "3", "4", "5", "6" }[i], NULL);
	fake_turn();
	assert_int_equal(fake.post_count, 4);
	assert_int_equal(fake_figures().in_flight, 4);
	assert_int_equal(fake_figures().waiting, 2);
	fake_answer(2, 200);
	assert_int_equal(fake.post_count, 5);
}

/* ---- failure -------------------------------------------------------------- */

static void a_failing_event_is_tried_once_and_as_often_again_as_the_policy_says(void **state)
{
	(void)state;
	fake_subscribe();
	fake_deliver("1", NULL);
	for (size_t i = 0; i < 3; i++) {
		fake_wait_posts(i + 1);
		assert_int_equal(fake.quarantined_count, 0);
		fake_answer(i, i == 1 ? 0 : 500);
	}
	fake_wait_quarantined(1);
	assert_posts(3, "1 1 1");
	assert_int_equal(fake.ack_count, 1);
	assert_int_equal(fake_figures().retries, 2);
	assert_int_equal(fake_figures().quarantined, 1);
	assert_int_equal(fake_figures().delivered, 0);
}

static void a_refused_event_is_not_tried_again(void **state)
{
	(void)state;
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer(0, 400);
	assert_int_equal(fake.post_count, 1);
	assert_int_equal(fake.quarantined_count, 1);
	assert_non_null(strstr(fake.quarantined[0], "\"status\":400"));
	assert_non_null(strstr(fake.quarantined[0], "\"destination\":\"http://subscriber/\""));
}

static void retry_after_is_followed_up_to_its_maximum(void **state)
{
	static const struct weir_header later = { { "Retry-After", 11 }, { "3600", 4 } };
	int64_t begin_ns = weir_clock_now_ns();

	(void)state;
	fake.settings.delivery.retry_after_max_ms = 60;
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer_with(0, 429, &later, 1, "");
	fake_wait_posts(2);
	assert_true(weir_clock_now_ns() - begin_ns >= 60 * WEIR_NS_PER_MS);
}

/* ---- dead letters --------------------------------------------------------- */

static void a_dead_letter_says_what_went_wrong(void **state)
{
	(void)state;
	fake.settings.delivery.dead_letter_sink = "http://dead/";
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer_with(0, 422, NULL, 0, "foo");
	assert_posts(2, "1 1");
	assert_string_equal(fake.posts[1].url, "http://dead/");
	assert_non_null(strstr(fake.posts[1].all, "ce-knativeerrordest: http://subscriber/\n"));
	assert_non_null(strstr(fake.posts[1].all, "ce-knativeerrorcode: 422\n"));
	assert_non_null(strstr(fake.posts[1].all, "ce-knativeerrordata: Zm9v\n"));
	assert_null(strstr(fake.posts[1].all, "prefer"));
	assert_int_equal(fake.ack_count, 0);
	fake_answer(1, 200);
	assert_int_equal(fake.ack_count, 1);
	assert_int_equal(fake_figures().dead_lettered, 1);
}

static void a_dead_letter_sink_that_fails_is_retried_and_then_comes_quarantine(void **state)
{
	(void)state;
	fake.settings.delivery.dead_letter_sink = "http://dead/";
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer(0, 400);
	for (size_t i = 1; i < 4; i++) {
		fake_wait_posts(i + 1);
		assert_string_equal(fake.posts[i].url, "http://dead/");
		fake_answer(i, 503);
	}
	fake_wait_quarantined(1);
	assert_int_equal(fake.post_count, 4);
	assert_int_equal(fake.ack_count, 1);
	assert_int_equal(fake_figures().dead_lettered, 0);
}

static void a_dead_letter_may_go_to_a_channel(void **state)
{
	(void)state;
	fake.settings.delivery.dead_letter_sink = "channel:shop/other";
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer(0, 400);
	assert_int_equal(fake.published_count, 1);
	assert_string_equal(fake.published[0], "1");
	assert_int_equal(fake.ack_count, 0);
	fake_complete(0, WEIR_PERSISTED);
	assert_int_equal(fake.ack_count, 1);
}

static void a_dead_letter_whose_outcome_is_unknown_is_published_again(void **state)
{
	(void)state;
	fake.settings.delivery.dead_letter_sink = "channel:shop/other";
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer(0, 400);
	fake_complete(0, WEIR_UNKNOWN);
	assert_int_equal(fake.ack_count, 0);
	fake_wait_published(2);
	fake_complete(1, WEIR_PERSISTED);
	assert_int_equal(fake.ack_count, 1);
}

static void a_channel_that_cannot_be_opened_is_told_at_start(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;
	const struct weir_egress_options options = { .loop = fake.loop, .settings = &fake.settings };

	(void)state;
	fake.settings.delivery.dead_letter_sink = "channel:nonsense";
	assert_int_equal(weir_egress_new(&options, &fake.egress, &err), WEIR_EINVAL);
	assert_non_null(strstr(err.text, "channel:NAMESPACE/NAME"));
}

/* ---- quarantine ----------------------------------------------------------- */

static void what_cannot_be_quarantined_stays_unsettled_and_makes_the_subscription_not_ready(void **state)
{
	struct weir_subscription_view view;

	(void)state;
	fake_subscribe();
	fake.quarantine_code = WEIR_ELIMIT;
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer(0, 400);
	assert_int_equal(fake.quarantined_count, 1);
	assert_int_equal(fake.ack_count, 0);
	weir_egress_view(fake.egress, true, &view);
	assert_false(view.ready);
	fake.quarantine_code = WEIR_OK;
	fake_wait_quarantined(2);
	fake_turn();
	assert_int_equal(fake.ack_count, 1);
	weir_egress_view(fake.egress, true, &view);
	assert_true(view.ready);
}

static void a_record_that_is_no_event_goes_to_quarantine_and_others_flow(void **state)
{
	(void)state;
	fake.settings.delivery.dead_letter_sink = "http://dead/";
	fake_subscribe();
	fake_deliver_poison();
	fake_deliver("2", NULL);
	fake_turn();
	assert_int_equal(fake.quarantined_count, 1);
	assert_non_null(strstr(fake.quarantined[0], "\"body_base64\":\"/yBub3QgYW4gZXZlbnQ=\""));
	assert_posts(1, "2");
	assert_int_equal(fake.ack_count, 1);
	assert_int_equal(fake_figures().poison, 1);
}

/* ---- what people are told -------------------------------------------------- */

static char told[4096];

static void keep_line(void *ctx, int level, const char *text)
{
	size_t used = strlen(told);

	(void)ctx;
	(void)level;
	snprintf(told + used, sizeof told - used, "%s\n", text);
}

static void listen_to_log(void)
{
	told[0] = '\0';
	weir_log_set(keep_line, NULL, WEIR_LOG_NOTICE);
}

static void deliver_and_answer(size_t number, const char *id, int status)
{
	fake_deliver(id, NULL);
	fake_turn();
	fake_wait_posts(number + 1);
	fake_answer(number, status);
}

static void each_outage_is_told_once_and_so_is_its_end(void **state)
{
	(void)state;
	fake.settings.delivery.retry = 0;
	fake.settings.delivery.dead_letter_sink = NULL;
	fake_subscribe();
	listen_to_log();
	deliver_and_answer(0, "1", 500);
	deliver_and_answer(1, "2", 500);
	assert_int_equal(fake_figures().failing, 1);
	deliver_and_answer(2, "3", 200);
	assert_int_equal(fake_figures().failing, 0);
	deliver_and_answer(3, "4", 500);
	weir_log_set(NULL, NULL, WEIR_LOG_NOTICE);
	assert_non_null(strstr(told, "delivery fails: http://subscriber/: status 500\n"));
	assert_non_null(strstr(told, "delivery works again\n"));
	assert_non_null(strstr(strstr(told, "works again"), "delivery fails"));
	assert_null(strstr(strstr(strstr(told, "delivery fails") + 1, "delivery fails") + 1, "delivery fails"));
}

static void a_line_names_the_subscription_and_its_channel(void **state)
{
	(void)state;
	fake_subscribe();
	listen_to_log();
	deliver_and_answer(0, "1", 500);
	weir_log_set(NULL, NULL, WEIR_LOG_NOTICE);
	assert_string_equal(told,
			    "subscription billing of shop/orders: delivery fails: http://subscriber/: status 500\n");
}

static void lines_beyond_a_burst_of_ten_come_one_a_second(void **state)
{
	int64_t began_ns = weir_clock_now_ns();
	int64_t most, lines = 0;

	(void)state;
	fake.settings.delivery.retry = 0;
	fake_subscribe();
	listen_to_log();
	for (size_t i = 0; i < 24; i++)
		deliver_and_answer(i, "1", i % 2 ? 200 : 500);
	weir_log_set(NULL, NULL, WEIR_LOG_NOTICE);
	most = 10 + 1 + (weir_clock_now_ns() - began_ns) / WEIR_NS_PER_S;
	for (const char *at = told; (at = strchr(at, '\n')); at++)
		lines++;
	assert_in_range(lines, 10, most);
}

/* ---- replies -------------------------------------------------------------- */

static const struct weir_header reply_headers[] = {
	{ { "Ce-Specversion", 14 }, { "1.0", 3 } },
	{ { "ce-id", 5 }, { "reply-1", 7 } },
	{ { "ce-type", 7 }, { "t", 1 } },
	{ { "ce-source", 9 }, { "/r", 2 } },
};

static void the_original_is_acked_only_after_its_reply_was_accepted(void **state)
{
	(void)state;
	fake.settings.reply = "http://reply/";
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer_with(0, 200, reply_headers, 4, "hello");
	assert_posts(2, "1 reply-1");
	assert_string_equal(fake.posts[1].url, "http://reply/");
	assert_true(weir_str_equal(fake.posts[1].post.body, WEIR_STR("hello")));
	assert_int_equal(fake.ack_count, 0);
	fake_answer(1, 202);
	assert_int_equal(fake.ack_count, 1);
	assert_int_equal(fake_figures().replies, 1);
}

static void a_failed_reply_retries_the_whole_delivery(void **state)
{
	(void)state;
	fake.settings.reply = "http://reply/";
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer_with(0, 200, reply_headers, 4, "");
	fake_answer(1, 503);
	assert_int_equal(fake.ack_count, 0);
	fake_wait_posts(3);
	assert_string_equal(fake.posts[2].url, "http://subscriber/");
	assert_posts(3, "1 reply-1 1");
}

static void a_reply_may_be_published_to_a_channel(void **state)
{
	(void)state;
	fake.settings.reply = "channel:shop/other";
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer_with(0, 200, reply_headers, 4, "");
	assert_string_equal(fake.published[0], "reply-1");
	assert_int_equal(fake.ack_count, 0);
	fake_complete(0, WEIR_PERSISTED);
	assert_int_equal(fake.ack_count, 1);
}

static void a_channel_that_takes_no_reply_now_retries_the_delivery(void **state)
{
	(void)state;
	fake.settings.reply = "channel:shop/other";
	fake_subscribe();
	fake.publish_code = WEIR_EAGAIN;
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer_with(0, 200, reply_headers, 4, "");
	assert_int_equal(fake.ack_count, 0);
	fake_wait_posts(2);
	assert_posts(2, "1 1");
}

static void a_202_is_never_a_reply(void **state)
{
	(void)state;
	fake.settings.reply = "http://reply/";
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer_with(0, 202, reply_headers, 4, "");
	assert_int_equal(fake.post_count, 1);
	assert_int_equal(fake.ack_count, 1);
}

static void a_reply_that_is_no_valid_event_is_a_refusal(void **state)
{
	(void)state;
	fake.settings.reply = "http://reply/";
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer_with(0, 200, reply_headers, 2, "");
	assert_int_equal(fake.post_count, 1);
	assert_int_equal(fake.quarantined_count, 1);
}

/* ---- draining ------------------------------------------------------------- */

static bool drained;

static void on_drained(void *ctx)
{
	(void)ctx;
	drained = true;
}

static void drain(void)
{
	drained = false;
	weir_egress_drain(fake.egress, on_drained, NULL);
	fake_turn();
}

static void draining_finishes_what_is_in_flight_and_starts_nothing_new(void **state)
{
	(void)state;
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_deliver("2", NULL);
	fake_turn();
	drain();
	assert_true(fake.paused);
	assert_false(drained);
	fake_answer(0, 200);
	assert_true(drained);
	assert_posts(1, "1");
	assert_int_equal(fake.ack_count, 1);
}

static void an_idle_subscription_is_drained_at_once(void **state)
{
	(void)state;
	fake_subscribe();
	drain();
	assert_true(drained);
}

static void what_fails_while_draining_stays_unsettled(void **state)
{
	(void)state;
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	drain();
	fake_answer(0, 503);
	assert_true(drained);
	assert_int_equal(fake.ack_count, 0);
	assert_int_equal(fake.quarantined_count, 0);
}

static void closing_gives_up_what_is_in_flight_and_settles_none_of_it(void **state)
{
	size_t given_up = 0;

	(void)state;
	fake_subscribe();
	fake_deliver("1", "a");
	fake_deliver("2", "b");
	fake_deliver("3", "b");
	fake_turn();
	fake_deliver("4", NULL); /* still in the mailbox */
	assert_int_equal(weir_egress_close(fake.egress, 0, &given_up, NULL), WEIR_OK);
	assert_true(fake.closed);
	assert_int_equal(given_up, 2);
	assert_int_equal(fake.ack_count, 0);
	assert_int_equal(fake.freed, 4);
	weir_egress_free(fake.egress);
	fake.egress = NULL;
}

static void figures_of_the_backend_are_passed_on(void **state)
{
	struct weir_subscription_view view;

	(void)state;
	fake_subscribe();
	weir_egress_view(fake.egress, true, &view);
	assert_true(view.ready);
	assert_int_equal(view.figures.lag, 7);
	assert_int_equal(view.figures.oldest_ms, 9);
	weir_egress_view(fake.egress, false, &view);
	assert_false(view.ready);
	assert_int_equal(view.figures.lag, UINT64_MAX);
}

static void durations_are_counted_in_growing_buckets(void **state)
{
	struct weir_egress_figures figures;

	(void)state;
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	fake_answer(0, 200); /* took 3 ms */
	figures = fake_figures();
	assert_int_equal(figures.attempts, 1);
	assert_int_equal(figures.duration_ns, 3 * WEIR_NS_PER_MS);
	assert_int_equal(figures.duration_buckets[1], 0);
	assert_int_equal(figures.duration_buckets[2], 1);
	assert_int_equal(figures.duration_buckets[15], 1);
}

/* ---- short memory --------------------------------------------------------- */

/* Everything that making a subscription allocates fails once. */
static void short_memory_at_start_is_an_error_and_leaks_nothing(void **state)
{
	const struct weir_egress_options options = { .loop = fake.loop, .settings = &fake.settings };
	struct weir_egress *egress = NULL;
	int failures = 0;

	(void)state;
	fake.settings.reply = "channel:shop/other";
	for (uint64_t nth = 1; !egress; nth++) {
		weir_mem_fail(nth, 0);
		if (weir_egress_new(&options, &egress, NULL))
			failures++;
		weir_mem_fail(0, 0);
	}
	assert_true(failures >= 5);
	weir_egress_free(egress);
}

static void short_memory_is_not_an_attempt(void **state)
{
	(void)state;
	fake.settings.delivery.retry = 0;
	fake_subscribe();
	fake_deliver("1", NULL);
	weir_mem_fail(1, 1);
	fake_turn();
	weir_mem_fail(0, 0);
	assert_int_equal(fake.post_count, 0);
	assert_int_equal(fake.quarantined_count, 0);
	fake_wait_posts(1);
	assert_int_equal(fake_figures().retries, 0);
	fake_answer(0, 200);
	assert_int_equal(fake.ack_count, 1);
}

static void short_memory_for_quarantine_keeps_the_event(void **state)
{
	(void)state;
	fake_subscribe();
	fake_deliver("1", NULL);
	fake_turn();
	weir_mem_fail(1, 1);
	fake_answer(0, 400);
	weir_mem_fail(0, 0);
	assert_int_equal(fake.ack_count, 0);
	fake_wait_quarantined(1);
	fake_turn();
	assert_int_equal(fake.ack_count, 1);
}

/* ---- whatever happens ----------------------------------------------------- */

enum { EVENTS = 60, KEYS = 5, SEEDS = 40 };

/* What the world knows of each event, to hold the code under test to the contract. */
static struct {
	bool terminal[EVENTS]; /* it reached an outcome after which it may be acked */
	size_t acks[EVENTS];
	size_t posts_seen, publishes_seen, acks_seen, quarantine_seen;
	unsigned random;
} model;

static unsigned pick(unsigned below)
{
	model.random = model.random * 1103515245u + 12345u;
	return (model.random >> 16) % below;
}

static size_t number_of(const char *id)
{
	size_t number = strtoul(id + (*id == 'r'), NULL, 10);

	assert_true(number < EVENTS);
	return number;
}

/* What lies in quarantine is terminal. */
static void see_quarantine(void)
{
	for (; model.quarantine_seen < fake.quarantined_count; model.quarantine_seen++) {
		const char *id = strstr(fake.quarantined[model.quarantine_seen], "\"id\":\"");

		assert_non_null(id);
		model.terminal[number_of(id + 6)] = true;
	}
}

static void check_acks(void)
{
	see_quarantine();
	for (; model.acks_seen < fake.ack_count; model.acks_seen++) {
		size_t number = number_of(fake.acked[model.acks_seen]);

		assert_true(model.terminal[number]); /* never before */
		assert_int_equal(++model.acks[number], 1);
	}
}

/* The subscriber takes it, replies, refuses, fails or says nothing. */
static void answer_subscriber(size_t post, const char *id)
{
	char reply_id[64];
	struct weir_header reply[] = { { WEIR_STR("ce-specversion"), WEIR_STR("1.0") },
				       { WEIR_STR("ce-type"), WEIR_STR("t") },
				       { WEIR_STR("ce-source"), WEIR_STR("/r") },
				       { WEIR_STR("ce-id"), { NULL, 0 } } };

	snprintf(reply_id, sizeof reply_id, "r%s", id);
	reply[3].value = weir_str(reply_id);
	switch (pick(6)) {
	case 0:
	case 1:
		model.terminal[number_of(id)] = true;
		fake_answer(post, 200);
		break;
	case 2:
		fake_answer_with(post, 200, reply, 4, "");
		break;
	case 3:
		fake_answer(post, 400);
		break;
	case 4:
		fake_answer(post, 503);
		break;
	default:
		fake_answer(post, 0);
	}
}

static void answer_other(size_t post, const char *id)
{
	static const int statuses[] = { 202, 503, 400 };
	int status = statuses[pick(3)];

	if (status == 202)
		model.terminal[number_of(id)] = true;
	fake_answer(post, status);
}

static size_t open_posts(size_t *open)
{
	size_t count = 0;

	for (size_t i = 0; i < fake.post_count; i++) {
		if (fake.posts[i].open)
			open[count++] = i;
	}
	return count;
}

static void answer_one(const size_t *open, size_t count)
{
	size_t post = open[pick((unsigned)count)];
	char id[32];

	snprintf(id, sizeof id, "%s", fake.posts[post].id);
	if (strcmp(fake.posts[post].url, "http://subscriber/") == 0)
		answer_subscriber(post, id);
	else
		answer_other(post, id);
}

static void complete_one(void)
{
	size_t publish = model.publishes_seen++;
	enum weir_outcome outcome = (enum weir_outcome)pick(3);

	if (outcome == WEIR_PERSISTED)
		model.terminal[number_of(fake.published[publish])] = true;
	fake_complete(publish, outcome);
}

/* An event is first posted when all before it with its key have reached their outcome. */
static void check_order(void)
{
	for (; model.posts_seen < fake.post_count; model.posts_seen++) {
		size_t number = number_of(fake.posts[model.posts_seen].id);

		for (size_t before = number % KEYS; before < number; before += KEYS)
			assert_true(model.terminal[before] || fake.settings.delivery.order == WEIR_ORDER_UNORDERED);
	}
}

static void live_through(unsigned seed)
{
	static size_t open[FAKE_MAX];
	size_t delivered = 0, count;
	int64_t deadline_ns = weir_clock_now_ns() + 30 * WEIR_NS_PER_S;
	char id[32], key[32];

	memset(&model, 0, sizeof model);
	model.random = seed;
	while (model.acks_seen < EVENTS && weir_clock_now_ns() < deadline_ns) {
		if (delivered < EVENTS && pick(3) == 0) {
			snprintf(id, sizeof id, "%zu", delivered);
			snprintf(key, sizeof key, "k%zu", delivered % KEYS);
			fake_deliver(id, key);
			delivered++;
		}
		fake_turn();
		check_acks();
		count = open_posts(open);
		if (model.publishes_seen < fake.published_count && pick(2))
			complete_one();
		else if (count)
			answer_one(open, count);
		check_acks();
		check_order();
	}
	assert_int_equal(model.acks_seen, EVENTS);
}

static void whatever_happens_an_event_is_acked_once_and_only_after_a_terminal_outcome(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		fake.settings.reply = seed % 2 ? "http://reply/" : "channel:shop/other";
		fake.settings.delivery.dead_letter_sink = seed % 3 ? "http://dead/" : NULL;
		fake.settings.delivery.retry = seed % 4;
		fake.settings.delivery.backoff_delay_ms = 0;
		fake.settings.delivery.order = seed % 5 ? WEIR_ORDER_ORDERED : WEIR_ORDER_UNORDERED;
		fake_subscribe();
		live_through(seed);
		fake_end();
		fake_begin();
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_event_is_acked_after_a_2xx_and_not_before),
		TEST(the_subscriber_is_asked_for_a_reply_and_gets_the_event),
		TEST(acks_of_one_turn_are_settled_in_one_call),
		TEST(a_stale_ack_is_counted),
		TEST(the_window_asked_for_is_twice_what_may_be_in_flight),
		TEST(a_reply_counts_one_hop_more_than_the_event_whatever_it_says),
		TEST(what_was_sent_on_too_often_is_neither_replied_nor_dead_lettered_but_quarantined),
		TEST(an_event_to_a_channel_of_ones_own_counts_a_hop_and_to_others_none),
		TEST(an_event_that_does_not_pass_is_acked_without_a_post),
		TEST(what_does_not_pass_waits_for_nobody),
		TEST(a_record_that_is_no_event_is_not_filtered_away),
		TEST(an_event_that_could_not_be_decoded_at_first_is_filtered_later),
		TEST(an_event_for_another_subscription_is_acked_without_a_post),
		TEST(an_event_for_this_subscription_passes_its_filters_and_does_not_say_so),
		TEST(headers_of_a_failed_answer_become_extensions_of_the_dead_letter_within_bounds),
		TEST(no_more_than_eight_headers_are_kept),
		TEST(events_are_posted_as_json_where_asked),
		TEST(one_key_is_serial_and_keys_are_parallel),
		TEST(keys_are_found_in_the_event_where_the_backend_keeps_none),
		TEST(a_key_that_waits_for_a_retry_blocks_only_itself),
		TEST(events_without_a_key_are_serial_together),
		TEST(no_more_posts_are_open_than_allowed),
		TEST(a_failing_event_is_tried_once_and_as_often_again_as_the_policy_says),
		TEST(a_refused_event_is_not_tried_again),
		TEST(retry_after_is_followed_up_to_its_maximum),
		TEST(a_dead_letter_says_what_went_wrong),
		TEST(a_dead_letter_sink_that_fails_is_retried_and_then_comes_quarantine),
		TEST(a_dead_letter_may_go_to_a_channel),
		TEST(a_dead_letter_whose_outcome_is_unknown_is_published_again),
		TEST(a_channel_that_cannot_be_opened_is_told_at_start),
		TEST(what_cannot_be_quarantined_stays_unsettled_and_makes_the_subscription_not_ready),
		TEST(a_record_that_is_no_event_goes_to_quarantine_and_others_flow),
		TEST(each_outage_is_told_once_and_so_is_its_end),
		TEST(a_line_names_the_subscription_and_its_channel),
		TEST(lines_beyond_a_burst_of_ten_come_one_a_second),
		TEST(the_original_is_acked_only_after_its_reply_was_accepted),
		TEST(a_failed_reply_retries_the_whole_delivery),
		TEST(a_reply_may_be_published_to_a_channel),
		TEST(a_channel_that_takes_no_reply_now_retries_the_delivery),
		TEST(a_202_is_never_a_reply),
		TEST(a_reply_that_is_no_valid_event_is_a_refusal),
		TEST(draining_finishes_what_is_in_flight_and_starts_nothing_new),
		TEST(an_idle_subscription_is_drained_at_once),
		TEST(what_fails_while_draining_stays_unsettled),
		TEST(closing_gives_up_what_is_in_flight_and_settles_none_of_it),
		TEST(figures_of_the_backend_are_passed_on),
		TEST(durations_are_counted_in_growing_buckets),
		TEST(whatever_happens_an_event_is_acked_once_and_only_after_a_terminal_outcome),
		TEST(short_memory_at_start_is_an_error_and_leaks_nothing),
		TEST(short_memory_is_not_an_attempt),
		TEST(short_memory_for_quarantine_keeps_the_event),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
