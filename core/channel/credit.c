/* SPDX-License-Identifier: Apache-2.0 */
/* A feed's account: credit given back, pausing, what has been revoked, and its figures. */
#include "channel/internal.h"

#include "base/clock.h"
#include "base/mem.h"

/* How long nothing may come from a driver that does not know its lag until it is taken as drained. */
enum { QUIET_MS = 5000 };

void weir_feed_restock(struct weir_feed *feed, int64_t records, int64_t bytes)
{
	int64_t pay;

	pthread_mutex_lock(&feed->lock);
	/* First for what was delivered beyond credit and held back. */
	pay = feed->debt < (uint64_t)records ? (int64_t)feed->debt : records;
	feed->debt -= (uint64_t)pay;
	records -= pay;
	feed->credit += records;
	feed->credit_bytes += bytes;
	pthread_mutex_unlock(&feed->lock);
	if (pay) {
		atomic_store(&feed->backend->attention, true);
		weir_backend_wake(feed->backend);
	}
	if ((records || bytes) && weir_gate_enter(&feed->gate)) {
		weir_guard_credit(&feed->backend->guard, feed->sub, records, bytes);
		weir_gate_leave(&feed->gate);
	}
}

int weir_feed_pause(struct weir_feed *feed, bool on)
{
	struct weir_backend *backend = feed->backend;
	int code = WEIR_OK;

	if (!weir_gate_enter(&feed->gate))
		return WEIR_ECLOSED;
	/* Whatever the driver does, nothing goes out: what it still delivers, within its credit, is held. */
	pthread_mutex_lock(&feed->lock);
	feed->paused = on;
	pthread_mutex_unlock(&feed->lock);
	if (weir_backend_caps(backend)->bits & WEIR_CAP_BIT(WEIR_CAP_PAUSE))
		code = weir_guard_pause(&backend->guard, feed->sub, on);
	weir_gate_leave(&feed->gate);
	if (!on) {
		atomic_store(&backend->attention, true);
		weir_backend_wake(backend);
	}
	return code;
}

/*
 * Credit for deliveries that came back. Those of a feed that was replaced are
 * credit for its heir: the receiver has room for `window` in all.
 */
void weir_feed_give_back(struct weir_feed *feed, int64_t records, int64_t bytes)
{
	struct weir_feed *heir = feed;

	while (heir) {
		feed = heir;
		pthread_mutex_lock(&feed->lock);
		heir = feed->heir;
		feed->out -= records;
		feed->out_bytes -= bytes;
		if (heir) {
			pthread_mutex_lock(&heir->lock);
			heir->out += records;
			heir->out_bytes += bytes;
			pthread_mutex_unlock(&heir->lock);
		}
		pthread_mutex_unlock(&feed->lock);
	}
	weir_feed_restock(feed, records, bytes);
}

/* ---- epochs -------------------------------------------------------------- */

static struct weir_revoked *find_revoked(struct weir_feed *feed, uint32_t partition)
{
	size_t count = atomic_load_explicit(&feed->revoked_count, memory_order_relaxed);

	for (size_t i = 0; i < count; i++)
		if (feed->revoked[i].partition == partition)
			return &feed->revoked[i];
	return NULL;
}

static bool grow_revoked(struct weir_feed *feed)
{
	size_t room = feed->revoked_room ? feed->revoked_room * 2 : 8;
	struct weir_revoked *bigger;

	if (atomic_load_explicit(&feed->revoked_count, memory_order_relaxed) < feed->revoked_room)
		return true;
	if (room > WEIR_REVOKED_MAX)
		return false;
	bigger = weir_mem_realloc(feed->revoked, room * sizeof *bigger);
	if (!bigger)
		return false;
	feed->revoked = bigger;
	feed->revoked_room = room;
	return true;
}

