/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir/event.h: the CloudEvent.
 *
 * Follows CloudEvents 1.0.2: the core specification, the JSON event format and
 * the HTTP protocol binding. An event is a set of attributes and, maybe, data.
 *
 * Memory. An event owns an arena. `weir_event_set*` copy into it; the decoders
 * borrow the caller's input where they can: it must stay as it is until
 * weir_event_clear() or weir_event_free(), or until weir_event_own() has copied
 * what was borrowed. Everything that a getter returns is borrowed from the event
 * and valid until it is next changed. An event that is cleared keeps its memory:
 * reuse one for many events and the steady state allocates nothing.
 *
 * Threads. One thread at a time for each event; different events are independent.
 *
 * Errors. WEIR_EINVAL: not a valid event; `text` names the attribute.
 * WEIR_ETOOBIG: a limit was passed. WEIR_EMEDIATYPE: a content type that is no
 * event format known here. WEIR_ENOMEM. When decoding fails, the event is
 * cleared; when setting a value or encoding fails, it stays as it was. No text
 * ever repeats the input.
 */
#ifndef WEIR_EVENT_H
#define WEIR_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/driver.h>
#include <weir/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_event weir_event;

/* The attributes that the specification names, in the order they are written. */
enum weir_attribute {
	WEIR_ATTR_SPECVERSION = 0, /* required; "1.0" */
	WEIR_ATTR_ID = 1,          /* required */
	WEIR_ATTR_SOURCE = 2,      /* required; URI-reference */
	WEIR_ATTR_TYPE = 3,        /* required */
	WEIR_ATTR_SUBJECT = 4,
	WEIR_ATTR_TIME = 5,            /* RFC 3339 */
	WEIR_ATTR_DATACONTENTTYPE = 6, /* RFC 2046 */
	WEIR_ATTR_DATASCHEMA = 7,      /* absolute URI */
	WEIR_ATTR_COUNT = 8
};

/* What an extension's value was in JSON; everything else came as text. */
enum weir_value_type {
	WEIR_VALUE_STRING = 0,
	WEIR_VALUE_INTEGER = 1, /* "-2147483648" .. "2147483647" */
	WEIR_VALUE_BOOLEAN = 2, /* "true" or "false" */
};

struct weir_extension {
	struct weir_buf name;  /* [a-z0-9]{1,64} */
	struct weir_buf value; /* UTF-8, unescaped */
	uint32_t type;         /* enum weir_value_type */
};

/* How large an event may be; what weir_event_new() starts with. */
struct weir_event_limits {
	uint32_t max_extensions;      /* 64 */
	uint32_t max_name_bytes;      /* 64, of an attribute name */
	uint32_t max_value_bytes;     /* 8192, of an attribute value */
	uint32_t max_depth;           /* 64, of objects and arrays nested in JSON data; at most 1000 */
	uint32_t max_envelope_keys;   /* 1024, members of a JSON event */
	uint32_t max_batch_events;    /* 1000 */
};

/* A new, empty event. *ret is the caller's: weir_event_free(). WEIR_ENOMEM. */
int weir_event_new(weir_event **ret);
/* NULL is allowed. */
void weir_event_free(weir_event *event);
/* Forgets all attributes and data, keeps memory and limits. */
void weir_event_clear(weir_event *event);
void weir_event_set_limits(weir_event *event, const struct weir_event_limits *limits);
/* Copies whatever is still borrowed from a decoder's input. WEIR_ENOMEM, and the event is cleared. */
int weir_event_own(weir_event *event);

/* The value of one of the named attributes; ptr NULL if it is absent. */
struct weir_buf weir_event_attribute(const weir_event *event, enum weir_attribute attribute);
/* The value of any attribute or extension by its name; ptr NULL if it is absent. */
struct weir_buf weir_event_get(const weir_event *event, const char *name);
/* Extensions, in the order they came. Borrowed. */
size_t weir_event_extensions(const weir_event *event, const struct weir_extension **ret);

/*
 * Sets an attribute or extension by name; copies. The value is checked as the
 * specification asks of that attribute. ptr NULL removes it. `specversion` is
 * "1.0" unless set, and cannot be set to anything else.
 */
int weir_event_set(weir_event *event, const char *name, struct weir_buf value, struct weir_error *err);
int weir_event_set_text(weir_event *event, const char *name, const char *value, struct weir_error *err);

/*
 * Data is bytes. ptr NULL: the event has no data; ptr not NULL and len 0: it has
 * empty data. For a JSON content type the bytes are the JSON text, exactly as it
 * came: no number is ever rounded, no member reordered.
 */
