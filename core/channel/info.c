/* SPDX-License-Identifier: Apache-2.0 */
/* What can be seen of open backends from outside. */
#include "channel/internal.h"

#include "channel/fork.h"

/* Borrowed with a reference of its own. */
static struct weir_backend *backend_at(weir_runtime *runtime, size_t index)
{
	struct weir_backend *backend;

	pthread_mutex_lock(runtime->lock);
	for (backend = runtime->backends; backend && index > 0; index--)
		backend = backend->next;
	if (backend)
		weir_backend_ref(backend);
	pthread_mutex_unlock(runtime->lock);
	return backend;
}

/* The driver's own word counts unless its events said something worse. */
static void read_health(struct weir_backend *backend, struct weir_health *ret)
{
	struct weir_error why = WEIR_ERROR_INIT;
	int code = weir_guard_health(&backend->guard, ret);
	int state;

	if (code || ret->state > WEIR_HEALTH_DOWN)
		*ret = (struct weir_health){ .size = sizeof *ret, .state = WEIR_HEALTH_UP };
	pthread_mutex_lock(&backend->lock);
	state = weir_backend_ready_locked(backend, &why);
	pthread_mutex_unlock(&backend->lock);
	if (state) {
		ret->state = WEIR_HEALTH_DOWN;
		ret->error = why;
	}
}

static void read_stats(struct weir_backend *backend, struct weir_stats *ret)
{
	if (weir_guard_stats(&backend->guard, ret))
		*ret = (struct weir_stats){ sizeof *ret, 0,          UINT64_MAX, UINT64_MAX,
					    UINT64_MAX,  UINT64_MAX, UINT64_MAX, UINT64_MAX };
}

static uint64_t all_breaches(struct weir_backend *backend)
{
	uint64_t sum = atomic_load_explicit(&backend->guard.broken, memory_order_relaxed);

	for (int i = 0; i < WEIR_BREACH_COUNT; i++)
		sum += atomic_load_explicit(&backend->breaches[i], memory_order_relaxed);
	return sum;
}

int weir_runtime_backend_info(weir_runtime *runtime, size_t index, struct weir_backend_info *ret)
{
	struct weir_backend *backend;

	if (weir_forked(runtime->fork_mark))
		return WEIR_EFORKED;
	backend = backend_at(runtime, index);
	if (!backend)
		return WEIR_ENOTFOUND;
	ret->kind = backend->kind;
	ret->driver = backend->driver->table.name;
	read_health(backend, &ret->health);
	read_stats(backend, &ret->stats);
	ret->pending = weir_backend_pending(backend);
	ret->timeouts = atomic_load_explicit(&backend->timeouts, memory_order_relaxed);
	ret->late = atomic_load_explicit(&backend->late_persisted, memory_order_relaxed);
	ret->breaches = all_breaches(backend);
	weir_backend_unref(backend);
	return WEIR_OK;
}
