/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/drain: how a dispatcher ends. */
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "dispatch/dispatcher_state.h"

typedef void egress_fn(struct weir_dispatcher *dispatcher, struct weir_egress *egress);

static void each_egress(struct weir_dispatcher *dispatcher, egress_fn *call)
{
	for (size_t i = 0; i < dispatcher->topology->row_count; i++) {
		const struct weir_dispatch_row *row = &dispatcher->topology->rows[i];

		for (size_t j = 0; j < row->egress_count; j++)
			call(dispatcher, row->egresses[j]);
	}
}

/* ---- letting go ----------------------------------------------------------- */

void weir_dispatcher_busy(struct weir_dispatcher *dispatcher)
{
	pthread_mutex_lock(&dispatcher->lock);
	dispatcher->busy++;
	pthread_mutex_unlock(&dispatcher->lock);
}

void weir_dispatcher_idle(void *ctx)
{
	struct weir_dispatcher *dispatcher = ctx;

	pthread_mutex_lock(&dispatcher->lock);
	if (--dispatcher->busy == 0)
		pthread_cond_signal(&dispatcher->idle);
	pthread_mutex_unlock(&dispatcher->lock);
}

static void drain_egress(struct weir_dispatcher *dispatcher, struct weir_egress *egress)
{
	weir_dispatcher_busy(dispatcher);
	weir_egress_drain(egress, weir_dispatcher_idle, dispatcher);
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

	/* Nothing is changed any more; what was retired before finishes with the rest. */
	weir_worker_stop(&dispatcher->keeper);
	for (size_t i = 0; i < dispatcher->ingress_count; i++) {
		weir_dispatcher_busy(dispatcher);
		weir_ingress_drain(dispatcher->ingresses[i], weir_dispatcher_idle, dispatcher);
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

struct closing {
	int64_t deadline_ns;
	size_t given_up;
	int code;
	struct weir_error error;
};

static void close_row(const struct weir_dispatch_row *row, struct closing *closing)
{
	for (size_t i = 0; i < row->egress_count; i++) {
		struct weir_error error = WEIR_ERROR_INIT;
		size_t given_up = 0;
		int code = weir_egress_close(row->egresses[i], closing->deadline_ns, &given_up, &error);

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
	if (dispatcher->closed)
		return WEIR_OK;
	weir_worker_stop(&dispatcher->keeper);
	weir_topology_close(dispatcher);
	for (size_t i = 0; i < dispatcher->ingress_count; i++)
		weir_ingress_stop(dispatcher->ingresses[i]);
	for (size_t i = 0; i < dispatcher->delivery_count; i++)
		weir_worker_stop(&dispatcher->delivery_loops[i]->worker);
	weir_quarantine_free(dispatcher->quarantine);
	dispatcher->quarantine = NULL;
	for (size_t i = 0; dispatcher->topology && i < dispatcher->topology->row_count; i++)
		close_row(&dispatcher->topology->rows[i], &closing);
	*given_up = closing.given_up + weir_retired_close(dispatcher, deadline_ns);
	if (closing.code && err)
		*err = closing.error;
	return closing.code;
}
