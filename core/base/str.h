/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/str: comparing, parsing and checking text that has a length.
 */
#ifndef WEIR_BASE_STR_H
#define WEIR_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <weir/driver.h>

/* A view of a NUL-terminated string; NULL gives "no value". */
static inline struct weir_buf weir_str(const char *text)
{
	struct weir_buf view = { text, text ? strlen(text) : 0 };
	return view;
}

/* A view of a string literal, its length known when compiled. */
#define WEIR_STR(literal) ((struct weir_buf){ "" literal, sizeof(literal) - 1 })

bool weir_str_equal(struct weir_buf a, struct weir_buf b);
/* ASCII letters without case. */
bool weir_str_equal_nocase(struct weir_buf a, struct weir_buf b);
bool weir_str_starts(struct weir_buf text, struct weir_buf prefix);
bool weir_str_starts_nocase(struct weir_buf text, struct weir_buf prefix);
/* Without spaces and tabs at both ends. */
struct weir_buf weir_str_trim(struct weir_buf text);
/*
 * Takes the part before the first `separator` off the front of *rest. False when
 * nothing is left. "a,,b" gives "a", "", "b".
 */
bool weir_str_split(struct weir_buf *rest, char separator, struct weir_buf *part);

/* The value of a hexadecimal digit; -1: it is none. */
static inline int weir_str_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Digits only, no sign, no overflow. */
bool weir_str_to_uint(struct weir_buf text, uint64_t *ret);
/* Digits with an optional '-'. */
bool weir_str_to_int(struct weir_buf text, int64_t *ret);
/* ISO 8601 "PT0.2S", "P1DT2H" (no years, no months), in milliseconds; not negative. */
bool weir_str_to_duration_ms(struct weir_buf text, int64_t *ret);

/* Well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool weir_str_is_utf8(struct weir_buf text);

/* Number of single-character edits from one to the other, at most `limit` + 1. For "did you mean". */
unsigned weir_str_distance(struct weir_buf a, struct weir_buf b, unsigned limit);

#endif
