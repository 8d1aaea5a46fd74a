/* SPDX-License-Identifier: Apache-2.0 */
/* For people: progress, the table by group, the reference of the cases. */
#include "conform/report.h"

#include <inttypes.h>
#include <string.h>

static const char *const levels[] = { "MUST", "SHOULD", "MAY" };

size_t weir_report_count(const struct weir_report *report, const struct weir_conform_group *group,
			 enum weir_verdict verdict)
{
	size_t count = 0;

	for (size_t i = 0; i < report->count; i++)
		count += (!group || report->results[i].group == group) && report->results[i].verdict == verdict;
	return count;
}

bool weir_report_is_failure(const struct weir_report *report, const struct weir_run_result *result)
{
	return result->verdict != WEIR_PASS && result->verdict != WEIR_SKIPPED &&
	       result->conform_case->level <= report->required;
}

bool weir_report_passed(const struct weir_report *report)
{
	size_t passed = 0;

	for (size_t i = 0; i < report->count; i++) {
		if (weir_report_is_failure(report, &report->results[i]))
			return false;
		passed += report->results[i].verdict == WEIR_PASS;
	}
	return passed > 0;
}

void weir_report_progress(FILE *to, const struct weir_run_result *result)
{
	const struct weir_conform_case *conform_case = result->conform_case;

	fprintf(to, "%-7s %-7s %-6s %s", weir_run_verdict(result->verdict), conform_case->id,
		levels[conform_case->level], conform_case->text);
	if (result->negative)
		fputs(" [not claimed: refused]", to);
	if (result->verdict == WEIR_PASS)
		fprintf(to, " (%" PRId64 " ms)\n", result->took_ms);
	else
		fprintf(to, "\n        %s\n", result->text);
	fflush(to);
}

static void print_caps(FILE *to, const struct weir_run_probe *probe)
{
	fprintf(to, "%s, driver %s %s, durability %s\n", probe->kind, probe->name, probe->version, probe->durability);
}

static void print_failures(FILE *to, const struct weir_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct weir_run_result *result = &report->results[i];

		if (result->verdict != WEIR_PASS && result->verdict != WEIR_SKIPPED)
			fprintf(to, "%s %s %s: %s\n    %s\n", weir_run_verdict(result->verdict),
				result->conform_case->id, levels[result->conform_case->level],
				result->conform_case->text, result->text);
	}
}

void weir_report_table(FILE *to, const struct weir_report *report)
{
	static const char *const heads[WEIR_VERDICTS] = { "pass", "fail", "vacuous", "skip", "error" };

	print_caps(to, report->probe);
	if (report->broker && report->broker[0])
		fprintf(to, "server %s\n", report->broker);
	fprintf(to, "\n%-46s", "group");
	for (int v = 0; v < WEIR_VERDICTS; v++)
		fprintf(to, " %7s", heads[v]);
	fputc('\n', to);
	for (size_t g = 0; g < weir_conform_group_count; g++) {
		const struct weir_conform_group *group = weir_conform_groups[g];
		size_t counts[WEIR_VERDICTS], all = 0;

		for (int v = 0; v < WEIR_VERDICTS; v++)
			all += counts[v] = weir_report_count(report, group, (enum weir_verdict)v);
		if (!all)
			continue;
		fprintf(to, "%s %-42s", group->name, group->title);
		for (int v = 0; v < WEIR_VERDICTS; v++)
			fprintf(to, " %7zu", counts[v]);
		fputc('\n', to);
	}
	fputc('\n', to);
	print_failures(to, report);
	fprintf(to, "%s: %zu passed, %zu failed, %zu vacuous, %zu skipped, %zu errors in %.1f s; seed %" PRIu64 "\n",
		weir_report_passed(report) ? "conforms" : "DOES NOT CONFORM",
		weir_report_count(report, NULL, WEIR_PASS), weir_report_count(report, NULL, WEIR_FAILED),
		weir_report_count(report, NULL, WEIR_VACUOUS), weir_report_count(report, NULL, WEIR_SKIPPED),
		weir_report_count(report, NULL, WEIR_BROKEN), (double)report->took_ms / 1000, report->target->seed);
}

static void print_needs(FILE *to, const struct weir_conform_case *conform_case)
{
	if (conform_case->flags & WEIR_CASE_HARNESS)
		fputs("harness", to);
	if (conform_case->flags & WEIR_CASE_FAULTS)
		fputs(" `--faults`", to);
}

void weir_report_cases(FILE *to)
{
	for (size_t g = 0; g < weir_conform_group_count; g++) {
		const struct weir_conform_group *group = weir_conform_groups[g];

		fprintf(to, "## %s: %s\n\n| case | level | needs | what must be |\n|---|---|---|---|\n", group->name,
			group->title);
		for (size_t i = 0; i < group->count; i++) {
			const struct weir_conform_case *conform_case = &group->cases[i];

			fprintf(to, "| %s | %s | ", conform_case->id, levels[conform_case->level]);
			print_needs(to, conform_case);
			fprintf(to, " | %s%s%s%s |\n", conform_case->text, conform_case->run ? "" : " (",
				conform_case->run ? "" : conform_case->why, conform_case->run ? "" : ")");
		}
		fputc('\n', to);
	}
}
