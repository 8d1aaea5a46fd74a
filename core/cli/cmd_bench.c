/* SPDX-License-Identifier: Apache-2.0 */
/* cli/cmd_bench: how fast is this set-up? Load and sink against a Weir that runs. */
#include "cli/cmd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/dynbuf.h"
#include "bench/bench.h"
#include "bench/report.h"
#include "bench/series.h"
#include "cli/http.h"
#include "cli/load.h"

enum {
	MAX_CONNECTIONS = 10000,
	MAX_SIZE = 64 * 1024 * 1024,
	MAX_RATE = 10000000,
	MAX_COPIES = 63,
	URL_MAX = 8192,
	DEFAULT_CONNECTIONS = 64,
	DEFAULT_SIZE = 1024,
	DEFAULT_RATE = 1000,
	DEFAULT_DURATION_MS = 10000,
	DEFAULT_WARMUP_MS = 1000,
	DEFAULT_SETTLE_MS = 10000,
	DEFAULT_TIMEOUT_MS = 10000,
};

struct bench_options {
	struct weir_cli_config config;
	const char *url, *listen, *ca, *csv, *output;
	uint64_t connections, rate, events, size, keys, copies;
	int64_t duration_ms, warmup_ms, settle_ms, timeout_ms;
};

enum mode { PUBLISH, DELIVER, LATENCY };

/* ---- options -------------------------------------------------------------- */

static int find_mode(const char *word, enum mode *ret)
{
	static const char *const names[] = { "publish", "deliver", "latency" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(word, names[i]) == 0) {
			*ret = (enum mode)i;
			return WEIR_EXIT_OK;
		}
	}
	return weir_cli_usage(&weir_cmd_bench, "'%s' is none of publish, deliver, latency", word);
}

struct range {
	const char *name;
	uint64_t *value;
	uint64_t fallback, max;
};

static int check_range(const struct range *range)
{
	if (!*range->value)
		*range->value = range->fallback;
	if (*range->value <= range->max)
		return WEIR_EXIT_OK;
	return weir_cli_usage(&weir_cmd_bench, "--%s is at most %llu", range->name, (unsigned long long)range->max);
}

static int check(struct bench_options *options, enum mode mode, size_t arg_count)
{
	const struct range ranges[] = {
		{ "connections", &options->connections, DEFAULT_CONNECTIONS, MAX_CONNECTIONS },
		{ "size", &options->size, DEFAULT_SIZE, MAX_SIZE },
		{ "rate", &options->rate, mode == LATENCY ? DEFAULT_RATE : 0, MAX_RATE },
		{ "copies", &options->copies, 1, MAX_COPIES },
	};
	int code = WEIR_EXIT_OK;

	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0] && !code; i++)
		code = check_range(&ranges[i]);
	if (code)
		return code;
	if (mode != DELIVER && arg_count < 2)
		return weir_cli_usage(&weir_cmd_bench, "which channel? NAMESPACE/NAME is missing");
	if (mode == DELIVER && arg_count > 1)
		return weir_cli_usage(&weir_cmd_bench, "deliver only listens and takes no channel");
	if (mode != PUBLISH && !options->listen)
		return weir_cli_usage(
		    &weir_cmd_bench,
		    "--listen HOST:PORT is missing: the address that a subscription of yours posts to");
	return WEIR_EXIT_OK;
}

/* The first address of dispatcher.listen, as the configuration has it. */
static int base_of_config(const struct weir_cli_config *from, char *base, size_t size)
{
	weir_config *config;
	weir_runtime *runtime;
	int code = weir_cli_open(from, &config, &runtime);

	if (code)
		return code;
	if (!weir_cli_http_base(weir_config_get(config, "dispatcher.listen"), base, size)) {
		weir_cli_say("dispatcher.listen has no address with a port; give one with --url");
		code = WEIR_EXIT_CONFIG;
	}
	weir_cli_close(config, runtime);
	return code;
}

