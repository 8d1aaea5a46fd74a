/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets of core/event share: input of header lines, and oracles
 * that end the process.
 */
#ifndef WEIR_TESTS_EVENT_FUZZ_H
#define WEIR_TESTS_EVENT_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/event.h>

#include "base/str.h"
#include "fixtures/event_compare.h"

enum { FUZZ_HEADERS = 128 };

struct fuzz_message {
	struct weir_header headers[FUZZ_HEADERS];
	size_t count;
	struct weir_buf body; /* ptr NULL: there was no empty line */
};

/* Lines "name:value" up to an empty one; the rest is the body. */
static inline void fuzz_parse(struct weir_buf input, struct fuzz_message *ret)
{
	struct weir_buf line, name;

	ret->count = 0;
	while (weir_str_split(&input, '\n', &line) && line.len) {
		if (!weir_str_split(&line, ':', &name) || ret->count == FUZZ_HEADERS)
			continue;
		ret->headers[ret->count++] = (struct weir_header){ name, line };
	}
	ret->body = input;
}

static inline void fuzz_check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

static inline weir_event *fuzz_event(void)
{
	weir_event *event = NULL;

	fuzz_check(weir_event_new(&event) == WEIR_OK, "memory");
	return event;
}

/* A refusal says why, and leaves nothing behind. */
static inline void fuzz_check_refusal(const weir_event *event, int code, const struct weir_error *err)
{
	const struct weir_extension *extensions;

	fuzz_check(code == WEIR_EINVAL || code == WEIR_EMEDIATYPE, "code of a refusal");
	fuzz_check(err->code == code && err->text[0], "text of a refusal");
	fuzz_check(!weir_event_get(event, "id").ptr && !weir_event_data(event).ptr &&
		       weir_event_extensions(event, &extensions) == 0,
		   "refused, but not cleared");
}

static inline void fuzz_check_equal(const weir_event *a, const weir_event *b, bool types, const char *where)
{
	const char *found = event_difference(a, b, types);

	if (found)
		fprintf(stderr, "%s: ", where);
	fuzz_check(!found, found);
}

static inline struct weir_buf fuzz_trim_json(struct weir_buf text)
{
	const char *p = text.ptr;

	for (; text.len && strchr(" \t\r\n", *p) && *p; p++)
		text.len--;
	while (text.len && strchr(" \t\r\n", p[text.len - 1]) && p[text.len - 1])
		text.len--;
	return (struct weir_buf){ p, text.len };
}

/*
 * Through HTTP and back. What the protocol cannot tell is made equal first: in
 * binary mode, empty data and none, and JSON without a type; in structured mode,
 * white space around JSON.
 */
static inline void fuzz_check_http(weir_event *event, enum weir_mode mode)
{
	const struct weir_header *headers;
	struct weir_buf body, data;
	weir_event *back = fuzz_event();
	size_t count;

	fuzz_check(weir_event_to_http(event, mode, &headers, &count, &body, NULL) == WEIR_OK, "to_http");
	fuzz_check(weir_event_from_http(back, headers, count, body, NULL) == WEIR_OK, "from_http of to_http");
	fuzz_check(weir_event_own(back) == WEIR_OK, "own");
	data = weir_event_data(event);
	if (mode == WEIR_MODE_BINARY && count > 1) {
		if (weir_event_data_is_json(event) && !weir_event_get(event, "datacontenttype").ptr)
			weir_event_set_text(event, "datacontenttype", "application/json", NULL);
		if (!data.len)
			weir_event_set_data(event, (struct weir_buf){ NULL, 0 }, NULL);
	}
	if (data.len && count == 1 && weir_event_data_is_json(event) && weir_event_get(event, "datacontenttype").ptr &&
	    !weir_str_equal(data, weir_event_data(back)))
		weir_event_set_data(event, fuzz_trim_json(data), NULL);
	fuzz_check_equal(event, back, count == 1, mode == WEIR_MODE_BINARY ? "binary" : "structured");
	weir_event_free(back);
}

#endif
