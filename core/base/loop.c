/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum { TURN_EVENTS = 256, FIRST_TIMERS = 64 };

struct weir_loop {
	int epoll_fd;
	int wake_fd;
	int64_t now_ns;

	struct epoll_event events[TURN_EVENTS]; /* of this turn; data.ptr NULL: nothing to call */
	int event_at, event_count;

	struct weir_timer **timers; /* binary heap in 1..timer_count, earliest first; 0 is not used */
	size_t timer_count, timer_capacity;

	struct weir_hook *hooks;
	struct weir_hook *next_hook; /* while hooks run: which one is next */

	char apart[64];                      /* other threads write what follows: not in a cache line of the above */
	_Atomic(struct weir_task *) mailbox; /* newest first */
	/*
	 * True from before the owner looks into the mailbox for the last time until
	 * it woke up: only then does a poster need to write to wake_fd. Poster and
	 * owner each write one variable and then read the other's, so both need
	 * sequentially consistent order.
	 */
	_Atomic bool sleeping;
	_Atomic bool stop;
};

/* ---- timers -------------------------------------------------------------- */

static void timer_place(struct weir_loop *loop, struct weir_timer *timer, size_t slot)
{
	loop->timers[slot] = timer;
	timer->slot = slot;
}

/* Puts `timer` where it belongs, given that `slot` is free and everything else is in order. */
static void timer_sift(struct weir_loop *loop, struct weir_timer *timer, size_t slot)
{
	struct weir_timer **timers = loop->timers;

	while (slot > 1 && timer->deadline_ns < timers[slot / 2]->deadline_ns) {
		timer_place(loop, timers[slot / 2], slot);
		slot /= 2;
	}
	for (size_t child = slot * 2; child <= loop->timer_count; child = slot * 2) {
		if (child < loop->timer_count && timers[child + 1]->deadline_ns < timers[child]->deadline_ns)
			child++;
		if (timer->deadline_ns <= timers[child]->deadline_ns)
			break;
		timer_place(loop, timers[child], slot);
		slot = child;
	}
	timer_place(loop, timer, slot);
}

static bool timers_reserve(struct weir_loop *loop)
{
	size_t capacity = loop->timer_capacity ? loop->timer_capacity * 2 : FIRST_TIMERS;
	struct weir_timer **timers;

	if (loop->timer_count + 1 < loop->timer_capacity)
		return true;
	timers = weir_mem_realloc(loop->timers, capacity * sizeof *timers);
	if (!timers)
		return false;
	loop->timers = timers;
	loop->timer_capacity = capacity;
	return true;
}

int weir_loop_timer_set(struct weir_loop *loop, struct weir_timer *timer, int64_t deadline_ns)
{
	if (!timer->slot) {
		if (!timers_reserve(loop))
			return WEIR_ENOMEM;
		timer->slot = ++loop->timer_count;
	}
	timer->deadline_ns = deadline_ns;
	timer_sift(loop, timer, timer->slot);
	return WEIR_OK;
}

void weir_loop_timer_cancel(struct weir_loop *loop, struct weir_timer *timer)
{
	size_t slot = timer->slot;
	struct weir_timer *last;

	if (!slot)
		return;
	timer->slot = 0;
	last = loop->timers[loop->timer_count--];
	if (last != timer)
		timer_sift(loop, last, slot);
}

static void timers_run(struct weir_loop *loop)
{
	/* Each timer that is set now at most once: one that sets itself again for "now" waits for the next turn. */
	for (size_t most = loop->timer_count; most && loop->timer_count; most--) {
		struct weir_timer *first = loop->timers[1];

		if (first->deadline_ns > loop->now_ns)
			break;
		weir_loop_timer_cancel(loop, first);
		first->fire(first);
	}
}

/* ---- mailbox ------------------------------------------------------------- */

