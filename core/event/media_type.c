/* SPDX-License-Identifier: Apache-2.0 */
#include "event/media_type.h"

#include <string.h>

#include "base/str.h"

static bool is_token_char(char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return c && strchr("!#$%&'*+-.^_`|~", c);
}

/* What is left to read. */
struct rest {
	const char *p;
	const char *end;
};

static struct weir_buf take_token(struct rest *rest)
{
	const char *start = rest->p;

	while (rest->p < rest->end && is_token_char(*rest->p))
		rest->p++;
	return (struct weir_buf){ start, (size_t)(rest->p - start) };
}

static bool take_char(struct rest *rest, char c)
{
	if (rest->p == rest->end || *rest->p != c)
		return false;
	rest->p++;
	return true;
}

static void skip_blanks(struct rest *rest)
{
	while (rest->p < rest->end && (*rest->p == ' ' || *rest->p == '\t'))
		rest->p++;
}

/* After the opening quote; *ret is what is between the quotes, escapes left in. */
static bool take_quoted(struct rest *rest, struct weir_buf *ret)
{
	const char *start = rest->p;

	for (; rest->p < rest->end; rest->p++) {
		if (*rest->p == '"') {
			*ret = (struct weir_buf){ start, (size_t)(rest->p - start) };
			rest->p++;
			return true;
		}
		if (*rest->p == '\\' && ++rest->p == rest->end)
			return false;
		if ((*rest->p < 0x20 && *rest->p != '\t') || *rest->p > 0x7E)
			return false;
	}
	return false;
}

/* name "=" value; remembers a charset. One that is given twice is an error. */
static bool take_parameter(struct rest *rest, struct weir_media_type *ret)
{
	struct weir_buf name = take_token(rest);
	struct weir_buf value;

	if (name.len == 0 || !take_char(rest, '='))
		return false;
	if (take_char(rest, '"')) {
		if (!take_quoted(rest, &value))
			return false;
	} else {
		value = take_token(rest);
		if (value.len == 0)
			return false;
	}
	if (!weir_str_equal_nocase(name, WEIR_STR("charset")))
		return true;
	if (ret->charset.ptr)
		return false;
	ret->charset = value;
	return true;
}

bool weir_media_type_parse(struct weir_buf text, struct weir_media_type *ret)
{
	struct rest rest = { text.ptr, (const char *)text.ptr + text.len };

	ret->charset = (struct weir_buf){ NULL, 0 };
	if (take_token(&rest).len == 0 || !take_char(&rest, '/') || take_token(&rest).len == 0)
		return false;
	ret->essence = (struct weir_buf){ text.ptr, (size_t)(rest.p - (const char *)text.ptr) };
	for (;;) {
		skip_blanks(&rest);
		if (rest.p == rest.end)
			return true;
		if (!take_char(&rest, ';'))
			return false;
		skip_blanks(&rest);
		/* RFC 9110 lets a parameter be left out: "text/plain;". */
		if (rest.p < rest.end && *rest.p != ';' && !take_parameter(&rest, ret))
			return false;
	}
}

bool weir_media_type_is_valid(struct weir_buf text)
{
	struct weir_media_type type;

	return weir_str_equal(text, WEIR_STR("application/json")) || weir_media_type_parse(text, &type);
}

bool weir_media_type_is_json(struct weir_buf text)
{
	const char *p = text.ptr;
	const char *end = text.len ? memchr(p, ';', text.len) : NULL;
	struct weir_buf essence = weir_str_trim((struct weir_buf){ p, end ? (size_t)(end - p) : text.len });
	struct weir_buf tail;

	if (essence.len < sizeof "x/json" - 1)
		return false;
	tail = (struct weir_buf){ (const char *)essence.ptr + essence.len - 5, 5 };
	return weir_str_equal_nocase(tail, WEIR_STR("/json")) || weir_str_equal_nocase(tail, WEIR_STR("+json"));
}

bool weir_media_type_is_cloudevents(struct weir_buf text)
{
	return weir_str_starts_nocase(text, WEIR_STR("application/cloudevents"));
}

bool weir_media_type_is_utf8(const struct weir_media_type *type)
{
	return !type->charset.ptr || weir_str_equal_nocase(type->charset, WEIR_STR("utf-8"));
}
