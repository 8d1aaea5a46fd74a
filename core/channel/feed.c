/* SPDX-License-Identifier: Apache-2.0 */
/* A driver's subscription: its life, and what goes out to the receiver when. credit.c has the account. */
#include "channel/internal.h"

#include "base/clock.h"
#include "base/mem.h"

enum { HELD_MAX_MIN = 256, CALL_GRACE_MS = 500 };

/* ---- pool ---------------------------------------------------------------- */

static bool pool_grow(struct weir_feed *feed)
{
	struct weir_pool_chunk *chunk = weir_mem_zalloc(1, sizeof *chunk);

	if (!chunk)
		return false;
	chunk->next = feed->chunks;
	feed->chunks = chunk;
	for (size_t i = 0; i < WEIR_POOL_CHUNK; i++) {
		chunk->deliveries[i].feed = feed;
		chunk->deliveries[i].next = feed->free;
		feed->free = &chunk->deliveries[i];
	}
	return true;
}

/* The pump only. */
static struct weir_delivery *pool_get(struct weir_feed *feed)
{
	struct weir_delivery *delivery;

	if (!feed->free)
		feed->free = atomic_exchange_explicit(&feed->freed, NULL, memory_order_acquire);
	if (!feed->free && !pool_grow(feed))
		return NULL;
	delivery = feed->free;
	feed->free = delivery->next;
	return delivery;
}

void weir_feed_put(struct weir_feed *feed, struct weir_delivery *first, struct weir_delivery *last)
{
	struct weir_delivery *head = atomic_load_explicit(&feed->freed, memory_order_relaxed);

	/* Only ever taken as a whole, so that the head cannot come back under our feet. */
	do
		last->next = head;
	while (!atomic_compare_exchange_weak_explicit(&feed->freed, &head, first, memory_order_release,
						      memory_order_relaxed));
}

/* ---- life ---------------------------------------------------------------- */

static void feed_free(struct weir_feed *feed)
{
	struct weir_backend *backend = feed->backend;

	while (feed->chunks) {
		struct weir_pool_chunk *chunk = feed->chunks;

		feed->chunks = chunk->next;
		weir_mem_free(chunk);
	}
	pthread_mutex_destroy(&feed->lock);
	weir_gate_fini(&feed->gate);
	if (feed->heir)
		weir_feed_unref(feed->heir, 1);
	weir_mem_free(feed->revoked);
	weir_subscription_unref(feed->subscription);
	weir_mem_free(feed);
	weir_backend_unref(backend);
}

void weir_feed_unref(struct weir_feed *feed, uint64_t count)
{
	if (atomic_fetch_sub_explicit(&feed->refs, count, memory_order_acq_rel) == count)
		feed_free(feed);
}

static struct weir_feed *feed_make(struct weir_subscription *owner, const struct weir_place *place)
{
	const struct weir_subscription_spec *spec = &owner->spec;
	struct weir_feed *feed = weir_mem_zalloc(1, sizeof *feed);

	if (!feed)
		return NULL;
	atomic_init(&feed->refs, 1);
	pthread_mutex_init(&feed->lock, NULL);
	weir_gate_init(&feed->gate);
	weir_backend_ref(place->backend);
	weir_subscription_ref(owner);
	feed->subscription = owner;
	feed->place = place;
	feed->backend = place->backend;
	feed->name = spec->name;
	feed->deliver = spec->deliver;
	feed->notice = spec->notice;
	feed->ctx = spec->ctx;
	feed->ephemeral = spec->flags & WEIR_SUB_EPHEMERAL;
	feed->window = spec->window;
	feed->window_bytes = spec->window_bytes;
	feed->paused = owner->paused;
	atomic_init(&feed->muted, weir_subscription_first(owner) != place);
	feed->arrived_end = &feed->arrived;
	feed->held_end = &feed->held;
	atomic_init(&feed->heard_ns, weir_clock_now_ns());
	return feed;
}

