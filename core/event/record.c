/* SPDX-License-Identifier: Apache-2.0 */
/* What a backend keeps of an event. */
#include "event/event_int.h"

#include <string.h>

#include "base/str.h"

static const char envelope_v1[] = { 'W', 'E', 1, 0 };

static bool has(const struct weir_caps *caps, enum weir_cap cap)
{
	return caps->bits & WEIR_CAP_BIT(cap);
}

static const struct weir_header_style *style_of(const struct weir_caps *caps)
{
	return caps->binding == WEIR_BINDING_DASH ? &weir_header_style_dash : &weir_header_style_underscore;
}

/* ---- writing ------------------------------------------------------------ */

static int to_envelope(weir_event *event, struct weir_record *ret, struct weir_error *err)
{
	int code;

	weir_dynbuf_reset(&event->text);
	weir_dynbuf_add(&event->text, envelope_v1, sizeof envelope_v1);
	code = weir_json_encode_event(event, err);
	ret->body = weir_dynbuf_view(&event->text);
	return code;
}

static int to_structured(weir_event *event, struct weir_record *ret, struct weir_error *err)
{
	ret->headers = &weir_header_structured;
	ret->header_count = 1;
	return weir_event_to_json(event, &ret->body, err);
}

static bool headers_fit(const struct weir_caps *caps, const struct weir_header *headers, size_t count)
{
	if (caps->max_headers && count > caps->max_headers)
		return false;
	for (size_t i = 0; caps->max_header_bytes && i < count; i++)
		if (headers[i].name.len + headers[i].value.len > caps->max_header_bytes)
			return false;
	return true;
}

/*
 * In headers, and the body is the data. What cannot be told in this backend's
 * headers goes in structured mode, which every reader of the binding knows.
 */
static int to_headers(weir_event *event, const struct weir_caps *caps, struct weir_record *ret, struct weir_error *err)
{
	const struct weir_header_style *style = style_of(caps);
	bool empty = event->data.ptr && event->data.len == 0;
	size_t count;
	int code;

	if (weir_headers_would_mislead(event, style) || (empty && !has(caps, WEIR_CAP_NULL_BODY)))
		return to_structured(event, ret, err);
	code = weir_headers_encode(event, style, &count, err);
	if (code)
		return code;
	if (!headers_fit(caps, event->headers, count))
		return to_structured(event, ret, err);
	ret->headers = event->headers;
	ret->header_count = (uint32_t)count;
	ret->body = event->data;
	return WEIR_OK;
}

static int check_size(const struct weir_caps *caps, const struct weir_record *record, struct weir_error *err)
{
	uint64_t total = record->key.len + record->body.len;

	for (uint32_t i = 0; i < record->header_count; i++)
		total += record->headers[i].name.len + record->headers[i].value.len;
	if (caps->max_record_bytes && total > caps->max_record_bytes)
		return weir_fail(err, WEIR_ETOOBIG, "the event takes %llu bytes, the backend's limit is %llu",
				 (unsigned long long)total, (unsigned long long)caps->max_record_bytes);
	if (caps->max_key_bytes && record->key.len > caps->max_key_bytes)
		return weir_fail(err, WEIR_ETOOBIG, "partitionkey: %zu bytes, the backend's limit is %u",
				 record->key.len, caps->max_key_bytes);
	return WEIR_OK;
}

/* An empty key would say that all such events belong together. */
static struct weir_buf key_of(const weir_event *event)
{
	const struct weir_extension *key = weir_event_find_extension(event, WEIR_STR("partitionkey"));

	return key && key->value.len ? key->value : (struct weir_buf){ NULL, 0 };
}

int weir_event_to_record(weir_event *event, const struct weir_caps *caps, struct weir_record *ret,
			 struct weir_error *err)
{
	int code = weir_event_validate(event, err);

	if (code)
		return code;
	*ret = (struct weir_record){ .key = key_of(event) };
	code = has(caps, WEIR_CAP_HEADERS) ? to_headers(event, caps, ret, err) : to_envelope(event, ret, err);
	return code ? code : check_size(caps, ret, err);
}

/* ---- reading ------------------------------------------------------------ */

static int from_envelope(weir_event *event, struct weir_buf body, struct weir_error *err)
{
	const char *p = body.ptr;

	if (body.len < 2 || p[0] != 'W' || p[1] != 'E')
		return weir_json_decode_document(event, body, false, err);
	if (body.len < sizeof envelope_v1 || memcmp(p, envelope_v1, sizeof envelope_v1) != 0) {
		weir_event_clear(event);
		return weir_fail(err, WEIR_EINVAL, "an envelope of a version that is not known here");
	}
	return weir_json_decode_document(
	    event, (struct weir_buf){ p + sizeof envelope_v1, body.len - sizeof envelope_v1 }, true, err);
}

static int from_headers(weir_event *event, const struct weir_caps *caps, const struct weir_record *record,
			const struct weir_header_survey *survey, struct weir_error *err)
{
	bool absent = record->body.len == 0 && !has(caps, WEIR_CAP_NULL_BODY);

	weir_event_begin(event);
	event->borrows = true;
	if (!absent)
		event->data = record->body;
	return weir_event_end(
	    event, weir_headers_decode(event, style_of(caps), record->headers, record->header_count, survey, err), err);
}

static int from_record(weir_event *event, const struct weir_caps *caps, const struct weir_record *record,
		       struct weir_error *err)
{
	struct weir_header_survey survey;
	enum weir_mode mode;
	int code;

	if (!has(caps, WEIR_CAP_HEADERS))
		return from_envelope(event, record->body, err);
	weir_event_clear(event);
	code = weir_headers_survey(style_of(caps), record->headers, record->header_count, &survey, err);
	if (code)
		return code;
	code = weir_headers_mode(&survey, &mode, err);
	if (code)
		return code;
	switch (mode) {
	case WEIR_MODE_BINARY:
		return from_headers(event, caps, record, &survey, err);
	case WEIR_MODE_STRUCTURED:
		return weir_json_decode_document(event, record->body, false, err);
	case WEIR_MODE_BATCH:
		return weir_fail(err, WEIR_EINVAL, "a record holds one event, not a batch");
	default:
		return weir_fail(err, WEIR_EINVAL, "no event: no attribute among the headers");
	}
}

int weir_event_from_record(weir_event *event, const struct weir_caps *caps, const struct weir_record *record,
			   struct weir_error *err)
{
	int code = from_record(event, caps, record, err);

	if (code != WEIR_EMEDIATYPE)
		return code;
	/* A poison record, whatever makes it one. */
	if (err)
		err->code = WEIR_EINVAL;
	return WEIR_EINVAL;
}
