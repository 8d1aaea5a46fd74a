/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/backend.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "channel/internal.h"

enum { CLOSE_GRACE_MS = 900, LOG_LINE = 640 };

_Atomic int64_t weir_backend_open_patience_ms = 30000;

/* ---- log ----------------------------------------------------------------- */

void weir_backend_log(struct weir_backend *backend, int level, const char *format, ...)
{
	char text[LOG_LINE];
	va_list args;
	int used;

	if (!backend->log || atomic_load_explicit(&backend->muted, memory_order_relaxed))
		return;
	used = snprintf(text, sizeof text, "driver %s: ", backend->driver->table.name);
	va_start(args, format);
	vsnprintf(text + used, sizeof text - (size_t)used, format, args);
	va_end(args);
	backend->log(backend->log_ctx, level, text);
}

/* What the driver may call: its text is not trusted to be one line. */
static void host_log(void *ctx, int level, const char *text)
{
	char line[LOG_LINE - 64];
	size_t i;

	for (i = 0; text && text[i] && i + 1 < sizeof line; i++)
		line[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
	line[i] = '\0';
	if (level < WEIR_LOG_ERROR)
		level = WEIR_LOG_ERROR;
	if (level > WEIR_LOG_DEBUG)
		level = WEIR_LOG_DEBUG;
	weir_backend_log(ctx, level, "%s", line);
}

void weir_backend_breach(struct weir_backend *backend, enum weir_breach breach)
{
	static const char *const texts[WEIR_BREACH_COUNT] = {
		[WEIR_BREACH_TWICE] = "completed a publish twice; the second is dropped",
		[WEIR_BREACH_UNKNOWN_TAG] = "completed a publish that it was never given; dropped",
		[WEIR_BREACH_OUTCOME] = "completed a publish with an outcome that is none; taken as unknown",
		[WEIR_BREACH_CREDIT] = "delivered more than it has credit for; held back",
		[WEIR_BREACH_UNKNOWN_SUB] = "reported an event of a subscription or channel that is not open; dropped",
		[WEIR_BREACH_EVENT] = "reported an event that lacks what it must name; dropped",
		[WEIR_BREACH_POLL] = "poll failed; it is tried again",
		[WEIR_BREACH_SPIN] = "its event_fd is readable though poll has nothing; polled less often",
		[WEIR_BREACH_BLOCKED] = "publish took longer than a second, and must never block",
	};

	if (atomic_fetch_add_explicit(&backend->breaches[breach], 1, memory_order_relaxed) == 0)
		weir_backend_log(backend, WEIR_LOG_ERROR, "breaks its contract: %s; further ones are only counted",
				 texts[breach]);
}

/* ---- making and freeing -------------------------------------------------- */

static bool init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;
	bool done;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	done = pthread_cond_init(condition, &attributes) == 0;
	pthread_condattr_destroy(&attributes);
	return done;
}

static void backend_free(struct weir_backend *backend)
{
	struct weir_caps_link *link = atomic_load(&backend->caps);

	while (link) {
		struct weir_caps_link *older = link->older;

		weir_mem_free(link);
		link = older;
	}
	for (uint32_t i = 0; i < atomic_load(&backend->lane_count); i++)
		weir_lane_free(atomic_load(&backend->lanes[i]));
	weir_dispatch_free_early(backend);
	weir_ptrmap_fini(&backend->subs);
	weir_ptrmap_fini(&backend->topics);
	if (backend->wake_fd >= 0)
		close(backend->wake_fd);
	weir_guard_fini(&backend->guard);
	pthread_cond_destroy(&backend->changed);
	pthread_mutex_destroy(&backend->lock);
	pthread_mutex_destroy(&backend->map_lock);
	pthread_mutex_destroy(&backend->lanes_lock);
	weir_mem_free(backend->events);
	weir_mem_free(backend->objects);
	weir_mem_free(backend->out);
	weir_mem_free(backend->kind);
	weir_mem_free(backend);
}

static struct weir_backend *backend_new(struct weir_loaded *driver, const char *kind)
{
	struct weir_backend *backend = weir_mem_zalloc(1, sizeof *backend);

