/* SPDX-License-Identifier: Apache-2.0 */
#include "config/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>

#include "base/dynbuf.h"
#include "base/near.h"
#include "base/str.h"
#include "config/forms.h"

enum { LIST_TEXT_MAX = 1024 * 1024 };

struct check {
	const struct weir_field *row;
	const struct weir_input *input;
	struct weir_arena *arena;
	struct weir_checked *ret;
	char *why;
};

/* ---- saying what is wrong ------------------------------------------------ */

const char *weir_printable(struct weir_buf text, char out[WEIR_PRINTABLE_SIZE])
{
	const char *at = text.ptr;
	size_t len = text.len < WEIR_PRINTABLE_SIZE - 4 ? text.len : WEIR_PRINTABLE_SIZE - 4;

	for (size_t i = 0; i < len; i++)
		out[i] = at[i] >= ' ' && at[i] <= '~' ? at[i] : '?';
	memcpy(out + len, len < text.len ? "..." : "", len < text.len ? 4 : 1);
	return out;
}

__attribute__((format(printf, 2, 3))) static int refuse(const struct check *check, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(check->why, WEIR_WHY_SIZE, format, args);
	va_end(args);
	return WEIR_EINVAL;
}

/* "PT0.2S": no zeros at the end. */
static void fraction_text(int64_t ms, char out[32])
{
	size_t len = (size_t)snprintf(out, 32, "PT%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));

	while (out[len - 1] == '0')
		len--;
	memcpy(out + len, "S", 2);
}

const char *weir_duration_text(int64_t ms, char out[32])
{
	if (ms && ms % 3600000 == 0)
		snprintf(out, 32, "PT%" PRId64 "H", ms / 3600000);
	else if (ms && ms % 60000 == 0)
		snprintf(out, 32, "PT%" PRId64 "M", ms / 60000);
	else if (ms % 1000 == 0)
		snprintf(out, 32, "PT%" PRId64 "S", ms / 1000);
	else
		fraction_text(ms, out);
	return out;
}

static void allowed_choices(const char *choices, char *out, size_t size)
{
	size_t len = 0;

	for (; *choices && len + 3 < size; choices++) {
		out[len++] = *choices == '|' ? ',' : *choices;
		if (*choices == '|')
			out[len++] = ' ';
	}
	out[len] = '\0';
}

void weir_check_allowed(const struct weir_option *option, char *out, size_t size)
{
	bool any = option->min == 0 && option->max == 0;
	char least[32], most[32];

	switch (option->type) {
	case WEIR_OPT_BOOL:
		snprintf(out, size, "true, false");
		break;
	case WEIR_OPT_ENUM:
		allowed_choices(option->choices, out, size);
		break;
	case WEIR_OPT_DURATION:
		if (any)
			snprintf(out, size, "a duration such as PT0.2S or PT10S");
		else
			snprintf(out, size, "%s to %s", weir_duration_text(option->min, least),
				 weir_duration_text(option->max, most));
		break;
	case WEIR_OPT_INT:
	case WEIR_OPT_BYTES:
		if (any)
			snprintf(out, size, option->type == WEIR_OPT_INT ? "any whole number" : "any number of bytes");
		else
			snprintf(out, size, "%" PRId64 " to %" PRId64 "%s", option->min, option->max,
				 option->type == WEIR_OPT_BYTES ? " bytes" : "");
		break;
	case WEIR_OPT_LIST:
		snprintf(out, size, "a string, or an array of strings");
		break;
	default:
		snprintf(out, size, "a string");
	}
}

/* "what; allowed: ..." */
static int refuse_allowed(const struct check *check, const char *what)
{
	char allowed[256];

	weir_check_allowed(&check->row->option, allowed, sizeof allowed);
	return refuse(check, "%s; allowed: %s", what, allowed);
}

static int refuse_kind(const struct check *check, const char *wanted)
{
	char what[128];

	if (check->input->node->kind == WEIR_JSON_NULL)
		snprintf(what, sizeof what, "null is no value: leave the key out");
	else
		snprintf(what, sizeof what, "must be %s, not %s", wanted, weir_node_kind_text(check->input->node));
	if (check->row->option.type == WEIR_OPT_STRING || check->row->option.type == WEIR_OPT_BOOL)
		return refuse(check, "%s", what);
	return refuse_allowed(check, what);
}

/* The value in quotes, unless it must not be shown. */
static const char *shown(const struct check *check, struct weir_buf value, char out[WEIR_PRINTABLE_SIZE + 2])
{
	char text[WEIR_PRINTABLE_SIZE];

	if (check->row->option.flags & WEIR_OPTION_SECRET)
		snprintf(out, WEIR_PRINTABLE_SIZE + 2, "the value");
	else
		snprintf(out, WEIR_PRINTABLE_SIZE + 2, "\"%s\"", weir_printable(value, text));
	return out;
}

static int refuse_value(const struct check *check, struct weir_buf value, const char *what)
{
	char quoted[WEIR_PRINTABLE_SIZE + 2], text[192];

	snprintf(text, sizeof text, "%s %s", shown(check, value, quoted), what);
	return refuse_allowed(check, text);
}

/* ---- the value as text --------------------------------------------------- */

/* The text of a scalar; ptr NULL if it is of another kind. */
static struct weir_buf text_of(const struct check *check)
{
	const struct weir_node *node = check->input->node;
	struct weir_buf none = { NULL, 0 };

	if (node->kind == WEIR_JSON_STRING)
		return node->text;
	return check->input->text ? check->input->raw : none;
}

static int keep_text(const struct check *check, struct weir_buf text)
{
	check->ret->text = weir_arena_text(check->arena, text);
	return check->ret->text ? WEIR_OK : WEIR_ENOMEM;
}

static int keep_number(const struct check *check, int64_t number)
{
	char digits[24];

	check->ret->number = number;
	snprintf(digits, sizeof digits, "%" PRId64, number);
	return keep_text(check, weir_str(digits));
}

static bool in_range(const struct weir_option *option, int64_t number)
{
	return (option->min == 0 && option->max == 0) || (number >= option->min && number <= option->max);
}

/* ---- types --------------------------------------------------------------- */

static int check_string(const struct check *check)
{
	struct weir_buf text = text_of(check);
	const char *wrong;

	/* Keys that are passed on as they are may be written as numbers and truth values too. */
	if (!text.ptr && (check->row->option.flags & WEIR_OPTION_PREFIX) &&
	    check->input->node->kind >= WEIR_JSON_STRING && check->input->node->kind != WEIR_JSON_NULL)
		text = check->input->node->text;
	if (!text.ptr)
		return refuse_kind(check, "a string");
	if (memchr(text.ptr, '\0', text.len))
		return refuse(check, "holds a NUL character, which no value may");
	wrong = weir_form_check(check->row->form, text);
	return wrong ? refuse(check, "%s", wrong) : keep_text(check, text);
}

static int check_bool(const struct check *check)
{
	const struct weir_node *node = check->input->node;
	struct weir_buf text = check->input->text ? text_of(check) : node->text;
	bool yes = weir_str_equal(text, WEIR_STR("true"));

	if (!check->input->text && node->kind != WEIR_JSON_TRUE && node->kind != WEIR_JSON_FALSE)
		return refuse_kind(check, "true or false");
	if (!yes && !weir_str_equal(text, WEIR_STR("false")))
		return refuse_value(check, text, "is neither true nor false");
	check->ret->number = yes;
	return keep_text(check, text);
}

/* `text` is the whole value, `digits` the part that must be a number. */
static int check_digits(const struct check *check, struct weir_buf text, struct weir_buf digits)
{
	bool bytes = check->row->option.type == WEIR_OPT_BYTES;
	const char *wrong = bytes ? "is not a number of bytes, KiB, MiB or GiB" : "is not a whole number in digits";
	const char *at;

	if (weir_str_starts(digits, WEIR_STR("-")))
		digits = (struct weir_buf){ (const char *)digits.ptr + 1, digits.len - 1 };
	at = digits.ptr;
	for (size_t i = 0; i < digits.len; i++) {
		if (at[i] < '0' || at[i] > '9')
			return refuse_value(check, text, wrong);
	}
	if (!digits.len)
		return refuse_value(check, text, wrong);
	if (digits.len > 1 && at[0] == '0')
		return refuse_value(check, text, "begins with 0, which a number must not");
	return WEIR_OK;
}

static int check_whole(const struct check *check, struct weir_buf text)
{
	int64_t number;
	int code = check_digits(check, text, text);

	if (code)
		return code;
	if (!weir_str_to_int(text, &number) || !in_range(&check->row->option, number))
		return refuse_value(check, text, "is out of range");
	return keep_number(check, number);
}

static int check_int(const struct check *check)
{
	const struct weir_node *node = check->input->node;
	struct weir_buf text = check->input->text ? text_of(check) : node->text;

	if (!check->input->text && node->kind != WEIR_JSON_NUMBER)
		return refuse_kind(check, "a whole number");
	return check_whole(check, text);
}

/* "64Ki", "1MiB": the factor, and *digits without it. 1 without a unit. */
static int64_t size_unit(struct weir_buf text, struct weir_buf *digits)
{
	static const struct {
		const char *suffix;
		int64_t factor;
	} units[] = { { "Ki", 1024 },     { "KiB", 1024 },   { "Mi", 1048576 },
		      { "MiB", 1048576 }, { "Gi", 1 << 30 }, { "GiB", 1 << 30 } };
	const char *at = text.ptr;

	*digits = text;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		size_t len = strlen(units[i].suffix);

		if (text.len > len && memcmp(at + text.len - len, units[i].suffix, len) == 0) {
			digits->len -= len;
			return units[i].factor;
		}
	}
	return 1;
}

