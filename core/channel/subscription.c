/* SPDX-License-Identifier: Apache-2.0 */
/* Subscribing, closing, and what goes out to the receiver when. credit.c has the account. */
#include "channel/internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "channel/fork.h"

enum { MIN_WINDOW = 1, HELD_MAX_MIN = 256, CALL_GRACE_MS = 500 };

/* ---- pool ---------------------------------------------------------------- */

static bool pool_grow(struct weir_subscription *sub)
{
	struct weir_pool_chunk *chunk = weir_mem_zalloc(1, sizeof *chunk);

	if (!chunk)
		return false;
	chunk->next = sub->chunks;
	sub->chunks = chunk;
	for (size_t i = 0; i < WEIR_POOL_CHUNK; i++) {
		chunk->deliveries[i].subscription = sub;
		chunk->deliveries[i].next = sub->free;
		sub->free = &chunk->deliveries[i];
	}
	return true;
}

/* The pump only. */
static struct weir_delivery *pool_get(struct weir_subscription *sub)
{
	struct weir_delivery *delivery;

	if (!sub->free)
		sub->free = atomic_exchange_explicit(&sub->freed, NULL, memory_order_acquire);
	if (!sub->free && !pool_grow(sub))
		return NULL;
	delivery = sub->free;
	sub->free = delivery->next;
	return delivery;
}

void weir_subscription_put(struct weir_subscription *sub, struct weir_delivery *first, struct weir_delivery *last)
{
	struct weir_delivery *head = atomic_load_explicit(&sub->freed, memory_order_relaxed);

	/* Only ever taken as a whole, so that the head cannot come back under our feet. */
	do
		last->next = head;
	while (!atomic_compare_exchange_weak_explicit(&sub->freed, &head, first, memory_order_release,
						      memory_order_relaxed));
}

/* ---- life ---------------------------------------------------------------- */

static void sub_free(struct weir_subscription *sub)
{
	struct weir_backend *backend = sub->backend;

	while (sub->chunks) {
		struct weir_pool_chunk *chunk = sub->chunks;

		sub->chunks = chunk->next;
		weir_mem_free(chunk);
	}
	pthread_mutex_destroy(&sub->lock);
	weir_gate_fini(&sub->gate);
	weir_mem_free(sub->revoked);
	weir_mem_free(sub->name);
	weir_mem_free(sub->uid);
	weir_mem_free(sub);
	weir_backend_unref(backend);
}

void weir_subscription_unref(struct weir_subscription *sub, uint64_t count)
{
	if (atomic_fetch_sub_explicit(&sub->refs, count, memory_order_acq_rel) == count)
		sub_free(sub);
}

static struct weir_subscription *sub_new(weir_channel *channel, const struct weir_subscription_spec *spec)
{
	struct weir_subscription *sub = weir_mem_zalloc(1, sizeof *sub);

	if (!sub)
		return NULL;
	atomic_init(&sub->refs, 1);
	pthread_mutex_init(&sub->lock, NULL);
	weir_gate_init(&sub->gate);
	weir_backend_ref(channel->backend);
	sub->backend = channel->backend;
	sub->channel = channel;
	sub->deliver = spec->deliver;
	sub->notice = spec->notice;
	sub->ctx = spec->ctx;
	sub->ephemeral = spec->flags & WEIR_SUB_EPHEMERAL;
	sub->window = spec->window < MIN_WINDOW ? MIN_WINDOW : spec->window;
	sub->window_bytes = spec->window_bytes > INT64_MAX / 2 ? 0 : spec->window_bytes;
	sub->arrived_end = &sub->arrived;
	sub->held_end = &sub->held;
	sub->name = weir_mem_strdup(spec->name);
	sub->uid = weir_mem_strdup(spec->uid ? spec->uid : spec->name);
	if (!sub->name || !sub->uid) {
		weir_subscription_unref(sub, 1);
		return NULL;
	}
	return sub;
}

static int driver_subscribe(struct weir_subscription *sub, const struct weir_subscription_spec *spec,
			    struct weir_error *err)
{
	struct weir_backend *backend = sub->backend;
	struct weir_sub_spec driver_spec = {
		.size = sizeof driver_spec,
		.start = (uint32_t)spec->start,
		.start_value = spec->start_value,
		.name = sub->name,
		.uid = sub->uid,
		.ack_wait_ms = spec->ack_wait_ms,
		.max_unsettled = sub->window,
	};
	int code;

	driver_spec.flags = spec->flags & WEIR_SUB_ORDERED;
	if (weir_backend_caps(backend)->bits & WEIR_CAP_BIT(WEIR_CAP_EPHEMERAL))
		driver_spec.flags |= spec->flags & WEIR_SUB_EPHEMERAL;
	weir_backend_begin_opening(backend);
	code = weir_guard_subscribe(&backend->guard, sub->channel->topic, &driver_spec, &sub->sub, err);
	if (weir_backend_end_opening(backend, &backend->subs, sub->sub, code ? NULL : sub)) {
		weir_guard_unsubscribe(&backend->guard, sub->sub, 1, weir_clock_now_ns(), NULL);
		code = weir_fail(err, WEIR_ENOMEM, "subscription %s: %s", sub->name, weir_code_text(WEIR_ENOMEM));
	}
	return code;
}