static int make_url(const struct bench_options *options, const char *word, struct weir_dynbuf *url)
{
	struct weir_cli_channel channel;
	char base[256];
	int code = weir_cli_channel(&weir_cmd_bench, word, &channel);

	if (!code && !options->url)
		code = base_of_config(&options->config, base, sizeof base);
	if (code)
		return code;
	if (!weir_cli_http_path(url, options->url ? options->url : base, "/", channel.ns, channel.name))
		return weir_cli_no_memory();
	return WEIR_EXIT_OK;
}

/* ---- a run ---------------------------------------------------------------- */

static void say_second(void *ctx, size_t seconds, const struct weir_second *second)
{
	(void)ctx;
	fprintf(stderr, "%4zu s  accepted %llu  refused %llu  received %llu  p99 %.2f ms\n", seconds,
		(unsigned long long)second->accepted, (unsigned long long)second->refused,
		(unsigned long long)second->received,
		(second->received ? second->delivery_p99_us : second->answer_p99_us) / 1000);
}

static void block_signals(void)
{
	sigset_t wanted;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
}

static int write_csv(const char *path, const struct weir_series *series)
{
	FILE *to = fopen(path, "we");
	bool written = to && weir_series_write_csv(series, to);
	int error = errno;

	if (to && fclose(to) && written) {
		written = false;
		error = errno;
	}
	if (written)
		return WEIR_EXIT_OK;
	weir_cli_say("%s: %s", path, strerror(error));
	return WEIR_EXIT_FAILED;
}

/* Whoever runs this in a script wants to know without reading figures. */
static int judge(const struct weir_bench_options *run, const struct weir_bench_result *result)
{
	if (result->refused) {
		weir_cli_say("%llu events were not accepted%s%s", (unsigned long long)result->refused,
			     result->problem[0] ? "; the first without an answer: " : "", result->problem);
		return result->accepted ? WEIR_EXIT_FAILED : WEIR_EXIT_UNAVAILABLE;
	}
	if (result->missing) {
		weir_cli_say("%llu deliveries of accepted events did not arrive within %lld ms after the last: does a "
			     "subscription of the channel post to http://%s/ ?",
			     (unsigned long long)result->missing, (long long)run->settle_ms, run->listen);
		return WEIR_EXIT_FAILED;
	}
	if (!run->url && run->events && result->received < run->events && !result->interrupted) {
		weir_cli_say("%llu of %llu events came", (unsigned long long)result->received,
			     (unsigned long long)run->events);
		return WEIR_EXIT_FAILED;
	}
	return WEIR_EXIT_OK;
}

static int report(const struct bench_options *options, const struct weir_bench_options *run,
		  const struct weir_bench_result *result)
{
	int code = WEIR_EXIT_OK;

	if (options->output && strcmp(options->output, "json") == 0) {
		if (weir_bench_print_json(stdout, run, result))
			return weir_cli_no_memory();
	} else {
		weir_bench_print(stdout, run, result);
	}
	if (options->csv)
		code = write_csv(options->csv, &result->series);
	return code ? code : judge(run, result);
}

static int64_t or_else(int64_t value_ms, int64_t fallback_ms)
{
	return value_ms ? value_ms : fallback_ms;
}

static int run_mode(const struct bench_options *options, enum mode mode, const char *url)
{
	struct weir_bench_options run = {
		.url = mode == DELIVER ? NULL : url,
		.ca_file = options->ca,
		.listen = mode == PUBLISH ? NULL : options->listen,
		.connections = (uint32_t)options->connections,
		.rate = options->rate,
		.events = options->events,
		.duration_ms = or_else(options->duration_ms, mode == DELIVER ? 0 : DEFAULT_DURATION_MS),
		.warmup_ms = mode == DELIVER ? 0 : or_else(options->warmup_ms, DEFAULT_WARMUP_MS),
		.settle_ms = or_else(options->settle_ms, DEFAULT_SETTLE_MS),
		.timeout_ms = or_else(options->timeout_ms, DEFAULT_TIMEOUT_MS),
		.body_bytes = options->size,
		.keys = options->keys,
		.copies = (unsigned)options->copies,
		.second = isatty(STDERR_FILENO) ? say_second : NULL,
	};
	struct weir_bench_result result;
	struct weir_error err = WEIR_ERROR_INIT;
	int code;

	block_signals();
	code = weir_bench_run(&run, &result, &err) ? weir_cli_fail(&err) : report(options, &run, &result);
	weir_bench_result_fini(&result);
	return code;
}

