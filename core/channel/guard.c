/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/guard.h"

#include <time.h>

#include "base/clock.h"
#include "channel/fork.h"

enum { CALL_GRACE_MS = 500 }; /* for calls under way when it closes */

/* What may run beside each other at thread level 2; everything else takes all. */
enum groups {
	FREE = 0, /* from any thread even at level 2 */
	PUBLISH = 1,
	POLL = 2,
	SETTLE = 4,
	ALL = PUBLISH | POLL | SETTLE,
};

/* ---- who may enter ------------------------------------------------------ */

/*
 * pthread_mutex_timedlock(3) goes by the wall clock, which may be set meanwhile:
 * then it is only tried again. (pthread_mutex_clocklock(3) is not known to the
 * thread sanitizer of gcc 12.)
 */
static bool lock_until(pthread_mutex_t *lock, int64_t deadline_ns)
{
	int64_t left_ns;

	if (deadline_ns == WEIR_NS_NEVER)
		return pthread_mutex_lock(lock) == 0;
	while ((left_ns = deadline_ns - weir_clock_now_ns()) > 0) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		left_ns += until.tv_nsec;
		until.tv_sec += left_ns / WEIR_NS_PER_S;
		until.tv_nsec = left_ns % WEIR_NS_PER_S;
		if (pthread_mutex_timedlock(lock, &until) == 0)
			return true;
	}
	return pthread_mutex_trylock(lock) == 0;
}

static void unlock_groups(struct weir_guard *guard, unsigned groups)
{
	if (guard->level == WEIR_THREAD_PROCESS)
		pthread_mutex_unlock(&guard->driver->turn);
	else if (guard->level == WEIR_THREAD_INSTANCE)
		pthread_mutex_unlock(&guard->turns[0]);
	else
		for (unsigned i = WEIR_GUARD_GROUPS; i-- > 0;)
			if (groups & (1u << i))
				pthread_mutex_unlock(&guard->turns[i]);
}

static bool lock_groups(struct weir_guard *guard, unsigned groups, int64_t deadline_ns)
{
	unsigned held = 0;

	if (guard->level == WEIR_THREAD_PROCESS)
		return lock_until(&guard->driver->turn, deadline_ns);
	if (guard->level == WEIR_THREAD_INSTANCE)
		return lock_until(&guard->turns[0], deadline_ns);
	for (unsigned i = 0; i < WEIR_GUARD_GROUPS; i++) {
		if (!(groups & (1u << i)))
			continue;
		if (!lock_until(&guard->turns[i], deadline_ns)) {
			unlock_groups(guard, held);
			return false;
		}
		held |= 1u << i;
	}
	return true;
}

/* Until deadline_ns: for calls that must not wait for ever behind one that does not return. */
static int enter_until(struct weir_guard *guard, unsigned groups, int64_t deadline_ns)
{
	if (weir_forked(guard->fork_mark))
		return WEIR_EFORKED;
	if (!weir_gate_enter(&guard->gate))
		return WEIR_ECLOSED;
	if (guard->level != WEIR_THREAD_FREE && !lock_groups(guard, groups, deadline_ns)) {
		weir_gate_leave(&guard->gate);
		return WEIR_ETIMEDOUT;
	}
	return WEIR_OK;
}

static int enter(struct weir_guard *guard, unsigned groups)
{
	return enter_until(guard, groups, WEIR_NS_NEVER);
}

static void leave(struct weir_guard *guard, unsigned groups)
{
	if (guard->level != WEIR_THREAD_FREE)
		unlock_groups(guard, groups);
	weir_gate_leave(&guard->gate);
}

static int refuse(const struct weir_guard *guard, int code, struct weir_error *err)
{
	return weir_fail(err, code, "driver %s: %s", guard->driver->table.name, weir_code_text(code));
}

/* ---- what comes back ---------------------------------------------------- */

static int known_code(struct weir_guard *guard, int code)
{
	if (weir_code_name(code)[0] != '?')
		return code;
	atomic_fetch_add_explicit(&guard->broken, 1, memory_order_relaxed);
	return WEIR_EUNKNOWN;
}

static void copy_text(char *to, const char *from, size_t size)
{
	size_t i;

	for (i = 0; i + 1 < size && from[i]; i++)
		to[i] = (unsigned char)from[i] < 0x20 || from[i] == 0x7f ? '?' : from[i];
	to[i] = '\0';
}

