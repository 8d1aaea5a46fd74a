/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event/json_scan: a strict JSON reader that copies nothing.
 *
 * A pull tokenizer: each call of weir_json_next() gives the next token of the
 * text, as a slice of the text and with its offset. It takes exactly what
 * RFC 8259 calls JSON, and of that refuses lone surrogates and nesting deeper
 * than it was told; the text must be valid UTF-8. It never recurses and never
 * allocates: where it is in objects and arrays is a stack of bits.
 *
 * It does not know what members mean: repeated ones are the caller's to refuse.
 *
 *	weir_json_init(&scan, text, 64);
 *	while (weir_json_next(&scan, &token) > WEIR_JSON_END)
 *		...
 *	if (token.kind == WEIR_JSON_ERROR)
 *		position = weir_json_position(text, scan.error_offset);
 *
 * A scan is a value for one thread; it borrows the text.
 */
#ifndef WEIR_EVENT_JSON_SCAN_H
#define WEIR_EVENT_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/driver.h>

#include "base/arena.h"

/* No scan goes deeper than this, whatever it is asked for. */
#define WEIR_JSON_DEPTH_MAX 1024u

enum weir_json_kind {
	WEIR_JSON_ERROR = 0, /* scan->error and scan->error_offset say what and where; so does every later call */
	WEIR_JSON_END,       /* the document was read to its end, and nothing but white space follows */
	WEIR_JSON_OBJECT,    /* '{' */
	WEIR_JSON_OBJECT_END,
	WEIR_JSON_ARRAY, /* '[' */
	WEIR_JSON_ARRAY_END,
	WEIR_JSON_KEY, /* of a member; its value is what comes next */
	WEIR_JSON_STRING,
	WEIR_JSON_NUMBER,
	WEIR_JSON_TRUE,
	WEIR_JSON_FALSE,
	WEIR_JSON_NULL,
};

struct weir_json_token {
	enum weir_json_kind kind;
	bool escaped;         /* KEY, STRING: holds backslashes, see weir_json_unescape() */
	bool integer;         /* NUMBER: neither fraction nor exponent */
	size_t offset;        /* of its first byte; with KEY and STRING of the opening quote */
	struct weir_buf text; /* the bytes as they are; with KEY and STRING those between the quotes */
};

struct weir_json_scan {
	const char *text;
	size_t len;
	size_t at;      /* the next byte to read */
	unsigned depth; /* open objects and arrays */
	unsigned max_depth;
	unsigned char expect; /* private */
	const char *error;    /* static text, for people; NULL: none so far */
	size_t error_offset;
	uint64_t stack[WEIR_JSON_DEPTH_MAX / 64]; /* a bit for each open level: 1 is an object */
};

/* `max_depth`: how many objects and arrays may be open at once, at most WEIR_JSON_DEPTH_MAX. */
void weir_json_init(struct weir_json_scan *scan, struct weir_buf text, unsigned max_depth);

/* Reads one token into *ret and returns its kind. */
enum weir_json_kind weir_json_next(struct weir_json_scan *scan, struct weir_json_token *ret);

/*
 * Reads the rest of the value that begins with `first`, the token read last, and
 * gives its text from first to last byte: a string with its quotes, an object
 * with its braces. False: WEIR_JSON_ERROR.
 */
bool weir_json_skip(struct weir_json_scan *scan, const struct weir_json_token *first, struct weir_buf *ret);

/* True if `text` is one JSON document, no deeper than `max_depth`. */
bool weir_json_is_valid(struct weir_buf text, unsigned max_depth);

/*
 * The bytes that a KEY or STRING stands for: UTF-8, which may hold NUL if the
 * text says \u0000. Without escapes *ret is the token's own text, otherwise it is
 * in the arena. False: no memory.
 */
bool weir_json_unescape(const struct weir_json_token *token, struct weir_arena *arena, struct weir_buf *ret);

struct weir_json_position {
	size_t line;   /* from 1 */
	size_t column; /* from 1, in characters */
};

/* Where an offset of `text` is, for people. */
struct weir_json_position weir_json_position(struct weir_buf text, size_t offset);

#endif
