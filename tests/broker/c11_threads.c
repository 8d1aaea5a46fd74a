/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the thread sanitizer only: it does not know the threads, locks and
 * conditions of <threads.h>, which librdkafka is built with, so it would crash
 * in their threads and see no order between them. These take their place in a
 * test program, and are what glibc's are: pthreads under other names.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t) && sizeof(cnd_t) >= sizeof(pthread_cond_t), "room");

struct start {
	thrd_start_t run;
	void *arg;
};

static int result(int code)
{
	switch (code) {
	case 0:
		return thrd_success;
	case EBUSY:
		return thrd_busy;
	case ETIMEDOUT:
		return thrd_timedout;
	case ENOMEM:
		return thrd_nomem;
	default:
		return thrd_error;
	}
}

static void *run(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	return (void *)(intptr_t)start.run(start.arg);
}

int thrd_create(thrd_t *ret, thrd_start_t func, void *arg)
{
	struct start *start = malloc(sizeof *start);
	int code;

	if (!start)
		return thrd_nomem;
	*start = (struct start){ func, arg };
	code = pthread_create(ret, NULL, run, start);
	if (code)
		free(start);
	return result(code);
}

int thrd_join(thrd_t thread, int *ret)
{
	void *value = NULL;
	int code = pthread_join(thread, &value);

	if (ret)
		*ret = (int)(intptr_t)value;
	return result(code);
}

int thrd_detach(thrd_t thread)
{
	return result(pthread_detach(thread));
}

int mtx_init(mtx_t *lock, int type)
{
	pthread_mutexattr_t attributes;
	int code;

	pthread_mutexattr_init(&attributes);
	if (type & mtx_recursive)
		pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	code = pthread_mutex_init((pthread_mutex_t *)lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return result(code);
}

int mtx_lock(mtx_t *lock)
{
	return result(pthread_mutex_lock((pthread_mutex_t *)lock));
}

int mtx_trylock(mtx_t *lock)
{
	return result(pthread_mutex_trylock((pthread_mutex_t *)lock));
}

int mtx_unlock(mtx_t *lock)
{
	return result(pthread_mutex_unlock((pthread_mutex_t *)lock));
}

void mtx_destroy(mtx_t *lock)
{
	pthread_mutex_destroy((pthread_mutex_t *)lock);
}

int cnd_init(cnd_t *condition)
{
	return result(pthread_cond_init((pthread_cond_t *)condition, NULL));
}

int cnd_signal(cnd_t *condition)
{
	return result(pthread_cond_signal((pthread_cond_t *)condition));
}

int cnd_broadcast(cnd_t *condition)
{
	return result(pthread_cond_broadcast((pthread_cond_t *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *lock)
{
	return result(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)lock));
}

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict lock, const struct timespec *restrict until)
{
	return result(pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)lock, until));
}

void cnd_destroy(cnd_t *condition)
{
	pthread_cond_destroy((pthread_cond_t *)condition);
}