struct weir_buf weir_event_data(const weir_event *event);
int weir_event_set_data(weir_event *event, struct weir_buf data, struct weir_error *err);
/*
 * True if the data is declared as JSON: datacontenttype is a JSON media type, or
 * there is none and the data came as the member `data` of a JSON event. In binary
 * mode nobody has looked whether it really is.
 */
bool weir_event_data_is_json(const weir_event *event);

/* All required attributes are there and all values are valid. */
int weir_event_validate(const weir_event *event, struct weir_error *err);

/* ---- HTTP protocol binding ---------------------------------------------- */

enum weir_mode {
	WEIR_MODE_BINARY = 0,
	WEIR_MODE_STRUCTURED = 1,
	WEIR_MODE_BATCH = 2,
	WEIR_MODE_NONE = 3, /* no event: neither a ce- header nor an event content type */
};

/*
 * What kind of message the headers announce. Header names are compared without
 * case. *ret is set also on error. WEIR_EMEDIATYPE: `application/cloudevents` in
 * a format or charset that is not known here; WEIR_EINVAL: Content-Type is
 * malformed or repeated.
 */
int weir_http_mode(const struct weir_header *headers, size_t count, enum weir_mode *ret, struct weir_error *err);

/*
 * Decodes a binary or structured message into `event` and validates it. Borrows
 * headers and body. In binary mode an empty body is no data: HTTP does not tell
 * them apart. Percent-encoding and quoted strings in headers are undone as the
 * binding says; invalid UTF-8, control characters and repeated attributes are
 * refused.
 */
int weir_event_from_http(weir_event *event, const struct weir_header *headers, size_t count,
                         struct weir_buf body, struct weir_error *err);

/*
 * Decodes a batch. Events are made with weir_event_new(), in order, into *ret:
 * an array that, like each event, is the caller's (weir_event_batch_free()). All
 * or nothing: one bad event fails the batch, and so does an empty one. NULL for
 * `limits` takes the defaults. Borrows `body`. WEIR_ETOOBIG: too many events.
 */
int weir_event_batch_from_json(struct weir_buf body, const struct weir_event_limits *limits, weir_event ***ret,
                               size_t *ret_count, struct weir_error *err);
void weir_event_batch_free(weir_event **events, size_t count);

/*
 * Encodes for HTTP in binary or structured mode. *headers and *body are borrowed
 * from the event until it is changed or encoded again. Header names are lower
 * case, values percent-encoded; Content-Type is among them where there is one.
 * An event whose data is itself an event, by its datacontenttype, is written in
 * structured mode always: a receiver would take the binary one for its data.
 */
int weir_event_to_http(weir_event *event, enum weir_mode mode, const struct weir_header **headers, size_t *count,
                       struct weir_buf *body, struct weir_error *err);

/* ---- JSON event format -------------------------------------------------- */

/* Decodes one JSON event and validates it. Borrows `json`. */
int weir_event_from_json(weir_event *event, struct weir_buf json, struct weir_error *err);
/*
 * Encodes as one JSON object on one line (data that is JSON is copied verbatim,
 * so it spans lines if it did). *json is borrowed from the event until it is
 * changed or encoded again.
 */
int weir_event_to_json(weir_event *event, struct weir_buf *json, struct weir_error *err);

/* ---- records: what a backend keeps -------------------------------------- */

/*
 * Encodes as a record for a driver with these capabilities: headers by the
 * driver's binding with WEIR_CAP_HEADERS, otherwise the versioned envelope. What
 * does not fit into the backend's headers (too many, too long) is written in
 * structured mode instead. The key is the extension `partitionkey`, if there is
 * one and it is not empty. *ret borrows from the event until it is changed or
 * encoded again. WEIR_ETOOBIG: beyond the driver's max_record_bytes or
 * max_key_bytes.
 *
 * Envelope, version 1: the bytes 'W' 'E' 0x01 0x00, then one JSON event. Its
 * first byte is not '{', so that plain JSON events written by others can be
 * told apart and are read as well. JSON data in it is what stands between the
 * colon and the next comma or brace, white space and all.
 */
int weir_event_to_record(weir_event *event, const struct weir_caps *caps, struct weir_record *ret,
                         struct weir_error *err);

/*
 * Decodes what weir_event_to_record() wrote, and what other writers of the same
 * binding write: structured JSON by content type, headers in any case,
 * `ce_datacontenttype` as older producers have it. Borrows the record. The event
 * is validated: WEIR_EINVAL is a poison record.
 */
int weir_event_from_record(weir_event *event, const struct weir_caps *caps, const struct weir_record *record,
                           struct weir_error *err);

#ifdef __cplusplus
}
#endif
#endif
