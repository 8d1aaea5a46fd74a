/* SPDX-License-Identifier: Apache-2.0 */
#include "filter/filter.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "filter/eval.h"
#include "filter/like.h"

int weir_filter_scratch_new(struct weir_filter_scratch **ret)
{
	*ret = weir_mem_alloc(sizeof **ret);
	return *ret ? WEIR_OK : WEIR_ENOMEM;
}

void weir_filter_scratch_free(struct weir_filter_scratch *scratch)
{
	weir_mem_free(scratch);
}

/* ---- values --------------------------------------------------------------- */

static struct weir_filter_value *push(struct weir_filter_eval *eval)
{
	return &eval->scratch->values[eval->depth++];
}

static void push_boolean(struct weir_filter_eval *eval, bool value)
{
	*push(eval) = (struct weir_filter_value){ .type = WEIR_FILTER_BOOLEAN, .number = value };
}

/* ---- attributes ------------------------------------------------------------ */

struct attribute {
	struct weir_buf text; /* ptr NULL: the event has no such attribute */
	uint32_t type;        /* enum weir_value_type */
};

static struct attribute find_extension(const weir_event *event, struct weir_buf name)
{
	const struct weir_extension *all;
	size_t count = weir_event_extensions(event, &all);

	for (size_t i = 0; i < count; i++) {
		if (weir_str_equal(all[i].name, name))
			return (struct attribute){ all[i].value, all[i].type };
	}
	return (struct attribute){ { NULL, 0 }, WEIR_VALUE_STRING };
}

static struct attribute attribute_of(const struct weir_filter_eval *eval, const struct weir_filter_step *step)
{
	const struct weir_filter_name *name = &eval->filter->names[step->name];

	if (name->attribute == WEIR_ATTR_COUNT)
		return find_extension(eval->event, name->name);
	return (struct attribute){ weir_event_attribute(eval->event, name->attribute), WEIR_VALUE_STRING };
}

/* ---- dialects -------------------------------------------------------------- */

static bool ends(struct weir_buf text, struct weir_buf end)
{
	return text.len >= end.len && memcmp((const char *)text.ptr + (text.len - end.len), end.ptr, end.len) == 0;
}

static bool matches(const struct weir_filter_eval *eval, const struct weir_filter_step *step)
{
	struct weir_buf text = attribute_of(eval, step).text, wanted = eval->filter->texts[step->operand];

	if (!text.ptr)
		return false;
	if (step->op == WEIR_OP_EXACT)
		return weir_str_equal(text, wanted);
	return step->op == WEIR_OP_PREFIX ? weir_str_starts(text, wanted) : ends(text, wanted);
}

/* ---- faults ------------------------------------------------------------------ */

static struct weir_filter_value zero_of(enum weir_filter_type type)
{
	return (struct weir_filter_value){ .type = type, .text = { "", 0 } };
}

/* The expression is given up: it has the zero value of its type. */
static void fail(struct weir_filter_eval *eval, enum weir_filter_fault fault)
{
	const struct weir_filter_step *begin = &eval->filter->steps[eval->begin];

	if (!eval->first_fault)
		eval->first_fault = fault;
	eval->depth = eval->base;
	*push(eval) = zero_of((enum weir_filter_type)begin->count);
	eval->next = begin->operand;
}

/* False: it failed. */
static bool cast(struct weir_filter_eval *eval, struct weir_filter_value *value, enum weir_filter_type type)
{
	enum weir_filter_fault fault = value->type == type ? WEIR_FILTER_NO_FAULT : weir_filter_cast(eval, value, type);

	if (fault)
		fail(eval, fault);
	return !fault;
}

/* ---- operands ---------------------------------------------------------------- */

static void push_attribute(struct weir_filter_eval *eval, const struct weir_filter_step *step)
{
	struct attribute attribute = attribute_of(eval, step);
	struct weir_filter_value *value;

	if (!attribute.text.ptr) {
		fail(eval, WEIR_FILTER_MISSING);
		return;
	}
	value = push(eval);
	*value = (struct weir_filter_value){ .type = WEIR_FILTER_STRING, .text = attribute.text };
	if (attribute.type == WEIR_VALUE_INTEGER)
		cast(eval, value, WEIR_FILTER_INTEGER);
	else if (attribute.type == WEIR_VALUE_BOOLEAN)
		cast(eval, value, WEIR_FILTER_BOOLEAN);
}

static void push_constant(struct weir_filter_eval *eval, const struct weir_filter_step *step)
{
	struct weir_filter_value value = { .type = WEIR_FILTER_BOOLEAN, .number = step->op == WEIR_OP_TRUE };

	if (step->op == WEIR_OP_INTEGER) {
		value.type = WEIR_FILTER_INTEGER;
		value.number = (int32_t)step->operand;
	} else if (step->op == WEIR_OP_STRING) {
		value.type = WEIR_FILTER_STRING;
		value.text = eval->filter->texts[step->operand];
	}
	*push(eval) = value;
}

/* ---- numbers ------------------------------------------------------------------ */

