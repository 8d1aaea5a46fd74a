/* SPDX-License-Identifier: Apache-2.0 */
#include "config/sources.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "base/str.h"
#include "config/internal.h"

static int64_t in_ns(struct timespec time)
{
	return (int64_t)time.tv_sec * WEIR_NS_PER_S + time.tv_nsec;
}

void weir_stamp_take(const char *path, struct weir_stamp *ret)
{
	struct stat info;

	*ret = (struct weir_stamp){ 0 };
	if (stat(path, &info) < 0)
		return;
	ret->device = info.st_dev;
	ret->inode = info.st_ino;
	ret->size = (uint64_t)info.st_size;
	ret->modified_ns = in_ns(info.st_mtim);
	ret->changed_ns = in_ns(info.st_ctim);
}

bool weir_stamp_same(const struct weir_stamp *a, const struct weir_stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}

void weir_config_add_source(weir_config *config, const char *path)
{
	struct weir_source source = { .path = NULL };

	if (!weir_config_reserve(config, &config->sources, config->source_count, &config->source_capacity,
				 sizeof *config->sources))
		return;
	source.path = weir_arena_text(&config->arena, weir_str(path));
	config->no_memory |= !source.path;
	if (!source.path)
		return;
	weir_stamp_take(path, &source.stamp);
	config->sources[config->source_count++] = source;
}

size_t weir_config_sources(const weir_config *config, const struct weir_source **ret)
{
	*ret = config->sources;
	return config->source_count;
}
