/* SPDX-License-Identifier: Apache-2.0 */
/* config/config: a configuration's life, and reading what it holds. */
#include "config/internal.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

int weir_config_new(weir_config **ret)
{
	weir_config *config = weir_mem_zalloc(1, sizeof *config);
	struct weir_driver_cache *drivers = weir_mem_zalloc(1, sizeof *drivers);

	*ret = NULL;
	if (!config || !drivers) {
		weir_mem_free(config);
		weir_mem_free(drivers);
		return WEIR_ENOMEM;
	}
	weir_arena_init(&config->arena, 0);
	pthread_mutex_init(&drivers->lock, NULL);
	config->drivers = drivers;
	*ret = config;
	return WEIR_OK;
}

void weir_config_free(weir_config *config)
{
	if (!config)
		return;
	weir_driver_cache_free(config->drivers);
	weir_mem_free(config->channel_index);
	weir_mem_free(config->channels);
	weir_mem_free(config->values);
	weir_mem_free(config->entries);
	weir_lines_fini(&config->problems);
	weir_lines_fini(&config->warnings);
	weir_mem_free(config->sources);
	weir_arena_wipe(&config->arena);
	weir_mem_free(config);
}

/* Files that others read, such as certificates: they are looked after like those that were read here. */
static void add_named_files(weir_config *config)
{
	for (size_t i = 0; i < config->value_count; i++) {
		const struct weir_value *value = &config->values[i];
		size_t len = strlen(value->key);

		if (value->row && value->row->form == WEIR_FORM_PATH && value->text && len > 4 &&
		    strcmp(value->key + len - 4, "File") == 0)
			weir_config_add_source(config, value->text);
	}
}

int weir_config_load(weir_config *config, struct weir_error *err)
{
	if (config->loaded)
		return weir_fail(err, WEIR_EINVAL, "configuration: loaded already");
	config->loaded = true;
	weir_config_add_overrides(config);
	if (!config->no_memory)
		weir_config_resolve(config);
	if (!config->no_memory)
		add_named_files(config);
	if (!config->no_memory)
		weir_config_resolve_channels(config);
	if (!config->no_memory)
		weir_config_check_routes(config);
	if (config->no_memory)
		return weir_fail(err, WEIR_ENOMEM, "configuration: %s", weir_code_text(WEIR_ENOMEM));
	return config->problems.count ? weir_fail(err, WEIR_EINVAL, "%s", config->problems.items[0]) : WEIR_OK;
}

size_t weir_config_channels(const weir_config *config, const struct weir_channel_settings **ret)
{
	*ret = config->channels;
	return config->channel_count;
}

const char *weir_config_get(const weir_config *config, const char *key)
{
	const struct weir_value *value = weir_config_value(config, key);

	return value ? value->text : NULL;
}

int64_t weir_config_get_int(const weir_config *config, const char *key)
{
	const struct weir_value *value = weir_config_value(config, key);

	return value ? value->number : 0;
}

int64_t weir_config_get_duration(const weir_config *config, const char *key)
{
	return weir_config_get_int(config, key);
}

bool weir_config_get_bool(const weir_config *config, const char *key)
{
	return weir_config_get_int(config, key) != 0;
}

const char *weir_config_key(const weir_config *config, const char *prefix, size_t index)
{
	for (size_t i = 0; i < config->value_count; i++)
		if (config->values[i].text &&
		    weir_str_starts_nocase(weir_str(config->values[i].key), weir_str(prefix)) && index-- == 0)
			return config->values[i].key;
	return NULL;
}

const char *weir_config_origin(const weir_config *config, const char *key)
{
	const struct weir_value *value = weir_config_value(config, key);

	return value ? value->origin : NULL;
}
