/* SPDX-License-Identifier: Apache-2.0 */
#include "filter/filter.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "filter/eval.h"

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

/* ---- steps ------------------------------------------------------------------ */

static void jump_if(struct weir_filter_eval *eval, const struct weir_filter_step *step, bool wanted)
{
	struct weir_filter_value *value = &eval->scratch->values[eval->depth - 1];

	if ((value->number != 0) == wanted)
		eval->next = step->operand;
	else
		eval->depth--;
}

static void run_step(struct weir_filter_eval *eval, const struct weir_filter_step *step)
{
	struct weir_filter_value *top = &eval->scratch->values[eval->depth - 1];

	switch (step->op) {
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
		top->number = !top->number;
		break;
	default:
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
	struct weir_filter_eval eval = { .filter = filter, .event = event, .scratch = scratch };

	run(&eval);
	*fault = eval.first_fault;
	return scratch->values[0].number != 0;
}
