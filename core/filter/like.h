/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter/like: patterns of LIKE. Compiled, a pattern has bytes in the place of
 * its wildcards that no UTF-8 text can hold, and no escapes.
 */
#ifndef WEIR_FILTER_LIKE_H
#define WEIR_FILTER_LIKE_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/driver.h>

enum {
	WEIR_LIKE_ANY = 0xff, /* % */
	WEIR_LIKE_ONE = 0xfe, /* _ */
};

/* In place: what is written is never longer. `\%` and `\_` are themselves; any other backslash is one. */
size_t weir_like_compile(char *pattern, size_t len);

/* Takes about one from *budget for each byte that it looks at. False, and *budget 0: it ran out. */
bool weir_like_match(struct weir_buf text, struct weir_buf compiled, size_t *budget);

#endif
