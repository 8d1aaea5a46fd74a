/* SPDX-License-Identifier: Apache-2.0 */
/* conform/run: runs cases, each in a process of its own, and says what became of them. */
#ifndef WEIR_CONFORM_RUN_H
#define WEIR_CONFORM_RUN_H

#include "conform/case.h"

struct weir_run_result {
	const struct weir_conform_case *conform_case;
	const struct weir_conform_group *group;
	enum weir_verdict verdict;
	bool negative; /* the capability is not claimed, and that it is refused was judged */
	uint64_t judged;
	int64_t took_ms;
	char text[480];
	struct weir_judgement judgement;
};

/* What the driver says about itself, learned in a process of its own. */
struct weir_run_probe {
	int code; /* of opening it */
	char error[560];
	char name[64], kind[64], version[128], summary[160];
	char durability[32], note[256];
	struct weir_caps caps; /* its pointers are not valid here */
};

/* False: the probe's process could not be made, or the driver crashed in it (`error` says so, code is WEIR_EINTERNAL).
 */
void weir_run_probe(const struct weir_target *target, struct weir_run_probe *ret);
void weir_run_case(const struct weir_target *target, const struct weir_run_probe *probe,
		   const struct weir_conform_group *group, const struct weir_conform_case *conform_case, bool faults,
		   struct weir_run_result *ret);
const char *weir_run_verdict(enum weir_verdict verdict);

#endif
