/* SPDX-License-Identifier: Apache-2.0 */
/* cli/cmd_config: is a configuration right, and what does it come to? */
#include "cli/cmd.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/check.h"
#include "cli/config_cmd.h"
#include "cli/load.h"
#include "config/settings.h"

struct config_options {
	struct weir_cli_config config;
	bool origin, markdown;
};

/* ---- check --------------------------------------------------------------- */

static size_t count_subscriptions(const struct weir_channel_settings *channels, size_t count)
{
	size_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += channels[i].subscription_count;
	return sum;
}

/* "ok: 2 channels, 3 subscriptions, on InMemoryChannel" */
static int print_summary(const weir_config *config)
{
	const struct weir_channel_settings *channels;
	size_t channel_count = weir_config_channels(config, &channels), kind_count;
	size_t subscription_count = count_subscriptions(channels, channel_count);
	const char **kinds;
	int code = weir_cli_kinds(config, &kinds, &kind_count);

	if (code)
		return code;
	if (channel_count)
		printf("ok: %zu channel%s, %zu subscription%s, on", channel_count, channel_count == 1 ? "" : "s",
		       subscription_count, subscription_count == 1 ? "" : "s");
	else
		printf("ok: no channels, so default/default it is, on");
	for (size_t i = 0; i < kind_count; i++)
		printf("%s %s", i ? "," : "", kinds[i]);
	putchar('\n');
	weir_mem_free(kinds);
	return WEIR_EXIT_OK;
}

static int check(const struct config_options *options)
{
	weir_config *config;
	weir_runtime *runtime;
	int code = weir_cli_open(&options->config, &config, &runtime);

	if (code)
		return code;
	code = weir_cli_check(config, runtime);
	if (!code)
		code = print_summary(config);
	weir_cli_close(config, runtime);
	return code;
}

/* ---- the command --------------------------------------------------------- */

static int run(void *options, char *const *args, size_t arg_count)
{
	const struct config_options *from = options;
	const char *verb = args[0], *key = arg_count > 1 ? args[1] : NULL;

	if (strcmp(verb, "plan") == 0)
		return key ? weir_cli_config_plan(&from->config, key)
			   : weir_cli_usage(&weir_cmd_config, "plan takes the FILE to go over to");
	if (key && strcmp(verb, "explain") != 0)
		return weir_cli_usage(&weir_cmd_config, "only explain takes a key");
	if (from->origin && strcmp(verb, "show") != 0)
		return weir_cli_usage(&weir_cmd_config, "--origin belongs to show");
	if (from->markdown && (key || strcmp(verb, "explain") != 0))
		return weir_cli_usage(&weir_cmd_config, "--markdown belongs to explain without a key");
	if (strcmp(verb, "check") == 0)
		return check(from);
	if (strcmp(verb, "show") == 0)
		return weir_cli_config_show(&from->config, from->origin);
	if (strcmp(verb, "explain") == 0)
		return weir_cli_config_explain(&from->config, key, from->markdown);
	if (strcmp(verb, "schema") == 0)
		return weir_cli_config_schema(&from->config);
	return weir_cli_usage(&weir_cmd_config, "what to do is one of check, show, explain, schema, plan");
}

static const struct weir_cli_option options_table[] = {
	WEIR_CLI_CONFIG_OPTIONS(struct config_options, config),
	{ "origin", 0, WEIR_CLI_FLAG, NULL, "with show: also where each value came from",
	  offsetof(struct config_options, origin) },
	{ "markdown", 0, WEIR_CLI_FLAG, NULL, "with explain: all keys as rows of a table",
	  offsetof(struct config_options, markdown) },
};

const struct weir_cmd weir_cmd_config = {
	.name = "config",
	.args = "check|show|explain|schema|plan [KEY|FILE]",
	.summary = "Check a configuration, show what it comes to, explain keys, plan a reload",
	.details = "check    runs everything that `weir serve` runs before it opens backends and ports, tells every\n"
		   "         mistake, and ends with exit code 78 if there was one\n"
		   "show     prints every effective key and value; secrets are not shown\n"
		   "explain  tells what KEY means and takes; without KEY, all keys with a line each\n"
		   "schema   prints a JSON Schema for editors, drivers' keys included\n"
		   "plan     tells what a `weir serve` with the files of -c would change if FILE took their place;\n"
		   "         exit code 0: a reload applies it, 1: it needs a restart, 78: FILE is wrong",
	.options = options_table,
	.option_count = sizeof options_table / sizeof options_table[0],
	.options_size = sizeof(struct config_options),
	.min_args = 1,
	.max_args = 2,
	.run = run,
};
