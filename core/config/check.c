/* SPDX-License-Identifier: Apache-2.0 */
#include "config/check_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>

#include "base/dynbuf.h"
#include "base/str.h"
#include "config/forms.h"

enum { LIST_TEXT_MAX = 1024 * 1024 };

/* ---- saying what is wrong ------------------------------------------------ */

int weir_check_refuse(const struct weir_check *check, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(check->why, WEIR_WHY_SIZE, format, args);
	va_end(args);
	return WEIR_EINVAL;
}

/* "what; allowed: ..." */
int weir_check_refuse_allowed(const struct weir_check *check, const char *what)
{
	char allowed[256];

	weir_check_allowed(&check->row->option, allowed, sizeof allowed);
	return weir_check_refuse(check, "%s; allowed: %s", what, allowed);
}

int weir_check_refuse_kind(const struct weir_check *check, const char *wanted)
{
	char what[128];

	if (check->input->node->kind == WEIR_JSON_NULL)
		snprintf(what, sizeof what, "null is no value: leave the key out");
	else
		snprintf(what, sizeof what, "must be %s, not %s", wanted, weir_node_kind_text(check->input->node));
	if (check->row->option.type == WEIR_OPT_STRING || check->row->option.type == WEIR_OPT_BOOL)
		return weir_check_refuse(check, "%s", what);
	return weir_check_refuse_allowed(check, what);
}

/* The value in quotes, unless it must not be shown. */
const char *weir_check_shown(const struct weir_check *check, struct weir_buf value, char out[WEIR_PRINTABLE_SIZE + 2])
{
	char text[WEIR_PRINTABLE_SIZE];

	if (check->row->option.flags & WEIR_OPTION_SECRET)
		snprintf(out, WEIR_PRINTABLE_SIZE + 2, "the value");
	else
		snprintf(out, WEIR_PRINTABLE_SIZE + 2, "\"%s\"", weir_printable(value, text));
	return out;
}

int weir_check_refuse_value(const struct weir_check *check, struct weir_buf value, const char *what)
{
	char quoted[WEIR_PRINTABLE_SIZE + 2], text[192];

	snprintf(text, sizeof text, "%s %s", weir_check_shown(check, value, quoted), what);
	return weir_check_refuse_allowed(check, text);
}

/* ---- the value as text --------------------------------------------------- */

/* The text of a scalar; ptr NULL if it is of another kind. */
struct weir_buf weir_check_text_of(const struct weir_check *check)
{
	const struct weir_node *node = check->input->node;
	struct weir_buf none = { NULL, 0 };

	if (node->kind == WEIR_JSON_STRING)
		return node->text;
	return check->input->text ? check->input->raw : none;
}

int weir_check_keep_text(const struct weir_check *check, struct weir_buf text)
{
	check->ret->text = weir_arena_text(check->arena, text);
	return check->ret->text ? WEIR_OK : WEIR_ENOMEM;
}

bool weir_check_in_range(const struct weir_option *option, int64_t number)
{
	return (option->min == 0 && option->max == 0) || (number >= option->min && number <= option->max);
}

/* ---- types --------------------------------------------------------------- */

static int check_string(const struct weir_check *check)
{
	struct weir_buf text = weir_check_text_of(check);
	const char *wrong;

	/* Keys that are passed on as they are may be written as numbers and truth values too. */
	if (!text.ptr && (check->row->option.flags & WEIR_OPTION_PREFIX) &&
	    check->input->node->kind >= WEIR_JSON_STRING && check->input->node->kind != WEIR_JSON_NULL)
		text = check->input->node->text;
	if (!text.ptr)
		return weir_check_refuse_kind(check, "a string");
	if (memchr(text.ptr, '\0', text.len))
		return weir_check_refuse(check, "holds a NUL character, which no value may");
	wrong = weir_form_check(check->row->form, text);
	return wrong ? weir_check_refuse(check, "%s", wrong) : weir_check_keep_text(check, text);
}

static int check_bool(const struct weir_check *check)
{
	const struct weir_node *node = check->input->node;
	struct weir_buf text = check->input->text ? weir_check_text_of(check) : node->text;
	bool yes = weir_str_equal(text, WEIR_STR("true"));

	if (!check->input->text && node->kind != WEIR_JSON_TRUE && node->kind != WEIR_JSON_FALSE)
		return weir_check_refuse_kind(check, "true or false");
	if (!yes && !weir_str_equal(text, WEIR_STR("false")))
		return weir_check_refuse_value(check, text, "is neither true nor false");
	check->ret->number = yes;
	return weir_check_keep_text(check, text);
}

/* Place of `text` among "a|b|c"; -1: it is none of them. */
static int choice_index(const char *choices, struct weir_buf text)
{
	struct weir_buf rest = weir_str(choices), choice;

	for (int i = 0; weir_str_split(&rest, '|', &choice); i++) {
		if (weir_str_equal(choice, text))
			return i;
	}
	return -1;
}

