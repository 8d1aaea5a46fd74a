/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/settings: what the dispatcher reads of a loaded configuration, typed.
 * Everything is borrowed from the weir_config.
 */
#ifndef WEIR_CONFIG_SETTINGS_H
#define WEIR_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/config.h>

#include "filter/filter.h"

enum weir_backoff { WEIR_BACKOFF_EXPONENTIAL = 0, WEIR_BACKOFF_LINEAR = 1 };
enum weir_order { WEIR_ORDER_ORDERED = 0, WEIR_ORDER_UNORDERED = 1 };

/* `delivery`, defaults filled in; a subscription's replaces its channel's as a whole. */
struct weir_delivery_settings {
	const char *dead_letter_sink; /* URL, or "channel:NS/NAME"; NULL: none */
	uint32_t retry;               /* attempts after the first; default 10 */
	enum weir_backoff backoff;    /* default exponential */
	int64_t backoff_delay_ms;     /* default PT0.2S */
	int64_t timeout_ms;           /* of one attempt; default PT30S */
	int64_t retry_after_max_ms;   /* 0: Retry-After is not followed */
	enum weir_order order;        /* default ordered: by partitionkey, else by channel position */
	uint32_t max_in_flight;       /* concurrent POSTs; default 64 */
	bool structured;              /* events are posted in structured mode; default false: binary */
};

struct weir_subscription_settings {
	const char *name;
	const char *uid;        /* default: the name */
	const char *subscriber; /* URL */
	const char *reply;      /* URL or "channel:NS/NAME"; NULL: none */
	bool from_earliest;     /* default false: latest */
	bool own_subscriber;    /* the subscriber is a channel of this very dispatcher */
	struct weir_delivery_settings delivery;
	const struct weir_filter *filter; /* NULL: every event passes */
	const char *filters;              /* the same as JSON, for people and to compare; NULL: every event */
	const char *where;                /* "file:line:column" of its definition, for messages */
};

struct weir_channel_settings {
	const char *ns;
	const char *name;
	const char *kind; /* NULL: weir_config_kind() decides */
	const struct weir_subscription_settings *subscriptions;
	size_t subscription_count;
	bool is_broker; /* then the subscriptions are triggers */
	const char *where;
};

/* The channels that are configured, in the order of the files, then the brokers. */
size_t weir_config_channels(const weir_config *config, const struct weir_channel_settings **ret);

/*
 * The settings that belong to a driver: keys "NAME.*", with the driver's option
 * table checked and its defaults filled in. Borrowed. WEIR_EINVAL: the text
 * names the key, its origin and the nearest valid one.
 */
int weir_config_driver(const weir_config *config, const struct weir_driver *driver, const struct weir_setting **ret,
		       size_t *count, struct weir_error *err);

/*
 * The same check, but every mistake becomes a problem of the configuration, not
 * only the first one is told. Before the configuration is shared. WEIR_EINVAL if
 * there was one.
 */
int weir_config_check_driver(weir_config *config, const struct weir_driver *driver, struct weir_error *err);

/*
 * Keys whose first part is neither Weir's own nor one of `drivers` (the names of
 * the drivers that were found) become problems, as do keys of a driver section
 * that no driver was found for. Before the configuration is shared. WEIR_EINVAL
 * if there was one.
 */
int weir_config_check_sections(weir_config *config, const char *const *drivers, size_t count, struct weir_error *err);

/* Key number `index` of those that are set and begin with `prefix`, such as "drivers.kinds."; NULL behind the last. */
const char *weir_config_key(const weir_config *config, const char *prefix, size_t index);

/* Something that is allowed but hardly meant, a line like weir_config_problem(); NULL behind the last. */
const char *weir_config_warning(const weir_config *config, size_t index);

/*
 * Adds the problem "where: key: text" that somebody above found, such as a URL
 * that must not be posted to. `where`: as in the structs above. Before the
 * configuration is shared. WEIR_ENOMEM.
 */
int weir_config_report(weir_config *config, const char *where, const char *key, const char *text);

#endif
