/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event/media_type: reading a content type.
 */
#ifndef WEIR_EVENT_MEDIA_TYPE_H
#define WEIR_EVENT_MEDIA_TYPE_H

#include <stdbool.h>

#include <weir/driver.h>

/* All slices of the text. */
struct weir_media_type {
	struct weir_buf essence; /* "type/subtype", as written */
	struct weir_buf charset; /* of the parameter, without quotes; ptr NULL: there is none */
};

/*
 * "type/subtype" and parameters, as RFC 2046 and RFC 9110 write them: tokens and
 * quoted strings, ASCII only. False: it is no media type.
 */
bool weir_media_type_parse(struct weir_buf text, struct weir_media_type *ret);

/* The same, when only yes or no is asked. */
bool weir_media_type_is_valid(struct weir_buf text);

/* JSON by its name: any type with subtype "json" or "...+json". `text` is valid. */
bool weir_media_type_is_json(struct weir_buf text);

/* Begins as the event formats do, so that a receiver would take the message for a structured one. */
bool weir_media_type_is_cloudevents(struct weir_buf text);

/* No charset, or UTF-8. */
bool weir_media_type_is_utf8(const struct weir_media_type *type);

#endif
