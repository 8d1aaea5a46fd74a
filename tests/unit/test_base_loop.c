/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/weir_cmocka.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"

#define COUNT(array)                 (sizeof(array) / sizeof((array)[0]))
#define OWNER(type, member, pointer) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Ends a loop that a fault keeps from ending by itself. */
static struct weir_timer give_up;
static struct weir_loop *current;
static bool gave_up;

static void on_give_up(struct weir_timer *timer)
{
	(void)timer;
	gave_up = true;
	weir_loop_stop(current);
}

static int make_loop(void **state)
{
	gave_up = false;
	give_up = (struct weir_timer){ .fire = on_give_up };
	if (weir_loop_new(&current, NULL))
		return -1;
	*state = current;
	return weir_loop_timer_set(current, &give_up, weir_clock_now_ns() + 30 * WEIR_NS_PER_S);
}

static int free_loop(void **state)
{
	weir_loop_free(*state);
	return 0;
}

static void run(struct weir_loop *loop)
{
	assert_int_equal(weir_loop_run(loop, NULL), WEIR_OK);
	assert_false(gave_up);
}

/* ---- timers -------------------------------------------------------------- */

struct numbered_timer {
	struct weir_timer timer;
	unsigned number;
};

static unsigned fired[4096];
static size_t fired_count, fired_wanted;

static void note_timer(struct weir_timer *timer)
{
	assert_int_equal(timer->slot, 0);
	fired[fired_count++] = OWNER(struct numbered_timer, timer, timer)->number;
	if (fired_count == fired_wanted)
		weir_loop_stop(current);
}

static void timers_fire_in_the_order_of_their_deadlines(void **state)
{
	static struct numbered_timer timers[1000];
	int64_t now = weir_clock_now_ns();

	fired_count = 0;
	fired_wanted = COUNT(timers);
	for (unsigned i = 0; i < COUNT(timers); i++) {
		/* 617 and 1000 have no common divisor: every number once, in a mixed order. */
		timers[i].number = i * 617 % 1000;
		timers[i].timer = (struct weir_timer){ .fire = note_timer };
		assert_int_equal(weir_loop_timer_set(*state, &timers[i].timer, now + timers[i].number * 1000), 0);
	}
	run(*state);
	for (unsigned i = 0; i < COUNT(timers); i++)
		assert_int_equal(fired[i], i);
}

static struct numbered_timer victim;

static void cancel_victim(struct weir_timer *timer)
{
	note_timer(timer);
	weir_loop_timer_cancel(current, &victim.timer);
}

static void a_due_timer_may_be_cancelled_by_one_before_it(void **state)
{
	struct numbered_timer first = { { .fire = cancel_victim }, 0 }, last = { { .fire = note_timer }, 2 };
	int64_t now = weir_clock_now_ns();

	victim = (struct numbered_timer){ { .fire = note_timer }, 1 };
	fired_count = 0;
	fired_wanted = 2;
	assert_int_equal(weir_loop_timer_set(*state, &first.timer, now), 0);
	assert_int_equal(weir_loop_timer_set(*state, &victim.timer, now + 1), 0);
	assert_int_equal(weir_loop_timer_set(*state, &last.timer, now + 2), 0);
	run(*state);
	assert_int_equal(fired[0], 0);
	assert_int_equal(fired[1], 2);
}

static void timers_cancelled_in_the_middle_leave_the_others_in_order(void **state)
{
	static struct numbered_timer timers[1000];
	int64_t now = weir_clock_now_ns();

	fired_count = 0;
	fired_wanted = COUNT(timers) / 2;
	for (unsigned i = 0; i < COUNT(timers); i++) {
		timers[i].number = i * 617 % 1000;
		timers[i].timer = (struct weir_timer){ .fire = note_timer };
		assert_int_equal(weir_loop_timer_set(*state, &timers[i].timer, now + timers[i].number * 1000), 0);
	}
	for (unsigned i = 0; i < COUNT(timers); i++) {
		if (timers[i].number % 2)
			weir_loop_timer_cancel(*state, &timers[i].timer);
	}
	run(*state);
	for (unsigned i = 0; i < fired_wanted; i++)
		assert_int_equal(fired[i], i * 2);
}

