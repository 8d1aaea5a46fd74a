/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a store, and the lock that keeps other processes out of it. */
#ifndef WEIR_DRIVER_EMBEDDED_LOCK_H
#define WEIR_DRIVER_EMBEDDED_LOCK_H

#include <weir/error.h>

/*
 * Makes the folder if it is missing (mode 0700, durable), and locks it for this
 * open file: against other processes and against a second instance in this one.
 * *fd holds the lock until weir_embedded_unlock() or the end of the process.
 * WEIR_EBUSY: `err` names the process that has it. WEIR_ENOPERM, WEIR_EIO.
 */
int weir_embedded_lock(const char *path, int *fd, struct weir_error *err);
/* -1 is allowed. */
void weir_embedded_unlock(int fd);

#endif
