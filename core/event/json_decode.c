/* SPDX-License-Identifier: Apache-2.0 */
/* From the JSON event format: one event. */
#include "event/event_int.h"

#include <string.h>

#include "base/str.h"
#include "event/base64.h"
#include "event/media_type.h"
#include "event/text.h"

/* Members are members of attributes, or one of these two. */
enum {
	MEMBER_DATA = WEIR_ATTR_COUNT + 1,
	MEMBER_BASE64,
};

/* One event being read. What data means depends on datacontenttype, which may come after it. */
struct decoder {
	weir_event *event;
	struct weir_json_scan *scan;
	struct weir_error *err;
	uint32_t seen;       /* a bit for each attribute and MEMBER_... */
	uint32_t extensions; /* those with a value */
	bool exact;
	bool has_data;
	bool has_base64;
	struct weir_json_token data; /* the first token of the value */
	struct weir_buf data_text;   /* the whole value */
	struct weir_json_token base64;
};

int weir_json_fail_syntax(const struct weir_json_scan *scan, struct weir_error *err)
{
	struct weir_buf text = { scan->text, scan->len };
	struct weir_json_position at = weir_json_position(text, scan->error_offset);

	return weir_fail(err, WEIR_EINVAL, "not valid JSON: line %zu, column %zu: %s", at.line, at.column, scan->error);
}

/* ---- attributes --------------------------------------------------------- */

/* The text of a string token, refused before it is decoded if it can only be too long. */
static int take_text(struct decoder *d, const struct weir_json_token *token, enum weir_attribute attribute,
		     struct weir_buf *ret)
{
	enum { LONGEST_ESCAPE = 6 };

	if (token->text.len / LONGEST_ESCAPE > d->event->limits.max_value_bytes)
		return weir_fail(d->err, WEIR_EINVAL, "%s: a value of more than %u bytes",
				 weir_attribute_name(attribute), d->event->limits.max_value_bytes);
	if (!weir_json_unescape(token, &d->event->arena, ret))
		return weir_event_no_memory(d->err);
	return weir_attribute_check(&d->event->limits, attribute, *ret, d->err);
}

static int take_attribute(struct decoder *d, enum weir_attribute attribute, const struct weir_json_token *token)
{
	struct weir_buf value;
	int code;

	if (token->kind == WEIR_JSON_NULL)
		return WEIR_OK;
	if (token->kind != WEIR_JSON_STRING)
		return weir_fail(d->err, WEIR_EINVAL, "%s: must be a string", weir_attribute_name(attribute));
	code = take_text(d, token, attribute, &value);
	if (!code)
		d->event->attributes[attribute] = value;
	return code;
}

/* An Integer of the specification: 32 bits, and one spelling for each. */
static int take_integer(struct decoder *d, const struct weir_json_token *token, struct weir_buf *ret)
{
	int64_t value;

	if (!token->integer || !weir_str_to_int(token->text, &value) || value < INT32_MIN || value > INT32_MAX)
		return weir_fail(d->err, WEIR_EINVAL,
				 "an extension: a number must be an integer from -2147483648 to 2147483647");
	*ret = value ? token->text : WEIR_STR("0");
	return WEIR_OK;
}

static int take_extension_value(struct decoder *d, const struct weir_json_token *token, struct weir_buf *ret,
				enum weir_value_type *type)
{
	*type = WEIR_VALUE_STRING;
	switch (token->kind) {
	case WEIR_JSON_STRING:
		return take_text(d, token, WEIR_ATTR_COUNT, ret);
	case WEIR_JSON_NUMBER:
		*type = WEIR_VALUE_INTEGER;
		return take_integer(d, token, ret);
	case WEIR_JSON_TRUE:
	case WEIR_JSON_FALSE:
		*type = WEIR_VALUE_BOOLEAN;
		*ret = token->text;
		return WEIR_OK;
	case WEIR_JSON_NULL:
		*ret = (struct weir_buf){ NULL, 0 };
		return WEIR_OK;
	default:
		return weir_fail(d->err, WEIR_EINVAL, "an extension: objects and arrays are not allowed");
	}
}

