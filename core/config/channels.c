/* SPDX-License-Identifier: Apache-2.0 */
/* config/channels: the members of `channels`, their subscriptions and deliveries, typed. */
#include "config/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/near.h"
#include "base/str.h"

enum { MEMBERS_MAX = 8, PATH_SIZE = 128 };

_Static_assert((int)WEIR_DELIVERY_FIELDS <= (int)MEMBERS_MAX, "the widest table must fit");

struct member {
	const struct weir_node *node; /* NULL: not given */
	struct weir_checked value;    /* given, or the default */
};

struct reader {
	weir_config *config;
	const char *source;
};

static struct weir_place place_at(const struct reader *reader, struct weir_position at)
{
	return (struct weir_place){ reader->source, at };
}

/* ---- objects by table ---------------------------------------------------- */

static const struct weir_field *row_of(const struct weir_field_table *table, struct weir_buf key)
{
	for (size_t i = 0; i < table->count; i++) {
		if (weir_str_equal(key, weir_str(table->rows[i].option.key)))
			return &table->rows[i];
	}
	return NULL;
}

static void refuse_member(const struct reader *reader, const struct weir_field_table *table,
			  const struct weir_node *node, const char *path)
{
	struct weir_place place = place_at(reader, node->key_at);
	struct weir_near near = weir_near_init(node->key);
	char shown[WEIR_PRINTABLE_SIZE], key[PATH_SIZE + WEIR_PRINTABLE_SIZE];

	for (size_t i = 0; i < table->count; i++)
		weir_near_offer(&near, table->rows[i].option.key);
	snprintf(key, sizeof key, "%s.%s", path, weir_printable(node->key, shown));
	weir_config_problem_add(reader->config, &place, key, "unknown key%s%s%s", near.best ? "; did you mean \"" : "",
				near.best ? near.best : "", near.best ? "\"?" : "");
}

static void read_member(const struct reader *reader, const struct weir_field *row, const struct weir_node *node,
			const char *path, struct member *ret)
{
	struct weir_input input = { .node = node };
	struct weir_place place = place_at(reader, node->at);
	char why[WEIR_WHY_SIZE], key[PATH_SIZE + WEIR_PRINTABLE_SIZE];
	int code;

	ret->node = node;
	if (row->option.type >= WEIR_FIELD_OBJECT)
		return;
	code = weir_check(row, &input, &reader->config->arena, &ret->value, why);
	reader->config->no_memory |= code == WEIR_ENOMEM;
	if (code != WEIR_EINVAL)
		return;
	snprintf(key, sizeof key, "%s.%s", path, row->option.key);
	weir_config_problem_add(reader->config, &place, key, "%s", why);
}

static void fill_absent(const struct reader *reader, const struct weir_field *row, const struct weir_node *object,
			const char *path, struct member *ret)
{
	struct weir_place place = place_at(reader, object->at);
	char key[PATH_SIZE + WEIR_PRINTABLE_SIZE];

	if (ret->node)
		return;
	if (row->option.type < WEIR_FIELD_OBJECT)
		weir_config_fallback(reader->config, row, &ret->value);
	if (!(row->option.flags & WEIR_OPTION_REQUIRED))
		return;
	snprintf(key, sizeof key, "%s.%s", path, row->option.key);
	weir_config_problem_add(reader->config, &place, key, "is missing");
}

/* Reads `object` (a node of any kind) by a table into `out`, one for each row. */
static void read_object(const struct reader *reader, const struct weir_field_table *table,
			const struct weir_node *object, const char *path, struct member out[MEMBERS_MAX])
{
	struct weir_place place = place_at(reader, object->at);

	memset(out, 0, MEMBERS_MAX * sizeof *out);
	if (object->kind != WEIR_JSON_OBJECT) {
		weir_config_problem_add(reader->config, &place, path, "must be an object, not %s",
					weir_node_kind_text(object));
		return;
	}
	for (const struct weir_node *node = object->first; node; node = node->next) {
		const struct weir_field *row = row_of(table, node->key);

		if (row)
			read_member(reader, row, node, path, &out[row - table->rows]);
		else
			refuse_member(reader, table, node, path);
	}
	for (size_t i = 0; i < table->count; i++)
		fill_absent(reader, &table->rows[i], object, path, &out[i]);
}

/* The items of an array; NULL if there is none or it is no array, which is then said. */
static const struct weir_node *items_of(const struct reader *reader, const struct weir_node *array, const char *path)
{
	struct weir_place place;

	if (!array || array->kind == WEIR_JSON_ARRAY)
		return array ? array->first : NULL;
	place = place_at(reader, array->at);
	weir_config_problem_add(reader->config, &place, path, "must be an array of objects, not %s",
				weir_node_kind_text(array));
	return NULL;
}

/* ---- delivery ------------------------------------------------------------ */

static void fill_delivery(const struct member *members, struct weir_delivery_settings *ret)
{
	ret->dead_letter_sink = members[WEIR_DELIVERY_DEAD_LETTER_SINK].value.text;
	ret->retry = (uint32_t)members[WEIR_DELIVERY_RETRY].value.number;
	ret->backoff = (enum weir_backoff)members[WEIR_DELIVERY_BACKOFF_POLICY].value.number;
	ret->backoff_delay_ms = members[WEIR_DELIVERY_BACKOFF_DELAY].value.number;
	ret->timeout_ms = members[WEIR_DELIVERY_TIMEOUT].value.number;
	ret->retry_after_max_ms = members[WEIR_DELIVERY_RETRY_AFTER_MAX].value.number;
	ret->order = (enum weir_order)members[WEIR_DELIVERY_ORDER].value.number;
	ret->max_in_flight = (uint32_t)members[WEIR_DELIVERY_MAX_IN_FLIGHT].value.number;
}

