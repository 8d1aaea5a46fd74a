/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel/fork: notices a forked child without a system call.
 *
 * A page that the kernel wipes in a child holds a mark. Whoever remembers the
 * mark of the process that made it finds out by one load whether it still runs
 * there.
 */
#ifndef WEIR_CHANNEL_FORK_H
#define WEIR_CHANNEL_FORK_H

#include <stdbool.h>
#include <stdint.h>

/* The mark of this process; never 0. 0: the page could not be had, memory is short. */
uint64_t weir_fork_mark(void);
/* True if `mark` was had in a parent of this process. */
bool weir_forked(uint64_t mark);

#endif
