/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/egress_state.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "dispatch/encode.h"

static int mark_data(weir_event *event, struct weir_buf data, struct weir_error *err)
{
	struct weir_dynbuf text;
	int code;

	weir_dynbuf_init(&text, (size_t)WEIR_FAILURE_DATA * 2);
	code = weir_encode_base64(&text, data) ? weir_event_set(event, "knativeerrordata", weir_dynbuf_view(&text), err)
					       : weir_fail(err, WEIR_ENOMEM, "out of memory for a dead letter");
	weir_dynbuf_fini(&text);
	return code;
}

/* ---- kne- headers ----------------------------------------------------------- */

/* The name that an extension gets: what follows "kne-", in small letters; empty if it cannot be one. */
static struct weir_buf mark_name(struct weir_buf header, char small[64])
{
	const struct weir_buf prefix = WEIR_STR("kne-");
	const char *bytes = (const char *)header.ptr + prefix.len;
	size_t len = header.len - prefix.len;

	if (!weir_str_starts_nocase(header, prefix) || len == 0 || len > 63)
		return (struct weir_buf){ small, 0 };
	for (size_t i = 0; i < len; i++) {
		char c = bytes[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 32);
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
			return (struct weir_buf){ small, 0 };
		small[i] = c;
	}
	small[len] = '\0';
	return (struct weir_buf){ small, len };
}

static void keep_mark(struct weir_failure *failure, struct weir_buf name, struct weir_buf value)
{
	size_t size = name.len + value.len + 2;
	char *at = failure->marks + failure->mark_bytes;

	if (failure->mark_count == WEIR_FAILURE_MARKS || size > WEIR_FAILURE_MARK_BYTES - failure->mark_bytes ||
	    memchr(value.ptr, '\0', value.len))
		return;
	memcpy(at, name.ptr, name.len + 1);
	memcpy(at + name.len + 1, value.ptr, value.len);
	at[size - 1] = '\0';
	failure->mark_bytes += size;
	failure->mark_count++;
}

void weir_failure_marks(struct weir_failure *failure, const struct weir_http_result *result)
{
	char small[64];

	for (size_t i = 0; i < result->header_count; i++) {
		const struct weir_header *header = &result->headers[i];
		struct weir_buf name = header->name.len > 4 ? mark_name(header->name, small) : WEIR_STR("");

		if (name.len && header->value.len)
			keep_mark(failure, name, header->value);
	}
}

/* What the event says itself stays; what no attribute can hold is left out. */
static int add_marks(weir_event *event, const struct weir_failure *failure)
{
	const char *at = failure->marks;

	for (size_t i = 0; i < failure->mark_count; i++) {
		const char *name = at, *value = name + strlen(name) + 1;

		at = value + strlen(value) + 1;
		/* Neither the attributes of the specification, nor the keys that decide where an event goes. */
		if (weir_event_get(event, name).ptr || strcmp(name, "partitionkey") == 0 ||
		    strcmp(name, "subject") == 0 || strcmp(name, "time") == 0 || strcmp(name, "dataschema") == 0 ||
		    strcmp(name, "datacontenttype") == 0 || strncmp(name, "weir", 4) == 0)
			continue;
		if (weir_event_set_text(event, name, value, NULL) == WEIR_ENOMEM)
			return WEIR_ENOMEM;
	}
	return WEIR_OK;
}

/* ---- all of it -------------------------------------------------------------- */

int weir_dead_letter_mark(weir_event *event, const struct weir_failure *failure, struct weir_error *err)
{
	struct weir_buf data = { failure->data, failure->data_len };
	char status[16];
	int code = WEIR_OK;

	if (failure->destination)
		code = weir_event_set_text(event, "knativeerrordest", failure->destination->name, err);
	if (!code && failure->status) {
		snprintf(status, sizeof status, "%d", failure->status);
		code = weir_event_set_text(event, "knativeerrorcode", status, err);
	}
	if (!data.len && !failure->status)
		data = weir_str(failure->text); /* no answer: say why */
	if (!code && data.len)
		code = mark_data(event, data, err);
	if (!code && add_marks(event, failure))
		code = weir_fail(err, WEIR_ENOMEM, "out of memory for a dead letter");
	return code;
}