/* False: by zero, or the result has more than 32 bits. */
static bool calculate(uint8_t op, int64_t x, int64_t y, int32_t *ret)
{
	int64_t result;

	if (!y && (op == WEIR_OP_DIVIDE || op == WEIR_OP_REMAINDER))
		return false;
	if (op == WEIR_OP_MULTIPLY)
		result = x * y;
	else if (op == WEIR_OP_DIVIDE)
		result = x / y;
	else if (op == WEIR_OP_REMAINDER)
		result = x % y;
	else
		result = op == WEIR_OP_ADD ? x + y : x - y;
	*ret = (int32_t)result;
	return result >= INT32_MIN && result <= INT32_MAX;
}

static void run_number(struct weir_filter_eval *eval, uint8_t op, struct weir_filter_value *x,
		       struct weir_filter_value *y)
{
	int32_t result;

	if (!cast(eval, x, WEIR_FILTER_INTEGER) || !cast(eval, y, WEIR_FILTER_INTEGER))
		return;
	if (!calculate(op, x->number, y->number, &result)) {
		fail(eval, WEIR_FILTER_MATH);
		return;
	}
	x->number = result;
	eval->depth--;
}

static void run_negate(struct weir_filter_eval *eval, struct weir_filter_value *value)
{
	if (!cast(eval, value, WEIR_FILTER_INTEGER))
		return;
	if (value->number == INT32_MIN)
		fail(eval, WEIR_FILTER_MATH);
	else
		value->number = -value->number;
}

/* ---- comparisons --------------------------------------------------------------- */

static bool equal(const struct weir_filter_value *x, const struct weir_filter_value *y)
{
	return x->type == WEIR_FILTER_STRING ? weir_str_equal(x->text, y->text) : x->number == y->number;
}

static bool compare(uint8_t op, int32_t x, int32_t y)
{
	switch (op) {
	case WEIR_OP_LESS:
		return x < y;
	case WEIR_OP_LESS_EQUAL:
		return x <= y;
	case WEIR_OP_GREATER:
		return x > y;
	default:
		return x >= y;
	}
}

/* The right side decides which types are compared; less and greater are of numbers only. */
static void run_comparison(struct weir_filter_eval *eval, uint8_t op, struct weir_filter_value *x,
			   struct weir_filter_value *y)
{
	bool equality = op == WEIR_OP_EQUAL || op == WEIR_OP_UNEQUAL, result;
	enum weir_filter_type type = equality ? y->type : WEIR_FILTER_INTEGER;

	if (!cast(eval, x, type) || !cast(eval, y, type))
		return;
	if (equality)
		result = equal(x, y) == (op == WEIR_OP_EQUAL);
	else
		result = compare(op, x->number, y->number);
	*x = (struct weir_filter_value){ .type = WEIR_FILTER_BOOLEAN, .number = result };
	eval->depth--;
}

static void run_xor(struct weir_filter_eval *eval, struct weir_filter_value *x, struct weir_filter_value *y)
{
	if (!cast(eval, x, WEIR_FILTER_BOOLEAN) || !cast(eval, y, WEIR_FILTER_BOOLEAN))
		return;
	x->number ^= y->number;
	eval->depth--;
}

/* An element of a set is on top; the value in question, whose type counts, is below. */
static void run_element(struct weir_filter_eval *eval, const struct weir_filter_step *step)
{
	struct weir_filter_value *element = &eval->scratch->values[eval->depth - 1], *value = element - 1;

	if (!cast(eval, element, value->type))
		return;
	eval->depth--;
	if (!equal(element, value))
		return;
	*value = (struct weir_filter_value){ .type = WEIR_FILTER_BOOLEAN, .number = 1 };
	eval->next = step->operand;
}

static void run_like(struct weir_filter_eval *eval, const struct weir_filter_step *step,
		     struct weir_filter_value *value)
{
	struct weir_buf pattern = eval->filter->texts[step->operand];
	bool matched;

	if (!cast(eval, value, WEIR_FILTER_STRING))
		return;
	if (step->count == WEIR_LIKE_EXACT)
		matched = weir_str_equal(value->text, pattern);
	else if (step->count == WEIR_LIKE_PREFIX)
		matched = weir_str_starts(value->text, pattern);
	else if (step->count == WEIR_LIKE_SUFFIX)
		matched = ends(value->text, pattern);
	else
		matched = weir_like_match(value->text, pattern, &eval->budget);
	if (!eval->budget)
		fail(eval, WEIR_FILTER_BUDGET);
	else
		*value = (struct weir_filter_value){ .type = WEIR_FILTER_BOOLEAN, .number = matched };
}

/* ---- functions ------------------------------------------------------------------ */

static void run_call(struct weir_filter_eval *eval, const struct weir_filter_step *step)
{
	const struct weir_filter_function *function = &weir_filter_functions[step->operand];
	struct weir_filter_value *arguments = &eval->scratch->values[eval->depth - step->count];
	enum weir_filter_fault fault;

	for (size_t i = 0; i < step->count; i++) {
		size_t parameter = i < WEIR_FILTER_PARAMETERS ? i : WEIR_FILTER_PARAMETERS - 1;

		if (!cast(eval, &arguments[i], (enum weir_filter_type)function->parameters[parameter]))
			return;
	}
	fault = function->call(eval, arguments, step->count);
	if (fault)
		fail(eval, fault);
	else
		eval->depth = eval->depth - step->count + 1;
}

