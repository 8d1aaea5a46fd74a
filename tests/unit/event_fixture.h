/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Things that several tests of core/event need. Include <cmocka.h> and what it asks for first.
 */
#ifndef WEIR_TESTS_EVENT_FIXTURE_H
#define WEIR_TESTS_EVENT_FIXTURE_H

#include <weir/event.h>

#include "base/mem.h"
#include "base/str.h"
#include "fixtures/event_compare.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct message {
	struct weir_header headers[160];
	size_t count;
};

static inline void message_add(struct message *message, struct weir_buf name, struct weir_buf value)
{
	assert_true(message->count < COUNT_OF(message->headers));
	message->headers[message->count++] = (struct weir_header){ name, value };
}

static inline size_t message_find(const struct message *message, struct weir_buf name)
{
	size_t i = 0;

	while (i < message->count && !weir_str_equal_nocase(message->headers[i].name, name))
		i++;
	return i;
}

/* One line of message_init(). */
static inline void message_edit(struct message *message, struct weir_buf line)
{
	const char *p = line.ptr;
	char mark = *p == '+' || *p == '!' ? *p : '\0';
	struct weir_buf rest = { mark ? p + 1 : p, mark ? line.len - 1 : line.len };
	struct weir_buf name;
	size_t at;

	assert_true(weir_str_split(&rest, ':', &name));
	at = message_find(message, name);
	if (mark == '!') {
		assert_true(at < message->count);
		message->headers[at] = message->headers[--message->count];
	} else if (mark == '+' || at == message->count) {
		message_add(message, name, rest);
	} else {
		message->headers[at].value = rest;
	}
}

/*
 * A valid binary message, changed by lines: "name:value" sets a header, "+name:value" adds one even if it is there,
 * "!name" takes one away.
 */
static inline void message_init(struct message *message, const char *lines)
{
	struct weir_buf rest = weir_str(lines);
	struct weir_buf line;

	message->count = 0;
	message_add(message, WEIR_STR("ce-specversion"), WEIR_STR("1.0"));
	message_add(message, WEIR_STR("ce-id"), WEIR_STR("1"));
	message_add(message, WEIR_STR("ce-source"), WEIR_STR("/s"));
	message_add(message, WEIR_STR("ce-type"), WEIR_STR("t"));
	while (weir_str_split(&rest, '\n', &line))
		if (line.len)
			message_edit(message, line);
}

static inline void assert_text(struct weir_buf got, const char *wanted)
{
	if (!wanted) {
		assert_null(got.ptr);
		return;
	}
	assert_non_null(got.ptr);
	if (!weir_str_equal(got, weir_str(wanted)))
		fail_msg("<%.*s> is not <%s>", (int)got.len, (const char *)got.ptr, wanted);
}

static inline weir_event *event_new(void)
{
	weir_event *event = NULL;

	assert_int_equal(weir_event_new(&event), WEIR_OK);
	return event;
}

/* A case of a table is a test of its own: its row is its state. */
#define ROW_TEST(row, function)                                                                                        \
	{                                                                                                              \
		(row)->name, (function), NULL, NULL, (row)                                                             \
	}

#endif
