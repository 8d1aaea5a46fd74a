/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter/build: makes a filter, dialect by dialect: exact, prefix, suffix, all,
 * any, not, and CESQL.
 *
 * What is added at the top must all be true. Groups nest: between
 * weir_filter_begin() and weir_filter_end() what is added is a member of the group.
 *
 * After an error other than WEIR_ENOMEM one may go on, to find the next mistake;
 * the filter cannot be finished then.
 */
#ifndef WEIR_FILTER_BUILD_H
#define WEIR_FILTER_BUILD_H

#include <stdbool.h>

#include <weir/error.h>

#include "base/arena.h"
#include "filter/filter.h"

enum {
	WEIR_FILTER_NESTING_MAX = 32,        /* groups in groups */
	WEIR_FILTER_DEPTH_MAX = 64,          /* values an expression has in hand at a time; operators that wait */
	WEIR_FILTER_STEPS_MAX = 8192,        /* of one filter */
	WEIR_FILTER_EXPRESSION_BYTES = 8192, /* of one CESQL expression */
};

enum weir_filter_dialect { WEIR_FILTER_EXACT, WEIR_FILTER_PREFIX, WEIR_FILTER_SUFFIX };
enum weir_filter_group { WEIR_FILTER_ALL, WEIR_FILTER_ANY, WEIR_FILTER_NOT };

struct weir_filter_builder;

/* The filter and all of its texts will be of `arena`. WEIR_ENOMEM. */
int weir_filter_builder_new(struct weir_arena *arena, struct weir_filter_builder **ret);
/* NULL is allowed. */
void weir_filter_builder_free(struct weir_filter_builder *builder);

/*
 * The event must have the attribute, and its value be, begin or end with `value`.
 * WEIR_EINVAL: `name` is no attribute's name, or a value is empty. Copies.
 */
int weir_filter_add_match(struct weir_filter_builder *builder, enum weir_filter_dialect dialect, struct weir_buf name,
			  struct weir_buf value, struct weir_error *err);

/* What is allowed in an expression, but hardly meant. Bits. */
enum weir_filter_doubt {
	/* AND, OR and XOR beside each other without parentheses: they have one rank and are read from the left. */
	WEIR_FILTER_DOUBT_MIXED = 1,
	/* `NOT a = b` is `(NOT a) = b`. */
	WEIR_FILTER_DOUBT_NOT = 2,
};

/*
 * A CESQL 1.0 expression, which must be true. WEIR_EINVAL and WEIR_ETOOBIG: the
 * text says at which character, what was expected and what was found. Where the
 * specification leaves it open:
 *   a name of an attribute may have capitals, which are read as small letters;
 *   an expression that can only give a number or a text is refused;
 *   so is a function that there is not, or with a wrong number of arguments;
 *   `+`, `-`, `*` beyond 32 bits are a MathError, as is `-` of the least number;
 *   IN looks at no element behind the first that is equal;
 *   LOWER and UPPER map one character to one character.
 */
int weir_filter_add_cesql(struct weir_filter_builder *builder, struct weir_buf expression, unsigned *doubts,
			  struct weir_error *err);
/* The same, and `any_type`: one that gives a number or a text is taken too, for weir_filter_value(). */
int weir_filter_add_expression(struct weir_filter_builder *builder, struct weir_buf expression, bool any_type,
			       unsigned *doubts, struct weir_error *err);

/* WEIR_ETOOBIG: nested too deeply. */
int weir_filter_begin(struct weir_filter_builder *builder, enum weir_filter_group group, struct weir_error *err);
/* WEIR_EINVAL: the group has no member, or `not` has more than one. */
int weir_filter_end(struct weir_filter_builder *builder, struct weir_error *err);

/* *ret lives as long as the arena. WEIR_EINVAL after an earlier error; WEIR_ETOOBIG: too many steps. */
int weir_filter_finish(struct weir_filter_builder *builder, const struct weir_filter **ret, struct weir_error *err);

#endif
