/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include <stdio.h>

#include <weir/driver.h>
#include <weir/version.h>

static int run(void *options, char *const *args, size_t arg_count)
{
	(void)options;
	(void)args;
	(void)arg_count;
	printf("weir %s (driver ABI %u.%u)\n", weir_version(), WEIR_ABI_MAJOR, WEIR_ABI_MINOR);
	return WEIR_EXIT_OK;
}

const struct weir_cmd weir_cmd_version = {
	.name = "version",
	.args = "",
	.summary = "Show the version of Weir and of its driver ABI",
	.run = run,
};
