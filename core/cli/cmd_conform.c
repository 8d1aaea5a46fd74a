/* SPDX-License-Identifier: Apache-2.0 */
/* cli/cmd_conform: judges a driver against the cases of core/conform. */
#include "cli/cmd.h"

#include <errno.h>
#include <fnmatch.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "channel/find.h"
#include "cli/caps.h"
#include "cli/load.h"
#include "conform/harness.h"
#include "conform/report.h"

enum { PATH_ROOM = 4096, HARNESS_SETTINGS = 16, HARNESS_LINES = 4096, HARNESS_MS = 180000 };

struct conform_options {
	struct weir_cli_config config;
	struct weir_cli_list cases;
	const char *level, *scale, *json, *junit, *harness;
	uint64_t seed;
	bool tap, list, faults, quiet, verbose;
};

struct conform_run {
	const struct conform_options *options;
	weir_config *config;
	weir_runtime *runtime;
	struct weir_found_list found;
	struct weir_target target;
	struct weir_run_probe probe;
	struct weir_report report;
	struct weir_proxy proxy;
	char harness_lines[HARNESS_LINES]; /* what `up` printed; cut into words */
	const char *harness_settings[HARNESS_SETTINGS];
	size_t harness_setting_count;
	const char *harness_address;
	char broker[160];
	char kind[64];
	char setting[PATH_ROOM + 128]; /* "drivers.kinds.KIND=PATH" */
};

/* ---- what is judged ------------------------------------------------------ */

/* Each line of what `up` printed. */
static void take_line(struct conform_run *run, char *line)
{
	if (strncmp(line, "address ", 8) == 0)
		run->harness_address = line + 8;
	else if (strncmp(line, "setting ", 8) == 0 && run->harness_setting_count < HARNESS_SETTINGS)
		run->harness_settings[run->harness_setting_count++] = line + 8;
}

static int harness_failed(const char *verb, int status)
{
	weir_cli_say("the harness failed at '%s' with status %d", verb, status);
	return WEIR_EXIT_UNAVAILABLE;
}

/* Starts the server, and the proxy in front of it. */
static int harness_up(struct conform_run *run)
{
	const char *program = run->options->harness, *args[WEIR_HARNESS_ARGS] = { NULL };
	int64_t deadline_ns = weir_clock_now_ns() + HARNESS_MS * WEIR_NS_PER_MS;
	char port[16], *rest = run->harness_lines, *line;
	int status;

	if (weir_proxy_listen(&run->proxy) < 0) {
		weir_cli_say("cannot listen on a port of loopback: %s", strerror(errno));
		return WEIR_EXIT_FAILED;
	}
	status = weir_harness_run(program, "about", args, NULL, run->broker, sizeof run->broker, deadline_ns);
	if (status)
		return harness_failed("about", status);
	run->broker[strcspn(run->broker, "\n")] = '\0';
	snprintf(port, sizeof port, "%u", run->proxy.port);
	args[0] = port;
	status =
	    weir_harness_run(program, "up", args, NULL, run->harness_lines, sizeof run->harness_lines, deadline_ns);
	if (status)
		return harness_failed("up", status);
	while ((line = strsep(&rest, "\n")))
		take_line(run, line);
	if (run->harness_address && weir_proxy_start(&run->proxy, run->harness_address) < 0) {
		weir_cli_say("the proxy cannot be started towards %s", run->harness_address);
		return WEIR_EXIT_FAILED;
	}
	run->target.proxy = &run->proxy;
	return WEIR_EXIT_OK;
}

static void harness_down(struct conform_run *run)
{
	int status = weir_harness_run(run->options->harness, "down", NULL, NULL, NULL, 0,
				      weir_clock_now_ns() + HARNESS_MS * WEIR_NS_PER_MS);

	if (status)
		harness_failed("down", status);
	weir_proxy_stop(&run->proxy);
}

