/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of a backend: waiting, polling, deadlines. */
#include "channel/backend.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "channel/internal.h"

enum {
	STALLED_MS = 10, /* until what could not be dispatched is tried again */
	POLL_FAILED_MS = 100,
	SPIN_LIMIT = 64, /* empty polls in a row while event_fd says otherwise */
	SPIN_MS = 5,
	DEAD_AFTER_MS = 500, /* after which a dead instance will not complete what it took */
	EXPIRE_AHEAD_MS = 5, /* deadlines that lie this close together are served by one scan */
};

static void set_stage(struct weir_backend *backend, enum weir_stage stage, const struct weir_error *error)
{
	pthread_mutex_lock(&backend->lock);
	backend->stage = stage;
	if (error)
		backend->error = *error;
	pthread_cond_broadcast(&backend->changed);
	pthread_mutex_unlock(&backend->lock);
}

static void begin_turn(struct weir_backend *backend)
{
	pthread_mutex_lock(&backend->lock);
	backend->busy = true;
	pthread_mutex_unlock(&backend->lock);
}

static void end_turn(struct weir_backend *backend)
{
	pthread_mutex_lock(&backend->lock);
	backend->busy = false;
	backend->turns++;
	pthread_cond_broadcast(&backend->changed);
	pthread_mutex_unlock(&backend->lock);
}

/* Subscriptions that were given credit or resumed while something of theirs was held back. */
static void hand_out_held(struct weir_backend *backend)
{
	if (!atomic_exchange(&backend->attention, false))
		return;
	pthread_mutex_lock(&backend->map_lock);
	for (size_t i = 0; i < backend->subs.size; i++) {
		struct weir_feed *feed = backend->subs.rows[i].value;

		if (!feed || feed->touched)
			continue;
		feed->touched = true;
		feed->next_touched = backend->touched_subs;
		backend->touched_subs = feed;
	}
	pthread_mutex_unlock(&backend->map_lock);
}

static void expire_due(struct weir_backend *backend)
{
	int64_t now = weir_clock_now_ns();
	int64_t ahead_ms = EXPIRE_AHEAD_MS;

	if (now < backend->next_expiry_ns)
		return;
	/* What is published from now on has a later deadline than this. */
	backend->next_expiry_ns = weir_clock_after_ms(now, backend->publish_timeout_ms);
	if (backend->dead && backend->publish_timeout_ms > DEAD_AFTER_MS) {
		/* Nothing will come; but a publish that is in the driver at this moment may still be refused. */
		ahead_ms = backend->publish_timeout_ms - DEAD_AFTER_MS;
		backend->next_expiry_ns = weir_clock_after_ms(now, DEAD_AFTER_MS);
	}
	weir_dispatch_expire(backend, weir_clock_after_ms(now, ahead_ms));
}

static int poll_failed(struct weir_backend *backend, int code)
{
	static const struct weir_error fatal = { .size = sizeof fatal,
						 .code = WEIR_EFATAL,
						 .text = "poll says that the instance is dead" };

	if (code == WEIR_EFATAL)
		weir_dispatch_fatal(backend, &fatal);
	else
		weir_backend_breach(backend, WEIR_BREACH_POLL);
	return POLL_FAILED_MS;
}

/* One turn. Returns how long to wait for the next, in milliseconds: 0: not at all, -1: until something happens. */
static int turn(struct weir_backend *backend)
{
	int code = WEIR_OK;
	int wait_ms = -1;

	begin_turn(backend);
	expire_due(backend);
	hand_out_held(backend);
	weir_dispatch_early(backend);
	if (backend->at == backend->count) {
		backend->at = 0;
		code = weir_guard_poll(&backend->guard, backend->events, WEIR_PUMP_BATCH, &backend->count);
	}
	if (backend->count > 0) {
		backend->empty_polls = 0;
		wait_ms = 0;
	}
	if (!weir_dispatch(backend))
		wait_ms = STALLED_MS;
	weir_dispatch_flush(backend);
	if (code && code != WEIR_ETIMEDOUT && code != WEIR_EAGAIN)
		wait_ms = poll_failed(backend, code);
	end_turn(backend);
	return wait_ms;
}

