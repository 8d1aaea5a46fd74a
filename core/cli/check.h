/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/check: whether a configuration can be served, beyond what the
 * configuration alone can tell.
 */
#ifndef WEIR_CLI_CHECK_H
#define WEIR_CLI_CHECK_H

#include <weir/channel.h>
#include <weir/config.h>

/*
 * Loads the driver of every kind that is used and lets it judge its settings,
 * and checks every URL that will be posted to. All that is wrong, and all that is
 * odd, is said on stderr. `weir config check` and `weir serve` call it before
 * anything starts. 0, or the exit code. Before the configuration is shared.
 */
int weir_cli_check(weir_config *config, weir_runtime *runtime);

/* The kinds that channels live on, each once, in order. Borrowed; freed with weir_mem_free(). 0, or the exit code. */
int weir_cli_kinds(const weir_config *config, const char ***ret, size_t *count);

#endif
