/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/brokers: brokers and triggers. A broker is a channel; a trigger is a
 * subscription of it whose replies go back to the broker. Any layer may add
 * triggers to a broker of another, so they are put together when all are read.
 */
#include "config/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/near.h"
#include "base/str.h"

struct trigger {
	const char *ns, *broker;
	struct weir_subscription_settings settings;
	bool has_delivery; /* of its own */
	bool taken;
	size_t order; /* as it came */
};

struct broker {
	struct weir_channel_settings *channel;
	struct weir_delivery_settings delivery;
};

struct gathering {
	weir_config *config;
	struct broker *brokers;
	size_t broker_count;
	struct trigger *triggers;
	size_t trigger_count;
};

static size_t count_items(const weir_config *config, const char *key)
{
	size_t count = 0;

	for (size_t i = 0; i < config->entry_count; i++) {
		if (strcmp(config->entries[i].key, key) == 0)
			count += config->entries[i].input.node->children;
	}
	return count;
}

size_t weir_config_count_brokers(const weir_config *config)
{
	return count_items(config, "brokers");
}

/* ---- reading -------------------------------------------------------------- */

static void read_broker(struct gathering *gathering, const struct weir_reader *reader, const struct weir_node *node,
			const char *path)
{
	struct weir_place place = weir_reader_place(reader, node->at);
	struct broker *broker = &gathering->brokers[gathering->broker_count++];
	struct weir_member members[WEIR_MEMBERS_MAX];

	weir_reader_object(reader, &weir_broker_fields, node, path, members);
	broker->channel = &gathering->config->channels[gathering->config->channel_count++];
	broker->channel->is_broker = true;
	broker->channel->ns = members[WEIR_BROKER_NAMESPACE].value.text;
	broker->channel->name = members[WEIR_BROKER_NAME].value.text;
	broker->channel->kind = members[WEIR_BROKER_KIND].value.text;
	broker->channel->where = weir_config_where(reader->config, &place);
	weir_reader_delivery(reader, members[WEIR_BROKER_DELIVERY].node, path, NULL, &broker->delivery);
}

static const char *reply_to_broker(weir_config *config, const char *ns, const char *broker)
{
	char text[512];
	const char *kept;

	if (!ns || !broker)
		return NULL;
	snprintf(text, sizeof text, "channel:%s/%s", ns, broker);
	kept = weir_arena_text(&config->arena, weir_str(text));
	config->no_memory |= !kept;
	return kept;
}

static void read_trigger(struct gathering *gathering, const struct weir_reader *reader, const struct weir_node *node,
			 const char *path)
{
	struct weir_place place = weir_reader_place(reader, node->at);
	struct trigger *trigger = &gathering->triggers[gathering->trigger_count];
	struct weir_subscription_settings *settings = &trigger->settings;
	struct weir_member members[WEIR_MEMBERS_MAX];

	weir_reader_object(reader, &weir_trigger_fields, node, path, members);
	trigger->ns = members[WEIR_TRIGGER_NAMESPACE].value.text;
	trigger->broker = members[WEIR_TRIGGER_BROKER].value.text;
	trigger->order = gathering->trigger_count++;
	settings->name = members[WEIR_TRIGGER_NAME].value.text;
	settings->uid = members[WEIR_TRIGGER_UID].node ? members[WEIR_TRIGGER_UID].value.text : settings->name;
	settings->subscriber = members[WEIR_TRIGGER_SUBSCRIBER].value.text;
	settings->reply = reply_to_broker(reader->config, trigger->ns, trigger->broker);
	settings->own_subscriber = weir_config_leads_here(reader->config, settings->subscriber);
	settings->from_earliest = members[WEIR_TRIGGER_FROM].value.number == 1;
	settings->where = weir_config_where(reader->config, &place);
	trigger->has_delivery = members[WEIR_TRIGGER_DELIVERY].node;
	weir_reader_delivery(reader, members[WEIR_TRIGGER_DELIVERY].node, path, NULL, &settings->delivery);
	weir_reader_filters(reader, members[WEIR_TRIGGER_FILTERS].node, path, settings);
}

typedef void read_item(struct gathering *gathering, const struct weir_reader *reader, const struct weir_node *node,
		       const char *path);