static void a_cancelled_timer_does_not_fire(void **state)
{
	struct numbered_timer timers[3] = { { { .fire = note_timer }, 0 },
					    { { .fire = note_timer }, 1 },
					    { { .fire = note_timer }, 2 } };
	int64_t now = weir_clock_now_ns();

	fired_count = 0;
	fired_wanted = 2;
	for (int i = 0; i < 3; i++)
		assert_int_equal(weir_loop_timer_set(*state, &timers[i].timer, now + i), 0);
	weir_loop_timer_cancel(*state, &timers[1].timer);
	weir_loop_timer_cancel(*state, &timers[1].timer);
	assert_int_equal(timers[1].timer.slot, 0);
	run(*state);
	assert_int_equal(fired[0], 0);
	assert_int_equal(fired[1], 2);
}

static void a_timer_that_is_set_again_moves(void **state)
{
	struct numbered_timer a = { { .fire = note_timer }, 0 }, b = { { .fire = note_timer }, 1 };
	int64_t now = weir_clock_now_ns();

	fired_count = 0;
	fired_wanted = 2;
	assert_int_equal(weir_loop_timer_set(*state, &a.timer, now), 0);
	assert_int_equal(weir_loop_timer_set(*state, &b.timer, now + 1), 0);
	assert_int_equal(weir_loop_timer_set(*state, &a.timer, now + 2), 0);
	run(*state);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fired[1], 0);
}

static void a_timer_does_not_fire_early(void **state)
{
	struct numbered_timer a = { { .fire = note_timer }, 0 };
	int64_t deadline = weir_clock_now_ns() + 3 * WEIR_NS_PER_MS;

	fired_count = 0;
	fired_wanted = 1;
	assert_int_equal(weir_loop_timer_set(*state, &a.timer, deadline), 0);
	run(*state);
	assert_true(weir_loop_now(*state) >= deadline);
}

static void set_again_for_now(struct weir_timer *timer)
{
	fired_count++;
	assert_int_equal(weir_loop_timer_set(current, timer, weir_loop_now(current)), 0);
}

static void stop_from_task(struct weir_task *task)
{
	(void)task;
	weir_loop_stop(current);
}

static void a_timer_that_sets_itself_for_now_does_not_starve_tasks(void **state)
{
	struct weir_timer timer = { .fire = set_again_for_now };
	struct weir_task task = { .run = stop_from_task };

	fired_count = 0;
	assert_int_equal(weir_loop_timer_set(*state, &timer, weir_clock_now_ns()), 0);
	weir_loop_post(*state, &task);
	run(*state);
	assert_in_range(fired_count, 1, 4);
}

/* ---- watches ------------------------------------------------------------- */

static struct weir_watch pair[2];
static unsigned ready_calls;

static void unwatch_both(struct weir_watch *watch, uint32_t events)
{
	(void)watch;
	assert_true(events & EPOLLIN);
	ready_calls++;
	weir_loop_unwatch(current, &pair[0]);
	weir_loop_unwatch(current, &pair[1]);
	weir_loop_stop(current);
}

static void an_unwatched_fd_is_not_delivered_even_in_the_same_turn(void **state)
{
	ready_calls = 0;
	for (int i = 0; i < 2; i++) {
		pair[i] = (struct weir_watch){ .fd = eventfd(1, EFD_CLOEXEC), .ready = unwatch_both };
		assert_int_equal(weir_loop_watch(*state, &pair[i], EPOLLIN, NULL), WEIR_OK);
	}
	run(*state);
	assert_int_equal(ready_calls, 1);
	close(pair[0].fd);
	close(pair[1].fd);
}

