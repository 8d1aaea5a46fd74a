/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/fields: every key that the core itself understands, once.
 *
 * Parsing, checking, `weir config show`, `explain` and `schema` all read these
 * tables; a key is added by adding a row. A driver's own keys come from its
 * option table, whose rows have the same shape.
 */
#ifndef WEIR_CONFIG_FIELDS_H
#define WEIR_CONFIG_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/driver.h>

/* Types that only the core's own rows have, beside enum weir_option_type. */
enum weir_field_type {
	WEIR_FIELD_OBJECT = 100,  /* an object with the members of a table of its own */
	WEIR_FIELD_OBJECTS = 101, /* an array of such objects */
	WEIR_FIELD_FILTERS = 102, /* an array of filters: config/filters.h */
};

/* What the text of a value must look like, beyond its type. */
enum weir_form {
	WEIR_FORM_ANY = 0,
	WEIR_FORM_ADDRESS, /* host:port to listen on */
	WEIR_FORM_LABEL,   /* namespace: DNS-1123 label */
	WEIR_FORM_NAME,    /* channel, subscription: DNS-1123 subdomain */
	WEIR_FORM_UID,     /* what a backend keeps a subscription's position under */
	WEIR_FORM_KIND,
	WEIR_FORM_PATH,
	WEIR_FORM_ABSOLUTE, /* a path that does not depend on where a process was started */
	WEIR_FORM_URL,      /* http or https */
	WEIR_FORM_TARGET,   /* a URL, or channel:NAMESPACE/NAME */
	WEIR_FORM_SOURCE,   /* URI-reference, as the source of an event */
};

struct weir_field {
	/* key: '*' stands for any name ("channel.namespaces.*.kind"). LIST: min..max is the number of items. */
	struct weir_option option;
	enum weir_form form;
	const char *example; /* a value as it is written in JSON */
};

struct weir_field_table {
	const struct weir_field *rows;
	size_t count;
};

extern const struct weir_field_table weir_fields;              /* dotted keys */
extern const struct weir_field_table weir_channel_fields;      /* members of channels[] */
extern const struct weir_field_table weir_subscription_fields; /* members of subscriptions[] */
extern const struct weir_field_table weir_delivery_fields;     /* members of delivery */
extern const struct weir_field_table weir_broker_fields;       /* members of brokers[] */
extern const struct weir_field_table weir_trigger_fields;      /* members of triggers[] */

/* Rows of weir_channel_fields and the others by number. */
enum {
	WEIR_CHANNEL_NAMESPACE,
	WEIR_CHANNEL_NAME,
	WEIR_CHANNEL_KIND,
	WEIR_CHANNEL_DELIVERY,
	WEIR_CHANNEL_SUBSCRIPTIONS
};
enum {
	WEIR_SUBSCRIPTION_NAME,
	WEIR_SUBSCRIPTION_UID,
	WEIR_SUBSCRIPTION_SUBSCRIBER,
	WEIR_SUBSCRIPTION_REPLY,
	WEIR_SUBSCRIPTION_FROM,
	WEIR_SUBSCRIPTION_DELIVERY,
	WEIR_SUBSCRIPTION_FILTERS,
};
enum {
	WEIR_DELIVERY_DEAD_LETTER_SINK,
	WEIR_DELIVERY_RETRY,
	WEIR_DELIVERY_BACKOFF_POLICY,
	WEIR_DELIVERY_BACKOFF_DELAY,
	WEIR_DELIVERY_TIMEOUT,
	WEIR_DELIVERY_RETRY_AFTER_MAX,
	WEIR_DELIVERY_ORDER,
	WEIR_DELIVERY_MAX_IN_FLIGHT,
	WEIR_DELIVERY_FORMAT,
	WEIR_DELIVERY_FIELDS,
};
enum { WEIR_BROKER_NAMESPACE, WEIR_BROKER_NAME, WEIR_BROKER_KIND, WEIR_BROKER_DELIVERY };
enum {
	WEIR_TRIGGER_NAMESPACE,
	WEIR_TRIGGER_NAME,
	WEIR_TRIGGER_BROKER,
	WEIR_TRIGGER_UID,
	WEIR_TRIGGER_SUBSCRIBER,
	WEIR_TRIGGER_FROM,
	WEIR_TRIGGER_DELIVERY,
	WEIR_TRIGGER_FILTERS,
	WEIR_TRIGGER_FIELDS,
};

/* The row for a dotted key, NULL: none. `fold`: letters without case, for the environment. */
const struct weir_field *weir_field_find(const char *key, bool fold);
/* True if a row's key has the first part that `key` has: then `key` is the core's, known or not. */
bool weir_field_owns(const char *key);
/* True if rows lie below `key`, as below "dispatcher": it names an object. */
bool weir_field_is_section(const char *key);

/*
 * The spelling that is used within for a key as the charts of Kyma and Knative
 * write it; `key` itself, or its end, if it has no other.
 */
const char *weir_field_canonical(const char *key, bool fold);

#endif