static int run(void *opaque, char *const *args, size_t arg_count)
{
	struct bench_options *options = opaque;
	struct weir_dynbuf url;
	enum mode mode;
	int code = find_mode(args[0], &mode);

	if (!code)
		code = check(options, mode, arg_count);
	if (code)
		return code;
	weir_dynbuf_init(&url, URL_MAX);
	if (mode != DELIVER)
		code = make_url(options, args[1], &url);
	if (!code)
		code = run_mode(options, mode, url.ptr);
	weir_dynbuf_fini(&url);
	return code;
}

#define FIELD(field) offsetof(struct bench_options, field)

static const struct weir_cli_option options[] = {
	{ "url", 0, WEIR_CLI_TEXT, "BASE", "the Weir to post to (the first address of dispatcher.listen)", FIELD(url) },
	{ "ca", 0, WEIR_CLI_TEXT, "FILE", "certificates to trust for an https:// BASE (the system's)", FIELD(ca) },
	{ "listen", 'l', WEIR_CLI_TEXT, "HOST:PORT", "take deliveries here; a subscription must post to it",
	  FIELD(listen) },
	{ "connections", 0, WEIR_CLI_UINT, "N", "post over N connections (64)", FIELD(connections) },
	{ "rate", 'r', WEIR_CLI_UINT, "N",
	  "events per second, due at fixed times (publish: as fast as answers come; latency: 1000)", FIELD(rate) },
	{ "events", 'n', WEIR_CLI_UINT, "N", "end after N events instead of after a time", FIELD(events) },
	{ "duration", 0, WEIR_CLI_DURATION, "DURATION", "how long to measure (10s; deliver: until a signal)",
	  FIELD(duration_ms) },
	{ "warmup", 0, WEIR_CLI_DURATION, "DURATION", "before that, run without measuring (1s)", FIELD(warmup_ms) },
	{ "settle", 0, WEIR_CLI_DURATION, "DURATION",
	  "at the end wait this long for the next delivery before the rest is missing (10s)", FIELD(settle_ms) },
	{ "timeout", 0, WEIR_CLI_DURATION, "DURATION", "of one request (10s)", FIELD(timeout_ms) },
	{ "size", 's', WEIR_CLI_UINT, "BYTES", "of each event's data (1024)", FIELD(size) },
	{ "keys", 'k', WEIR_CLI_UINT, "N", "give events N partition keys in turn (none)", FIELD(keys) },
	{ "copies", 0, WEIR_CLI_UINT, "N", "subscriptions that post to --listen: each event comes N times (1)",
	  FIELD(copies) },
	{ "csv", 0, WEIR_CLI_TEXT, "FILE", "write what happened in each second to FILE", FIELD(csv) },
	{ "output", 'o', WEIR_CLI_CHOICE, "text|json", "figures and charts, or one line of JSON (text)",
	  FIELD(output) },
	WEIR_CLI_CONFIG_OPTIONS(struct bench_options, config),
};

const struct weir_cmd weir_cmd_bench = {
	.name = "bench",
	.args = "publish|deliver|latency [NAMESPACE/NAME]",
	.summary = "Measure a Weir that runs: events per second, latencies, what is missing",
	.details = "publish posts to a channel and times the answers. deliver listens and counts what comes.\n"
		   "latency does both, follows each event, and times it from when it was due to its delivery.\n"
		   "Exit code 1 if events were refused or are missing, 69 if none was accepted.",
	.options = options,
	.option_count = sizeof options / sizeof options[0],
	.options_size = sizeof(struct bench_options),
	.min_args = 1,
	.max_args = 2,
	.run = run,
};
