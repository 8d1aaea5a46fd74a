/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/thread: threads with a small stack, a name, and no signals. */
#ifndef WEIR_DISPATCH_THREAD_H
#define WEIR_DISPATCH_THREAD_H

#include <pthread.h>

/* `name`: at most 15 bytes, for top(1) and gdb(1). Returns 0 or an errno value. */
int weir_thread_start(pthread_t *ret, const char *name, void *(*run)(void *arg), void *arg);

#endif
