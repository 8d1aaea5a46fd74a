/* SPDX-License-Identifier: Apache-2.0 */
/* config/routes: what channels and subscriptions must be to each other: single, known, and not in circles. */
#include "config/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/near.h"
#include "base/str.h"
#include "config/forms.h"
#include "config/own_url.h"

enum { KEY_SIZE = 700 };

/* ---- the index ----------------------------------------------------------- */

static int names_compare(const struct weir_channel_settings *a, const struct weir_channel_settings *b)
{
	int order = strcmp(a->ns, b->ns);

	return order ? order : strcmp(a->name, b->name);
}

static int index_compare(const void *a, const void *b)
{
	const struct weir_channel_settings *const *x = a, *const *y = b;
	int order = names_compare(*x, *y);

	return order ? order : *x < *y ? -1 : *x > *y;
}

/* Where the channel is in the index; the first of several. SIZE_MAX: nowhere. */
static size_t find(const weir_config *config, const char *ns, const char *name)
{
	struct weir_channel_settings wanted = { .ns = ns, .name = name };
	size_t low = 0, high = config->channel_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (names_compare(config->channel_index[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < config->channel_count && names_compare(config->channel_index[low], &wanted) == 0 ? low : SIZE_MAX;
}

const char *weir_config_kind(const weir_config *config, const char *ns, const char *name)
{
	size_t at = find(config, ns, name);
	char key[128];
	const char *kind = at != SIZE_MAX ? config->channel_index[at]->kind : NULL;

	if (!kind && snprintf(key, sizeof key, "channel.namespaces.%s.kind", ns) < (int)sizeof key)
		kind = weir_config_get(config, key);
	return kind ? kind : weir_config_get(config, "channel.default.kind");
}

/* ---- one of each --------------------------------------------------------- */

static void check_channels_single(weir_config *config)
{
	for (size_t i = 1; i < config->channel_count; i++) {
		const struct weir_channel_settings *first = config->channel_index[i - 1],
						   *again = config->channel_index[i];
		struct weir_place place = { again->where, { 0, 0 } };

		if (names_compare(first, again) == 0)
			weir_config_problem_add(config, &place, again->is_broker ? "brokers" : "channels",
						"channel %s/%s is there already, at %s", again->ns, again->name,
						first->where);
	}
}

typedef const struct weir_subscription_settings *subscription_ref;

static int by_name(const void *a, const void *b)
{
	const subscription_ref *x = a, *y = b;
	int order = strcmp((*x)->name, (*y)->name);

	return order ? order : *x < *y ? -1 : *x > *y;
}

static int by_uid(const void *a, const void *b)
{
	const subscription_ref *x = a, *y = b;
	int order = strcmp((*x)->uid, (*y)->uid);

	return order ? order : *x < *y ? -1 : *x > *y;
}

static void say_subscription(weir_config *config, const struct weir_channel_settings *channel, subscription_ref first,
			     subscription_ref again, const char *what)
{
	struct weir_place place = { again->where, { 0, 0 } };
	char key[KEY_SIZE];

	snprintf(key, sizeof key, "subscription %s of %s/%s", again->name, channel->ns, channel->name);
	weir_config_problem_add(config, &place, key, "has the %s of the subscription at %s", what, first->where);
}

static void check_subscriptions_single(weir_config *config, const struct weir_channel_settings *channel)
{
	size_t count = channel->subscription_count;
	subscription_ref *refs;

	if (count < 2)
		return;
	refs = weir_mem_zalloc(count, sizeof *refs);
	if (!refs) {
		config->no_memory = true;
		return;
	}
	for (size_t i = 0; i < count; i++)
		refs[i] = &channel->subscriptions[i];
	qsort(refs, count, sizeof *refs, by_name);
	for (size_t i = 1; i < count; i++) {
		if (strcmp(refs[i - 1]->name, refs[i]->name) == 0)
			say_subscription(config, channel, refs[i - 1], refs[i], "name");
	}
	qsort(refs, count, sizeof *refs, by_uid);
	for (size_t i = 1; i < count; i++) {
		if (strcmp(refs[i - 1]->uid, refs[i]->uid) == 0 && strcmp(refs[i - 1]->name, refs[i]->name) != 0)
			say_subscription(config, channel, refs[i - 1], refs[i], "uid");
	}
	weir_mem_free(refs);
}

/* ---- targets ------------------------------------------------------------- */

/* Takes the names out of a target, "channel:NS/NAME" or a URL that leads back here. False: it leads elsewhere. */
static bool split_target(const weir_config *config, const char *target, struct weir_buf *ns, struct weir_buf *name)
{
	struct weir_buf listen = weir_str(weir_config_get(config, "dispatcher.listen"));

	return target && (weir_form_split_channel(weir_str(target), ns, name) ||
			  weir_own_url(weir_str(target), listen, ns, name));
}

bool weir_config_leads_here(const weir_config *config, const char *url)
{
	struct weir_buf listen = weir_str(weir_config_get(config, "dispatcher.listen")), ns, name;

	return url && weir_own_url(weir_str(url), listen, &ns, &name);
}

/* Where in the index the channel is that a target leads to. SIZE_MAX: elsewhere, or it is not known. */
static size_t target_index(const weir_config *config, const char *target)
{
	struct weir_buf ns, name;
	char space[64], own[256];

	if (!split_target(config, target, &ns, &name) || ns.len >= sizeof space || name.len >= sizeof own)
		return SIZE_MAX;
	snprintf(space, sizeof space, "%.*s", (int)ns.len, (const char *)ns.ptr);
	snprintf(own, sizeof own, "%.*s", (int)name.len, (const char *)name.ptr);
	return find(config, space, own);
}

enum { OFFERED_MAX = 1000 }; /* names that are compared with a mistyped one */

static void refuse_target(weir_config *config, const struct weir_place *place, const char *key, struct weir_buf ns,
			  struct weir_buf name, bool certain)
{
	char full[320], best[320] = "", wanted[320];
	struct weir_near near;

	snprintf(wanted, sizeof wanted, "%.*s/%.*s", (int)ns.len, (const char *)ns.ptr, (int)name.len,
		 (const char *)name.ptr);
	near = weir_near_init(weir_str(wanted));
	for (size_t i = 0; i < config->channel_count && i < OFFERED_MAX; i++) {
		const struct weir_channel_settings *channel = config->channel_index[i];

		snprintf(full, sizeof full, "%s/%s", channel->ns, channel->name);
		near.best = NULL;
		weir_near_offer(&near, full);
		if (near.best)
			memcpy(best, full, sizeof best);
	}
	/* An URL may after all be meant for somebody else who has this address when it matters. */
	(certain ? weir_config_problem_add
		 : weir_config_warning_add)(config, place, key, "names the channel %s, which is not configured%s%s%s",
					    wanted, best[0] ? "; did you mean \"" : "", best, best[0] ? "\"?" : "");
}

static void check_target(weir_config *config, const struct weir_channel_settings *channel,
			 subscription_ref subscription, const char *target, const char *member)
{
	struct weir_place place = { subscription->where, { 0, 0 } };
	size_t at = target_index(config, target);
	struct weir_buf ns, name;
	char key[KEY_SIZE];

	if (!split_target(config, target, &ns, &name))
		return;
	snprintf(key, sizeof key, "subscription %s of %s/%s: %s", subscription->name, channel->ns, channel->name,
		 member);
	if (at == SIZE_MAX)
		refuse_target(config, &place, key, ns, name, weir_str_starts(weir_str(target), WEIR_STR("channel:")));
	else if (strcmp(member, "delivery.deadLetterSink") == 0 &&
		 names_compare(config->channel_index[at], channel) == 0)
		weir_config_problem_add(config, &place, key,
					"is the channel itself: what cannot be delivered would come back for ever");
}

/* ---- circles ------------------------------------------------------------- */

/*
 * Where a walk is: a channel, and which of the ways out of it comes next. A
 * subscription has two: its subscriber, which may be a channel of this
 * dispatcher, and its reply.
 */
struct step {
	size_t channel, next;
};

enum { NEW = 0, OPEN, DONE };

static void warn_circle(weir_config *config, const struct step *step, const struct weir_channel_settings *to)
{
	const struct weir_channel_settings *channel = config->channel_index[step->channel];
	const struct weir_subscription_settings *last = &channel->subscriptions[(step->next - 1) / 2];
	struct weir_place place = { last->where, { 0, 0 } };
	char key[KEY_SIZE];

	snprintf(key, sizeof key, "subscription %s of %s/%s: %s", last->name, channel->ns, channel->name,
		 step->next % 2 ? "subscriber" : "reply");
	weir_config_warning_add(config, &place, key, "closes a circle through the channel %s/%s", to->ns, to->name);
}

static const char *way_out(const struct weir_channel_settings *channel, size_t number)
{
	const struct weir_subscription_settings *subscription = &channel->subscriptions[number / 2];

	/* That replies come back to a broker is what triggers are for: the hop limit ends what goes round. */
	if (channel->is_broker && number % 2)
		return NULL;
	return number % 2 ? subscription->reply : subscription->subscriber;
}

/* Depth first from one channel, without recursion. `steps` has room for each channel once. */
static void walk(weir_config *config, size_t start, unsigned char *state, struct step *steps)
{
	size_t depth = 0;

	steps[0] = (struct step){ start, 0 };
	state[start] = OPEN;
	for (;;) {
		struct step *step = &steps[depth];
		const struct weir_channel_settings *channel = config->channel_index[step->channel];
		size_t target;

		if (step->next == channel->subscription_count * 2) {
			state[step->channel] = DONE;
			if (!depth--)
				return;
			continue;
		}
		target = target_index(config, way_out(channel, step->next++));
		if (target == SIZE_MAX || state[target] == DONE)
			continue;
		if (state[target] == OPEN) {
			warn_circle(config, step, config->channel_index[target]);
			continue;
		}
		state[target] = OPEN;
		steps[++depth] = (struct step){ target, 0 };
	}
}

static void check_circles(weir_config *config)
{
	unsigned char *state = weir_mem_zalloc(config->channel_count, 1);
	struct step *steps = weir_mem_zalloc(config->channel_count, sizeof *steps);

	config->no_memory |= !state || !steps;
	for (size_t i = 0; i < config->channel_count && !config->no_memory; i++) {
		if (state[i] == NEW)
			walk(config, i, state, steps);
	}
	weir_mem_free(steps);
	weir_mem_free(state);
}

/* ---- all of it ----------------------------------------------------------- */

/* Names that are missing or wrong are problems already; relations are judged only when all have one. */
static bool all_named(const weir_config *config)
{
	for (size_t i = 0; i < config->channel_count; i++) {
		const struct weir_channel_settings *channel = &config->channels[i];

		if (!channel->ns || !channel->name)
			return false;
		for (size_t j = 0; j < channel->subscription_count; j++) {
			if (!channel->subscriptions[j].name || !channel->subscriptions[j].uid)
				return false;
		}
	}
	return config->channel_count > 0;
}

void weir_config_check_routes(weir_config *config)
{
	if (!all_named(config)) {
		config->channel_count = 0;
		return;
	}
	for (size_t i = 0; i < config->channel_count; i++)
		config->channel_index[i] = &config->channels[i];
	qsort(config->channel_index, config->channel_count, sizeof(const struct weir_channel_settings *),
	      index_compare);
	check_channels_single(config);
	for (size_t i = 0; i < config->channel_count && !config->no_memory; i++) {
		const struct weir_channel_settings *channel = &config->channels[i];

		check_subscriptions_single(config, channel);
		for (size_t j = 0; j < channel->subscription_count; j++) {
			subscription_ref subscription = &channel->subscriptions[j];

			check_target(config, channel, subscription, subscription->subscriber, "subscriber");
			check_target(config, channel, subscription, subscription->reply, "reply");
			check_target(config, channel, subscription, subscription->delivery.dead_letter_sink,
				     "delivery.deadLetterSink");
		}
	}
	check_circles(config);
}
