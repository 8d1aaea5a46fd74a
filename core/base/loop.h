/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/loop: an epoll loop with timers, and a mailbox for other threads.
 *
 * A loop is run by one thread, its owner. Everything but weir_loop_post(),
 * weir_loop_stop() and weir_loop_now() belongs to that thread (or to the one
 * that sets things up before the loop runs). Watches, timers, tasks and hooks
 * are embedded in their owner's structs: the loop allocates nothing for them
 * and frees nothing.
 *
 * One turn: wait; run what is ready; run timers that are due; run posted tasks;
 * run the hooks. Hooks are where work that was gathered in the turn is handed
 * over in one batch.
 */
#ifndef WEIR_BASE_LOOP_H
#define WEIR_BASE_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include <weir/error.h>

struct weir_loop;

struct weir_watch {
	int fd;
	/* events: EPOLLIN, ... A callback may unwatch any watch, also its own. */
	void (*ready)(struct weir_watch *watch, uint32_t events);
};

struct weir_timer {
	int64_t deadline_ns; /* set by weir_loop_timer_set() */
	size_t slot;         /* 0: not set */
	void (*fire)(struct weir_timer *timer);
};

struct weir_task {
	struct weir_task *next;
	void (*run)(struct weir_task *task);
};

struct weir_hook {
	struct weir_hook *next;
	void (*run)(struct weir_hook *hook);
};

int weir_loop_new(struct weir_loop **ret, struct weir_error *err);
/* Not while it runs. Watches and timers are forgotten. */
void weir_loop_free(struct weir_loop *loop);
/* Runs until weir_loop_stop(). The calling thread owns the loop from here on. */
int weir_loop_run(struct weir_loop *loop, struct weir_error *err);
/*
 * Any thread. The current turn is finished, what was posted before still runs,
 * then weir_loop_run() returns. Before it is called: it makes one turn without
 * waiting.
 */
void weir_loop_stop(struct weir_loop *loop);
/* Monotonic time at the start of the current turn; cheap. Owner only. */
int64_t weir_loop_now(const struct weir_loop *loop);

/* `watch->fd` and `watch->ready` are set by the caller. events as epoll_ctl(2), EPOLLET allowed. */
int weir_loop_watch(struct weir_loop *loop, struct weir_watch *watch, uint32_t events, struct weir_error *err);
int weir_loop_rewatch(struct weir_loop *loop, struct weir_watch *watch, uint32_t events);
/* Before the fd is closed. After it `ready` is not called any more, not even in this turn. */
void weir_loop_unwatch(struct weir_loop *loop, struct weir_watch *watch);

/* Sets or moves. WEIR_ENOMEM. A timer's memory must stay until it fired or was cancelled. */
int weir_loop_timer_set(struct weir_loop *loop, struct weir_timer *timer, int64_t deadline_ns);
void weir_loop_timer_cancel(struct weir_loop *loop, struct weir_timer *timer);

/*
 * Any thread. `task->run` is called on the loop's thread, in the order of
 * posting. The loop is woken once for any number of tasks. A task that is posted
 * must not be posted again before it ran.
 */
void weir_loop_post(struct weir_loop *loop, struct weir_task *task);

/* Runs at the end of every turn. Owner only. */
void weir_loop_hook(struct weir_loop *loop, struct weir_hook *hook);
void weir_loop_unhook(struct weir_loop *loop, struct weir_hook *hook);

#endif
