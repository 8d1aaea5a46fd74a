/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir/config.h: settings, their layers, and where each value came from.
 *
 * A configuration is built from layers; a later layer wins, key by key:
 *   1. built-in defaults
 *   2. files, in the order they were added (strict JSON)
 *   3. override manifests and mounted folders named under `overrides`
 *   4. the environment: WEIR_ + key in upper case, '.' written as "__"
 *   5. settings given one by one (`--set`)
 * This order holds whatever order they are added in. Keys are dotted paths,
 * "dispatcher.listen"; members of the array `channels` are objects and not
 * addressed by a dotted key, and the channels of all layers add up.
 *
 * Everything wrong is collected, not only the first mistake: each problem has
 * file, line, column, key, what is allowed, and the nearest valid key. A
 * configuration with a problem cannot be used.
 *
 * Threads. Building is for one thread; a configuration that loaded without
 * problems is never changed again and may be read by any thread.
 * Memory. Everything returned is borrowed from the configuration.
 */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/driver.h>
#include <weir/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_config weir_config;

/* A new configuration with only the defaults. weir_config_free(). WEIR_ENOMEM. */
int weir_config_new(weir_config **ret);
void weir_config_free(weir_config *config);

/*
 * Add layers. They only read and parse: unknown keys and wrong values are found
 * by weir_config_load(). A file that cannot be read or parsed is a problem, not
 * an error: these return WEIR_OK or WEIR_ENOMEM.
 */
int weir_config_add_file(weir_config *config, const char *path);
/* `text` is the content of a file called `name`. Copied. */
int weir_config_add_text(weir_config *config, const char *name, struct weir_buf text);
/* `environment` as environ(7): "NAME=value" strings, NULL at the end. */
int weir_config_add_environment(weir_config *config, char *const *environment);
/* `assignment`: "KEY=VALUE". The value is JSON if it parses as that, else a string. */
int weir_config_add_setting(weir_config *config, const char *assignment);

/*
 * Reads what `overrides` names, resolves the layers, checks every key, type, range and relation, and fills
 * what weir_config_get* return. Call once. WEIR_EINVAL if there is a problem;
 * *err is the first, the others are had with weir_config_problem().
 */
int weir_config_load(weir_config *config, struct weir_error *err);

/* Problem number `index`, one line "file:line:column: key: what ..."; NULL behind the last. */
const char *weir_config_problem(const weir_config *config, size_t index);

/* The effective value of a key, as text; NULL if it is not set. Lists are comma-separated; an empty one is NULL. */
const char *weir_config_get(const weir_config *config, const char *key);
/* Typed getters of keys that have a type; 0 or false if the key is not set. */
int64_t weir_config_get_int(const weir_config *config, const char *key);      /* also bytes */
int64_t weir_config_get_duration(const weir_config *config, const char *key); /* milliseconds */
bool weir_config_get_bool(const weir_config *config, const char *key);
/* Where the value came from: "default", "file:line", "environment", "--set", "overrides: file:line". NULL if not set. */
const char *weir_config_origin(const weir_config *config, const char *key);

/* Which kind a channel lives on: its own, its namespace's default, or the default. */
const char *weir_config_kind(const weir_config *config, const char *ns, const char *name);

#ifdef __cplusplus
}
#endif
#endif
