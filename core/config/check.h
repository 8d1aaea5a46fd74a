/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/check: is a value what its row asks for?
 *
 * One function for the core's own keys and for drivers' options, so that both
 * are refused in the same words.
 */
#ifndef WEIR_CONFIG_CHECK_H
#define WEIR_CONFIG_CHECK_H

#include "config/fields.h"
#include "config/tree.h"

/* A value as it was given. */
struct weir_input {
	const struct weir_node *node;
	/*
	 * Environment, --set and ConfigMaps know only text: `raw` is it, `node` is
	 * what it is as JSON, or a string if it is not JSON. The row decides which.
	 */
	bool text;
	struct weir_buf raw;
};

struct weir_checked {
	const char *text; /* as the value is handed out: lists joined by commas, sizes as bytes; NULL: an empty list */
	int64_t number; /* INT, BYTES; DURATION in ms; BOOL 0 or 1; ENUM its place in `choices`; LIST number of items */
};

enum { WEIR_WHY_SIZE = 512 };

/*
 * WEIR_OK and *ret, whose text is in the arena; WEIR_EINVAL and `why`: "what is
 * wrong; allowed: ...; did you mean ...?", without the value if the row is
 * secret; WEIR_ENOMEM.
 */
int weir_check(const struct weir_field *row, const struct weir_input *input, struct weir_arena *arena,
	       struct weir_checked *ret, char why[WEIR_WHY_SIZE]);

/* What a row allows, for people: "0 to 256", "PT0.001S to PT1H", "text, json". */
void weir_check_allowed(const struct weir_option *option, char *out, size_t size);

/* ISO 8601, in the largest unit that is exact; ms not negative. Returns `out`. */
const char *weir_duration_text(int64_t ms, char out[32]);

/* A printable piece of hostile text: at most 60 characters, the rest replaced or cut. */
enum { WEIR_PRINTABLE_SIZE = 64 };
const char *weir_printable(struct weir_buf text, char out[WEIR_PRINTABLE_SIZE]);

#endif
