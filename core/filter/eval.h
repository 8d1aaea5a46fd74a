/* SPDX-License-Identifier: Apache-2.0 */
/* filter/eval: an evaluation under way, for core/filter only. */
#ifndef WEIR_FILTER_EVAL_H
#define WEIR_FILTER_EVAL_H

#include "filter/program.h"

enum {
	WEIR_FILTER_TEXT_BYTES = 65536,    /* of texts that one evaluation puts together */
	WEIR_FILTER_BUDGET_BYTES = 1 << 20 /* that one evaluation looks at, about */
};

struct weir_filter_scratch {
	struct weir_filter_value values[WEIR_FILTER_DEPTH_MAX];
	char text[WEIR_FILTER_TEXT_BYTES];
};

struct weir_filter_eval {
	const struct weir_filter *filter;
	const weir_event *event;
	struct weir_filter_scratch *scratch;
	size_t next;      /* step */
	size_t depth;     /* of scratch->values */
	size_t text_used; /* of scratch->text */
	size_t budget;
	size_t begin; /* where the expression that is being evaluated begins */
	size_t base;  /* the depth there */
	bool raw;     /* what the last expression gives is wanted, whatever its type */
	enum weir_filter_fault first_fault;
};

/* ---- cast.c --------------------------------------------------------------- */

/* CESQL 1.0, section 3.7. */
enum weir_filter_fault weir_filter_cast(struct weir_filter_eval *eval, struct weir_filter_value *value,
					enum weir_filter_type type);
/* Room for `len` bytes of text; NULL: there is none. */
char *weir_filter_room(struct weir_filter_eval *eval, size_t len);
/* False: the budget does not allow it. */
bool weir_filter_spend(struct weir_filter_eval *eval, size_t bytes);

/* ---- function.c ----------------------------------------------------------- */

enum { WEIR_FILTER_PARAMETERS = 3 };

struct weir_filter_function {
	const char *name;    /* in capitals */
	uint8_t least, most; /* number of arguments */
	uint8_t result;
	uint8_t parameters[WEIR_FILTER_PARAMETERS]; /* types; the last is that of all further ones */
	/* The arguments have their types; the result is put in the place of the first, or where it would be. */
	enum weir_filter_fault (*call)(struct weir_filter_eval *eval, struct weir_filter_value *arguments,
				       size_t count);
};

extern const struct weir_filter_function weir_filter_functions[];
extern const size_t weir_filter_function_count;

#endif
