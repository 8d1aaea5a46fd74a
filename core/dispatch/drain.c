/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/drain: how a dispatcher ends. */
#include <sched.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "dispatch/dispatcher_state.h"

typedef void egress_fn(struct weir_dispatcher *dispatcher, struct weir_egress *egress);

static void each_egress(struct weir_dispatcher *dispatcher, egress_fn *call)
{
	for (size_t i = 0; dispatcher->channels && i < dispatcher->channel_count; i++) {
		const struct weir_dispatch_channel *channel = &dispatcher->channels[i];

		for (size_t j = 0; channel->egresses && j < channel->settings->subscription_count; j++) {
			if (channel->egresses[j])
				call(dispatcher, channel->egresses[j]);
		}
	}
}

/* ---- letting go ----------------------------------------------------------- */

static void add_busy(struct weir_dispatcher *dispatcher)
{
	pthread_mutex_lock(&dispatcher->lock);
	dispatcher->busy++;
	pthread_mutex_unlock(&dispatcher->lock);
}

/* On the loop of whoever became idle. */
static void on_idle(void *ctx)
{
	struct weir_dispatcher *dispatcher = ctx;

	pthread_mutex_lock(&dispatcher->lock);
	if (--dispatcher->busy == 0)
		pthread_cond_signal(&dispatcher->idle);
	pthread_mutex_unlock(&dispatcher->lock);
}

static void drain_egress(struct weir_dispatcher *dispatcher, struct weir_egress *egress)
{
	add_busy(dispatcher);
	weir_egress_drain(egress, on_idle, dispatcher);
}

static void wait_idle(struct weir_dispatcher *dispatcher, int64_t deadline_ns)
{
	const struct timespec deadline = { .tv_sec = deadline_ns / WEIR_NS_PER_S,
					   .tv_nsec = deadline_ns % WEIR_NS_PER_S };

	pthread_mutex_lock(&dispatcher->lock);
	while (dispatcher->busy && pthread_cond_timedwait(&dispatcher->idle, &dispatcher->lock, &deadline) == 0)
		;
	pthread_mutex_unlock(&dispatcher->lock);
}

int weir_dispatcher_drain(struct weir_dispatcher *dispatcher, int64_t deadline_ns, struct weir_error *err)
{
	size_t given_up = 0;
	int code;

	for (size_t i = 0; i < dispatcher->ingress_count; i++) {
		add_busy(dispatcher);
		weir_ingress_drain(dispatcher->ingresses[i], on_idle, dispatcher);
	}
	each_egress(dispatcher, drain_egress);
	wait_idle(dispatcher, deadline_ns);
	code = weir_dispatcher_close(dispatcher, deadline_ns, &given_up, err);
	if (given_up)
		return weir_fail(err, WEIR_ETIMEDOUT,
				 "deliveries not finished in time, to be made again after the next start: %zu",
				 given_up);
	return code;
}

/* ---- closing -------------------------------------------------------------- */

/* From here on nobody looks at what is about to be closed. */
static void turn_visitors_away(struct weir_dispatcher *dispatcher)
{
	atomic_store(&dispatcher->closed, true);
	while (atomic_load(&dispatcher->visitors))
		sched_yield();
}

struct closing {
	int64_t deadline_ns;
	size_t given_up;
	int code;
	struct weir_error error;
};

static void close_channel(const struct weir_dispatch_channel *channel, struct closing *closing)
{
	for (size_t i = 0; channel->egresses && i < channel->settings->subscription_count; i++) {
		struct weir_error error = WEIR_ERROR_INIT;
		size_t given_up = 0;
		int code = WEIR_OK;

		if (channel->egresses[i])
			code = weir_egress_close(channel->egresses[i], closing->deadline_ns, &given_up, &error);
		closing->given_up += given_up;
		if (code && !closing->code) {
			closing->code = code;
			closing->error = error;
		}
	}
}

int weir_dispatcher_close(struct weir_dispatcher *dispatcher, int64_t deadline_ns, size_t *given_up,
			  struct weir_error *err)
{
	struct closing closing = { .deadline_ns = deadline_ns };

	*given_up = 0;
	if (atomic_load(&dispatcher->closed))
		return WEIR_OK;
	turn_visitors_away(dispatcher);
	for (size_t i = 0; i < dispatcher->ingress_count; i++)
		weir_ingress_stop(dispatcher->ingresses[i]);
	for (size_t i = 0; i < dispatcher->delivery_count; i++)
		weir_worker_stop(&dispatcher->delivery_loops[i]->worker);
	weir_quarantine_free(dispatcher->quarantine);
	dispatcher->quarantine = NULL;
	for (size_t i = 0; dispatcher->channels && i < dispatcher->channel_count; i++)
		close_channel(&dispatcher->channels[i], &closing);
	*given_up = closing.given_up;
	if (closing.code && err)
		*err = closing.error;
	return closing.code;
}
