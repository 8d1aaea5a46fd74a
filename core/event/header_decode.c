/* SPDX-License-Identifier: Apache-2.0 */
/* From headers to attributes. */
#include "event/event_int.h"

#include <string.h>

#include "base/str.h"
#include "event/text.h"

/* ---- values ------------------------------------------------------------- */

/* Undoes percent-encoding in place; false if there is a '%' without two digits. */
static bool percent_decode(char *text, size_t *len)
{
	char *out = text;

	for (size_t i = 0; i < *len; i++) {
		int high, low;

		if (text[i] != '%') {
			*out++ = text[i];
			continue;
		}
		if (*len - i < 3)
			return false;
		high = weir_str_hex(text[i + 1]);
		low = weir_str_hex(text[i + 2]);
		if (high < 0 || low < 0)
			return false;
		*out++ = (char)(high << 4 | low);
		i += 2;
	}
	*len = (size_t)(out - text);
	return true;
}

/* Undoes a quoted string in place; false if it is not one from first to last character. */
static bool unquote(char *text, size_t *len)
{
	char *out = text;
	size_t last = *len - 1;

	if (*len < 2 || text[last] != '"')
		return false;
	for (size_t i = 1; i < last; i++) {
		if (text[i] == '"')
			return false;
		if (text[i] == '\\' && ++i == last)
			return false;
		*out++ = text[i];
	}
	*len = (size_t)(out - text);
	return true;
}

/* A value that is not written as it is: decoded into the arena. */
static int decode_encoded(weir_event *event, enum weir_attribute attribute, struct weir_buf *value,
			  struct weir_error *err)
{
	bool quoted = *(const char *)value->ptr == '"';
	char *text = weir_arena_text(&event->arena, *value);
	size_t len = value->len;

	if (!text)
		return weir_event_no_memory(err);
	if (quoted && !unquote(text, &len))
		return weir_fail(err, WEIR_EINVAL, "%s: a quoted value that does not end",
				 weir_attribute_name(attribute));
	if (!percent_decode(text, &len))
		return weir_fail(err, WEIR_EINVAL, "%s: malformed percent-encoding", weir_attribute_name(attribute));
	*value = (struct weir_buf){ text, len };
	return weir_attribute_check(&event->limits, attribute, *value, err);
}

/* A value in percent-encoding: checked and decoded. */
static int decode_percent(weir_event *event, enum weir_attribute attribute, struct weir_buf *value,
			  struct weir_error *err)
{
	unsigned found = weir_text_class(*value);
	int code;

	if (found & (WEIR_TEXT_CONTROL | WEIR_TEXT_HIGH))
		return weir_fail(err, WEIR_EINVAL,
				 "%s: a header value must be printable ASCII, everything else percent-encoded",
				 weir_attribute_name(attribute));
	if (found & WEIR_TEXT_PERCENT || (value->len && *(const char *)value->ptr == '"'))
		return decode_encoded(event, attribute, value, err);
	code = weir_attribute_check_size(&event->limits, attribute, *value, err);
	return code ? code : weir_attribute_check_syntax(attribute, *value, err);
}

static int decode_value(weir_event *event, const struct weir_header_style *style, enum weir_attribute attribute,
			struct weir_buf *value, struct weir_error *err)
{
	/* Space around an encoded value is the protocol's; where nothing is encoded, it is the value's own. */
	if (style->percent)
		*value = weir_str_trim(*value);
	if (!value->ptr)
		*value = WEIR_STR("");
	if (style->percent)
		return decode_percent(event, attribute, value, err);
	return weir_attribute_check(&event->limits, attribute, *value, err);
}

/* ---- names -------------------------------------------------------------- */

enum spelling { LOWER, MIXED, WRONG };

static enum spelling spelling_of(struct weir_buf name)
{
	const char *p = name.ptr;
	enum spelling found = name.len ? LOWER : WRONG;

