/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/passing: which events a subscription wants. */
#include "base/str.h"
#include "dispatch/egress_state.h"

bool weir_egress_wants(struct weir_egress *egress, const weir_event *event)
{
	const struct weir_filter *filter = egress->options.settings->filter;
	struct weir_buf only = weir_event_get(event, WEIR_EVENT_FOR);
	enum weir_filter_fault fault;
	bool passes;

	if (only.ptr)
		return weir_str_equal(only, weir_str(egress->options.settings->uid));
	if (!filter)
		return true;
	passes = weir_filter_match(filter, event, egress->options.loop->filter_scratch, &fault);
	if (fault)
		weir_figure_add(&egress->counters.filter_faults, 1);
	return passes;
}
