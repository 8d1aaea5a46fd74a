/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel/builtin: drivers that are linked into the program instead of loaded.
 *
 * They go through the same entry function, the same checks and the same guard.
 * For tests and for embedders that link statically.
 */
#ifndef WEIR_CHANNEL_BUILTIN_H
#define WEIR_CHANNEL_BUILTIN_H

#include <weir/driver.h>

struct weir_builtin {
	const char *name;
	const char *kind;
	weir_driver_init_fn *init;
	struct weir_builtin *next; /* set by weir_builtin_add() */
};

/*
 * Adds one; it must stay where it is for the rest of the process. Runtimes that
 * are opened from then on find it, before those in folders. Any thread.
 */
void weir_builtin_add(struct weir_builtin *builtin);
/* The first of the list. What was added later comes earlier. */
const struct weir_builtin *weir_builtin_first(void);

#endif
