/* SPDX-License-Identifier: Apache-2.0 */
#include "config/object.h"

#include <stdio.h>
#include <string.h>

#include "base/near.h"
#include "base/str.h"

_Static_assert((int)WEIR_DELIVERY_FIELDS <= (int)WEIR_MEMBERS_MAX, "every table must fit");
_Static_assert((int)WEIR_TRIGGER_FIELDS <= (int)WEIR_MEMBERS_MAX, "every table must fit");

static const struct weir_field *row_of(const struct weir_field_table *table, struct weir_buf key)
{
	for (size_t i = 0; i < table->count; i++) {
		if (weir_str_equal(key, weir_str(table->rows[i].option.key)))
			return &table->rows[i];
	}
	return NULL;
}

static void refuse_member(const struct weir_reader *reader, const struct weir_field_table *table,
			  const struct weir_node *node, const char *path)
{
	struct weir_place place = weir_reader_place(reader, node->key_at);
	struct weir_near near = weir_near_init(node->key);
	char shown[WEIR_PRINTABLE_SIZE], key[WEIR_PATH_SIZE + WEIR_PRINTABLE_SIZE];

	for (size_t i = 0; i < table->count; i++)
		weir_near_offer(&near, table->rows[i].option.key);
	snprintf(key, sizeof key, "%s.%s", path, weir_printable(node->key, shown));
	weir_config_problem_add(reader->config, &place, key, "unknown key%s%s%s", near.best ? "; did you mean \"" : "",
				near.best ? near.best : "", near.best ? "\"?" : "");
}

static void read_member(const struct weir_reader *reader, const struct weir_field *row, const struct weir_node *node,
			const char *path, struct weir_member *ret)
{
	struct weir_input input = { .node = node };
	struct weir_place place = weir_reader_place(reader, node->at);
	char why[WEIR_WHY_SIZE], key[WEIR_PATH_SIZE + WEIR_PRINTABLE_SIZE];
	int code;

	ret->node = node;
	if (row->option.type >= WEIR_FIELD_OBJECT)
		return;
	code = weir_check(row, &input, &reader->config->arena, &ret->value, why);
	reader->config->no_memory |= code == WEIR_ENOMEM;
	if (code != WEIR_EINVAL)
		return;
	snprintf(key, sizeof key, "%s.%s", path, row->option.key);
	weir_config_problem_add(reader->config, &place, key, "%s", why);
}

static void fill_absent(const struct weir_reader *reader, const struct weir_field *row, const struct weir_node *object,
			const char *path, struct weir_member *ret)
{
	struct weir_place place = weir_reader_place(reader, object->at);
	char key[WEIR_PATH_SIZE + WEIR_PRINTABLE_SIZE];

	if (ret->node)
		return;
	if (row->option.type < WEIR_FIELD_OBJECT)
		weir_config_fallback(reader->config, row, &ret->value);
	if (!(row->option.flags & WEIR_OPTION_REQUIRED))
		return;
	snprintf(key, sizeof key, "%s.%s", path, row->option.key);
	weir_config_problem_add(reader->config, &place, key, "is missing");
}

void weir_reader_object(const struct weir_reader *reader, const struct weir_field_table *table,
			const struct weir_node *object, const char *path, struct weir_member out[WEIR_MEMBERS_MAX])
{
	struct weir_place place = weir_reader_place(reader, object->at);

	memset(out, 0, WEIR_MEMBERS_MAX * sizeof *out);
	if (object->kind != WEIR_JSON_OBJECT) {
		weir_config_problem_add(reader->config, &place, path, "must be an object, not %s",
					weir_node_kind_text(object));
		return;
	}
	for (const struct weir_node *node = object->first; node; node = node->next) {
		const struct weir_field *row = row_of(table, node->key);

		if (row)
			read_member(reader, row, node, path, &out[row - table->rows]);
		else
			refuse_member(reader, table, node, path);
	}
	for (size_t i = 0; i < table->count; i++)
		fill_absent(reader, &table->rows[i], object, path, &out[i]);
}

const struct weir_node *weir_reader_items(const struct weir_reader *reader, const struct weir_node *array,
					  const char *path)
{
	struct weir_place place;

	if (!array || array->kind == WEIR_JSON_ARRAY)
		return array ? array->first : NULL;
	place = weir_reader_place(reader, array->at);
	weir_config_problem_add(reader->config, &place, path, "must be an array of objects, not %s",
				weir_node_kind_text(array));
	return NULL;
}
