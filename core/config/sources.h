/* SPDX-License-Identifier: Apache-2.0 */
/* config/sources: which files and folders a configuration was read from, and whether they are still the same. */
#ifndef WEIR_CONFIG_SOURCES_H
#define WEIR_CONFIG_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/config.h>

/* What tells one state of a path from another, links followed. All 0: there is nothing. */
struct weir_stamp {
	uint64_t device, inode, size;
	int64_t modified_ns, changed_ns;
};

void weir_stamp_take(const char *path, struct weir_stamp *ret);
bool weir_stamp_same(const struct weir_stamp *a, const struct weir_stamp *b);

struct weir_source {
	const char *path;        /* as it was given: a relative one is of the current folder */
	struct weir_stamp stamp; /* just before it was read */
};

/*
 * What was read, secrets and mounted keys included, also what could not be read.
 * Complete when the configuration was checked with its drivers. A path may be
 * there twice. Borrowed.
 */
size_t weir_config_sources(const weir_config *config, const struct weir_source **ret);

#endif
