/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/hops: how often Weir itself sent an event on: as a reply, as a dead
 * letter, or to a channel of its own. The extension `weirhops` counts, and a
 * reply that leads to a reply, and so on for ever, ends in quarantine.
 */
#include "dispatch/egress_state.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/str.h"

#define HOPS "weirhops"

uint32_t weir_hops_of(const weir_event *event)
{
	struct weir_buf text = weir_event_get(event, HOPS);
	uint64_t hops;

	/* Whoever writes something else into it has a loop of their own to look after. */
	if (!text.ptr || !weir_str_to_uint(text, &hops))
		return 0;
	return hops < UINT32_MAX ? (uint32_t)hops : UINT32_MAX;
}

int weir_hops_add(struct weir_egress *egress, weir_event *event, uint32_t before, struct weir_error *err)
{
	uint32_t max = egress->options.loop->options.max_hops;
	char text[16];

	if (max && before >= max) {
		weir_figure_add(&egress->counters.looped, 1);
		return weir_fail(err, WEIR_EINVAL,
				 "it was sent on %" PRIu32 " times already, as the extension " HOPS
				 " says: replies or dead letters go in a circle (dispatcher.limits.maxHops)",
				 before);
	}
	snprintf(text, sizeof text, "%" PRIu32, before + 1);
	return weir_event_set_text(event, HOPS, text, err);
}
