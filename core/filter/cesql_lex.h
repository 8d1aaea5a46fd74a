/* SPDX-License-Identifier: Apache-2.0 */
/* filter/cesql_lex: the words of a CESQL expression. */
#ifndef WEIR_FILTER_CESQL_LEX_H
#define WEIR_FILTER_CESQL_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/driver.h>

enum weir_cesql_token_kind {
	WEIR_CESQL_END,
	WEIR_CESQL_BAD, /* no word, or a text without its end; `text` is what is left */
	WEIR_CESQL_NAME,
	WEIR_CESQL_INTEGER, /* without a sign */
	WEIR_CESQL_STRING,  /* `text`: between the quotes, escapes and all */
	WEIR_CESQL_OPEN,
	WEIR_CESQL_CLOSE,
	WEIR_CESQL_COMMA,
	WEIR_CESQL_PLUS,
	WEIR_CESQL_MINUS,
	WEIR_CESQL_STAR,
	WEIR_CESQL_SLASH,
	WEIR_CESQL_PERCENT,
	WEIR_CESQL_EQUAL,
	WEIR_CESQL_UNEQUAL,
	WEIR_CESQL_LESS,
	WEIR_CESQL_LESS_EQUAL,
	WEIR_CESQL_GREATER,
	WEIR_CESQL_GREATER_EQUAL,
	/* keywords */
	WEIR_CESQL_AND,
	WEIR_CESQL_EXISTS,
	WEIR_CESQL_FALSE,
	WEIR_CESQL_IN,
	WEIR_CESQL_LIKE,
	WEIR_CESQL_NOT,
	WEIR_CESQL_OR,
	WEIR_CESQL_TRUE,
	WEIR_CESQL_XOR,
};

struct weir_cesql_token {
	enum weir_cesql_token_kind kind;
	size_t offset;        /* of its first byte */
	struct weir_buf text; /* as it is written */
};

struct weir_cesql_lexer {
	struct weir_buf text;
	size_t offset;
};

struct weir_cesql_token weir_cesql_next(struct weir_cesql_lexer *lexer);

#endif
