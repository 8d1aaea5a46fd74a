/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever a configuration file, a setting or a variable of the environment
 * holds: it loads, or there is a problem to tell, in one printable line each.
 *
 * The input: a file, and behind each byte 0xFF (which no JSON has) a setting, or
 * a variable if it begins with WEIR_.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <weir/config.h>

#include "base/mem.h"
#include "base/str.h"
#include "config/settings.h"

static const struct weir_option options[] = {
	{ "url", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL, "URL." },
	{ "password", WEIR_OPT_STRING, WEIR_OPTION_SECRET, NULL, 0, 0, NULL, "Password." },
	{ "count", WEIR_OPT_INT, 0, "1", 0, 9, NULL, "Count." },
	{ "wait", WEIR_OPT_DURATION, 0, "PT1S", 0, 60000, NULL, "Wait." },
	{ "size", WEIR_OPT_BYTES, 0, "1Ki", 0, 1 << 20, NULL, "Size." },
	{ "list", WEIR_OPT_LIST, 0, "a", 0, 3, NULL, "List." },
	{ "mode", WEIR_OPT_ENUM, 0, "on", 0, 0, "on|off", "Mode." },
	{ "more.*", WEIR_OPT_STRING, WEIR_OPTION_PREFIX, NULL, 0, 0, NULL, "More." },
};
static const struct weir_driver driver = { .name = "d", .options = options, .option_count = 8 };

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void add_assignment(weir_config *config, struct weir_buf text)
{
	char *copy = weir_mem_strndup(text.ptr, text.len);
	char *environment[] = { copy, NULL };

	check(copy);
	if (weir_str_starts(text, WEIR_STR("WEIR_")))
		check(weir_config_add_environment(config, environment) == WEIR_OK);
	else
		check(weir_config_add_setting(config, copy) == WEIR_OK);
	weir_mem_free(copy);
}

static void check_line(const char *line)
{
	check(line[0]);
	check(weir_str_is_utf8(weir_str(line)));
	for (; *line; line++)
		check((unsigned char)*line >= ' ' && *line != 0x7f);
}

static void check_loaded(const weir_config *config)
{
	const struct weir_channel_settings *channels;
	size_t count = weir_config_channels(config, &channels);

	check(weir_config_get(config, "dispatcher.listen") && weir_config_get(config, "channel.default.kind"));
	for (size_t i = 0; i < count; i++) {
		check(channels[i].ns && channels[i].name && channels[i].where);
		check(weir_config_kind(config, channels[i].ns, channels[i].name));
		for (size_t j = 0; j < channels[i].subscription_count; j++)
			check(channels[i].subscriptions[j].name && channels[i].subscriptions[j].uid &&
			      channels[i].subscriptions[j].subscriber && channels[i].subscriptions[j].where);
	}
}

static void check_driver(weir_config *config)
{
	const struct weir_setting *settings;
	size_t count;

	if (weir_config_check_driver(config, &driver, NULL))
		return;
	check(weir_config_driver(config, &driver, &settings, &count, NULL) == WEIR_OK);
	for (size_t i = 0; i < count; i++)
		check(settings[i].key && settings[i].value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const drivers[] = { "d" };
	struct weir_buf rest = { size ? (const void *)data : "", size }, part;
	weir_config *config;
	int code;

	check(weir_config_new(&config) == WEIR_OK);
	if (weir_str_split(&rest, '\xff', &part) && part.len)
		check(weir_config_add_text(config, "fuzz.json", part) == WEIR_OK);
	while (weir_str_split(&rest, '\xff', &part))
		add_assignment(config, part);
	code = weir_config_load(config, NULL);
	check((code == WEIR_OK) == (weir_config_problem(config, 0) == NULL));
	if (code == WEIR_OK) {
		check_loaded(config);
		check_driver(config);
		weir_config_check_sections(config, drivers, 1, NULL);
	}
	for (size_t i = 0; weir_config_problem(config, i); i++)
		check_line(weir_config_problem(config, i));
	for (size_t i = 0; weir_config_warning(config, i); i++)
		check_line(weir_config_warning(config, i));
	weir_config_free(config);
	return 0;
}
