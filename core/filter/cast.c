/* SPDX-License-Identifier: Apache-2.0 */
/* filter/cast: from one type to another. */
#include <stdio.h>

#include "base/str.h"
#include "filter/eval.h"

enum { NUMBER_SIZE = 12 };

char *weir_filter_room(struct weir_filter_eval *eval, size_t len)
{
	char *room = eval->scratch->text + eval->text_used;

	if (len > WEIR_FILTER_TEXT_BYTES - eval->text_used || !weir_filter_spend(eval, len))
		return NULL;
	eval->text_used += len;
	return room;
}

bool weir_filter_spend(struct weir_filter_eval *eval, size_t bytes)
{
	bool allowed = bytes <= eval->budget;

	eval->budget = allowed ? eval->budget - bytes : 0;
	return allowed;
}

static enum weir_filter_fault to_boolean(struct weir_filter_value *value)
{
	bool yes = value->number != 0;

	if (value->type == WEIR_FILTER_STRING) {
		yes = weir_str_equal_nocase(value->text, WEIR_STR("true"));
		if (!yes && !weir_str_equal_nocase(value->text, WEIR_STR("false")))
			return WEIR_FILTER_CAST;
	}
	*value = (struct weir_filter_value){ .type = WEIR_FILTER_BOOLEAN, .number = yes };
	return WEIR_FILTER_NO_FAULT;
}

static enum weir_filter_fault to_integer(struct weir_filter_value *value)
{
	int64_t number = value->number;

	if (value->type == WEIR_FILTER_STRING) {
		struct weir_buf digits = value->text;

		if (digits.len > 1 && *(const char *)digits.ptr == '+' && ((const char *)digits.ptr)[1] != '-')
			digits = (struct weir_buf){ (const char *)digits.ptr + 1, digits.len - 1 };
		if (!weir_str_to_int(digits, &number) || number < INT32_MIN || number > INT32_MAX)
			return WEIR_FILTER_CAST;
	}
	*value = (struct weir_filter_value){ .type = WEIR_FILTER_INTEGER, .number = (int32_t)number };
	return WEIR_FILTER_NO_FAULT;
}

static enum weir_filter_fault to_string(struct weir_filter_eval *eval, struct weir_filter_value *value)
{
	struct weir_buf text;
	char *room;
	int len;

	if (value->type == WEIR_FILTER_BOOLEAN) {
		text = value->number ? WEIR_STR("true") : WEIR_STR("false");
	} else {
		room = weir_filter_room(eval, NUMBER_SIZE);
		if (!room)
			return WEIR_FILTER_BUDGET;
		len = snprintf(room, NUMBER_SIZE, "%d", value->number);
		text = (struct weir_buf){ room, (size_t)len };
	}
	*value = (struct weir_filter_value){ .type = WEIR_FILTER_STRING, .text = text };
	return WEIR_FILTER_NO_FAULT;
}

enum weir_filter_fault weir_filter_cast(struct weir_filter_eval *eval, struct weir_filter_value *value,
					enum weir_filter_type type)
{
	if (value->type == type)
		return WEIR_FILTER_NO_FAULT;
	if (type == WEIR_FILTER_BOOLEAN)
		return to_boolean(value);
	return type == WEIR_FILTER_INTEGER ? to_integer(value) : to_string(eval, value);
}
