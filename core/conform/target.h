/* SPDX-License-Identifier: Apache-2.0 */
/* conform/target: which driver is judged, and how. Made once, before any process is forked; then only read. */
#ifndef WEIR_CONFORM_TARGET_H
#define WEIR_CONFORM_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/config.h>
#include <weir/driver.h>

#include "channel/find.h"
#include "conform/proxy.h"

enum { WEIR_TARGET_SETTINGS = 128 };

struct weir_target {
	const weir_config *config; /* borrowed */
	struct weir_found *found;  /* borrowed */
	bool allow_unsafe;
	const char *harness;      /* path of a program as weir/harness.h has it; NULL: none */
	struct weir_proxy *proxy; /* NULL: none stands between */
	double scale;             /* every deadline is multiplied by it */
	uint64_t seed;
	uint64_t run;    /* differs between runs: names of topics begin with it */
	char folder[64]; /* for drivers that keep a store; removed at the end */
	bool verbose;    /* what the driver logs goes to stderr */
};

#endif