static int take_extension(struct decoder *d, struct weir_buf name, const struct weir_json_token *token)
{
	enum weir_value_type type;
	struct weir_buf value = { NULL, 0 };
	int code;

	if (!weir_text_is_name(name))
		return weir_fail(d->err, WEIR_EINVAL, "a member's name must be of the letters a-z and digits only");
	if (weir_event_find_extension(d->event, name))
		return weir_fail(d->err, WEIR_EINVAL, "an extension is given more than once");
	code = take_extension_value(d, token, &value, &type);
	if (code)
		return code;
	if (value.ptr && ++d->extensions > d->event->limits.max_extensions)
		return weir_fail(d->err, WEIR_EINVAL, "more than %u extensions", d->event->limits.max_extensions);
	return weir_event_add_extension(d->event, name, value, type, d->err);
}

/* ---- data --------------------------------------------------------------- */

/* The value begins after `colon`, counted in bytes of the text. */
static int keep_data(struct decoder *d, const struct weir_json_token *token, size_t colon)
{
	const struct weir_json_scan *scan = d->scan;
	size_t end;

	d->has_data = true;
	d->data = *token;
	if (!weir_json_skip(d->scan, token, &d->data_text))
		return weir_json_fail_syntax(d->scan, d->err);
	if (!d->exact)
		return WEIR_OK;
	for (end = scan->at; end < scan->len && strchr(" \t\r\n", scan->text[end]) && scan->text[end]; end++)
		continue;
	d->data_text = (struct weir_buf){ scan->text + colon, end - colon };
	return WEIR_OK;
}

static int keep_base64(struct decoder *d, const struct weir_json_token *token)
{
	if (token->kind == WEIR_JSON_NULL)
		return WEIR_OK;
	if (token->kind != WEIR_JSON_STRING)
		return weir_fail(d->err, WEIR_EINVAL, "data_base64: must be a string");
	d->has_base64 = true;
	d->base64 = *token;
	return WEIR_OK;
}

static int decode_base64(struct decoder *d)
{
	struct weir_buf text;
	unsigned char *bytes;
	size_t len;

	if (!weir_json_unescape(&d->base64, &d->event->arena, &text))
		return weir_event_no_memory(d->err);
	bytes = weir_arena_alloc(&d->event->arena, weir_base64_decoded_size(text.len));
	if (!bytes)
		return weir_event_no_memory(d->err);
	if (!weir_base64_decode(text, bytes, &len))
		return weir_fail(d->err, WEIR_EINVAL, "data_base64: must be base64 with padding (RFC 4648, section 4)");
	d->event->data = (struct weir_buf){ bytes, len };
	return WEIR_OK;
}

static int decode_data(struct decoder *d)
{
	struct weir_buf type = d->event->attributes[WEIR_ATTR_DATACONTENTTYPE];

	if (d->has_data && d->has_base64)
		return weir_fail(d->err, WEIR_EINVAL, "data and data_base64: only one of them is allowed");
	if (d->has_base64)
		return decode_base64(d);
	if (!d->has_data)
		return WEIR_OK;
	if (!type.ptr || weir_media_type_is_json(type)) {
		d->event->data = d->data_text;
		d->event->data_is_json = !type.ptr;
		return WEIR_OK;
	}
	if (d->data.kind != WEIR_JSON_STRING)
		return weir_fail(d->err, WEIR_EINVAL, "data: must be a string, as datacontenttype is not JSON");
	if (!weir_json_unescape(&d->data, &d->event->arena, &d->event->data))
		return weir_event_no_memory(d->err);
	return WEIR_OK;
}

/* ---- members ------------------------------------------------------------ */