static int check_bytes(const struct check *check)
{
	const struct weir_node *node = check->input->node;
	struct weir_buf text = node->kind == WEIR_JSON_NUMBER && !check->input->text ? node->text : text_of(check);
	struct weir_buf digits;
	int64_t factor, bytes;
	int code;

	if (!text.ptr)
		return refuse_kind(check, "a number of bytes, or a string such as \"64KiB\" or \"1MiB\"");
	factor = size_unit(text, &digits);
	code = check_digits(check, text, digits);
	if (code)
		return code;
	if (!weir_str_to_int(digits, &bytes) || __builtin_mul_overflow(bytes, factor, &bytes) || bytes < 0 ||
	    !in_range(&check->row->option, bytes))
		return refuse_value(check, text, "is out of range");
	return keep_number(check, bytes);
}

/* "10", "0.2s", "200ms", "5m": what was probably meant, in ms; -1: no idea. */
static int64_t guess_duration(struct weir_buf text)
{
	static const struct {
		const char *unit, *before, *behind;
		int64_t divisor;
	} units[] = { { "ms", "PT", "S", 1000 }, { "s", "PT", "S", 1 }, { "m", "PT", "M", 1 },
		      { "h", "PT", "H", 1 },     { "d", "P", "D", 1 },  { "", "PT", "S", 1 } };
	const char *at = text.ptr;
	char iso[32];

	for (size_t i = 0; i < sizeof units / sizeof units[0] && text.len < 16; i++) {
		size_t len = strlen(units[i].unit);
		int64_t ms;

		if (text.len <= len || memcmp(at + text.len - len, units[i].unit, len) != 0)
			continue;
		snprintf(iso, sizeof iso, "%s%.*s%s", units[i].before, (int)(text.len - len), at, units[i].behind);
		if (weir_str_to_duration_ms(weir_str(iso), &ms))
			return ms / units[i].divisor;
	}
	return -1;
}

