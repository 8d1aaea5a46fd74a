/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/egress_state.h"

#include "base/log.h"
#include "base/str.h"

static bool may_be_reply(const struct weir_attempt *attempt, const struct weir_http_result *result)
{
	/* Only 200: by the specification an event in a 202 is none. */
	return result->status == 200 && attempt->item->egress->reply;
}

/* As at the ingress: what is passed on as it is must not be compressed, for nothing would say so any more. */
static bool is_encoded(const struct weir_http_result *result)
{
	for (size_t i = 0; i < result->header_count; i++) {
		if (weir_str_equal_nocase(result->headers[i].name, WEIR_STR("content-encoding")))
			return !weir_str_equal_nocase(result->headers[i].value, WEIR_STR("identity"));
	}
	return false;
}

enum weir_reply weir_reply_forward(struct weir_attempt *attempt, const struct weir_http_result *result,
				   struct weir_error *err)
{
	struct weir_egress *egress = attempt->item->egress;
	uint32_t hops = weir_hops_of(attempt->event);
	enum weir_mode mode;

	if (!may_be_reply(attempt, result))
		return WEIR_REPLY_NONE;
	if (weir_http_mode(result->headers, result->header_count, &mode, err))
		return WEIR_REPLY_INVALID;
	if (mode == WEIR_MODE_BATCH)
		weir_egress_log(egress, WEIR_LOG_WARNING, "the subscriber replied with a batch, which is ignored");
	if (mode == WEIR_MODE_NONE || mode == WEIR_MODE_BATCH)
		return WEIR_REPLY_NONE;
	if (is_encoded(result)) {
		weir_fail(err, WEIR_EMEDIATYPE, "the reply has a Content-Encoding, which is not supported");
		return WEIR_REPLY_INVALID;
	}
	/* The delivery's own event is no longer needed: a retry decodes it again. */
	weir_event_clear(attempt->event);
	if (weir_event_from_http(attempt->event, result->headers, result->header_count, result->body, err))
		return WEIR_REPLY_INVALID;
	if (weir_event_own(attempt->event)) {
		weir_fail(err, WEIR_ENOMEM, "out of memory for a reply");
		return WEIR_REPLY_FAILED;
	}
	attempt->reply = true;
	if (weir_hops_add(egress, attempt->event, hops, err))
		return err->code == WEIR_ENOMEM ? WEIR_REPLY_FAILED : WEIR_REPLY_INVALID;
	if (weir_attempt_send(attempt, egress->reply, err))
		return WEIR_REPLY_FAILED;
	return WEIR_REPLY_SENT;
}
