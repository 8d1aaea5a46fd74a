/* SPDX-License-Identifier: Apache-2.0 */
/* filter/function: the functions of CESQL 1.0, section 3.5, and the casts. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "event/utf8.h"
#include "filter/case_map.h"
#include "filter/eval.h"

typedef enum weir_filter_fault fault;
typedef struct weir_filter_eval context;
typedef struct weir_filter_value value;

enum { MANY = UINT8_MAX };

static value text_of(const void *bytes, size_t len)
{
	return (value){ .type = WEIR_FILTER_STRING, .text = { bytes ? bytes : "", len } };
}

static value number_of(int32_t number)
{
	return (value){ .type = WEIR_FILTER_INTEGER, .number = number };
}

/* ---- characters ------------------------------------------------------------ */

static bool is_tail(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

static size_t length_of(struct weir_buf text)
{
	const unsigned char *bytes = text.ptr;
	size_t count = 0;

	for (size_t i = 0; i < text.len; i++)
		count += !is_tail(bytes[i]);
	return count;
}

/* Where character number `n` begins, from 0; the end if there are no more than n. */
static size_t offset_of(struct weir_buf text, size_t n)
{
	const unsigned char *bytes = text.ptr;
	size_t at = 0;

	for (; at < text.len; at++) {
		if (!is_tail(bytes[at]) && n-- == 0)
			break;
	}
	return at;
}

static value part_of(struct weir_buf text, size_t first, size_t count)
{
	const char *bytes = text.ptr;
	size_t begin = offset_of(text, first);
	struct weir_buf rest = { bytes + begin, text.len - begin };

	return text_of(rest.ptr, offset_of(rest, count));
}

/* ---- casts ------------------------------------------------------------------ */

/* The argument was cast already. */
static fault cast(context *eval, value *arguments, size_t count)
{
	(void)eval;
	(void)arguments;
	(void)count;
	return WEIR_FILTER_NO_FAULT;
}

/* ---- texts ------------------------------------------------------------------ */

static fault length(context *eval, value *arguments, size_t count)
{
	(void)count;
	if (!weir_filter_spend(eval, arguments->text.len))
		return WEIR_FILTER_BUDGET;
	*arguments = number_of((int32_t)length_of(arguments->text));
	return WEIR_FILTER_NO_FAULT;
}

static fault join(context *eval, value *arguments, size_t count, struct weir_buf between, value *ret)
{
	size_t len = count ? (count - 1) * between.len : 0, at = 0;
	char *room;

	for (size_t i = 0; i < count; i++)
		len += arguments[i].text.len;
	room = weir_filter_room(eval, len);
	if (!room)
		return WEIR_FILTER_BUDGET;
	for (size_t i = 0; i < count; i++) {
		if (i && between.len) {
			memcpy(room + at, between.ptr, between.len);
			at += between.len;
		}
		memcpy(room + at, arguments[i].text.ptr, arguments[i].text.len);
		at += arguments[i].text.len;
	}
	*ret = text_of(room, len);
	return WEIR_FILTER_NO_FAULT;
}

static fault concat(context *eval, value *arguments, size_t count)
{
	return join(eval, arguments, count, (struct weir_buf){ "", 0 }, arguments);
}

static fault concat_ws(context *eval, value *arguments, size_t count)
{
	return join(eval, arguments + 1, count - 1, arguments->text, arguments);
}

/* A character's mapping may need a byte more than it: U+023A has two bytes, and its small letter three. */
static fault map(context *eval, value *argument, uint32_t (*mapping)(uint32_t c))
{
	const unsigned char *at = argument->text.ptr, *end = at + argument->text.len;
	size_t most = argument->text.len + argument->text.len / 2;
	unsigned char *room = (unsigned char *)weir_filter_room(eval, most);
	size_t len = 0;
	uint32_t c = 0;

	if (!room)
		return WEIR_FILTER_BUDGET;
	while (at < end) {
		size_t bytes = weir_utf8_decode(at, end, &c);

		if (!bytes) /* never of a valid event or expression */
			return WEIR_FILTER_FUNCTION;
		at += bytes;
		len += weir_utf8_encode(mapping(c), room + len);
	}
	eval->text_used -= most - len;
	*argument = text_of(room, len);
	return WEIR_FILTER_NO_FAULT;
}

static fault lower(context *eval, value *arguments, size_t count)
{
	(void)count;
	return map(eval, arguments, weir_filter_lower);
}

static fault upper(context *eval, value *arguments, size_t count)
{
	(void)count;
	return map(eval, arguments, weir_filter_upper);
}

/* The character that ends before `end`. */
static size_t decode_back(const unsigned char *begin, const unsigned char *end, uint32_t *ret)
{
	const unsigned char *at = end;

	while (at > begin && is_tail(*--at))
		;
	return weir_utf8_decode(at, end, ret);
}

static fault trim(context *eval, value *arguments, size_t count)
{
	const unsigned char *begin = arguments->text.ptr, *end = begin + arguments->text.len;
	size_t bytes;
	uint32_t c = 0;

	(void)count;
	if (!weir_filter_spend(eval, arguments->text.len))
		return WEIR_FILTER_BUDGET;
	while ((bytes = weir_utf8_decode(begin, end, &c)) && weir_filter_is_space(c))
		begin += bytes;
	while (begin < end && (bytes = decode_back(begin, end, &c)) && weir_filter_is_space(c))
		end -= bytes;
	*arguments = text_of(begin, (size_t)(end - begin));
	return WEIR_FILTER_NO_FAULT;
}

static fault left(context *eval, value *arguments, size_t count)
{
	(void)count;
	if (arguments[1].number < 0)
		return WEIR_FILTER_FUNCTION;
	if (!weir_filter_spend(eval, arguments->text.len))
		return WEIR_FILTER_BUDGET;
	*arguments = part_of(arguments->text, 0, (size_t)arguments[1].number);
	return WEIR_FILTER_NO_FAULT;
}

static fault right(context *eval, value *arguments, size_t count)
{
	size_t wanted = (size_t)arguments[1].number, all;

	(void)count;
	if (arguments[1].number < 0)
		return WEIR_FILTER_FUNCTION;
	if (!weir_filter_spend(eval, 2 * arguments->text.len))
		return WEIR_FILTER_BUDGET;
	all = length_of(arguments->text);
	*arguments = part_of(arguments->text, wanted < all ? all - wanted : 0, all);
	return WEIR_FILTER_NO_FAULT;
}

static fault substring(context *eval, value *arguments, size_t count)
{
	int64_t all, from = arguments[1].number, wanted;

	if (!weir_filter_spend(eval, 3 * arguments->text.len))
		return WEIR_FILTER_BUDGET;
	all = (int64_t)length_of(arguments->text);
	wanted = count > 2 ? arguments[2].number : all;
	if (from > all || from < -all || wanted < 0)
		return WEIR_FILTER_FUNCTION;
	if (from == 0)
		wanted = 0;
	*arguments = part_of(arguments->text, (size_t)(from > 0 ? from - 1 : all + from), (size_t)wanted);
	return WEIR_FILTER_NO_FAULT;
}

/* ---- numbers ---------------------------------------------------------------- */

static fault absolute(context *eval, value *arguments, size_t count)
{
	(void)eval;
	(void)count;
	if (arguments->number == INT32_MIN)
		return WEIR_FILTER_MATH;
	arguments->number = abs(arguments->number);
	return WEIR_FILTER_NO_FAULT;
}

/* ---- all of them -------------------------------------------------------------- */

#define B WEIR_FILTER_BOOLEAN
#define I WEIR_FILTER_INTEGER
#define S WEIR_FILTER_STRING

const struct weir_filter_function weir_filter_functions[] = {
	{ "ABS", 1, 1, I, { I, I, I }, absolute },
	{ "BOOL", 1, 1, B, { B, B, B }, cast },
	{ "CONCAT", 0, MANY, S, { S, S, S }, concat },
	{ "CONCAT_WS", 1, MANY, S, { S, S, S }, concat_ws },
	{ "INT", 1, 1, I, { I, I, I }, cast },
	{ "LEFT", 2, 2, S, { S, I, I }, left },
	{ "LENGTH", 1, 1, I, { S, S, S }, length },
	{ "LOWER", 1, 1, S, { S, S, S }, lower },
	{ "RIGHT", 2, 2, S, { S, I, I }, right },
	{ "STRING", 1, 1, S, { S, S, S }, cast },
	{ "SUBSTRING", 2, 3, S, { S, I, I }, substring },
	{ "TRIM", 1, 1, S, { S, S, S }, trim },
	{ "UPPER", 1, 1, S, { S, S, S }, upper },
};
const size_t weir_filter_function_count = sizeof weir_filter_functions / sizeof weir_filter_functions[0];
