/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of configuration share. */
#ifndef WEIR_TEST_CONFIG_SUPPORT_H
#define WEIR_TEST_CONFIG_SUPPORT_H

#include "unit/weir_cmocka.h"

#include <stdio.h>
#include <string.h>

#include <weir/config.h>

#include "base/str.h"
#include "config/settings.h"

/* A configuration from the text of one file, not loaded. */
static inline weir_config *config_of(const char *text)
{
	weir_config *config;

	assert_int_equal(weir_config_new(&config), WEIR_OK);
	if (text)
		assert_int_equal(weir_config_add_text(config, "c.json", weir_str(text)), WEIR_OK);
	return config;
}

static inline void load(weir_config *config)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (weir_config_load(config, &err) != WEIR_OK)
		fail_msg("%s", err.text);
}

static inline weir_config *loaded(const char *text)
{
	weir_config *config = config_of(text);

	load(config);
	return config;
}

/* Adds one variable, "NAME=value", as an environment. */
static inline void add_variable(weir_config *config, const char *variable)
{
	char copy[1024];
	char *environment[] = { copy, NULL };

	snprintf(copy, sizeof copy, "%s", variable);
	assert_int_equal(weir_config_add_environment(config, environment), WEIR_OK);
}

/* Loads and expects just one problem. */
static inline void assert_only_problem(weir_config *config, const char *expected)
{
	struct weir_error err = WEIR_ERROR_INIT;

	assert_int_equal(weir_config_load(config, &err), WEIR_EINVAL);
	assert_string_equal(weir_config_problem(config, 0), expected);
	assert_null(weir_config_problem(config, 1));
	weir_config_free(config);
}

static inline void assert_value(const weir_config *config, const char *key, const char *value, const char *origin)
{
	assert_non_null(weir_config_get(config, key));
	assert_string_equal(weir_config_get(config, key), value);
	assert_string_equal(weir_config_origin(config, key), origin);
}

#endif
