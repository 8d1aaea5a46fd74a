/* SPDX-License-Identifier: Apache-2.0 */
/* cli/config_show: what a configuration comes to, and where each value is from. */
#include <stdio.h>

#include "cli/config_cmd.h"
#include "config/listing.h"

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

static int show(const struct weir_cli_drivers *drivers, bool origin)
{
	struct weir_listing listing;
	int code = weir_config_list(drivers->config, drivers->tables, drivers->count, &listing);

	if (!code)
		print(&listing, origin);
	weir_listing_fini(&listing);
	return code ? weir_cli_no_memory() : WEIR_EXIT_OK;
}

int weir_cli_config_show(const struct weir_cli_config *from, bool origin)
{
	struct weir_cli_drivers drivers;
	int code = weir_cli_drivers_open(from, &drivers);

	if (code)
		return code;
	code = show(&drivers, origin);
	weir_cli_drivers_close(&drivers);
	return code;
}
