/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter/program: what a filter is made of, for core/filter only.
 *
 * Steps work on a stack of values. Those of the dialects push or take booleans;
 * those of CESQL any value. Jumps only go forward.
 */
#ifndef WEIR_FILTER_PROGRAM_H
#define WEIR_FILTER_PROGRAM_H

#include "filter/build.h"

enum weir_filter_op {
	/* dialects: `name` and `operand`, a text; push a boolean */
	WEIR_OP_EXACT,
	WEIR_OP_PREFIX,
	WEIR_OP_SUFFIX,

	/* logic; operands are cast to boolean */
	WEIR_OP_NOT,
	WEIR_OP_AND,     /* jumps to `operand` and keeps the value if it is false, else takes it */
	WEIR_OP_OR,      /* ... if it is true */
	WEIR_OP_BOOLEAN, /* casts the value, the right side of one of the two above */

	/* CESQL: an expression is between these two; a fault in it leads to the second */
	WEIR_OP_BEGIN, /* `operand`: the other; `count`: the expression's enum weir_filter_type */
	WEIR_OP_END,   /* what is not the boolean true becomes false */

	WEIR_OP_TRUE,
	WEIR_OP_FALSE,
	WEIR_OP_INTEGER, /* `operand` */
	WEIR_OP_STRING,  /* the text `operand` */
	WEIR_OP_ATTRIBUTE,
	WEIR_OP_EXISTS,
	WEIR_OP_NEGATE,
	WEIR_OP_MULTIPLY,
	WEIR_OP_DIVIDE,
	WEIR_OP_REMAINDER,
	WEIR_OP_ADD,
	WEIR_OP_SUBTRACT,
	WEIR_OP_EQUAL,
	WEIR_OP_UNEQUAL,
	WEIR_OP_LESS,
	WEIR_OP_LESS_EQUAL,
	WEIR_OP_GREATER,
	WEIR_OP_GREATER_EQUAL,
	WEIR_OP_XOR,
	WEIR_OP_LIKE,    /* the compiled pattern, text `operand`; `count`: enum weir_filter_like */
	WEIR_OP_ELEMENT, /* of a set, under the value in question: jumps to `operand` with true if they are equal */
	WEIR_OP_SET,     /* the end of a set: no element was equal */
	WEIR_OP_CALL,    /* function `operand` with `count` arguments */
};

/* Patterns without `_`, and with `%` only at an end, need no search. */
enum weir_filter_like {
	WEIR_LIKE_SEARCH,
	WEIR_LIKE_EXACT,
	WEIR_LIKE_PREFIX,
	WEIR_LIKE_SUFFIX,
};

struct weir_filter_step {
	uint8_t op;
	uint8_t count;    /* of arguments */
	uint16_t name;    /* of an attribute: place in the table of names */
	uint32_t operand; /* a place in the table of texts, a step to jump to, or a number */
};

struct weir_filter_name {
	enum weir_attribute attribute; /* WEIR_ATTR_COUNT: an extension */
	struct weir_buf name;
};

struct weir_filter {
	const struct weir_filter_step *steps;
	size_t step_count;
	const struct weir_filter_name *names;
	const struct weir_buf *texts;
};

struct weir_filter_open_group {
	enum weir_filter_group kind;
	uint32_t members;
	uint32_t jumps; /* the last jump to the group's end, each with the one before as its operand; NO_STEP: none */
};

#define WEIR_FILTER_NO_STEP UINT32_MAX

struct weir_filter_builder {
	struct weir_arena *arena;
	struct weir_filter_step *steps;
	size_t step_count, step_capacity;
	struct weir_filter_name *names;
	size_t name_count, name_capacity;
	struct weir_buf *texts;
	size_t text_count, text_capacity;
	uint32_t depth; /* of the stack, after the last step */
	bool deep;      /* it was passed */
	bool failed;    /* something was refused */
	bool no_memory;
	struct weir_filter_open_group groups[WEIR_FILTER_NESTING_MAX + 1]; /* the first is the filter */
	size_t group_count;
};

/* ---- build.c -------------------------------------------------------------- */

/* Before a member of the innermost group. */
void weir_filter_member(struct weir_filter_builder *builder);
/* Adds a step that takes `pops` values and pushes one, if `pushes`; its number. */
uint32_t weir_filter_emit(struct weir_filter_builder *builder, struct weir_filter_step step, uint32_t pops,
			  uint32_t pushes);
/* Has all jumps of a chain lead to the next step. */
void weir_filter_patch(struct weir_filter_builder *builder, uint32_t jumps);
/* The place of a name that is checked, or of a text. */
uint16_t weir_filter_name_of(struct weir_filter_builder *builder, struct weir_buf name);
uint32_t weir_filter_text_of(struct weir_filter_builder *builder, struct weir_buf text);
/* Refuses what is being added. */
__attribute__((format(printf, 4, 5))) int weir_filter_refuse(struct weir_filter_builder *builder,
							     struct weir_error *err, int code, const char *format, ...);
/* NULL: `name` may name an attribute. */
const char *weir_filter_check_name(struct weir_buf name);

#endif
