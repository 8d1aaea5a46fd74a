/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

/* strncasecmp(3) follows the locale; this must not. */
static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

static bool same_nocase(const void *a, const void *b, size_t len)
{
	const unsigned char *x = a, *y = b;

	for (size_t i = 0; i < len; i++) {
		if (lower(x[i]) != lower(y[i]))
			return false;
	}
	return true;
}

static bool same(const void *a, const void *b, size_t len)
{
	return len == 0 || memcmp(a, b, len) == 0;
}

bool weir_str_equal(struct weir_buf a, struct weir_buf b)
{
	return a.len == b.len && same(a.ptr, b.ptr, a.len);
}

bool weir_str_equal_nocase(struct weir_buf a, struct weir_buf b)
{
	return a.len == b.len && same_nocase(a.ptr, b.ptr, a.len);
}

bool weir_str_starts(struct weir_buf text, struct weir_buf prefix)
{
	return text.len >= prefix.len && same(text.ptr, prefix.ptr, prefix.len);
}

bool weir_str_starts_nocase(struct weir_buf text, struct weir_buf prefix)
{
	return text.len >= prefix.len && same_nocase(text.ptr, prefix.ptr, prefix.len);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct weir_buf weir_str_trim(struct weir_buf text)
{
	const char *start = text.ptr;
	size_t len = text.len;

	for (; len && is_blank(*start); start++)
		len--;
	while (len && is_blank(start[len - 1]))
		len--;
	return (struct weir_buf){ start, len };
}

bool weir_str_split(struct weir_buf *rest, char separator, struct weir_buf *part)
{
	const char *end;

	if (!rest->ptr)
		return false;
	*part = *rest;
	end = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
	if (!end) {
		*rest = (struct weir_buf){ NULL, 0 };
		return true;
	}
	part->len = (size_t)(end - (const char *)rest->ptr);
	*rest = (struct weir_buf){ end + 1, rest->len - part->len - 1 };
	return true;
}

bool weir_str_to_uint(struct weir_buf text, uint64_t *ret)
{
	const char *digits = text.ptr;
	uint64_t value = 0;

	if (!text.len)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = (unsigned char)digits[i] - (unsigned)'0';

		if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	*ret = value;
	return true;
}

bool weir_str_to_int(struct weir_buf text, int64_t *ret)
{
	bool negative = weir_str_starts(text, WEIR_STR("-"));
	uint64_t magnitude;

	if (negative)
		text = (struct weir_buf){ (const char *)text.ptr + 1, text.len - 1 };
	if (!weir_str_to_uint(text, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative)
		return false;
	*ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	return true;
}

/* ---- ISO 8601 durations -------------------------------------------------- */

struct reader {
	const char *at, *end;
};

static bool read_char(struct reader *reader, char c)
{
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	return true;
}

static struct weir_buf read_digits(struct reader *reader)
{
	const char *start = reader->at;

	while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
		reader->at++;
	return (struct weir_buf){ start, (size_t)(reader->at - start) };
}

/* Thousandths of a fraction's digits; what is finer counts as one more, so that no wait becomes none. */
static int64_t fraction_ms(struct weir_buf digits)
{
	const char *digit = digits.ptr;
	int64_t ms = 0;

	for (size_t i = 0; i < 3; i++)
		ms = ms * 10 + (i < digits.len ? digit[i] - '0' : 0);
	for (size_t i = 3; i < digits.len; i++) {
		if (digit[i] != '0')
			return ms + 1;
	}
	return ms;
}

/* One "12H": adds to *sum. False if it is not there in this place or the sum overflows. */
static bool read_component(struct reader *reader, char unit, int64_t unit_ms, int64_t *sum)
{
	struct reader ahead = *reader;
	struct weir_buf whole = read_digits(&ahead), part = { "", 0 };
	uint64_t count;
	int64_t ms;

	if (unit == 'S' && (read_char(&ahead, '.') || read_char(&ahead, ','))) {
		part = read_digits(&ahead);
		if (!part.len)
			return false;
	}
	if (!read_char(&ahead, unit) || !weir_str_to_uint(whole, &count) ||
	    __builtin_mul_overflow(count, unit_ms, &ms) || __builtin_add_overflow(*sum, ms, sum) ||
	    __builtin_add_overflow(*sum, fraction_ms(part), sum))
		return false;
	*reader = ahead;
	return true;
}

bool weir_str_to_duration_ms(struct weir_buf text, int64_t *ret)
{
	static const struct {
		char unit;
		bool time;
		int64_t ms;
	} units[] = { { 'W', false, INT64_C(604800000) },
		      { 'D', false, INT64_C(86400000) },
		      { 'H', true, INT64_C(3600000) },
		      { 'M', true, INT64_C(60000) },
		      { 'S', true, INT64_C(1000) } };
	struct reader reader = { text.ptr, text.len ? (const char *)text.ptr + text.len : text.ptr };
	bool in_time = false, any = false;
	int64_t sum = 0;

	if (!read_char(&reader, 'P'))
		return false;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (units[i].time && !in_time) {
			if (!read_char(&reader, 'T'))
				break;
			in_time = true;
			any = false;
		}
		any |= read_component(&reader, units[i].unit, units[i].ms, &sum);
	}
	if (!any || reader.at != reader.end)
		return false;
	*ret = sum;
	return true;
}

/* ---- UTF-8 --------------------------------------------------------------- */

/* Length of the well-formed sequence at `at`, 0 if there is none. Ranges as in Unicode's table 3-7. */
static size_t utf8_sequence(const unsigned char *at, size_t left)
{
	unsigned char first = at[0], low = 0x80, high = 0xbf;
	size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	if (len == 1)
		return 1;
	if (first < 0xc2 || first > 0xf4 || left < len)
		return 0;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

bool weir_str_is_utf8(struct weir_buf text)
{
	const unsigned char *at = text.ptr;
	size_t left = text.len;

	while (left) {
		uint64_t word;
		size_t len;

		/* Most text is ASCII: eight bytes at a time. */
		if (left >= sizeof word) {
			memcpy(&word, at, sizeof word);
			if (!(word & UINT64_C(0x8080808080808080))) {
				at += sizeof word;
				left -= sizeof word;
				continue;
			}
		}
		len = utf8_sequence(at, left);
		if (!len)
			return false;
		at += len;
		left -= len;
	}
	return true;
}

/* ---- edit distance ------------------------------------------------------- */

enum { DISTANCE_MAX_LEN = 127 }; /* of what is compared; names that people mistype are shorter */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

unsigned weir_str_distance(struct weir_buf a, struct weir_buf b, unsigned limit)
{
	unsigned row[DISTANCE_MAX_LEN + 1]; /* row[j]: from the first i of a to the first j of b */
	const char *x = a.ptr, *y = b.ptr;

	if (a.len > DISTANCE_MAX_LEN || b.len > DISTANCE_MAX_LEN)
		return weir_str_equal(a, b) ? 0 : limit + 1;
	for (unsigned j = 0; j <= b.len; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a.len; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= b.len; j++) {
			unsigned above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (x[i - 1] != y[j - 1]));
			diagonal = above;
		}
	}
	return row[b.len] <= limit ? row[b.len] : limit + 1;
}
