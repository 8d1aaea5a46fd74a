/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CESQL expressions of any kind: compiled, and evaluated on an event, or refused
 * with a place. The same expression gives the same twice; as a filter it passes
 * exactly when its value is the boolean true; negated as a filter it passes
 * exactly when it did not before. And all of it is as the model says, which is
 * another implementation (fixtures/cesql_model.c).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <weir/event.h>

#include "base/str.h"
#include "filter/build.h"
#include "fixtures/cesql_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static weir_event *event;
static struct weir_filter_scratch *scratch;

static void check(bool right)
{
	if (!right)
		abort();
}

static void begin_all(void)
{
	static const char json[] = "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"https://example.com/orders\","
				   "\"type\":\"com.example.order.created\",\"a\":\"5\",\"b\":\"TRUE\",\"c\":7,"
				   "\"d\":true,\"e\":\"\xce\x91\xe2\x82\xac%_\\\\ x\"}";

	if (event)
		return;
	check(weir_event_new(&event) == WEIR_OK && weir_filter_scratch_new(&scratch) == WEIR_OK);
	check(weir_event_from_json(event, weir_str(json), NULL) == WEIR_OK);
}

/* NULL: refused. */
static const struct weir_filter *compile(struct weir_arena *arena, struct weir_buf text, bool negated, bool any_type,
					 int *ret)
{
	struct weir_filter_builder *builder;
	const struct weir_filter *filter = NULL;
	struct weir_error err = WEIR_ERROR_INIT;
	unsigned doubts;
	int code;

	check(weir_filter_builder_new(arena, &builder) == WEIR_OK);
	if (negated)
		check(weir_filter_begin(builder, WEIR_FILTER_NOT, NULL) == WEIR_OK);
	code = weir_filter_add_expression(builder, text, any_type, &doubts, &err);
	check(code == WEIR_OK || ((code == WEIR_EINVAL || code == WEIR_ETOOBIG) && err.text[0]));
	if (negated && !code)
		check(weir_filter_end(builder, NULL) == WEIR_OK);
	check((weir_filter_finish(builder, &filter, NULL) == WEIR_OK) == (code == WEIR_OK));
	weir_filter_builder_free(builder);
	*ret = code;
	return filter;
}

static bool same(const struct weir_filter_value *x, const struct weir_filter_value *y)
{
	if (x->type != y->type)
		return false;
	return x->type == WEIR_FILTER_STRING ? weir_str_equal(x->text, y->text) : x->number == y->number;
}

/* `filter` NULL: it was refused, and not for a limit. */
static void check_model(struct weir_buf text, const struct weir_filter *filter)
{
	struct cesql_model_result model = cesql_model(text.ptr, text.len, event);
	struct weir_filter_value value;
	enum weir_filter_fault fault;

	if (model.unsure)
		return;
	check(model.accepted == (filter != NULL));
	if (!filter)
		return;
	fault = weir_filter_value(filter, event, scratch, &value);
	if (fault == WEIR_FILTER_BUDGET)
		return;
	check(fault == model.fault);
	check(fault || same(&value, &model.value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_buf text = { data ? data : (const uint8_t *)"", size };
	const struct weir_filter *filter, *negated;
	struct weir_filter_value value, again;
	enum weir_filter_fault fault, other;
	struct weir_arena arena;
	bool passes;
	int code;

	begin_all();
	weir_arena_init(&arena, 0);
	filter = compile(&arena, text, false, true, &code);
	if (code != WEIR_ETOOBIG && weir_str_is_utf8(text))
		check_model(text, filter);
	if (filter) {
		fault = weir_filter_value(filter, event, scratch, &value);
		passes = value.type == WEIR_FILTER_BOOLEAN && value.number && !fault;
		check(value.type != WEIR_FILTER_STRING || weir_str_is_utf8(value.text));
		check(weir_filter_match(filter, event, scratch, &other) == passes && other == fault);
		negated = compile(&arena, text, true, true, &code);
		check(negated && weir_filter_match(negated, event, scratch, &other) == !passes && other == fault);
		if (value.type != WEIR_FILTER_STRING)
			check(weir_filter_value(filter, event, scratch, &again) == fault && same(&value, &again));
	}
	weir_arena_fini(&arena);
	return 0;
}