/* A path is a driver's file: its note says for which kind, and the configuration gets to know it. */
static int take_path(struct conform_run *run, struct weir_cli_config *config, const char *path)
{
	struct weir_error err = WEIR_ERROR_INIT;
	char full[PATH_ROOM];
	struct weir_note note;
	int fd, code;

	if (!realpath(path, full)) {
		weir_fail(&err, WEIR_ENOTFOUND, "driver %s: %s", path, strerror(errno));
		return weir_cli_fail(&err);
	}
	code = weir_find_open(full, true, &fd, &err);
	if (code)
		return weir_cli_fail(&err);
	code = weir_note_read(fd, full, &note, &err);
	close(fd);
	if (code)
		return weir_cli_fail(&err);
	snprintf(run->kind, sizeof run->kind, "%s", note.kind);
	snprintf(run->setting, sizeof run->setting, "drivers.kinds.%s=%s", note.kind, full);
	config->settings.items[config->settings.count++] = run->setting;
	return WEIR_EXIT_OK;
}

static int take_driver(struct conform_run *run, const char *word)
{
	struct weir_cli_config config = run->options->config;
	size_t count = config.settings.count;
	int code = WEIR_EXIT_OK;

	/* Room for the harness's, which come first, and one more. */
	config.settings.items = weir_mem_zalloc(run->harness_setting_count + count + 1, sizeof *config.settings.items);
	if (!config.settings.items)
		return weir_cli_no_memory();
	for (size_t i = 0; i < run->harness_setting_count; i++)
		config.settings.items[i] = run->harness_settings[i];
	config.settings.count += run->harness_setting_count;
	if (count)
		memcpy(config.settings.items + run->harness_setting_count, run->options->config.settings.items,
		       count * sizeof *config.settings.items);
	if (strchr(word, '/') || strstr(word, ".so"))
		code = take_path(run, &config, word);
	else
		snprintf(run->kind, sizeof run->kind, "%s", word);
	if (!code)
		code = weir_cli_open(&config, &run->config, &run->runtime);
	weir_mem_free(config.settings.items);
	return code;
}

static int find_driver(struct conform_run *run)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_found *found;

	if (weir_find(run->config, &run->found, &err))
		return weir_cli_fail(&err);
	found = weir_find_kind(run->config, &run->found, run->kind, &err);
	if (!found)
		return weir_cli_fail(&err);
	if (found->problem)
		return weir_cli_fail(&found->error);
	run->target.config = run->config;
	run->target.found = found;
	run->target.allow_unsafe = run->found.allow_unsafe;
	return WEIR_EXIT_OK;
}

/* ---- options ------------------------------------------------------------- */

static int read_scale(const struct weir_cmd *cmd, struct conform_run *run)
{
	char *end = NULL;

	run->target.scale = run->options->scale ? strtod(run->options->scale, &end) : 1;
	if (end && (*end || end == run->options->scale))
		run->target.scale = 0;
	if (!(run->target.scale >= 0.01 && run->target.scale <= 1000))
		return weir_cli_usage(cmd, "--time-scale is a number from 0.01 to 1000");
	return WEIR_EXIT_OK;
}

static enum weir_level read_level(const char *word)
{
	if (word && strcmp(word, "should") == 0)
		return WEIR_SHOULD;
	return word && strcmp(word, "may") == 0 ? WEIR_MAY : WEIR_MUST;
}

static int prepare_target(const struct weir_cmd *cmd, struct conform_run *run)
{
	struct weir_target *target = &run->target;
	const char *temporary = getenv("TMPDIR");
	int code = read_scale(cmd, run);

	if (code)
		return code;
	target->seed = run->options->seed;
	target->harness = run->options->harness;
	target->verbose = run->options->verbose;
	if (getrandom(&target->run, sizeof target->run, 0) != sizeof target->run)
		target->run = (uint64_t)weir_clock_now_ns();
	target->run &= 0xffffffffff;
	if (!target->seed)
		target->seed = target->run % 1000000 + 1;
	snprintf(target->folder, sizeof target->folder, "%s/weir-conform-XXXXXX",
		 temporary && strlen(temporary) < 32 ? temporary : "/tmp");
	if (!mkdtemp(target->folder)) {
		weir_cli_say("cannot make a folder %s: %s", target->folder, strerror(errno));
		return WEIR_EXIT_FAILED;
	}
	return WEIR_EXIT_OK;
}

