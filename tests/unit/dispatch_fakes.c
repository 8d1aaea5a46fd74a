/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/dispatch_fakes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/weir_cmocka.h"

#include "base/clock.h"
#include "base/loop.h"
#include "base/str.h"
#include "dispatch/egress_state.h"

struct weir_delivery {
	weir_event *event; /* owns the record's memory */
	struct weir_record record;
	uint64_t position;
};

struct weir_http_target {
	char url[128];
};

struct fake_world fake;

/* ---- backend -------------------------------------------------------------- */

static char a_channel, a_subscription, a_publisher, a_client, a_runtime;

static const struct weir_caps *caps(void)
{
	static struct weir_caps value;

	value =
	    (struct weir_caps){ .size = sizeof value, .durability = "disk", .bits = WEIR_CAP_BIT(WEIR_CAP_HEADERS) };
	if (!fake.caps_without)
		value.bits |= WEIR_CAP_BIT(WEIR_CAP_KEY);
	value.bits |= fake.caps_more;
	value.ack_wait_ms = fake.ack_wait_ms;
	return &value;
}

const struct weir_caps *weir_channel_caps(const weir_channel *channel)
{
	(void)channel;
	return caps();
}

const char *weir_channel_namespace(const weir_channel *channel)
{
	(void)channel;
	return "shop";
}

const char *weir_channel_name(const weir_channel *channel)
{
	(void)channel;
	return "orders";
}

int weir_channel_open(weir_runtime *runtime, const char *ns, const char *name, const char *kind, weir_channel **ret,
		      struct weir_error *err)
{
	(void)runtime;
	(void)kind;
	if (strcmp(ns, "shop") != 0 || strcmp(name, "other") != 0)
		return weir_fail(err, WEIR_EINVAL, "no such channel");
	*ret = (weir_channel *)&a_channel;
	return WEIR_OK;
}

void weir_channel_close(weir_channel *channel)
{
	(void)channel;
}

int weir_channel_subscribe(weir_channel *channel, const struct weir_subscription_spec *spec, weir_subscription **ret,
			   struct weir_error *err)
{
	(void)channel;
	(void)err;
	fake.spec = *spec;
	*ret = (weir_subscription *)&a_subscription;
	return WEIR_OK;
}

int weir_subscription_pause(weir_subscription *subscription, int on)
{
	(void)subscription;
	fake.paused = on != 0;
	return WEIR_OK;
}

int weir_subscription_close(weir_subscription *subscription, int keep, int64_t deadline_ns, struct weir_error *err)
{
	(void)subscription;
	(void)deadline_ns;
	(void)err;
	assert_int_equal(keep, 1);
	fake.closed = true;
	return WEIR_OK;
}

int weir_channel_move_info(weir_channel *channel, size_t index, struct weir_move_info *ret)
{
	(void)channel;
	(void)index;
	(void)ret;
	return WEIR_ENOTFOUND;
}

int weir_subscription_ready(weir_subscription *subscription, struct weir_error *err)
{
	(void)subscription;
	(void)err;
	return WEIR_OK;
}

int weir_subscription_stats(weir_subscription *subscription, struct weir_sub_stats *ret)
{
	(void)subscription;
	ret->lag = 7;
	ret->oldest_ms = 9;
	ret->redelivered = 1;
	return WEIR_OK;
}

const struct weir_record *weir_delivery_record(const weir_delivery *delivery)
{
	return &delivery->record;
}

uint64_t weir_delivery_position(const weir_delivery *delivery)
{
	return delivery->position;
}

uint32_t weir_delivery_flags(const weir_delivery *delivery)
{
	(void)delivery;
	return 0;
}

int weir_delivery_event(const weir_delivery *delivery, weir_event *event, struct weir_error *err)
{
	return weir_event_from_record(event, caps(), &delivery->record, err);
}

void weir_delivery_free(weir_delivery *delivery)
{
	fake.freed++;
	weir_event_free(delivery->event);
	free(delivery);
}

static void note_id(char ret[32], const weir_delivery *delivery)
{
	struct weir_buf id = weir_event_attribute(delivery->event, WEIR_ATTR_ID);

	snprintf(ret, 32, "%.*s", (int)id.len, id.ptr ? (const char *)id.ptr : "");
}

int weir_delivery_settle(weir_delivery *const *deliveries, size_t count, enum weir_verb verb, int64_t arg)
{
	if (verb == WEIR_EXTEND) {
		fake.extended_ms = arg;
		for (size_t i = 0; i < count && fake.extend_count < FAKE_MAX; i++)
			note_id(fake.extended[fake.extend_count++], deliveries[i]);
		return fake.settle_code;
	}
	assert_int_equal(verb, WEIR_ACK);
	fake.settle_calls++;
	for (size_t i = 0; i < count; i++) {
		note_id(fake.acked[fake.ack_count++], deliveries[i]);
		weir_event_free(deliveries[i]->event);
		free(deliveries[i]);
	}
	return fake.settle_code;
}