static int driver_subscribe(struct weir_feed *feed, const struct weir_place *place, struct weir_error *err)
{
	const struct weir_subscription_spec *spec = &feed->subscription->spec;
	struct weir_backend *backend = feed->backend;
	struct weir_sub_spec driver_spec = {
		.size = sizeof driver_spec,
		.start = (uint32_t)spec->start,
		.start_value = spec->start_value,
		.name = spec->name,
		.uid = spec->uid,
		.ack_wait_ms = spec->ack_wait_ms,
		.max_unsettled = spec->window,
	};
	int code;

	driver_spec.flags = spec->flags & WEIR_SUB_ORDERED;
	if (weir_backend_caps(backend)->bits & WEIR_CAP_BIT(WEIR_CAP_EPHEMERAL))
		driver_spec.flags |= spec->flags & WEIR_SUB_EPHEMERAL;
	/* Where it starts is about the backend that the channel was on when it was made. */
	if (place != place->channel->places || place->next || place == place->channel->coming)
		driver_spec.start = WEIR_START_LATEST;
	weir_backend_begin_opening(backend);
	code = weir_guard_subscribe(&backend->guard, place->topic, &driver_spec, &feed->sub, err);
	if (weir_backend_end_opening(backend, &backend->subs, feed->sub, code ? NULL : feed)) {
		weir_guard_unsubscribe(&backend->guard, feed->sub, 1, weir_clock_now_ns(), NULL);
		code = weir_fail(err, WEIR_ENOMEM, "subscription %s: %s", feed->name, weir_code_text(WEIR_ENOMEM));
	}
	return code;
}

int weir_feed_new(struct weir_subscription *owner, const struct weir_place *place, struct weir_feed **ret,
		  struct weir_error *err)
{
	struct weir_feed *feed = feed_make(owner, place);
	int code;

	if (!feed)
		return weir_fail(err, WEIR_ENOMEM, "subscription %s: %s", owner->name, weir_code_text(WEIR_ENOMEM));
	code = driver_subscribe(feed, place, err);
	if (code)
		weir_feed_unref(feed, 1);
	else
		*ret = feed;
	return code;
}

void weir_feed_activate(struct weir_feed *feed, struct weir_feed *before)
{
	int64_t out = 0, out_bytes = 0;

	if (before) {
		atomic_fetch_add_explicit(&feed->refs, 1, memory_order_relaxed);
		pthread_mutex_lock(&before->lock);
		before->heir = feed;
		out = before->out;
		out_bytes = before->out_bytes;
		pthread_mutex_unlock(&before->lock);
	}
	atomic_store(&feed->muted, false);
	atomic_store(&feed->active, true);
	weir_feed_restock(feed, feed->window - out,
			  feed->window_bytes ? (int64_t)feed->window_bytes - out_bytes : INT64_MAX / 2);
}

static void drop_held(struct weir_feed *feed)
{
	struct weir_delivery *delivery = feed->held;

	for (; delivery; delivery = delivery->next)
		if (delivery->lease)
			weir_guard_release(&feed->backend->guard, delivery->lease);
	feed->held = NULL;
	feed->held_end = &feed->held;
	feed->held_count = 0;
}

int weir_feed_end(struct weir_feed *feed, int keep, int64_t deadline_ns, struct weir_error *err)
{
	struct weir_backend *backend = feed->backend;
	int code;

	pthread_mutex_lock(&feed->lock);
	feed->closing = true;
	pthread_mutex_unlock(&feed->lock);
	weir_gate_shut(&feed->gate);
	if (!weir_gate_wait(&feed->gate, weir_clock_after_ms(deadline_ns, CALL_GRACE_MS)))
		return weir_fail(err, WEIR_ETIMEDOUT, "subscription %s: a call into the driver does not return",
				 feed->name);
	code = weir_guard_unsubscribe(&backend->guard, feed->sub, keep && !feed->ephemeral, deadline_ns, err);
	/* What the pump polled before is about this subscription; afterwards nothing is. */
	if (!weir_backend_sync(backend, deadline_ns))
		return weir_fail(err, WEIR_ETIMEDOUT, "subscription %s: a callback does not return", feed->name);
	weir_backend_forget(backend, &backend->subs, feed->sub, feed);
	/* The pump may be going through the map at this moment, for what is held back. */
	if (!weir_backend_sync(backend, deadline_ns))
		return weir_fail(err, WEIR_ETIMEDOUT, "subscription %s: a callback does not return", feed->name);
	drop_held(feed);
	weir_feed_unref(feed, 1);
	return code;
}

/* ---- arrivals: the pump -------------------------------------------------- */

static int64_t record_bytes(const struct weir_record *record)
{
	size_t bytes = record->key.len + record->body.len;

	for (uint32_t i = 0; i < record->header_count; i++)
		bytes += record->headers[i].name.len + record->headers[i].value.len;
	return (int64_t)bytes;
}

