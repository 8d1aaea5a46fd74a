/* SPDX-License-Identifier: Apache-2.0 */
#include "event/event_int.h"

#include <string.h>

#include "base/str.h"
#include "event/media_type.h"
#include "event/text.h"
#include "event/time_check.h"
#include "event/uri_check.h"

static const char *const names[WEIR_ATTR_COUNT] = {
	[WEIR_ATTR_SPECVERSION] = "specversion",
	[WEIR_ATTR_ID] = "id",
	[WEIR_ATTR_SOURCE] = "source",
	[WEIR_ATTR_TYPE] = "type",
	[WEIR_ATTR_SUBJECT] = "subject",
	[WEIR_ATTR_TIME] = "time",
	[WEIR_ATTR_DATACONTENTTYPE] = "datacontenttype",
	[WEIR_ATTR_DATASCHEMA] = "dataschema",
};

const char *weir_attribute_name(enum weir_attribute attribute)
{
	return attribute < WEIR_ATTR_COUNT ? names[attribute] : "an extension";
}

/* The only attribute that may have a name of this length and first letter. */
static enum weir_attribute candidate(struct weir_buf name)
{
	const char *p = name.ptr;

	switch (name.len) {
	case 2:
		return WEIR_ATTR_ID;
	case 4:
		return p[1] == 'y' ? WEIR_ATTR_TYPE : WEIR_ATTR_TIME;
	case 6:
		return WEIR_ATTR_SOURCE;
	case 7:
		return WEIR_ATTR_SUBJECT;
	case 10:
		return WEIR_ATTR_DATASCHEMA;
	case 11:
		return WEIR_ATTR_SPECVERSION;
	case 15:
		return WEIR_ATTR_DATACONTENTTYPE;
	default:
		return WEIR_ATTR_COUNT;
	}
}

enum weir_attribute weir_attribute_find(struct weir_buf name)
{
	enum weir_attribute attribute = candidate(name);

	if (attribute == WEIR_ATTR_COUNT || memcmp(name.ptr, names[attribute], name.len) != 0)
		return WEIR_ATTR_COUNT;
	return attribute;
}

bool weir_attribute_is_reserved(struct weir_buf name)
{
	return weir_str_equal(name, WEIR_STR("data")) || weir_str_equal(name, WEIR_STR("data_base64"));
}

int weir_attribute_check_size(const struct weir_event_limits *limits, enum weir_attribute attribute,
			      struct weir_buf value, struct weir_error *err)
{
	if (value.len <= limits->max_value_bytes)
		return WEIR_OK;
	return weir_fail(err, WEIR_EINVAL, "%s: a value of %zu bytes, at most %u are allowed",
			 weir_attribute_name(attribute), value.len, limits->max_value_bytes);
}

/* What is wrong with the value; NULL: nothing. */
static const char *mistake_in(enum weir_attribute attribute, struct weir_buf value)
{
	switch (attribute) {
	case WEIR_ATTR_SPECVERSION:
		return weir_str_equal(value, WEIR_STR("1.0")) ? NULL : "only \"1.0\" is supported";
	case WEIR_ATTR_ID:
	case WEIR_ATTR_TYPE:
	case WEIR_ATTR_SUBJECT:
		return weir_text_is_blank(value) ? "must not be empty or blank" : NULL;
	case WEIR_ATTR_SOURCE:
		return weir_uri_is_reference(value) ? NULL : "must be a URI or a relative reference (RFC 3986)";
	case WEIR_ATTR_TIME:
		return weir_time_is_valid(value) ? NULL : "must be a time like 2006-01-02T15:04:05Z (RFC 3339)";
	case WEIR_ATTR_DATACONTENTTYPE:
		return weir_media_type_is_valid(value) ? NULL : "must be a media type like text/plain (RFC 2046)";
	case WEIR_ATTR_DATASCHEMA:
		return weir_uri_is_absolute(value) ? NULL : "must be a URI with a scheme (RFC 3986)";
	default:
		return NULL;
	}
}

int weir_attribute_check_syntax(enum weir_attribute attribute, struct weir_buf value, struct weir_error *err)
{
	const char *mistake = mistake_in(attribute, value);

	if (!mistake)
		return WEIR_OK;
	return weir_fail(err, WEIR_EINVAL, "%s: %s", weir_attribute_name(attribute), mistake);
}

int weir_attribute_check(const struct weir_event_limits *limits, enum weir_attribute attribute, struct weir_buf value,
			 struct weir_error *err)
{
	int code = weir_attribute_check_size(limits, attribute, value, err);

	if (code)
		return code;
	if (!weir_text_is_valid(value))
		return weir_fail(err, WEIR_EINVAL,
				 "%s: not valid UTF-8, or with a control character or noncharacter in it",
				 weir_attribute_name(attribute));
	return weir_attribute_check_syntax(attribute, value, err);
}
