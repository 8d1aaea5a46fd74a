/* SPDX-License-Identifier: Apache-2.0 */
#include "config/listing.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/dynbuf.h"
#include "base/mem.h"
#include "base/str.h"
#include "config/describe.h"
#include "config/driver.h"
#include "config/internal.h"
#include "config/secret.h"

enum { KEY_MAX = 1024 };

struct lister {
	const weir_config *config;
	const struct weir_driver *const *drivers;
	size_t driver_count;
	struct weir_listing *ret;
	bool no_memory;
};

/* Text of any kind is made printable: it goes to a terminal. */
static const char *keep(struct lister *lister, const char *text)
{
	char *copy = weir_arena_text(&lister->ret->arena, weir_str(text));
	bool utf8 = weir_str_is_utf8(weir_str(text));

	lister->no_memory |= !copy;
	for (char *at = copy; at && *at; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f || ((unsigned char)*at >= 0x80 && !utf8))
			*at = '?';
	}
	return copy;
}

static void add(struct lister *lister, const char *key, const char *text, const char *origin)
{
	struct weir_listing *list = lister->ret;

	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 128;
		struct weir_listed *items = weir_mem_realloc(list->items, capacity * sizeof *items);

		lister->no_memory |= !items;
		if (!items)
			return;
		list->items = items;
		list->capacity = capacity;
	}
	list->items[list->count++] =
	    (struct weir_listed){ keep(lister, key), keep(lister, text), keep(lister, origin) };
}

/* ---- dotted keys --------------------------------------------------------- */

static const struct weir_driver *driver_of(const struct lister *lister, const char *key)
{
	for (size_t i = 0; i < lister->driver_count; i++) {
		if (weir_driver_key_within(lister->drivers[i], key))
			return lister->drivers[i];
	}
	return NULL;
}

/* What may be shown of a value in a driver's section. */
static const char *foreign_text(const struct lister *lister, const struct weir_value *value)
{
	const struct weir_driver *driver = driver_of(lister, value->key);
	bool fold = value->entry->layer == WEIR_LAYER_ENVIRONMENT;
	const struct weir_option *option;
	const char *key;

	if (!driver)
		return "(not shown: no driver that was found tells whether it is secret)";
	key = weir_driver_key_within(driver, value->key);
	option = weir_driver_option(driver, key, strlen(key), fold);
	if (option && (option->flags & WEIR_OPTION_SECRET ||
		       (option->flags & WEIR_OPTION_PREFIX && weir_secret_sounds_like(key))))
		return "(secret)";
	if (!option && !weir_driver_file_option(driver, key, fold))
		return "(not shown: the driver does not know it)";
	return value->text;
}

static void list_values(struct lister *lister)
{
	const weir_config *config = lister->config;

	for (size_t i = 0; i < config->value_count; i++) {
		const struct weir_value *value = &config->values[i];
		bool list = value->row && value->row->option.type == WEIR_OPT_LIST;
		const char *text = value->row ? value->text : foreign_text(lister, value);

		if (text || list)
			add(lister, value->key, text ? text : "", value->origin);
	}
}

static void list_driver_defaults(struct lister *lister, const struct weir_driver *driver)
{
	char key[KEY_MAX], text[32];

	for (uint32_t i = 0; i < driver->option_count; i++) {
		const struct weir_option *option = &driver->options[i];

		snprintf(key, sizeof key, "%s.%s", driver->name, option->key);
		if (option->fallback && !weir_config_value(lister->config, key))
			add(lister, key, weir_option_fallback_text(option, text), "default");
	}
}

static int by_key(const void *a, const void *b)
{
	const struct weir_listed *x = a, *y = b;

	return strcasecmp(x->key, y->key);
}

/* ---- channels ------------------------------------------------------------ */

__attribute__((format(printf, 5, 6))) static void
add_member(struct lister *lister, const char *origin, const char *parent, const char *member, const char *format, ...)
{
	char key[KEY_MAX], text[KEY_MAX * 2 + 64];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	snprintf(key, sizeof key, "%s.%s", parent, member);
	add(lister, key, text, origin);
}