bool weir_feed_arrive(struct weir_feed *feed, const struct weir_driver_event *event)
{
	size_t max = feed->window > HELD_MAX_MIN ? feed->window : HELD_MAX_MIN;
	struct weir_delivery *delivery;

	/* A driver that takes no notice of credit has to keep the rest itself. */
	if (feed->held_count + feed->arrived_count >= max + feed->window)
		return false;
	delivery = pool_get(feed);
	if (!delivery)
		return false;
	delivery->next = NULL;
	delivery->record = event->record;
	delivery->token = event->token;
	delivery->lease = event->lease;
	delivery->user = NULL;
	delivery->position = event->position;
	delivery->time_ms = event->time_ms;
	delivery->bytes = feed->window_bytes ? record_bytes(&event->record) : 0;
	delivery->attempt = event->attempt ? event->attempt : 1;
	delivery->flags = event->flags;
	delivery->partition = event->partition;
	*feed->arrived_end = delivery;
	feed->arrived_end = &delivery->next;
	feed->arrived_count++;
	if (delivery->attempt > 1 || (event->flags & WEIR_MSG_REDELIVERED))
		atomic_fetch_add_explicit(&feed->redelivered, 1, memory_order_relaxed);
	return true;
}

/* Books what arrived against the credit. Returns how many there was no credit for. */
static uint64_t book_locked(struct weir_feed *feed)
{
	uint64_t beyond = 0;

	for (const struct weir_delivery *d = feed->arrived; d; d = d->next) {
		bool paid = feed->credit > 0 && (!feed->window_bytes || feed->credit_bytes > 0);

		feed->credit_bytes -= d->bytes;
		if (paid)
			feed->credit--;
		else
			beyond++;
	}
	feed->debt += beyond;
	return beyond;
}

static int64_t bytes_of(const struct weir_delivery *first, size_t count)
{
	int64_t bytes = 0;

	for (; first && count > 0; first = first->next, count--)
		bytes += first->bytes;
	return bytes;
}

/* Moves what arrived behind what is held. Returns how many may go out now; SIZE_MAX: it is closing. */
static size_t admit(struct weir_feed *feed)
{
	uint64_t beyond;
	size_t allowed;

	pthread_mutex_lock(&feed->lock);
	beyond = book_locked(feed);
	*feed->held_end = feed->arrived;
	if (feed->arrived)
		feed->held_end = feed->arrived_end;
	feed->held_count += feed->arrived_count;
	allowed = feed->closing ? SIZE_MAX : feed->paused ? 0 : feed->held_count - (size_t)feed->debt;
	if (!feed->closing) {
		feed->out += (int64_t)allowed;
		feed->out_bytes += bytes_of(feed->held, allowed);
	}
	pthread_mutex_unlock(&feed->lock);
	feed->arrived = NULL;
	feed->arrived_end = &feed->arrived;
	feed->arrived_count = 0;
	if (beyond) {
		atomic_fetch_add_explicit(&feed->overrun, beyond, memory_order_relaxed);
		weir_backend_breach(feed->backend, WEIR_BREACH_CREDIT);
	}
	return allowed;
}

static size_t take_held(struct weir_feed *feed, weir_delivery **out, size_t max)
{
	size_t count = 0;

	while (feed->held && count < max) {
		struct weir_delivery *delivery = feed->held;

		feed->held = delivery->next;
		delivery->out = true;
		out[count++] = delivery;
	}
	if (!feed->held)
		feed->held_end = &feed->held;
	feed->held_count -= count;
	return count;
}

void weir_feed_flush(struct weir_feed *feed, weir_delivery **out)
{
	size_t allowed;

	if (!feed->arrived && !feed->held)
		return;
	if (feed->arrived)
		atomic_store_explicit(&feed->heard_ns, weir_clock_now_ns(), memory_order_relaxed);
	allowed = admit(feed);
	if (allowed == SIZE_MAX) {
		/* Nobody wants them any more: they stay unsettled. */
		drop_held(feed);
		return;
	}
	while (allowed > 0) {
		size_t count = take_held(feed, out, allowed < WEIR_PUMP_BATCH ? allowed : WEIR_PUMP_BATCH);

		atomic_fetch_add_explicit(&feed->refs, count, memory_order_relaxed);
		feed->deliver(feed->ctx, out, count);
		allowed -= count;
	}
}

void weir_feed_notify(struct weir_feed *feed, const struct weir_driver_event *event)
{
	struct weir_notice notice = { event->type, event->partition, event->position, event->position_end, NULL };
	struct weir_error error;
	bool closing;

	if (!feed->notice)
		return;
	if (event->error) {
		weir_guard_error(&error, event->error, event->error->code, weir_code_text(event->error->code));
		notice.error = &error;
	}
	pthread_mutex_lock(&feed->lock);
	closing = feed->closing;
	pthread_mutex_unlock(&feed->lock);
	if (!closing && !atomic_load_explicit(&feed->muted, memory_order_relaxed))
		feed->notice(feed->ctx, &notice);
}
