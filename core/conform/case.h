/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conform/case: the table of cases.
 *
 * To add one: write the function in the file of its group and a row in that
 * file's table. A row without a function says in `why` what sees to it instead.
 */
#ifndef WEIR_CONFORM_CASE_H
#define WEIR_CONFORM_CASE_H

#include "conform/rig.h"

enum weir_level { WEIR_MUST = 0, WEIR_SHOULD = 1, WEIR_MAY = 2 };

enum {
	WEIR_CASE_CLOSED = 1u << 0,  /* the rig is handed over without an open instance */
	WEIR_CASE_HARNESS = 1u << 1, /* needs a harness */
	WEIR_CASE_FAULTS = 1u << 2,  /* only with --faults */
};

struct weir_conform_case {
	const char *id;         /* "PUB-01" */
	uint8_t level;          /* enum weir_level */
	uint8_t flags;          /* WEIR_CASE_... */
	uint16_t seconds;       /* after which it is given up, times the scale; 0: 30 */
	uint64_t needs;         /* capabilities: bits of all that it needs */
	weir_rig_fn *run;       /* NULL: `why` */
	weir_rig_fn *unclaimed; /* run when a capability is not claimed; NULL: skipped */
	const char *text;
	const char *why;
};

/* One group: the cases of one file. */
struct weir_conform_group {
	const char *name; /* "LIF" */
	const char *title;
	const struct weir_conform_case *cases;
	size_t count;
};

#define WEIR_GROUP(prefix, name_, title_)                                                                              \
	const struct weir_conform_group weir_conform_##prefix = {                                                      \
		name_,                                                                                                 \
		title_,                                                                                                \
		cases,                                                                                                 \
		sizeof cases / sizeof cases[0],                                                                        \
	}

#define CAP(name) WEIR_CAP_BIT(WEIR_CAP_##name)

extern const struct weir_conform_group *const weir_conform_groups[];
extern const size_t weir_conform_group_count;

extern const struct weir_conform_group weir_conform_life, weir_conform_publish, weir_conform_subscribe,
    weir_conform_ack, weir_conform_redeliver, weir_conform_order, weir_conform_groups_, weir_conform_durable,
    weir_conform_threads, weir_conform_flow, weir_conform_limits, weir_conform_binary, weir_conform_headers,
    weir_conform_errors, weir_conform_faults, weir_conform_shutdown, weir_conform_abi;

#endif