/* What follows '?' may be a token. */
static void add_url(struct lister *lister, const char *origin, const char *parent, const char *member, const char *url)
{
	if (url)
		add_member(lister, origin, parent, member, "%.*s%s", (int)strcspn(url, "?"), url,
			   strchr(url, '?') ? "?(not shown)" : "");
}

static void add_duration(struct lister *lister, const char *origin, const char *parent, const char *member, int64_t ms)
{
	char text[32];

	add_member(lister, origin, parent, member, "%s", weir_duration_text(ms, text));
}

static void list_delivery(struct lister *lister, const struct weir_subscription_settings *from, const char *parent)
{
	const struct weir_delivery_settings *delivery = &from->delivery;
	char path[KEY_MAX];

	snprintf(path, sizeof path, "%.1000s.delivery", parent);
	add_url(lister, from->where, path, "deadLetterSink", delivery->dead_letter_sink);
	add_member(lister, from->where, path, "retry", "%u", delivery->retry);
	add_member(lister, from->where, path, "backoffPolicy", "%s",
		   delivery->backoff == WEIR_BACKOFF_LINEAR ? "linear" : "exponential");
	add_duration(lister, from->where, path, "backoffDelay", delivery->backoff_delay_ms);
	add_duration(lister, from->where, path, "timeout", delivery->timeout_ms);
	add_duration(lister, from->where, path, "retryAfterMax", delivery->retry_after_max_ms);
	add_member(lister, from->where, path, "order", "%s",
		   delivery->order == WEIR_ORDER_UNORDERED ? "unordered" : "ordered");
	add_member(lister, from->where, path, "maxInFlight", "%u", delivery->max_in_flight);
	add_member(lister, from->where, path, "format", "%s", delivery->structured ? "json" : "binary");
}

static void list_channel(struct lister *lister, const struct weir_channel_settings *channel)
{
	char path[KEY_MAX];

	snprintf(path, sizeof path, "%s[%s/%s]", channel->is_broker ? "brokers" : "channels", channel->ns,
		 channel->name);
	add_member(lister, channel->where, path, "kind", "%s",
		   weir_config_kind(lister->config, channel->ns, channel->name));
	for (size_t i = 0; i < channel->subscription_count; i++) {
		const struct weir_subscription_settings *subscription = &channel->subscriptions[i];

		snprintf(path, sizeof path,
			 channel->is_broker ? "triggers[%s/%s/%s]" : "channels[%s/%s].subscriptions[%s]", channel->ns,
			 channel->name, subscription->name);
		add_member(lister, subscription->where, path, "uid", "%s", subscription->uid);
		add_url(lister, subscription->where, path, "subscriber", subscription->subscriber);
		add_url(lister, subscription->where, path, "reply", subscription->reply);
		add_member(lister, subscription->where, path, "from", "%s",
			   subscription->from_earliest ? "earliest" : "latest");
		if (subscription->filters)
			add_member(lister, subscription->where, path, "filters", "%s", subscription->filters);
		list_delivery(lister, subscription, path);
	}
}

int weir_config_list(const weir_config *config, const struct weir_driver *const *drivers, size_t count,
		     struct weir_listing *ret)
{
	struct lister lister = { config, drivers, count, ret, false };
	const struct weir_channel_settings *channels;
	size_t channel_count = weir_config_channels(config, &channels);

	*ret = (struct weir_listing){ 0 };
	weir_arena_init(&ret->arena, 0);
	list_values(&lister);
	for (size_t i = 0; i < count; i++)
		list_driver_defaults(&lister, drivers[i]);
	if (!lister.no_memory && ret->count)
		qsort(ret->items, ret->count, sizeof *ret->items, by_key);
	for (size_t i = 0; i < channel_count && !lister.no_memory; i++)
		list_channel(&lister, &channels[i]);
	return lister.no_memory ? WEIR_ENOMEM : WEIR_OK;
}

void weir_listing_fini(struct weir_listing *listing)
{
	weir_arena_fini(&listing->arena);
	weir_mem_free(listing->items);
	listing->items = NULL;
}
