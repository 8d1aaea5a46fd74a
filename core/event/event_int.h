/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event/event_int: what an event is made of, for the codecs.
 */
#ifndef WEIR_EVENT_EVENT_INT_H
#define WEIR_EVENT_EVENT_INT_H

#include <string.h>

#include <weir/event.h>

#include "base/arena.h"
#include "base/dynbuf.h"
#include "event/json_scan.h"

struct weir_event {
	struct weir_event_limits limits;
	struct weir_buf attributes[WEIR_ATTR_COUNT]; /* ptr NULL: absent */
	struct weir_extension *extensions;           /* kept over weir_event_clear() */
	uint32_t extension_count;
	uint32_t extension_capacity;
	struct weir_buf data;
	bool data_is_json;           /* no datacontenttype, and data came as a JSON value */
	bool borrows;                /* something may point into a decoder's input */
	struct weir_arena arena;     /* copied and decoded values */
	struct weir_dynbuf text;     /* what the last encoding wrote */
	struct weir_header *headers; /* of the last encoding */
	uint32_t header_capacity;
};

/* ---- names and values (attribute.c) ------------------------------------- */

/* Which named attribute this is, in lower case; WEIR_ATTR_COUNT: none of them. */
enum weir_attribute weir_attribute_find(struct weir_buf name);
/* Static. */
const char *weir_attribute_name(enum weir_attribute attribute);

/* "data" and "data_base64" name the data in JSON and are no attributes. */
bool weir_attribute_is_reserved(struct weir_buf name);

/*
 * Is the value right for this attribute? WEIR_ATTR_COUNT: for an extension.
 * weir_attribute_check_syntax() takes for granted that the value is a valid
 * String and short enough.
 */
int weir_attribute_check(const struct weir_event_limits *limits, enum weir_attribute attribute, struct weir_buf value,
			 struct weir_error *err);
int weir_attribute_check_syntax(enum weir_attribute attribute, struct weir_buf value, struct weir_error *err);
int weir_attribute_check_size(const struct weir_event_limits *limits, enum weir_attribute attribute,
			      struct weir_buf value, struct weir_error *err);

/* ---- the event (event.c) ------------------------------------------------ */

extern const struct weir_event_limits weir_event_default_limits;

/* Cleared, and without the specversion that a new event has: a decoder must find it. */
void weir_event_begin(weir_event *event);

/* Ends a decoder: validates; whatever is wrong, the event is cleared. `code` is what decoding gave. */
int weir_event_end(weir_event *event, int code, struct weir_error *err);

/* NULL: there is none of that name. */
struct weir_extension *weir_event_find_extension(const weir_event *event, struct weir_buf name);

/*
 * Appends an extension: name and value are checked already and not there yet. A
 * value with ptr NULL holds the place of a name, see weir_event_drop_absent().
 */
int weir_event_add_extension(weir_event *event, struct weir_buf name, struct weir_buf value, enum weir_value_type type,
			     struct weir_error *err);
/* Removes extensions without a value. */
void weir_event_drop_absent(weir_event *event);

/* Room for all headers of the event and `more`. */
int weir_event_reserve_headers(weir_event *event, size_t more, struct weir_error *err);

int weir_event_no_memory(struct weir_error *err);

/* ---- headers (headers.c, header_decode.c, header_encode.c) --------------- */

/* How attributes are written in headers. */
struct weir_header_style {
	struct weir_buf names[WEIR_ATTR_COUNT];
	struct weir_buf prefix;    /* of all attributes, except for a content type */
	bool percent;              /* values are percent-encoded ASCII, else UTF-8 as it is */
	bool type_is_content_type; /* datacontenttype is written as the header "content-type" */
};

extern const struct weir_header_style weir_header_style_http;
extern const struct weir_header_style weir_header_style_underscore;
extern const struct weir_header_style weir_header_style_dash;

/* The only header of a structured message. */
extern const struct weir_header weir_header_structured;

/* What is to be known of headers before they are decoded. */
struct weir_header_survey {
	struct weir_buf content_type; /* trimmed; ptr NULL: there is none */
	bool has_attributes;
};

int weir_headers_survey(const struct weir_header_style *style, const struct weir_header *headers, size_t count,
			struct weir_header_survey *ret, struct weir_error *err);

/* As weir_http_mode(), but a content type that names no event format is not looked at. */
int weir_headers_mode(const struct weir_header_survey *survey, enum weir_mode *ret, struct weir_error *err);

/* True and *rest, the name without it, if `name` begins with the style's prefix, in any case. */
bool weir_header_strip_prefix(const struct weir_header_style *style, struct weir_buf name, struct weir_buf *rest);

/* Takes all attributes from headers, and datacontenttype from the content type where the style has it there. */
int weir_headers_decode(weir_event *event, const struct weir_header_style *style, const struct weir_header *headers,
			size_t count, const struct weir_header_survey *survey, struct weir_error *err);

/* Writes all attributes into event->headers; their number is *count. Texts that were made for it are in event->text. */
int weir_headers_encode(weir_event *event, const struct weir_header_style *style, size_t *count,
			struct weir_error *err);

/*
 * True if headers of this style would be taken for those of a structured message:
 * the data is itself an event, and its type would be the content type.
 */
bool weir_headers_would_mislead(const weir_event *event, const struct weir_header_style *style);

/* ---- JSON (json_decode.c, json_batch.c, json_encode.c) ------------------ */

/* Says what is wrong with the text and where, after WEIR_JSON_ERROR. */
int weir_json_fail_syntax(const struct weir_json_scan *scan, struct weir_error *err);

/*
 * Decodes one event object, whose WEIR_JSON_OBJECT was read last, up to its
 * end. `exact`: data that is JSON keeps the white space around it.
 */
int weir_json_decode_event(weir_event *event, struct weir_json_scan *scan, bool exact, struct weir_error *err);

/* One document that is one event; the event is cleared on error. */
int weir_json_decode_document(weir_event *event, struct weir_buf json, bool exact, struct weir_error *err);

/* Appends the event as JSON to event->text, behind what is there. */
int weir_json_encode_event(weir_event *event, struct weir_error *err);

#endif
