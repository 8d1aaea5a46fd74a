/* SPDX-License-Identifier: Apache-2.0 */
/* cli/config_drivers: the drivers whose options `weir config` speaks of. */
#include "base/mem.h"
#include "cli/config_cmd.h"

static int load_all(weir_runtime *runtime, struct weir_cli_drivers *ret)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_driver_info info;
	size_t found = 0;

	while (weir_runtime_driver(runtime, found, &info) == WEIR_OK)
		found++;
	ret->tables = weir_mem_zalloc(found + 1, sizeof *ret->tables);
	if (!ret->tables)
		return weir_cli_no_memory();
	for (size_t i = 0; i < found && weir_runtime_driver(runtime, i, &info) == WEIR_OK; i++) {
		if (info.problem)
			weir_cli_say("%s", info.problem);
		else if (weir_runtime_load(runtime, info.kind, &ret->tables[ret->count], &err))
			weir_cli_say("%s", err.text);
		else
			ret->count++;
	}
	return WEIR_EXIT_OK;
}

int weir_cli_drivers_open(const struct weir_cli_config *from, struct weir_cli_drivers *ret)
{
	int code;

	*ret = (struct weir_cli_drivers){ .config = NULL };
	code = weir_cli_open(from, &ret->config, &ret->runtime);
	if (code)
		return code;
	code = load_all(ret->runtime, ret);
	if (code)
		weir_cli_drivers_close(ret);
	return code;
}

void weir_cli_drivers_close(struct weir_cli_drivers *drivers)
{
	weir_mem_free(drivers->tables);
	weir_cli_close(drivers->config, drivers->runtime);
}
