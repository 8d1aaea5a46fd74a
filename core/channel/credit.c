/* SPDX-License-Identifier: Apache-2.0 */
/* A subscription's account: credit given back, pausing, what has been revoked, and its figures. */
#include "channel/internal.h"

#include "base/mem.h"
#include "channel/fork.h"

void weir_subscription_restock(struct weir_subscription *sub, int64_t records, int64_t bytes)
{
	int64_t pay;

	pthread_mutex_lock(&sub->lock);
	/* First for what was delivered beyond credit and held back. */
	pay = sub->debt < (uint64_t)records ? (int64_t)sub->debt : records;
	sub->debt -= (uint64_t)pay;
	records -= pay;
	sub->credit += records;
	sub->credit_bytes += bytes;
	pthread_mutex_unlock(&sub->lock);
	if (pay) {
		atomic_store(&sub->backend->attention, true);
		weir_backend_wake(sub->backend);
	}
	if ((records || bytes) && weir_gate_enter(&sub->gate)) {
		weir_guard_credit(&sub->backend->guard, sub->sub, records, bytes);
		weir_gate_leave(&sub->gate);
	}
}

int weir_subscription_pause(weir_subscription *sub, int on)
{
	struct weir_backend *backend = sub->backend;
	int code = WEIR_OK;

	if (weir_forked(backend->guard.fork_mark))
		return WEIR_EFORKED;
	if (!weir_gate_enter(&sub->gate))
		return WEIR_ECLOSED;
	/* Whatever the driver does, nothing goes out: what it still delivers, within its credit, is held. */
	pthread_mutex_lock(&sub->lock);
	sub->paused = on != 0;
	pthread_mutex_unlock(&sub->lock);
	if (weir_backend_caps(backend)->bits & WEIR_CAP_BIT(WEIR_CAP_PAUSE))
		code = weir_guard_pause(&backend->guard, sub->sub, on != 0);
	weir_gate_leave(&sub->gate);
	if (!on) {
		atomic_store(&backend->attention, true);
		weir_backend_wake(backend);
	}
	return code;
}

/* ---- epochs -------------------------------------------------------------- */

static struct weir_revoked *find_revoked(struct weir_subscription *sub, uint32_t partition)
{
	size_t count = atomic_load_explicit(&sub->revoked_count, memory_order_relaxed);

	for (size_t i = 0; i < count; i++)
		if (sub->revoked[i].partition == partition)
			return &sub->revoked[i];
	return NULL;
}

static bool grow_revoked(struct weir_subscription *sub)
{
	size_t room = sub->revoked_room ? sub->revoked_room * 2 : 8;
	struct weir_revoked *bigger;

	if (atomic_load_explicit(&sub->revoked_count, memory_order_relaxed) < sub->revoked_room)
		return true;
	if (room > WEIR_REVOKED_MAX)
		return false;
	bigger = weir_mem_realloc(sub->revoked, room * sizeof *bigger);
	if (!bigger)
		return false;
	sub->revoked = bigger;
	sub->revoked_room = room;
	return true;
}

bool weir_subscription_revoke(struct weir_subscription *sub, uint32_t partition, uint64_t epoch)
{
	struct weir_revoked *row;
	bool done = true;

	pthread_mutex_lock(&sub->lock);
	row = find_revoked(sub, partition);
	if (row) {
		row->epoch = epoch > row->epoch ? epoch : row->epoch;
	} else if (grow_revoked(sub)) {
		size_t count = atomic_load_explicit(&sub->revoked_count, memory_order_relaxed);

		sub->revoked[count] = (struct weir_revoked){ partition, epoch };
		atomic_store_explicit(&sub->revoked_count, count + 1, memory_order_relaxed);
	} else {
		done = false;
	}
	pthread_mutex_unlock(&sub->lock);
	return done;
}

size_t weir_subscription_find_stale(struct weir_subscription *sub, weir_delivery *const *deliveries, size_t count,
				    bool *stale)
{
	size_t found = 0;

	memset(stale, 0, count * sizeof *stale);
	if (atomic_load_explicit(&sub->revoked_count, memory_order_relaxed) == 0)
		return 0;
	pthread_mutex_lock(&sub->lock);
	for (size_t i = 0; i < count; i++) {
		const struct weir_revoked *row = find_revoked(sub, deliveries[i]->partition);

		stale[i] = row && deliveries[i]->token.epoch <= row->epoch;
		found += stale[i];
	}
	pthread_mutex_unlock(&sub->lock);
	return found;
}

/* ---- figures ------------------------------------------------------------- */

int weir_subscription_ready(weir_subscription *sub, struct weir_error *err)
{
	struct weir_backend *backend = sub->backend;
	struct weir_error why = WEIR_ERROR_INIT;
	int code;

	if (weir_forked(backend->guard.fork_mark))
		return weir_fail(err, WEIR_EFORKED, "subscription %s: %s", sub->name, weir_code_text(WEIR_EFORKED));
	pthread_mutex_lock(&backend->lock);
	code = weir_backend_ready_locked(backend, &why);
	if (!code && sub->state.failed) {
		code = sub->state.error.code;
		why = sub->state.error;
	} else if (!code && !sub->state.ready) {
		code = weir_fail(&why, WEIR_EAGAIN, "subscription %s: its position is not made yet", sub->name);
	}
	pthread_mutex_unlock(&backend->lock);
	if (code && err)
		*err = why;
	return code;
}

int weir_subscription_stats(weir_subscription *sub, struct weir_sub_stats *ret)
{
	int code;

	if (!weir_gate_enter(&sub->gate))
		return WEIR_ECLOSED;
	code = weir_guard_sub_stats(&sub->backend->guard, sub->sub, ret);
	weir_gate_leave(&sub->gate);
	if (code != WEIR_ENOTSUP)
		return code;
	/* The driver keeps none: what is seen from here. */
	*ret = (struct weir_sub_stats){ sizeof *ret, 0, UINT64_MAX, 0, 0, -1, 0 };
	ret->unsettled = atomic_load_explicit(&sub->refs, memory_order_relaxed) - 1;
	ret->redelivered = atomic_load_explicit(&sub->redelivered, memory_order_relaxed);
	return WEIR_OK;
}