static void read_lists(struct gathering *gathering, const char *key, read_item *read)
{
	weir_config *config = gathering->config;
	char path[WEIR_PATH_SIZE];

	for (size_t i = 0; i < config->entry_count; i++) {
		const struct weir_entry *entry = &config->entries[i];
		struct weir_reader reader = { config, entry->place.source };
		const struct weir_node *node;

		if (strcmp(entry->key, key) != 0 || weir_config_is_broken_json(config, entry))
			continue;
		node = weir_reader_items(&reader, entry->input.node, key);
		for (size_t item = 0; node && !config->no_memory; node = node->next, item++) {
			snprintf(path, sizeof path, "%s[%zu]", key, item);
			read(gathering, &reader, node, path);
		}
	}
}

/* ---- putting together ----------------------------------------------------- */

static int text_compare(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int trigger_compare(const struct trigger *trigger, const char *ns, const char *broker)
{
	int order = text_compare(trigger->ns, ns);

	return order ? order : text_compare(trigger->broker, broker);
}

static int by_broker(const void *a, const void *b)
{
	const struct trigger *x = a, *y = b;
	int order = trigger_compare(x, y->ns, y->broker);

	return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

/* The first trigger of a broker; all are sorted. */
static size_t find_first(const struct gathering *gathering, const char *ns, const char *name)
{
	size_t low = 0, high = gathering->trigger_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (trigger_compare(&gathering->triggers[middle], ns, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void give_triggers(struct gathering *gathering, const struct broker *broker)
{
	struct weir_channel_settings *channel = broker->channel;
	size_t first = find_first(gathering, channel->ns, channel->name), end = first;
	struct weir_subscription_settings *all;

	while (end < gathering->trigger_count &&
	       trigger_compare(&gathering->triggers[end], channel->ns, channel->name) == 0)
		end++;
	if (end == first || gathering->triggers[first].taken)
		return;
	all = weir_arena_alloc(&gathering->config->arena, (end - first) * sizeof *all);
	if (!all) {
		gathering->config->no_memory = true;
		return;
	}
	for (size_t i = first; i < end; i++) {
		struct trigger *trigger = &gathering->triggers[i];

		trigger->taken = true;
		if (!trigger->has_delivery)
			trigger->settings.delivery = broker->delivery;
		all[i - first] = trigger->settings;
	}
	channel->subscriptions = all;
	channel->subscription_count = end - first;
}

enum { OFFERED_MAX = 1000 }; /* names that are compared with a mistyped one */

static void refuse_trigger(struct gathering *gathering, const struct trigger *trigger)
{
	struct weir_place place = { trigger->settings.where, { 0, 0 } };
	struct weir_near near = weir_near_init(weir_str(trigger->broker));
	const char *name = trigger->settings.name ? trigger->settings.name : "";
	char key[WEIR_PATH_SIZE * 3];

	for (size_t i = 0; i < gathering->broker_count && i < OFFERED_MAX; i++) {
		const struct weir_channel_settings *broker = gathering->brokers[i].channel;

		if (text_compare(broker->ns, trigger->ns) == 0 && broker->name)
			weir_near_offer(&near, broker->name);
	}
	snprintf(key, sizeof key, "trigger %s of %s", name, trigger->ns);
	weir_config_problem_add(gathering->config, &place, key, "names the broker %s/%s, which is not configured%s%s%s",
				trigger->ns, trigger->broker, near.best ? "; did you mean \"" : "",
				near.best ? near.best : "", near.best ? "\"?" : "");
}

static void put_together(struct gathering *gathering)
{
	if (gathering->trigger_count)
		qsort(gathering->triggers, gathering->trigger_count, sizeof *gathering->triggers, by_broker);
	for (size_t i = 0; i < gathering->broker_count && !gathering->config->no_memory; i++)
		give_triggers(gathering, &gathering->brokers[i]);
	for (size_t i = 0; i < gathering->trigger_count && !gathering->config->no_memory; i++) {
		const struct trigger *trigger = &gathering->triggers[i];

		/* A name that is missing or wrong was told already. */
		if (!trigger->taken && trigger->ns && trigger->broker)
			refuse_trigger(gathering, trigger);
	}
}

void weir_config_resolve_brokers(weir_config *config)
{
	size_t brokers = count_items(config, "brokers"), triggers = count_items(config, "triggers");
	struct gathering gathering = { .config = config };

	gathering.brokers = weir_mem_zalloc(brokers + 1, sizeof *gathering.brokers);
	gathering.triggers = weir_mem_zalloc(triggers + 1, sizeof *gathering.triggers);
	config->no_memory |= !gathering.brokers || !gathering.triggers;
	if (!config->no_memory) {
		read_lists(&gathering, "brokers", read_broker);
		read_lists(&gathering, "triggers", read_trigger);
		put_together(&gathering);
	}
	weir_mem_free(gathering.triggers);
	weir_mem_free(gathering.brokers);
}
