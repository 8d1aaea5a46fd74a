/* SPDX-License-Identifier: Apache-2.0 */
/* config/check_int: what the files of config/check share. */
#ifndef WEIR_CONFIG_CHECK_INT_H
#define WEIR_CONFIG_CHECK_INT_H

#include "config/check.h"

struct weir_check {
	const struct weir_field *row;
	const struct weir_input *input;
	struct weir_arena *arena;
	struct weir_checked *ret;
	char *why;
};

/* All of these write `why` and return WEIR_EINVAL. */
__attribute__((format(printf, 2, 3))) int weir_check_refuse(const struct weir_check *check, const char *format, ...);
/* "what; allowed: ..." */
int weir_check_refuse_allowed(const struct weir_check *check, const char *what);
/* "must be ..., not a string" */
int weir_check_refuse_kind(const struct weir_check *check, const char *wanted);
/* "VALUE what; allowed: ..." */
int weir_check_refuse_value(const struct weir_check *check, struct weir_buf value, const char *what);

/* The value in quotes, unless it must not be shown. */
const char *weir_check_shown(const struct weir_check *check, struct weir_buf value, char out[WEIR_PRINTABLE_SIZE + 2]);
/* The text of a scalar; ptr NULL if it is of another kind. */
struct weir_buf weir_check_text_of(const struct weir_check *check);
bool weir_check_in_range(const struct weir_option *option, int64_t number);
/* WEIR_OK, or WEIR_ENOMEM. */
int weir_check_keep_text(const struct weir_check *check, struct weir_buf text);

/* check_number.c: as weir_check(). */
int weir_check_int(const struct weir_check *check);
int weir_check_bytes(const struct weir_check *check);
int weir_check_duration(const struct weir_check *check);

#endif
