/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries in the receiver's hands. */
#include "channel/internal.h"

#include "channel/fork.h"

enum { CHUNK = 64 };

const struct weir_record *weir_delivery_record(const weir_delivery *delivery)
{
	return &delivery->record;
}

weir_subscription *weir_delivery_subscription(const weir_delivery *delivery)
{
	return delivery->feed->subscription;
}

uint32_t weir_delivery_attempt(const weir_delivery *delivery)
{
	return delivery->attempt;
}

uint64_t weir_delivery_position(const weir_delivery *delivery)
{
	return delivery->position;
}

int64_t weir_delivery_time_ms(const weir_delivery *delivery)
{
	return delivery->time_ms;
}

uint32_t weir_delivery_flags(const weir_delivery *delivery)
{
	return delivery->flags;
}

void *weir_delivery_user(const weir_delivery *delivery)
{
	return delivery->user;
}

void weir_delivery_set_user(weir_delivery *delivery, void *user)
{
	delivery->user = user;
}

const struct weir_caps *weir_delivery_caps(const weir_delivery *delivery)
{
	return weir_backend_caps(delivery->feed->backend);
}

int weir_delivery_event(const weir_delivery *delivery, weir_event *event, struct weir_error *err)
{
	const struct weir_caps *caps = weir_backend_caps(delivery->feed->backend);

	if (delivery->flags & WEIR_MSG_DAMAGED)
		return weir_fail(err, WEIR_ECORRUPT, "subscription %s: the record is damaged", delivery->feed->name);
	return weir_event_from_record(event, caps, &delivery->record, err);
}

static int worse(int code, int other)
{
	return code ? code : other;
}

static int driver_settle(struct weir_feed *feed, int verb, const struct weir_token *tokens, size_t count, int64_t arg,
			 uint16_t *codes)
{
	int code;

	/* Of a feed that has ended: what was not settled by then comes again, to whoever reads there next. */
	if (!weir_gate_enter(&feed->gate))
		return atomic_load(&feed->subscription->ended) ? WEIR_ECLOSED : WEIR_ESTALE;
	code = weir_guard_settle(&feed->backend->guard, feed->sub, verb, tokens, count, arg, codes);
	weir_gate_leave(&feed->gate);
	return code;
}

/* Tells the driver about up to CHUNK of them. Returns the first code that is not WEIR_OK. */
static int settle_chunk(struct weir_feed *feed, weir_delivery *const *deliveries, size_t count, int verb, int64_t arg)
{
	struct weir_token tokens[CHUNK];
	uint16_t codes[CHUNK];
	bool stale[CHUNK];
	size_t old = weir_feed_find_stale(feed, deliveries, count, stale);
	size_t live = 0;
	int result = old ? WEIR_ESTALE : WEIR_OK;
	int code;

	for (size_t i = 0; i < count; i++)
		if (!stale[i])
			tokens[live++] = deliveries[i]->token;
	memset(codes, 0, live * sizeof codes[0]);
	code = live ? driver_settle(feed, verb, tokens, live, arg, codes) : WEIR_OK;
	for (size_t i = 0; i < live; i++) {
		old += codes[i] == WEIR_ESTALE;
		result = worse(result, codes[i]);
	}
	if (old)
		atomic_fetch_add_explicit(&feed->stale, old, memory_order_relaxed);
	return worse(result, code);
}

/* All are of `feed`. Gives their memory back and lets go of them, without credit. */
static void put_back(struct weir_feed *feed, weir_delivery *const *deliveries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		weir_delivery *delivery = deliveries[i];

		if (delivery->lease)
			weir_guard_release(&feed->backend->guard, delivery->lease);
		delivery->out = false;
		delivery->next = i + 1 < count ? deliveries[i + 1] : NULL;
	}
	weir_feed_put(feed, deliveries[0], deliveries[count - 1]);
}

static int settle_run(struct weir_feed *feed, weir_delivery *const *deliveries, size_t count, int verb, int64_t arg)
{
	int64_t bytes = 0;
	int code = WEIR_OK;

	for (size_t at = 0; at < count; at += CHUNK)
		code = worse(code,
			     settle_chunk(feed, deliveries + at, count - at < CHUNK ? count - at : CHUNK, verb, arg));
	if (verb == WEIR_EXTEND)
		return code;
	for (size_t i = 0; i < count; i++)
		bytes += deliveries[i]->bytes;
	put_back(feed, deliveries, count);
	weir_feed_give_back(feed, (int64_t)count, bytes);
	weir_feed_unref(feed, count);
	return code;
}

/* How many from the front are of one subscription and out. */
static size_t run_length(weir_delivery *const *deliveries, size_t count)
{
	size_t run = 0;

	while (run < count && deliveries[run]->out && deliveries[run]->feed == deliveries[0]->feed)
		run++;
	return run;
}

int weir_delivery_settle(weir_delivery *const *deliveries, size_t count, enum weir_verb verb, int64_t arg)
{
	int code = WEIR_OK;

	if (count && weir_forked(deliveries[0]->feed->backend->guard.fork_mark))
		return WEIR_EFORKED;
	while (count > 0) {
		size_t run = run_length(deliveries, count);

		if (run == 0) {
			/* Settled before. */
			code = worse(code, WEIR_EINVAL);
			run = 1;
		} else {
			code = worse(code, settle_run(deliveries[0]->feed, deliveries, run, (int)verb, arg));
		}
		deliveries += run;
		count -= run;
	}
	return code;
}

void weir_delivery_free(weir_delivery *delivery)
{
	struct weir_feed *feed;

	if (!delivery || !delivery->out)
		return;
	feed = delivery->feed;
	put_back(feed, &delivery, 1);
	weir_feed_unref(feed, 1);
}
