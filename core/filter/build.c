/* SPDX-License-Identifier: Apache-2.0 */
#include "filter/build.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "filter/program.h"

enum { NAME_BYTES_MAX = 64, NAMES_MAX = UINT16_MAX, FIRST_CAPACITY = 16 };

int weir_filter_builder_new(struct weir_arena *arena, struct weir_filter_builder **ret)
{
	struct weir_filter_builder *builder = weir_mem_zalloc(1, sizeof *builder);

	if (!builder)
		return WEIR_ENOMEM;
	builder->arena = arena;
	builder->groups[0].jumps = WEIR_FILTER_NO_STEP;
	builder->group_count = 1;
	*ret = builder;
	return WEIR_OK;
}

void weir_filter_builder_free(struct weir_filter_builder *builder)
{
	if (!builder)
		return;
	weir_mem_free(builder->steps);
	weir_mem_free(builder->names);
	weir_mem_free(builder->texts);
	weir_mem_free(builder);
}

/* ---- tables --------------------------------------------------------------- */

/* Room for one more. */
static bool reserve(struct weir_filter_builder *builder, void *items, size_t count, size_t *capacity, size_t size)
{
	size_t wanted = *capacity ? *capacity * 2 : FIRST_CAPACITY;
	void *old, *grown;

	if (builder->no_memory)
		return false;
	if (count < *capacity)
		return true;
	memcpy(&old, items, sizeof old);
	grown = weir_mem_realloc(old, wanted * size);
	if (!grown) {
		builder->no_memory = true;
		return false;
	}
	memcpy(items, &grown, sizeof grown);
	*capacity = wanted;
	return true;
}

static enum weir_attribute attribute_of(struct weir_buf name)
{
	static const struct weir_buf names[WEIR_ATTR_COUNT] = {
		[WEIR_ATTR_SPECVERSION] = { "specversion", 11 },
		[WEIR_ATTR_ID] = { "id", 2 },
		[WEIR_ATTR_SOURCE] = { "source", 6 },
		[WEIR_ATTR_TYPE] = { "type", 4 },
		[WEIR_ATTR_SUBJECT] = { "subject", 7 },
		[WEIR_ATTR_TIME] = { "time", 4 },
		[WEIR_ATTR_DATACONTENTTYPE] = { "datacontenttype", 15 },
		[WEIR_ATTR_DATASCHEMA] = { "dataschema", 10 },
	};
	int i = 0;

	while (i < WEIR_ATTR_COUNT && !weir_str_equal(name, names[i]))
		i++;
	return (enum weir_attribute)i;
}

const char *weir_filter_check_name(struct weir_buf name)
{
	const unsigned char *bytes = name.ptr;

	if (!name.len || name.len > NAME_BYTES_MAX)
		return "is not the name of an attribute: it must have 1 to 64 letters and digits";
	for (size_t i = 0; i < name.len; i++) {
		if (!(bytes[i] >= 'a' && bytes[i] <= 'z') && !(bytes[i] >= '0' && bytes[i] <= '9'))
			return "is not the name of an attribute: allowed are a-z and 0-9";
	}
	if (weir_str_equal(name, WEIR_STR("data")))
		return "is the event's data, which cannot be filtered by: only attributes can";
	return NULL;
}

static struct weir_buf keep(struct weir_filter_builder *builder, struct weir_buf text)
{
	struct weir_buf kept = weir_arena_copy(builder->arena, text);

	builder->no_memory |= !kept.ptr;
	return kept;
}

uint16_t weir_filter_name_of(struct weir_filter_builder *builder, struct weir_buf name)
{
	for (size_t i = 0; i < builder->name_count; i++) {
		if (weir_str_equal(builder->names[i].name, name))
			return (uint16_t)i;
	}
	/* Names are no more than steps. */
	if (builder->name_count == NAMES_MAX ||
	    !reserve(builder, &builder->names, builder->name_count, &builder->name_capacity, sizeof *builder->names))
		return 0;
	builder->names[builder->name_count] = (struct weir_filter_name){ attribute_of(name), keep(builder, name) };
	return (uint16_t)builder->name_count++;
}

uint32_t weir_filter_text_of(struct weir_filter_builder *builder, struct weir_buf text)
{
	if (!reserve(builder, &builder->texts, builder->text_count, &builder->text_capacity, sizeof *builder->texts))
		return 0;
	builder->texts[builder->text_count] = keep(builder, text);
	return (uint32_t)builder->text_count++;
}

uint32_t weir_filter_emit(struct weir_filter_builder *builder, struct weir_filter_step step, uint32_t pops,
			  uint32_t pushes)
{
	/* One beyond the bound is kept, as a sign of it. */
	if (builder->step_count > WEIR_FILTER_STEPS_MAX ||
	    !reserve(builder, &builder->steps, builder->step_count, &builder->step_capacity, sizeof *builder->steps))
		return WEIR_FILTER_NO_STEP;
	builder->steps[builder->step_count] = step;
	builder->depth += pushes - pops;
	builder->deep |= builder->depth > WEIR_FILTER_DEPTH_MAX;
	return (uint32_t)builder->step_count++;
}

