/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/auth_cache.h"

#include <openssl/crypto.h>
#include <string.h>

#include "auth/auth.h"
#include "auth/jwks.h"
#include "base/mem.h"

int weir_auth_cache_new(struct weir_auth_cache **ret)
{
	struct weir_auth_cache *cache = weir_mem_zalloc(1, sizeof *cache);

	if (!cache)
		return WEIR_ENOMEM;
	weir_arena_init(&cache->arena, 16 * WEIR_JWT_MAX_BYTES);
	*ret = cache;
	return WEIR_OK;
}

void weir_auth_cache_free(struct weir_auth_cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < WEIR_AUTH_CACHE_SLOTS; i++)
		weir_mem_free(cache->slots[i]);
	weir_arena_fini(&cache->arena);
	weir_jwks_unref(cache->set);
	weir_mem_free(cache);
}

/* The end of a token is its signature, which is as good as random. */
static size_t slot_of(struct weir_buf token)
{
	const unsigned char *bytes = token.ptr;
	size_t hash = 0, from = token.len > 24 ? token.len - 24 : 0;

	for (size_t i = from; i < token.len; i++)
		hash = hash * 131 + bytes[i];
	return hash % WEIR_AUTH_CACHE_SLOTS;
}

const struct weir_auth_entry *weir_auth_cache_find(const struct weir_auth_cache *cache, struct weir_buf token,
						   uint64_t policy, uint64_t keys)
{
	const struct weir_auth_entry *entry = cache->slots[slot_of(token)];

	if (!entry || entry->policy != policy || entry->keys != keys || entry->token_len != token.len ||
	    CRYPTO_memcmp(entry->bytes, token.ptr, token.len) != 0)
		return NULL;
	return entry;
}

const struct weir_auth_entry *weir_auth_cache_add(struct weir_auth_cache *cache, struct weir_buf token,
						  const struct weir_jwt *jwt, uint64_t policy, uint64_t keys,
						  bool allowed)
{
	struct weir_auth_entry **slot = &cache->slots[slot_of(token)], *entry;
	size_t audiences = 0;
	char *at;

	for (size_t i = 0; i < jwt->audience_count; i++)
		audiences += jwt->audiences[i].len + 1;
	entry = weir_mem_alloc(sizeof *entry + token.len + audiences);
	if (!entry)
		return NULL;
	*entry = (struct weir_auth_entry){ policy, keys, jwt->expires_s, jwt->begins_s, allowed, token.len, audiences };
	memcpy(entry->bytes, token.ptr, token.len);
	at = entry->bytes + token.len;
	for (size_t i = 0; i < jwt->audience_count; i++) {
		memcpy(at, jwt->audiences[i].ptr, jwt->audiences[i].len);
		at += jwt->audiences[i].len;
		*at++ = '\0';
	}
	weir_mem_free(*slot);
	*slot = entry;
	return entry;
}
