/* SPDX-License-Identifier: Apache-2.0 */
/* cli/cmd_quarantine: what nobody took: looks at it, sends it on its way again, or takes it away. */
#include "cli/cmd.h"

#include <json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "cli/http.h"
#include "cli/load.h"
#include "cli/quarantine.h"

struct quarantine_options {
	struct weir_cli_config config;
	const char *ns, *channel, *subscription, *output, *admin;
	uint64_t count;
	bool all;
};

/* What is done with one file; the exit code. */
typedef int action_fn(struct weir_cli_quarantine *quarantine, const char *name);

struct walk {
	const struct quarantine_options *options;
	struct weir_cli_quarantine *quarantine;
	action_fn *act; /* NULL: lines are printed */
	uint64_t seen;
	int64_t until_ms; /* what is quarantined again meanwhile is not acted on again */
	int code;
};

/* ---- lines of a list ---------------------------------------------------------- */

static const char *member(json_object *line, const char *key)
{
	json_object *value = json_object_object_get(line, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "-";
}

static void print_pretty(json_object *line)
{
	printf("%s  %s  %s/%s  %s\n    %s  %s  %s\n    %s\n", member(line, "name"), member(line, "quarantined"),
	       member(line, "namespace"), member(line, "channel"), member(line, "subscription"), member(line, "id"),
	       member(line, "source"), member(line, "type"), member(line, "reason"));
}

static bool on_line(void *ctx, const char *text)
{
	struct walk *walk = ctx;
	json_object *line = json_tokener_parse(text);
	int code = WEIR_EXIT_OK;

	if (!json_object_is_type(line, json_type_object)) {
		json_object_put(line);
		weir_cli_say("the other side sent something that is no line about an event in quarantine");
		walk->code = WEIR_EXIT_FAILED;
		return false;
	}
	if (walk->act && strtoll(member(line, "name"), NULL, 10) > walk->until_ms) {
		json_object_put(line);
		return false;
	}
	if (walk->act)
		code = walk->act(walk->quarantine, member(line, "name"));
	else if (walk->options->output && strcmp(walk->options->output, "pretty") == 0)
		print_pretty(line);
	else
		puts(text);
	json_object_put(line);
	if (code)
		walk->code = code;
	walk->seen++;
	/* One event that cannot be replayed is no reason not to try the others; an end of everything is. */
	return code != WEIR_EXIT_UNAVAILABLE && (!walk->options->count || walk->seen < walk->options->count);
}

static int for_each(struct walk *walk)
{
	const struct weir_cli_quarantine_only only = { .ns = walk->options->ns,
						       .channel = walk->options->channel,
						       .subscription = walk->options->subscription };
	int code = weir_cli_quarantine_list(walk->quarantine, &only, on_line, walk);

	return code ? code : walk->code;
}

/* ---- the verbs ------------------------------------------------------------------ */

static int act_on_names(struct weir_cli_quarantine *quarantine, action_fn *act, char *const *names, size_t count)
{
	int result = WEIR_EXIT_OK;

	for (size_t i = 0; i < count; i++) {
		int code = act(quarantine, names[i]);

		if (code)
			result = code;
	}
	return result;
}

static int run_verb(const struct quarantine_options *options, struct weir_cli_quarantine *quarantine, const char *verb,
		    char *const *names, size_t count)
{
	struct walk walk = { .options = options, .quarantine = quarantine, .until_ms = weir_clock_wall_ms() };

	if (strcmp(verb, "ls") == 0)
		return for_each(&walk);
	if (strcmp(verb, "show") == 0)
		return act_on_names(quarantine, weir_cli_quarantine_show, names, count);
	walk.act = strcmp(verb, "replay") == 0 ? weir_cli_quarantine_replay : weir_cli_quarantine_drop;
	return options->all ? for_each(&walk) : act_on_names(quarantine, walk.act, names, count);
}

/* Names go into a URL as they are. */
static bool is_name(const char *text)
{
	return !text || !*text || !text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-")];
}

static int check(const struct quarantine_options *options, const char *verb, size_t names)
{
	static const char *const verbs[] = { "ls", "show", "replay", "drop" };
	bool known = false, lists = strcmp(verb, "ls") == 0;
	bool filtered = options->ns || options->channel || options->subscription || options->count;

	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		known |= strcmp(verb, verbs[i]) == 0;
	if (!known)
		return weir_cli_usage(&weir_cmd_quarantine, "there is no '%.40s'; ls, show, replay or drop", verb);
	if (lists && (names || options->all))
		return weir_cli_usage(&weir_cmd_quarantine, "ls takes neither names nor --all");
	if (strcmp(verb, "show") == 0 && (!names || options->all))
		return weir_cli_usage(&weir_cmd_quarantine, "show takes names, as ls tells them");
	if (!lists && !names == !options->all)
		return weir_cli_usage(&weir_cmd_quarantine, "%s takes names, as ls tells them, or --all", verb);
	if (!lists && !options->all && filtered)
		return weir_cli_usage(&weir_cmd_quarantine, "what narrows a list goes with ls and --all");
	if (!is_name(options->ns) || !is_name(options->channel) || !is_name(options->subscription))
		return weir_cli_usage(&weir_cmd_quarantine, "a name has a-z, 0-9, '-' and '.' only");
	if (options->admin && strncmp(options->admin, "http://", 7) != 0 && strncmp(options->admin, "https://", 8) != 0)
		return weir_cli_usage(&weir_cmd_quarantine,
				      "--admin wants an address that begins with http:// or https://");
	return WEIR_EXIT_OK;
}

static int run(void *opaque, char *const *args, size_t arg_count)
{
	const struct quarantine_options *options = opaque;
	struct weir_cli_quarantine *quarantine;
	int code = check(options, args[0], arg_count - 1);

	if (!code)
		code = weir_cli_quarantine_open(&options->config, options->admin, &quarantine);
	if (code)
		return code;
	code = run_verb(options, quarantine, args[0], args + 1, arg_count - 1);
	weir_cli_quarantine_close(quarantine);
	return code;
}

#define FIELD(field) offsetof(struct quarantine_options, field)

static const struct weir_cli_option options[] = {
	{ "namespace", 0, WEIR_CLI_TEXT, "NS", "only events of channels in this namespace", FIELD(ns) },
	{ "channel", 0, WEIR_CLI_TEXT, "NAME", "only events of channels with this name", FIELD(channel) },
	{ "subscription", 0, WEIR_CLI_TEXT, "NAME", "only events of subscriptions with this name",
	  FIELD(subscription) },
	{ "count", 'n', WEIR_CLI_UINT, "N", "the N oldest at most", FIELD(count) },
	{ "all", 0, WEIR_CLI_FLAG, NULL, "replay or drop all that the options above leave", FIELD(all) },
	{ "output", 'o', WEIR_CLI_CHOICE, "json|pretty", "one JSON object per line, or text for people (json)",
	  FIELD(output) },
	{ "admin", 0, WEIR_CLI_TEXT, "BASE", "ask the Weir whose admin port is at BASE", FIELD(admin) },
	WEIR_CLI_CONFIG_OPTIONS(struct quarantine_options, config),
};

const struct weir_cmd weir_cmd_quarantine = {
	.name = "quarantine",
	.args = "ls|show|replay|drop [NAME]...",
	.summary = "Look at events that nobody took, deliver them again, or drop them",
	.details = "A running `weir serve` is asked through the first address of dispatcher.admin. If there is none,\n"
		   "the folder of the configuration is looked into; then nothing can be replayed.\n"
		   "replay gives an event to its subscription once more, in its turn, and takes it out of\n"
		   "quarantine when the channel has persisted it.",
	.options = options,
	.option_count = sizeof options / sizeof options[0],
	.options_size = sizeof(struct quarantine_options),
	.min_args = 1,
	.max_args = 1000,
	.run = run,
};
