/* SPDX-License-Identifier: Apache-2.0 */
/* config/resolve: checks all entries, and finds which value of each key is effective. */
#include "config/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/near.h"
#include "base/str.h"
#include "config/forms.h"

static int entry_compare(const void *a, const void *b)
{
	const struct weir_entry *x = a, *y = b;
	int order = strcasecmp(x->key, y->key);

	return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

static int value_compare(const void *a, const void *b)
{
	const struct weir_value *x = a, *y = b;

	return strcasecmp(x->key, y->key);
}

const char *weir_config_where(weir_config *config, const struct weir_place *place)
{
	char text[512];
	const char *kept;

	if (!place->at.line)
		return place->source;
	snprintf(text, sizeof text, "%.480s:%u:%u", place->source, place->at.line, place->at.column);
	kept = weir_arena_text(&config->arena, weir_str(text));
	config->no_memory |= !kept;
	return kept;
}

static const char *origin_of(weir_config *config, const struct weir_entry *entry)
{
	const char *before = entry->layer == WEIR_LAYER_OVERRIDE ? "overrides: " : "", *kept;
	char text[512];

	if (entry->layer == WEIR_LAYER_ENVIRONMENT)
		return "environment";
	if (entry->layer == WEIR_LAYER_SETTING)
		return "--set";
	if (entry->place.at.line)
		snprintf(text, sizeof text, "%s%.480s:%u", before, entry->place.source, entry->place.at.line);
	else
		snprintf(text, sizeof text, "%s%.480s", before, entry->place.source);
	kept = weir_arena_text(&config->arena, weir_str(text));
	config->no_memory |= !kept;
	return kept;
}

/* ---- unknown keys -------------------------------------------------------- */

static void refuse_unknown(weir_config *config, const struct weir_entry *entry)
{
	struct weir_near near = weir_near_init(weir_str(entry->key));

	for (size_t i = 0; i < weir_fields.count; i++)
		weir_near_offer(&near, weir_fields.rows[i].option.key);
	weir_config_problem_add(config, &entry->place, entry->key, "unknown key%s%s%s",
				near.best ? "; did you mean \"" : "", near.best ? near.best : "",
				near.best ? "\"?" : "");
}

/* The core's key, but not a row: a section that must be an object, or a mistake. */
static void check_rowless(weir_config *config, const struct weir_entry *entry)
{
	if (!weir_field_is_section(entry->key))
		refuse_unknown(config, entry);
	else if (entry->input.node->kind != WEIR_JSON_OBJECT)
		weir_config_problem_add(config, &entry->place, entry->key, "must be an object, not %s",
					weir_node_kind_text(entry->input.node));
}

/* ---- values -------------------------------------------------------------- */

/* What stands in the place of '*'. */
static void check_star(weir_config *config, const struct weir_entry *entry, const struct weir_field *row)
{
	const char *star = strchr(row->option.key, '*');
	size_t head = star ? (size_t)(star - row->option.key) : 0;
	struct weir_buf name = { entry->key + head, strlen(entry->key) - head - (star ? strlen(star + 1) : 0) };
	bool is_namespace = star && star[1];
	const char *wrong = star ? weir_form_check(is_namespace ? WEIR_FORM_LABEL : WEIR_FORM_KIND, name) : NULL;

	if (wrong)
		weir_config_problem_add(config, &entry->place, entry->key, "the part behind \"%.*s\" %s", (int)head - 1,
					row->option.key, wrong);
	else if (star && !is_namespace && entry->layer == WEIR_LAYER_ENVIRONMENT)
		weir_config_problem_add(
		    config, &entry->place, entry->key,
		    "cannot be set by the environment, which does not tell capitals; allowed: files and --set");
}

static void check_entry(weir_config *config, struct weir_entry *entry)
{
	struct weir_place place = weir_entry_value_place(entry);
	char why[WEIR_WHY_SIZE];
	int code;

	check_star(config, entry, entry->row);
	code = weir_check(entry->row, &entry->input, &config->arena, &entry->checked, why);
	if (code == WEIR_EINVAL)
		weir_config_problem_add(config, &place, entry->key, "%s", why);
	config->no_memory |= code == WEIR_ENOMEM;
}

/* Of a key that only a driver knows: its text, whatever its type. weir_config_driver() looks closer. */
static void read_foreign(weir_config *config, struct weir_entry *entry)
{
	static const struct weir_field list = { .option = { .type = WEIR_OPT_LIST } };
	static const struct weir_field scalar = { .option = { .type = WEIR_OPT_STRING, .flags = WEIR_OPTION_PREFIX } };
	const struct weir_field *row = entry->input.node->kind == WEIR_JSON_ARRAY ? &list : &scalar;
	char why[WEIR_WHY_SIZE];

	config->no_memory |= weir_check(row, &entry->input, &config->arena, &entry->checked, why) == WEIR_ENOMEM;
}

static struct weir_value *value_add(weir_config *config, const char *key)
{
	struct weir_value *value;

	if (!weir_config_reserve(config, &config->values, config->value_count, &config->value_capacity, sizeof *value))
		return NULL;
	value = &config->values[config->value_count++];
	*value = (struct weir_value){ .key = key };
	return value;
}

static void check_any(weir_config *config, struct weir_entry *entry)
{
	entry->row = weir_field_find(entry->key, false);
	if (entry->row && entry->row->option.type < WEIR_FIELD_OBJECT)
		check_entry(config, entry);
	else if (!entry->row && weir_field_owns(entry->key))
		check_rowless(config, entry);
	else if (!entry->row)
		read_foreign(config, entry);
}

static void check_repeated(weir_config *config, const struct weir_entry *entry, const struct weir_entry *before)
{
	if (before->place.source != entry->place.source || !entry->place.at.line)
		return;
	weir_config_problem_add(config, &entry->place, entry->key, "is set in this file already, at line %u",
				before->place.at.line);
}

/* Entries first..last have the same key; the last one is effective. */
static void resolve_key(weir_config *config, const struct weir_entry *first, const struct weir_entry *last)
{
	struct weir_value *value = value_add(config, last->key);

	for (const struct weir_entry *entry = first + 1; entry <= last; entry++)
		check_repeated(config, entry, entry - 1);
	if (!value)
		return;
	value->row = last->row;
	value->entry = last;
	value->text = last->checked.text;
	value->number = last->checked.number;
	value->origin = origin_of(config, last);
}

void weir_config_fallback(weir_config *config, const struct weir_field *row, struct weir_checked *ret)
{
	const char *text = weir_config_default(config, row);
	struct weir_node node = { .kind = WEIR_JSON_STRING, .text = weir_str(text) };
	struct weir_input input = { &node, true, weir_str(text) };
	char why[WEIR_WHY_SIZE];

	*ret = (struct weir_checked){ NULL, 0 };
	/* The table's own defaults pass their checks (a test sees to it), so that only memory can be short. */
	if (text && weir_check(row, &input, &config->arena, ret, why) == WEIR_ENOMEM)
		config->no_memory = true;
}

static void add_default(weir_config *config, const struct weir_field *row)
{
	struct weir_checked checked;
	struct weir_value *value;

	weir_config_fallback(config, row, &checked);
	value = checked.text ? value_add(config, row->option.key) : NULL;
	if (!value)
		return;
	value->row = row;
	value->text = checked.text;
	value->number = checked.number;
	value->origin = "default";
}

static void sort_values(weir_config *config)
{
	if (config->value_count)
		qsort(config->values, config->value_count, sizeof *config->values, value_compare);
}

void weir_config_resolve(weir_config *config)
{
	size_t given;

	/* In the order of the files, so that problems are told in it. */
	for (size_t i = 0; i < config->entry_count && !config->no_memory; i++)
		check_any(config, &config->entries[i]);
	if (config->entry_count)
		qsort(config->entries, config->entry_count, sizeof *config->entries, entry_compare);
	for (size_t i = 0, end; i < config->entry_count && !config->no_memory; i = end) {
		for (end = i + 1; end < config->entry_count; end++) {
			if (strcasecmp(config->entries[i].key, config->entries[end].key) != 0)
				break;
		}
		resolve_key(config, &config->entries[i], &config->entries[end - 1]);
	}
	if (config->no_memory)
		return;
	weir_config_join_parts(config);
	sort_values(config);
	given = config->value_count;
	for (size_t i = 0; i < weir_fields.count && !config->no_memory; i++) {
		struct weir_value key = { .key = weir_fields.rows[i].option.key };

		if (!given || !bsearch(&key, config->values, given, sizeof key, value_compare))
			add_default(config, &weir_fields.rows[i]);
	}
	sort_values(config);
}

const struct weir_value *weir_config_value(const weir_config *config, const char *key)
{
	struct weir_value wanted = { .key = key };

	if (!config->value_count)
		return NULL;
	return bsearch(&wanted, config->values, config->value_count, sizeof wanted, value_compare);
}
