/* SPDX-License-Identifier: Apache-2.0 */
#include "event/kyma.h"

#include <string.h>

#include "base/str.h"
#include "event/event_int.h"

enum field { TYPE, VERSION, ID, TIME, DATA, FIELDS };

static const char *const names[FIELDS] = {
	[TYPE] = "event-type", [VERSION] = "event-type-version", [ID] = "event-id", [TIME] = "event-time",
	[DATA] = "data",
};

struct decoder {
	weir_event *event;
	struct weir_json_scan scan;
	struct weir_kyma_fault *fault;
	struct weir_error *err;
	struct weir_buf values[FIELDS]; /* ptr NULL or len 0: missing */
	bool seen[FIELDS];
};

static enum field find_field(struct weir_buf name)
{
	enum field field = 0;

	while (field < FIELDS && !weir_str_equal(name, weir_str(names[field])))
		field++;
	return field;
}

/* Of `field`; FIELDS: of the whole. */
static int fail(struct decoder *d, enum field field, const char *what)
{
	d->fault->field = field < FIELDS ? names[field] : NULL;
	return weir_fail(d->err, WEIR_EINVAL, "%s%s%s", field < FIELDS ? names[field] : "", field < FIELDS ? ": " : "",
			 what);
}

/* ---- reading -------------------------------------------------------------- */

static int take_data(struct decoder *d, const struct weir_json_token *token)
{
	struct weir_buf text;

	if (!weir_json_skip(&d->scan, token, &text))
		return weir_json_fail_syntax(&d->scan, d->err);
	/* Kyma took the empty string, but not the empty object, for no data. */
	if (token->kind != WEIR_JSON_NULL && !(token->kind == WEIR_JSON_STRING && !token->text.len))
		d->values[DATA] = text;
	return WEIR_OK;
}

static int take_text(struct decoder *d, enum field field, const struct weir_json_token *token)
{
	enum { LONGEST_ESCAPE = 6 };

	if (token->kind == WEIR_JSON_NULL)
		return WEIR_OK;
	if (token->kind != WEIR_JSON_STRING)
		return fail(d, field, "must be a string");
	if (token->text.len / LONGEST_ESCAPE > d->event->limits.max_value_bytes)
		return fail(d, field, "is too long");
	if (!weir_json_unescape(token, &d->event->arena, &d->values[field]))
		return weir_event_no_memory(d->err);
	return WEIR_OK;
}

/* After its key, whose name may have escapes. */
static int take_member(struct decoder *d, const struct weir_json_token *key)
{
	struct weir_json_token token;
	struct weir_buf name, ignored;
	enum field field;

	/* A name that is longer than any escaped one of ours is nobody's. */
	name = (struct weir_buf){ "", 0 };
	if (key->text.len <= d->event->limits.max_value_bytes && !weir_json_unescape(key, &d->event->arena, &name))
		return weir_event_no_memory(d->err);
	field = find_field(name);
	if (weir_json_next(&d->scan, &token) == WEIR_JSON_ERROR)
		return weir_json_fail_syntax(&d->scan, d->err);
	if (field == FIELDS)
		return weir_json_skip(&d->scan, &token, &ignored) ? WEIR_OK : weir_json_fail_syntax(&d->scan, d->err);
	if (d->seen[field])
		return fail(d, field, "given more than once");
	d->seen[field] = true;
	return field == DATA ? take_data(d, &token) : take_text(d, field, &token);
}

static int read_members(struct decoder *d)
{
	uint32_t members = 0, max = d->event->limits.max_envelope_keys;
	struct weir_json_token token;
	int code = WEIR_OK;

	if (weir_json_next(&d->scan, &token) == WEIR_JSON_ERROR)
		return weir_json_fail_syntax(&d->scan, d->err);
	if (token.kind != WEIR_JSON_OBJECT)
		return fail(d, FIELDS, "an event must be a JSON object");
	while (!code && weir_json_next(&d->scan, &token) == WEIR_JSON_KEY)
		code = ++members > max ? fail(d, FIELDS, "too many members") : take_member(d, &token);
	if (code)
		return code;
	if (token.kind == WEIR_JSON_ERROR || weir_json_next(&d->scan, &token) != WEIR_JSON_END)
		return weir_json_fail_syntax(&d->scan, d->err);
	return WEIR_OK;
}

/* ---- judging -------------------------------------------------------------- */

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_uuid(struct weir_buf text)
{
	const char *chars = text.ptr;

	if (text.len != WEIR_UUID_SIZE - 1)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? chars[i] != '-' : !is_hex(chars[i]))
			return false;
	}
	return true;
}

static bool has_letter_or_digit(struct weir_buf text)
{
	const char *chars = text.ptr;

	for (size_t i = 0; i < text.len; i++) {
		if ((chars[i] >= '0' && chars[i] <= '9') || ((chars[i] | 0x20) >= 'a' && (chars[i] | 0x20) <= 'z'))
			return true;
	}
	return false;
}

static int check_fields(struct decoder *d)
{
	static const enum field needed[] = { TYPE, VERSION, TIME, DATA };

	for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
		if (d->values[needed[i]].len)
			continue;
		d->fault->missing = true;
		return fail(d, needed[i], "is missing");
	}
	if (!has_letter_or_digit(d->values[VERSION]))
		return fail(d, VERSION, "must have a letter or digit");
	if (d->values[ID].len && !is_uuid(d->values[ID]))
		return fail(d, ID, "must be a UUID");
	return WEIR_OK;
}

static int set(struct decoder *d, enum weir_attribute attribute, enum field field)
{
	int code = weir_attribute_check(&d->event->limits, attribute, d->values[field], d->err);

	if (code) {
		d->fault->field = names[field];
		return code;
	}
	d->event->attributes[attribute] = d->values[field];
	return WEIR_OK;
}

static int fill_event(struct decoder *d, struct weir_buf source)
{
	weir_event *event = d->event;
	int code = set(d, WEIR_ATTR_TYPE, TYPE);

	if (!code)
		code = set(d, WEIR_ATTR_TIME, TIME);
	if (!code)
		code = set(d, WEIR_ATTR_ID, ID);
	if (code)
		return code;
	event->attributes[WEIR_ATTR_SPECVERSION] = WEIR_STR("1.0");
	event->attributes[WEIR_ATTR_SOURCE] = source;
	event->attributes[WEIR_ATTR_DATACONTENTTYPE] = WEIR_STR("application/json");
	event->data = d->values[DATA];
	d->fault->field = names[VERSION];
	code = weir_attribute_check(&event->limits, WEIR_ATTR_COUNT, d->values[VERSION], d->err);
	if (!code)
		code = weir_event_add_extension(event, WEIR_STR("eventtypeversion"), d->values[VERSION],
						WEIR_VALUE_STRING, d->err);
	return code;
}

int weir_event_from_kyma(weir_event *event, struct weir_buf json, struct weir_buf source, struct weir_buf made_up,
			 struct weir_kyma_fault *fault, struct weir_error *err)
{
	struct decoder d = { .event = event, .fault = fault, .err = err };
	int code;

	*fault = (struct weir_kyma_fault){ NULL, false };
	weir_event_begin(event);
	event->borrows = true;
	weir_json_init(&d.scan, json, event->limits.max_depth + 1);
	code = read_members(&d);
	if (!code)
		code = check_fields(&d);
	if (!code && !d.values[ID].len)
		d.values[ID] = made_up;
	if (!code)
		code = fill_event(&d, source);
	return weir_event_end(event, code, err);
}
