/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter/cesql: compiles CESQL 1.0.
 *
 * An operator-precedence parser: what waits for its right side, and what is
 * open, is on a stack with a bound; steps are emitted as soon as their operands
 * are. It never recurses.
 */
#include <string.h>

#include "base/near.h"
#include "filter/cesql_lex.h"
#include "filter/eval.h"
#include "filter/like.h"

enum rank { RANK_LOGIC = 1, RANK_COMPARISON, RANK_SUM, RANK_PRODUCT, RANK_TEST, RANK_UNARY };

enum frame_kind {
	FRAME_OPERATOR,
	FRAME_GROUP, /* "(" */
	FRAME_CALL,  /* "NAME(" */
	FRAME_SET,   /* "IN (" */
};

struct frame {
	enum frame_kind kind;
	uint8_t op; /* OPERATOR: the step, when its right side is there */
	enum rank rank;
	bool negated;      /* SET: NOT IN */
	uint32_t function; /* CALL */
	uint32_t count;    /* CALL: arguments */
	uint32_t jumps;    /* AND, OR, SET */
	size_t offset;
};

struct parser {
	struct weir_filter_builder *builder;
	struct weir_cesql_lexer lexer;
	struct weir_cesql_token token; /* the next one */
	struct frame frames[WEIR_FILTER_DEPTH_MAX];
	size_t frame_count;
	uint32_t first_depth;
	unsigned doubts;
	int code;
	struct weir_error *err;
};

/* ---- mistakes ------------------------------------------------------------- */

static size_t character_of(struct weir_buf text, size_t offset)
{
	const unsigned char *bytes = text.ptr;
	size_t number = 1;

	for (size_t i = 0; i < offset && i < text.len; i++)
		number += (bytes[i] & 0xc0) != 0x80;
	return number;
}

__attribute__((format(printf, 4, 5))) static void refuse_at(struct parser *parser, int code, size_t offset,
							    const char *format, ...)
{
	char text[256];
	va_list args;

	if (parser->code)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	parser->code = weir_filter_refuse(parser->builder, parser->err, code, "at character %zu: %s",
					  character_of(parser->lexer.text, offset), text);
}

/* The text of one in quotes begins behind the quote. */
static bool is_quoted(const struct parser *parser, const struct weir_cesql_token *token)
{
	return token->text.ptr == (const char *)parser->lexer.text.ptr + token->offset + 1;
}

/* What stands there, for people. Names are letters and digits, so that they may be shown. */
static void expected(struct parser *parser, const char *what)
{
	const struct weir_cesql_token *token = &parser->token;
	const char *found = token->text.ptr;
	int len = token->text.len > 40 ? 40 : (int)token->text.len;

	if (token->kind == WEIR_CESQL_END)
		refuse_at(parser, WEIR_EINVAL, token->offset, "expected %s, but the expression ends", what);
	else if (token->kind == WEIR_CESQL_STRING)
		refuse_at(parser, WEIR_EINVAL, token->offset, "expected %s, found a text in quotes", what);
	else if (token->kind == WEIR_CESQL_BAD && is_quoted(parser, token))
		refuse_at(parser, WEIR_EINVAL, token->offset, "the text in quotes that begins here has no end");
	else if (token->kind == WEIR_CESQL_BAD)
		refuse_at(parser, WEIR_EINVAL, token->offset, "expected %s, found a character that is no part of CESQL",
			  what);
	else
		refuse_at(parser, WEIR_EINVAL, token->offset, "expected %s, found \"%.*s\"", what, len, found);
}

static void advance(struct parser *parser)
{
	parser->token = weir_cesql_next(&parser->lexer);
}

static bool is_next(const struct parser *parser, enum weir_cesql_token_kind kind)
{
	return parser->token.kind == kind;
}

/* ---- steps ---------------------------------------------------------------- */

static uint32_t emit(struct parser *parser, uint8_t op, uint32_t operand, uint32_t pops, uint32_t pushes)
{
	return weir_filter_emit(parser->builder, (struct weir_filter_step){ .op = op, .operand = operand }, pops,
				pushes);
}