static bool selected(const struct conform_options *options, const struct weir_conform_case *conform_case)
{
	bool named = options->cases.count == 0;

	for (size_t i = 0; i < options->cases.count && !named; i++)
		named = fnmatch(options->cases.items[i], conform_case->id, 0) == 0;
	if (options->level && conform_case->level > read_level(options->level))
		return false;
	if (options->cases.count == 0)
		return options->faults == ((conform_case->flags & WEIR_CASE_FAULTS) != 0);
	return named;
}

/* ---- running ------------------------------------------------------------- */

static size_t all_cases(void)
{
	size_t count = 0;

	for (size_t g = 0; g < weir_conform_group_count; g++)
		count += weir_conform_groups[g]->count;
	return count;
}

static void run_cases(struct conform_run *run)
{
	struct weir_report *report = &run->report;
	int64_t start_ns = weir_clock_now_ns();

	for (size_t g = 0; g < weir_conform_group_count; g++) {
		const struct weir_conform_group *group = weir_conform_groups[g];

		for (size_t i = 0; i < group->count; i++) {
			if (!selected(run->options, &group->cases[i]))
				continue;
			weir_run_case(&run->target, &run->probe, group, &group->cases[i],
				      run->options->faults || run->options->cases.count,
				      &report->results[report->count]);
			if (!run->options->quiet)
				weir_report_progress(stderr, &report->results[report->count]);
			report->count++;
		}
	}
	report->took_ms = (weir_clock_now_ns() - start_ns) / WEIR_NS_PER_MS;
}

static int probe_failed(const struct weir_run_probe *probe)
{
	struct weir_error err = WEIR_ERROR_INIT;

	weir_fail(&err, probe->code, "%s", probe->error[0] ? probe->error : weir_code_text(probe->code));
	return weir_cli_fail(&err);
}

/* ---- reports ------------------------------------------------------------- */

static int write_file(const char *path, const struct weir_report *report,
		      void (*write)(FILE *to, const struct weir_report *report))
{
	bool standard = strcmp(path, "-") == 0;
	FILE *to = standard ? stdout : fopen(path, "we");
	bool failed = !to;

	if (to) {
		write(to, report);
		failed = fflush(to) != 0 || ferror(to);
		if (!standard)
			failed = fclose(to) != 0 || failed;
	}
	if (failed)
		weir_cli_say("cannot write %s: %s", path, strerror(errno));
	return failed ? WEIR_EXIT_FAILED : WEIR_EXIT_OK;
}

static void write_json(FILE *to, const struct weir_report *report)
{
	if (weir_report_json(to, report))
		weir_cli_no_memory();
}

static int write_reports(struct conform_run *run)
{
	const struct conform_options *options = run->options;
	int code = weir_report_passed(&run->report) ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
	int written = WEIR_EXIT_OK;

	if (options->tap)
		weir_report_tap(stdout, &run->report);
	else if ((!options->json || strcmp(options->json, "-") != 0) &&
		 (!options->junit || strcmp(options->junit, "-") != 0))
		weir_report_table(stdout, &run->report);
	if (options->json)
		written = write_file(options->json, &run->report, write_json);
	if (!written && options->junit)
		written = write_file(options->junit, &run->report, weir_report_junit);
	return code ? code : written;
}

static int judge(struct conform_run *run)
{
	run->report = (struct weir_report){ .target = &run->target,
					    .probe = &run->probe,
					    .path = run->target.found->path,
					    .broker = run->broker,
					    .cap_name = weir_cli_cap_name,
					    .required = read_level(run->options->level) };
	run->report.results = weir_mem_zalloc(all_cases(), sizeof *run->report.results);
	if (!run->report.results)
		return weir_cli_no_memory();
	weir_run_probe(&run->target, &run->probe);
	if (run->probe.code)
		return probe_failed(&run->probe);
	run_cases(run);
	if (run->report.count)
		return write_reports(run);
	weir_cli_say("no case has that name and level; 'weir conform --list' shows all");
	return WEIR_EXIT_USAGE;
}