	if (!backend)
		return NULL;
	atomic_init(&backend->refs, 1);
	backend->driver = driver;
	pthread_mutex_init(&backend->lock, NULL);
	pthread_mutex_init(&backend->map_lock, NULL);
	pthread_mutex_init(&backend->lanes_lock, NULL);
	init_condition(&backend->changed);
	weir_guard_init(&backend->guard, driver);
	backend->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	backend->kind = weir_mem_strdup(kind);
	backend->events = weir_mem_zalloc(WEIR_PUMP_BATCH, sizeof *backend->events);
	backend->objects = weir_mem_zalloc(WEIR_PUMP_BATCH, sizeof *backend->objects);
	backend->out = weir_mem_zalloc(WEIR_PUMP_BATCH, sizeof *backend->out);
	if (backend->wake_fd < 0 || !backend->kind || !backend->events || !backend->objects || !backend->out) {
		backend_free(backend);
		return NULL;
	}
	for (size_t i = 0; i < WEIR_PUMP_BATCH; i++)
		backend->events[i].size = sizeof backend->events[i];
	backend->host =
	    (struct weir_host){ sizeof backend->host, WEIR_ABI_MAJOR, WEIR_ABI_MINOR, 0, backend, host_log };
	return backend;
}

void weir_backend_ref(struct weir_backend *backend)
{
	atomic_fetch_add_explicit(&backend->refs, 1, memory_order_relaxed);
}

void weir_backend_unref(struct weir_backend *backend)
{
	if (backend && atomic_fetch_sub_explicit(&backend->refs, 1, memory_order_acq_rel) == 1)
		backend_free(backend);
}

/* ---- opening ------------------------------------------------------------- */

/* Signals are for the program's own threads. */
static int start_pump(struct weir_backend *backend)
{
	sigset_t all, before;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	weir_backend_ref(backend);
	failed = pthread_create(&backend->thread, NULL, weir_pump_main, backend);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		weir_backend_unref(backend);
	return failed ? WEIR_ENOMEM : WEIR_OK;
}

/* Waits on `changed` with `lock` held; false when the deadline has passed. */
static bool wait_changed(struct weir_backend *backend, int64_t deadline_ns)
{
	struct timespec until = { deadline_ns / WEIR_NS_PER_S, deadline_ns % WEIR_NS_PER_S };

	return pthread_cond_timedwait(&backend->changed, &backend->lock, &until) != ETIMEDOUT;
}

static int wait_open(struct weir_backend *backend, struct weir_error *err)
{
	int64_t patience_ms = atomic_load(&weir_backend_open_patience_ms);
	int64_t deadline_ns = weir_clock_after_ms(weir_clock_now_ns(), patience_ms);
	struct weir_error error = WEIR_ERROR_INIT;
	enum weir_stage stage;

	pthread_mutex_lock(&backend->lock);
	while (backend->stage == WEIR_STAGE_OPENING && wait_changed(backend, deadline_ns))
		;
	stage = backend->stage;
	error = backend->error;
	if (stage == WEIR_STAGE_OPENING) {
		weir_fail(&error, WEIR_ETIMEDOUT, "driver %s: open has not returned for %lld ms; given up",
			  backend->driver->path, (long long)patience_ms);
		/* Whenever it does return, the pump closes what it opened. */
		atomic_store(&backend->muted, true);
		atomic_store(&backend->stop, true);
	}
	pthread_mutex_unlock(&backend->lock);
	if (stage == WEIR_STAGE_OPEN)
		return WEIR_OK;
	if (stage == WEIR_STAGE_OPENING)
		pthread_detach(backend->thread);
	else
		pthread_join(backend->thread, NULL);
	if (err)
		*err = error;
	return error.code;
}

int weir_backend_open(weir_runtime *runtime, struct weir_loaded *driver, const char *kind,
		      const struct weir_setting *settings, size_t setting_count, struct weir_backend **ret,
		      struct weir_error *err)
{
	struct weir_backend *backend = backend_new(driver, kind);
	int code;

	if (!backend)
		return weir_fail(err, WEIR_ENOMEM, "driver %s: %s", driver->table.name, weir_code_text(WEIR_ENOMEM));
	backend->settings = settings;
	backend->setting_count = setting_count;
	backend->runtime = runtime;
	backend->publish_timeout_ms = runtime->publish_timeout_ms;
	backend->log = runtime->log;
	backend->log_ctx = runtime->log_ctx;
	code = start_pump(backend);
	if (code)
		weir_fail(err, code, "driver %s: no thread could be started", driver->table.name);
	else
		code = wait_open(backend, err);
	if (code)
		weir_backend_unref(backend);
	else
		*ret = backend;
	return code;
}

/* ---- closing ------------------------------------------------------------- */

void weir_backend_drain(struct weir_backend *backend)
{
	uint64_t left;

	atomic_store(&backend->draining, true);
	/* Not waiting: it only asks the driver not to gather any more. */
	weir_guard_flush(&backend->guard, 0, &left);
	weir_backend_wake(backend);
}

bool weir_backend_drained(struct weir_backend *backend, int64_t deadline_ns)
{
	bool in_time = true;

	pthread_mutex_lock(&backend->lock);
	while (weir_backend_pending(backend) > 0 && in_time)
		in_time = wait_changed(backend, deadline_ns);
	pthread_mutex_unlock(&backend->lock);
	return weir_backend_pending(backend) == 0;
}

