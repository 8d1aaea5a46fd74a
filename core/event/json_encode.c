/* SPDX-License-Identifier: Apache-2.0 */
/* To the JSON event format. */
#include "event/event_int.h"

#include "base/str.h"
#include "event/base64.h"
#include "event/media_type.h"
#include "event/utf8.h"

/* ---- strings ------------------------------------------------------------ */

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

/* How many bytes from `at` on can be written as they are. */
static size_t plain_run(struct weir_buf text, size_t at)
{
	const unsigned char *p = text.ptr;
	size_t start = at;

	for (; text.len - at >= 8; at += 8) {
		uint64_t word = weir_eight_load(p + at);

		/* Bytes above 0x7F are plain too, but rare enough to go one by one. */
		if (weir_eight_outside(word, 0x20) | weir_eight_equal(word, '"') | weir_eight_equal(word, '\\'))
			break;
	}
	while (at < text.len && is_plain(p[at]))
		at++;
	return at - start;
}

static void add_escape(struct weir_dynbuf *buf, unsigned char c)
{
	switch (c) {
	case '\n':
		weir_dynbuf_add(buf, "\\n", 2);
		break;
	case '\r':
		weir_dynbuf_add(buf, "\\r", 2);
		break;
	case '\t':
		weir_dynbuf_add(buf, "\\t", 2);
		break;
	case '"':
	case '\\':
		weir_dynbuf_add(buf, (char[]){ '\\', (char)c }, 2);
		break;
	default:
		weir_dynbuf_addf(buf, "\\u%04x", c);
		break;
	}
}

/* `text` is valid UTF-8. */
static void add_string(struct weir_dynbuf *buf, struct weir_buf text)
{
	const unsigned char *p = text.ptr;
	size_t at = 0;

	weir_dynbuf_add_char(buf, '"');
	for (;;) {
		size_t run = plain_run(text, at);

		weir_dynbuf_add(buf, p + at, run);
		at += run;
		if (at == text.len)
			break;
		add_escape(buf, p[at++]);
	}
	weir_dynbuf_add_char(buf, '"');
}

/* `name` needs no escapes: names are letters and digits. */
static void add_name(struct weir_dynbuf *buf, struct weir_buf name)
{
	weir_dynbuf_add(buf, ",\"", 2);
	weir_dynbuf_add_buf(buf, name);
	weir_dynbuf_add(buf, "\":", 2);
}

/* ---- data --------------------------------------------------------------- */

/* Valid UTF-8 that people can read: no control characters but white space. */
static bool is_readable(struct weir_buf data, bool *ascii)
{
	const unsigned char *p = data.ptr;
	const unsigned char *end = p + data.len;

	*ascii = true;
	while (p < end) {
		uint32_t c;
		size_t len = weir_utf8_decode(p, end, &c);

		if (len == 0 || (c < 0x20 && c != '\t' && c != '\n' && c != '\r'))
			return false;
		if (len > 1)
			*ascii = false;
		p += len;
	}
	return true;
}

/*
 * Can data that is not JSON be written as a string? Not without a type, which
 * would make it JSON; and not if the type says that the bytes mean other
 * characters than UTF-8 gives.
 */
static bool is_string(struct weir_buf type, struct weir_buf data)
{
	struct weir_media_type parsed;
	bool ascii;

	return type.ptr && weir_media_type_parse(type, &parsed) && is_readable(data, &ascii) &&
	       (ascii || weir_media_type_is_utf8(&parsed));
}

static void add_base64(struct weir_dynbuf *buf, struct weir_buf data)
{
	size_t size = weir_base64_encoded_size(data.len);
	char *out;

	weir_dynbuf_add_text(buf, ",\"data_base64\":\"");
	out = weir_dynbuf_reserve(buf, size);
	if (out) {
		weir_base64_encode(data, out);
		buf->len += size;
	}
	weir_dynbuf_add_char(buf, '"');
}

static void add_data(weir_event *event)
{
	struct weir_buf type = event->attributes[WEIR_ATTR_DATACONTENTTYPE];
	struct weir_dynbuf *buf = &event->text;
	bool json = weir_event_data_is_json(event);

	if (!event->data.ptr)
		return;
	/* The content type is only what the sender says; data_base64 takes what is not JSON after all. */
	if (json && weir_json_is_valid(event->data, event->limits.max_depth)) {
		weir_dynbuf_add_text(buf, ",\"data\":");
		weir_dynbuf_add_buf(buf, event->data);
	} else if (!json && is_string(type, event->data)) {
		weir_dynbuf_add_text(buf, ",\"data\":");
		add_string(buf, event->data);
	} else {
		add_base64(buf, event->data);
	}
}

/* ---- the event ---------------------------------------------------------- */

int weir_json_encode_event(weir_event *event, struct weir_error *err)
{
	struct weir_dynbuf *buf = &event->text;

	weir_dynbuf_add_text(buf, "{\"specversion\":");
	add_string(buf, event->attributes[WEIR_ATTR_SPECVERSION]);
	for (enum weir_attribute i = WEIR_ATTR_ID; i < WEIR_ATTR_COUNT; i++) {
		if (!event->attributes[i].ptr)
			continue;
		add_name(buf, weir_str(weir_attribute_name(i)));
		add_string(buf, event->attributes[i]);
	}
	for (uint32_t i = 0; i < event->extension_count; i++) {
		add_name(buf, event->extensions[i].name);
		if (event->extensions[i].type == WEIR_VALUE_STRING)
			add_string(buf, event->extensions[i].value);
		else
			weir_dynbuf_add_buf(buf, event->extensions[i].value);
	}
	add_data(event);
	weir_dynbuf_add_char(buf, '}');
	return buf->failed ? weir_event_no_memory(err) : WEIR_OK;
}

int weir_event_to_json(weir_event *event, struct weir_buf *json, struct weir_error *err)
{
	int code = weir_event_validate(event, err);

	if (code)
		return code;
	weir_dynbuf_reset(&event->text);
	code = weir_json_encode_event(event, err);
	*json = weir_dynbuf_view(&event->text);
	return code;
}
