/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/internal: what a weir_config is made of; for core/config only.
 *
 *   entry   a key with a value as some layer gave it      (layers.c, source.c)
 *   value   a key with what is effective after all layers (resolve.c)
 *   problem a line about what is wrong                    (problem.c)
 */
#ifndef WEIR_CONFIG_INTERNAL_H
#define WEIR_CONFIG_INTERNAL_H

#include <pthread.h>

#include <weir/config.h>

#include "base/arena.h"
#include "config/check.h"
#include "config/fields.h"
#include "config/settings.h"
#include "config/sources.h"
#include "config/tree.h"

enum weir_layer {
	WEIR_LAYER_DEFAULT,
	WEIR_LAYER_FILE,
	WEIR_LAYER_OVERRIDE,
	WEIR_LAYER_ENVIRONMENT,
	WEIR_LAYER_SETTING,
};

/* Where something stands, for people. */
struct weir_place {
	const char *source; /* file name, "--set KEY", "environment NAME" */
	struct weir_position at;
};

struct weir_entry {
	const char *key; /* canonical spelling, except for keys of drivers from the environment, which are lower case */
	struct weir_input input;
	struct weir_place place;
	enum weir_layer layer;
	uint64_t order;               /* the layer, then when it came; the highest wins */
	const struct weir_field *row; /* NULL: none, or of a driver's section */
	struct weir_checked checked;
};

struct weir_value {
	const char *key;
	const char *text; /* NULL: an object or something that could not be taken */
	int64_t number;
	const char *origin;
	const struct weir_field *row;   /* NULL: of a driver's section */
	const struct weir_entry *entry; /* NULL: a default */
};

struct weir_lines {
	const char **items;
	size_t count, capacity;
	size_t more; /* that were not kept */
};

struct weir_driver_settings; /* driver.c */

struct weir_driver_cache {
	pthread_mutex_t lock;
	struct weir_driver_settings *first;
};

struct weir_config {
	struct weir_arena arena; /* everything below but the growing arrays */
	bool no_memory;          /* something was not kept: nothing can be told about the configuration */
	bool loaded;
	struct weir_lines problems, warnings;
	struct weir_source *sources; /* growing; what it was read from, and could not be read from */
	size_t source_count, source_capacity;
	struct weir_entry *entries; /* in the order they came; once loaded by key, then order */
	size_t entry_count, entry_capacity;
	struct weir_value *values; /* by key, without case; once loaded */
	size_t value_count, value_capacity;
	struct weir_channel_settings *channels;
	size_t channel_count;
	const struct weir_channel_settings **channel_index; /* by namespace and name */
	const char *state_directory;                        /* of the environment; NULL: none */
	struct weir_driver_cache *drivers;                  /* changes also while the configuration is shared */
};

/* Where the value of an entry stands; `place` is where its key does. */
static inline struct weir_place weir_entry_value_place(const struct weir_entry *entry)
{
	struct weir_place place = entry->place;

	if (place.at.line && !entry->input.text)
		place.at = entry->input.node->at;
	return place;
}

/* ---- problem.c ----------------------------------------------------------- */

/* Adds "place: key: text". `key` may be NULL. What of it is hostile is made printable. */
__attribute__((format(printf, 4, 5))) void weir_config_problem_add(weir_config *config, const struct weir_place *place,
								   const char *key, const char *format, ...);
__attribute__((format(printf, 4, 5))) void weir_config_warning_add(weir_config *config, const struct weir_place *place,
								   const char *key, const char *format, ...);
/* Writes "place: key: text" as the functions above do; `key` may be NULL. */
enum { WEIR_LINE_SIZE = 2048 };
void weir_config_line(char line[WEIR_LINE_SIZE], const struct weir_place *place, const char *key, const char *text);
void weir_lines_fini(struct weir_lines *lines);
/* Makes room for one more item of `size` bytes in a growing array. False: no memory, noted in the configuration. */
bool weir_config_reserve(weir_config *config, void *items, size_t count, size_t *capacity, size_t size);

/* ---- layers.c ------------------------------------------------------------ */

/* Adds what lies below `root`, which is the whole of a source, as entries. */
void weir_config_add_tree(weir_config *config, const char *source, enum weir_layer layer, const struct weir_node *root);
/* Adds one key whose value came as text. `place`: its source is in the arena. `fold`: letters without case. */
void weir_config_add_text_value(weir_config *config, const struct weir_place *place, enum weir_layer layer,
				struct weir_buf key, struct weir_buf value, bool fold);

/* ---- manifest.c ---------------------------------------------------------- */

/* Adds what the manifests and folders hold that the key `overrides` names. */
void weir_config_add_overrides(weir_config *config);

/* ---- source.c ------------------------------------------------------------ */

/* Keeps the path of something that is about to be read. */
void weir_config_add_source(weir_config *config, const char *path);

/*
 * Reads a regular file into memory that weir_mem_free() frees; never waits for a
 * writer. WEIR_EINVAL: `why` says what is wrong; WEIR_ENOMEM.
 */
int weir_source_read(const char *path, size_t max, char **ret, size_t *len, unsigned *mode, char why[WEIR_WHY_SIZE]);

/* ---- charts.c, resolve.c, defaults.c, channels.c, routes.c, driver.c ----- */

/* Joins values that came as two keys. Before values are in order. */
void weir_config_join_parts(weir_config *config);

/* The value of a key, NULL: none. */
const struct weir_value *weir_config_value(const weir_config *config, const char *key);
void weir_config_resolve(weir_config *config);
/* The default of a row that depends on where Weir runs; NULL: the row's own. In the arena. */
const char *weir_config_default(weir_config *config, const struct weir_field *row);
/* Reads the entries of the key "channels". */
void weir_config_resolve_channels(weir_config *config);
/* Relations between channels: unknown targets, a sink that is the channel itself, reply loops. */
void weir_config_check_routes(weir_config *config);
/* "file:line:column" in the arena. NULL: no memory, noted. */
const char *weir_config_where(weir_config *config, const struct weir_place *place);
/* Fills *ret with what a row says when nothing is given; its text NULL if that is nothing. */
void weir_config_fallback(weir_config *config, const struct weir_field *row, struct weir_checked *ret);
void weir_driver_cache_free(struct weir_driver_cache *cache);

#endif