static int min_wait(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Waits for the driver, for a wake-up, for the next deadline. `limit_ms` > 0: does not listen to the driver. */
static void wait_for_work(struct weir_backend *backend, int limit_ms)
{
	struct pollfd fds[2] = { { backend->wake_fd, POLLIN, 0 }, { backend->event_fd, POLLIN, 0 } };
	int timeout_ms = min_wait(limit_ms, weir_clock_wait_ms(backend->next_expiry_ns));
	uint64_t count;

	if (poll(fds, limit_ms > 0 ? 1 : 2, timeout_ms) <= 0)
		return;
	if (fds[0].revents) {
		/* In this order: who wakes after the flag is down writes again. */
		while (read(backend->wake_fd, &count, sizeof count) < 0 && errno == EINTR)
			;
		atomic_store(&backend->woken, false);
	}
	if (fds[1].revents && ++backend->empty_polls == SPIN_LIMIT)
		weir_backend_breach(backend, WEIR_BREACH_SPIN);
}

static void serve(struct weir_backend *backend)
{
	while (!atomic_load(&backend->stop)) {
		int wait_ms = turn(backend);

		if (wait_ms < 0 && backend->empty_polls > SPIN_LIMIT)
			wait_ms = SPIN_MS;
		if (wait_ms != 0)
			wait_for_work(backend, wait_ms);
	}
}

static int pump_open(struct weir_backend *backend, struct weir_error *err)
{
	struct weir_caps_link *link = weir_mem_zalloc(1, sizeof *link);
	int code;

	if (!link)
		return weir_fail(err, WEIR_ENOMEM, "driver %s: %s", backend->driver->table.name,
				 weir_code_text(WEIR_ENOMEM));
	code = weir_guard_open(&backend->guard, &backend->host, backend->settings, backend->setting_count, &link->caps,
			       err);
	if (code) {
		weir_mem_free(link);
		return code;
	}
	atomic_store(&backend->caps, link);
	backend->event_fd = weir_guard_event_fd(&backend->guard);
	if (backend->event_fd >= 0)
		return WEIR_OK;
	weir_guard_abort(&backend->guard);
	return weir_fail(err, WEIR_EINTERNAL, "driver %s: event_fd gave no descriptor", backend->driver->table.name);
}

static void pump_close(struct weir_backend *backend)
{
	struct weir_error error = WEIR_ERROR_INIT;
	int code = weir_guard_shut(&backend->guard, backend->close_deadline_ns, &error);

	begin_turn(backend);
	/* No call is in the driver any more: what is pending now stays so, and nobody knows what becomes of it. */
	weir_dispatch_rest(backend);
	weir_dispatch_expire(backend, WEIR_NS_NEVER);
	weir_dispatch_flush(backend);
	end_turn(backend);
	if (!code)
		weir_guard_close(&backend->guard, backend->close_deadline_ns, WEIR_CLOSE_FLUSH, &error);
	set_stage(backend, WEIR_STAGE_CLOSED, &error);
	atomic_store(&backend->over, true);
}

static void say_gone(struct weir_backend *backend)
{
	pthread_mutex_lock(&backend->lock);
	backend->thread_gone = true;
	pthread_cond_broadcast(&backend->changed);
	pthread_mutex_unlock(&backend->lock);
}

void *weir_pump_main(void *data)
{
	struct weir_backend *backend = data;
	struct weir_error error = WEIR_ERROR_INIT;

	pthread_setname_np(pthread_self(), "weir-pump");
	if (pump_open(backend, &error)) {
		set_stage(backend, WEIR_STAGE_FAILED, &error);
	} else {
		/* Up unless the driver has said otherwise; the first turn hears that before anybody asks. */
		pthread_mutex_lock(&backend->lock);
		backend->up = true;
		pthread_mutex_unlock(&backend->lock);
		turn(backend);
		set_stage(backend, WEIR_STAGE_OPEN, NULL);
		serve(backend);
		pump_close(backend);
	}
	say_gone(backend);
	weir_backend_unref(backend);
	return NULL;
}
