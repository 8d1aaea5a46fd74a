/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth/keys: where an issuer's keys come from, a file or a URL, in a thread of its
 * own: nothing that checks a token ever waits for it. They are read at the start,
 * every few minutes, and when a token names a key that is not known, but then not
 * often. When they cannot be read those from before stay.
 */
#ifndef WEIR_AUTH_KEYS_H
#define WEIR_AUTH_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/jwks.h"

struct weir_auth_keys;

/* NULL: `location` is a file's path or an https:// URL (http:// on this machine only); else static text for people. */
const char *weir_auth_keys_check(const char *location);

/*
 * Begins to read. With `before`, the source that this one replaces, it has its
 * keys until it has read its own, if they are of the same place. WEIR_EINVAL,
 * WEIR_ENOMEM.
 */
int weir_auth_keys_new(const char *location, struct weir_auth_keys *before, struct weir_auth_keys **ret,
		       struct weir_error *err);
/* Ends what it is doing. NULL is allowed. */
void weir_auth_keys_free(struct weir_auth_keys *keys);

/* Changes with the keys; cheap. 0: there are none yet. Any thread; so are those below. */
uint64_t weir_auth_keys_generation(const struct weir_auth_keys *keys);
/* The keys as they are, for the caller to unref; NULL: none yet. */
struct weir_jwks *weir_auth_keys_get(struct weir_auth_keys *keys);
/* Asks for them to be read again soon. False: that was done a moment ago, and will not be now. */
bool weir_auth_keys_refresh(struct weir_auth_keys *keys);

#endif
