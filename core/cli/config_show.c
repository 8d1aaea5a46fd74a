/* SPDX-License-Identifier: Apache-2.0 */
/* cli/config_show: what a configuration comes to, and where each value is from. */
#include <stdio.h>

#include "base/mem.h"
#include "cli/config_cmd.h"
#include "config/listing.h"

static int out_of_memory(void)
{
	weir_cli_say("out of memory");
	return WEIR_EXIT_FAILED;
}

int weir_cli_drivers_load(weir_runtime *runtime, struct weir_cli_drivers *ret)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_driver_info info;
	size_t found = 0;

	while (weir_runtime_driver(runtime, found, &info) == WEIR_OK)
		found++;
	*ret = (struct weir_cli_drivers){ weir_mem_zalloc(found + 1, sizeof *ret->tables), 0 };
	if (!ret->tables)
		return out_of_memory();
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

static void print(const struct weir_listing *listing, bool origin)
{
	for (size_t i = 0; i < listing->count; i++) {
		const struct weir_listed *item = &listing->items[i];

		if (origin)
			printf("%s = %s  # %s\n", item->key, item->text, item->origin);
		else
			printf("%s = %s\n", item->key, item->text);
	}
}

static int show(const weir_config *config, const struct weir_cli_drivers *drivers, bool origin)
{
	struct weir_listing listing;
	int code = weir_config_list(config, drivers->tables, drivers->count, &listing);

	if (!code)
		print(&listing, origin);
	weir_listing_fini(&listing);
	return code ? out_of_memory() : WEIR_EXIT_OK;
}

int weir_cli_config_show(const struct weir_cli_config *from, bool origin)
{
	struct weir_cli_drivers drivers;
	weir_runtime *runtime;
	weir_config *config;
	int code = weir_cli_open(from, &config, &runtime);

	if (code)
		return code;
	code = weir_cli_drivers_load(runtime, &drivers);
	if (!code)
		code = show(config, &drivers, origin);
	weir_mem_free(drivers.tables);
	weir_runtime_close(runtime, 0, NULL);
	weir_config_free(config);
	return code;
}