static void watching_a_closed_fd_says_which(void **state)
{
	struct weir_watch watch = { .fd = 987654, .ready = unwatch_both };
	struct weir_error err = WEIR_ERROR_INIT;

	assert_int_equal(weir_loop_watch(*state, &watch, EPOLLIN, &err), WEIR_EIO);
	assert_non_null(strstr(err.text, "987654"));
	assert_string_equal(err.domain, "errno");
}

static void stop_when_writable(struct weir_watch *watch, uint32_t events)
{
	assert_true(events & EPOLLOUT);
	weir_loop_unwatch(current, watch);
	weir_loop_stop(current);
}

static void other_events_may_be_asked_for_later(void **state)
{
	struct weir_watch watch = { .fd = eventfd(0, EFD_CLOEXEC), .ready = stop_when_writable };

	assert_int_equal(weir_loop_watch(*state, &watch, EPOLLIN, NULL), WEIR_OK);
	assert_int_equal(weir_loop_rewatch(*state, &watch, EPOLLOUT), WEIR_OK);
	run(*state);
	close(watch.fd);
	assert_int_equal(weir_loop_rewatch(*state, &watch, EPOLLOUT), WEIR_EIO);
}

enum { MANY = 600 }; /* more than one turn takes */

static struct weir_watch many[MANY];

static void count_once(struct weir_watch *watch, uint32_t events)
{
	(void)events;
	weir_loop_unwatch(current, watch);
	if (++ready_calls == MANY)
		weir_loop_stop(current);
}

static void more_fds_than_a_turn_takes_are_all_served(void **state)
{
	ready_calls = 0;
	for (int i = 0; i < MANY; i++) {
		many[i] = (struct weir_watch){ .fd = eventfd(1, EFD_CLOEXEC), .ready = count_once };
		assert_true(many[i].fd >= 0);
		assert_int_equal(weir_loop_watch(*state, &many[i], EPOLLIN, NULL), WEIR_OK);
	}
	run(*state);
	assert_int_equal(ready_calls, MANY);
	for (int i = 0; i < MANY; i++)
		close(many[i].fd);
}

/* ---- tasks --------------------------------------------------------------- */

enum { POSTERS = 4, POSTS = 2000 };

struct numbered_task {
	struct weir_task task;
	unsigned poster, number;
};

static struct numbered_task tasks[POSTERS][POSTS];
static unsigned next_number[POSTERS], tasks_seen;

static void note_task(struct weir_task *task)
{
	struct numbered_task *numbered = OWNER(struct numbered_task, task, task);

	assert_int_equal(numbered->number, next_number[numbered->poster]++);
	if (++tasks_seen == POSTERS * POSTS)
		weir_loop_stop(current);
}

static void *post_many(void *arg)
{
	struct numbered_task *mine = arg;

	for (int i = 0; i < POSTS; i++)
		weir_loop_post(current, &mine[i].task);
	return NULL;
}

static void tasks_of_many_threads_each_run_once_in_the_order_of_posting(void **state)
{
	pthread_t threads[POSTERS];

	for (unsigned i = 0; i < POSTERS; i++) {
		next_number[i] = 0;
		for (unsigned j = 0; j < POSTS; j++)
			tasks[i][j] = (struct numbered_task){ { .run = note_task }, i, j };
	}
	tasks_seen = 0;
	for (int i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, tasks[i]), 0);
	run(*state);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(tasks_seen, POSTERS * POSTS);
}

static void *post_then_stop(void *arg)
{
	weir_loop_post(current, arg);
	weir_loop_stop(current);
	return NULL;
}

static bool task_ran;

static void mark_ran(struct weir_task *task)
{
	(void)task;
	task_ran = true;
}

static void a_task_posted_before_the_stop_still_runs(void **state)
{
	for (int round = 0; round < 200; round++) {
		struct weir_task task = { .run = mark_ran };
		pthread_t thread;

		task_ran = false;
		assert_int_equal(pthread_create(&thread, NULL, post_then_stop, &task), 0);
		run(*state);
		pthread_join(thread, NULL);
		assert_true(task_ran);
	}
}

