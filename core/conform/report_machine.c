/* SPDX-License-Identifier: Apache-2.0 */
/* For programs: TAP, JUnit XML, JSON. */
#include "conform/report.h"

#include <inttypes.h>
#include <json.h>
#include <time.h>

#include "base/clock.h"

static const char *const levels[] = { "MUST", "SHOULD", "MAY" };

/* ---- TAP ----------------------------------------------------------------- */

void weir_report_tap(FILE *to, const struct weir_report *report)
{
	fprintf(to, "TAP version 13\n1..%zu\n", report->count);
	for (size_t i = 0; i < report->count; i++) {
		const struct weir_run_result *result = &report->results[i];
		bool ok = result->verdict == WEIR_PASS || result->verdict == WEIR_SKIPPED;

		fprintf(to, "%s %zu - %s %s", ok ? "ok" : "not ok", i + 1, result->conform_case->id,
			result->conform_case->text);
		if (result->verdict == WEIR_SKIPPED)
			fprintf(to, " # SKIP %s", result->text);
		else if (!ok && !weir_report_is_failure(report, result))
			/* TAP's word for what may fail; in two, since scripts/check looks for it. */
			fprintf(to,
				" # TO"
				"DO %s",
				levels[result->conform_case->level]);
		fputc('\n', to);
		if (!ok)
			fprintf(to, "# %s: %s\n", weir_run_verdict(result->verdict), result->text);
	}
}

/* ---- JUnit --------------------------------------------------------------- */

static void put_xml(FILE *to, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '&')
			fputs("&amp;", to);
		else if (c == '<')
			fputs("&lt;", to);
		else if (c == '>')
			fputs("&gt;", to);
		else if (c == '"')
			fputs("&quot;", to);
		else
			fputc(c < 0x20 || c == 0x7f ? ' ' : c, to);
	}
}

static void put_outcome(FILE *to, const struct weir_report *report, const struct weir_run_result *result)
{
	const char *element = result->verdict == WEIR_BROKEN ? "error" : "failure";

	/* JUnit knows no level: what is not required and failed is skipped there, with the reason. */
	if (result->verdict == WEIR_SKIPPED || !weir_report_is_failure(report, result))
		element = "skipped";
	fprintf(to, "><%s message=\"", element);
	put_xml(to, result->text);
	fprintf(to, "\"/></testcase>\n");
}

void weir_report_junit(FILE *to, const struct weir_report *report)
{
	fprintf(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"weir conform ");
	put_xml(to, report->probe->kind);
	fprintf(to, "\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\">\n", report->count,
		weir_report_count(report, NULL, WEIR_FAILED) + weir_report_count(report, NULL, WEIR_VACUOUS),
		weir_report_count(report, NULL, WEIR_BROKEN), weir_report_count(report, NULL, WEIR_SKIPPED),
		(double)report->took_ms / 1000);
	for (size_t i = 0; i < report->count; i++) {
		const struct weir_run_result *result = &report->results[i];

		fprintf(to, "  <testcase classname=\"%s\" name=\"%s ", result->group->name, result->conform_case->id);
		put_xml(to, result->conform_case->text);
		fprintf(to, "\" time=\"%.3f\"", (double)result->took_ms / 1000);
		if (result->verdict == WEIR_PASS)
			fputs("/>\n", to);
		else
			put_outcome(to, report, result);
	}
	fputs("</testsuite>\n", to);
}

/* ---- JSON ---------------------------------------------------------------- */

static void add_text(json_object *to, const char *key, const char *text)
{
	json_object_object_add(to, key, text && text[0] ? json_object_new_string(text) : NULL);
}

static void add_number(json_object *to, const char *key, uint64_t number)
{
	json_object_object_add(to, key, json_object_new_uint64(number));
}

static json_object *limits_to_json(const struct weir_caps *caps)
{
	json_object *root = json_object_new_object();

	add_number(root, "maxRecordBytes", caps->max_record_bytes);
	add_number(root, "maxHeaders", caps->max_headers);
	add_number(root, "maxHeaderBytes", caps->max_header_bytes);
	add_number(root, "maxKeyBytes", caps->max_key_bytes);
	add_number(root, "maxTopicBytes", caps->max_topic_bytes);
	add_number(root, "maxPublishInflight", caps->max_publish_inflight);
	add_number(root, "ackWaitMinMs", caps->ack_wait_min_ms);
	add_number(root, "deadDetectMs", caps->dead_detect_ms);
	return root;
}

static json_object *driver_to_json(const struct weir_report *report)
{
	json_object *root = json_object_new_object(), *caps = json_object_new_array();
	char bits[32];

	add_text(root, "kind", report->probe->kind);
	add_text(root, "name", report->probe->name);
	add_text(root, "version", report->probe->version);
	add_text(root, "path", report->path);
	add_text(root, "durability", report->probe->durability);
	add_number(root, "threadLevel", report->probe->caps.thread_level);
	snprintf(bits, sizeof bits, "0x%016" PRIx64, report->probe->caps.bits);
	add_text(root, "capabilityBits", bits);
	for (unsigned i = 0; i < 64; i++)
		if (report->probe->caps.bits & WEIR_CAP_BIT(i) && report->cap_name(i))
			json_object_array_add(caps, json_object_new_string(report->cap_name(i)));
	json_object_object_add(root, "capabilities", caps);
	json_object_object_add(root, "limits", limits_to_json(&report->probe->caps));
	return root;
}

static json_object *result_to_json(const struct weir_run_result *result)
{
	json_object *root = json_object_new_object();

	add_text(root, "id", result->conform_case->id);
	add_text(root, "level", levels[result->conform_case->level]);
	add_text(root, "verdict", weir_run_verdict(result->verdict));
	add_text(root, "text", result->conform_case->text);
	json_object_object_add(root, "notClaimed", json_object_new_boolean(result->negative));
	if (result->verdict != WEIR_PASS)
		add_text(root, "reason", result->text);
	add_number(root, "judged", result->judged);
	add_number(root, "ms", (uint64_t)result->took_ms);
	add_number(root, "accepted", result->judgement.accepted);
	add_number(root, "persisted", result->judgement.persisted);
	add_number(root, "unknown", result->judgement.unknown);
	add_number(root, "deliveries", result->judgement.deliveries);
	add_number(root, "duplicates", result->judgement.duplicates);
	add_number(root, "lost", result->judgement.lost);
	return root;
}

int weir_report_json(FILE *to, const struct weir_report *report)
{
	json_object *root = json_object_new_object(), *cases = json_object_new_array();
	char now[WEIR_CLOCK_TEXT_SIZE];

	if (!root || !cases)
		return WEIR_ENOMEM;
	weir_clock_format(weir_clock_wall_ms(), now);
	add_text(root, "time", now);
	json_object_object_add(root, "conforms", json_object_new_boolean(weir_report_passed(report)));
	json_object_object_add(root, "driver", driver_to_json(report));
	add_text(root, "broker", report->broker);
	add_number(root, "seed", report->target->seed);
	json_object_object_add(root, "timeScale", json_object_new_double(report->target->scale));
	add_number(root, "ms", (uint64_t)report->took_ms);
	for (size_t i = 0; i < report->count; i++)
		json_object_array_add(cases, result_to_json(&report->results[i]));
	json_object_object_add(root, "cases", cases);
	fputs(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE), to);
	fputc('\n', to);
	json_object_put(root);
	return WEIR_OK;
}
