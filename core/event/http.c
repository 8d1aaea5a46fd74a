/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP protocol binding. */
#include "event/event_int.h"

#include "event/media_type.h"

/* The mode of messages with these headers; a content type of any kind must be well-formed. */
static int find_mode(const struct weir_header *headers, size_t count, struct weir_header_survey *survey,
		     enum weir_mode *ret, struct weir_error *err)
{
	int code;

	*ret = WEIR_MODE_NONE;
	code = weir_headers_survey(&weir_header_style_http, headers, count, survey, err);
	if (code)
		return code;
	code = weir_headers_mode(survey, ret, err);
	if (code || *ret == WEIR_MODE_STRUCTURED || *ret == WEIR_MODE_BATCH)
		return code;
	if (survey->content_type.ptr && !weir_media_type_is_valid(survey->content_type))
		return weir_fail(err, WEIR_EINVAL, "content-type: must be a media type like text/plain (RFC 9110)");
	return WEIR_OK;
}

int weir_http_mode(const struct weir_header *headers, size_t count, enum weir_mode *ret, struct weir_error *err)
{
	struct weir_header_survey survey;

	return find_mode(headers, count, &survey, ret, err);
}

static int from_binary(weir_event *event, const struct weir_header *headers, size_t count,
		       const struct weir_header_survey *survey, struct weir_buf body, struct weir_error *err)
{
	weir_event_begin(event);
	event->borrows = true;
	/* HTTP does not tell an empty body from none. */
	if (body.len)
		event->data = body;
	return weir_event_end(event, weir_headers_decode(event, &weir_header_style_http, headers, count, survey, err),
			      err);
}

int weir_event_from_http(weir_event *event, const struct weir_header *headers, size_t count, struct weir_buf body,
			 struct weir_error *err)
{
	struct weir_header_survey survey;
	enum weir_mode mode;
	int code = find_mode(headers, count, &survey, &mode, err);

	if (!code && mode == WEIR_MODE_BINARY)
		return from_binary(event, headers, count, &survey, body, err);
	if (!code && mode == WEIR_MODE_STRUCTURED)
		return weir_json_decode_document(event, body, false, err);
	weir_event_clear(event);
	if (!code && mode == WEIR_MODE_BATCH)
		return weir_fail(err, WEIR_EMEDIATYPE, "content-type: a batch of events is not taken here");
	if (!code)
		return weir_fail(err, WEIR_EINVAL, "no event: neither ce- headers nor an event's content type");
	return code;
}

int weir_event_to_http(weir_event *event, enum weir_mode mode, const struct weir_header **headers, size_t *count,
		       struct weir_buf *body, struct weir_error *err)
{
	int code = weir_event_validate(event, err);

	if (code)
		return code;
	if (mode != WEIR_MODE_BINARY && mode != WEIR_MODE_STRUCTURED)
		return weir_fail(err, WEIR_EINVAL, "an event is written in binary or structured mode");
	if (mode == WEIR_MODE_BINARY && !weir_headers_would_mislead(event, &weir_header_style_http)) {
		code = weir_headers_encode(event, &weir_header_style_http, count, err);
		*headers = event->headers;
		*body = event->data;
		return code;
	}
	*headers = &weir_header_structured;
	*count = 1;
	return weir_event_to_json(event, body, err);
}
