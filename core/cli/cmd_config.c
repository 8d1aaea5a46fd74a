/* SPDX-License-Identifier: Apache-2.0 */
/* cli/cmd_config: is a configuration right, and what does it come to? */
#include "cli/cmd.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/check.h"
#include "cli/load.h"
#include "config/settings.h"

struct config_options {
	struct weir_cli_config config;
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
	printf("ok: %zu channel%s, %zu subscription%s, on", channel_count, channel_count == 1 ? "" : "s",
	       subscription_count, subscription_count == 1 ? "" : "s");
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
	weir_runtime_close(runtime, 0, NULL);
	weir_config_free(config);
	return code;
}

/* ---- the command --------------------------------------------------------- */

static int run(void *options, char *const *args, size_t arg_count)
{
	(void)arg_count;
	if (strcmp(args[0], "check") == 0)
		return check(options);
	return weir_cli_usage(&weir_cmd_config, "\"%s\" is not something it can do; it can check", args[0]);
}

static const struct weir_cli_option options_table[] = {
	WEIR_CLI_CONFIG_OPTIONS(struct config_options, config),
};

const struct weir_cmd weir_cmd_config = {
	.name = "config",
	.args = "check",
	.summary = "check a configuration",
	.details =
	    "check   runs everything that `weir serve` runs before it starts, tells every mistake, and ends with\n"
	    "        exit code 78 if there was one.\n",
	.options = options_table,
	.option_count = sizeof options_table / sizeof options_table[0],
	.options_size = sizeof(struct config_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
