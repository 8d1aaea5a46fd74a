/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/ptrmap.h"

#include <stdint.h>

#include "base/mem.h"

static size_t home(const struct weir_ptrmap *map, const void *key)
{
	uint64_t hash = (uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(hash >> 32) & (map->size - 1);
}

static size_t next(const struct weir_ptrmap *map, size_t at)
{
	return (at + 1) & (map->size - 1);
}

static struct weir_ptrmap_row *find(const struct weir_ptrmap *map, const void *key)
{
	size_t at = home(map, key);

	while (map->rows[at].key && map->rows[at].key != key)
		at = next(map, at);
	return &map->rows[at];
}

void weir_ptrmap_fini(struct weir_ptrmap *map)
{
	weir_mem_free(map->rows);
	map->rows = NULL;
	map->size = map->used = 0;
}

bool weir_ptrmap_reserve(struct weir_ptrmap *map)
{
	struct weir_ptrmap bigger = { NULL, map->size ? map->size * 2 : 16, 0 };

	/* At most half full: a search ends soon, and always at an empty row. */
	if (map->size && (map->used + 1) * 2 <= map->size)
		return true;
	bigger.rows = weir_mem_zalloc(bigger.size, sizeof *bigger.rows);
	if (!bigger.rows)
		return false;
	for (size_t i = 0; i < map->size; i++)
		if (map->rows[i].key)
			weir_ptrmap_put(&bigger, map->rows[i].key, map->rows[i].value);
	weir_ptrmap_fini(map);
	*map = bigger;
	return true;
}

void weir_ptrmap_put(struct weir_ptrmap *map, const void *key, void *value)
{
	struct weir_ptrmap_row *row = find(map, key);

	if (!row->key)
		map->used++;
	row->key = key;
	row->value = value;
}

void *weir_ptrmap_get(const struct weir_ptrmap *map, const void *key)
{
	return map->size && key ? find(map, key)->value : NULL;
}

void weir_ptrmap_remove(struct weir_ptrmap *map, const void *key)
{
	size_t hole, at;

	if (!map->size || !find(map, key)->key)
		return;
	hole = (size_t)(find(map, key) - map->rows);
	/* Moves up what would not be found any more behind an empty row. */
	for (at = next(map, hole); map->rows[at].key; at = next(map, at)) {
		size_t wanted = home(map, map->rows[at].key);

		if (((at - wanted) & (map->size - 1)) < ((at - hole) & (map->size - 1)))
			continue;
		map->rows[hole] = map->rows[at];
		hole = at;
	}
	map->rows[hole].key = NULL;
	map->rows[hole].value = NULL;
	map->used--;
}