void weir_guard_error(struct weir_error *to, const struct weir_error *from, int code, const char *fallback)
{
	struct weir_error copy = WEIR_ERROR_INIT;

	if (!to)
		return;
	weir_fail(&copy, weir_code_name(code)[0] == '?' ? WEIR_EUNKNOWN : code, "%s", fallback);
	if (from) {
		if (from->retry <= WEIR_RETRY_AFTER_REOPEN)
			copy.retry = from->retry;
		if (from->scope <= WEIR_SCOPE_INSTANCE)
			copy.scope = from->scope;
		copy.retry_after_ms = from->retry_after_ms;
		copy.native = from->native;
		copy_text(copy.domain, from->domain, sizeof copy.domain);
		if (from->text[0])
			copy_text(copy.text, from->text, sizeof copy.text);
	}
	*to = copy;
}

/* The end of an operation that may have filled `cause`. */
static int finish(struct weir_guard *guard, const char *operation, int code, const struct weir_error *cause,
		  struct weir_error *err)
{
	char fallback[96];

	code = known_code(guard, code);
	if (!code || !err)
		return code;
	snprintf(fallback, sizeof fallback, "driver %s: %s: %s", guard->driver->table.name, operation,
		 weir_code_text(code));
	weir_guard_error(err, cause->code ? cause : NULL, code, fallback);
	return code;
}

/* ---- open and close ----------------------------------------------------- */

void weir_guard_init(struct weir_guard *guard, struct weir_loaded *driver)
{
	memset(guard, 0, sizeof *guard);
	guard->driver = driver;
	guard->fork_mark = weir_fork_mark();
	guard->level = WEIR_THREAD_PROCESS;
	weir_gate_init(&guard->gate);
	for (int i = 0; i < WEIR_GUARD_GROUPS; i++)
		pthread_mutex_init(&guard->turns[i], NULL);
}

void weir_guard_fini(struct weir_guard *guard)
{
	weir_gate_fini(&guard->gate);
	for (int i = 0; i < WEIR_GUARD_GROUPS; i++)
		pthread_mutex_destroy(&guard->turns[i]);
}

static int first_caps(struct weir_guard *guard, struct weir_caps *caps, struct weir_error *err)
{
	int code = weir_guard_caps(guard, caps);

	if (code)
		return weir_fail(err, code, "driver %s: caps: %s", guard->driver->table.name, weir_code_text(code));
	if (caps->thread_level > WEIR_THREAD_FREE)
		return weir_fail(err, WEIR_EINVAL, "driver %s: thread level %u is none", guard->driver->table.name,
				 caps->thread_level);
	guard->level = caps->thread_level;
	return WEIR_OK;
}

int weir_guard_open(struct weir_guard *guard, const struct weir_host *host, const struct weir_setting *settings,
		    size_t count, struct weir_caps *caps, struct weir_error *err)
{
	struct weir_loaded *driver = guard->driver;
	struct weir_error cause = WEIR_ERROR_INIT;
	int code;

	if (!guard->fork_mark)
		return refuse(guard, WEIR_ENOMEM, err);
	/* Its thread level is not known before it is open: as if it were the strictest. */
	pthread_mutex_lock(&driver->turn);
	code = driver->table.open(host, settings, count, &guard->inst, &cause);
	pthread_mutex_unlock(&driver->turn);
	code = finish(guard, "open", code, &cause, err);
	if (code)
		return code;
	if (!guard->inst)
		return weir_fail(err, WEIR_EINTERNAL, "driver %s: open gave no instance", driver->table.name);
	code = first_caps(guard, caps, err);
	if (code)
		weir_guard_abort(guard);
	return code;
}

int weir_guard_shut(struct weir_guard *guard, int64_t deadline_ns, struct weir_error *err)
{
	if (weir_forked(guard->fork_mark))
		return refuse(guard, WEIR_EFORKED, err);
	if (!weir_gate_shut(&guard->gate))
		return refuse(guard, WEIR_ECLOSED, err);
	if (!weir_gate_wait(&guard->gate, weir_clock_after_ms(deadline_ns, CALL_GRACE_MS)))
		return weir_fail(err, WEIR_ETIMEDOUT, "driver %s: does not return from an operation; left open",
				 guard->driver->table.name);
	return WEIR_OK;
}

