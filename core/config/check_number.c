/* SPDX-License-Identifier: Apache-2.0 */
/* config/check_number: whole numbers, sizes, durations. */
#include "config/check_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>

#include "base/str.h"

static int keep_number(const struct weir_check *check, int64_t number)
{
	char digits[24];

	check->ret->number = number;
	snprintf(digits, sizeof digits, "%" PRId64, number);
	return weir_check_keep_text(check, weir_str(digits));
}

/* `text` is the whole value, `digits` the part that must be a number. */
static int check_digits(const struct weir_check *check, struct weir_buf text, struct weir_buf digits)
{
	bool bytes = check->row->option.type == WEIR_OPT_BYTES;
	const char *wrong = bytes ? "is not a number of bytes, KiB, MiB or GiB" : "is not a whole number in digits";
	const char *at;

	if (weir_str_starts(digits, WEIR_STR("-")))
		digits = (struct weir_buf){ (const char *)digits.ptr + 1, digits.len - 1 };
	at = digits.ptr;
	for (size_t i = 0; i < digits.len; i++) {
		if (at[i] < '0' || at[i] > '9')
			return weir_check_refuse_value(check, text, wrong);
	}
	if (!digits.len)
		return weir_check_refuse_value(check, text, wrong);
	if (digits.len > 1 && at[0] == '0')
		return weir_check_refuse_value(check, text, "begins with 0, which a number must not");
	return WEIR_OK;
}

static int check_whole(const struct weir_check *check, struct weir_buf text)
{
	int64_t number;
	int code = check_digits(check, text, text);

	if (code)
		return code;
	if (!weir_str_to_int(text, &number) || !weir_check_in_range(&check->row->option, number))
		return weir_check_refuse_value(check, text, "is out of range");
	return keep_number(check, number);
}

int weir_check_int(const struct weir_check *check)
{
	const struct weir_node *node = check->input->node;
	struct weir_buf text = check->input->text ? weir_check_text_of(check) : node->text;

	if (!check->input->text && node->kind != WEIR_JSON_NUMBER)
		return weir_check_refuse_kind(check, "a whole number");
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

int weir_check_bytes(const struct weir_check *check)
{
	const struct weir_node *node = check->input->node;
	struct weir_buf text =
	    node->kind == WEIR_JSON_NUMBER && !check->input->text ? node->text : weir_check_text_of(check);
	struct weir_buf digits;
	int64_t factor, bytes;
	int code;

	if (!text.ptr)
		return weir_check_refuse_kind(check, "a number of bytes, or a string such as \"64KiB\" or \"1MiB\"");
	factor = size_unit(text, &digits);
	code = check_digits(check, text, digits);
	if (code)
		return code;
	if (!weir_str_to_int(digits, &bytes) || __builtin_mul_overflow(bytes, factor, &bytes) || bytes < 0 ||
	    !weir_check_in_range(&check->row->option, bytes))
		return weir_check_refuse_value(check, text, "is out of range");
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

static int refuse_duration(const struct weir_check *check, struct weir_buf text)
{
	int64_t guess = guess_duration(text);
	char allowed[256], quoted[WEIR_PRINTABLE_SIZE + 2], meant[32], hint[80] = "";

	weir_check_allowed(&check->row->option, allowed, sizeof allowed);
	if (guess >= 0 && weir_check_in_range(&check->row->option, guess) &&
	    !(check->row->option.flags & WEIR_OPTION_SECRET))
		snprintf(hint, sizeof hint, "; did you mean \"%s\"?", weir_duration_text(guess, meant));
	return weir_check_refuse(check, "%s is not an ISO 8601 duration; allowed: %s%s",
				 weir_check_shown(check, text, quoted), allowed, hint);
}

int weir_check_duration(const struct weir_check *check)
{
	const struct weir_node *node = check->input->node;
	struct weir_buf text = node->kind == WEIR_JSON_NUMBER ? node->text : weir_check_text_of(check);
	int64_t ms;

	if (!text.ptr)
		return weir_check_refuse_kind(check, "a duration");
	if (!weir_str_to_duration_ms(text, &ms))
		return refuse_duration(check, text);
	if (!weir_check_in_range(&check->row->option, ms))
		return weir_check_refuse_value(check, text, "is out of range");
	check->ret->number = ms;
	return weir_check_keep_text(check, text);
}
