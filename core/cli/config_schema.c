/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/config_schema: a JSON Schema for editors, from the tables that also check.
 *
 * It describes nested objects, and dotted keys at the top. A configuration that
 * Weir takes is valid by it; not everything that is valid by it is taken.
 */
#include <json.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/config_cmd.h"
#include "config/describe.h"

/* ---- one row ------------------------------------------------------------- */

static void put_text(json_object *to, const char *key, const char *text)
{
	json_object_object_add(to, key, json_object_new_string(text));
}

static json_object *typed(const char *type)
{
	json_object *schema = json_object_new_object();

	put_text(schema, "type", type);
	return schema;
}

static json_object *either(json_object *one, json_object *other)
{
	json_object *schema = json_object_new_object(), *both = json_object_new_array();

	json_object_array_add(both, one);
	json_object_array_add(both, other);
	json_object_object_add(schema, "anyOf", both);
	return schema;
}

static json_object *number_schema(const struct weir_option *option)
{
	json_object *schema = typed("integer");

	if (option->min || option->max) {
		json_object_object_add(schema, "minimum", json_object_new_int64(option->min));
		json_object_object_add(schema, "maximum", json_object_new_int64(option->max));
	}
	return schema;
}

static json_object *pattern_schema(const char *pattern)
{
	json_object *schema = typed("string");

	put_text(schema, "pattern", pattern);
	return schema;
}

static json_object *choice_schema(const char *choices)
{
	json_object *schema = json_object_new_object(), *all = json_object_new_array();
	struct weir_buf rest = weir_str(choices), choice;

	while (weir_str_split(&rest, '|', &choice))
		json_object_array_add(all, json_object_new_string_len(choice.ptr, (int)choice.len));
	json_object_object_add(schema, "enum", all);
	return schema;
}

static json_object *list_schema(void)
{
	json_object *array = typed("array");

	json_object_object_add(array, "items", typed("string"));
	return either(typed("string"), array);
}

static json_object *type_schema(const struct weir_option *option)
{
	switch (option->type) {
	case WEIR_OPT_BOOL:
		return typed("boolean");
	case WEIR_OPT_INT:
		return number_schema(option);
	case WEIR_OPT_DURATION:
		return pattern_schema("^P([0-9]+W)?([0-9]+D)?(T([0-9]+H)?([0-9]+M)?([0-9]+([.,][0-9]+)?S)?)?$");
	case WEIR_OPT_BYTES:
		return either(number_schema(option), pattern_schema("^[0-9]+([KMG]iB?)?$"));
	case WEIR_OPT_ENUM:
		return choice_schema(option->choices);
	case WEIR_OPT_LIST:
		return list_schema();
	default:
		return typed("string");
	}
}

static json_object *table_schema(const struct weir_field_table *table);

/* What an object or a list of objects holds, by the name of the member. */
static json_object *members_schema(const struct weir_option *option)
{
	static const struct {
		const char *key;
		const struct weir_field_table *table;
	} lists[] = {
		{ "channels", &weir_channel_fields },
		{ "subscriptions", &weir_subscription_fields },
		{ "brokers", &weir_broker_fields },
		{ "triggers", &weir_trigger_fields },
	};
	json_object *schema;

	if (strcmp(option->key, "delivery") == 0)
		return table_schema(&weir_delivery_fields);
	schema = typed("array");
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		if (strcmp(option->key, lists[i].key) == 0)
			json_object_object_add(schema, "items", table_schema(lists[i].table));
	}
	return schema;
}

/* ---- filters: the only thing that nests as deep as one likes -------------- */

#define FILTER_REFERENCE "#/$defs/filter"

static json_object *reference(const char *to)
{
	json_object *schema = json_object_new_object();

	put_text(schema, "$ref", to);
	return schema;
}

static json_object *filters_schema(int least)
{
	json_object *schema = typed("array");

	json_object_object_add(schema, "items", reference(FILTER_REFERENCE));
	if (least)
		json_object_object_add(schema, "minItems", json_object_new_int(least));
	return schema;
}

static json_object *match_schema(void)
{
	json_object *schema = typed("object"), *value = typed("string");

	json_object_object_add(value, "minLength", json_object_new_int(1));
	json_object_object_add(schema, "additionalProperties", value);
	json_object_object_add(schema, "minProperties", json_object_new_int(1));
	return schema;
}

static json_object *dialect_schema(const char *dialect)
{
	if (strcmp(dialect, "all") == 0 || strcmp(dialect, "any") == 0)
		return filters_schema(1);
	if (strcmp(dialect, "not") == 0)
		return reference(FILTER_REFERENCE);
	if (strcmp(dialect, "cesql") == 0 || strcmp(dialect, "sql") == 0)
		return typed("string");
	return match_schema();
}

