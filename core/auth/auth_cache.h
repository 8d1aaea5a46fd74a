/* SPDX-License-Identifier: Apache-2.0 */
/* auth/auth_cache: tokens whose signature was found genuine, and what they say. For one thread. */
#ifndef WEIR_AUTH_AUTH_CACHE_H
#define WEIR_AUTH_AUTH_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/jwt.h"

enum { WEIR_AUTH_CACHE_SLOTS = 256 };

struct weir_auth_entry {
	uint64_t policy, keys; /* what it was judged by */
	int64_t expires_s, begins_s;
	bool allowed; /* its subject */
	size_t token_len;
	size_t audience_len; /* texts, each with a NUL behind it */
	char bytes[];        /* token, audiences */
};

struct weir_jwks;

struct weir_auth_cache {
	struct weir_auth_entry *slots[WEIR_AUTH_CACHE_SLOTS];
	struct weir_arena arena; /* of a token that is being read */
	struct weir_jwks *set;   /* of generation `keys` */
	uint64_t keys;
	char secret[512];
};

/* NULL: it is not there. */
const struct weir_auth_entry *weir_auth_cache_find(const struct weir_auth_cache *cache, struct weir_buf token,
						   uint64_t policy, uint64_t keys);
/* NULL: no memory; nothing else is wrong then. */
const struct weir_auth_entry *weir_auth_cache_add(struct weir_auth_cache *cache, struct weir_buf token,
						  const struct weir_jwt *jwt, uint64_t policy, uint64_t keys,
						  bool allowed);

#endif
