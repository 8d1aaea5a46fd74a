/* SPDX-License-Identifier: Apache-2.0 */
#include "config/describe.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "config/check.h"

struct visitor {
	bool (*visit)(void *ctx, const char *key, const struct weir_field *row);
	void *ctx;
};

static bool visit_table(const struct visitor *visitor, const char *prefix, const struct weir_field_table *table)
{
	char key[128];

	for (size_t i = 0; i < table->count; i++) {
		snprintf(key, sizeof key, "%s%s", prefix, table->rows[i].option.key);
		if (!visitor->visit(visitor->ctx, key, &table->rows[i]))
			return false;
	}
	return true;
}

void weir_fields_visit(bool (*visit)(void *ctx, const char *key, const struct weir_field *row), void *ctx)
{
	static const struct {
		const char *prefix;
		const struct weir_field_table *table;
	} parts[] = {
		{ "", &weir_fields },
		{ "channels[].", &weir_channel_fields },
		{ "channels[].delivery.", &weir_delivery_fields },
		{ "channels[].subscriptions[].", &weir_subscription_fields },
		{ "channels[].subscriptions[].delivery.", &weir_delivery_fields },
		{ "brokers[].", &weir_broker_fields },
		{ "brokers[].delivery.", &weir_delivery_fields },
		{ "triggers[].", &weir_trigger_fields },
		{ "triggers[].delivery.", &weir_delivery_fields },
	};
	struct visitor visitor = { visit, ctx };

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		if (!visit_table(&visitor, parts[i].prefix, parts[i].table))
			return;
	}
}

const char *weir_field_type_text(uint32_t type)
{
	switch (type) {
	case WEIR_OPT_BOOL:
		return "true or false";
	case WEIR_OPT_INT:
		return "whole number";
	case WEIR_OPT_DURATION:
		return "duration";
	case WEIR_OPT_BYTES:
		return "size";
	case WEIR_OPT_ENUM:
		return "choice";
	case WEIR_OPT_LIST:
		return "list of strings";
	case WEIR_FIELD_OBJECT:
		return "object";
	case WEIR_FIELD_OBJECTS:
		return "list of objects";
	case WEIR_FIELD_FILTERS:
		return "list of filters";
	default:
		return "string";
	}
}

const char *weir_option_fallback_text(const struct weir_option *option, char out[32])
{
	int64_t ms;

	if (option->fallback && option->flags & WEIR_OPTION_SECRET)
		return "(secret)";
	if (option->fallback && option->type == WEIR_OPT_DURATION && weir_str_to_int(weir_str(option->fallback), &ms) &&
	    ms >= 0)
		return weir_duration_text(ms, out);
	return option->fallback;
}

bool weir_field_variable(const char *key, char *out, size_t size)
{
	size_t len = (size_t)snprintf(out, size, "WEIR_");

	/* Members of lists have no dotted key, and the name of a kind has capitals that would be lost. */
	if (strpbrk(key, "[*"))
		return false;
	for (; *key; key++) {
		if (len + 3 > size)
			return false;
		out[len++] = *key == '.' ? '_' : (char)toupper((unsigned char)*key);
		if (*key == '.')
			out[len++] = '_';
	}
	out[len] = '\0';
	return true;
}
