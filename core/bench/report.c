/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/report.h"

#include <json-c/json.h>

#include "bench/chart.h"

static double per_second(uint64_t count, double seconds)
{
	return seconds > 0 ? (double)count / seconds : 0;
}

/* ---- text ----------------------------------------------------------------- */

static void print_latency(FILE *to, const char *what, const struct weir_latency *latency)
{
	static const double parts[] = { 0.5, 0.9, 0.99, 0.999 };
	static const char *const names[] = { "p50", "p90", "p99", "p99.9" };

	if (!latency->total)
		return;
	fprintf(to, "  %-11s", what);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		fprintf(to, " %s %.3f", names[i], weir_latency_us(latency, parts[i]) / 1000);
	fprintf(to, " max %.3f ms\n", (double)latency->max_ns / 1e6);
}

static void print_load(FILE *to, const struct weir_bench_result *result)
{
	fprintf(to, "  sent %llu, accepted %llu (%.0f/s)", (unsigned long long)result->sent,
		(unsigned long long)result->accepted, per_second(result->measured_accepted, result->load_seconds));
	for (int status = 1; status < WEIR_BENCH_STATUSES; status++)
		if (result->statuses[status])
			fprintf(to, ", %d: %llu", status, (unsigned long long)result->statuses[status]);
	if (result->statuses[0])
		fprintf(to, ", no answer: %llu (%s)", (unsigned long long)result->statuses[0], result->problem);
	fputc('\n', to);
}

static void print_sink(FILE *to, const struct weir_bench_options *options, const struct weir_bench_result *result)
{
	fprintf(to, "  received %llu (%.0f/s, %.1f MB/s)", (unsigned long long)result->received,
		per_second(result->measured_received, result->sink_seconds),
		per_second(result->measured_bytes, result->sink_seconds) / 1e6);
	if (options->url)
		fprintf(to, ", missing %llu, repeated %llu", (unsigned long long)result->missing,
			(unsigned long long)result->repeated);
	if (result->untracked)
		fprintf(to, ", not followed %llu", (unsigned long long)result->untracked);
	fputc('\n', to);
}

static uint64_t accepted_of(const struct weir_second *second)
{
	return second->accepted;
}

static uint64_t received_of(const struct weir_second *second)
{
	return second->received;
}

static void print_charts(FILE *to, const struct weir_bench_options *options, const struct weir_bench_result *result)
{
	if (options->url)
		weir_chart_seconds(to, "accepted in each second", &result->series, accepted_of);
	if (options->listen)
		weir_chart_seconds(to, "received in each second", &result->series, received_of);
	if (options->listen)
		weir_chart_latency(to, "from due to received", &result->deliveries);
	else
		weir_chart_latency(to, "from due to answered", &result->answers);
}

void weir_bench_print(FILE *to, const struct weir_bench_options *options, const struct weir_bench_result *result)
{
	if (options->url)
		print_load(to, result);
	if (options->listen)
		print_sink(to, options, result);
	print_latency(to, "answered", &result->answers);
	print_latency(to, "received", &result->deliveries);
	print_charts(to, options, result);
}

/* ---- JSON ----------------------------------------------------------------- */

static void add(struct json_object *to, const char *name, struct json_object *value)
{
	json_object_object_add(to, name, value);
}

static void add_count(struct json_object *to, const char *name, uint64_t count)
{
	add(to, name, json_object_new_int64((int64_t)count));
}

static void add_latency(struct json_object *to, const char *name, const struct weir_latency *latency)
{
	struct json_object *values;

	if (!latency->total)
		return;
	values = json_object_new_object();
	add(values, "p50", json_object_new_double(weir_latency_us(latency, 0.5)));
	add(values, "p90", json_object_new_double(weir_latency_us(latency, 0.9)));
	add(values, "p99", json_object_new_double(weir_latency_us(latency, 0.99)));
	add(values, "p999", json_object_new_double(weir_latency_us(latency, 0.999)));
	add(values, "max", json_object_new_double((double)latency->max_ns / 1000));
	add(to, name, values);
}

static void add_load(struct json_object *to, const struct weir_bench_result *result)
{
	struct json_object *statuses = json_object_new_object();

	add_count(to, "sent", result->sent);
	add_count(to, "accepted", result->accepted);
	add(to, "accepted_per_second",
	    json_object_new_double(per_second(result->measured_accepted, result->load_seconds)));
	for (int status = 0; status < WEIR_BENCH_STATUSES; status++) {
		char name[16];

		snprintf(name, sizeof name, "%d", status);
		if (result->statuses[status])
			add_count(statuses, name, result->statuses[status]);
	}
	add(to, "statuses", statuses);
	if (result->problem[0])
		add(to, "problem", json_object_new_string(result->problem));
	add_latency(to, "answered_us", &result->answers);
}

static void add_sink(struct json_object *to, const struct weir_bench_options *options,
		     const struct weir_bench_result *result)
{
	add_count(to, "received", result->received);
	add(to, "received_per_second",
	    json_object_new_double(per_second(result->measured_received, result->sink_seconds)));
	if (options->url) {
		add_count(to, "missing", result->missing);
		add_count(to, "repeated", result->repeated);
		add_count(to, "untracked", result->untracked);
	}
	add_latency(to, "received_us", &result->deliveries);
}

int weir_bench_print_json(FILE *to, const struct weir_bench_options *options, const struct weir_bench_result *result)
{
	struct json_object *root = json_object_new_object();
	const char *text;

	if (options->url)
		add_load(root, result);
	if (options->listen)
		add_sink(root, options, result);
	add(root, "interrupted", json_object_new_boolean(result->interrupted));
	text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN);
	if (text)
		fprintf(to, "%s\n", text);
	json_object_put(root);
	return text ? WEIR_OK : WEIR_ENOMEM;
}
