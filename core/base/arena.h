/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/arena: memory that is given back all at once.
 *
 * An arena hands out pieces of a few chunks. Resetting it keeps the first chunk,
 * grown to what was needed last time, so that in the steady state nothing is
 * allocated. Not for more than one thread at a time.
 */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include <stddef.h>

#include <weir/driver.h>

struct weir_arena_chunk;

struct weir_arena {
	struct weir_arena_chunk *chunks; /* newest first */
	size_t used;                     /* in the newest */
	size_t total;                    /* handed out since the last reset */
	size_t max;                      /* refuse beyond; 0: no bound */
};

void weir_arena_init(struct weir_arena *arena, size_t max);
void weir_arena_fini(struct weir_arena *arena);
/* Overwrites all that it handed out, then as weir_arena_fini(): for what had secrets in it. */
void weir_arena_wipe(struct weir_arena *arena);
void weir_arena_reset(struct weir_arena *arena);
/* Aligned for any type; not zeroed; NULL when memory is short or `max` is passed. */
void *weir_arena_alloc(struct weir_arena *arena, size_t size);
/* A copy; ptr NULL when it fails. An empty value stays empty, not NULL. */
struct weir_buf weir_arena_copy(struct weir_arena *arena, struct weir_buf bytes);
/* A NUL-terminated copy; NULL when it fails. */
char *weir_arena_text(struct weir_arena *arena, struct weir_buf bytes);

#endif