static int refuse_duration(const struct check *check, struct weir_buf text)
{
	int64_t guess = guess_duration(text);
	char allowed[256], quoted[WEIR_PRINTABLE_SIZE + 2], meant[32], hint[80] = "";

	weir_check_allowed(&check->row->option, allowed, sizeof allowed);
	if (guess >= 0 && in_range(&check->row->option, guess) && !(check->row->option.flags & WEIR_OPTION_SECRET))
		snprintf(hint, sizeof hint, "; did you mean \"%s\"?", weir_duration_text(guess, meant));
	return refuse(check, "%s is not an ISO 8601 duration; allowed: %s%s", shown(check, text, quoted), allowed,
		      hint);
}

static int check_duration(const struct check *check)
{
	const struct weir_node *node = check->input->node;
	struct weir_buf text = node->kind == WEIR_JSON_NUMBER ? node->text : text_of(check);
	int64_t ms;

	if (!text.ptr)
		return refuse_kind(check, "a duration");
	if (!weir_str_to_duration_ms(text, &ms))
		return refuse_duration(check, text);
	if (!in_range(&check->row->option, ms))
		return refuse_value(check, text, "is out of range");
	check->ret->number = ms;
	return keep_text(check, text);
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

static int refuse_choice(const struct check *check, struct weir_buf text)
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
	return refuse(check, "%s is not a choice; allowed: %s%s%s%s", shown(check, text, quoted), allowed,
		      best[0] ? "; did you mean \"" : "", best, best[0] ? "\"?" : "");
}

