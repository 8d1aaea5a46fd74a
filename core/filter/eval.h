/* SPDX-License-Identifier: Apache-2.0 */
/* filter/eval: an evaluation under way, for core/filter only. */
#ifndef WEIR_FILTER_EVAL_H
#define WEIR_FILTER_EVAL_H

#include "filter/program.h"

struct weir_filter_scratch {
	struct weir_filter_value values[WEIR_FILTER_DEPTH_MAX];
};

struct weir_filter_eval {
	const struct weir_filter *filter;
	const weir_event *event;
	struct weir_filter_scratch *scratch;
	size_t next;  /* step */
	size_t depth; /* of scratch->values */
	enum weir_filter_fault first_fault;
};

#endif