static int refuse_choice(const struct weir_check *check, struct weir_buf text)
{
	struct weir_buf rest = weir_str(check->row->option.choices), choice;
	unsigned nearest = (unsigned)(text.len < 60 ? text.len / 3 + 1 : 20);
	char best[WEIR_PRINTABLE_SIZE] = "", quoted[WEIR_PRINTABLE_SIZE + 2], allowed[256];

	while (weir_str_split(&rest, '|', &choice)) {
		bool begun = text.len && weir_str_starts_nocase(choice, text);
		unsigned distance = begun ? 0 : weir_str_distance(choice, text, nearest);

		if (distance <= nearest) {
			weir_printable(choice, best);
			nearest = distance ? distance - 1 : 0;
		}
	}
	weir_check_allowed(&check->row->option, allowed, sizeof allowed);
	return weir_check_refuse(check, "%s is not a choice; allowed: %s%s%s%s", weir_check_shown(check, text, quoted),
				 allowed, best[0] ? "; did you mean \"" : "", best, best[0] ? "\"?" : "");
}

static int check_choice(const struct weir_check *check)
{
	struct weir_buf text = weir_check_text_of(check);
	int index;

	if (!text.ptr)
		return weir_check_refuse_kind(check, "a string");
	index = choice_index(check->row->option.choices, text);
	if (index < 0)
		return refuse_choice(check, text);
	check->ret->number = index;
	return weir_check_keep_text(check, text);
}

/* ---- lists --------------------------------------------------------------- */

static int add_item(const struct weir_check *check, struct weir_buf item, struct weir_dynbuf *joined)
{
	const char *wrong;

	item = weir_str_trim(item);
	if (!item.len)
		return weir_check_refuse(check, "has an empty item");
	if (memchr(item.ptr, '\0', item.len) || memchr(item.ptr, ',', item.len))
		return weir_check_refuse(check, "has an item with a NUL or a comma in it, which no item may");
	wrong = weir_form_check(check->row->form, item);
	if (wrong)
		return weir_check_refuse(check, "item %" PRId64 " %s", check->ret->number + 1, wrong);
	if (joined->len)
		weir_dynbuf_add_char(joined, ',');
	weir_dynbuf_add_buf(joined, item);
	check->ret->number++;
	return WEIR_OK;
}

static int add_items(const struct weir_check *check, struct weir_dynbuf *joined)
{
	const struct weir_node *list = check->input->node;
	struct weir_buf rest = weir_check_text_of(check), item;
	int code = WEIR_OK;

	if (list->kind == WEIR_JSON_ARRAY) {
		for (const struct weir_node *node = list->first; node && !code; node = node->next)
			code = node->kind == WEIR_JSON_STRING
				   ? add_item(check, node->text, joined)
				   : weir_check_refuse_allowed(check, "has an item that is not a string");
		return code;
	}
	if (!rest.ptr)
		return weir_check_refuse_kind(check, "a list");
	if (!rest.len)
		return WEIR_OK;
	while (!code && weir_str_split(&rest, ',', &item))
		code = add_item(check, item, joined);
	return code;
}

static int check_list(const struct weir_check *check)
{
	const struct weir_option *option = &check->row->option;
	struct weir_dynbuf joined;
	int code;

	weir_dynbuf_init(&joined, LIST_TEXT_MAX);
	check->ret->number = 0;
	code = add_items(check, &joined);
	if (!code && joined.failed)
		code = joined.len > LIST_TEXT_MAX / 2 ? weir_check_refuse(check, "is longer than a list may be")
						      : WEIR_ENOMEM;
	if (!code && !weir_check_in_range(option, check->ret->number))
		code = weir_check_refuse(check, "has %" PRId64 " items; allowed: %" PRId64 " to %" PRId64,
					 check->ret->number, option->min, option->max);
	if (!code && joined.len)
		code = weir_check_keep_text(check, weir_dynbuf_view(&joined));
	weir_dynbuf_fini(&joined);
	return code;
}

int weir_check(const struct weir_field *row, const struct weir_input *input, struct weir_arena *arena,
	       struct weir_checked *ret, char why[WEIR_WHY_SIZE])
{
	struct weir_check check = { row, input, arena, ret, why };

	*ret = (struct weir_checked){ NULL, 0 };
	switch (row->option.type) {
	case WEIR_OPT_BOOL:
		return check_bool(&check);
	case WEIR_OPT_INT:
		return weir_check_int(&check);
	case WEIR_OPT_DURATION:
		return weir_check_duration(&check);
	case WEIR_OPT_BYTES:
		return weir_check_bytes(&check);
	case WEIR_OPT_ENUM:
		return check_choice(&check);
	case WEIR_OPT_LIST:
		return check_list(&check);
	default:
		return check_string(&check);
	}
}