/* A jump that joins a chain. */
static void emit_jump(struct parser *parser, uint8_t op, struct frame *frame)
{
	uint32_t at = emit(parser, op, frame->jumps, 1, 0);

	if (at != WEIR_FILTER_NO_STEP)
		frame->jumps = at;
}

static struct frame *push(struct parser *parser, struct frame frame)
{
	if (parser->frame_count == WEIR_FILTER_DEPTH_MAX ||
	    parser->builder->depth - parser->first_depth > WEIR_FILTER_DEPTH_MAX) {
		refuse_at(parser, WEIR_ETOOBIG, frame.offset, "the expression is nested too deeply");
		return NULL;
	}
	frame.jumps = WEIR_FILTER_NO_STEP;
	parser->frames[parser->frame_count] = frame;
	return &parser->frames[parser->frame_count++];
}

static struct frame *top(struct parser *parser)
{
	return parser->frame_count ? &parser->frames[parser->frame_count - 1] : NULL;
}

/* An operator has its right side. */
static void apply(struct parser *parser, const struct frame *frame)
{
	if (frame->op == WEIR_OP_AND || frame->op == WEIR_OP_OR) {
		emit(parser, WEIR_OP_BOOLEAN, 0, 1, 1);
		weir_filter_patch(parser->builder, frame->jumps);
	} else {
		emit(parser, frame->op, 0, frame->rank == RANK_UNARY ? 1 : 2, 1);
	}
}

/* Applies what waits and is not lower in rank. */
static void reduce(struct parser *parser, enum rank rank)
{
	struct frame *frame;

	while ((frame = top(parser)) && frame->kind == FRAME_OPERATOR && frame->rank >= rank) {
		if (frame->op == WEIR_OP_NOT && rank > RANK_LOGIC)
			parser->doubts |= WEIR_FILTER_DOUBT_NOT;
		parser->frame_count--;
		apply(parser, frame);
	}
}

/* ---- operands: each returns true if the operand is whole ------------------- */

static struct weir_buf unescape(struct weir_buf text, char quote, char *out)
{
	const char *bytes = text.ptr;
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (bytes[i] == '\\' && i + 1 < text.len && bytes[i + 1] == quote)
			i++;
		else if (bytes[i] == '\\' && i + 1 < text.len && bytes[i + 1] == '\\')
			out[len++] = bytes[i++]; /* both stay, and the second begins no escape */
		out[len++] = bytes[i];
	}
	return (struct weir_buf){ out, len };
}

/* The text of the token, in the builder's arena. ptr NULL: no memory. */
static struct weir_buf string_of(struct parser *parser)
{
	struct weir_buf text = parser->token.text;
	char *out = weir_arena_alloc(parser->builder->arena, text.len + 1);

	parser->builder->no_memory |= !out;
	return out ? unescape(text, ((const char *)text.ptr)[-1], out) : (struct weir_buf){ "", 0 };
}

static void read_integer(struct parser *parser, size_t offset, bool negative)
{
	uint64_t number;
	bool fits = weir_str_to_uint(parser->token.text, &number) && number <= (uint64_t)INT32_MAX + negative;

	if (!fits)
		refuse_at(parser, WEIR_EINVAL, offset, "an integer must be between -2147483648 and 2147483647");
	else
		emit(parser, WEIR_OP_INTEGER, (uint32_t)(negative ? 0 - number : number), 0, 1);
	advance(parser);
}

/* A name in small letters. False: refused. */
static bool read_name(struct parser *parser, struct weir_cesql_token token, uint16_t *ret)
{
	const char *bytes = token.text.ptr, *wrong;
	char small[65];
	size_t len = token.text.len < sizeof small ? token.text.len : sizeof small;

	for (size_t i = 0; i < len; i++)
		small[i] = (char)(bytes[i] >= 'A' && bytes[i] <= 'Z' ? bytes[i] + 32 : bytes[i]);
	wrong = weir_filter_check_name((struct weir_buf){ small, len });
	if (wrong)
		refuse_at(parser, WEIR_EINVAL, token.offset, "\"%.*s\" %s", (int)(len < 40 ? len : 40), small, wrong);
	else
		*ret = weir_filter_name_of(parser->builder, (struct weir_buf){ small, len });
	return !wrong;
}

