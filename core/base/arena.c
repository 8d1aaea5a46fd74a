/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

enum {
	FIRST_CHUNK = 1024,
	KEEP_MAX = 64 * 1024, /* a chunk beyond it is not kept: one large event must not pin its memory */
	ALIGNMENT = _Alignof(max_align_t),
};

struct weir_arena_chunk {
	struct weir_arena_chunk *next; /* older */
	size_t size;
	_Alignas(max_align_t) unsigned char bytes[];
};

void weir_arena_init(struct weir_arena *arena, size_t max)
{
	*arena = (struct weir_arena){ .max = max };
}

static void chunks_free(struct weir_arena_chunk *chunk)
{
	while (chunk) {
		struct weir_arena_chunk *next = chunk->next;

		weir_mem_free(chunk);
		chunk = next;
	}
}

void weir_arena_fini(struct weir_arena *arena)
{
	chunks_free(arena->chunks);
	weir_arena_init(arena, arena->max);
}

/* Puts a chunk of `size` bytes in front. */
static bool chunk_add(struct weir_arena *arena, size_t size)
{
	struct weir_arena_chunk *chunk = NULL;

	if (size <= SIZE_MAX - sizeof *chunk)
		chunk = weir_mem_alloc(sizeof *chunk + size);
	if (!chunk)
		return false;
	chunk->next = arena->chunks;
	chunk->size = size;
	arena->chunks = chunk;
	arena->used = 0;
	return true;
}

void weir_arena_wipe(struct weir_arena *arena)
{
	for (struct weir_arena_chunk *chunk = arena->chunks; chunk; chunk = chunk->next)
		explicit_bzero(chunk->bytes, chunk->size);
	weir_arena_fini(arena);
}

void weir_arena_reset(struct weir_arena *arena)
{
	struct weir_arena_chunk *chunk = arena->chunks;
	size_t wanted = 0;

	arena->used = 0;
	arena->total = 0;
	if (!chunk || (!chunk->next && chunk->size <= KEEP_MAX))
		return;
	for (; chunk; chunk = chunk->next)
		wanted += chunk->size;
	chunks_free(arena->chunks);
	arena->chunks = NULL;
	/* When this fails, the next allocation tries again. */
	chunk_add(arena, wanted < KEEP_MAX ? wanted : KEEP_MAX);
}

void *weir_arena_alloc(struct weir_arena *arena, size_t size)
{
	size_t rounded, chunk_size;
	void *piece;

	if (size > SIZE_MAX - ALIGNMENT)
		return NULL;
	rounded = size ? (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
	if (arena->max && (rounded > arena->max || arena->total > arena->max - rounded))
		return NULL;
	if (!arena->chunks || rounded > arena->chunks->size - arena->used) {
		chunk_size = arena->chunks && arena->chunks->size <= KEEP_MAX ? arena->chunks->size * 2 : FIRST_CHUNK;
		if (!chunk_add(arena, chunk_size > rounded ? chunk_size : rounded))
			return NULL;
	}
	piece = arena->chunks->bytes + arena->used;
	arena->used += rounded;
	arena->total += rounded;
	return piece;
}

struct weir_buf weir_arena_copy(struct weir_arena *arena, struct weir_buf bytes)
{
	struct weir_buf copy = { weir_arena_text(arena, bytes), bytes.len };

	if (!copy.ptr)
		copy.len = 0;
	return copy;
}

char *weir_arena_text(struct weir_arena *arena, struct weir_buf bytes)
{
	char *copy = bytes.len < SIZE_MAX ? weir_arena_alloc(arena, bytes.len + 1) : NULL;

	if (!copy)
		return NULL;
	if (bytes.len)
		memcpy(copy, bytes.ptr, bytes.len);
	copy[bytes.len] = '\0';
	return copy;
}