static void wake(struct weir_loop *loop)
{
	uint64_t one = 1;

	/* Cannot fail: the counter would have to overflow. The watch is edge-triggered, so nobody needs to read it. */
	while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

void weir_loop_post(struct weir_loop *loop, struct weir_task *task)
{
	struct weir_task *head = atomic_load_explicit(&loop->mailbox, memory_order_relaxed);

	do
		task->next = head;
	while (!atomic_compare_exchange_weak(&loop->mailbox, &head, task));
	if (!head && atomic_load(&loop->sleeping))
		wake(loop);
}

static void tasks_run(struct weir_loop *loop)
{
	struct weir_task *newest = atomic_exchange(&loop->mailbox, NULL);
	struct weir_task *oldest = NULL;

	while (newest) {
		struct weir_task *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct weir_task *task = oldest;

		oldest = task->next; /* the task may be gone, or posted again, once it has run */
		task->run(task);
	}
}

/* ---- hooks --------------------------------------------------------------- */

void weir_loop_hook(struct weir_loop *loop, struct weir_hook *hook)
{
	struct weir_hook **end = &loop->hooks;

	while (*end)
		end = &(*end)->next;
	hook->next = NULL;
	*end = hook;
}

void weir_loop_unhook(struct weir_loop *loop, struct weir_hook *hook)
{
	struct weir_hook **at = &loop->hooks;

	while (*at && *at != hook)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = hook->next;
	if (loop->next_hook == hook)
		loop->next_hook = hook->next;
}

static void hooks_run(struct weir_loop *loop)
{
	for (struct weir_hook *hook = loop->hooks; hook; hook = loop->next_hook) {
		loop->next_hook = hook->next;
		hook->run(hook);
	}
}

/* ---- watches ------------------------------------------------------------- */

static int control(struct weir_loop *loop, int operation, struct weir_watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	return epoll_ctl(loop->epoll_fd, operation, watch->fd, &event) < 0 ? errno : 0;
}

int weir_loop_watch(struct weir_loop *loop, struct weir_watch *watch, uint32_t events, struct weir_error *err)
{
	int failure = control(loop, EPOLL_CTL_ADD, watch, events);
	int code;

	if (!failure)
		return WEIR_OK;
	code = failure == ENOSPC ? WEIR_ELIMIT : failure == ENOMEM ? WEIR_ENOMEM : WEIR_EIO;
	code = weir_fail(err, code, "cannot wait for file descriptor %d: %s", watch->fd, strerrordesc_np(failure));
	weir_error_native(err, "errno", failure);
	return code;
}

int weir_loop_rewatch(struct weir_loop *loop, struct weir_watch *watch, uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, watch, events) ? WEIR_EIO : WEIR_OK;
}

void weir_loop_unwatch(struct weir_loop *loop, struct weir_watch *watch)
{
	control(loop, EPOLL_CTL_DEL, watch, 0);
	for (int i = loop->event_at; i < loop->event_count; i++) {
		if (loop->events[i].data.ptr == watch)
			loop->events[i].data.ptr = NULL;
	}
}

static void events_run(struct weir_loop *loop)
{
	for (loop->event_at = 0; loop->event_at < loop->event_count;) {
		struct epoll_event *event = &loop->events[loop->event_at++];
		struct weir_watch *watch = event->data.ptr;

		if (watch)
			watch->ready(watch, event->events);
	}
	loop->event_count = 0;
}

/* ---- the loop ------------------------------------------------------------ */

static int loop_error(struct weir_error *err, const char *what)
{
	int failure = errno;
	int code = failure == ENOMEM ? WEIR_ENOMEM : failure == EMFILE || failure == ENFILE ? WEIR_ELIMIT : WEIR_EIO;

	code = weir_fail(err, code, "%s: %s", what, strerrordesc_np(failure));
	weir_error_native(err, "errno", failure);
	return code;
}

int weir_loop_new(struct weir_loop **ret, struct weir_error *err)
{
	struct weir_loop *loop = weir_mem_zalloc(1, sizeof *loop);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int code = WEIR_OK;

	if (!loop)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for an event loop");
	loop->now_ns = weir_clock_now_ns();
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
	    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0)
		code = loop_error(err, "cannot make an event loop");
	if (code) {
		weir_loop_free(loop);
		return code;
	}
	*ret = loop;
	return WEIR_OK;
}

void weir_loop_free(struct weir_loop *loop)
{
	if (!loop)
		return;
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	weir_mem_free(loop->timers);
	weir_mem_free(loop);
}

int64_t weir_loop_now(const struct weir_loop *loop)
{
	return loop->now_ns;
}

void weir_loop_stop(struct weir_loop *loop)
{
	atomic_store(&loop->stop, true);
	if (atomic_load(&loop->sleeping))
		wake(loop);
}

/* How long epoll may sleep. `sleeping` is set already: who posts from now on will wake us. */
static int wait_ms(const struct weir_loop *loop)
{
	if (atomic_load(&loop->mailbox) || atomic_load(&loop->stop))
		return 0;
	if (!loop->timer_count || loop->timers[1]->deadline_ns == WEIR_NS_NEVER)
		return -1;
	return weir_clock_wait_ms(loop->timers[1]->deadline_ns);
}

static int wait_for_events(struct weir_loop *loop, struct weir_error *err)
{
	int count;

	atomic_store(&loop->sleeping, true);
	count = epoll_wait(loop->epoll_fd, loop->events, TURN_EVENTS, wait_ms(loop));
	atomic_store(&loop->sleeping, false);
	loop->now_ns = weir_clock_now_ns();
	if (count < 0 && errno != EINTR)
		return loop_error(err, "cannot wait for events");
	loop->event_count = count > 0 ? count : 0;
	return WEIR_OK;
}

int weir_loop_run(struct weir_loop *loop, struct weir_error *err)
{
	do {
		int code = wait_for_events(loop, err);

		if (code)
			return code;
		events_run(loop);
		timers_run(loop);
		tasks_run(loop);
		hooks_run(loop);
	} while (!atomic_load(&loop->stop));
	/* What was posted before the stop, by whatever thread, still runs, and what it gathers is handed over. */
	tasks_run(loop);
	hooks_run(loop);
	atomic_store(&loop->stop, false);
	return WEIR_OK;
}