static void hand_over(weir_delivery *delivery)
{
	static uint64_t position;

	delivery->position = ++position;
	fake.spec.deliver(fake.spec.ctx, &delivery, 1);
}

static weir_delivery *delivery_new(void)
{
	weir_delivery *delivery = calloc(1, sizeof *delivery);

	assert_non_null(delivery);
	assert_int_equal(weir_event_new(&delivery->event), WEIR_OK);
	return delivery;
}

void fake_deliver(const char *id, const char *key)
{
	weir_delivery *delivery = delivery_new();
	weir_event *event = delivery->event;

	assert_int_equal(weir_event_set_text(event, "id", id, NULL), WEIR_OK);
	assert_int_equal(weir_event_set_text(event, "source", "/s", NULL), WEIR_OK);
	assert_int_equal(weir_event_set_text(event, "type", "t", NULL), WEIR_OK);
	if (key)
		assert_int_equal(weir_event_set_text(event, "partitionkey", key, NULL), WEIR_OK);
	assert_int_equal(weir_event_set_text(event, "weirhops", fake.hops, NULL), WEIR_OK);
	assert_int_equal(weir_event_set_text(event, "weirfor", fake.only, NULL), WEIR_OK);
	assert_int_equal(weir_event_set_data(event, WEIR_STR("data"), NULL), WEIR_OK);
	assert_int_equal(weir_event_to_record(event, caps(), &delivery->record, NULL), WEIR_OK);
	if (fake.caps_without)
		delivery->record.key = (struct weir_buf){ NULL, 0 };
	hand_over(delivery);
}

void fake_deliver_poison(void)
{
	weir_delivery *delivery = delivery_new();

	delivery->record.body = WEIR_STR("\xff not an event");
	hand_over(delivery);
}

/* ---- publishing ----------------------------------------------------------- */

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
	struct weir_buf id;

	(void)channel;
	(void)publisher;
	(void)atomic;
	assert_int_equal(count, 1);
	*accepted = 0;
	if (fake.publish_code)
		return weir_fail(err, fake.publish_code, "refused");
	id = weir_event_attribute(items->event, WEIR_ATTR_ID);
	snprintf(fake.published[fake.published_count], sizeof fake.published[0], "%.*s", (int)id.len,
		 (const char *)id.ptr);
	fake.published_tags[fake.published_count++] = items->tag;
	*accepted = 1;
	return WEIR_OK;
}

void fake_complete(size_t publish, enum weir_outcome outcome)
{
	const struct weir_completion completion = { .tag = fake.published_tags[publish], .outcome = outcome };

	fake.completed(fake.completed_ctx, &completion, 1);
	fake_turn();
}

/* ---- subscribers ---------------------------------------------------------- */

int weir_http_client_new(struct weir_loop *loop, const struct weir_http_client_options *options,
			 struct weir_http_client **ret, struct weir_error *err)
{
	(void)loop;
	(void)options;
	(void)err;
	*ret = (struct weir_http_client *)&a_client;
	return WEIR_OK;
}

void weir_http_client_free(struct weir_http_client *client)
{
	(void)client;
}

int weir_http_target_new(struct weir_http_client *client, const char *url, uint32_t max_parallel,
			 struct weir_http_target **ret, struct weir_error *err)
{
	struct weir_http_target *target = calloc(1, sizeof *target);

	(void)client;
	(void)max_parallel;
	(void)err;
	assert_non_null(target);
	snprintf(target->url, sizeof target->url, "%s", url);
	*ret = target;
	return WEIR_OK;
}

void weir_http_target_free(struct weir_http_target *target)
{
	const struct weir_http_result given_up = { .code = WEIR_ECANCELED, .text = "given up" };

	for (size_t i = 0; i < fake.post_count; i++) {
		if (fake.posts[i].open && fake.posts[i].url == target->url) {
			fake.posts[i].open = false;
			fake.posts[i].post.done(fake.posts[i].post.ctx, &given_up);
		}
	}
	free(target);
}

int weir_http_target_post(struct weir_http_target *target, const struct weir_http_post *post)
{
	struct fake_post *made = &fake.posts[fake.post_count++];
	size_t used = 0;

	assert_true(fake.post_count <= FAKE_MAX);
	*made = (struct fake_post){ .url = target->url, .post = *post, .open = true };
	for (size_t i = 0; i < post->header_count; i++) {
		const struct weir_header *header = &post->headers[i];

		used += (size_t)snprintf(made->all + used, sizeof made->all - used, "%.*s: %.*s\n",
					 (int)header->name.len, (const char *)header->name.ptr, (int)header->value.len,
					 (const char *)header->value.ptr);
		if (weir_str_equal(header->name, WEIR_STR("ce-id")))
			snprintf(made->id, sizeof made->id, "%.*s", (int)header->value.len,
				 (const char *)header->value.ptr);
	}
	return WEIR_OK;
}

