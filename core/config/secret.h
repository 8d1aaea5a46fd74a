/* SPDX-License-Identifier: Apache-2.0 */
/* config/secret: secrets in files, and values that look like secrets. */
#ifndef WEIR_CONFIG_SECRET_H
#define WEIR_CONFIG_SECRET_H

#include <stdbool.h>

#include <weir/config.h>

#include "base/arena.h"
#include "config/check.h"

/*
 * Reads the secret in a file into the arena, without one line end at its end.
 * *warning is static text about something odd, or NULL. WEIR_EINVAL: `why` says
 * what is wrong; WEIR_ENOMEM.
 */
int weir_secret_read(const char *path, struct weir_arena *arena, const char **ret, const char **warning,
		     char why[WEIR_WHY_SIZE]);

/* True if a key that nobody vouches for sounds like a secret: "sasl.password". */
bool weir_secret_sounds_like(const char *key);

/* Whether a loaded configuration has secrets in it, or names files with some. */
bool weir_config_holds_secrets(const weir_config *config);

#endif
