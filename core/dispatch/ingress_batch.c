/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/ingress_state.h"

#include "base/mem.h"

/* The request is pending from here on. */
static void publish_batch(struct weir_ingress *ingress, struct weir_ingress_pending *pending,
			  const struct weir_publish_item *items, size_t count)
{
	struct weir_ingress_channel *channel = pending->channel;
	size_t accepted;
	int code;

	weir_ingress_flush(ingress, channel);
	code = weir_publishing_publish(&ingress->publishing, channel->channel, items, count, channel->atomic_batch,
				       &accepted, NULL);
	if (accepted < count)
		pending->failed = code ? code : WEIR_EUNAVAIL;
	/* Those that were taken complete later; only then it is sure what to answer. */
	pending->left = (uint32_t)accepted;
	if (!accepted)
		weir_ingress_answer(ingress, pending);
}

static void pend_batch(struct weir_ingress *ingress, struct weir_ingress_channel *channel,
		       struct weir_http_request *request, weir_event *const *events, size_t count)
{
	struct weir_publish_item *items = weir_mem_alloc(count * sizeof *items);
	struct weir_ingress_pending *pending = items ? weir_ingress_pend(ingress, channel, request) : NULL;

	if (!pending) {
		weir_ingress_refuse(ingress, channel, request, items ? WEIR_EAGAIN : WEIR_ENOMEM, NULL);
		weir_mem_free(items);
		return;
	}
	pending->events = (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		pending->bytes += weir_event_data(events[i]).len;
		items[i] = (struct weir_publish_item){ .event = events[i], .tag = (uint64_t)(uintptr_t)pending };
	}
	publish_batch(ingress, pending, items, count);
	weir_mem_free(items);
}

void weir_ingress_batch(struct weir_ingress *ingress, struct weir_ingress_channel *channel,
			struct weir_http_request *request)
{
	struct weir_error err = WEIR_ERROR_INIT;
	weir_event **events;
	size_t count;
	int code = weir_event_batch_from_json(weir_http_request_body(request), &ingress->options.event_limits, &events,
					      &count, &err);

	if (code) {
		weir_ingress_refuse(ingress, channel, request, code, err.text);
		return;
	}
	if (count)
		pend_batch(ingress, channel, request, events, count);
	else
		weir_ingress_refuse(ingress, channel, request, WEIR_EINVAL, "The batch has no event in it.");
	weir_event_batch_free(events, count);
}
