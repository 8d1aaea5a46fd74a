/* SPDX-License-Identifier: Apache-2.0 */
/* A channel on one backend; and which of them new events go to. */
#include "channel/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "channel/runtime.h"

enum { LEAVE_MS = 2000 };

/* ---- kinds ----------------------------------------------------------------- */

static struct weir_kind *kind_find_locked(weir_runtime *runtime, const char *name)
{
	struct weir_kind *kind = runtime->kinds;

	while (kind && strcmp(kind->name, name) != 0)
		kind = kind->next;
	return kind;
}

struct weir_kind *weir_kind_get(weir_runtime *runtime, const char *name)
{
	size_t size = strlen(name) + 1;
	struct weir_kind *kind;

	pthread_mutex_lock(runtime->lock);
	kind = kind_find_locked(runtime, name);
	if (!kind) {
		kind = weir_mem_zalloc(1, sizeof *kind + size);
		if (kind) {
			memcpy(kind->name, name, size);
			kind->next = runtime->kinds;
			runtime->kinds = kind;
		}
	}
	pthread_mutex_unlock(runtime->lock);
	return kind;
}

/* ---- the turn -------------------------------------------------------------- */

void weir_channel_take_turn(weir_channel *channel)
{
	weir_runtime *runtime = channel->runtime;

	pthread_mutex_lock(runtime->lock);
	while (channel->changing)
		pthread_cond_wait(&runtime->changed, runtime->lock);
	channel->changing = true;
	pthread_mutex_unlock(runtime->lock);
}

void weir_channel_give_turn(weir_channel *channel)
{
	weir_runtime *runtime = channel->runtime;

	pthread_mutex_lock(runtime->lock);
	channel->changing = false;
	pthread_cond_broadcast(&runtime->changed);
	pthread_mutex_unlock(runtime->lock);
}

/* ---- places ---------------------------------------------------------------- */

struct weir_place *weir_place_new(weir_channel *channel, struct weir_kind *kind)
{
	struct weir_place *place = weir_mem_zalloc(1, sizeof *place);

	if (!place)
		return NULL;
	place->channel = channel;
	place->kind = kind;
	return place;
}

void weir_place_free(struct weir_place *place)
{
	if (!place || place->lost)
		return;
	weir_uid_free(&place->undrained);
	weir_mem_free(place);
}

struct weir_place *weir_channel_newest(const weir_channel *channel)
{
	struct weir_place *place = channel->places;

	while (place && place->next)
		place = place->next;
	return place;
}

static int open_topic(struct weir_place *place, struct weir_backend *backend, struct weir_error *err)
{
	const weir_channel *channel = place->channel;
	int code;

	weir_backend_begin_opening(backend);
	code = weir_guard_topic_open(&backend->guard, channel->ns, channel->name, &place->topic, err);
	if (weir_backend_end_opening(backend, &backend->topics, place->topic, code ? NULL : place)) {
		weir_guard_topic_close(&backend->guard, place->topic);
		code = weir_fail(err, WEIR_ENOMEM, "channel %s/%s: %s", channel->ns, channel->name,
				 weir_code_text(WEIR_ENOMEM));
	}
	return code;
}

int weir_place_open(struct weir_place *place, struct weir_error *err)
{
	weir_runtime *runtime = place->channel->runtime;
	struct weir_backend *backend;
	int code = weir_runtime_backend(runtime, place->kind->name, &backend, err);

	if (code)
		return code;
	place->state = (struct weir_state){ .ready = false };
	code = open_topic(place, backend, err);
	if (code) {
		weir_runtime_leave(runtime, backend, false);
		return code;
	}
	pthread_mutex_lock(runtime->lock);
	place->backend = backend;
	place->kind->error.code = 0;
	pthread_mutex_unlock(runtime->lock);
	return WEIR_OK;
}

static void end_feeds(struct weir_place *place, int64_t deadline_ns)
{
	for (struct weir_subscription *sub = place->channel->subs; sub; sub = sub->next) {
		struct weir_feed *feed = weir_subscription_feed(sub, place);

		if (feed)
			weir_subscription_end_feed(sub, feed, 1, true, deadline_ns);
	}
}

void weir_place_close(struct weir_place *place, bool last, int64_t deadline_ns)
{
	weir_runtime *runtime = place->channel->runtime;
	struct weir_backend *backend = place->backend;

	if (!backend)
		return;
	end_feeds(place, deadline_ns);
	weir_guard_topic_close(&backend->guard, place->topic);
	weir_backend_forget(backend, &backend->topics, place->topic, place);
	/* An event that the pump has in hand may name the place. */
	place->lost |= !weir_backend_sync(backend, weir_clock_now_ns());
	pthread_mutex_lock(runtime->lock);
	place->backend = NULL;
	place->topic = NULL;
	pthread_mutex_unlock(runtime->lock);
	weir_runtime_leave(runtime, backend, last);
}

int weir_place_ready_locked(const struct weir_place *place, struct weir_error *err)
{
	struct weir_backend *backend = place->backend;
	int code;

	if (!backend && place->kind->error.code) {
		*err = place->kind->error;
		return err->code;
	}
	if (!backend)
		return weir_fail(err, WEIR_EAGAIN, "%s: its backend is being opened", place->kind->name);
	pthread_mutex_lock(&backend->lock);
	code = weir_backend_ready_locked(backend, err);
	if (!code && place->state.failed) {
		code = place->state.error.code;
		*err = place->state.error;
	} else if (!code && !place->state.ready) {
		code = weir_fail(err, WEIR_EAGAIN, "channel %s/%s: its place on the backend is not made yet",
				 place->channel->ns, place->channel->name);
	}
	pthread_mutex_unlock(&backend->lock);
	return code;
}

/* ---- where new events go ----------------------------------------------------- */

/* Waits until nobody is in the gate of the turn, and lets them in again. */
static bool empty_gate(weir_channel *channel, int64_t deadline_ns)
{
	unsigned turn = atomic_load(&channel->turn) & 1;
	struct weir_gate *gate = &channel->gates[turn];
	bool empty;

	atomic_store(&channel->turn, turn ^ 1);
	weir_gate_shut(gate);
	empty = weir_gate_wait(gate, deadline_ns);
	weir_gate_open(gate);
	return empty;
}

bool weir_place_sync(weir_channel *channel)
{
	int64_t deadline_ns = weir_clock_after_ms(weir_clock_now_ns(), LEAVE_MS);

	/* Both: one may have chosen a gate long ago and only enter it now. */
	channel->unsynced = !empty_gate(channel, deadline_ns) || !empty_gate(channel, deadline_ns);
	return !channel->unsynced;
}

bool weir_place_direct(weir_channel *channel, struct weir_place *place)
{
	if (atomic_load(&channel->current) == place && !channel->unsynced)
		return true;
	atomic_store(&channel->current, place);
	return weir_place_sync(channel);
}
