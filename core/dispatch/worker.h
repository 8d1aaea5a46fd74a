/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/worker: a thread that runs a loop. Set the loop up first, then start. */
#ifndef WEIR_DISPATCH_WORKER_H
#define WEIR_DISPATCH_WORKER_H

#include <pthread.h>
#include <stdbool.h>

#include <weir/error.h>

#include "base/loop.h"

struct weir_worker {
	struct weir_loop *loop;
	pthread_t thread;
	bool running;
};

int weir_worker_init(struct weir_worker *worker, struct weir_error *err);
/* Stops it first if it runs. */
void weir_worker_fini(struct weir_worker *worker);
/* `name` as weir_thread_start(). */
int weir_worker_start(struct weir_worker *worker, const char *name, struct weir_error *err);
/* Returns when the thread has ended; its loop belongs to the caller again. */
void weir_worker_stop(struct weir_worker *worker);

/*
 * Has `run` called on the loop's thread and returns when it has; calls it itself
 * when the worker does not run. Not from that thread.
 */
void weir_worker_call(struct weir_worker *worker, void (*run)(void *ctx), void *ctx);

#endif
