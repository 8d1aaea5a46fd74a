/* SPDX-License-Identifier: Apache-2.0 */
/* The three ways in which attributes are written in headers. */
#include "event/event_int.h"

#include "base/str.h"
#include "event/media_type.h"

#define NAMES(prefix, type)                                                                                            \
	{                                                                                                              \
		[WEIR_ATTR_SPECVERSION] = { prefix "specversion", sizeof(prefix "specversion") - 1 },                  \
		[WEIR_ATTR_ID] = { prefix "id", sizeof(prefix "id") - 1 },                                             \
		[WEIR_ATTR_SOURCE] = { prefix "source", sizeof(prefix "source") - 1 },                                 \
		[WEIR_ATTR_TYPE] = { prefix "type", sizeof(prefix "type") - 1 },                                       \
		[WEIR_ATTR_SUBJECT] = { prefix "subject", sizeof(prefix "subject") - 1 },                              \
		[WEIR_ATTR_TIME] = { prefix "time", sizeof(prefix "time") - 1 },                                       \
		[WEIR_ATTR_DATACONTENTTYPE] = { type, sizeof(type) - 1 },                                              \
		[WEIR_ATTR_DATASCHEMA] = { prefix "dataschema", sizeof(prefix "dataschema") - 1 },                     \
	}

const struct weir_header_style weir_header_style_http = {
	.names = NAMES("ce-", "content-type"),
	.prefix = { "ce-", 3 },
	.percent = true,
	.type_is_content_type = true,
};

const struct weir_header_style weir_header_style_underscore = {
	.names = NAMES("ce_", "content-type"),
	.prefix = { "ce_", 3 },
	.percent = false,
	.type_is_content_type = true,
};

const struct weir_header_style weir_header_style_dash = {
	.names = NAMES("ce-", "ce-datacontenttype"),
	.prefix = { "ce-", 3 },
	.percent = true,
	.type_is_content_type = false,
};

const struct weir_header weir_header_structured = {
	{ "content-type", sizeof "content-type" - 1 },
	{ "application/cloudevents+json", sizeof "application/cloudevents+json" - 1 },
};

bool weir_header_strip_prefix(const struct weir_header_style *style, struct weir_buf name, struct weir_buf *rest)
{
	const char *p = name.ptr;
	const char *prefix = style->prefix.ptr;

	if (name.len < 3 || p[2] != prefix[2] || (p[0] | 0x20) != prefix[0] || (p[1] | 0x20) != prefix[1])
		return false;
	*rest = (struct weir_buf){ p + 3, name.len - 3 };
	return true;
}

bool weir_headers_would_mislead(const weir_event *event, const struct weir_header_style *style)
{
	return style->type_is_content_type &&
	       weir_media_type_is_cloudevents(event->attributes[WEIR_ATTR_DATACONTENTTYPE]);
}

int weir_headers_survey(const struct weir_header_style *style, const struct weir_header *headers, size_t count,
			struct weir_header_survey *ret, struct weir_error *err)
{
	struct weir_buf rest;

	*ret = (struct weir_header_survey){ 0 };
	for (size_t i = 0; i < count; i++) {
		if (weir_header_strip_prefix(style, headers[i].name, &rest)) {
			ret->has_attributes = true;
			continue;
		}
		if (headers[i].name.len != sizeof "content-type" - 1 ||
		    !weir_str_equal_nocase(headers[i].name, WEIR_STR("content-type")))
			continue;
		if (ret->content_type.ptr)
			return weir_fail(err, WEIR_EINVAL, "content-type: given more than once");
		ret->content_type = weir_str_trim(headers[i].value);
		if (!ret->content_type.ptr)
			ret->content_type = WEIR_STR("");
	}
	return WEIR_OK;
}

/* `type` begins as an event format does. */
static int format_of(struct weir_buf type, enum weir_mode *ret, struct weir_error *err)
{
	const char *semicolon = memchr(type.ptr, ';', type.len);
	size_t len = semicolon ? (size_t)(semicolon - (const char *)type.ptr) : type.len;
	struct weir_buf essence = weir_str_trim((struct weir_buf){ type.ptr, len });
	struct weir_media_type parsed;

	if (weir_str_equal_nocase(essence, WEIR_STR("application/cloudevents+json")))
		*ret = WEIR_MODE_STRUCTURED;
	else if (weir_str_equal_nocase(essence, WEIR_STR("application/cloudevents-batch+json")))
		*ret = WEIR_MODE_BATCH;
	else
		return weir_fail(err, WEIR_EMEDIATYPE,
				 "content-type: an event format that is not known here; "
				 "use application/cloudevents+json or binary mode");
	if (!weir_media_type_parse(type, &parsed))
		return weir_fail(err, WEIR_EINVAL, "content-type: malformed parameters");
	if (!weir_media_type_is_utf8(&parsed))
		return weir_fail(err, WEIR_EMEDIATYPE, "content-type: events are read in charset UTF-8 only");
	return WEIR_OK;
}

int weir_headers_mode(const struct weir_header_survey *survey, enum weir_mode *ret, struct weir_error *err)
{
	*ret = survey->has_attributes ? WEIR_MODE_BINARY : WEIR_MODE_NONE;
	if (survey->content_type.ptr && weir_media_type_is_cloudevents(survey->content_type))
		return format_of(survey->content_type, ret, err);
	return WEIR_OK;
}
