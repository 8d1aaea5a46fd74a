/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/policy.h"

#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "config/secret.h"

static int read_secrets(const char *path, struct weir_arena *arena, const char **ret, struct weir_error *err)
{
	const char *warning = NULL;
	char why[WEIR_WHY_SIZE];
	int code;

	*ret = NULL;
	if (!path)
		return WEIR_OK;
	code = weir_secret_read(path, arena, ret, &warning, why);
	if (code == WEIR_EINVAL)
		return weir_fail(err, code, "dispatcher.auth.tokenFile: %s", why);
	if (code)
		return weir_fail(err, code, "out of memory");
	if (warning)
		weir_log(WEIR_LOG_WARNING, "dispatcher.auth.tokenFile: %s", warning);
	return WEIR_OK;
}

int weir_policy_load(const weir_config *config, const struct weir_auth *before, struct weir_auth **ret,
		     struct weir_error *err)
{
	struct weir_auth_options options = {
		.issuer = weir_config_get(config, "dispatcher.auth.issuer"),
		.keys = weir_config_get(config, "dispatcher.auth.keys"),
		.audience = weir_config_get(config, "dispatcher.auth.audience"),
		.subjects = weir_config_get(config, "dispatcher.auth.subjects"),
		.leeway_ms = weir_config_get_duration(config, "dispatcher.auth.leeway"),
	};
	struct weir_arena arena;
	int code;

	weir_arena_init(&arena, 0);
	code = read_secrets(weir_config_get(config, "dispatcher.auth.tokenFile"), &arena, &options.secrets, err);
	if (!code)
		code = ret ? weir_auth_new(&options, before, ret, err) : weir_auth_check_options(&options, err);
	if (options.secrets)
		explicit_bzero((char *)(uintptr_t)options.secrets, strlen(options.secrets));
	weir_arena_fini(&arena);
	return code;
}