/* ---- steps ------------------------------------------------------------------ */

static void jump_if(struct weir_filter_eval *eval, const struct weir_filter_step *step, bool wanted)
{
	struct weir_filter_value *value = &eval->scratch->values[eval->depth - 1];

	if (!cast(eval, value, WEIR_FILTER_BOOLEAN))
		return;
	if ((value->number != 0) == wanted)
		eval->next = step->operand;
	else
		eval->depth--;
}

static void begin(struct weir_filter_eval *eval)
{
	eval->begin = eval->next - 1;
	eval->base = eval->depth;
}

static void end(struct weir_filter_eval *eval, struct weir_filter_value *value)
{
	bool passes = value->type == WEIR_FILTER_BOOLEAN && value->number;

	if (!eval->raw)
		*value = (struct weir_filter_value){ .type = WEIR_FILTER_BOOLEAN, .number = passes };
}

static void run_step(struct weir_filter_eval *eval, const struct weir_filter_step *step)
{
	/* Below the bottom where a step takes none; then it is not looked at. */
	struct weir_filter_value *top = eval->scratch->values + (eval->depth ? eval->depth - 1 : 0);
	struct weir_filter_value *below = eval->scratch->values + (eval->depth > 1 ? eval->depth - 2 : 0);

	switch ((enum weir_filter_op)step->op) {
	case WEIR_OP_EXACT:
	case WEIR_OP_PREFIX:
	case WEIR_OP_SUFFIX:
		push_boolean(eval, matches(eval, step));
		break;
	case WEIR_OP_AND:
		jump_if(eval, step, false);
		break;
	case WEIR_OP_OR:
		jump_if(eval, step, true);
		break;
	case WEIR_OP_NOT:
		if (cast(eval, top, WEIR_FILTER_BOOLEAN))
			top->number = !top->number;
		break;
	case WEIR_OP_BOOLEAN:
		cast(eval, top, WEIR_FILTER_BOOLEAN);
		break;
	case WEIR_OP_BEGIN:
		begin(eval);
		break;
	case WEIR_OP_END:
		end(eval, top);
		break;
	case WEIR_OP_TRUE:
	case WEIR_OP_FALSE:
	case WEIR_OP_INTEGER:
	case WEIR_OP_STRING:
		push_constant(eval, step);
		break;
	case WEIR_OP_ATTRIBUTE:
		push_attribute(eval, step);
		break;
	case WEIR_OP_EXISTS:
		push_boolean(eval, attribute_of(eval, step).text.ptr != NULL);
		break;
	case WEIR_OP_NEGATE:
		run_negate(eval, top);
		break;
	case WEIR_OP_MULTIPLY:
	case WEIR_OP_DIVIDE:
	case WEIR_OP_REMAINDER:
	case WEIR_OP_ADD:
	case WEIR_OP_SUBTRACT:
		run_number(eval, step->op, below, top);
		break;
	case WEIR_OP_EQUAL:
	case WEIR_OP_UNEQUAL:
	case WEIR_OP_LESS:
	case WEIR_OP_LESS_EQUAL:
	case WEIR_OP_GREATER:
	case WEIR_OP_GREATER_EQUAL:
		run_comparison(eval, step->op, below, top);
		break;
	case WEIR_OP_XOR:
		run_xor(eval, below, top);
		break;
	case WEIR_OP_LIKE:
		run_like(eval, step, top);
		break;
	case WEIR_OP_ELEMENT:
		run_element(eval, step);
		break;
	case WEIR_OP_SET:
		*top = (struct weir_filter_value){ .type = WEIR_FILTER_BOOLEAN };
		break;
	case WEIR_OP_CALL:
		run_call(eval, step);
		break;
	}
}

static void run(struct weir_filter_eval *eval)
{
	while (eval->next < eval->filter->step_count)
		run_step(eval, &eval->filter->steps[eval->next++]);
}

bool weir_filter_match(const struct weir_filter *filter, const weir_event *event, struct weir_filter_scratch *scratch,
		       enum weir_filter_fault *fault)
{
	struct weir_filter_eval eval = {
		.filter = filter, .event = event, .scratch = scratch, .budget = WEIR_FILTER_BUDGET_BYTES
	};

	run(&eval);
	*fault = eval.first_fault;
	return scratch->values[0].number != 0;
}

enum weir_filter_fault weir_filter_value(const struct weir_filter *filter, const weir_event *event,
					 struct weir_filter_scratch *scratch, struct weir_filter_value *ret)
{
	struct weir_filter_eval eval = {
		.filter = filter, .event = event, .scratch = scratch, .budget = WEIR_FILTER_BUDGET_BYTES, .raw = true
	};

	run(&eval);
	*ret = scratch->values[0];
	return eval.first_fault;
}
