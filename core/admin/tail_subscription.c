/* SPDX-License-Identifier: Apache-2.0 */
/* admin/tail_subscription: what the pump and the worker do for a tail. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "admin/tail_state.h"
#include "base/clock.h"
#include "base/log.h"

enum {
	WINDOW_BYTES = 1024 * 1024,
	READY_MS = 5000, /* to wait for a new subscription */
	STEP_MS = 20,    /* of that wait */
	CLOSE_MS = 5000,
	UID_BYTES = 16,
};

static bool is_draining(struct weir_admin_tails *tails)
{
	bool draining;

	pthread_mutex_lock(&tails->lock);
	draining = tails->draining;
	pthread_mutex_unlock(&tails->lock);
	return draining;
}

/* ---- the pump -------------------------------------------------------------------- */

static void on_deliver(void *ctx, weir_delivery *const *deliveries, size_t count)
{
	struct weir_admin_tail *tail = ctx;
	size_t taken;
	bool post;

	pthread_mutex_lock(&tail->lock);
	taken =
	    WEIR_ADMIN_TAIL_WINDOW - tail->arrived_count < count ? WEIR_ADMIN_TAIL_WINDOW - tail->arrived_count : count;
	for (size_t i = 0; i < taken; i++)
		tail->arrived[tail->arrived_count + i] = deliveries[i];
	tail->arrived_count += taken;
	post = taken > 0 && !tail->posted;
	tail->posted |= post;
	pthread_mutex_unlock(&tail->lock);
	if (post)
		weir_loop_post(tail->tails->loop, &tail->arrival);
	/* Cannot be: the window is the most that may be out. What cannot be kept stays unsettled. */
	for (size_t i = taken; i < count; i++)
		weir_delivery_free(deliveries[i]);
}

static void on_notice(void *ctx, const struct weir_notice *notice)
{
	struct weir_admin_tail *tail = ctx;

	(void)notice;
	pthread_mutex_lock(&tail->lock);
	pthread_cond_signal(&tail->noticed);
	pthread_mutex_unlock(&tail->lock);
}

/* ---- the worker --------------------------------------------------------------------- */

static int random_uid(char *text, size_t size)
{
	unsigned char bytes[UID_BYTES];
	int used = snprintf(text, size, "weir-tail-");

	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return WEIR_EIO;
	for (size_t i = 0; i < sizeof bytes; i++)
		used += snprintf(text + used, size - (size_t)used, "%02x", bytes[i]);
	return WEIR_OK;
}

/* An event published once this returned WEIR_OK will be seen. */
static int wait_ready(struct weir_admin_tail *tail, struct weir_error *err)
{
	int64_t deadline = weir_clock_after_ms(weir_clock_now_ns(), READY_MS);
	int code;

	while ((code = weir_subscription_ready(tail->subscription, err)) != WEIR_OK) {
		/* In short steps: a notice may come between the question and the wait. */
		int64_t step = weir_clock_after_ms(weir_clock_now_ns(), STEP_MS);
		struct timespec until = { step / WEIR_NS_PER_S, step % WEIR_NS_PER_S };

		if (weir_clock_now_ns() >= deadline || is_draining(tail->tails))
			return code;
		pthread_mutex_lock(&tail->lock);
		pthread_cond_timedwait(&tail->noticed, &tail->lock, &until);
		pthread_mutex_unlock(&tail->lock);
	}
	return WEIR_OK;
}

static void close_subscription(struct weir_admin_tail *tail)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (tail->subscription &&
	    weir_subscription_close(tail->subscription, 0, weir_clock_after_ms(weir_clock_now_ns(), CLOSE_MS), &err) !=
		WEIR_OK)
		weir_log(WEIR_LOG_WARNING, "tail of %s/%s: its subscription may be left behind: %s", tail->query.ns,
			 tail->query.name, err.text);
	tail->subscription = NULL;
	weir_channel_close(tail->channel);
	tail->channel = NULL;
}

static int open_subscription(struct weir_admin_tail *tail, struct weir_error *err)
{
	char uid[64];
	struct weir_subscription_spec spec = {
		.name = "tail",
		.uid = uid,
		.start = tail->query.earliest ? WEIR_START_EARLIEST : WEIR_START_LATEST,
		.window = WEIR_ADMIN_TAIL_WINDOW,
		.window_bytes = WINDOW_BYTES,
		.flags = WEIR_SUB_EPHEMERAL,
		.deliver = on_deliver,
		.notice = on_notice,
		.ctx = tail,
	};
	int code;

	if (random_uid(uid, sizeof uid) != WEIR_OK)
		return weir_fail(err, WEIR_EIO, "no random bytes for the subscription's name");
	code = weir_dispatcher_open_channel(tail->tails->dispatcher, tail->query.ns, tail->query.name, &tail->channel,
					    err);
	if (code == WEIR_OK)
		code = weir_channel_subscribe(tail->channel, &spec, &tail->subscription, err);
	if (code == WEIR_OK)
		code = wait_ready(tail, err);
	if (code != WEIR_OK)
		close_subscription(tail);
	return code;
}

static void work(struct weir_admin_tail *tail)
{
	if (tail->stage == WEIR_ADMIN_TAIL_OPENING)
		tail->code = open_subscription(tail, &tail->error);
	else
		close_subscription(tail);
	weir_loop_post(tail->tails->loop, &tail->done);
}

void *weir_admin_tail_worker(void *ctx)
{
	struct weir_admin_tails *tails = ctx;
	struct weir_admin_tail *tail;

	pthread_mutex_lock(&tails->lock);
	for (;;) {
		while (!tails->jobs && !tails->stop)
			pthread_cond_wait(&tails->changed, &tails->lock);
		tail = tails->jobs;
		if (!tail)
			break;
		tails->jobs = tail->next_job;
		if (!tails->jobs)
			tails->jobs_end = &tails->jobs;
		pthread_mutex_unlock(&tails->lock);
		work(tail);
		pthread_mutex_lock(&tails->lock);
	}
	pthread_mutex_unlock(&tails->lock);
	return NULL;
}

void weir_admin_tail_give(struct weir_admin_tail *tail)
{
	struct weir_admin_tails *tails = tail->tails;

	tail->next_job = NULL;
	pthread_mutex_lock(&tails->lock);
	*tails->jobs_end = tail;
	tails->jobs_end = &tail->next_job;
	pthread_cond_broadcast(&tails->changed);
	pthread_mutex_unlock(&tails->lock);
}
