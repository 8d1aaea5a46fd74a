/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of core/filter share: a builder, an event, a scratch. */
#ifndef WEIR_TESTS_FILTER_FIXTURE_H
#define WEIR_TESTS_FILTER_FIXTURE_H

#include "unit/weir_cmocka.h"

#include <stdio.h>
#include <string.h>

#include <weir/event.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"
#include "filter/build.h"

struct filter_fixture {
	struct weir_arena arena;
	struct weir_filter_builder *builder;
	struct weir_filter_scratch *scratch;
	weir_event *event;
	enum weir_filter_fault fault; /* of the last match */
};

static inline void set_attribute(weir_event *event, const char *name, const char *value)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (weir_event_set_text(event, name, value, &err))
		fail_msg("%s: %s", name, err.text);
}

static inline int filter_begin(void **state)
{
	static struct filter_fixture fixture;

	weir_arena_init(&fixture.arena, 0);
	assert_int_equal(weir_filter_builder_new(&fixture.arena, &fixture.builder), WEIR_OK);
	assert_int_equal(weir_filter_scratch_new(&fixture.scratch), WEIR_OK);
	assert_int_equal(weir_event_new(&fixture.event), WEIR_OK);
	set_attribute(fixture.event, "id", "1");
	set_attribute(fixture.event, "source", "https://example.com/orders");
	set_attribute(fixture.event, "type", "com.example.order.created");
	*state = &fixture;
	return 0;
}

static inline int filter_end(void **state)
{
	struct filter_fixture *fixture = *state;

	weir_event_free(fixture->event);
	weir_filter_scratch_free(fixture->scratch);
	weir_filter_builder_free(fixture->builder);
	weir_arena_fini(&fixture->arena);
	return 0;
}

static inline void add_match(struct filter_fixture *fixture, enum weir_filter_dialect dialect, const char *name,
			     const char *value)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (weir_filter_add_match(fixture->builder, dialect, weir_str(name), weir_str(value), &err))
		fail_msg("%s", err.text);
}

static inline void begin_group(struct filter_fixture *fixture, enum weir_filter_group group)
{
	assert_int_equal(weir_filter_begin(fixture->builder, group, NULL), WEIR_OK);
}

static inline void end_group(struct filter_fixture *fixture)
{
	assert_int_equal(weir_filter_end(fixture->builder, NULL), WEIR_OK);
}

static inline const struct weir_filter *finish(struct filter_fixture *fixture)
{
	const struct weir_filter *filter;
	struct weir_error err = WEIR_ERROR_INIT;

	if (weir_filter_finish(fixture->builder, &filter, &err))
		fail_msg("%s", err.text);
	return filter;
}

static inline bool passes(struct filter_fixture *fixture, const struct weir_filter *filter)
{
	return weir_filter_match(filter, fixture->event, fixture->scratch, &fixture->fault);
}

#define FILTER_TEST(name) cmocka_unit_test_setup_teardown(name, filter_begin, filter_end)

#endif