static void emit_name(struct parser *parser, uint8_t op, struct weir_cesql_token token)
{
	struct weir_filter_step step = { .op = op };

	if (read_name(parser, token, &step.name))
		weir_filter_emit(parser->builder, step, 0, 1);
}

static void read_exists(struct parser *parser)
{
	advance(parser);
	if (!is_next(parser, WEIR_CESQL_NAME) && !is_next(parser, WEIR_CESQL_INTEGER))
		expected(parser, "the name of an attribute");
	else
		emit_name(parser, WEIR_OP_EXISTS, parser->token);
	advance(parser);
}

static bool find_function(struct parser *parser, struct weir_cesql_token name, uint32_t *ret)
{
	struct weir_near near = weir_near_init(name.text);
	int len = name.text.len > 40 ? 40 : (int)name.text.len;

	for (*ret = 0; *ret < weir_filter_function_count; ++*ret) {
		const char *known = weir_filter_functions[*ret].name;

		if (weir_str_equal_nocase(name.text, weir_str(known)))
			return true;
		weir_near_offer(&near, known);
	}
	refuse_at(parser, WEIR_EINVAL, name.offset, "there is no function \"%.*s\"%s%s%s", len,
		  (const char *)name.text.ptr, near.best ? "; did you mean \"" : "", near.best ? near.best : "",
		  near.best ? "\"?" : "");
	return false;
}

static const char *arity_of(const struct weir_filter_function *function)
{
	if (function->most == UINT8_MAX)
		return "1 argument or more"; /* the one that takes none can have no wrong number */
	if (function->most != function->least)
		return "2 or 3 arguments";
	return function->most == 1 ? "1 argument" : "2 arguments";
}

static void end_call(struct parser *parser, const struct frame *frame)
{
	const struct weir_filter_function *function = &weir_filter_functions[frame->function];
	struct weir_filter_step step = { .op = WEIR_OP_CALL,
					 .count = (uint8_t)frame->count,
					 .operand = frame->function };

	if (frame->count < function->least || frame->count > function->most)
		refuse_at(parser, WEIR_EINVAL, frame->offset, "%s takes %s, not %u", function->name, arity_of(function),
			  frame->count);
	else
		weir_filter_emit(parser->builder, step, frame->count, 1);
}

/* "NAME(": true if it is closed at once. */
static bool begin_call(struct parser *parser, struct weir_cesql_token name)
{
	struct frame frame = { .kind = FRAME_CALL, .offset = name.offset };

	advance(parser);
	if (!find_function(parser, name, &frame.function))
		return false;
	if (!is_next(parser, WEIR_CESQL_CLOSE)) {
		push(parser, frame);
		return false;
	}
	advance(parser);
	end_call(parser, &frame);
	return true;
}

static bool read_word(struct parser *parser)
{
	struct weir_cesql_token name = parser->token;

	advance(parser);
	if (is_next(parser, WEIR_CESQL_OPEN))
		return begin_call(parser, name);
	emit_name(parser, WEIR_OP_ATTRIBUTE, name);
	return true;
}

static void begin_unary(struct parser *parser, uint8_t op)
{
	push(parser, (struct frame){ .op = op, .rank = RANK_UNARY, .offset = parser->token.offset });
	advance(parser);
}

/* A sign right before digits is of the number. */
static bool read_sign(struct parser *parser)
{
	struct weir_cesql_token sign = parser->token;
	struct weir_cesql_lexer ahead = parser->lexer;
	struct weir_cesql_token digits = weir_cesql_next(&ahead);
	bool negative = sign.kind == WEIR_CESQL_MINUS;

	if (digits.kind == WEIR_CESQL_INTEGER && digits.offset == sign.offset + 1) {
		advance(parser);
		read_integer(parser, sign.offset, negative);
		return true;
	}
	if (negative)
		begin_unary(parser, WEIR_OP_NEGATE);
	else
		expected(parser, "a value");
	return false;
}

