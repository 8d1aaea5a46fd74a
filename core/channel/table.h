/* SPDX-License-Identifier: Apache-2.0 */
/* channel/table: has a driver fill its table, and checks it. */
#ifndef WEIR_CHANNEL_TABLE_H
#define WEIR_CHANNEL_TABLE_H

#include <weir/driver.h>

#include "channel/note.h"

/*
 * Calls `init` and checks what it filled: version, names as in the note, options,
 * required operations. Operations that are missing get a function that answers
 * WEIR_ENOTSUP, also those behind the end of an older driver's table.
 */
int weir_table_fill(struct weir_driver *table, weir_driver_init_fn *init, const struct weir_note *note,
		    const char *path, struct weir_error *err);

#endif