bool weir_feed_revoke(struct weir_feed *feed, uint32_t partition, uint64_t epoch)
{
	struct weir_revoked *row;
	bool done = true;

	pthread_mutex_lock(&feed->lock);
	row = find_revoked(feed, partition);
	if (row) {
		row->epoch = epoch > row->epoch ? epoch : row->epoch;
	} else if (grow_revoked(feed)) {
		size_t count = atomic_load_explicit(&feed->revoked_count, memory_order_relaxed);

		feed->revoked[count] = (struct weir_revoked){ partition, epoch };
		atomic_store_explicit(&feed->revoked_count, count + 1, memory_order_relaxed);
	} else {
		done = false;
	}
	pthread_mutex_unlock(&feed->lock);
	return done;
}

size_t weir_feed_find_stale(struct weir_feed *feed, weir_delivery *const *deliveries, size_t count, bool *stale)
{
	size_t found = 0;

	memset(stale, 0, count * sizeof *stale);
	if (atomic_load_explicit(&feed->revoked_count, memory_order_relaxed) == 0)
		return 0;
	pthread_mutex_lock(&feed->lock);
	for (size_t i = 0; i < count; i++) {
		const struct weir_revoked *row = find_revoked(feed, deliveries[i]->partition);

		stale[i] = row && deliveries[i]->token.epoch <= row->epoch;
		found += stale[i];
	}
	pthread_mutex_unlock(&feed->lock);
	return found;
}

/* ---- figures ------------------------------------------------------------- */

int weir_feed_ready(struct weir_feed *feed, struct weir_error *err)
{
	struct weir_backend *backend = feed->backend;
	struct weir_error why = WEIR_ERROR_INIT;
	int code;

	pthread_mutex_lock(&backend->lock);
	code = weir_backend_ready_locked(backend, &why);
	if (!code && feed->state.failed) {
		code = feed->state.error.code;
		why = feed->state.error;
	} else if (!code && !feed->state.ready) {
		code = weir_fail(&why, WEIR_EAGAIN, "subscription %s: its position is not made yet", feed->name);
	}
	pthread_mutex_unlock(&backend->lock);
	if (code && err)
		*err = why;
	return code;
}

static int64_t count_out(struct weir_feed *feed)
{
	int64_t out;

	pthread_mutex_lock(&feed->lock);
	out = feed->out;
	pthread_mutex_unlock(&feed->lock);
	return out;
}

int weir_feed_stats(struct weir_feed *feed, struct weir_sub_stats *ret)
{
	int code;

	if (!weir_gate_enter(&feed->gate))
		return WEIR_ECLOSED;
	code = weir_guard_sub_stats(&feed->backend->guard, feed->sub, ret);
	weir_gate_leave(&feed->gate);
	if (code != WEIR_ENOTSUP)
		return code;
	/* The driver keeps none: what is seen from here. */
	*ret = (struct weir_sub_stats){ sizeof *ret, 0, UINT64_MAX, 0, 0, -1, 0 };
	ret->unsettled = (uint64_t)count_out(feed);
	ret->redelivered = atomic_load_explicit(&feed->redelivered, memory_order_relaxed);
	return WEIR_OK;
}

bool weir_feed_drained(struct weir_feed *feed, int64_t since_ns, uint64_t *left)
{
	struct weir_sub_stats stats = { .size = sizeof stats };
	int64_t now = weir_clock_now_ns(), heard;

	*left = UINT64_MAX;
	if (weir_feed_ready(feed, NULL) || weir_feed_stats(feed, &stats))
		return false;
	*left = stats.lag;
	if (count_out(feed) != 0)
		return false;
	if (stats.lag != UINT64_MAX)
		return stats.lag == 0 && (stats.lag_ns == 0 || stats.lag_ns >= since_ns);
	heard = atomic_load(&feed->heard_ns);
	heard = heard > since_ns ? heard : since_ns;
	return stats.unsettled == 0 && now >= weir_clock_after_ms(heard, QUIET_MS) && !feed->paused;
}