int weir_guard_close(struct weir_guard *guard, int64_t deadline_ns, uint32_t flags, struct weir_error *err)
{
	struct weir_error cause = WEIR_ERROR_INIT;
	bool alone = guard->level == WEIR_THREAD_PROCESS;
	int code;

	if (alone && !lock_until(&guard->driver->turn, weir_clock_after_ms(deadline_ns, CALL_GRACE_MS)))
		return weir_fail(err, WEIR_ETIMEDOUT, "driver %s: another instance does not return from an operation",
				 guard->driver->table.name);
	code = guard->driver->table.close(guard->inst, deadline_ns, flags, &cause);
	if (alone)
		pthread_mutex_unlock(&guard->driver->turn);
	return finish(guard, "close", code, &cause, err);
}

void weir_guard_abort(struct weir_guard *guard)
{
	int64_t now = weir_clock_now_ns();

	if (weir_guard_shut(guard, now, NULL) == WEIR_OK)
		weir_guard_close(guard, now, WEIR_CLOSE_ABORT, NULL);
}

/* ---- operations --------------------------------------------------------- */

int weir_guard_caps(struct weir_guard *guard, struct weir_caps *ret)
{
	int code = enter(guard, FREE);

	if (code)
		return code;
	memset(ret, 0, sizeof *ret);
	ret->size = sizeof *ret;
	code = guard->driver->table.caps(guard->inst, ret);
	leave(guard, FREE);
	if (!ret->durability)
		ret->durability = "unknown";
	if (!ret->durability_note)
		ret->durability_note = "";
	return known_code(guard, code);
}

int weir_guard_topic_open(struct weir_guard *guard, const char *ns, const char *name, struct weir_topic **ret,
			  struct weir_error *err)
{
	struct weir_error cause = WEIR_ERROR_INIT;
	int code = enter(guard, ALL);

	if (code)
		return refuse(guard, code, err);
	*ret = NULL;
	code = guard->driver->table.topic_open(guard->inst, ns, name, ret, &cause);
	leave(guard, ALL);
	if (!code && !*ret)
		code = WEIR_EINTERNAL;
	return finish(guard, "topic_open", code, &cause, err);
}

void weir_guard_topic_close(struct weir_guard *guard, struct weir_topic *topic)
{
	if (enter_until(guard, ALL, weir_clock_after_ms(weir_clock_now_ns(), CALL_GRACE_MS)))
		return;
	guard->driver->table.topic_close(guard->inst, topic);
	leave(guard, ALL);
}

int weir_guard_publish(struct weir_guard *guard, const struct weir_publish *items, size_t count, size_t *accepted,
		       struct weir_error *err)
{
	int code = enter(guard, PUBLISH);

	*accepted = 0;
	if (code)
		return refuse(guard, code, err);
	/* The caller's own: clearing another one costs as much as the rest of this. */
	if (err) {
		err->size = sizeof *err;
		err->code = 0;
	}
	code = guard->driver->table.publish(guard->inst, items, count, accepted, err);
	leave(guard, PUBLISH);
	if (code == WEIR_OK && *accepted == count)
		return WEIR_OK;
	if (code != WEIR_OK && *accepted < count)
		return finish(guard, "publish", code, err, err);
	/* Which were taken cannot be told: those that may have been, count as taken. Completions will tell. */
	atomic_fetch_add_explicit(&guard->broken, 1, memory_order_relaxed);
	if (*accepted < count)
		return refuse(guard, WEIR_EINTERNAL, err);
	*accepted = count;
	return WEIR_OK;
}

int weir_guard_flush(struct weir_guard *guard, int64_t deadline_ns, uint64_t *left)
{
	int code = enter(guard, PUBLISH);

	if (code)
		return code;
	*left = 0;
	code = guard->driver->table.flush(guard->inst, deadline_ns, left);
	leave(guard, PUBLISH);
	return known_code(guard, code);
}

int weir_guard_subscribe(struct weir_guard *guard, struct weir_topic *topic, const struct weir_sub_spec *spec,
			 struct weir_sub **ret, struct weir_error *err)
{
	struct weir_error cause = WEIR_ERROR_INIT;
	int code = enter(guard, ALL);