void weir_backend_stop(struct weir_backend *backend, int64_t deadline_ns)
{
	backend->close_deadline_ns = deadline_ns;
	atomic_store(&backend->stop, true);
	weir_backend_wake(backend);
}

int weir_backend_stopped(struct weir_backend *backend, int64_t deadline_ns, struct weir_error *err)
{
	int64_t patience_ns = weir_clock_after_ms(deadline_ns, CLOSE_GRACE_MS);
	bool gone;
	int code;

	pthread_mutex_lock(&backend->lock);
	while (!backend->thread_gone && wait_changed(backend, patience_ns))
		;
	gone = backend->thread_gone;
	code = gone ? backend->error.code : WEIR_ETIMEDOUT;
	if (gone && code && err)
		*err = backend->error;
	pthread_mutex_unlock(&backend->lock);
	if (gone) {
		pthread_join(backend->thread, NULL);
		return code;
	}
	weir_backend_log(backend, WEIR_LOG_ERROR, "does not close; left behind");
	atomic_store(&backend->muted, true);
	pthread_detach(backend->thread);
	return weir_fail(err, code, "driver %s: did not close in time", backend->driver->table.name);
}

/* ---- the pump's turn, seen from outside ---------------------------------- */

void weir_backend_wake(struct weir_backend *backend)
{
	uint64_t one = 1;

	if (atomic_exchange(&backend->woken, true))
		return;
	/* Fails only if the counter is full: then it is readable as well. */
	while (write(backend->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

bool weir_backend_sync(struct weir_backend *backend, int64_t deadline_ns)
{
	int64_t patience_ns = weir_clock_after_ms(deadline_ns, CLOSE_GRACE_MS);
	uint64_t turn;
	bool ended;

	pthread_mutex_lock(&backend->lock);
	turn = backend->turns;
	while (backend->busy && backend->turns == turn && wait_changed(backend, patience_ns))
		;
	ended = !backend->busy || backend->turns != turn;
	pthread_mutex_unlock(&backend->lock);
	return ended;
}

bool weir_backend_on_pump(const struct weir_backend *backend)
{
	return pthread_equal(pthread_self(), backend->thread) != 0;
}

const struct weir_caps *weir_backend_caps(const struct weir_backend *backend)
{
	return &atomic_load_explicit(&backend->caps, memory_order_acquire)->caps;
}

int weir_backend_ready_locked(const struct weir_backend *backend, struct weir_error *err)
{
	const struct weir_error *why = backend->fatal ? &backend->error : &backend->down;

	if (backend->stage != WEIR_STAGE_OPEN)
		return weir_fail(err, WEIR_ECLOSED, "driver %s: closed", backend->driver->table.name);
	if (!backend->fatal && backend->up)
		return WEIR_OK;
	if (err)
		*err = *why;
	return why->code;
}

uint64_t weir_backend_pending(const struct weir_backend *backend)
{
	uint32_t count = atomic_load(&backend->lane_count);
	uint64_t pending = 0;

	for (uint32_t i = 0; i < count; i++)
		pending += weir_lane_pending(atomic_load_explicit(&backend->lanes[i], memory_order_acquire));
	return pending;
}

bool weir_backend_pending_until(const struct weir_backend *backend, int64_t deadline_ns)
{
	uint32_t count = atomic_load(&backend->lane_count);

	for (uint32_t i = 0; i < count; i++)
		if (weir_lane_pending_until(atomic_load_explicit(&backend->lanes[i], memory_order_acquire),
					    deadline_ns))
			return true;
	return false;
}

/* ---- pointers that are on their way into the maps ------------------------ */

void weir_backend_begin_opening(struct weir_backend *backend)
{
	pthread_mutex_lock(&backend->map_lock);
	backend->opening++;
	pthread_mutex_unlock(&backend->map_lock);
}

int weir_backend_end_opening(struct weir_backend *backend, struct weir_ptrmap *map, const void *key, void *object)
{
	int code = WEIR_OK;

	pthread_mutex_lock(&backend->map_lock);
	if (object && !weir_ptrmap_reserve(map))
		code = WEIR_ENOMEM;
	else if (object)
		weir_ptrmap_put(map, key, object);
	backend->opening--;
	pthread_mutex_unlock(&backend->map_lock);
	weir_backend_wake(backend);
	return code;
}

void weir_backend_forget(struct weir_backend *backend, struct weir_ptrmap *map, const void *key, const void *object)
{
	pthread_mutex_lock(&backend->map_lock);
	/* The driver may have given the same address to a new one in the meantime. */
	if (weir_ptrmap_get(map, key) == object)
		weir_ptrmap_remove(map, key);
	pthread_mutex_unlock(&backend->map_lock);
}
