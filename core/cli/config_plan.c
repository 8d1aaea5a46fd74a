/* SPDX-License-Identifier: Apache-2.0 */
/* cli/config_plan: what a reload would do, told before it is done. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/check.h"
#include "cli/config_cmd.h"
#include "config/plan.h"

/* A configuration with what is needed to judge it. */
struct side {
	weir_config *config;
	weir_runtime *runtime;
};

static int open_side(const struct weir_cli_config *from, struct side *ret)
{
	int code = weir_cli_open(from, &ret->config, &ret->runtime);

	if (code)
		return code;
	code = weir_cli_check(ret->config, ret->runtime);
	if (code)
		weir_cli_close(ret->config, ret->runtime);
	return code;
}

/* The drivers whose backends are open with this configuration. */
static int used_drivers(const struct side *side, const struct weir_driver ***ret, size_t *count)
{
	const char **kinds;
	size_t kind_count;
	int code = weir_cli_kinds(side->config, &kinds, &kind_count);

	if (code)
		return code;
	*count = 0;
	*ret = weir_mem_zalloc(kind_count + 1, sizeof **ret);
	for (size_t i = 0; *ret && i < kind_count; i++) {
		if (weir_runtime_load(side->runtime, kinds[i], &(*ret)[*count], NULL) == WEIR_OK)
			(*count)++;
	}
	weir_mem_free(kinds);
	return *ret ? WEIR_EXIT_OK : weir_cli_no_memory();
}

static int print_plan(const struct weir_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		printf("%-7s  %s: %s\n", weir_plan_effect_text(plan->steps[i].effect), plan->steps[i].key,
		       plan->steps[i].text);
	if (!plan->count)
		puts("nothing changes");
	if (!weir_plan_obstacle(plan))
		return WEIR_EXIT_OK;
	weir_cli_say("a reload would change nothing: what is marked restart cannot change while Weir runs");
	return WEIR_EXIT_FAILED;
}

static int compare(const struct side *now, const struct side *next)
{
	const struct weir_driver **drivers;
	struct weir_plan plan;
	size_t count;
	int code = used_drivers(now, &drivers, &count);

	if (code)
		return code;
	code =
	    weir_plan_make(now->config, next->config, drivers, count, &plan) ? weir_cli_no_memory() : print_plan(&plan);
	weir_plan_fini(&plan);
	weir_mem_free(drivers);
	return code;
}

int weir_cli_config_plan(const struct weir_cli_config *from, const char *file)
{
	const struct weir_cli_config to = { .files = { .items = &file, .count = 1 }, .settings = from->settings };
	struct side now, next;
	int code = open_side(from, &now);

	if (code)
		return code;
	code = open_side(&to, &next);
	if (!code) {
		code = compare(&now, &next);
		weir_cli_close(next.config, next.runtime);
	}
	weir_cli_close(now.config, now.runtime);
	return code;
}