/* `node` NULL: what `inherited` says; that NULL too: the defaults. */
static void read_delivery(const struct reader *reader, const struct weir_node *node, const char *parent,
			  const struct weir_delivery_settings *inherited, struct weir_delivery_settings *ret)
{
	static const struct weir_node none = { .kind = WEIR_JSON_OBJECT };
	struct member members[MEMBERS_MAX];
	char path[PATH_SIZE];

	if (!node && inherited) {
		*ret = *inherited;
		return;
	}
	snprintf(path, sizeof path, "%.100s.delivery", parent);
	read_object(reader, &weir_delivery_fields, node ? node : &none, path, members);
	fill_delivery(members, ret);
}

/* ---- subscriptions ------------------------------------------------------- */

static void read_subscription(const struct reader *reader, const struct weir_node *node, const char *path,
			      const struct weir_delivery_settings *inherited, struct weir_subscription_settings *ret)
{
	struct weir_place place = place_at(reader, node->at);
	struct member members[MEMBERS_MAX];

	read_object(reader, &weir_subscription_fields, node, path, members);
	ret->name = members[WEIR_SUBSCRIPTION_NAME].value.text;
	ret->uid = members[WEIR_SUBSCRIPTION_UID].value.text;
	if (!members[WEIR_SUBSCRIPTION_UID].node)
		ret->uid = ret->name;
	ret->subscriber = members[WEIR_SUBSCRIPTION_SUBSCRIBER].value.text;
	ret->reply = members[WEIR_SUBSCRIPTION_REPLY].value.text;
	ret->from_earliest = members[WEIR_SUBSCRIPTION_FROM].value.number == 1;
	ret->where = weir_config_where(reader->config, &place);
	read_delivery(reader, members[WEIR_SUBSCRIPTION_DELIVERY].node, path, inherited, &ret->delivery);
}

static void read_subscriptions(const struct reader *reader, const struct weir_node *array, const char *parent,
			       const struct weir_delivery_settings *inherited, struct weir_channel_settings *channel)
{
	struct weir_subscription_settings *all;
	const struct weir_node *node;
	char path[PATH_SIZE];
	size_t i = 0;

	snprintf(path, sizeof path, "%.60s.subscriptions", parent);
	node = items_of(reader, array, path);
	if (!node)
		return;
	all = weir_arena_alloc(&reader->config->arena, array->children * sizeof *all);
	if (!all) {
		reader->config->no_memory = true;
		return;
	}
	memset(all, 0, array->children * sizeof *all);
	for (; node && !reader->config->no_memory; node = node->next, i++) {
		snprintf(path, sizeof path, "%.60s.subscriptions[%zu]", parent, i);
		read_subscription(reader, node, path, inherited, &all[i]);
	}
	channel->subscriptions = all;
	channel->subscription_count = i;
}

/* ---- channels ------------------------------------------------------------ */

static void read_channel(const struct reader *reader, const struct weir_node *node, const char *path,
			 struct weir_channel_settings *ret)
{
	struct weir_place place = place_at(reader, node->at);
	struct weir_delivery_settings delivery;
	struct member members[MEMBERS_MAX];

	read_object(reader, &weir_channel_fields, node, path, members);
	ret->ns = members[WEIR_CHANNEL_NAMESPACE].value.text;
	ret->name = members[WEIR_CHANNEL_NAME].value.text;
	ret->kind = members[WEIR_CHANNEL_KIND].value.text;
	ret->where = weir_config_where(reader->config, &place);
	read_delivery(reader, members[WEIR_CHANNEL_DELIVERY].node, path, NULL, &delivery);
	read_subscriptions(reader, members[WEIR_CHANNEL_SUBSCRIPTIONS].node, path, &delivery, ret);
}

static bool is_channels(const struct weir_entry *entry)
{
	return strcmp(entry->key, "channels") == 0;
}

/* `--set channels=[...` that is no JSON came as a string. */
static bool is_broken_json(weir_config *config, const struct weir_entry *entry)
{
	struct weir_place place = { entry->place.source, { 0, 0 } };
	struct weir_tree_error err;
	struct weir_node *node;

	if (!entry->input.text || entry->input.node->kind != WEIR_JSON_STRING ||
	    weir_tree_parse(entry->input.raw, &config->arena, &node, &err) != WEIR_EINVAL)
		return false;
	place.at = err.at;
	weir_config_problem_add(config, &place, entry->key, "is not JSON: %s", err.text);
	return true;
}

static void read_entry(weir_config *config, const struct weir_entry *entry)
{
	struct reader reader = { config, entry->place.source };
	const struct weir_node *node;
	char path[PATH_SIZE];

	if (is_broken_json(config, entry))
		return;
	node = items_of(&reader, entry->input.node, "channels");
	for (size_t i = 0; node && !config->no_memory; node = node->next, i++) {
		snprintf(path, sizeof path, "channels[%zu]", i);
		read_channel(&reader, node, path, &config->channels[config->channel_count++]);
	}
}

void weir_config_resolve_channels(weir_config *config)
{
	size_t most = 0;

	for (size_t i = 0; i < config->entry_count; i++)
		most += is_channels(&config->entries[i]) ? config->entries[i].input.node->children : 0;
	if (!most)
		most = 1;
	config->channels = weir_mem_zalloc(most, sizeof *config->channels);
	config->channel_index = weir_mem_zalloc(most, sizeof(const struct weir_channel_settings *));
	config->no_memory |= !config->channels || !config->channel_index;
	for (size_t i = 0; i < config->entry_count && !config->no_memory; i++) {
		if (is_channels(&config->entries[i]))
			read_entry(config, &config->entries[i]);
	}
}
