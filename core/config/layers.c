/* SPDX-License-Identifier: Apache-2.0 */
/* config/layers: from what a layer holds to entries, each with the one spelling of its key. */
#include "config/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/dynbuf.h"
#include "base/str.h"

enum { KEY_MAX = 512, VALUE_MAX = 16 * 1024 * 1024 };

/* "" in the key: "a..b", ".a", "a." */
static bool has_empty_part(const char *key)
{
	return !*key || key[0] == '.' || key[strlen(key) - 1] == '.' || strstr(key, "..");
}

/* The row's spelling for a key that came without case; keys that are no row's go on in lower case. */
static const char *spell(const char *key, bool fold)
{
	const struct weir_field *row = fold ? weir_field_find(key, true) : NULL;

	return row && !strchr(row->option.key, '*') ? row->option.key : key;
}

static void add_entry(weir_config *config, const char *key, const struct weir_entry *template)
{
	struct weir_entry *entry;

	if (!weir_config_reserve(config, &config->entries, config->entry_count, &config->entry_capacity, sizeof *entry))
		return;
	entry = &config->entries[config->entry_count];
	*entry = *template;
	entry->order = (uint64_t)entry->layer << 32 | config->entry_count;
	entry->key = weir_arena_text(&config->arena, weir_str(key));
	if (entry->key)
		config->entry_count++;
	else
		config->no_memory = true;
}

static bool key_is_sound(weir_config *config, const struct weir_place *place, const char *key, size_t len)
{
	if (len <= KEY_MAX && strlen(key) == len && !has_empty_part(key))
		return true;
	weir_config_problem_add(config, place, key, "%s",
				len > KEY_MAX ? "is longer than a key may be, which is 512 bytes"
					      : "is no key: a part of it is empty or holds a NUL character");
	return false;
}

/* ---- trees --------------------------------------------------------------- */

struct walk {
	weir_config *config;
	struct weir_entry entry; /* what is the same for all entries of the tree */
	struct weir_dynbuf key;  /* of the node that is visited */
};

/* Adds ".part" to the key. */
static void enter(struct walk *walk, const struct weir_node *node)
{
	if (walk->key.len)
		weir_dynbuf_add_char(&walk->key, '.');
	weir_dynbuf_add_buf(&walk->key, node->key);
}

static void leave(struct walk *walk, const struct weir_node *node)
{
	size_t drop = node->key.len + 1;

	walk->key.len = walk->key.len > drop ? walk->key.len - drop : 0;
	if (walk->key.ptr)
		walk->key.ptr[walk->key.len] = '\0';
}

/* An object is descended into unless its key is a row of its own: then it is a value of the wrong type. */
static bool is_leaf(const struct walk *walk, const struct weir_node *node)
{
	const struct weir_field *row;

	if (node->kind != WEIR_JSON_OBJECT || !node->first || !node->key.len)
		return true;
	row = weir_field_find(weir_field_canonical(walk->key.ptr, false), false);
	return row && !strchr(row->option.key, '*');
}

static void visit(struct walk *walk, const struct weir_node *node)
{
	walk->entry.input.node = node;
	walk->entry.place.at = node->key_at;
	if (key_is_sound(walk->config, &walk->entry.place, walk->key.ptr, walk->key.len))
		add_entry(walk->config, weir_field_canonical(walk->key.ptr, false), &walk->entry);
}

/* The node after `node` in the order of the text, which leaves objects on the way. NULL: none. */
static const struct weir_node *advance(struct walk *walk, const struct weir_node *node, const struct weir_node *root)
{
	leave(walk, node);
	while (!node->next) {
		node = node->parent;
		if (node == root)
			return NULL;
		leave(walk, node);
	}
	return node->next;
}

static void add_below(weir_config *config, const char *prefix, const char *source, enum weir_layer layer,
		      const struct weir_node *root)
{
	struct walk walk = { .config = config, .entry = { .place.source = source, .layer = layer } };
	const struct weir_node *node = root->first;

	weir_dynbuf_init(&walk.key, VALUE_MAX);
	weir_dynbuf_add_text(&walk.key, prefix);
	while (node && !config->no_memory) {
		enter(&walk, node);
		if (walk.key.failed) {
			config->no_memory = true;
		} else if (is_leaf(&walk, node)) {
			visit(&walk, node);
			node = advance(&walk, node, root);
		} else {
			node = node->first;
		}
	}
	weir_dynbuf_fini(&walk.key);
}

void weir_config_add_tree(weir_config *config, const char *source, enum weir_layer layer, const struct weir_node *root)
{
	add_below(config, "", source, layer, root);
}

/* ---- one key ------------------------------------------------------------- */

/* What a text is as JSON; a string if it is not JSON. NULL: no memory. */
static const struct weir_node *node_of(weir_config *config, struct weir_buf text)
{
	struct weir_tree_error err;
	struct weir_node *node;
	int code = weir_tree_parse(text, &config->arena, &node, &err);

	if (code == WEIR_EINVAL) {
		node = weir_arena_alloc(&config->arena, sizeof *node);
		if (node)
			*node = (struct weir_node){ .kind = WEIR_JSON_STRING, .text = text };
	}
	return code == WEIR_ENOMEM ? NULL : node;
}

