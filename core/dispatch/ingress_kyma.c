/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/ingress_kyma: the door for Kyma's older events, which also answers as Kyma did. */
#include "dispatch/ingress_state.h"

#include <stdio.h>
#include <string.h>

#include "base/dynbuf.h"
#include "base/mem.h"
#include "base/str.h"
#include "dispatch/encode.h"
#include "event/kyma.h"

static const struct weir_header json = { { "content-type", 12 }, { "application/json", 16 } };

/* Kyma's error body, with the members of ours in front. */
static void respond_fault(struct weir_http_request *request, const struct weir_kyma_fault *fault, const char *text)
{
	const char *what = fault->missing ? "Missing field" : "Invalid field";
	struct weir_dynbuf body;

	weir_dynbuf_init(&body, 4096);
	weir_dynbuf_addf(&body, "{\"code\":\"invalid_event\",\"reason\":");
	weir_encode_json_text(&body, weir_str(text));
	if (fault->field)
		weir_dynbuf_addf(
		    &body,
		    ",\"status\":400,\"type\":\"validation_violation\",\"message\":\"%s\",\"moreInfo\":\"\","
		    "\"details\":[{\"field\":\"%s\",\"type\":\"%s\",\"message\":\"%s\",\"moreInfo\":\"\"}]}",
		    what, fault->field, fault->missing ? "missing_field" : "invalid_field", what);
	else
		weir_dynbuf_add_text(&body, ",\"status\":400,\"type\":\"bad_payload_syntax\",\"message\":\"Bad payload "
					    "syntax\",\"moreInfo\":\"\",\"details\":[]}");
	if (body.failed)
		weir_http_respond_error(request, 400, "invalid_event", "This is not a valid event.");
	else
		weir_http_respond(request, 400, &json, 1, weir_dynbuf_view(&body));
	weir_dynbuf_fini(&body);
}

void weir_ingress_kyma_stored(struct weir_http_request *request, const char *id)
{
	char body[WEIR_UUID_SIZE + 32];
	int len = snprintf(body, sizeof body, "{\"event-id\":\"%s\"}", id);

	weir_http_respond(request, 200, &json, 1, (struct weir_buf){ body, (size_t)len });
}

int weir_ingress_kyma_decode(struct weir_ingress *ingress, const struct weir_ingress_channel *channel,
			     struct weir_http_request *request, weir_event *event, char **ret_id)
{
	struct weir_error err = WEIR_ERROR_INIT;
	char *id = weir_mem_alloc(WEIR_UUID_SIZE);
	struct weir_kyma_fault fault;
	struct weir_buf used;
	int code;

	if (!id || !weir_uuid(id)) {
		weir_mem_free(id);
		weir_ingress_refuse(ingress, channel, request, WEIR_ENOMEM, NULL);
		return WEIR_ENOMEM;
	}
	code = weir_event_from_kyma(event, weir_http_request_body(request), weir_str(channel->kyma_source),
				    weir_str(id), &fault, &err);
	if (code) {
		weir_mem_free(id);
		if (code == WEIR_EINVAL) {
			weir_figure_add(&weir_ingress_slot(ingress, channel)->counters.rejected, 1);
			respond_fault(request, &fault, err.text);
		} else {
			weir_ingress_refuse(ingress, channel, request, code, NULL);
		}
		return code;
	}
	/* The event's own id is in the request, which is gone with the answer. */
	used = weir_event_attribute(event, WEIR_ATTR_ID);
	if (used.ptr != id)
		memcpy(id, used.ptr, used.len);
	*ret_id = id;
	return WEIR_OK;
}
