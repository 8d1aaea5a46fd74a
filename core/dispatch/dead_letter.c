/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/egress_state.h"

#include <stdio.h>

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
	return code;
}