static bool read_operand(struct parser *parser)
{
	switch (parser->token.kind) {
	case WEIR_CESQL_NOT:
		begin_unary(parser, WEIR_OP_NOT);
		return false;
	case WEIR_CESQL_MINUS:
	case WEIR_CESQL_PLUS:
		return read_sign(parser);
	case WEIR_CESQL_OPEN:
		push(parser, (struct frame){ .kind = FRAME_GROUP, .offset = parser->token.offset });
		advance(parser);
		return false;
	case WEIR_CESQL_EXISTS:
		read_exists(parser);
		return true;
	case WEIR_CESQL_TRUE:
	case WEIR_CESQL_FALSE:
		emit(parser, is_next(parser, WEIR_CESQL_TRUE) ? WEIR_OP_TRUE : WEIR_OP_FALSE, 0, 0, 1);
		advance(parser);
		return true;
	case WEIR_CESQL_INTEGER:
		read_integer(parser, parser->token.offset, false);
		return true;
	case WEIR_CESQL_STRING:
		emit(parser, WEIR_OP_STRING, weir_filter_text_of(parser->builder, string_of(parser)), 0, 1);
		advance(parser);
		return true;
	case WEIR_CESQL_NAME:
		return read_word(parser);
	default:
		expected(parser, "a value");
		return false;
	}
}

/* ---- operators: each returns true if an operand must follow ------------------ */

static bool binary(enum weir_cesql_token_kind kind, struct frame *ret)
{
	static const struct {
		uint8_t op;
		enum rank rank;
	} table[] = {
		[WEIR_CESQL_PLUS] = { WEIR_OP_ADD, RANK_SUM },
		[WEIR_CESQL_MINUS] = { WEIR_OP_SUBTRACT, RANK_SUM },
		[WEIR_CESQL_STAR] = { WEIR_OP_MULTIPLY, RANK_PRODUCT },
		[WEIR_CESQL_SLASH] = { WEIR_OP_DIVIDE, RANK_PRODUCT },
		[WEIR_CESQL_PERCENT] = { WEIR_OP_REMAINDER, RANK_PRODUCT },
		[WEIR_CESQL_EQUAL] = { WEIR_OP_EQUAL, RANK_COMPARISON },
		[WEIR_CESQL_UNEQUAL] = { WEIR_OP_UNEQUAL, RANK_COMPARISON },
		[WEIR_CESQL_LESS] = { WEIR_OP_LESS, RANK_COMPARISON },
		[WEIR_CESQL_LESS_EQUAL] = { WEIR_OP_LESS_EQUAL, RANK_COMPARISON },
		[WEIR_CESQL_GREATER] = { WEIR_OP_GREATER, RANK_COMPARISON },
		[WEIR_CESQL_GREATER_EQUAL] = { WEIR_OP_GREATER_EQUAL, RANK_COMPARISON },
		[WEIR_CESQL_AND] = { WEIR_OP_AND, RANK_LOGIC },
		[WEIR_CESQL_OR] = { WEIR_OP_OR, RANK_LOGIC },
		[WEIR_CESQL_XOR] = { WEIR_OP_XOR, RANK_LOGIC },
	};

	if ((size_t)kind >= sizeof table / sizeof table[0] || !table[kind].rank)
		return false;
	ret->op = table[kind].op;
	ret->rank = table[kind].rank;
	return true;
}

static void begin_binary(struct parser *parser, struct frame frame)
{
	const struct frame *before = top(parser);

	while (before && before > parser->frames && before->kind == FRAME_OPERATOR && before->rank > RANK_LOGIC)
		before--;
	if (before && before->kind == FRAME_OPERATOR && before->rank == RANK_LOGIC && frame.rank == RANK_LOGIC &&
	    before->op != frame.op)
		parser->doubts |= WEIR_FILTER_DOUBT_MIXED;
	reduce(parser, frame.rank);
	frame.offset = parser->token.offset;
	advance(parser);
	if (push(parser, frame) && (frame.op == WEIR_OP_AND || frame.op == WEIR_OP_OR))
		emit_jump(parser, frame.op, top(parser));
}

static enum weir_filter_like simplify(struct weir_buf *pattern)
{
	char *bytes = (char *)(uintptr_t)pattern->ptr;
	bool first = pattern->len && (unsigned char)bytes[0] == WEIR_LIKE_ANY;
	bool last = pattern->len > 1 && (unsigned char)bytes[pattern->len - 1] == WEIR_LIKE_ANY;
	size_t from = first, to = pattern->len - last;