void fake_answer_with(size_t post, int status, const struct weir_header *headers, size_t count, const char *body)
{
	struct fake_post *made = &fake.posts[post];
	const struct weir_http_result result = {
		.code = status ? WEIR_OK : WEIR_EUNAVAIL,
		.status = status,
		.text = status ? NULL : "connection refused",
		.headers = headers,
		.header_count = count,
		.body = weir_str(body),
		.took_ns = 3 * WEIR_NS_PER_MS,
	};

	assert_true(post < fake.post_count && made->open);
	made->open = false;
	made->post.done(made->post.ctx, &result);
	fake_turn();
}

void fake_answer(size_t post, int status)
{
	fake_answer_with(post, status, NULL, 0, "");
}

/* ---- quarantine ----------------------------------------------------------- */

void weir_quarantine_write(struct weir_quarantine *quarantine, struct weir_quarantine_job *job)
{
	(void)quarantine;
	assert_true(fake.quarantined_count < FAKE_MAX);
	snprintf(fake.quarantined[fake.quarantined_count++], sizeof fake.quarantined[0], "%.*s", (int)job->text.len,
		 (const char *)job->text.ptr);
	job->error = (struct weir_error)WEIR_ERROR_INIT;
	if (fake.quarantine_code)
		weir_fail(&job->error, fake.quarantine_code, "the disk is full");
	weir_loop_post(job->loop, &job->task);
}

/* ---- the world ------------------------------------------------------------ */

static struct weir_loop *loop(void)
{
	return fake.loop->worker.loop;
}

void fake_turn(void)
{
	for (int i = 0; i < 3; i++) {
		weir_loop_stop(loop());
		assert_int_equal(weir_loop_run(loop(), NULL), WEIR_OK);
	}
}

static void wait_for(const size_t *counter, size_t count)
{
	int64_t deadline_ns = weir_clock_now_ns() + 10 * WEIR_NS_PER_S;

	while (*counter < count && weir_clock_now_ns() < deadline_ns)
		fake_turn();
	assert_int_equal(*counter, count);
}

void fake_wait_posts(size_t count)
{
	wait_for(&fake.post_count, count);
}

void fake_wait_quarantined(size_t count)
{
	wait_for(&fake.quarantined_count, count);
}

void fake_wait_published(size_t count)
{
	wait_for(&fake.published_count, count);
}

void fake_begin(void)
{
	static const struct weir_delivery_options options = {
		.event_limits = { .max_extensions = 64,
				  .max_name_bytes = 64,
				  .max_value_bytes = 8192,
				  .max_depth = 64,
				  .max_envelope_keys = 1024,
				  .max_batch_events = 1000 },
		.max_reply_bytes = 4096,
		.max_hops = 3,
	};
	struct weir_delivery_options with_runtime = options;

	memset(&fake, 0, sizeof fake);
	with_runtime.runtime = (weir_runtime *)&a_runtime;
	fake.settings = (struct weir_subscription_settings){
		.name = "billing",
		.uid = "billing",
		.subscriber = "http://subscriber/",
		.delivery = { .retry = 2,
			      .backoff = WEIR_BACKOFF_LINEAR,
			      .backoff_delay_ms = 10,
			      .timeout_ms = 1000,
			      .order = WEIR_ORDER_ORDERED,
			      .max_in_flight = 4 },
	};
	assert_int_equal(weir_delivery_loop_new(&with_runtime, &fake.loop, NULL), WEIR_OK);
}

void fake_subscribe(void)
{
	const struct weir_egress_options options = { .loop = fake.loop,
						     .channel = (weir_channel *)&a_channel,
						     .settings = &fake.settings,
						     .window_bytes = 1 << 20 };
	struct weir_error err = WEIR_ERROR_INIT;

	assert_int_equal(weir_egress_new(&options, &fake.egress, &err), WEIR_OK);
	assert_int_equal(weir_egress_subscribe(fake.egress, &err), WEIR_OK);
}

void fake_end(void)
{
	size_t given_up;

	if (fake.egress) {
		weir_egress_close(fake.egress, 0, &given_up, NULL);
		weir_egress_free(fake.egress);
	}
	weir_delivery_loop_free(fake.loop);
}

struct weir_egress_figures fake_figures(void)
{
	struct weir_subscription_view view;

	weir_egress_view(fake.egress, true, &view);
	return view.figures;
}
