/* SPDX-License-Identifier: Apache-2.0 */
/* config/channels: the members of `channels`, their subscriptions and deliveries, typed. */
#include "config/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* ---- delivery ------------------------------------------------------------ */

static void fill_delivery(const struct weir_member *members, struct weir_delivery_settings *ret)
{
	ret->dead_letter_sink = members[WEIR_DELIVERY_DEAD_LETTER_SINK].value.text;
	ret->retry = (uint32_t)members[WEIR_DELIVERY_RETRY].value.number;
	ret->backoff = (enum weir_backoff)members[WEIR_DELIVERY_BACKOFF_POLICY].value.number;
	ret->backoff_delay_ms = members[WEIR_DELIVERY_BACKOFF_DELAY].value.number;
	ret->timeout_ms = members[WEIR_DELIVERY_TIMEOUT].value.number;
	ret->retry_after_max_ms = members[WEIR_DELIVERY_RETRY_AFTER_MAX].value.number;
	ret->order = (enum weir_order)members[WEIR_DELIVERY_ORDER].value.number;
	ret->max_in_flight = (uint32_t)members[WEIR_DELIVERY_MAX_IN_FLIGHT].value.number;
	ret->structured = members[WEIR_DELIVERY_FORMAT].value.number == 1;
}

void weir_reader_delivery(const struct weir_reader *reader, const struct weir_node *node, const char *parent,
			  const struct weir_delivery_settings *inherited, struct weir_delivery_settings *ret)
{
	static const struct weir_node none = { .kind = WEIR_JSON_OBJECT };
	struct weir_member members[WEIR_MEMBERS_MAX];
	char path[WEIR_PATH_SIZE];

	if (!node && inherited) {
		*ret = *inherited;
		return;
	}
	snprintf(path, sizeof path, "%.100s.delivery", parent);
	weir_reader_object(reader, &weir_delivery_fields, node ? node : &none, path, members);
	fill_delivery(members, ret);
}

/* ---- subscriptions ------------------------------------------------------- */

static void read_subscription(const struct weir_reader *reader, const struct weir_node *node, const char *path,
			      const struct weir_delivery_settings *inherited, struct weir_subscription_settings *ret)
{
	struct weir_place place = weir_reader_place(reader, node->at);
	struct weir_member members[WEIR_MEMBERS_MAX];

	weir_reader_object(reader, &weir_subscription_fields, node, path, members);
	ret->name = members[WEIR_SUBSCRIPTION_NAME].value.text;
	ret->uid = members[WEIR_SUBSCRIPTION_UID].value.text;
	if (!members[WEIR_SUBSCRIPTION_UID].node)
		ret->uid = ret->name;
	ret->subscriber = members[WEIR_SUBSCRIPTION_SUBSCRIBER].value.text;
	ret->reply = members[WEIR_SUBSCRIPTION_REPLY].value.text;
	ret->from_earliest = members[WEIR_SUBSCRIPTION_FROM].value.number == 1;
	ret->own_subscriber = weir_config_leads_here(reader->config, ret->subscriber);
	ret->where = weir_config_where(reader->config, &place);
	weir_reader_delivery(reader, members[WEIR_SUBSCRIPTION_DELIVERY].node, path, inherited, &ret->delivery);
	weir_reader_filters(reader, members[WEIR_SUBSCRIPTION_FILTERS].node, path, ret);
}

static void read_subscriptions(const struct weir_reader *reader, const struct weir_node *array, const char *parent,
			       const struct weir_delivery_settings *inherited, struct weir_channel_settings *channel)
{
	struct weir_subscription_settings *all;
	const struct weir_node *node;
	char path[WEIR_PATH_SIZE];
	size_t i = 0;

	snprintf(path, sizeof path, "%.60s.subscriptions", parent);
	node = weir_reader_items(reader, array, path);
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

static void read_channel(const struct weir_reader *reader, const struct weir_node *node, const char *path,
			 struct weir_channel_settings *ret)
{
	struct weir_place place = weir_reader_place(reader, node->at);
	struct weir_delivery_settings delivery;
	struct weir_member members[WEIR_MEMBERS_MAX];

	weir_reader_object(reader, &weir_channel_fields, node, path, members);
	ret->ns = members[WEIR_CHANNEL_NAMESPACE].value.text;
	ret->name = members[WEIR_CHANNEL_NAME].value.text;
	ret->kind = members[WEIR_CHANNEL_KIND].value.text;
	ret->where = weir_config_where(reader->config, &place);
	weir_reader_delivery(reader, members[WEIR_CHANNEL_DELIVERY].node, path, NULL, &delivery);
	read_subscriptions(reader, members[WEIR_CHANNEL_SUBSCRIPTIONS].node, path, &delivery, ret);
}

static bool is_channels(const struct weir_entry *entry)
{
	return strcmp(entry->key, "channels") == 0;
}

bool weir_config_is_broken_json(weir_config *config, const struct weir_entry *entry)
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
	struct weir_reader reader = { config, entry->place.source };
	const struct weir_node *node;
	char path[WEIR_PATH_SIZE];

	if (weir_config_is_broken_json(config, entry))
		return;
	node = weir_reader_items(&reader, entry->input.node, "channels");
	for (size_t i = 0; node && !config->no_memory; node = node->next, i++) {
		snprintf(path, sizeof path, "channels[%zu]", i);
		read_channel(&reader, node, path, &config->channels[config->channel_count++]);
	}
}

void weir_config_resolve_channels(weir_config *config)
{
	size_t most = weir_config_count_brokers(config);

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
	if (!config->no_memory)
		weir_config_resolve_brokers(config);
}
