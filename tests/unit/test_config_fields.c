/* SPDX-License-Identifier: Apache-2.0 */
/* The field tables themselves: every row is whole, and its default and example pass its own check. */
#include <weir/error.h>

#include "base/arena.h"
#include "config/check.h"
#include "config/fields.h"
#include "unit/config_support.h"

static const struct weir_field_table *const tables[] = { &weir_fields, &weir_channel_fields, &weir_subscription_fields,
							 &weir_delivery_fields };

static void for_each_row(void (*judge)(const struct weir_field *row))
{
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
		assert_true(tables[i]->count > 0);
		for (size_t j = 0; j < tables[i]->count; j++)
			judge(&tables[i]->rows[j]);
	}
}

static void check_text(const struct weir_field *row, const struct weir_input *input)
{
	struct weir_arena arena;
	struct weir_checked checked;
	char why[WEIR_WHY_SIZE] = "";

	weir_arena_init(&arena, 0);
	if (weir_check(row, input, &arena, &checked, why) != WEIR_OK)
		fail_msg("%s: %s", row->option.key, why);
	weir_arena_fini(&arena);
}

static void judge_help(const struct weir_field *row)
{
	size_t len = strlen(row->option.help);

	if (len < 10 || row->option.help[len - 1] != '.')
		fail_msg("%s: its help is no sentence", row->option.key);
}

static void judge_default(const struct weir_field *row)
{
	struct weir_node node = { .kind = WEIR_JSON_STRING, .text = weir_str(row->option.fallback) };
	struct weir_input input = { &node, true, node.text };

	if (row->option.fallback)
		check_text(row, &input);
}

static void judge_example(const struct weir_field *row)
{
	struct weir_tree_error err;
	struct weir_arena arena;
	struct weir_node *node;
	struct weir_input input = { 0 };

	if (row->option.type >= WEIR_FIELD_OBJECT)
		return;
	assert_non_null(row->example);
	weir_arena_init(&arena, 0);
	if (weir_tree_parse(weir_str(row->example), &arena, &node, &err) != WEIR_OK)
		fail_msg("%s: example: %s", row->option.key, err.text);
	input.node = node;
	check_text(row, &input);
	weir_arena_fini(&arena);
}

static void judge_choices(const struct weir_field *row)
{
	if ((row->option.type == WEIR_OPT_ENUM) != (row->option.choices != NULL))
		fail_msg("%s: choices belong to enums", row->option.key);
}

static void every_row_has_its_help(void **state)
{
	(void)state;
	for_each_row(judge_help);
}

static void every_default_passes_its_own_check(void **state)
{
	(void)state;
	for_each_row(judge_default);
}

static void every_example_passes_its_own_check(void **state)
{
	(void)state;
	for_each_row(judge_example);
}

static void only_enums_have_choices(void **state)
{
	(void)state;
	for_each_row(judge_choices);
}

static void no_key_is_there_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
		for (size_t j = 0; j < tables[i]->count; j++) {
			for (size_t k = 0; k < j; k++)
				assert_string_not_equal(tables[i]->rows[j].option.key, tables[i]->rows[k].option.key);
		}
	}
}

static void a_star_stands_for_a_name(void **state)
{
	(void)state;
	assert_non_null(weir_field_find("channel.namespaces.shop.kind", false));
	assert_null(weir_field_find("channel.namespaces..kind", false));
	assert_null(weir_field_find("channel.namespaces.kind", false));
	assert_null(weir_field_find("channel.namespaces.shop", false));
	assert_non_null(weir_field_find("drivers.kinds.A", false));
	assert_null(weir_field_find("drivers.kinds.", false));
}

static void letters_count_unless_they_are_folded(void **state)
{
	(void)state;
	assert_null(weir_field_find("dispatcher.draintimeout", false));
	assert_non_null(weir_field_find("dispatcher.draintimeout", true));
}

static void sections_are_what_rows_lie_below(void **state)
{
	(void)state;
	assert_true(weir_field_is_section("dispatcher"));
	assert_true(weir_field_is_section("dispatcher.limits"));
	assert_true(weir_field_is_section("channel.namespaces.shop"));
	assert_false(weir_field_is_section("dispatcher.listen"));
	assert_false(weir_field_is_section("dispatch"));
	assert_false(weir_field_is_section("channel.namespaces.shop.x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_has_its_help),
		cmocka_unit_test(every_default_passes_its_own_check),
		cmocka_unit_test(every_example_passes_its_own_check),
		cmocka_unit_test(only_enums_have_choices),
		cmocka_unit_test(no_key_is_there_twice),
		cmocka_unit_test(a_star_stands_for_a_name),
		cmocka_unit_test(letters_count_unless_they_are_folded),
		cmocka_unit_test(sections_are_what_rows_lie_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
