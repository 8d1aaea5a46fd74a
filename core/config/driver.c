/* SPDX-License-Identifier: Apache-2.0 */
/* config/driver: the sections of drivers, judged by the drivers' own option tables. */
#include "config/driver.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/near.h"
#include "base/str.h"
#include "config/internal.h"
#include "config/secret.h"

struct weir_driver_settings {
	struct weir_driver_settings *next;
	const char *name;
	struct weir_arena arena;
	struct weir_setting *settings;
	size_t count;
};

/* Goes through one driver's section. Mistakes go to `problems`, or the first one to `err`. */
struct reading {
	const weir_config *config;
	const struct weir_driver *driver;
	struct weir_driver_settings *ret;
	weir_config *problems; /* NULL: not wanted */
	struct weir_error *err;
	int code;
	size_t capacity;
};

void weir_driver_cache_free(struct weir_driver_cache *cache)
{
	while (cache->first) {
		struct weir_driver_settings *next = cache->first->next;

		weir_arena_wipe(&cache->first->arena);
		weir_mem_free(cache->first);
		cache->first = next;
	}
	pthread_mutex_destroy(&cache->lock);
	weir_mem_free(cache);
}

__attribute__((format(printf, 4, 5))) static void refuse(struct reading *reading, const struct weir_place *place,
							 const char *key, const char *format, ...)
{
	char text[WEIR_WHY_SIZE + 256], line[WEIR_LINE_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (reading->problems)
		weir_config_problem_add(reading->problems, place, key, "%s", text);
	if (reading->code)
		return;
	reading->code = WEIR_EINVAL;
	weir_config_line(line, place, key, text);
	weir_fail(reading->err, WEIR_EINVAL, "%s", line);
}

static void no_memory(struct reading *reading)
{
	reading->code = weir_fail(reading->err, WEIR_ENOMEM, "settings of driver %s: %s", reading->driver->name,
				  weir_code_text(WEIR_ENOMEM));
}

/* ---- which option -------------------------------------------------------- */

static size_t prefix_len(const struct weir_option *option)
{
	size_t len = strlen(option->key);

	return option->flags & WEIR_OPTION_PREFIX && len && option->key[len - 1] == '*' ? len - 1 : 0;
}

static bool is_option(const struct weir_option *option, const char *key, size_t len, bool fold)
{
	size_t prefix = prefix_len(option);

	if (prefix)
		return len > prefix && (fold ? strncasecmp : strncmp)(key, option->key, prefix) == 0;
	return strlen(option->key) == len && (fold ? strncasecmp : strncmp)(key, option->key, len) == 0;
}

const struct weir_option *weir_driver_option(const struct weir_driver *driver, const char *key, size_t len, bool fold)
{
	for (uint32_t i = 0; i < driver->option_count; i++) {
		if (is_option(&driver->options[i], key, len, fold))
			return &driver->options[i];
	}
	return NULL;
}

const struct weir_option *weir_driver_file_option(const struct weir_driver *driver, const char *key, bool fold)
{
	size_t len = strlen(key), suffix = strlen("File");
	const struct weir_option *option;

	if (len <= suffix || (fold ? strcasecmp : strcmp)(key + len - suffix, "File") != 0)
		return NULL;
	option = weir_driver_option(driver, key, len - suffix, fold);
	return option && option->flags & WEIR_OPTION_SECRET && !prefix_len(option) ? option : NULL;
}

static void refuse_unknown(struct reading *reading, const struct weir_value *value, const char *key)
{
	struct weir_near near = weir_near_init(weir_str(key));
	const char *name = reading->driver->name;

	for (uint32_t i = 0; i < reading->driver->option_count; i++)
		weir_near_offer(&near, reading->driver->options[i].key);
	if (near.best)
		refuse(reading, &value->entry->place, value->key,
		       "unknown key of the driver %s; did you mean \"%s.%s\"?", name, name, near.best);
	else
		refuse(reading, &value->entry->place, value->key, "unknown key of the driver %s", name);
}

/* ---- settings ------------------------------------------------------------ */

/* The secret that `value` names a file of; NULL: it cannot be had, which is said. */
static const char *read_secret(struct reading *reading, const struct weir_value *value, const char *path)
{
	const char *warning = NULL, *secret = NULL;
	char why[WEIR_WHY_SIZE];
	int code;

	if (reading->problems) /* it is not shared yet */
		weir_config_add_source(reading->problems, path);
	code = weir_secret_read(path, &reading->ret->arena, &secret, &warning, why);

	if (code == WEIR_EINVAL)
		refuse(reading, &value->entry->place, value->key, "%s", why);
	else if (code)
		no_memory(reading);
	else if (warning && reading->problems)
		weir_config_warning_add(reading->problems, &value->entry->place, value->key, "%s", warning);
	return secret;
}

static const char *number_text(struct reading *reading, int64_t number)
{
	char digits[24];

	snprintf(digits, sizeof digits, "%lld", (long long)number);
	return weir_arena_text(&reading->ret->arena, weir_str(digits));
}

/* Checks a value by its option; the text that the driver gets, or NULL. */
static const char *read_value(struct reading *reading, const struct weir_option *option, const struct weir_input *input,
			      const struct weir_place *place, const char *key)
{
	struct weir_field row = { .option = *option };
	struct weir_checked checked;
	char why[WEIR_WHY_SIZE];
	int code = weir_check(&row, input, &reading->ret->arena, &checked, why);

	if (code == WEIR_EINVAL)
		refuse(reading, place, key, "%s", why);
	if (!code && option->type == WEIR_OPT_DURATION) {
		checked.text = number_text(reading, checked.number);
		code = checked.text ? WEIR_OK : WEIR_ENOMEM;
	}
	if (code == WEIR_ENOMEM)
		no_memory(reading);
	return code ? NULL : checked.text;
}

static void add(struct reading *reading, const char *key, const char *text)
{
	if (text && reading->ret->count < reading->capacity)
		reading->ret->settings[reading->ret->count++] = (struct weir_setting){ key, text };
}

static const struct weir_setting *setting_of(struct reading *reading, const char *key)
{
	for (size_t i = 0; i < reading->ret->count; i++) {
		if (strcmp(reading->ret->settings[i].key, key) == 0)
			return &reading->ret->settings[i];
	}
	return NULL;
}

static const struct weir_value *sibling_of(const struct reading *reading, const struct weir_option *option, bool file)
{
	char key[256];

	snprintf(key, sizeof key, "%s.%s%s", reading->driver->name, option->key, file ? "File" : "");
	return weir_config_value(reading->config, key);
}

/* Of "password" and "passwordFile" the one that came last is effective. True: `value` is not it. */
static bool is_beaten(struct reading *reading, const struct weir_option *option, const struct weir_value *value,
		      bool file)
{
	const struct weir_value *other = sibling_of(reading, option, !file);

	if (!(option->flags & WEIR_OPTION_SECRET) || !other || !other->entry)
		return false;
	if (other->entry->place.source == value->entry->place.source) {
		if (file)
			refuse(reading, &value->entry->place, value->key, "is given beside %s: leave one of them out",
			       other->key);
		return file;
	}
	return other->entry->order > value->entry->order;
}

static void read_setting(struct reading *reading, const struct weir_value *value, const char *key)
{
	static const struct weir_option path = { .type = WEIR_OPT_STRING };
	bool fold = value->entry->layer == WEIR_LAYER_ENVIRONMENT;
	const struct weir_option *option = weir_driver_option(reading->driver, key, strlen(key), fold);
	const struct weir_option *file = option ? NULL : weir_driver_file_option(reading->driver, key, fold);
	struct weir_place place = weir_entry_value_place(value->entry);
	const char *text;

	if (!option && !file) {
		refuse_unknown(reading, value, key);
		return;
	}
	if (is_beaten(reading, option ? option : file, value, file != NULL))
		return;
	text = read_value(reading, option ? option : &path, &value->entry->input, &place, value->key);
	if (text && file)
		text = read_secret(reading, value, text);
	add(reading, file ? file->key : prefix_len(option) ? key : option->key, text);
}

const char *weir_driver_key_within(const struct weir_driver *driver, const char *key)
{
	size_t len = strlen(driver->name);

	return strncasecmp(key, driver->name, len) == 0 && key[len] == '.' ? key + len + 1 : NULL;
}

static void read_section(struct reading *reading)
{
	for (size_t i = 0; i < reading->config->value_count && reading->code != WEIR_ENOMEM; i++) {
		const struct weir_value *value = &reading->config->values[i];
		const char *key = weir_driver_key_within(reading->driver, value->key);

		if (key && value->entry)
			read_setting(reading, value, key);
	}
}

/* Given, if wrongly: that has been said, and is not the same as missing. */
static bool is_given(const struct reading *reading, const struct weir_option *option)
{
	return sibling_of(reading, option, false) ||
	       (option->flags & WEIR_OPTION_SECRET && sibling_of(reading, option, true));
}

/* A driver may write a default of a duration as users do, "PT0.2S", or as it is handed over: in milliseconds. */
static bool is_handed_over(const struct weir_option *option)
{
	uint64_t ms;

	return option->type == WEIR_OPT_DURATION && weir_str_to_uint(weir_str(option->fallback), &ms);
}

static void fill_absent(struct reading *reading)
{
	for (uint32_t i = 0; i < reading->driver->option_count && reading->code != WEIR_ENOMEM; i++) {
		const struct weir_option *option = &reading->driver->options[i];
		struct weir_node node = { .kind = WEIR_JSON_STRING, .text = weir_str(option->fallback) };
		struct weir_input input = { &node, true, node.text };
		struct weir_place place = { "default", { 0, 0 } };
		char key[256];

		if (prefix_len(option) || setting_of(reading, option->key))
			continue;
		snprintf(key, sizeof key, "%s.%s", reading->driver->name, option->key);
		if (option->fallback)
			add(reading, option->key,
			    is_handed_over(option) ? option->fallback
						   : read_value(reading, option, &input, &place, key));
		else if (option->flags & WEIR_OPTION_REQUIRED && !is_given(reading, option))
			refuse(reading, &(struct weir_place){ "configuration", { 0, 0 } }, key,
			       "is not set, and the driver needs it: %s", option->help);
	}
}

static struct weir_driver_settings *settings_new(const weir_config *config, const struct weir_driver *driver,
						 size_t *capacity)
{
	struct weir_driver_settings *made = weir_mem_zalloc(1, sizeof *made);

	if (!made)
		return NULL;
	*capacity = driver->option_count;
	for (size_t i = 0; i < config->value_count; i++)
		*capacity += weir_driver_key_within(driver, config->values[i].key) != NULL;
	weir_arena_init(&made->arena, 0);
	made->name = weir_arena_text(&made->arena, weir_str(driver->name));
	made->settings = weir_arena_alloc(&made->arena, (*capacity + 1) * sizeof *made->settings);
	if (made->name && made->settings)
		return made;
	weir_arena_wipe(&made->arena);
	weir_mem_free(made);
	return NULL;
}

static struct weir_driver_settings *find(const weir_config *config, const char *name)
{
	struct weir_driver_settings *settings = config->drivers->first;

	while (settings && strcmp(settings->name, name) != 0)
		settings = settings->next;
	return settings;
}

/* With the cache locked. */
static int read_driver(const weir_config *config, const struct weir_driver *driver, weir_config *problems,
		       struct weir_driver_settings **ret, struct weir_error *err)
{
	struct reading reading = { .config = config, .driver = driver, .problems = problems, .err = err };

	reading.ret = settings_new(config, driver, &reading.capacity);
	if (!reading.ret) {
		no_memory(&reading);
		return reading.code;
	}
	read_section(&reading);
	fill_absent(&reading);
	if (reading.code) {
		weir_arena_wipe(&reading.ret->arena);
		weir_mem_free(reading.ret);
		return reading.code;
	}
	reading.ret->next = config->drivers->first;
	config->drivers->first = reading.ret;
	*ret = reading.ret;
	return WEIR_OK;
}

static int get_driver(const weir_config *config, const struct weir_driver *driver, weir_config *problems,
		      struct weir_driver_settings **ret, struct weir_error *err)
{
	int code = WEIR_OK;

	pthread_mutex_lock(&config->drivers->lock);
	*ret = find(config, driver->name);
	if (!*ret)
		code = read_driver(config, driver, problems, ret, err);
	pthread_mutex_unlock(&config->drivers->lock);
	return code;
}

int weir_config_driver(const weir_config *config, const struct weir_driver *driver, const struct weir_setting **ret,
		       size_t *count, struct weir_error *err)
{
	struct weir_driver_settings *settings;
	int code = get_driver(config, driver, NULL, &settings, err);

	*ret = code ? NULL : settings->settings;
	*count = code ? 0 : settings->count;
	return code;
}

int weir_config_check_driver(weir_config *config, const struct weir_driver *driver, struct weir_error *err)
{
	struct weir_driver_settings *settings;
	int code = get_driver(config, driver, config, &settings, err);

	return code == WEIR_OK && config->no_memory ? weir_fail(err, WEIR_ENOMEM, "%s", weir_code_text(WEIR_ENOMEM))
						    : code;
}