	if (code)
		return refuse(guard, code, err);
	*ret = NULL;
	code = guard->driver->table.subscribe(guard->inst, topic, spec, ret, &cause);
	leave(guard, ALL);
	if (!code && !*ret)
		code = WEIR_EINTERNAL;
	return finish(guard, "subscribe", code, &cause, err);
}

int weir_guard_credit(struct weir_guard *guard, struct weir_sub *sub, int64_t records, int64_t bytes)
{
	int code = enter(guard, SETTLE);

	if (code)
		return code;
	code = guard->driver->table.credit(guard->inst, sub, records, bytes);
	leave(guard, SETTLE);
	return known_code(guard, code);
}

int weir_guard_poll(struct weir_guard *guard, struct weir_driver_event *events, size_t max, size_t *count)
{
	int code = enter(guard, POLL);

	*count = 0;
	if (code)
		return code;
	code = guard->driver->table.poll(guard->inst, events, max, 0, count);
	leave(guard, POLL);
	if (*count > max) {
		atomic_fetch_add_explicit(&guard->broken, 1, memory_order_relaxed);
		*count = 0;
		return WEIR_EINTERNAL;
	}
	return known_code(guard, code);
}

int weir_guard_event_fd(struct weir_guard *guard)
{
	int fd;

	if (enter(guard, POLL))
		return -1;
	fd = guard->driver->table.event_fd(guard->inst);
	leave(guard, POLL);
	return fd;
}

int weir_guard_settle(struct weir_guard *guard, struct weir_sub *sub, int verb, const struct weir_token *tokens,
		      size_t count, int64_t arg, uint16_t *codes)
{
	int code = enter(guard, SETTLE);

	if (code)
		return code;
	code = guard->driver->table.settle(guard->inst, sub, verb, tokens, count, arg, codes);
	leave(guard, SETTLE);
	return known_code(guard, code);
}

void weir_guard_release(struct weir_guard *guard, void *lease)
{
	/* Not through the gate: leases may outlive the instance. */
	if (weir_forked(guard->fork_mark))
		return;
	if (guard->level <= WEIR_THREAD_INSTANCE)
		lock_groups(guard, ALL, WEIR_NS_NEVER);
	guard->driver->table.release(lease);
	if (guard->level <= WEIR_THREAD_INSTANCE)
		unlock_groups(guard, ALL);
}

int weir_guard_unsubscribe(struct weir_guard *guard, struct weir_sub *sub, int keep, int64_t deadline_ns,
			   struct weir_error *err)
{
	struct weir_error cause = WEIR_ERROR_INIT;
	int code = enter_until(guard, ALL, weir_clock_after_ms(deadline_ns, CALL_GRACE_MS));

	if (code)
		return refuse(guard, code, err);
	code = guard->driver->table.unsubscribe(guard->inst, sub, keep, deadline_ns, &cause);
	leave(guard, ALL);
	return finish(guard, "unsubscribe", code, &cause, err);
}

int weir_guard_pause(struct weir_guard *guard, struct weir_sub *sub, int on)
{
	int code = enter(guard, ALL);

	if (code)
		return code;
	code = guard->driver->table.pause(guard->inst, sub, on);
	leave(guard, ALL);
	return known_code(guard, code);
}

int weir_guard_health(struct weir_guard *guard, struct weir_health *ret)
{
	int code = enter(guard, FREE);

	if (code)
		return code;
	memset(ret, 0, sizeof *ret);
	ret->size = sizeof *ret;
	ret->error.size = sizeof ret->error;
	code = guard->driver->table.health(guard->inst, ret);
	leave(guard, FREE);
	ret->error.text[sizeof ret->error.text - 1] = '\0';
	return known_code(guard, code);
}

int weir_guard_stats(struct weir_guard *guard, struct weir_stats *ret)
{
	int code = enter(guard, FREE);

	if (code)
		return code;
	memset(ret, 0, sizeof *ret);
	ret->size = sizeof *ret;
	code = guard->driver->table.stats(guard->inst, ret);
	leave(guard, FREE);
	return known_code(guard, code);
}

int weir_guard_sub_stats(struct weir_guard *guard, struct weir_sub *sub, struct weir_sub_stats *ret)
{
	int code = enter(guard, FREE);

	if (code)
		return code;
	memset(ret, 0, sizeof *ret);
	ret->size = sizeof *ret;
	code = guard->driver->table.sub_stats(guard->inst, sub, ret);
	leave(guard, FREE);
	return known_code(guard, code);
}
