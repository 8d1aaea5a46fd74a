/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/runtime.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "channel/fork.h"
#include "config/settings.h"

enum { PUBLISH_TIMEOUT_MS = 10000, CLOSE_MS = 5000 };

/* ---- opening ------------------------------------------------------------- */

static void free_kinds(weir_runtime *runtime)
{
	while (runtime->kinds) {
		struct weir_kind *kind = runtime->kinds;

		runtime->kinds = kind->next;
		weir_mem_free(kind);
	}
}

static void free_memos(weir_runtime *runtime)
{
	while (runtime->memos) {
		struct weir_memo *memo = runtime->memos;

		runtime->memos = memo->next;
		weir_memo_free(memo);
	}
	weir_mem_free(runtime->memo_path);
}

static void runtime_free(weir_runtime *runtime)
{
	weir_waiters_free(runtime);
	free_kinds(runtime);
	free_memos(runtime);
	weir_find_fini(&runtime->found);
	pthread_cond_destroy(&runtime->changed);
	pthread_cond_destroy(&runtime->mover_wake);
	if (runtime->lock)
		pthread_mutex_destroy(runtime->lock);
	weir_mem_free(runtime->lock);
	weir_mem_free(runtime);
}

static int runtime_init(weir_runtime *runtime, struct weir_error *err)
{
	pthread_condattr_t monotonic;

	runtime->fork_mark = weir_fork_mark();
	runtime->lock = weir_mem_alloc(sizeof *runtime->lock);
	pthread_cond_init(&runtime->changed, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&runtime->mover_wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (!runtime->lock || !runtime->fork_mark)
		return weir_fail(err, WEIR_ENOMEM, "opening the runtime: %s", weir_code_text(WEIR_ENOMEM));
	pthread_mutex_init(runtime->lock, NULL);
	runtime->publish_timeout_ms = weir_config_get_duration(runtime->config, "dispatcher.publishTimeout");
	if (runtime->publish_timeout_ms <= 0)
		runtime->publish_timeout_ms = PUBLISH_TIMEOUT_MS;
	return weir_find(runtime->config, &runtime->found, err);
}

int weir_runtime_open(const weir_config *config, weir_log_fn *log, void *log_ctx, weir_runtime **ret,
		      struct weir_error *err)
{
	weir_runtime *runtime = weir_mem_zalloc(1, sizeof *runtime);
	int code;

	if (!runtime)
		return weir_fail(err, WEIR_ENOMEM, "opening the runtime: %s", weir_code_text(WEIR_ENOMEM));
	runtime->config = config;
	runtime->log = log;
	runtime->log_ctx = log_ctx;
	code = runtime_init(runtime, err);
	if (code)
		runtime_free(runtime);
	else
		*ret = runtime;
	return code;
}

/* ---- drivers ------------------------------------------------------------- */

int weir_runtime_driver(const weir_runtime *runtime, size_t index, struct weir_driver_info *ret)
{
	const struct weir_found *found;

	pthread_mutex_lock(runtime->lock);
	for (found = runtime->found.first; found && index > 0; index--)
		found = found->next;
	pthread_mutex_unlock(runtime->lock);
	if (!found)
		return WEIR_ENOTFOUND;
	*ret = (struct weir_driver_info){
		.name = found->note.name,
		.kind = found->note.kind,
		.path = found->path,
		.abi_major = found->note.abi_major,
		.abi_minor = found->note.abi_minor,
		.problem = found->problem ? found->error.text : NULL,
	};
	return WEIR_OK;
}

static int load(weir_runtime *runtime, const char *kind, struct weir_loaded **ret, struct weir_error *err)
{
	struct weir_found *found;

	if (weir_forked(runtime->fork_mark))
		return weir_fail(err, WEIR_EFORKED, "kind %s: %s", kind, weir_code_text(WEIR_EFORKED));
	pthread_mutex_lock(runtime->lock);
	found = weir_find_kind(runtime->config, &runtime->found, kind, err);
	pthread_mutex_unlock(runtime->lock);
	if (!found)
		return err ? err->code : WEIR_ENOTFOUND;
	return weir_loader_load(found, runtime->found.allow_unsafe, ret, err);
}

int weir_runtime_load(weir_runtime *runtime, const char *kind, const struct weir_driver **ret, struct weir_error *err)
{
	struct weir_loaded *loaded;
	int code = load(runtime, kind, &loaded, err);

	if (!code)
		*ret = &loaded->table;
	return code;
}

/* ---- backends ------------------------------------------------------------ */

/* The one of a kind, used by one more. *closing: there is one, but it is of no use any more. */
static struct weir_backend *find_backend(weir_runtime *runtime, const char *kind, bool *closing)
{
	struct weir_backend *backend;

	*closing = false;
	pthread_mutex_lock(runtime->lock);
	for (backend = runtime->backends; backend; backend = backend->next)
		if (strcmp(backend->kind, kind) == 0)
			break;
	if (backend && atomic_load(&backend->broken)) {
		*closing = true;
		backend = NULL;
	}
	if (backend)
		backend->users++;
	pthread_mutex_unlock(runtime->lock);
	return backend;
}

static int open_backend(weir_runtime *runtime, const char *kind, struct weir_backend **ret, struct weir_error *err)
{
	const struct weir_setting *settings;
	struct weir_loaded *loaded;
	size_t count;
	int code;

	code = load(runtime, kind, &loaded, err);
	if (!code)
		code = weir_config_driver(runtime->config, &loaded->table, &settings, &count, err);
	if (!code)
		code = weir_backend_open(runtime, loaded, kind, settings, count, ret, err);
	return code;
}

/* One thread opens a kind, others wait for it: an instance may hold a lock on what it keeps. */
static void begin_kind(weir_runtime *runtime)
{
	pthread_mutex_lock(runtime->lock);
	while (runtime->opening_kind)
		pthread_cond_wait(&runtime->changed, runtime->lock);
	runtime->opening_kind = true;
	pthread_mutex_unlock(runtime->lock);
}

static void end_kind(weir_runtime *runtime, struct weir_backend *opened)
{
	pthread_mutex_lock(runtime->lock);
	runtime->opening_kind = false;
	if (opened) {
		opened->users = 1;
		opened->next = runtime->backends;
		runtime->backends = opened;
	}
	pthread_cond_broadcast(&runtime->changed);
	pthread_mutex_unlock(runtime->lock);
}

int weir_runtime_backend(weir_runtime *runtime, const char *kind, struct weir_backend **ret, struct weir_error *err)
{
	struct weir_backend *opened = NULL;
	bool closing;
	int code = WEIR_OK;

	begin_kind(runtime);
	*ret = find_backend(runtime, kind, &closing);
	if (closing) {
		code = weir_fail(err, WEIR_EAGAIN, "%s: its backend is being opened anew", kind);
	} else if (!*ret) {
		code = open_backend(runtime, kind, &opened, err);
		*ret = opened;
	}
	end_kind(runtime, opened);
	return code;
}

/* Takes one out of the list that nobody uses and that is broken, or is this one. */
static struct weir_backend *take_unused(weir_runtime *runtime, const struct weir_backend *wanted)
{
	struct weir_backend **at, *found;

	pthread_mutex_lock(runtime->lock);
	for (at = &runtime->backends; *at; at = &(*at)->next)
		if ((*at)->users == 0 && (*at == wanted || atomic_load(&(*at)->broken)))
			break;
	found = *at;
	if (found)
		*at = found->next;
	pthread_mutex_unlock(runtime->lock);
	return found;
}

/* With the kind's turn: nobody opens another one of the kind before this one is gone. */
static void close_unused(weir_runtime *runtime, const struct weir_backend *wanted)
{
	struct weir_backend *backend;

	while ((backend = take_unused(runtime, wanted))) {
		int64_t deadline_ns = weir_clock_after_ms(weir_clock_now_ns(), CLOSE_MS);
		struct weir_error why = WEIR_ERROR_INIT;

		weir_backend_drain(backend);
		weir_backend_stop(backend, deadline_ns);
		if (weir_backend_stopped(backend, deadline_ns, &why) && !atomic_load(&backend->broken))
			weir_runtime_log(runtime, WEIR_LOG_WARNING, "%s: closing: %s", backend->kind, why.text);
		weir_backend_unref(backend);
	}
}

void weir_runtime_leave(weir_runtime *runtime, struct weir_backend *backend, bool last)
{
	begin_kind(runtime);
	pthread_mutex_lock(runtime->lock);
	backend->users--;
	pthread_mutex_unlock(runtime->lock);
	close_unused(runtime, last ? backend : NULL);
	end_kind(runtime, NULL);
}

void weir_runtime_sweep(weir_runtime *runtime)
{
	begin_kind(runtime);
	close_unused(runtime, NULL);
	end_kind(runtime, NULL);
}

void weir_runtime_configure(weir_runtime *runtime, const weir_config *config)
{
	begin_kind(runtime);
	pthread_mutex_lock(runtime->lock);
	runtime->config = config;
	pthread_mutex_unlock(runtime->lock);
	end_kind(runtime, NULL);
}

int weir_runtime_renew(weir_runtime *runtime, const char *kind, struct weir_error *err)
{
	struct weir_backend *backend;

	if (weir_forked(runtime->fork_mark))
		return weir_fail(err, WEIR_EFORKED, "kind %s: %s", kind, weir_code_text(WEIR_EFORKED));
	pthread_mutex_lock(runtime->lock);
	for (backend = runtime->backends; backend; backend = backend->next)
		if (strcmp(backend->kind, kind) == 0)
			break;
	if (backend)
		atomic_store(&backend->broken, true);
	pthread_mutex_unlock(runtime->lock);
	if (!backend)
		return weir_fail(err, WEIR_ENOTFOUND, "kind %s: no backend of it is open", kind);
	weir_mover_poke(runtime);
	return WEIR_OK;
}

int weir_runtime_caps(weir_runtime *runtime, const char *kind, struct weir_caps *ret, struct weir_error *err)
{
	struct weir_backend *backend;
	const struct weir_caps *caps;
	uint32_t size = ret->size;
	int code = weir_runtime_backend(runtime, kind, &backend, err);

	if (code)
		return code;
	caps = weir_backend_caps(backend);
	if (size > sizeof *caps)
		size = sizeof *caps;
	memcpy(ret, caps, size);
	ret->size = size;
	weir_runtime_leave(runtime, backend, false);
	return WEIR_OK;
}

/* ---- closing ------------------------------------------------------------- */

/* The first failure is the one to tell. */
static void note_failure(int *code, struct weir_error *err, int other, const struct weir_error *why)
{
	if (!other || *code)
		return;
	*code = other;
	if (err)
		*err = *why;
}

static struct weir_subscription *next_subscription(weir_runtime *runtime)
{
	struct weir_subscription *sub = NULL;

	pthread_mutex_lock(runtime->lock);
	for (struct weir_channel *channel = runtime->channels; channel && !sub; channel = channel->next) {
		sub = channel->subs;
		if (sub)
			channel->subs = sub->next;
	}
	pthread_mutex_unlock(runtime->lock);
	return sub;
}

static void end_subscriptions(weir_runtime *runtime, int64_t deadline_ns, int *code, struct weir_error *err)
{
	struct weir_subscription *sub;
	struct weir_error why = WEIR_ERROR_INIT;

	while ((sub = next_subscription(runtime)))
		note_failure(code, err, weir_subscription_end(sub, 1, deadline_ns, &why), &why);
}

static void end_channels(weir_runtime *runtime)
{
	while (runtime->channels) {
		struct weir_channel *channel = runtime->channels;

		pthread_mutex_lock(runtime->lock);
		runtime->channels = channel->next;
		pthread_mutex_unlock(runtime->lock);
		weir_channel_end(channel);
	}
}

static void drain_backends(weir_runtime *runtime, int64_t deadline_ns, int *code, struct weir_error *err)
{
	struct weir_error why = WEIR_ERROR_INIT;

	for (struct weir_backend *backend = runtime->backends; backend; backend = backend->next)
		weir_backend_drain(backend);
	for (struct weir_backend *backend = runtime->backends; backend; backend = backend->next)
		if (!weir_backend_drained(backend, deadline_ns))
			note_failure(code, err,
				     weir_fail(&why, WEIR_ETIMEDOUT, "driver %s: publishes were still pending",
					       backend->driver->table.name),
				     &why);
}

static void stop_backends(weir_runtime *runtime, int64_t deadline_ns, int *code, struct weir_error *err)
{
	struct weir_error why = WEIR_ERROR_INIT;

	for (struct weir_backend *backend = runtime->backends; backend; backend = backend->next)
		weir_backend_stop(backend, deadline_ns);
	while (runtime->backends) {
		struct weir_backend *backend = runtime->backends;

		runtime->backends = backend->next;
		note_failure(code, err, weir_backend_stopped(backend, deadline_ns, &why), &why);
		weir_backend_unref(backend);
	}
}

bool weir_runtime_on_pump(weir_runtime *runtime)
{
	bool found = false;

	pthread_mutex_lock(runtime->lock);
	for (struct weir_backend *backend = runtime->backends; backend && !found; backend = backend->next)
		found = weir_backend_on_pump(backend);
	pthread_mutex_unlock(runtime->lock);
	return found;
}

/* A thread of it is in a driver that does not return: what it uses has to stay. */
static int leave_behind(weir_runtime *runtime, struct weir_error *err)
{
	pthread_mutex_lock(runtime->lock);
	for (struct weir_backend *backend = runtime->backends; backend; backend = backend->next)
		atomic_store(&backend->muted, true);
	pthread_mutex_unlock(runtime->lock);
	return weir_fail(err, WEIR_ETIMEDOUT, "a backend is being opened or closed and does not return; left behind");
}

int weir_runtime_close(weir_runtime *runtime, int64_t deadline_ns, struct weir_error *err)
{
	int code = WEIR_OK;

	if (!runtime)
		return WEIR_OK;
	if (weir_forked(runtime->fork_mark))
		return weir_fail(err, WEIR_EFORKED, "closing the runtime: %s", weir_code_text(WEIR_EFORKED));
	if (weir_runtime_on_pump(runtime))
		return weir_fail(err, WEIR_EINVAL, "the runtime cannot be closed from a callback");
	pthread_mutex_lock(runtime->lock);
	runtime->closing = true;
	pthread_mutex_unlock(runtime->lock);
	if (!weir_mover_stop(runtime, deadline_ns))
		return leave_behind(runtime, err);
	drain_backends(runtime, deadline_ns, &code, err);
	end_subscriptions(runtime, deadline_ns, &code, err);
	end_channels(runtime);
	stop_backends(runtime, deadline_ns, &code, err);
	runtime_free(runtime);
	return code;
}