/* One task at a time, each posted after the one before ran, while the loop falls asleep: a lost wake-up hangs here. */
static struct weir_task pings[2];
static pthread_mutex_t ping_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ping_changed = PTHREAD_COND_INITIALIZER;
static unsigned pings_seen;

enum { PINGS = 500 };

static void on_ping(struct weir_task *task)
{
	(void)task;
	pthread_mutex_lock(&ping_lock);
	pings_seen++;
	pthread_cond_signal(&ping_changed);
	pthread_mutex_unlock(&ping_lock);
}

static void *ping_pong(void *arg)
{
	for (unsigned i = 0; i < PINGS; i++) {
		weir_loop_post(arg, &pings[i % 2]);
		pthread_mutex_lock(&ping_lock);
		while (pings_seen <= i)
			pthread_cond_wait(&ping_changed, &ping_lock);
		pthread_mutex_unlock(&ping_lock);
	}
	weir_loop_stop(arg);
	return NULL;
}

static void no_wake_up_is_lost_when_the_loop_falls_asleep(void **state)
{
	pthread_t thread;

	pings_seen = 0;
	pings[0].run = pings[1].run = on_ping;
	assert_int_equal(pthread_create(&thread, NULL, ping_pong, *state), 0);
	run(*state);
	pthread_join(thread, NULL);
	assert_int_equal(pings_seen, PINGS);
}

static unsigned turns;

static void count_turn(struct weir_hook *hook)
{
	(void)hook;
	turns++;
}

static void *post_one(void *arg)
{
	weir_loop_post(current, arg);
	return NULL;
}

static void a_stop_before_the_run_leaves_one_turn_without_waiting(void **state)
{
	struct weir_hook hook = { .run = count_turn };

	turns = 0;
	weir_loop_hook(*state, &hook);
	weir_loop_stop(*state);
	run(*state);
	/* The turn, and the hand-over at the end. */
	assert_int_equal(turns, 2);
}

static void after_a_wake_up_the_loop_sleeps_again(void **state)
{
	struct weir_task task = { .run = mark_ran };
	struct weir_hook hook = { .run = count_turn };
	struct numbered_timer last = { { .fire = note_timer }, 0 };
	pthread_t thread;

	turns = 0;
	fired_count = 0;
	fired_wanted = 1;
	weir_loop_hook(*state, &hook);
	assert_int_equal(weir_loop_timer_set(*state, &last.timer, weir_clock_now_ns() + 50 * WEIR_NS_PER_MS), 0);
	assert_int_equal(pthread_create(&thread, NULL, post_one, &task), 0);
	run(*state);
	pthread_join(thread, NULL);
	/* One for the task, one for the timer, one more each if a clock or a wake-up came early, one at the end. */
	assert_in_range(turns, 1, 5);
}

static unsigned reposts;

static void post_again(struct weir_task *task)
{
	if (++reposts == 5)
		weir_loop_stop(current);
	else
		weir_loop_post(current, task);
}

static void a_task_may_post_itself_again(void **state)
{
	struct weir_task task = { .run = post_again };

	reposts = 0;
	weir_loop_post(*state, &task);
	run(*state);
	assert_int_equal(reposts, 5);
}

/* ---- hooks --------------------------------------------------------------- */

static struct weir_hook hooks[3];
static char hook_trace[8];

static void trace(char step)
{
	size_t len = strlen(hook_trace);

	assert_true(len + 1 < sizeof hook_trace);
	hook_trace[len] = step;
	hook_trace[len + 1] = '\0';
}

static void hook_a(struct weir_hook *hook)
{
	(void)hook;
	trace('a');
	weir_loop_unhook(current, &hooks[1]);
}

static void hook_b(struct weir_hook *hook)
{
	(void)hook;
	trace('b');
}