	for (size_t i = from; i < to; i++) {
		if ((unsigned char)bytes[i] >= WEIR_LIKE_ONE)
			return WEIR_LIKE_SEARCH;
	}
	if (first && last)
		return WEIR_LIKE_SEARCH;
	*pattern = (struct weir_buf){ bytes + from, to - from };
	return first ? WEIR_LIKE_SUFFIX : last ? WEIR_LIKE_PREFIX : WEIR_LIKE_EXACT;
}

static void read_like(struct parser *parser, bool negated)
{
	struct weir_filter_step step = { .op = WEIR_OP_LIKE };
	struct weir_buf pattern;

	reduce(parser, RANK_TEST);
	advance(parser);
	if (!is_next(parser, WEIR_CESQL_STRING)) {
		expected(parser, "a pattern in quotes");
		return;
	}
	pattern = string_of(parser);
	if (!parser->builder->no_memory)
		pattern.len = weir_like_compile((char *)(uintptr_t)pattern.ptr, pattern.len);
	step.count = (uint8_t)simplify(&pattern);
	step.operand = weir_filter_text_of(parser->builder, pattern);
	weir_filter_emit(parser->builder, step, 1, 1);
	if (negated)
		emit(parser, WEIR_OP_NOT, 0, 1, 1);
	advance(parser);
}

static bool begin_set(struct parser *parser, bool negated)
{
	struct frame frame = { .kind = FRAME_SET, .negated = negated, .offset = parser->token.offset };

	reduce(parser, RANK_TEST);
	advance(parser);
	if (!is_next(parser, WEIR_CESQL_OPEN)) {
		expected(parser, "\"(\"");
		return false;
	}
	advance(parser);
	push(parser, frame);
	return true;
}

static bool read_test(struct parser *parser)
{
	bool negated = is_next(parser, WEIR_CESQL_NOT);

	if (negated)
		advance(parser);
	if (is_next(parser, WEIR_CESQL_IN))
		return begin_set(parser, negated);
	if (is_next(parser, WEIR_CESQL_LIKE))
		read_like(parser, negated);
	else
		expected(parser, "LIKE or IN");
	return false;
}

static void end_item(struct parser *parser, struct frame *frame)
{
	if (frame->kind == FRAME_SET)
		emit_jump(parser, WEIR_OP_ELEMENT, frame);
	else if (frame->kind == FRAME_CALL)
		frame->count++;
}

static bool next_item(struct parser *parser)
{
	struct frame *frame;

	reduce(parser, RANK_LOGIC);
	frame = top(parser);
	if (!frame || frame->kind == FRAME_GROUP) {
		expected(parser, frame ? "an operator or \")\"" : "an operator or the end");
		return false;
	}
	end_item(parser, frame);
	if (frame->kind == FRAME_CALL && frame->count == WEIR_FILTER_DEPTH_MAX)
		refuse_at(parser, WEIR_ETOOBIG, frame->offset, "there are too many arguments");
	advance(parser);
	return true;
}

static void close_frame(struct parser *parser)
{
	struct frame *frame;

	reduce(parser, RANK_LOGIC);
	frame = top(parser);
	if (!frame) {
		expected(parser, "an operator or the end");
		return;
	}
	end_item(parser, frame);
	parser->frame_count--;
	advance(parser);
	if (frame->kind == FRAME_CALL)
		end_call(parser, frame);
	if (frame->kind != FRAME_SET)
		return;
	emit(parser, WEIR_OP_SET, 0, 1, 1);
	weir_filter_patch(parser->builder, frame->jumps);
	if (frame->negated)
		emit(parser, WEIR_OP_NOT, 0, 1, 1);
}

static bool read_operator(struct parser *parser)
{
	struct frame frame = { .kind = FRAME_OPERATOR };

	if (binary(parser->token.kind, &frame)) {
		begin_binary(parser, frame);
		return true;
	}
	switch (parser->token.kind) {
	case WEIR_CESQL_NOT:
	case WEIR_CESQL_LIKE:
	case WEIR_CESQL_IN:
		return read_test(parser);
	case WEIR_CESQL_COMMA:
		return next_item(parser);
	case WEIR_CESQL_CLOSE:
		close_frame(parser);
		return false;
	default:
		expected(parser, top(parser) ? "an operator or \")\"" : "an operator or the end");
		return false;
	}
}

