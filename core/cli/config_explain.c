/* SPDX-License-Identifier: Apache-2.0 */
/* cli/config_explain: what a key means, from the table that also checks it. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/near.h"
#include "cli/config_cmd.h"
#include "config/check.h"
#include "config/describe.h"
#include "config/driver.h"

struct explainer {
	const char *wanted; /* NULL: list all */
	bool markdown;      /* ... as rows of a table */
	struct weir_near near;
	char nearest[256];
	bool found;
};

/* ---- one row ------------------------------------------------------------- */

static void print_default(const struct weir_option *option)
{
	char out[32];
	const char *text = weir_option_fallback_text(option, out);

	if (option->flags & WEIR_OPTION_REQUIRED)
		printf("  default   none: it must be set\n");
	else if (text)
		printf("  default   %s\n", text);
}

static void print_allowed(const struct weir_option *option)
{
	char allowed[256];

	weir_check_allowed(option, allowed, sizeof allowed);
	if (option->type == WEIR_OPT_LIST && option->max)
		printf("  allowed   %lld to %lld items\n", (long long)option->min, (long long)option->max);
	else if (option->type != WEIR_OPT_STRING && option->type != WEIR_OPT_LIST && option->type < WEIR_FIELD_OBJECT)
		printf("  allowed   %s\n", allowed);
}

static void print_ways(const char *key, const char *example)
{
	char variable[256];

	if (example && !strchr(key, '['))
		printf("  example   {\"%s\": %s}\n", key, example);
	else if (example)
		printf("  example   %s\n", example);
	if (weir_field_variable(key, variable, sizeof variable))
		printf("  elsewhere --set %s=..., or %s=... in the environment\n", key, variable);
}

static void explain(const char *key, const struct weir_option *option, const char *example)
{
	printf("%s\n  %s\n  type      %s%s\n", key, option->help, weir_field_type_text(option->type),
	       option->flags & WEIR_OPTION_SECRET ? ", secret" : "");
	print_allowed(option);
	print_default(option);
	if (option->type < WEIR_FIELD_OBJECT || example)
		print_ways(key, example);
	if (option->flags & WEIR_OPTION_SECRET)
		printf("  in a file %sFile names a file that holds it\n", key);
}

/* "whole number, 0 to 256" */
static void print_type(const struct weir_option *option)
{
	char allowed[256];

	weir_check_allowed(option, allowed, sizeof allowed);
	printf("%s", option->type == WEIR_OPT_ENUM ? allowed : weir_field_type_text(option->type));
	if ((option->min || option->max) && option->type != WEIR_OPT_LIST)
		printf(", %s", allowed);
	if (option->flags & WEIR_OPTION_SECRET)
		printf(", secret");
}

/* As in docs/reference/configuration.md. */
static void print_row(const char *key, const struct weir_option *option)
{
	char out[32];
	const char *text = weir_option_fallback_text(option, out);

	printf("| `%s` | ", key);
	print_type(option);
	if (text)
		printf(" | `%s` | %s |\n", text, option->help);
	else
		printf(" | %s | %s |\n", option->flags & WEIR_OPTION_REQUIRED ? "required" : "", option->help);
}

/* ---- finding it ---------------------------------------------------------- */

/* '*' in a row's key stands for any name. */
static bool is_wanted(const char *wanted, const char *key)
{
	const char *star = strchr(key, '*');
	size_t head = star ? (size_t)(star - key) : 0, tail = star ? strlen(star + 1) : 0, len = strlen(wanted);

	if (strcasecmp(wanted, key) == 0)
		return true;
	return star && len > head + tail && strncasecmp(wanted, key, head) == 0 &&
	       strcasecmp(wanted + len - tail, star + 1) == 0;
}

static void offer(struct explainer *explainer, const char *key, const struct weir_option *option, const char *example)
{
	if (explainer->markdown)
		print_row(key, option);
	else if (!explainer->wanted)
		printf("%-44s %s\n", key, option->help);
	if (!explainer->wanted)
		return;
	if (!explainer->found && is_wanted(explainer->wanted, key)) {
		explain(key, option, example);
		explainer->found = true;
	}
	explainer->near.best = NULL;
	weir_near_offer(&explainer->near, key);
	if (explainer->near.best)
		snprintf(explainer->nearest, sizeof explainer->nearest, "%s", key);
}

static bool offer_row(void *ctx, const char *key, const struct weir_field *row)
{
	offer(ctx, key, &row->option, row->example);
	return true;
}

static void offer_driver(struct explainer *explainer, const struct weir_driver *driver)
{
	char key[256];

	for (uint32_t i = 0; i < driver->option_count; i++) {
		snprintf(key, sizeof key, "%s.%s", driver->name, driver->options[i].key);
		offer(explainer, key, &driver->options[i], NULL);
	}
}

static int answer(const struct explainer *explainer)
{
	if (!explainer->wanted || explainer->found)
		return WEIR_EXIT_OK;
	weir_cli_say("there is no such key%s%s%s", explainer->nearest[0] ? "; did you mean \"" : "", explainer->nearest,
		     explainer->nearest[0] ? "\"?" : "");
	return WEIR_EXIT_FAILED;
}

int weir_cli_config_explain(const struct weir_cli_config *from, const char *key, bool markdown)
{
	struct explainer explainer = { .wanted = key, .markdown = markdown, .near = weir_near_init(weir_str(key)) };
	struct weir_cli_drivers drivers;
	int code = weir_cli_drivers_open(from, &drivers);

	if (code)
		return code;
	weir_fields_visit(offer_row, &explainer);
	for (size_t i = 0; i < drivers.count; i++)
		offer_driver(&explainer, drivers.tables[i]);
	code = answer(&explainer);
	weir_cli_drivers_close(&drivers);
	return code;
}