static void hook_c(struct weir_hook *hook)
{
	(void)hook;
	trace('c');
	weir_loop_unhook(current, hook);
	weir_loop_stop(current);
}

static void trace_task(struct weir_task *task)
{
	(void)task;
	trace('t');
}

static void hooks_run_after_tasks_and_may_be_removed_while_they_run(void **state)
{
	struct weir_task task = { .run = trace_task };

	hook_trace[0] = '\0';
	hooks[0].run = hook_a;
	hooks[1].run = hook_b;
	hooks[2].run = hook_c;
	for (int i = 0; i < 3; i++)
		weir_loop_hook(*state, &hooks[i]);
	weir_loop_post(*state, &task);
	run(*state);
	/* The last "a": what was gathered when the stop came is still handed over. */
	assert_string_equal(hook_trace, "taca");
}

/* ---- memory -------------------------------------------------------------- */

static void a_timer_that_finds_no_memory_is_not_set(void **state)
{
	struct weir_loop *loop;
	struct weir_timer timer = { .fire = on_give_up };

	(void)state;
	assert_int_equal(weir_loop_new(&loop, NULL), WEIR_OK);
	weir_mem_fail(1, 0);
	assert_int_equal(weir_loop_timer_set(loop, &timer, 0), WEIR_ENOMEM);
	assert_int_equal(timer.slot, 0);
	assert_int_equal(weir_loop_timer_set(loop, &timer, 0), WEIR_OK);
	weir_loop_free(loop);
}

static void a_loop_that_finds_no_memory_says_so(void **state)
{
	struct weir_loop *loop = NULL;
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	weir_mem_fail(1, 0);
	assert_int_equal(weir_loop_new(&loop, &err), WEIR_ENOMEM);
	assert_null(loop);
	assert_int_equal(err.code, WEIR_ENOMEM);
}

static void a_loop_without_file_descriptors_says_so(void **state)
{
	struct rlimit old, none;
	struct weir_loop *loop = NULL;
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ 0, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(weir_loop_new(&loop, &err), WEIR_ELIMIT);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_null(loop);
	assert_string_equal(err.domain, "errno");
}

#define ON_LOOP(test) cmocka_unit_test_setup_teardown(test, make_loop, free_loop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_LOOP(timers_fire_in_the_order_of_their_deadlines),
		ON_LOOP(a_cancelled_timer_does_not_fire),
		ON_LOOP(a_due_timer_may_be_cancelled_by_one_before_it),
		ON_LOOP(timers_cancelled_in_the_middle_leave_the_others_in_order),
		ON_LOOP(a_timer_that_is_set_again_moves),
		ON_LOOP(a_timer_does_not_fire_early),
		ON_LOOP(a_timer_that_sets_itself_for_now_does_not_starve_tasks),
		ON_LOOP(an_unwatched_fd_is_not_delivered_even_in_the_same_turn),
		ON_LOOP(other_events_may_be_asked_for_later),
		ON_LOOP(more_fds_than_a_turn_takes_are_all_served),
		ON_LOOP(watching_a_closed_fd_says_which),
		ON_LOOP(tasks_of_many_threads_each_run_once_in_the_order_of_posting),
		ON_LOOP(a_task_posted_before_the_stop_still_runs),
		ON_LOOP(no_wake_up_is_lost_when_the_loop_falls_asleep),
		ON_LOOP(a_stop_before_the_run_leaves_one_turn_without_waiting),
		ON_LOOP(after_a_wake_up_the_loop_sleeps_again),
		ON_LOOP(a_task_may_post_itself_again),
		ON_LOOP(hooks_run_after_tasks_and_may_be_removed_while_they_run),
		cmocka_unit_test(a_timer_that_finds_no_memory_is_not_set),
		cmocka_unit_test(a_loop_that_finds_no_memory_says_so),
		cmocka_unit_test(a_loop_without_file_descriptors_says_so),
	};

	return cmocka_run_group_tests_name("base/loop", tests, NULL, NULL);
}