static unsigned member_of(struct weir_buf name)
{
	if (weir_str_equal(name, WEIR_STR("data")))
		return MEMBER_DATA;
	if (weir_str_equal(name, WEIR_STR("data_base64")))
		return MEMBER_BASE64;
	return weir_attribute_find(name);
}

static int take_value(struct decoder *d, struct weir_buf name, const struct weir_json_token *token, size_t colon)
{
	unsigned member = member_of(name);

	if (member == WEIR_ATTR_COUNT)
		return take_extension(d, name, token);
	if (d->seen >> member & 1)
		return weir_fail(d->err, WEIR_EINVAL, "%s: given more than once",
				 member < WEIR_ATTR_COUNT ? weir_attribute_name(member) : "data or data_base64");
	d->seen |= 1u << member;
	if (member == MEMBER_DATA)
		return keep_data(d, token, colon);
	if (member == MEMBER_BASE64)
		return keep_base64(d, token);
	return take_attribute(d, member, token);
}

/* After its key. */
static int take_member(struct decoder *d, const struct weir_json_token *key)
{
	enum { LONGEST_ESCAPE = 6 };
	uint32_t max = d->event->limits.max_name_bytes;
	size_t colon = d->scan->at;
	struct weir_json_token token;
	struct weir_buf name;

	if (key->text.len / LONGEST_ESCAPE > max)
		return weir_fail(d->err, WEIR_EINVAL, "a member's name is longer than %u bytes", max);
	if (!weir_json_unescape(key, &d->event->arena, &name))
		return weir_event_no_memory(d->err);
	if (name.len > max)
		return weir_fail(d->err, WEIR_EINVAL, "a member's name is longer than %u bytes", max);
	if (weir_json_next(d->scan, &token) == WEIR_JSON_ERROR)
		return weir_json_fail_syntax(d->scan, d->err);
	return take_value(d, name, &token, colon);
}

int weir_json_decode_event(weir_event *event, struct weir_json_scan *scan, bool exact, struct weir_error *err)
{
	struct decoder d = { .event = event, .scan = scan, .err = err, .exact = exact };
	struct weir_json_token token;
	uint32_t members = 0;
	int code;

	while (weir_json_next(scan, &token) == WEIR_JSON_KEY) {
		if (++members > event->limits.max_envelope_keys)
			return weir_fail(err, WEIR_EINVAL, "more than %u members", event->limits.max_envelope_keys);
		code = take_member(&d, &token);
		if (code)
			return code;
	}
	if (token.kind == WEIR_JSON_ERROR)
		return weir_json_fail_syntax(scan, err);
	weir_event_drop_absent(event);
	return decode_data(&d);
}

/* ---- documents ---------------------------------------------------------- */

static int decode_document(weir_event *event, struct weir_json_scan *scan, bool exact, struct weir_error *err)
{
	struct weir_json_token token;
	int code;

	if (weir_json_next(scan, &token) == WEIR_JSON_ERROR)
		return weir_json_fail_syntax(scan, err);
	if (token.kind != WEIR_JSON_OBJECT)
		return weir_fail(err, WEIR_EINVAL, "an event must be a JSON object");
	code = weir_json_decode_event(event, scan, exact, err);
	if (code)
		return code;
	return weir_json_next(scan, &token) == WEIR_JSON_END ? WEIR_OK : weir_json_fail_syntax(scan, err);
}

int weir_json_decode_document(weir_event *event, struct weir_buf json, bool exact, struct weir_error *err)
{
	struct weir_json_scan scan;

	weir_event_begin(event);
	event->borrows = true;
	/* The limit is for what is in the event, which is one level down. */
	weir_json_init(&scan, json, event->limits.max_depth + 1);
	return weir_event_end(event, decode_document(event, &scan, exact, err), err);
}

int weir_event_from_json(weir_event *event, struct weir_buf json, struct weir_error *err)
{
	return weir_json_decode_document(event, json, false, err);
}
