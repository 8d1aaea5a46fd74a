/* SPDX-License-Identifier: Apache-2.0 */
/* From the JSON batch format. */
#include "event/event_int.h"

#include "base/mem.h"

struct batch {
	weir_event **events;
	size_t count;
	size_t capacity;
};

/* A new event at the end of the batch. */
static weir_event *batch_add(struct batch *batch, const struct weir_event_limits *limits)
{
	enum { FIRST_EVENTS = 16 };
	weir_event *event;

	if (batch->count == batch->capacity) {
		size_t capacity = batch->capacity ? batch->capacity * 2 : FIRST_EVENTS;
		weir_event **events = weir_mem_realloc(batch->events, capacity * sizeof(weir_event *));

		if (!events)
			return NULL;
		batch->events = events;
		batch->capacity = capacity;
	}
	if (weir_event_new(&event))
		return NULL;
	if (limits)
		weir_event_set_limits(event, limits);
	batch->events[batch->count++] = event;
	return event;
}

/* The event whose first token is `token`. */
static int decode_item(struct batch *batch, const struct weir_event_limits *limits, struct weir_json_scan *scan,
		       const struct weir_json_token *token, struct weir_error *err)
{
	weir_event *event;

	if (token->kind != WEIR_JSON_OBJECT)
		return weir_fail(err, WEIR_EINVAL, "a batch must be an array of JSON objects");
	event = batch_add(batch, limits);
	if (!event)
		return weir_event_no_memory(err);
	weir_event_begin(event);
	event->borrows = true;
	return weir_event_end(event, weir_json_decode_event(event, scan, false, err), err);
}

static int decode_batch(struct batch *batch, const struct weir_event_limits *limits, uint32_t max,
			struct weir_json_scan *scan, struct weir_error *err)
{
	struct weir_json_token token;
	int code;

	if (weir_json_next(scan, &token) == WEIR_JSON_ERROR)
		return weir_json_fail_syntax(scan, err);
	if (token.kind != WEIR_JSON_ARRAY)
		return weir_fail(err, WEIR_EINVAL, "a batch must be a JSON array");
	while (weir_json_next(scan, &token) > WEIR_JSON_END && token.kind != WEIR_JSON_ARRAY_END) {
		if (batch->count >= max)
			return weir_fail(err, WEIR_ETOOBIG, "more than %u events in a batch", max);
		code = decode_item(batch, limits, scan, &token, err);
		if (code)
			return code;
	}
	if (token.kind == WEIR_JSON_ERROR || weir_json_next(scan, &token) != WEIR_JSON_END)
		return weir_json_fail_syntax(scan, err);
	return batch->count ? WEIR_OK : weir_fail(err, WEIR_EINVAL, "a batch without events");
}

int weir_event_batch_from_json(struct weir_buf body, const struct weir_event_limits *limits, weir_event ***ret,
			       size_t *ret_count, struct weir_error *err)
{
	const struct weir_event_limits *used = limits ? limits : &weir_event_default_limits;
	struct weir_json_scan scan;
	struct batch batch = { 0 };
	int code;

	/* The array and the event are two levels around what the limit is for. */
	weir_json_init(&scan, body, used->max_depth + 2);
	code = decode_batch(&batch, used, used->max_batch_events, &scan, err);
	if (code) {
		weir_event_batch_free(batch.events, batch.count);
		return code;
	}
	*ret = batch.events;
	*ret_count = batch.count;
	return WEIR_OK;
}

void weir_event_batch_free(weir_event **events, size_t count)
{
	for (size_t i = 0; i < count; i++)
		weir_event_free(events[i]);
	weir_mem_free(events);
}
