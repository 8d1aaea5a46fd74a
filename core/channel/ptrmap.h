/* SPDX-License-Identifier: Apache-2.0 */
/* channel/ptrmap: from a driver's pointer to the core's object. Not for more than one thread at a time. */
#ifndef WEIR_CHANNEL_PTRMAP_H
#define WEIR_CHANNEL_PTRMAP_H

#include <stdbool.h>
#include <stddef.h>

struct weir_ptrmap_row {
	const void *key; /* NULL: empty */
	void *value;
};

struct weir_ptrmap {
	struct weir_ptrmap_row *rows;
	size_t size; /* a power of two, or 0 */
	size_t used;
};

/* All zero is an empty map. */
void weir_ptrmap_fini(struct weir_ptrmap *map);
/* Makes room for one more, so that the next put cannot fail. False: memory is short. */
bool weir_ptrmap_reserve(struct weir_ptrmap *map);
/* After weir_ptrmap_reserve(). Replaces the value of a key that is there. */
void weir_ptrmap_put(struct weir_ptrmap *map, const void *key, void *value);
/* NULL: not there. */
void *weir_ptrmap_get(const struct weir_ptrmap *map, const void *key);
void weir_ptrmap_remove(struct weir_ptrmap *map, const void *key);

#endif