static int check_choice(const struct check *check)
{
	struct weir_buf text = text_of(check);
	int index;

	if (!text.ptr)
		return refuse_kind(check, "a string");
	index = choice_index(check->row->option.choices, text);
	if (index < 0)
		return refuse_choice(check, text);
	check->ret->number = index;
	return keep_text(check, text);
}

/* ---- lists --------------------------------------------------------------- */

static int add_item(const struct check *check, struct weir_buf item, struct weir_dynbuf *joined)
{
	const char *wrong;

	item = weir_str_trim(item);
	if (!item.len)
		return refuse(check, "has an empty item");
	if (memchr(item.ptr, '\0', item.len) || memchr(item.ptr, ',', item.len))
		return refuse(check, "has an item with a NUL or a comma in it, which no item may");
	wrong = weir_form_check(check->row->form, item);
	if (wrong)
		return refuse(check, "item %" PRId64 " %s", check->ret->number + 1, wrong);
	if (joined->len)
		weir_dynbuf_add_char(joined, ',');
	weir_dynbuf_add_buf(joined, item);
	check->ret->number++;
	return WEIR_OK;
}

static int add_items(const struct check *check, struct weir_dynbuf *joined)
{
	const struct weir_node *list = check->input->node;
	struct weir_buf rest = text_of(check), item;
	int code = WEIR_OK;

	if (list->kind == WEIR_JSON_ARRAY) {
		for (const struct weir_node *node = list->first; node && !code; node = node->next)
			code = node->kind == WEIR_JSON_STRING
				   ? add_item(check, node->text, joined)
				   : refuse_allowed(check, "has an item that is not a string");
		return code;
	}
	if (!rest.ptr)
		return refuse_kind(check, "a list");
	if (!rest.len)
		return WEIR_OK;
	while (!code && weir_str_split(&rest, ',', &item))
		code = add_item(check, item, joined);
	return code;
}

static int check_list(const struct check *check)
{
	const struct weir_option *option = &check->row->option;
	struct weir_dynbuf joined;
	int code;

	weir_dynbuf_init(&joined, LIST_TEXT_MAX);
	check->ret->number = 0;
	code = add_items(check, &joined);
	if (!code && joined.failed)
		code = joined.len > LIST_TEXT_MAX / 2 ? refuse(check, "is longer than a list may be") : WEIR_ENOMEM;
	if (!code && !in_range(option, check->ret->number))
		code = refuse(check, "has %" PRId64 " items; allowed: %" PRId64 " to %" PRId64, check->ret->number,
			      option->min, option->max);
	if (!code && joined.len)
		code = keep_text(check, weir_dynbuf_view(&joined));
	weir_dynbuf_fini(&joined);
	return code;
}

int weir_check(const struct weir_field *row, const struct weir_input *input, struct weir_arena *arena,
	       struct weir_checked *ret, char why[WEIR_WHY_SIZE])
{
	struct check check = { row, input, arena, ret, why };

	*ret = (struct weir_checked){ NULL, 0 };
	switch (row->option.type) {
	case WEIR_OPT_BOOL:
		return check_bool(&check);
	case WEIR_OPT_INT:
		return check_int(&check);
	case WEIR_OPT_DURATION:
		return check_duration(&check);
	case WEIR_OPT_BYTES:
		return check_bytes(&check);
	case WEIR_OPT_ENUM:
		return check_choice(&check);
	case WEIR_OPT_LIST:
		return check_list(&check);
	default:
		return check_string(&check);
	}
}
