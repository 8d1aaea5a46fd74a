/* SPDX-License-Identifier: Apache-2.0 */
/* cli/cmd_tail: writes a channel's events as they come. */
#include "cli/cmd.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "cli/http.h"
#include "cli/load.h"
#include "cli/tail.h"
#include "config/forms.h"

struct tail_options {
	struct weir_cli_config config;
	const char *from, *group, *output, *admin;
	uint64_t count;
	int64_t timeout_ms;
	bool forget;
};

/* The backend belongs to another process, most likely a running `weir serve` with the same configuration. */
static int ask_its_owner(struct weir_tail *tail, const weir_config *config, const struct weir_error *busy)
{
	char base[256];

	if (!weir_cli_http_base(weir_config_get(config, "dispatcher.admin"), base, sizeof base))
		return weir_cli_fail(busy);
	if (tail->group) {
		weir_cli_fail(busy);
		weir_cli_say("while it runs, --group cannot be used: leave it out to look on through its admin port");
		return WEIR_EXIT_UNAVAILABLE;
	}
	return weir_tail_admin(tail, base, true);
}

static int open_channel(struct weir_tail *tail, const weir_config *config, weir_runtime *runtime)
{
	struct weir_error err = WEIR_ERROR_INIT;
	weir_channel *channel;
	int code = weir_channel_open(runtime, tail->channel.ns, tail->channel.name, NULL, &channel, &err);

	if (code == WEIR_EBUSY)
		return ask_its_owner(tail, config, &err);
	if (code)
		return weir_cli_fail(&err);
	code = weir_tail_channel(tail, channel);
	weir_channel_close(channel);
	return code;
}

static int tail_here(struct weir_tail *tail, const struct weir_cli_config *from)
{
	weir_config *config;
	weir_runtime *runtime;
	int code = weir_cli_open(from, &config, &runtime);

	if (code)
		return code;
	code = open_channel(tail, config, runtime);
	weir_cli_close(config, runtime);
	return code;
}

/* With --count, fewer events are a failure that a script can see. */
static int judge(const struct weir_tail *tail, int code)
{
	if (code || !tail->count || tail->seen >= tail->count)
		return code;
	weir_cli_say("%llu of %llu events came", (unsigned long long)tail->seen, (unsigned long long)tail->count);
	return WEIR_EXIT_FAILED;
}

static int check(const struct tail_options *options)
{
	const char *wrong;

	if (options->admin && strncmp(options->admin, "http://", 7) != 0 && strncmp(options->admin, "https://", 8) != 0)
		return weir_cli_usage(&weir_cmd_tail, "--admin wants an address that begins with http:// or https://");
	if (options->admin && options->group)
		return weir_cli_usage(&weir_cmd_tail, "--group cannot be had through an admin port");
	if (options->forget && !options->group)
		return weir_cli_usage(&weir_cmd_tail, "--forget wants --group");
	if (options->group && (wrong = weir_form_check(WEIR_FORM_UID, weir_str(options->group))))
		return weir_cli_usage(&weir_cmd_tail, "--group %s", wrong);
	return WEIR_EXIT_OK;
}

static int run(void *opaque, char *const *args, size_t arg_count)
{
	const struct tail_options *options = opaque;
	struct weir_tail tail = {
		.group = options->group,
		.forget = options->forget,
		.earliest = options->from && strcmp(options->from, "earliest") == 0,
		.pretty = options->output && strcmp(options->output, "pretty") == 0,
		.count = options->count,
		.deadline_ns = WEIR_NS_NEVER,
	};
	int code = check(options);

	(void)arg_count;
	if (!code)
		code = weir_cli_channel(&weir_cmd_tail, args[0], &tail.channel);
	if (code)
		return code;
	if (options->timeout_ms)
		tail.deadline_ns = weir_clock_after_ms(weir_clock_now_ns(), options->timeout_ms);
	if (weir_event_new(&tail.event))
		return weir_cli_no_memory();
	code = options->admin ? weir_tail_admin(&tail, options->admin, false) : tail_here(&tail, &options->config);
	weir_event_free(tail.event);
	return judge(&tail, code);
}

#define FIELD(field) offsetof(struct tail_options, field)

static const struct weir_cli_option options[] = {
	{ "from", 0, WEIR_CLI_CHOICE, "latest|earliest", "where to start (latest)", FIELD(from) },
	{ "group", 'g', WEIR_CLI_TEXT, "NAME", "keep the position under this name, and go on from there next time",
	  FIELD(group) },
	{ "forget", 0, WEIR_CLI_FLAG, NULL,
	  "with --group: forget the position at the end, also one that `weir serve` left", FIELD(forget) },
	{ "count", 'n', WEIR_CLI_UINT, "N", "end after N events; exit code 1 if fewer came", FIELD(count) },
	{ "timeout", 0, WEIR_CLI_DURATION, "DURATION", "end after this long", FIELD(timeout_ms) },
	{ "output", 'o', WEIR_CLI_CHOICE, "json|pretty", "one CloudEvent per line, or text for people (json)",
	  FIELD(output) },
	{ "admin", 0, WEIR_CLI_TEXT, "BASE", "read through the admin port of the Weir at BASE", FIELD(admin) },
	WEIR_CLI_CONFIG_OPTIONS(struct tail_options, config),
};

const struct weir_cmd weir_cmd_tail = {
	.name = "tail",
	.args = "NAMESPACE/NAME",
	.summary = "Write a channel's events as they come",
	.details = "An event is acknowledged after it was written. Without --group the subscription is forgotten\n"
		   "at the end. While another process, such as `weir serve`, has the channel's backend open,\n"
		   "events are read through the first address of dispatcher.admin instead.",
	.options = options,
	.option_count = sizeof options / sizeof options[0],
	.options_size = sizeof(struct tail_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