/* ---- the command --------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	(void)info;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int judge_driver(const struct weir_cmd *cmd, struct conform_run *run, const char *word)
{
	int code = take_driver(run, word);

	if (code)
		return code;
	code = find_driver(run);
	if (!code)
		code = prepare_target(cmd, run);
	if (!code) {
		code = judge(run);
		nftw(run->target.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	}
	weir_mem_free(run->report.results);
	weir_find_fini(&run->found);
	weir_cli_close(run->config, run->runtime);
	return code;
}

static int run_conform(const struct weir_cmd *cmd, struct conform_run *run, const char *word)
{
	int code;

	if (!run->options->harness)
		return judge_driver(cmd, run, word);
	code = harness_up(run);
	if (!code)
		code = judge_driver(cmd, run, word);
	harness_down(run);
	return code;
}

static int run(void *opaque, char *const *args, size_t arg_count)
{
	const struct conform_options *options = opaque;
	struct conform_run *run;
	int code;

	if (options->list) {
		weir_report_cases(stdout);
		return WEIR_EXIT_OK;
	}
	if (!arg_count)
		return weir_cli_usage(&weir_cmd_conform, "a kind, or the path of a driver, is needed");
	run = weir_mem_zalloc(1, sizeof *run);
	if (!run)
		return weir_cli_no_memory();
	run->options = options;
	code = run_conform(&weir_cmd_conform, run, args[0]);
	weir_mem_free(run);
	return code;
}

static const struct weir_cli_option options[] = {
	{ "case", 0, WEIR_CLI_LIST, "GLOB", "only cases with such a name, 'PUB-*'; may be repeated",
	  offsetof(struct conform_options, cases) },
	{ "level", 0, WEIR_CLI_CHOICE, "must|should|may",
	  "run and require cases up to this level; default: run all, require must",
	  offsetof(struct conform_options, level) },
	{ "faults", 0, WEIR_CLI_FLAG, NULL, "the cases that break things, with the harness, instead of the others",
	  offsetof(struct conform_options, faults) },
	{ "harness", 0, WEIR_CLI_TEXT, "PROGRAM", "what controls the server, see weir/harness.h",
	  offsetof(struct conform_options, harness) },
	{ "seed", 0, WEIR_CLI_UINT, "N", "for what is random; default: another one each time",
	  offsetof(struct conform_options, seed) },
	{ "time-scale", 0, WEIR_CLI_TEXT, "X", "multiply every deadline by X, for slow machines",
	  offsetof(struct conform_options, scale) },
	{ "tap", 0, WEIR_CLI_FLAG, NULL, "write TAP to standard output, not the table",
	  offsetof(struct conform_options, tap) },
	{ "json", 0, WEIR_CLI_TEXT, "FILE", "write a report as JSON; '-' is standard output",
	  offsetof(struct conform_options, json) },
	{ "junit", 0, WEIR_CLI_TEXT, "FILE", "write a report as JUnit XML; '-' is standard output",
	  offsetof(struct conform_options, junit) },
	{ "list", 0, WEIR_CLI_FLAG, NULL, "list the cases", offsetof(struct conform_options, list) },
	{ "quiet", 'q', WEIR_CLI_FLAG, NULL, "no progress", offsetof(struct conform_options, quiet) },
	{ "verbose", 'v', WEIR_CLI_FLAG, NULL, "show what the driver logs", offsetof(struct conform_options, verbose) },
	WEIR_CLI_CONFIG_OPTIONS(struct conform_options, config),
};

const struct weir_cmd weir_cmd_conform = {
	.name = "conform",
	.args = "KIND|PATH.so",
	.summary = "Judge whether a driver keeps the contract",
	.details = "Each case runs in a process of its own, on topics of its own. In settings, {case} stands for the\n"
		   "case, {run} for the run and {n} for the instance; a store whose path is not set gets a temporary\n"
		   "folder. Exit code 0: everything required passed; 1: something did not.",
	.options = options,
	.option_count = sizeof options / sizeof options[0],
	.options_size = sizeof(struct conform_options),
	.max_args = 1,
	.run = run,
};
