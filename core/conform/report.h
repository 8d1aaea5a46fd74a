/* SPDX-License-Identifier: Apache-2.0 */
/* conform/report: what became of a run, for people and for programs. */
#ifndef WEIR_CONFORM_REPORT_H
#define WEIR_CONFORM_REPORT_H

#include <stdio.h>

#include "conform/run.h"

struct weir_report {
	const struct weir_target *target;
	const struct weir_run_probe *probe;
	const char *path;   /* of the driver */
	const char *broker; /* its version, as the harness says; NULL: not known */
	struct weir_run_result *results;
	size_t count;
	int64_t took_ms;
	const char *(*cap_name)(unsigned cap);
	enum weir_level required; /* up to this level, a case that does not pass fails the run */
};

/* How many results have that verdict; `group` NULL: of all. */
size_t weir_report_count(const struct weir_report *report, const struct weir_conform_group *group,
			 enum weir_verdict verdict);
/* Whether the run passed: nothing that is required did anything but pass or be skipped. */
bool weir_report_passed(const struct weir_report *report);
bool weir_report_is_failure(const struct weir_report *report, const struct weir_run_result *result);

/* One line, as a case ends. */
void weir_report_progress(FILE *to, const struct weir_run_result *result);
/* The table by group, what did not pass, and one line of sums. */
void weir_report_table(FILE *to, const struct weir_report *report);
void weir_report_tap(FILE *to, const struct weir_report *report);
void weir_report_junit(FILE *to, const struct weir_report *report);
/* WEIR_ENOMEM. */
int weir_report_json(FILE *to, const struct weir_report *report);
/* The table of cases in Markdown, for the reference. */
void weir_report_cases(FILE *to);

#endif
