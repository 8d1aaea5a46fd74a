/* SPDX-License-Identifier: Apache-2.0 */
/* config/object: objects of a configuration by their table; for core/config only. */
#ifndef WEIR_CONFIG_OBJECT_H
#define WEIR_CONFIG_OBJECT_H

#include "config/internal.h"

enum { WEIR_MEMBERS_MAX = 10, WEIR_PATH_SIZE = 128 };

struct weir_member {
	const struct weir_node *node; /* NULL: not given */
	struct weir_checked value;    /* given, or the default */
};

/* Where what is read comes from, and where it goes. */
struct weir_reader {
	weir_config *config;
	const char *source;
};

static inline struct weir_place weir_reader_place(const struct weir_reader *reader, struct weir_position at)
{
	return (struct weir_place){ reader->source, at };
}

/*
 * Reads `object` (a node of any kind) by a table into `out`, one for each row.
 * What is wrong becomes a problem under `path`. Members that are objects
 * themselves are only found, not read.
 */
void weir_reader_object(const struct weir_reader *reader, const struct weir_field_table *table,
			const struct weir_node *object, const char *path, struct weir_member out[WEIR_MEMBERS_MAX]);

/* The items of an array; NULL if there is none or it is no array, which is then said. */
const struct weir_node *weir_reader_items(const struct weir_reader *reader, const struct weir_node *array,
					  const char *path);

/* ---- channels.c, for brokers.c -------------------------------------------- */

/* `node` NULL: what `inherited` says; that NULL too: the defaults. */
void weir_reader_delivery(const struct weir_reader *reader, const struct weir_node *node, const char *parent,
			  const struct weir_delivery_settings *inherited, struct weir_delivery_settings *ret);

/* ---- brokers.c ------------------------------------------------------------ */

/* How many brokers are configured, at most. */
size_t weir_config_count_brokers(const weir_config *config);
/* True: `url` (NULL is allowed) is that of a channel, on an address that this dispatcher listens on. */
bool weir_config_leads_here(const weir_config *config, const char *url);

/* ---- filters.c ----------------------------------------------------------- */

/* Compiles the value of `filters`, a member of what is called `parent`; `node` NULL, or an empty list: every event. */
void weir_reader_filters(const struct weir_reader *reader, const struct weir_node *node, const char *parent,
			 struct weir_subscription_settings *ret);

/* Adds brokers behind the channels, with their triggers as subscriptions. */
void weir_config_resolve_brokers(weir_config *config);

/* `--set KEY=[...` that is no JSON came as a string; true: said. */
bool weir_config_is_broken_json(weir_config *config, const struct weir_entry *entry);

#endif