void weir_filter_patch(struct weir_filter_builder *builder, uint32_t jumps)
{
	while (jumps != WEIR_FILTER_NO_STEP) {
		struct weir_filter_step *step = &builder->steps[jumps];

		jumps = step->operand;
		step->operand = (uint32_t)builder->step_count;
	}
}

/* ---- groups --------------------------------------------------------------- */

void weir_filter_member(struct weir_filter_builder *builder)
{
	struct weir_filter_open_group *group = &builder->groups[builder->group_count - 1];
	struct weir_filter_step jump = { .op = group->kind == WEIR_FILTER_ANY ? WEIR_OP_OR : WEIR_OP_AND,
					 .operand = group->jumps };
	uint32_t at;

	if (!group->members++)
		return;
	at = weir_filter_emit(builder, jump, 1, 0);
	if (at != WEIR_FILTER_NO_STEP)
		group->jumps = at;
}

int weir_filter_refuse(struct weir_filter_builder *builder, struct weir_error *err, int code, const char *format, ...)
{
	char text[sizeof err->text];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	builder->failed = true;
	return weir_fail(err, code, "%s", text);
}

static int no_memory(struct weir_error *err)
{
	return weir_fail(err, WEIR_ENOMEM, "out of memory for a filter");
}

int weir_filter_begin(struct weir_filter_builder *builder, enum weir_filter_group group, struct weir_error *err)
{
	if (builder->group_count > WEIR_FILTER_NESTING_MAX)
		return weir_filter_refuse(builder, err, WEIR_ETOOBIG, "is nested too deeply; allowed: 32 levels");
	weir_filter_member(builder);
	builder->groups[builder->group_count++] =
	    (struct weir_filter_open_group){ .kind = group, .jumps = WEIR_FILTER_NO_STEP };
	return builder->no_memory ? no_memory(err) : WEIR_OK;
}

int weir_filter_end(struct weir_filter_builder *builder, struct weir_error *err)
{
	const struct weir_filter_open_group *group = &builder->groups[--builder->group_count];

	if (!group->members)
		return weir_filter_refuse(builder, err, WEIR_EINVAL, "must have at least one filter");
	weir_filter_patch(builder, group->jumps);
	if (group->kind != WEIR_FILTER_NOT)
		return WEIR_OK;
	if (group->members > 1)
		return weir_filter_refuse(builder, err, WEIR_EINVAL, "must have one filter only");
	weir_filter_emit(builder, (struct weir_filter_step){ .op = WEIR_OP_NOT }, 1, 1);
	return builder->no_memory ? no_memory(err) : WEIR_OK;
}

int weir_filter_add_match(struct weir_filter_builder *builder, enum weir_filter_dialect dialect, struct weir_buf name,
			  struct weir_buf value, struct weir_error *err)
{
	static const uint8_t ops[] = { WEIR_OP_EXACT, WEIR_OP_PREFIX, WEIR_OP_SUFFIX };
	const char *wrong = weir_filter_check_name(name);
	struct weir_filter_step step = { .op = ops[dialect] };

	if (!wrong && !value.len)
		wrong = "must not be empty";
	if (wrong)
		return weir_filter_refuse(builder, err, WEIR_EINVAL, "%s", wrong);
	weir_filter_member(builder);
	step.name = weir_filter_name_of(builder, name);
	step.operand = weir_filter_text_of(builder, value);
	weir_filter_emit(builder, step, 0, 1);
	return builder->no_memory ? no_memory(err) : WEIR_OK;
}

/* ---- the end -------------------------------------------------------------- */

static const void *keep_table(struct weir_filter_builder *builder, const void *items, size_t size)
{
	void *kept = weir_arena_alloc(builder->arena, size ? size : 1);

	if (!kept)
		builder->no_memory = true;
	else if (size)
		memcpy(kept, items, size);
	return kept;
}

static int check_whole(const struct weir_filter_builder *builder, struct weir_error *err)
{
	if (builder->failed)
		return weir_fail(err, WEIR_EINVAL, "the filter has a mistake");
	if (builder->no_memory)
		return no_memory(err);
	if (builder->step_count > WEIR_FILTER_STEPS_MAX || builder->deep)
		return weir_fail(err, WEIR_ETOOBIG, "is too large");
	return WEIR_OK;
}

int weir_filter_finish(struct weir_filter_builder *builder, const struct weir_filter **ret, struct weir_error *err)
{
	struct weir_filter *filter;
	int code = check_whole(builder, err);

	if (code)
		return code;
	weir_filter_patch(builder, builder->groups[0].jumps);
	filter = weir_arena_alloc(builder->arena, sizeof *filter);
	if (!filter)
		return no_memory(err);
	filter->steps = keep_table(builder, builder->steps, builder->step_count * sizeof *builder->steps);
	filter->step_count = builder->step_count;
	filter->names = keep_table(builder, builder->names, builder->name_count * sizeof *builder->names);
	filter->texts = keep_table(builder, builder->texts, builder->text_count * sizeof *builder->texts);
	if (builder->no_memory)
		return no_memory(err);
	*ret = filter;
	return WEIR_OK;
}
