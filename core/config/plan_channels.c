/* SPDX-License-Identifier: Apache-2.0 */
#include "config/plan_channels.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "config/settings.h"

enum { KEY_MAX = 1024, WORDS_MAX = 512 };

struct set {
	const weir_config *config;
	const struct weir_channel_settings *channels;
	size_t count;
};

/* As the dispatcher does it: `default/default` when there is none. */
static struct set set_of(const weir_config *config)
{
	static const struct weir_channel_settings only = { .ns = "default", .name = "default" };
	struct set set = { .config = config };

	set.count = weir_config_channels(config, &set.channels);
	if (!set.count) {
		set.channels = &only;
		set.count = 1;
	}
	return set;
}

/* Channels hardly change their order: looked for from where it was. */
static const struct weir_channel_settings *find_channel(const struct set *set, const struct weir_channel_settings *like,
							size_t hint)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct weir_channel_settings *channel = &set->channels[(hint + i) % set->count];

		if (strcmp(channel->name, like->name) == 0 && strcmp(channel->ns, like->ns) == 0)
			return channel;
	}
	return NULL;
}

static const struct weir_subscription_settings *find_subscription(const struct weir_channel_settings *channel,
								  const char *uid)
{
	for (size_t i = 0; channel && i < channel->subscription_count; i++) {
		if (strcmp(channel->subscriptions[i].uid, uid) == 0)
			return &channel->subscriptions[i];
	}
	return NULL;
}

/* ---- what of a subscription changes --------------------------------------- */

static void add_word(char words[WORDS_MAX], const char *word, bool differs)
{
	size_t used = strlen(words);

	if (differs)
		snprintf(words + used, WORDS_MAX - used, "%s%s", used ? ", " : "", word);
}

static bool differ(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) != 0 : a != b;
}

static void compare_delivery(char words[WORDS_MAX], const struct weir_delivery_settings *a,
			     const struct weir_delivery_settings *b)
{
	add_word(words, "deadLetterSink", differ(a->dead_letter_sink, b->dead_letter_sink));
	add_word(words, "retry", a->retry != b->retry);
	add_word(words, "backoffPolicy", a->backoff != b->backoff);
	add_word(words, "backoffDelay", a->backoff_delay_ms != b->backoff_delay_ms);
	add_word(words, "timeout", a->timeout_ms != b->timeout_ms);
	add_word(words, "retryAfterMax", a->retry_after_max_ms != b->retry_after_max_ms);
	add_word(words, "order", a->order != b->order);
	add_word(words, "maxInFlight", a->max_in_flight != b->max_in_flight);
	add_word(words, "format", a->structured != b->structured);
}

static void subscription_key(char key[KEY_MAX], const struct weir_channel_settings *channel, const char *name)
{
	snprintf(key, KEY_MAX, "channels[%s/%s].subscriptions[%s]", channel->ns, channel->name, name);
}

static void compare_subscription(struct weir_plan *plan, const struct weir_channel_settings *channel,
				 const struct weir_subscription_settings *now,
				 const struct weir_subscription_settings *next)
{
	char words[WORDS_MAX] = "", key[KEY_MAX];

	add_word(words, "name", differ(now->name, next->name));
	add_word(words, "subscriber", differ(now->subscriber, next->subscriber));
	add_word(words, "reply", differ(now->reply, next->reply));
	add_word(words, "filters", differ(now->filters, next->filters));
	add_word(words, "filters", differ(now->filters, next->filters));
	compare_delivery(words, &now->delivery, &next->delivery);
	subscription_key(key, channel, next->name);
	if (words[0])
		weir_plan_add(plan, WEIR_PLAN_CHANGE, key, "%s", words);
	if (now->from_earliest != next->from_earliest)
		weir_plan_add(plan, WEIR_PLAN_CHANGE, key, "from: only matters for a subscription that is new");
}

static void compare_subscriptions(struct weir_plan *plan, const struct weir_channel_settings *now,
				  const struct weir_channel_settings *next)
{
	char key[KEY_MAX];

	for (size_t i = 0; now && i < now->subscription_count; i++) {
		subscription_key(key, now, now->subscriptions[i].name);
		if (!find_subscription(next, now->subscriptions[i].uid))
			weir_plan_add(plan, WEIR_PLAN_REMOVE, key,
				      "finishes what it has under way; its position stays with the backend");
	}
	for (size_t i = 0; next && i < next->subscription_count; i++) {
		const struct weir_subscription_settings *before = find_subscription(now, next->subscriptions[i].uid);

		subscription_key(key, next, next->subscriptions[i].name);
		if (before)
			compare_subscription(plan, next, before, &next->subscriptions[i]);
		else
			weir_plan_add(plan, WEIR_PLAN_ADD, key, "from %s unless the backend knows its position",
				      next->subscriptions[i].from_earliest ? "earliest" : "latest");
	}
}

/* ---- channels ------------------------------------------------------------- */

static void channel_key(char key[KEY_MAX], const struct weir_channel_settings *channel)
{
	snprintf(key, KEY_MAX, "channels[%s/%s]", channel->ns, channel->name);
}

static void compare_kind(struct weir_plan *plan, const struct set *now, const struct set *next,
			 const struct weir_channel_settings *channel)
{
	const char *before = weir_config_kind(now->config, channel->ns, channel->name);
	const char *after = weir_config_kind(next->config, channel->ns, channel->name);
	struct weir_plan_step *step;
	char key[KEY_MAX];

	if (!differ(before, after))
		return;
	channel_key(key, channel);
	step = weir_plan_add(plan, WEIR_PLAN_MOVE, key,
			     "from %s to %s: new events go there, the old backend is drained", before, after);
	if (!step)
		return;
	step->kind = after;
	step->ns = channel->ns;
	step->name = channel->name;
}

void weir_plan_channels(struct weir_plan *plan, const weir_config *now_config, const weir_config *next_config)
{
	const struct set now = set_of(now_config), next = set_of(next_config);
	char key[KEY_MAX];

	for (size_t i = 0; i < now.count; i++) {
		channel_key(key, &now.channels[i]);
		if (find_channel(&next, &now.channels[i], i))
			continue;
		compare_subscriptions(plan, &now.channels[i], NULL);
		weir_plan_add(plan, WEIR_PLAN_REMOVE, key, "its events stay with the backend");
	}
	for (size_t i = 0; i < next.count; i++) {
		const struct weir_channel_settings *before = find_channel(&now, &next.channels[i], i);

		channel_key(key, &next.channels[i]);
		if (before)
			compare_kind(plan, &now, &next, &next.channels[i]);
		else
			weir_plan_add(plan, WEIR_PLAN_ADD, key, "on %s",
				      weir_config_kind(next_config, next.channels[i].ns, next.channels[i].name));
		compare_subscriptions(plan, before, &next.channels[i]);
	}
}