static json_object *filter_schema(void)
{
	json_object *schema = typed("object"), *properties = json_object_new_object();

	for (const char *const *dialect = weir_filter_dialects; *dialect; dialect++)
		json_object_object_add(properties, *dialect, dialect_schema(*dialect));
	json_object_object_add(schema, "properties", properties);
	json_object_object_add(schema, "additionalProperties", json_object_new_boolean(0));
	json_object_object_add(schema, "minProperties", json_object_new_int(1));
	json_object_object_add(schema, "maxProperties", json_object_new_int(1));
	return schema;
}

static json_object *any_schema(const struct weir_option *option)
{
	if (option->type == WEIR_FIELD_FILTERS)
		return filters_schema(0);
	return option->type >= WEIR_FIELD_OBJECT ? members_schema(option) : type_schema(option);
}

static json_object *row_schema(const struct weir_option *option)
{
	json_object *schema = any_schema(option);
	char out[32];

	put_text(schema, "description", option->help);
	if (option->flags & WEIR_OPTION_SECRET)
		json_object_object_add(schema, "writeOnly", json_object_new_boolean(1));
	else if (option->fallback)
		put_text(schema, "$comment", weir_option_fallback_text(option, out));
	return schema;
}

/* ---- objects ------------------------------------------------------------- */

static json_object *closed_object(void)
{
	json_object *schema = typed("object");

	json_object_object_add(schema, "properties", json_object_new_object());
	json_object_object_add(schema, "additionalProperties", json_object_new_boolean(0));
	return schema;
}

static json_object *table_schema(const struct weir_field_table *table)
{
	json_object *schema = closed_object(), *required = json_object_new_array();

	for (size_t i = 0; i < table->count; i++) {
		const struct weir_option *option = &table->rows[i].option;

		json_object_object_add(json_object_object_get(schema, "properties"), option->key, row_schema(option));
		if (option->flags & WEIR_OPTION_REQUIRED)
			json_object_array_add(required, json_object_new_string(option->key));
	}
	if (json_object_array_length(required))
		json_object_object_add(schema, "required", required);
	else
		json_object_put(required);
	return schema;
}

/* The object schema below `schema` for the next part of a key; '*' is any name. */
static json_object *descend(json_object *schema, const char *part)
{
	json_object *below, *properties;

	if (strcmp(part, "*") == 0) {
		below = json_object_object_get(schema, "additionalProperties");
		if (!json_object_is_type(below, json_type_object)) {
			below = closed_object();
			json_object_object_add(schema, "additionalProperties", below);
		}
		return below;
	}
	properties = json_object_object_get(schema, "properties");
	below = json_object_object_get(properties, part);
	if (!below) {
		below = closed_object();
		json_object_object_add(properties, part, below);
	}
	return below;
}

static void put_leaf(json_object *schema, const char *part, const struct weir_option *option)
{
	if (strcmp(part, "*") == 0)
		json_object_object_add(schema, "additionalProperties", row_schema(option));
	else
		json_object_object_add(json_object_object_get(schema, "properties"), part, row_schema(option));
}

/* Puts a row under its dotted key, nested, and under the key as it is at the top. */
static void put_row(json_object *root, const char *key, const struct weir_option *option)
{
	json_object *schema = root;
	struct weir_buf rest = weir_str(key), part;
	char name[128];

	while (weir_str_split(&rest, '.', &part)) {
		snprintf(name, sizeof name, "%.*s", (int)part.len, (const char *)part.ptr);
		if (rest.ptr)
			schema = descend(schema, name);
	}
	put_leaf(schema, name, option);
	if (strchr(key, '.') && !strchr(key, '*'))
		put_leaf(root, key, option);
}

static void put_driver(json_object *root, const struct weir_driver *driver)
{
	char key[256];

	for (uint32_t i = 0; i < driver->option_count; i++) {
		const struct weir_option *option = &driver->options[i];
		struct weir_option file = { .type = WEIR_OPT_STRING, .help = "File that holds the secret." };

		snprintf(key, sizeof key, "%s.%s", driver->name, option->key);
		put_row(root, key, option);
		snprintf(key, sizeof key, "%s.%sFile", driver->name, option->key);
		if (option->flags & WEIR_OPTION_SECRET)
			put_row(root, key, &file);
	}
}

static void print_schema(const struct weir_cli_drivers *drivers)
{
	json_object *root = closed_object(), *definitions = json_object_new_object();

	put_text(root, "$schema", "https://json-schema.org/draft/2020-12/schema");
	put_text(root, "title", "Configuration of Weir");
	for (size_t i = 0; i < weir_fields.count; i++)
		put_row(root, weir_fields.rows[i].option.key, &weir_fields.rows[i].option);
	for (size_t i = 0; i < drivers->count; i++)
		put_driver(root, drivers->tables[i]);
	json_object_object_add(definitions, "filter", filter_schema());
	json_object_object_add(root, "$defs", definitions);
	printf("%s\n", json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(root);
}

int weir_cli_config_schema(const struct weir_cli_config *from)
{
	struct weir_cli_drivers drivers;
	int code = weir_cli_drivers_open(from, &drivers);

	if (code)
		return code;
	print_schema(&drivers);
	weir_cli_drivers_close(&drivers);
	return WEIR_EXIT_OK;
}
