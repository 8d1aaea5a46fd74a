/* SPDX-License-Identifier: Apache-2.0 */
/* From attributes to headers. */
#include "event/event_int.h"

#include <string.h>

#include "base/str.h"
#include "event/utf8.h"

/* U+0021 to U+007E without '"' and '%' stand for themselves. */
static bool is_plain(unsigned char c)
{
	return c > 0x20 && c < 0x7F && c != '"' && c != '%';
}

static bool is_all_plain(struct weir_buf value)
{
	const unsigned char *p = value.ptr;
	size_t at = 0;

	for (; at + 8 <= value.len; at += 8) {
		uint64_t word = weir_eight_load(p + at);

		if (weir_eight_outside(word, 0x21) | weir_eight_equal(word, 0x7F) | weir_eight_equal(word, '"') |
		    weir_eight_equal(word, '%'))
			return false;
	}
	for (; at < value.len; at++)
		if (!is_plain(p[at]))
			return false;
	return true;
}

/* Writes the encoded value at `out`; the end of it. */
static char *percent_encode(struct weir_buf value, char *out)
{
	static const char digits[] = "0123456789ABCDEF";
	const unsigned char *p = value.ptr;

	for (size_t i = 0; i < value.len; i++) {
		if (is_plain(p[i])) {
			*out++ = (char)p[i];
			continue;
		}
		*out++ = '%';
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	return out;
}

/* The most that all texts made for the headers can take. */
static size_t room_needed(const weir_event *event, const struct weir_header_style *style)
{
	size_t factor = style->percent ? 3 : 0;
	size_t room = 0;

	for (int i = 0; i < WEIR_ATTR_COUNT; i++)
		room += event->attributes[i].len * factor;
	for (uint32_t i = 0; i < event->extension_count; i++)
		room += style->prefix.len + event->extensions[i].name.len + event->extensions[i].value.len * factor;
	return room;
}

/* The value as the style writes it; what has to be made is made at *out, which moves on. */
static struct weir_buf encode_value(const struct weir_header_style *style, struct weir_buf value, char **out)
{
	char *start = *out;

	if (!style->percent || is_all_plain(value))
		return value;
	*out = percent_encode(value, start);
	return (struct weir_buf){ start, (size_t)(*out - start) };
}

static struct weir_buf encode_name(const struct weir_header_style *style, struct weir_buf name, char **out)
{
	char *start = *out;

	memcpy(start, style->prefix.ptr, style->prefix.len);
	memcpy(start + style->prefix.len, name.ptr, name.len);
	*out += style->prefix.len + name.len;
	return (struct weir_buf){ start, style->prefix.len + name.len };
}

/* Where there is no datacontenttype, data that came as JSON must be told to be that: binary mode implies nothing. */
static struct weir_buf value_of(const weir_event *event, int attribute)
{
	if (attribute == WEIR_ATTR_DATACONTENTTYPE && event->data_is_json && !event->attributes[attribute].ptr)
		return WEIR_STR("application/json");
	return event->attributes[attribute];
}

static struct weir_header *encode_attributes(const weir_event *event, const struct weir_header_style *style,
					     struct weir_header *header, char **out)
{
	for (int i = 0; i < WEIR_ATTR_COUNT; i++) {
		struct weir_buf value = value_of(event, i);

		if (!value.ptr)
			continue;
		header->name = style->names[i];
		/* A content type is ASCII and goes as it is. */
		if (i != WEIR_ATTR_DATACONTENTTYPE || !style->type_is_content_type)
			value = encode_value(style, value, out);
		header->value = value;
		header++;
	}
	return header;
}

int weir_headers_encode(weir_event *event, const struct weir_header_style *style, size_t *count, struct weir_error *err)
{
	size_t room = room_needed(event, style);
	struct weir_header *header;
	char *out;
	int code = weir_event_reserve_headers(event, 0, err);

	if (code)
		return code;
	/* All of it at once: it must not move when it grows. */
	weir_dynbuf_reset(&event->text);
	out = weir_dynbuf_reserve(&event->text, room);
	if (!out)
		return weir_event_no_memory(err);
	header = encode_attributes(event, style, event->headers, &out);
	for (uint32_t i = 0; i < event->extension_count; i++, header++) {
		header->name = encode_name(style, event->extensions[i].name, &out);
		header->value = encode_value(style, event->extensions[i].value, &out);
	}
	*count = (size_t)(header - event->headers);
	return WEIR_OK;
}
