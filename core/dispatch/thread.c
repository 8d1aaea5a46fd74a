/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/thread.h"

#include <signal.h>
#include <stddef.h>

/* Room for libcurl and a resolver; only what is touched costs memory. */
enum { STACK_BYTES = 512 * 1024 };

int weir_thread_start(pthread_t *ret, const char *name, void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int failure = pthread_attr_init(&attributes);

	if (failure)
		return failure;
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	/* A thread inherits the mask: signals stay with the one that waits for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failure = pthread_create(ret, &attributes, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (!failure)
		pthread_setname_np(*ret, name);
	return failure;
}
