/* SPDX-License-Identifier: Apache-2.0 */
#include "config/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "config/internal.h"
#include "config/plan_channels.h"

enum { TEXT_MAX = 1024 };

/*
 * Keys of Weir's own that apply to what runs. All others are read when it starts:
 * sockets, threads and their limits are made once.
 */
static const char *const live[] = {
	"channel.",
	"channels",
	"log.",
	"overrides",
	"dispatcher.drainTimeout",
	"dispatcher.watch",
	"dispatcher.tls.certificateFile",
	"dispatcher.tls.keyFile",
	"dispatcher.tls.clientCaFile",
};

/* ---- steps ---------------------------------------------------------------- */

static const char *keep(struct weir_plan *plan, const char *text)
{
	char *copy = weir_arena_text(&plan->arena, weir_str(text));

	plan->no_memory |= !copy;
	return copy;
}

struct weir_plan_step *weir_plan_add(struct weir_plan *plan, enum weir_plan_effect effect, const char *key,
				     const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;

	if (plan->count == plan->capacity) {
		size_t capacity = plan->capacity ? plan->capacity * 2 : 16;
		struct weir_plan_step *steps = weir_mem_realloc(plan->steps, capacity * sizeof *steps);

		plan->no_memory |= !steps;
		if (!steps)
			return NULL;
		plan->steps = steps;
		plan->capacity = capacity;
	}
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	plan->steps[plan->count] =
	    (struct weir_plan_step){ .effect = effect, .key = keep(plan, key), .text = keep(plan, text) };
	return &plan->steps[plan->count++];
}

/* ---- dotted keys ---------------------------------------------------------- */

static bool is_live(const char *key)
{
	for (size_t i = 0; i < sizeof live / sizeof live[0]; i++) {
		if (strncasecmp(key, live[i], strlen(live[i])) == 0)
			return true;
	}
	return false;
}

static const char *shown(const struct weir_value *value)
{
	if (!value || !value->text)
		return "nothing";
	return value->row && value->row->option.flags & WEIR_OPTION_SECRET ? "(secret)" : value->text;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* One key of Weir's own, which either may lack. What `channel.` changes is told channel by channel. */
static void compare_value(struct weir_plan *plan, const struct weir_value *now, const struct weir_value *next)
{
	const char *key = now ? now->key : next->key;

	if (!(now ? now : next)->row || same_text(now ? now->text : NULL, next ? next->text : NULL))
		return;
	if (strncasecmp(key, "channel.", 8) == 0 || strcasecmp(key, "channels") == 0)
		return;
	weir_plan_add(plan, is_live(key) ? WEIR_PLAN_CHANGE : WEIR_PLAN_RESTART, key, "from %.400s to %.400s",
		      shown(now), shown(next));
}

/* Both are in order. */
static void compare_values(struct weir_plan *plan, const weir_config *now, const weir_config *next)
{
	size_t i = 0, j = 0;

	while (i < now->value_count || j < next->value_count) {
		const struct weir_value *a = i < now->value_count ? &now->values[i] : NULL;
		const struct weir_value *b = j < next->value_count ? &next->values[j] : NULL;
		int order = !a ? 1 : !b ? -1 : strcasecmp(a->key, b->key);

		compare_value(plan, order <= 0 ? a : NULL, order >= 0 ? b : NULL);
		i += order <= 0;
		j += order >= 0;
	}
}

/* ---- drivers -------------------------------------------------------------- */

static bool is_secret(const struct weir_driver *driver, const char *key)
{
	for (uint32_t i = 0; i < driver->option_count; i++) {
		if (strcmp(driver->options[i].key, key) == 0)
			return driver->options[i].flags & WEIR_OPTION_SECRET;
	}
	return false;
}

/* A user name belongs to its password, and both rotate together. */
static bool is_credential(const struct weir_driver *driver, const char *key)
{
	return is_secret(driver, key) || strcmp(key, "username") == 0;
}

static const char *value_of(const struct weir_setting *settings, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(settings[i].key, key) == 0)
			return settings[i].value;
	}
	return NULL;
}

static void compare_setting(struct weir_plan *plan, const struct weir_driver *driver, const char *key, const char *now,
			    const char *next)
{
	bool credential = is_credential(driver, key);
	struct weir_plan_step *step;
	char name[TEXT_MAX];

	if (same_text(now, next))
		return;
	snprintf(name, sizeof name, "%s.%s", driver->name, key);
	step = weir_plan_add(plan, credential ? WEIR_PLAN_RENEW : WEIR_PLAN_RESTART, name, "%s",
			     credential ? "other credentials: the backend is opened anew"
					: "the backend was opened with another value");
	if (step && credential)
		step->kind = driver->kind;
}

static int compare_driver(struct weir_plan *plan, const weir_config *now, const weir_config *next,
			  const struct weir_driver *driver)
{
	const struct weir_setting *before, *after;
	size_t before_count, after_count;
	int code = weir_config_driver(now, driver, &before, &before_count, NULL);

	if (!code)
		code = weir_config_driver(next, driver, &after, &after_count, NULL);
	if (code)
		return code == WEIR_ENOMEM ? code : WEIR_OK; /* what is wrong has been told by the check */
	for (size_t i = 0; i < before_count; i++)
		compare_setting(plan, driver, before[i].key, before[i].value,
				value_of(after, after_count, before[i].key));
	for (size_t i = 0; i < after_count; i++) {
		if (!value_of(before, before_count, after[i].key))
			compare_setting(plan, driver, after[i].key, NULL, after[i].value);
	}
	return WEIR_OK;
}

/* ---- all ------------------------------------------------------------------ */

int weir_plan_make(const weir_config *now, const weir_config *next, const struct weir_driver *const *drivers,
		   size_t count, struct weir_plan *ret)
{
	int code = WEIR_OK;

	*ret = (struct weir_plan){ 0 };
	weir_arena_init(&ret->arena, 0);
	compare_values(ret, now, next);
	for (size_t i = 0; i < count && !code; i++)
		code = compare_driver(ret, now, next, drivers[i]);
	weir_plan_channels(ret, now, next);
	return code || ret->no_memory ? WEIR_ENOMEM : WEIR_OK;
}

void weir_plan_fini(struct weir_plan *plan)
{
	weir_arena_fini(&plan->arena);
	weir_mem_free(plan->steps);
	plan->steps = NULL;
	plan->count = 0;
}

const struct weir_plan_step *weir_plan_obstacle(const struct weir_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->steps[i].effect == WEIR_PLAN_RESTART)
			return &plan->steps[i];
	}
	return NULL;
}

const char *weir_plan_effect_text(enum weir_plan_effect effect)
{
	static const char *const texts[] = { "add", "remove", "change", "move", "renew", "restart" };

	return texts[effect];
}
