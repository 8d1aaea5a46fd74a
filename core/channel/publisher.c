/* SPDX-License-Identifier: Apache-2.0 */
/* Publishers: where completions go. And publishing itself. */
#include "channel/internal.h"

#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "channel/fork.h"

enum { CHUNK = 256, BLOCKED_MS = 1000 };

int weir_publisher_new(weir_runtime *runtime, weir_completion_fn *done, void *ctx, weir_publisher **ret)
{
	weir_publisher *publisher = weir_mem_zalloc(1, sizeof *publisher);

	(void)runtime; /* its backends are met when something is published to them */
	if (!publisher)
		return WEIR_ENOMEM;
	atomic_init(&publisher->refs, 1);
	publisher->done = done;
	publisher->ctx = ctx;
	pthread_mutex_init(&publisher->turn, NULL);
	*ret = publisher;
	return WEIR_OK;
}

static void publisher_unref(weir_publisher *publisher)
{
	if (atomic_fetch_sub_explicit(&publisher->refs, 1, memory_order_acq_rel) != 1)
		return;
	pthread_mutex_destroy(&publisher->turn);
	weir_mem_free(publisher);
}

/* The lane goes to the next publisher that wants one; what is pending on it completes with nobody told. */
static void detach(struct weir_lane *lane)
{
	struct weir_backend *backend = lane->backend;

	pthread_mutex_lock(&backend->lanes_lock);
	lane->publisher = NULL;
	lane->next_spare = backend->spare_lanes;
	backend->spare_lanes = lane;
	pthread_mutex_unlock(&backend->lanes_lock);
	weir_backend_unref(backend);
}

void weir_publisher_free(weir_publisher *publisher)
{
	if (!publisher)
		return;
	while (publisher->lanes) {
		struct weir_lane *lane = publisher->lanes;

		publisher->lanes = lane->next;
		/* In a child the locks may be held by threads that are not there any more. */
		if (!weir_forked(lane->backend->guard.fork_mark))
			detach(lane);
	}
	if (atomic_load(&publisher->refs) > 1) {
		pthread_mutex_lock(&publisher->turn);
		publisher->closed = true;
		pthread_mutex_unlock(&publisher->turn);
	}
	publisher_unref(publisher);
}

/* The publisher that has the lane, with a reference; `owner` 0: whoever it is. */
static weir_publisher *publisher_of(struct weir_lane *lane, uint32_t owner)
{
	struct weir_backend *backend = lane->backend;
	weir_publisher *publisher;

	pthread_mutex_lock(&backend->lanes_lock);
	publisher = owner == 0 || lane->owner == owner ? lane->publisher : NULL;
	if (publisher)
		atomic_fetch_add_explicit(&publisher->refs, 1, memory_order_relaxed);
	pthread_mutex_unlock(&backend->lanes_lock);
	return publisher;
}

static void tell(weir_publisher *publisher, const struct weir_completion *done, size_t count)
{
	if (!publisher)
		return;
	pthread_mutex_lock(&publisher->turn);
	if (!publisher->closed)
		publisher->done(publisher->ctx, done, count);
	pthread_mutex_unlock(&publisher->turn);
	publisher_unref(publisher);
}

void weir_publisher_tell(struct weir_lane *lane, uint32_t owner, const struct weir_completion *done, size_t count)
{
	tell(publisher_of(lane, owner), done, count);
}

void weir_publisher_tell_room(struct weir_lane *lane)
{
	static const struct weir_completion none;

	tell(publisher_of(lane, 0), &none, 0);
}

/* ---- lanes --------------------------------------------------------------- */

static int attach_locked(weir_publisher *publisher, struct weir_backend *backend, struct weir_lane **ret)
{
	struct weir_lane *lane = backend->spare_lanes;
	uint32_t count = atomic_load_explicit(&backend->lane_count, memory_order_relaxed);

	if (lane) {
		backend->spare_lanes = lane->next_spare;
	} else {
		if (count == WEIR_LANES_MAX)
			return WEIR_ELIMIT;
		lane = weir_lane_new(backend, count);
		if (!lane)
			return WEIR_ENOMEM;
		atomic_store_explicit(&backend->lanes[count], lane, memory_order_release);
		atomic_store_explicit(&backend->lane_count, count + 1, memory_order_release);
	}
	lane->owner++;
	lane->publisher = publisher;
	*ret = lane;
	return WEIR_OK;
}

/* Those of backends that were closed since: all that they had under way has been told. */
static void drop_old_lanes(weir_publisher *publisher)
{
	struct weir_lane **at = &publisher->lanes;

	while (*at) {
		struct weir_lane *lane = *at;

		if (!atomic_load(&lane->backend->over) || weir_lane_pending(lane) != 0) {
			at = &lane->next;
			continue;
		}
		*at = lane->next;
		detach(lane);
	}
}

int weir_publisher_lane(weir_publisher *publisher, struct weir_backend *backend, struct weir_lane **ret)
{
	struct weir_lane *lane;
	int code;

	for (lane = publisher->lanes; lane; lane = lane->next)
		if (lane->backend == backend) {
			*ret = lane;
			return WEIR_OK;
		}
	drop_old_lanes(publisher);
	pthread_mutex_lock(&backend->lanes_lock);
	code = attach_locked(publisher, backend, ret);
	pthread_mutex_unlock(&backend->lanes_lock);
	if (code)
		return code;
	weir_backend_ref(backend);
	(*ret)->next = publisher->lanes;
	publisher->lanes = *ret;
	return WEIR_OK;
}

/* ---- publishing ---------------------------------------------------------- */

struct job {
	weir_channel *channel;
	const struct weir_place *place;
	struct weir_lane *lane;
	const struct weir_caps *caps;
	int64_t now_ns;
	int64_t deadline_ns;
	bool atomic;
};

