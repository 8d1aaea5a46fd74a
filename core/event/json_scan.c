/* SPDX-License-Identifier: Apache-2.0 */
#include "event/json_scan.h"

#include <string.h>

#include "base/str.h"
#include "event/utf8.h"

/* What may come next. */
enum {
	EXPECT_VALUE,        /* at the start, after ':' and after ',' in an array */
	EXPECT_VALUE_OR_END, /* after '[' */
	EXPECT_KEY,          /* after ',' in an object */
	EXPECT_KEY_OR_END,   /* after '{' */
	EXPECT_MORE,         /* after a value: ',' or the end of what is open, or of the document */
};

void weir_json_init(struct weir_json_scan *scan, struct weir_buf text, unsigned max_depth)
{
	*scan = (struct weir_json_scan){
		.text = text.ptr,
		.len = text.ptr ? text.len : 0,
		.max_depth = max_depth < WEIR_JSON_DEPTH_MAX ? max_depth : WEIR_JSON_DEPTH_MAX,
		.expect = EXPECT_VALUE,
	};
}

static enum weir_json_kind fail(struct weir_json_scan *scan, struct weir_json_token *ret, size_t offset,
				const char *error)
{
	scan->error = error;
	scan->error_offset = offset;
	ret->kind = WEIR_JSON_ERROR;
	ret->offset = offset;
	ret->text = (struct weir_buf){ NULL, 0 };
	return WEIR_JSON_ERROR;
}

static enum weir_json_kind emit(struct weir_json_scan *scan, struct weir_json_token *ret, enum weir_json_kind kind,
				size_t len)
{
	ret->kind = kind;
	ret->offset = scan->at;
	ret->text = (struct weir_buf){ scan->text + scan->at, len };
	scan->at += len;
	return kind;
}

static bool in_object(const struct weir_json_scan *scan)
{
	unsigned level = scan->depth - 1;

	return scan->stack[level / 64] >> (level % 64) & 1;
}

static enum weir_json_kind open_level(struct weir_json_scan *scan, struct weir_json_token *ret, bool object)
{
	uint64_t bit = UINT64_C(1) << (scan->depth % 64);
	uint64_t *word;

	if (scan->depth >= scan->max_depth)
		return fail(scan, ret, scan->at, "objects and arrays are nested too deep");
	word = &scan->stack[scan->depth / 64];
	*word = object ? *word | bit : *word & ~bit;
	scan->depth++;
	scan->expect = object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
	return emit(scan, ret, object ? WEIR_JSON_OBJECT : WEIR_JSON_ARRAY, 1);
}

static enum weir_json_kind close_level(struct weir_json_scan *scan, struct weir_json_token *ret)
{
	bool object = in_object(scan);

	if (scan->text[scan->at] != (object ? '}' : ']'))
		return fail(scan, ret, scan->at, object ? "expected '}'" : "expected ']'");
	scan->depth--;
	scan->expect = EXPECT_MORE;
	return emit(scan, ret, object ? WEIR_JSON_OBJECT_END : WEIR_JSON_ARRAY_END, 1);
}

/* ---- strings ------------------------------------------------------------ */

/* Steps over bytes that a string may hold as they are; `at` is then at another one, or at the end. */
static size_t skip_plain(const struct weir_json_scan *scan, size_t at)
{
	const char *text = scan->text;

	while (scan->len - at >= 8) {
		uint64_t word = weir_eight_load(text + at);

		if (weir_eight_outside(word, 0x20) | weir_eight_equal(word, '"') | weir_eight_equal(word, '\\'))
			break;
		at += 8;
	}
	while (at < scan->len) {
		unsigned char c = (unsigned char)text[at];

		if (c < 0x20 || c == '"' || c == '\\' || c >= 0x80)
			break;
		at++;
	}
	return at;
}