/* ---- the whole ------------------------------------------------------------------ */

static void parse(struct parser *parser)
{
	bool operand = true;

	advance(parser);
	while (!parser->code && !parser->builder->no_memory && (operand || !is_next(parser, WEIR_CESQL_END)))
		operand = operand ? !read_operand(parser) : read_operator(parser);
	if (parser->code)
		return;
	reduce(parser, RANK_LOGIC);
	if (top(parser))
		refuse_at(parser, WEIR_EINVAL, top(parser)->offset, "the parenthesis that begins here is not closed");
}

/* What the last step gives; an attribute may be of any type, so that it is taken as a boolean. */
static enum weir_filter_type type_of(const struct weir_filter_step *step)
{
	switch ((enum weir_filter_op)step->op) {
	case WEIR_OP_INTEGER:
	case WEIR_OP_NEGATE:
	case WEIR_OP_MULTIPLY:
	case WEIR_OP_DIVIDE:
	case WEIR_OP_REMAINDER:
	case WEIR_OP_ADD:
	case WEIR_OP_SUBTRACT:
		return WEIR_FILTER_INTEGER;
	case WEIR_OP_STRING:
		return WEIR_FILTER_STRING;
	case WEIR_OP_CALL:
		return (enum weir_filter_type)weir_filter_functions[step->operand].result;
	default:
		return WEIR_FILTER_BOOLEAN;
	}
}

static void end_expression(struct parser *parser, uint32_t begin, bool any_type)
{
	struct weir_filter_builder *builder = parser->builder;
	enum weir_filter_type type;

	if (parser->code || builder->no_memory)
		return;
	if (builder->step_count > WEIR_FILTER_STEPS_MAX || builder->deep) {
		refuse_at(parser, WEIR_ETOOBIG, parser->lexer.offset, "the expression is too large");
		return;
	}
	type = type_of(&builder->steps[builder->step_count - 1]);
	builder->steps[begin].count = (uint8_t)type;
	builder->steps[begin].operand = (uint32_t)builder->step_count;
	emit(parser, WEIR_OP_END, 0, 1, 1);
	if (type != WEIR_FILTER_BOOLEAN && !any_type)
		refuse_at(parser, WEIR_EINVAL, 0, "the expression gives %s; a filter must give true or false",
			  type == WEIR_FILTER_INTEGER ? "an integer" : "a text");
}

static int check_text(struct weir_filter_builder *builder, struct weir_buf text, struct weir_error *err)
{
	if (text.len > WEIR_FILTER_EXPRESSION_BYTES)
		return weir_filter_refuse(builder, err, WEIR_ETOOBIG, "is too long; allowed: 8192 bytes");
	if (!weir_str_is_utf8(text))
		return weir_filter_refuse(builder, err, WEIR_EINVAL, "is not UTF-8");
	return WEIR_OK;
}

int weir_filter_add_expression(struct weir_filter_builder *builder, struct weir_buf expression, bool any_type,
			       unsigned *doubts, struct weir_error *err)
{
	struct parser parser = { .builder = builder, .lexer = { expression, 0 }, .err = err };
	int code = check_text(builder, expression, err);
	uint32_t begin;

	*doubts = 0;
	if (code)
		return code;
	weir_filter_member(builder);
	parser.first_depth = builder->depth;
	begin = emit(&parser, WEIR_OP_BEGIN, 0, 0, 0);
	parse(&parser);
	end_expression(&parser, begin, any_type);
	*doubts = parser.doubts;
	return builder->no_memory ? weir_fail(err, WEIR_ENOMEM, "out of memory for a filter") : parser.code;
}

int weir_filter_add_cesql(struct weir_filter_builder *builder, struct weir_buf expression, unsigned *doubts,
			  struct weir_error *err)
{
	return weir_filter_add_expression(builder, expression, false, doubts, err);
}
