/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/worker.h"

#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "base/log.h"
#include "dispatch/thread.h"

static void *worker_main(void *arg)
{
	struct weir_worker *worker = arg;
	struct weir_error err;

	if (weir_loop_run(worker->loop, &err)) {
		/* Nothing can be answered or delivered any more: better a restart than a process that only looks alive.
		 */
		weir_log(WEIR_LOG_ERROR, "a loop failed, giving up: %s", err.text);
		abort();
	}
	return NULL;
}

int weir_worker_init(struct weir_worker *worker, struct weir_error *err)
{
	*worker = (struct weir_worker){ 0 };
	return weir_loop_new(&worker->loop, err);
}

void weir_worker_fini(struct weir_worker *worker)
{
	weir_worker_stop(worker);
	weir_loop_free(worker->loop);
	worker->loop = NULL;
}

int weir_worker_start(struct weir_worker *worker, const char *name, struct weir_error *err)
{
	int failure = weir_thread_start(&worker->thread, name, worker_main, worker);

	if (failure)
		return weir_fail(err, WEIR_ELIMIT, "cannot start a thread: %s", strerrordesc_np(failure));
	worker->running = true;
	return WEIR_OK;
}

void weir_worker_stop(struct weir_worker *worker)
{
	if (!worker->running)
		return;
	weir_loop_stop(worker->loop);
	pthread_join(worker->thread, NULL);
	worker->running = false;
}

/* ---- calls ---------------------------------------------------------------- */

struct call {
	struct weir_task task;
	void (*run)(void *ctx);
	void *ctx;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done;
};

static void on_call(struct weir_task *task)
{
	struct call *call = WEIR_CONTAINER(task, struct call, task);

	call->run(call->ctx);
	/* The caller is gone with all of this as soon as it has the lock. */
	pthread_mutex_lock(&call->lock);
	call->done = true;
	pthread_cond_signal(&call->changed);
	pthread_mutex_unlock(&call->lock);
}

void weir_worker_call(struct weir_worker *worker, void (*run)(void *ctx), void *ctx)
{
	struct call call = { .task = { .run = on_call }, .run = run, .ctx = ctx };

	if (!worker->running) {
		run(ctx);
		return;
	}
	pthread_mutex_init(&call.lock, NULL);
	pthread_cond_init(&call.changed, NULL);
	weir_loop_post(worker->loop, &call.task);
	pthread_mutex_lock(&call.lock);
	while (!call.done)
		pthread_cond_wait(&call.changed, &call.lock);
	pthread_mutex_unlock(&call.lock);
	pthread_cond_destroy(&call.changed);
	pthread_mutex_destroy(&call.lock);
}
