/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel/loader: makes a table that can be called without looking out of a
 * driver that was found.
 *
 * A driver is loaded once in a process and never unloaded: client libraries keep
 * threads, and pointers into the driver outlive its instances.
 */
#ifndef WEIR_CHANNEL_LOADER_H
#define WEIR_CHANNEL_LOADER_H

#include <pthread.h>

#include <weir/driver.h>

#include "channel/find.h"

/* Lives until the process ends. */
struct weir_loaded {
	struct weir_loaded *next;
	struct weir_driver table; /* operations that the driver does not have answer WEIR_ENOTSUP */
	pthread_mutex_t turn;     /* for drivers that take one call at a time in a process */
	weir_driver_init_fn *init;
	char *path;
};

/*
 * Loads if it is not yet. Any thread. Errors name the path: WEIR_EVERSION,
 * WEIR_EINVAL, WEIR_ENOPERM, WEIR_ENOMEM, what the driver's init says.
 */
int weir_loader_load(struct weir_found *found, bool allow_unsafe, struct weir_loaded **ret, struct weir_error *err);

#endif
