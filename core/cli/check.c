/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "config/settings.h"
#include "dispatch/identity.h"
#include "dispatch/policy.h"
#include "http/client.h"

/* ---- kinds --------------------------------------------------------------- */

/* A kind that could not be read is a problem already. */
static void add_once(const char **kinds, size_t *count, const char *kind)
{
	if (!kind)
		return;
	for (size_t i = 0; i < *count; i++) {
		if (strcmp(kinds[i], kind) == 0)
			return;
	}
	kinds[(*count)++] = kind;
}

int weir_cli_kinds(const weir_config *config, const char ***ret, size_t *count)
{
	const struct weir_channel_settings *channels;
	size_t channel_count = weir_config_channels(config, &channels);
	const char **kinds = weir_mem_zalloc(channel_count + 1, sizeof *kinds);

	if (!kinds)
		return weir_cli_no_memory();
	*count = 0;
	for (size_t i = 0; i < channel_count; i++)
		add_once(kinds, count, weir_config_kind(config, channels[i].ns, channels[i].name));
	/* What channels there are is not known if something about them is wrong. */
	if (!channel_count && !weir_config_problem(config, 0))
		add_once(kinds, count, weir_config_kind(config, "default", "default"));
	*ret = kinds;
	return WEIR_EXIT_OK;
}

static bool check_kind(weir_config *config, weir_runtime *runtime, const char *kind)
{
	struct weir_error err = WEIR_ERROR_INIT;
	const struct weir_driver *driver;

	if (weir_runtime_load(runtime, kind, &driver, &err)) {
		weir_cli_say("%s", err.text);
		return false;
	}
	return weir_config_check_driver(config, driver, &err) != WEIR_ENOMEM;
}

static bool is_used(const char *const *kinds, size_t count, const char *kind)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(kinds[i], kind) == 0)
			return true;
	}
	return false;
}

static bool has_section(const weir_config *config, const char *driver)
{
	char prefix[128];

	snprintf(prefix, sizeof prefix, "%s.", driver);
	return weir_config_key(config, prefix, 0) != NULL;
}

/*
 * Settings of drivers that no channel uses: a mistake there would show only when
 * one does. Such a driver is loaded for its table of options and for nothing else.
 */
static int check_unused(weir_config *config, weir_runtime *runtime, const char *const *kinds, size_t count)
{
	struct weir_driver_info info;
	int code = WEIR_EXIT_OK;

	for (size_t i = 0; weir_runtime_driver(runtime, i, &info) == WEIR_OK; i++) {
		if (info.problem || is_used(kinds, count, info.kind) || !has_section(config, info.name))
			continue;
		code = check_kind(config, runtime, info.kind) ? code : WEIR_EXIT_CONFIG;
	}
	return code;
}

static int check_kinds(weir_config *config, weir_runtime *runtime)
{
	const char **kinds;
	size_t count;
	int code = weir_cli_kinds(config, &kinds, &count), unused;

	if (code)
		return code;
	for (size_t i = 0; i < count; i++)
		code = check_kind(config, runtime, kinds[i]) ? code : WEIR_EXIT_CONFIG;
	unused = check_unused(config, runtime, kinds, count);
	weir_mem_free(kinds);
	return code ? code : unused;
}

/* ---- URLs ---------------------------------------------------------------- */

struct urls {
	weir_config *config;
	struct weir_http_address_rules rules;
	const struct weir_channel_settings *channel;
	const struct weir_subscription_settings *subscription;
	bool no_memory;
};

static void check_url(struct urls *urls, const char *url, const char *member)
{
	struct weir_error err = WEIR_ERROR_INIT;
	char key[768];

	if (!url || weir_str_starts(weir_str(url), WEIR_STR("channel:")) ||
	    weir_http_url_check(url, &urls->rules, &err) == WEIR_OK)
		return;
	snprintf(key, sizeof key, "subscription %s of %s/%s: %s", urls->subscription->name, urls->channel->ns,
		 urls->channel->name, member);
	urls->no_memory |= weir_config_report(urls->config, urls->subscription->where, key, err.text) != WEIR_OK;
}

static int check_urls(weir_config *config)
{
	const struct weir_channel_settings *channels;
	size_t count = weir_config_channels(config, &channels);
	struct urls urls = { .config = config };

	urls.rules.allow_loopback = weir_config_get_bool(config, "dispatcher.addresses.allowLoopback");
	urls.rules.allow_private = weir_config_get_bool(config, "dispatcher.addresses.allowPrivate");
	for (size_t i = 0; i < count; i++) {
		urls.channel = &channels[i];
		for (size_t j = 0; j < channels[i].subscription_count; j++) {
			urls.subscription = &channels[i].subscriptions[j];
			check_url(&urls, urls.subscription->subscriber, "subscriber");
			check_url(&urls, urls.subscription->reply, "reply");
			check_url(&urls, urls.subscription->delivery.dead_letter_sink, "delivery.deadLetterSink");
		}
	}
	return urls.no_memory ? weir_cli_no_memory() : WEIR_EXIT_OK;
}

/* TLS, then who may send. */
static int check_guards(weir_config *config)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_tls *tls;

	const char *key = "dispatcher.tls.listen";

	if (weir_identity_load(config, &tls, &err) == WEIR_OK) {
		weir_tls_unref(tls);
		key = weir_policy_load(config, NULL, NULL, &err) ? "dispatcher.auth.keys" : NULL;
	}
	if (!key)
		return WEIR_EXIT_OK;
	return weir_config_report(config, weir_config_origin(config, key), NULL, err.text) ? weir_cli_no_memory()
											   : WEIR_EXIT_OK;
}

int weir_cli_check(weir_config *config, weir_runtime *runtime)
{
	int code = check_kinds(config, runtime), urls = check_urls(config);
	int guards = check_guards(config);
	const char *line;

	for (size_t i = 0; (line = weir_config_warning(config, i)); i++)
		weir_cli_warn("%s", line);
	for (size_t i = 0; (line = weir_config_problem(config, i)); i++)
		weir_cli_say("%s", line);
	if (code || urls || guards)
		return code ? code : urls ? urls : guards;
	return weir_config_problem(config, 0) ? WEIR_EXIT_CONFIG : WEIR_EXIT_OK;
}