/* A few milliseconds behind at most, and several times cheaper. */
static int64_t coarse_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * WEIR_NS_PER_S + now.tv_nsec;
}

static int prepare(const struct job *job, const struct weir_publish_item *item, struct weir_publish *row,
		   struct weir_error *err)
{
	int code;

	code = weir_event_to_record(item->event, job->caps, &row->record, err);
	if (code)
		return code;
	code = weir_lane_take(job->lane, item->tag, job->deadline_ns, &row->tag);
	if (code)
		return weir_fail(err, code, "channel %s/%s: %s", job->channel->ns, job->channel->name,
				 code == WEIR_EAGAIN ? "too many publishes are under way" : weir_code_text(code));
	row->size = sizeof *row;
	row->flags = 0;
	row->topic = job->place->topic;
	row->deadline_ns = job->deadline_ns;
	return WEIR_OK;
}

static void cancel(const struct job *job, size_t from, size_t to)
{
	while (to > from)
		weir_lane_cancel(job->lane, job->lane->batch[--to].tag);
}

/* A publisher that was refused for lack of room is told when there is some. */
static int hand_over(const struct job *job, size_t ready, size_t *accepted, struct weir_error *err)
{
	struct weir_lane *lane = job->lane;
	int code;

	/* Before the call: WEIR_EV_WRITABLE may be there before it has returned. */
	if (!atomic_load_explicit(&lane->wants_room, memory_order_relaxed))
		atomic_store(&lane->wants_room, true);
	code = weir_guard_publish(&lane->backend->guard, lane->batch, ready, accepted, err);
	if (code != WEIR_EAGAIN)
		atomic_store_explicit(&lane->wants_room, false, memory_order_relaxed);
	return code;
}

/* Encodes and hands over up to `count` items, all in one call into the driver. */
static int publish_chunk(const struct job *job, const struct weir_publish_item *items, size_t count, size_t *accepted,
			 struct weir_error *err)
{
	struct weir_publish *batch = job->lane->batch;
	int bad = WEIR_OK, code = WEIR_OK;
	size_t ready;

	*accepted = 0;
	for (ready = 0; ready < count && !bad; ready++)
		bad = prepare(job, &items[ready], &batch[ready], err);
	ready -= bad ? 1 : 0;
	if (job->atomic) {
		if (bad) {
			cancel(job, 0, ready);
			return bad;
		}
		for (size_t i = 0; i + 1 < ready; i++)
			batch[i].flags |= WEIR_PUB_ATOMIC;
	}
	if (ready)
		code = hand_over(job, ready, accepted, bad ? NULL : err);
	if (*accepted == ready)
		return bad;
	cancel(job, *accepted, ready);
	/* The error of the encoder was about a later item. */
	if (bad)
		weir_fail(err, code, "channel %s/%s: %s", job->channel->ns, job->channel->name, weir_code_text(code));
	return code;
}

static int start_job(weir_channel *channel, const struct weir_place *place, weir_publisher *publisher, size_t count,
		     int atomic, struct job *job, struct weir_error *err)
{
	struct weir_backend *backend = place->backend;
	int code;

	job->lane = NULL;
	if (atomic_load_explicit(&backend->draining, memory_order_relaxed))
		return weir_fail(err, WEIR_ECLOSED, "channel %s/%s: closing", channel->ns, channel->name);
	job->channel = channel;
	job->place = place;
	job->caps = weir_backend_caps(backend);
	job->atomic = atomic && count > 1 && (job->caps->bits & WEIR_CAP_BIT(WEIR_CAP_ATOMIC_BATCH));
	job->now_ns = weir_clock_now_ns();
	job->deadline_ns = weir_clock_after_ms(job->now_ns, backend->publish_timeout_ms);
	code = weir_publisher_lane(publisher, backend, &job->lane);
	if (!code && !weir_lane_scratch(job->lane, job->atomic || count < CHUNK ? count : CHUNK))
		code = WEIR_ENOMEM;
	if (code)
		weir_fail(err, code, "channel %s/%s: %s", channel->ns, channel->name, weir_code_text(code));
	return code;
}

static int publish_to(weir_channel *channel, const struct weir_place *place, weir_publisher *publisher,
		      const struct weir_publish_item *items, size_t count, int atomic, size_t *accepted,
		      struct weir_error *err)
{
	struct job job;
	int code = start_job(channel, place, publisher, count, atomic, &job, err);

	while (!code && *accepted < count) {
		size_t left = count - *accepted, taken;

		code = publish_chunk(&job, items + *accepted, job.atomic || left < CHUNK ? left : CHUNK, &taken, err);
		*accepted += taken;
	}
	if (job.lane && coarse_now_ns() - job.now_ns > BLOCKED_MS * WEIR_NS_PER_MS)
		weir_backend_breach(job.lane->backend, WEIR_BREACH_BLOCKED);
	return code;
}

int weir_channel_publish(weir_channel *channel, weir_publisher *publisher, const struct weir_publish_item *items,
			 size_t count, int atomic, size_t *accepted, struct weir_error *err)
{
	const struct weir_place *place;
	struct weir_gate *gate;
	int code;

	*accepted = 0;
	if (weir_forked(channel->runtime->fork_mark))
		return weir_fail(err, WEIR_EFORKED, "channel %s/%s: %s", channel->ns, channel->name,
				 weir_code_text(WEIR_EFORKED));
	place = weir_channel_enter(channel, &gate);
	if (!place)
		return weir_fail(err, WEIR_EUNAVAIL, "channel %s/%s: its backend is being opened", channel->ns,
				 channel->name);
	code = publish_to(channel, place, publisher, items, count, atomic, accepted, err);
	weir_gate_leave(gate);
	return code;
}
