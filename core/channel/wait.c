/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing one event and waiting for it. */
#include "channel/internal.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "channel/fork.h"
#include "channel/runtime.h"

enum { IDLE_MAX = 16 };

/* A publisher whose completions one thread waits for. Used again, so that none is made for each publish. */
struct weir_waiter {
	struct weir_waiter *next; /* under the runtime's lock */
	weir_publisher *publisher;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t done;
	uint64_t tag; /* of the publish that is waited for; others came too late */
	bool completed;
	uint32_t outcome;
	struct weir_error error;
};

static void on_done(void *ctx, const struct weir_completion *completions, size_t count)
{
	struct weir_waiter *waiter = ctx;

	pthread_mutex_lock(&waiter->lock);
	for (size_t i = 0; i < count; i++) {
		const struct weir_completion *completion = &completions[i];

		if (completion->tag != waiter->tag)
			continue;
		waiter->completed = true;
		waiter->outcome = completion->outcome;
		weir_guard_error(&waiter->error, completion->error,
				 completion->error && completion->error->code ? completion->error->code : WEIR_EUNKNOWN,
				 "the backend gave no reason");
	}
	pthread_cond_signal(&waiter->done);
	pthread_mutex_unlock(&waiter->lock);
}

static void waiter_free(struct weir_waiter *waiter)
{
	weir_publisher_free(waiter->publisher);
	pthread_cond_destroy(&waiter->done);
	pthread_mutex_destroy(&waiter->lock);
	weir_mem_free(waiter);
}

static struct weir_waiter *waiter_new(weir_runtime *runtime)
{
	struct weir_waiter *waiter = weir_mem_zalloc(1, sizeof *waiter);
	pthread_condattr_t attributes;

	if (!waiter)
		return NULL;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&waiter->done, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&waiter->lock, NULL);
	if (weir_publisher_new(runtime, on_done, waiter, &waiter->publisher) == WEIR_OK)
		return waiter;
	waiter_free(waiter);
	return NULL;
}

static struct weir_waiter *take_waiter(weir_runtime *runtime)
{
	struct weir_waiter *waiter;

	pthread_mutex_lock(runtime->lock);
	waiter = runtime->waiters;
	if (waiter) {
		runtime->waiters = waiter->next;
		runtime->waiter_count--;
	}
	pthread_mutex_unlock(runtime->lock);
	return waiter ? waiter : waiter_new(runtime);
}

static void put_waiter(weir_runtime *runtime, struct weir_waiter *waiter)
{
	bool keep;

	pthread_mutex_lock(runtime->lock);
	keep = runtime->waiter_count < IDLE_MAX;
	if (keep) {
		waiter->next = runtime->waiters;
		runtime->waiters = waiter;
		runtime->waiter_count++;
	}
	pthread_mutex_unlock(runtime->lock);
	if (!keep)
		waiter_free(waiter);
}

void weir_waiters_free(weir_runtime *runtime)
{
	while (runtime->waiters) {
		struct weir_waiter *waiter = runtime->waiters;

		runtime->waiters = waiter->next;
		waiter_free(waiter);
	}
}

static int outcome_code(const struct weir_waiter *waiter, struct weir_error *err)
{
	if (waiter->outcome == WEIR_PERSISTED)
		return WEIR_OK;
	if (err) {
		*err = waiter->error;
		err->retry = waiter->outcome == WEIR_UNKNOWN ? WEIR_RETRY_MAY_DUP : err->retry;
	}
	return waiter->error.code;
}

static int await(weir_channel *channel, struct weir_waiter *waiter, int64_t deadline_ns, struct weir_error *err)
{
	struct timespec until = { deadline_ns / WEIR_NS_PER_S, deadline_ns % WEIR_NS_PER_S };
	int code;

	pthread_mutex_lock(&waiter->lock);
	while (!waiter->completed && pthread_cond_timedwait(&waiter->done, &waiter->lock, &until) != ETIMEDOUT)
		;
	if (waiter->completed)
		code = outcome_code(waiter, err);
	else
		code = weir_fail(err, WEIR_ETIMEDOUT,
				 "channel %s/%s: the backend has not said in time what became of the event",
				 channel->ns, channel->name);
	pthread_mutex_unlock(&waiter->lock);
	return code;
}

int weir_channel_publish_wait(weir_channel *channel, weir_event *event, int64_t deadline_ns, struct weir_error *err)
{
	weir_runtime *runtime = channel->runtime;
	struct weir_publish_item item = { event, 0 };
	struct weir_waiter *waiter;
	size_t accepted;
	int code;

	if (weir_forked(runtime->fork_mark))
		return weir_fail(err, WEIR_EFORKED, "channel %s/%s: %s", channel->ns, channel->name,
				 weir_code_text(WEIR_EFORKED));
	if (weir_runtime_on_pump(runtime))
		return weir_fail(err, WEIR_EINVAL, "channel %s/%s: a callback cannot wait", channel->ns, channel->name);
	waiter = take_waiter(runtime);
	if (!waiter)
		return weir_fail(err, WEIR_ENOMEM, "channel %s/%s: %s", channel->ns, channel->name,
				 weir_code_text(WEIR_ENOMEM));
	pthread_mutex_lock(&waiter->lock);
	item.tag = ++waiter->tag;
	waiter->completed = false;
	pthread_mutex_unlock(&waiter->lock);
	code = weir_channel_publish(channel, waiter->publisher, &item, 1, 0, &accepted, err);
	if (!code)
		code = await(channel, waiter, deadline_ns, err);
	put_waiter(runtime, waiter);
	return code;
}