/* The value of "\uXXXX" at `p`, -1 if it is not that. `left`: bytes up to the end. */
static int32_t unicode_escape(const char *p, size_t left)
{
	int32_t value = 0;

	if (left < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		int digit = weir_str_hex(p[i]);

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* Length of the escape at `at`; 0: *error says what is wrong with it. */
static size_t escape_length(const struct weir_json_scan *scan, size_t at, const char **error)
{
	const char *p = scan->text + at;
	size_t left = scan->len - at;
	int32_t unit;

	if (left >= 2 && p[1] != 'u' && p[1] && strchr("\"\\/bfnrt", p[1]))
		return 2;
	unit = unicode_escape(p, left);
	*error = "no such escape in a string";
	if (unit < 0)
		return 0;
	if (unit < 0xD800 || unit > 0xDFFF)
		return 6;
	*error = "an escaped surrogate without its other half";
	if (unit > 0xDBFF)
		return 0;
	unit = unicode_escape(p + 6, left - 6);
	return unit >= 0xDC00 && unit <= 0xDFFF ? 12 : 0;
}

/* Length of the character at `at` that is not plain; 0: *error. */
static size_t special_length(const struct weir_json_scan *scan, size_t at, bool *escaped, const char **error)
{
	const unsigned char *p = (const unsigned char *)scan->text + at;
	size_t len;
	uint32_t c;

	if (*p == '\\') {
		*escaped = true;
		return escape_length(scan, at, error);
	}
	*error = "a control character in a string must be escaped";
	if (*p < 0x20)
		return 0;
	*error = "not valid UTF-8";
	len = weir_utf8_decode(p, (const unsigned char *)scan->text + scan->len, &c);
	return len;
}

static enum weir_json_kind scan_string(struct weir_json_scan *scan, struct weir_json_token *ret,
				       enum weir_json_kind kind)
{
	size_t start = scan->at + 1;
	size_t at = start;

	for (;;) {
		const char *error = NULL;
		size_t len;

		at = skip_plain(scan, at);
		if (at == scan->len)
			return fail(scan, ret, scan->at, "a string without its closing quote");
		if (scan->text[at] == '"')
			break;
		len = special_length(scan, at, &ret->escaped, &error);
		if (len == 0)
			return fail(scan, ret, at, error);
		at += len;
	}
	ret->kind = kind;
	ret->offset = scan->at;
	ret->text = (struct weir_buf){ scan->text + start, at - start };
	scan->at = at + 1;
	return kind;
}

/* ---- numbers and words -------------------------------------------------- */

static size_t skip_digits(const struct weir_json_scan *scan, size_t at)
{
	while (at < scan->len && scan->text[at] >= '0' && scan->text[at] <= '9')
		at++;
	return at;
}

static bool is_at(const struct weir_json_scan *scan, size_t at, char c)
{
	return at < scan->len && scan->text[at] == c;
}

/* The end of a fraction and an exponent, if there are any at `at`; 0: digits are missing. */
static size_t skip_fraction(const struct weir_json_scan *scan, size_t at)
{
	size_t start;

	if (is_at(scan, at, '.')) {
		start = at + 1;
		at = skip_digits(scan, start);
		if (at == start)
			return 0;
	}
	if (is_at(scan, at, 'e') || is_at(scan, at, 'E')) {
		start = at + 1;
		if (is_at(scan, start, '+') || is_at(scan, start, '-'))
			start++;
		at = skip_digits(scan, start);
		if (at == start)
			return 0;
	}
	return at;
}

static enum weir_json_kind scan_number(struct weir_json_scan *scan, struct weir_json_token *ret)
{
	size_t start = is_at(scan, scan->at, '-') ? scan->at + 1 : scan->at;
	size_t whole = is_at(scan, start, '0') ? start + 1 : skip_digits(scan, start);
	size_t end = whole == start ? 0 : skip_fraction(scan, whole);

	if (end == 0)
		return fail(scan, ret, scan->at, "not a number");
	if (end == whole && end == start + 1 && skip_digits(scan, end) != end)
		return fail(scan, ret, scan->at, "a number must not begin with 0");
	ret->integer = end == whole;
	return emit(scan, ret, WEIR_JSON_NUMBER, end - scan->at);
}

static enum weir_json_kind scan_word(struct weir_json_scan *scan, struct weir_json_token *ret, const char *word,
				     size_t len, enum weir_json_kind kind)
{
	if (scan->len - scan->at < len || memcmp(scan->text + scan->at, word, len) != 0)
		return fail(scan, ret, scan->at, "expected a value");
	return emit(scan, ret, kind, len);
}

/* ---- the document ------------------------------------------------------- */

static void skip_space(struct weir_json_scan *scan)
{
	while (scan->at < scan->len) {
		char c = scan->text[scan->at];

		if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
			return;
		scan->at++;
	}
}

static enum weir_json_kind fail_unexpected(struct weir_json_scan *scan, struct weir_json_token *ret)
{
	const char *error = "expected a value";

	if (scan->at == scan->len)
		error = scan->depth ? "the text ends inside an object or array" : "there is no text";
	else if (scan->text[scan->at] == '/')
		error = "comments are not allowed";
	else if (scan->text[scan->at] == '\'')
		error = "strings take double quotes";
	else if ((unsigned char)scan->text[scan->at] == 0xEF && scan->at == 0)
		error = "a byte order mark is not allowed";
	else if (scan->expect == EXPECT_KEY || scan->expect == EXPECT_KEY_OR_END)
		error = "expected the name of a member, in double quotes";
	else if (scan->text[scan->at] == ']' || scan->text[scan->at] == '}')
		error = "expected a value before the end of the array or object";
	return fail(scan, ret, scan->at, error);
}

static enum weir_json_kind next_value(struct weir_json_scan *scan, struct weir_json_token *ret)
{
	char c;

	if (scan->at == scan->len)
		return fail_unexpected(scan, ret);
	c = scan->text[scan->at];
	scan->expect = EXPECT_MORE;
	switch (c) {
	case '{':
		return open_level(scan, ret, true);
	case '[':
		return open_level(scan, ret, false);
	case '"':
		return scan_string(scan, ret, WEIR_JSON_STRING);
	case 't':
		return scan_word(scan, ret, "true", 4, WEIR_JSON_TRUE);
	case 'f':
		return scan_word(scan, ret, "false", 5, WEIR_JSON_FALSE);
	case 'n':
		return scan_word(scan, ret, "null", 4, WEIR_JSON_NULL);
	default:
		if (c == '-' || (c >= '0' && c <= '9'))
			return scan_number(scan, ret);
		return fail_unexpected(scan, ret);
	}
}

static enum weir_json_kind next_key(struct weir_json_scan *scan, struct weir_json_token *ret)
{
	if (!is_at(scan, scan->at, '"'))
		return fail_unexpected(scan, ret);
	if (scan_string(scan, ret, WEIR_JSON_KEY) == WEIR_JSON_ERROR)
		return WEIR_JSON_ERROR;
	skip_space(scan);
	if (!is_at(scan, scan->at, ':'))
		return fail(scan, ret, scan->at, "expected ':' after the name of a member");
	scan->at++;
	scan->expect = EXPECT_VALUE;
	return WEIR_JSON_KEY;
}

/* After a value: what closes the level, or, past a comma, the next key or value. */
static enum weir_json_kind next_more(struct weir_json_scan *scan, struct weir_json_token *ret)
{
	if (scan->depth == 0) {
		if (scan->at == scan->len)
			return emit(scan, ret, WEIR_JSON_END, 0);
		return fail(scan, ret, scan->at, "something follows the end of the document");
	}
	if (scan->at == scan->len)
		return fail_unexpected(scan, ret);
	if (scan->text[scan->at] == '}' || scan->text[scan->at] == ']')
		return close_level(scan, ret);
	if (scan->text[scan->at] != ',')
		return fail(scan, ret, scan->at, in_object(scan) ? "expected ',' or '}'" : "expected ',' or ']'");
	scan->at++;
	skip_space(scan);
	scan->expect = in_object(scan) ? EXPECT_KEY : EXPECT_VALUE;
	return in_object(scan) ? next_key(scan, ret) : next_value(scan, ret);
}

enum weir_json_kind weir_json_next(struct weir_json_scan *scan, struct weir_json_token *ret)
{
	/* A token is a value that may be copied whole, whatever its kind. */
	ret->escaped = false;
	ret->integer = false;
	if (scan->error)
		return fail(scan, ret, scan->error_offset, scan->error);
	skip_space(scan);
	switch (scan->expect) {
	case EXPECT_MORE:
		return next_more(scan, ret);
	case EXPECT_KEY_OR_END:
		return is_at(scan, scan->at, '}') ? close_level(scan, ret) : next_key(scan, ret);
	case EXPECT_VALUE_OR_END:
		return is_at(scan, scan->at, ']') ? close_level(scan, ret) : next_value(scan, ret);
	default:
		return next_value(scan, ret);
	}
}

bool weir_json_skip(struct weir_json_scan *scan, const struct weir_json_token *first, struct weir_buf *ret)
{
	struct weir_json_token token;
	size_t start = first->offset;

	if (first->kind == WEIR_JSON_OBJECT || first->kind == WEIR_JSON_ARRAY) {
		unsigned outside = scan->depth - 1;

		while (scan->depth > outside)
			if (weir_json_next(scan, &token) == WEIR_JSON_ERROR)
				return false;
	}
	*ret = (struct weir_buf){ scan->text + start, scan->at - start };
	return true;
}

bool weir_json_is_valid(struct weir_buf text, unsigned max_depth)
{
	struct weir_json_scan scan;
	struct weir_json_token token;

	weir_json_init(&scan, text, max_depth);
	while (weir_json_next(&scan, &token) > WEIR_JSON_END)
		continue;
	return token.kind == WEIR_JSON_END;
}

/* ---- what a token stands for -------------------------------------------- */

/* Writes what the escape at `p` stands for; *out moves on; the length of the escape. It is known to be valid. */
static size_t unescape_one(const char *p, size_t left, unsigned char **out)
{
	static const char names[] = "bfnrt";
	static const char values[] = "\b\f\n\r\t";
	const char *name;
	int32_t unit;
	uint32_t c;

	if (p[1] != 'u') {
		name = strchr(names, p[1]);
		*(*out)++ = (unsigned char)(name ? values[name - names] : p[1]);
		return 2;
	}
	unit = unicode_escape(p, left);
	c = (uint32_t)unit;
	if (unit < 0xD800 || unit > 0xDFFF) {
		*out += weir_utf8_encode(c, *out);
		return 6;
	}
	c = 0x10000 + ((c - 0xD800) << 10) + ((uint32_t)unicode_escape(p + 6, left - 6) - 0xDC00);
	*out += weir_utf8_encode(c, *out);
	return 12;
}

bool weir_json_unescape(const struct weir_json_token *token, struct weir_arena *arena, struct weir_buf *ret)
{
	const char *p = token->text.ptr;
	const char *end = p + token->text.len;
	unsigned char *start, *out;

	*ret = token->text;
	if (!token->escaped)
		return true;
	/* No escape is shorter than what it stands for. */
	start = out = weir_arena_alloc(arena, token->text.len);
	if (!start)
		return false;
	while (p < end) {
		const char *escape = memchr(p, '\\', (size_t)(end - p));
		size_t plain = (size_t)((escape ? escape : end) - p);

		memcpy(out, p, plain);
		out += plain;
		p += plain;
		if (escape)
			p += unescape_one(p, (size_t)(end - p), &out);
	}
	*ret = (struct weir_buf){ start, (size_t)(out - start) };
	return true;
}

struct weir_json_position weir_json_position(struct weir_buf text, size_t offset)
{
	struct weir_json_position position = { 1, 1 };
	const unsigned char *p = text.ptr;

	for (size_t i = 0; i < offset && i < text.len; i++) {
		if (p[i] == '\n') {
			position.line++;
			position.column = 1;
		} else if ((p[i] & 0xC0) != 0x80) {
			position.column++;
		}
	}
	return position;
}
