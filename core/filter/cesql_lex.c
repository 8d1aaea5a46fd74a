/* SPDX-License-Identifier: Apache-2.0 */
#include "filter/cesql_lex.h"

#include "base/str.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The length of a text with its quotes; 0: it has no end. */
static size_t string_length(const char *text, size_t len)
{
	size_t at = 1;

	while (at < len && text[at] != text[0])
		at += text[at] == '\\' ? 2 : 1;
	return at < len ? at + 1 : 0;
}

static enum weir_cesql_token_kind word_kind(struct weir_buf word)
{
	static const struct {
		struct weir_buf word;
		enum weir_cesql_token_kind kind;
	} words[] = {
		{ { "AND", 3 }, WEIR_CESQL_AND },     { { "EXISTS", 6 }, WEIR_CESQL_EXISTS },
		{ { "FALSE", 5 }, WEIR_CESQL_FALSE }, { { "IN", 2 }, WEIR_CESQL_IN },
		{ { "LIKE", 4 }, WEIR_CESQL_LIKE },   { { "NOT", 3 }, WEIR_CESQL_NOT },
		{ { "OR", 2 }, WEIR_CESQL_OR },       { { "TRUE", 4 }, WEIR_CESQL_TRUE },
		{ { "XOR", 3 }, WEIR_CESQL_XOR },
	};
	const char *bytes = word.ptr;
	size_t digits = 0;

	while (digits < word.len && is_digit(bytes[digits]))
		digits++;
	if (digits == word.len)
		return WEIR_CESQL_INTEGER;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (weir_str_equal_nocase(word, words[i].word))
			return words[i].kind;
	}
	return WEIR_CESQL_NAME;
}

static enum weir_cesql_token_kind sign_kind(const char *text, size_t len, size_t *taken)
{
	static const struct {
		char text[3];
		enum weir_cesql_token_kind kind;
	} signs[] = {
		{ "!=", WEIR_CESQL_UNEQUAL },       { "<>", WEIR_CESQL_UNEQUAL }, { "<=", WEIR_CESQL_LESS_EQUAL },
		{ ">=", WEIR_CESQL_GREATER_EQUAL }, { "<", WEIR_CESQL_LESS },     { ">", WEIR_CESQL_GREATER },
		{ "=", WEIR_CESQL_EQUAL },          { "(", WEIR_CESQL_OPEN },     { ")", WEIR_CESQL_CLOSE },
		{ ",", WEIR_CESQL_COMMA },          { "+", WEIR_CESQL_PLUS },     { "-", WEIR_CESQL_MINUS },
		{ "*", WEIR_CESQL_STAR },           { "/", WEIR_CESQL_SLASH },    { "%", WEIR_CESQL_PERCENT },
	};

	for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
		size_t size = signs[i].text[1] ? 2 : 1;

		if (size > len || text[0] != signs[i].text[0] || (size == 2 && text[1] != signs[i].text[1]))
			continue;
		*taken = size;
		return signs[i].kind;
	}
	*taken = len;
	return WEIR_CESQL_BAD;
}

static struct weir_cesql_token read_string(const char *text, size_t len, size_t *taken)
{
	struct weir_cesql_token token = { .kind = WEIR_CESQL_STRING };
	size_t size = string_length(text, len);

	*taken = size ? size : len;
	token.text = (struct weir_buf){ text + 1, size ? size - 2 : len - 1 };
	if (!size)
		token.kind = WEIR_CESQL_BAD;
	return token;
}

struct weir_cesql_token weir_cesql_next(struct weir_cesql_lexer *lexer)
{
	const char *text = lexer->text.ptr;
	size_t len = lexer->text.len, taken = 0;
	struct weir_cesql_token token = { .kind = WEIR_CESQL_END };

	while (lexer->offset < len && is_blank(text[lexer->offset]))
		lexer->offset++;
	text += lexer->offset;
	len -= lexer->offset;
	if (!len) {
		token.offset = lexer->offset;
		return token;
	}
	if (*text == '\'' || *text == '"') {
		token = read_string(text, len, &taken);
	} else {
		while (taken < len && is_word(text[taken]))
			taken++;
		if (taken)
			token.kind = word_kind((struct weir_buf){ text, taken });
		else
			token.kind = sign_kind(text, len, &taken);
		token.text = (struct weir_buf){ text, taken };
	}
	token.offset = lexer->offset;
	lexer->offset += taken;
	return token;
}