	for (size_t i = 0; i < name.len; i++) {
		if ((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9'))
			continue;
		if (p[i] < 'A' || p[i] > 'Z')
			return WRONG;
		found = MIXED;
	}
	return found;
}

/* The name in lower case: checked, and copied if that changes it. */
static int decode_name(weir_event *event, struct weir_buf *name, struct weir_error *err)
{
	enum spelling spelling;
	char *lower;

	if (name->len > event->limits.max_name_bytes)
		return weir_fail(err, WEIR_EINVAL, "an attribute name is longer than %u bytes",
				 event->limits.max_name_bytes);
	spelling = spelling_of(*name);
	if (spelling == WRONG)
		return weir_fail(err, WEIR_EINVAL, "an attribute name must be of the letters a-z and digits only");
	if (spelling == LOWER)
		return WEIR_OK;
	lower = weir_arena_text(&event->arena, *name);
	if (!lower)
		return weir_event_no_memory(err);
	for (size_t i = 0; i < name->len; i++)
		lower[i] = (char)(lower[i] | 0x20); /* a digit has that bit already */
	name->ptr = lower;
	return WEIR_OK;
}

/* ---- attributes --------------------------------------------------------- */

static int decode_attribute(weir_event *event, const struct weir_header_style *style, enum weir_attribute attribute,
			    struct weir_buf value, struct weir_error *err)
{
	int code;

	if (attribute == WEIR_ATTR_DATACONTENTTYPE && style == &weir_header_style_http)
		return weir_fail(err, WEIR_EINVAL, "datacontenttype: over HTTP it is the header Content-Type");
	if (event->attributes[attribute].ptr)
		return weir_fail(err, WEIR_EINVAL, "%s: given more than once", weir_attribute_name(attribute));
	code = decode_value(event, style, attribute, &value, err);
	if (!code)
		event->attributes[attribute] = value;
	return code;
}

static int decode_extension(weir_event *event, const struct weir_header_style *style, struct weir_buf name,
			    struct weir_buf value, struct weir_error *err)
{
	int code;

	if (weir_attribute_is_reserved(name))
		return weir_fail(err, WEIR_EINVAL, "data: no attribute can have this name");
	if (weir_event_find_extension(event, name))
		return weir_fail(err, WEIR_EINVAL, "an extension is given more than once");
	if (event->extension_count >= event->limits.max_extensions)
		return weir_fail(err, WEIR_EINVAL, "more than %u extensions", event->limits.max_extensions);
	code = decode_value(event, style, WEIR_ATTR_COUNT, &value, err);
	if (code)
		return code;
	return weir_event_add_extension(event, name, value, WEIR_VALUE_STRING, err);
}

/* `name` is without its prefix. */
static int decode_header(weir_event *event, const struct weir_header_style *style, struct weir_buf name,
			 struct weir_buf value, struct weir_error *err)
{
	enum weir_attribute attribute;
	int code = decode_name(event, &name, err);

	if (code)
		return code;
	attribute = weir_attribute_find(name);
	if (attribute != WEIR_ATTR_COUNT)
		return decode_attribute(event, style, attribute, value, err);
	return decode_extension(event, style, name, value, err);
}

int weir_headers_decode(weir_event *event, const struct weir_header_style *style, const struct weir_header *headers,
			size_t count, const struct weir_header_survey *survey, struct weir_error *err)
{
	struct weir_buf *type = &event->attributes[WEIR_ATTR_DATACONTENTTYPE];
	struct weir_buf name;
	int code;

	for (size_t i = 0; i < count; i++) {
		if (!weir_header_strip_prefix(style, headers[i].name, &name))
			continue;
		code = decode_header(event, style, name, headers[i].value, err);
		if (code)
			return code;
	}
	/* Where there are both, the one that the binding asks for counts. */
	if (!survey->content_type.ptr || (type->ptr && !style->type_is_content_type))
		return WEIR_OK;
	*type = survey->content_type;
	return weir_attribute_check(&event->limits, WEIR_ATTR_DATACONTENTTYPE, *type, err);
}