static int join_channel(weir_channel *channel, struct weir_subscription *sub, struct weir_error *err)
{
	weir_runtime *runtime = channel->runtime;
	bool closing;

	pthread_mutex_lock(runtime->lock);
	closing = runtime->closing;
	if (!closing) {
		sub->next = channel->subs;
		channel->subs = sub;
	}
	pthread_mutex_unlock(runtime->lock);
	return closing ? weir_fail(err, WEIR_ECLOSED, "subscription %s: closing", sub->name) : WEIR_OK;
}

static void leave_channel(struct weir_subscription *sub)
{
	pthread_mutex_t *lock = sub->channel->runtime->lock;
	struct weir_subscription **at;

	pthread_mutex_lock(lock);
	for (at = &sub->channel->subs; *at && *at != sub; at = &(*at)->next)
		;
	if (*at)
		*at = sub->next;
	pthread_mutex_unlock(lock);
}

int weir_channel_subscribe(weir_channel *channel, const struct weir_subscription_spec *spec, weir_subscription **ret,
			   struct weir_error *err)
{
	struct weir_subscription *sub;
	int code;

	if (weir_forked(channel->backend->guard.fork_mark))
		return weir_fail(err, WEIR_EFORKED, "channel %s/%s: %s", channel->ns, channel->name,
				 weir_code_text(WEIR_EFORKED));
	if (!spec->name || !spec->deliver)
		return weir_fail(err, WEIR_EINVAL, "channel %s/%s: a subscription needs a name and a receiver",
				 channel->ns, channel->name);
	sub = sub_new(channel, spec);
	if (!sub)
		return weir_fail(err, WEIR_ENOMEM, "subscription %s: %s", spec->name, weir_code_text(WEIR_ENOMEM));
	code = driver_subscribe(sub, spec, err);
	if (code) {
		weir_subscription_unref(sub, 1);
		return code;
	}
	/* One of our own: a runtime that closes at this moment closes the subscription. */
	atomic_fetch_add_explicit(&sub->refs, 1, memory_order_relaxed);
	code = join_channel(channel, sub, err);
	if (code) {
		weir_subscription_end(sub, 1, weir_clock_now_ns(), NULL);
	} else {
		*ret = sub;
		weir_subscription_restock(sub, sub->window,
					  sub->window_bytes ? (int64_t)sub->window_bytes : INT64_MAX / 2);
	}
	weir_subscription_unref(sub, 1);
	return code;
}

static void drop_held(struct weir_subscription *sub)
{
	struct weir_delivery *delivery = sub->held;

	for (; delivery; delivery = delivery->next)
		if (delivery->lease)
			weir_guard_release(&sub->backend->guard, delivery->lease);
	sub->held = NULL;
	sub->held_end = &sub->held;
	sub->held_count = 0;
}

int weir_subscription_end(struct weir_subscription *sub, int keep, int64_t deadline_ns, struct weir_error *err)
{
	struct weir_backend *backend = sub->backend;
	int code;

	pthread_mutex_lock(&sub->lock);
	sub->closing = true;
	pthread_mutex_unlock(&sub->lock);
	weir_gate_shut(&sub->gate);
	if (!weir_gate_wait(&sub->gate, weir_clock_after_ms(deadline_ns, CALL_GRACE_MS)))
		return weir_fail(err, WEIR_ETIMEDOUT, "subscription %s: a call into the driver does not return",
				 sub->name);
	code = weir_guard_unsubscribe(&backend->guard, sub->sub, keep && !sub->ephemeral, deadline_ns, err);
	/* What the pump polled before is about this subscription; afterwards nothing is. */
	if (!weir_backend_sync(backend, deadline_ns))
		return weir_fail(err, WEIR_ETIMEDOUT, "subscription %s: a callback does not return", sub->name);
	weir_backend_forget(backend, &backend->subs, sub->sub, sub);
	/* The pump may be going through the map at this moment, for what is held back. */
	if (!weir_backend_sync(backend, deadline_ns))
		return weir_fail(err, WEIR_ETIMEDOUT, "subscription %s: a callback does not return", sub->name);
	drop_held(sub);
	weir_subscription_unref(sub, 1);
	return code;
}

int weir_subscription_close(weir_subscription *sub, int keep, int64_t deadline_ns, struct weir_error *err)
{
	if (weir_forked(sub->backend->guard.fork_mark))
		return weir_fail(err, WEIR_EFORKED, "subscription %s: %s", sub->name, weir_code_text(WEIR_EFORKED));
	if (weir_backend_on_pump(sub->backend))
		return weir_fail(err, WEIR_EINVAL, "subscription %s: cannot be closed from a callback", sub->name);
	leave_channel(sub);
	return weir_subscription_end(sub, keep, deadline_ns, err);
}