/* `log={"format":"json"}`: an object for a section, not a value that looks like one. */
static bool is_section(const char *key, const struct weir_entry *entry)
{
	const struct weir_node *node = entry->input.node;

	return entry->layer != WEIR_LAYER_OVERRIDE && node->kind == WEIR_JSON_OBJECT && node->first &&
	       (weir_field_is_section(key) || !strchr(key, '.'));
}

void weir_config_add_text_value(weir_config *config, const struct weir_place *place, enum weir_layer layer,
				struct weir_buf key, struct weir_buf value, bool fold)
{
	struct weir_entry entry = { .layer = layer, .input.text = true, .place = *place };
	const char *name = weir_arena_text(&config->arena, key);

	entry.input.raw = weir_arena_copy(&config->arena, value);
	if (!name || !entry.input.raw.ptr) {
		config->no_memory = true;
		return;
	}
	if (!key_is_sound(config, &entry.place, name, key.len))
		return;
	entry.input.node = node_of(config, entry.input.raw);
	name = spell(weir_field_canonical(name, fold), fold);
	if (!entry.input.node)
		config->no_memory = true;
	else if (is_section(name, &entry))
		add_below(config, name, entry.place.source, layer, entry.input.node);
	else
		add_entry(config, name, &entry);
}

/* "--set KEY", "environment NAME" in the arena; source NULL: no memory, noted. */
static struct weir_place place_named(weir_config *config, const char *what, struct weir_buf name)
{
	char shown[WEIR_PRINTABLE_SIZE], text[32 + WEIR_PRINTABLE_SIZE];
	struct weir_place place = { NULL, { 0, 0 } };

	snprintf(text, sizeof text, "%s %s", what, weir_printable(name, shown));
	place.source = weir_arena_text(&config->arena, weir_str(text));
	config->no_memory |= !place.source;
	return place;
}

int weir_config_add_setting(weir_config *config, const char *assignment)
{
	const char *equals = strchr(assignment, '=');
	struct weir_place place = { "--set", { 0, 0 } };
	struct weir_buf key;

	if (!equals) {
		weir_config_problem_add(config, &place, NULL, "a setting without '='; allowed: KEY=VALUE");
		return config->no_memory ? WEIR_ENOMEM : WEIR_OK;
	}
	key = weir_str_trim((struct weir_buf){ assignment, (size_t)(equals - assignment) });
	place = place_named(config, "--set", key);
	if (place.source)
		weir_config_add_text_value(config, &place, WEIR_LAYER_SETTING, key, weir_str(equals + 1), false);
	return config->no_memory ? WEIR_ENOMEM : WEIR_OK;
}

/* ---- environment --------------------------------------------------------- */

/*
 * "WEIR_DISPATCHER__LISTEN" gives "dispatcher.listen". Other variables that begin
 * with WEIR_ are nobody's mistake: Kubernetes makes WEIR_SERVICE_HOST for a
 * service of that name. False: not a setting.
 */
static bool key_of_variable(struct weir_buf name, struct weir_dynbuf *key)
{
	const char *at = (const char *)name.ptr + strlen("WEIR_");
	size_t len = name.len - strlen("WEIR_");
	bool dotted = false;

	for (size_t i = 0; i < len; i++) {
		bool dot = i + 1 < len && at[i] == '_' && at[i + 1] == '_';

		weir_dynbuf_add_char(key, dot ? '.' : (char)tolower((unsigned char)at[i]));
		i += dot;
		dotted |= dot;
	}
	return !key->failed && len && (dotted || weir_field_find(key->ptr, true));
}

static void add_variable(weir_config *config, struct weir_buf name, struct weir_buf value)
{
	struct weir_place place;
	struct weir_dynbuf key;

	weir_dynbuf_init(&key, KEY_MAX);
	if (key_of_variable(name, &key)) {
		place = place_named(config, "environment", name);
		if (place.source)
			weir_config_add_text_value(config, &place, WEIR_LAYER_ENVIRONMENT, weir_dynbuf_view(&key),
						   value, true);
	}
	weir_dynbuf_fini(&key);
}

/* The first folder: systemd separates several by colons. */
static void keep_state_directory(weir_config *config, struct weir_buf value)
{
	struct weir_buf first;

	if (!weir_str_split(&value, ':', &first) || !first.len)
		return;
	config->state_directory = weir_arena_text(&config->arena, first);
	config->no_memory |= !config->state_directory;
}

int weir_config_add_environment(weir_config *config, char *const *environment)
{
	for (; *environment && !config->no_memory; environment++) {
		const char *equals = strchr(*environment, '=');
		struct weir_buf name = { *environment, equals ? (size_t)(equals - *environment) : 0 };

		if (!equals)
			continue;
		if (weir_str_equal(name, WEIR_STR("STATE_DIRECTORY")))
			keep_state_directory(config, weir_str(equals + 1));
		else if (weir_str_starts(name, WEIR_STR("WEIR_")))
			add_variable(config, name, weir_str(equals + 1));
	}
	return config->no_memory ? WEIR_ENOMEM : WEIR_OK;
}
