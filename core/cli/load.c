/* SPDX-License-Identifier: Apache-2.0 */
/* cli/load: the configuration and the runtime, as every command that opens a channel has them. */
#include "cli/load.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/check.h"
#include "cli/cmd.h"
#include "config/forms.h"
#include "config/secret.h"
#include "config/settings.h"

enum { DRIVERS_MAX = 256, CLOSE_MS = 5000 };

/* ---- configuration ------------------------------------------------------- */

static int add_layers(weir_config *config, const struct weir_cli_config *from)
{
	int code = WEIR_OK;

	for (size_t i = 0; i < from->files.count && !code; i++)
		code = weir_config_add_file(config, from->files.items[i]);
	if (!code)
		code = weir_config_add_environment(config, environ);
	for (size_t i = 0; i < from->settings.count && !code; i++)
		code = weir_config_add_setting(config, from->settings.items[i]);
	return code;
}

/* All layers, resolved. *wrong: it has problems, which are not said yet. 0, or the exit code. */
static int load(const struct weir_cli_config *from, weir_config **ret, bool *wrong)
{
	struct weir_error err = WEIR_ERROR_INIT;
	weir_config *config;
	int code;

	*wrong = false;
	if (weir_config_new(&config))
		return weir_cli_no_memory();
	code = add_layers(config, from);
	if (!code)
		code = weir_config_load(config, &err);
	*wrong = code == WEIR_EINVAL;
	if (code && !*wrong) {
		weir_config_free(config);
		return weir_cli_no_memory();
	}
	*ret = config;
	return WEIR_EXIT_OK;
}

/* ---- runtime ------------------------------------------------------------- */

static void log_line(void *ctx, int level, const char *text)
{
	(void)ctx;
	weir_log(level, "%s", text);
}

/* A section for a driver that is not there, or a mistyped one, is found only now. */
static bool check_sections(weir_config *config, const weir_runtime *runtime)
{
	const char *names[DRIVERS_MAX];
	struct weir_driver_info info;
	size_t count = 0;

	for (size_t i = 0; count < DRIVERS_MAX && weir_runtime_driver(runtime, i, &info) == WEIR_OK; i++) {
		if (info.name && info.name[0])
			names[count++] = info.name;
	}
	return weir_config_check_sections(config, names, count, NULL) == WEIR_OK;
}

/* A core file would hold them, and goes where nobody looks after it. Once they were there, they may be anywhere. */
static void keep_out_of_core_files(const weir_config *config)
{
	if (weir_config_holds_secrets(config))
		prctl(PR_SET_DUMPABLE, 0);
}

int weir_cli_read(const struct weir_cli_config *from, weir_config **ret_config, weir_runtime **ret_runtime, bool *wrong)
{
	struct weir_error err = WEIR_ERROR_INIT;
	int code = load(from, ret_config, wrong);

	if (code)
		return code;
	if (weir_runtime_open(*ret_config, log_line, NULL, ret_runtime, &err)) {
		weir_config_free(*ret_config);
		return weir_cli_fail(&err);
	}
	*wrong |= !check_sections(*ret_config, *ret_runtime);
	keep_out_of_core_files(*ret_config);
	return WEIR_EXIT_OK;
}

int weir_cli_open(const struct weir_cli_config *from, weir_config **ret_config, weir_runtime **ret_runtime)
{
	weir_config *config;
	weir_runtime *runtime;
	bool wrong;
	int code = weir_cli_read(from, &config, &runtime, &wrong);

	if (code)
		return code;
	if (wrong) {
		/* Drivers and URLs are looked at all the same, so that every mistake is told at once. */
		code = weir_cli_check(config, runtime);
		weir_cli_close(config, runtime);
		return code ? code : WEIR_EXIT_CONFIG;
	}
	*ret_config = config;
	*ret_runtime = runtime;
	return WEIR_EXIT_OK;
}

void weir_cli_close(weir_config *config, weir_runtime *runtime)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (weir_runtime_close(runtime, weir_clock_after_ms(weir_clock_now_ns(), CLOSE_MS), &err))
		weir_cli_say("%s", err.text);
	weir_config_free(config);
}

/* ---- NS/NAME ------------------------------------------------------------- */

int weir_cli_channel(const struct weir_cmd *cmd, const char *word, struct weir_cli_channel *ret)
{
	struct weir_buf name = weir_str(word), ns;
	const char *wrong;

	weir_str_split(&name, '/', &ns);
	if (!name.ptr)
		return weir_cli_usage(cmd, "a channel is written NAMESPACE/NAME");
	wrong = weir_form_check(WEIR_FORM_LABEL, ns);
	if (!wrong)
		wrong = weir_form_check(WEIR_FORM_NAME, name);
	if (wrong)
		return weir_cli_usage(cmd, "\"%s\" %s", word, wrong);
	snprintf(ret->ns, sizeof ret->ns, "%.*s", (int)ns.len, (const char *)ns.ptr);
	snprintf(ret->name, sizeof ret->name, "%s", (const char *)name.ptr);
	return WEIR_EXIT_OK;
}