/* ---- arrivals: the pump -------------------------------------------------- */

static int64_t record_bytes(const struct weir_record *record)
{
	size_t bytes = record->key.len + record->body.len;

	for (uint32_t i = 0; i < record->header_count; i++)
		bytes += record->headers[i].name.len + record->headers[i].value.len;
	return (int64_t)bytes;
}

bool weir_subscription_arrive(struct weir_subscription *sub, const struct weir_driver_event *event)
{
	size_t max = sub->window > HELD_MAX_MIN ? sub->window : HELD_MAX_MIN;
	struct weir_delivery *delivery;

	/* A driver that takes no notice of credit has to keep the rest itself. */
	if (sub->held_count + sub->arrived_count >= max + sub->window)
		return false;
	delivery = pool_get(sub);
	if (!delivery)
		return false;
	delivery->next = NULL;
	delivery->record = event->record;
	delivery->token = event->token;
	delivery->lease = event->lease;
	delivery->user = NULL;
	delivery->position = event->position;
	delivery->time_ms = event->time_ms;
	delivery->bytes = sub->window_bytes ? record_bytes(&event->record) : 0;
	delivery->attempt = event->attempt ? event->attempt : 1;
	delivery->flags = event->flags;
	delivery->partition = event->partition;
	*sub->arrived_end = delivery;
	sub->arrived_end = &delivery->next;
	sub->arrived_count++;
	if (delivery->attempt > 1 || (event->flags & WEIR_MSG_REDELIVERED))
		atomic_fetch_add_explicit(&sub->redelivered, 1, memory_order_relaxed);
	return true;
}

/* Books what arrived against the credit. Returns how many there was no credit for. */
static uint64_t book_locked(struct weir_subscription *sub)
{
	uint64_t beyond = 0;

	for (const struct weir_delivery *d = sub->arrived; d; d = d->next) {
		bool paid = sub->credit > 0 && (!sub->window_bytes || sub->credit_bytes > 0);

		sub->credit_bytes -= d->bytes;
		if (paid)
			sub->credit--;
		else
			beyond++;
	}
	sub->debt += beyond;
	return beyond;
}

/* Moves what arrived behind what is held. Returns how many may go out now; SIZE_MAX: it is closing. */
static size_t admit(struct weir_subscription *sub)
{
	uint64_t beyond;
	size_t allowed;

	pthread_mutex_lock(&sub->lock);
	beyond = book_locked(sub);
	*sub->held_end = sub->arrived;
	if (sub->arrived)
		sub->held_end = sub->arrived_end;
	sub->held_count += sub->arrived_count;
	allowed = sub->closing ? SIZE_MAX : sub->paused ? 0 : sub->held_count - (size_t)sub->debt;
	pthread_mutex_unlock(&sub->lock);
	sub->arrived = NULL;
	sub->arrived_end = &sub->arrived;
	sub->arrived_count = 0;
	if (beyond) {
		atomic_fetch_add_explicit(&sub->overrun, beyond, memory_order_relaxed);
		weir_backend_breach(sub->backend, WEIR_BREACH_CREDIT);
	}
	return allowed;
}

static size_t take_held(struct weir_subscription *sub, weir_delivery **out, size_t max)
{
	size_t count = 0;

	while (sub->held && count < max) {
		struct weir_delivery *delivery = sub->held;

		sub->held = delivery->next;
		delivery->out = true;
		out[count++] = delivery;
	}
	if (!sub->held)
		sub->held_end = &sub->held;
	sub->held_count -= count;
	return count;
}

void weir_subscription_flush(struct weir_subscription *sub, weir_delivery **out)
{
	size_t allowed;

	if (!sub->arrived && !sub->held)
		return;
	allowed = admit(sub);
	if (allowed == SIZE_MAX) {
		/* Nobody wants them any more: they stay unsettled. */
		drop_held(sub);
		return;
	}
	while (allowed > 0) {
		size_t count = take_held(sub, out, allowed < WEIR_PUMP_BATCH ? allowed : WEIR_PUMP_BATCH);

		atomic_fetch_add_explicit(&sub->refs, count, memory_order_relaxed);
		sub->deliver(sub->ctx, out, count);
		allowed -= count;
	}
}

void weir_subscription_notify(struct weir_subscription *sub, const struct weir_driver_event *event)
{
	struct weir_notice notice = { event->type, event->partition, event->position, event->position_end, NULL };
	struct weir_error error;
	bool closing;

	if (!sub->notice)
		return;
	if (event->error) {
		weir_guard_error(&error, event->error, event->error->code, weir_code_text(event->error->code));
		notice.error = &error;
	}
	pthread_mutex_lock(&sub->lock);
	closing = sub->closing;
	pthread_mutex_unlock(&sub->lock);
	if (!closing)
		sub->notice(sub->ctx, &notice);
}
