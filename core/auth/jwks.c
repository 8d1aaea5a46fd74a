/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/jwks.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "event/json_scan.h"

enum { MAX_DEPTH = 16 };

struct key {
	struct evp_pkey_st *key;
	enum weir_jwt_algorithm algorithm;
	struct weir_buf id; /* ptr NULL: none */
};

struct weir_jwks {
	atomic_uint refs;
	struct weir_arena arena; /* ids */
	struct key keys[WEIR_JWKS_MAX_KEYS];
	size_t count;
};

/* ---- reading -------------------------------------------------------------- */

/* The members of a key that matter, all of them strings. */
enum { KTY, USE, ALG, KID, N, E, CRV, X, Y, MEMBERS };

static const char *const names[MEMBERS] = { "kty", "use", "alg", "kid", "n", "e", "crv", "x", "y" };

struct reader {
	struct weir_json_scan scan;
	struct weir_jwks *set;
	struct weir_arena arena; /* for as long as it reads */
};

/* Of a key: known members that are strings; the rest is skipped, twice is the last. */
static bool read_key(struct reader *reader, struct weir_buf values[MEMBERS])
{
	struct weir_json_token key, token;
	struct weir_buf ignored, name;

	memset(values, 0, MEMBERS * sizeof *values);
	while (weir_json_next(&reader->scan, &key) == WEIR_JSON_KEY) {
		size_t i = 0;

		if (!weir_json_unescape(&key, &reader->arena, &name) ||
		    weir_json_next(&reader->scan, &token) == WEIR_JSON_ERROR)
			return false;
		while (i < MEMBERS && !weir_str_equal(name, weir_str(names[i])))
			i++;
		if (i < MEMBERS && token.kind == WEIR_JSON_STRING) {
			if (!weir_json_unescape(&token, &reader->arena, &values[i]))
				return false;
		} else if (!weir_json_skip(&reader->scan, &token, &ignored)) {
			return false;
		}
	}
	return key.kind == WEIR_JSON_OBJECT_END;
}

static bool is(struct weir_buf value, const char *text)
{
	return value.ptr && weir_str_equal(value, weir_str(text));
}

/* False: a key of another kind or for another purpose. */
static bool find_parts(struct reader *reader, const struct weir_buf values[MEMBERS], struct weir_key_parts *ret)
{
	struct weir_arena *arena = &reader->arena;
	bool rsa = is(values[KTY], "RSA");

	memset(ret, 0, sizeof *ret);
	ret->algorithm = rsa ? WEIR_JWT_RS256 : WEIR_JWT_ES256;
	if ((!rsa && !(is(values[KTY], "EC") && is(values[CRV], "P-256"))) ||
	    (values[USE].ptr && !is(values[USE], "sig")) ||
	    (values[ALG].ptr && !is(values[ALG], rsa ? "RS256" : "ES256")))
		return false;
	if (rsa)
		return weir_jwt_decode(values[N], arena, &ret->modulus) &&
		       weir_jwt_decode(values[E], arena, &ret->exponent);
	return weir_jwt_decode(values[X], arena, &ret->x) && weir_jwt_decode(values[Y], arena, &ret->y);
}

static bool add_key(struct reader *reader, const struct weir_buf values[MEMBERS])
{
	struct weir_jwks *set = reader->set;
	struct key *key = &set->keys[set->count];
	struct weir_key_parts parts;

	if (set->count == WEIR_JWKS_MAX_KEYS || !find_parts(reader, values, &parts))
		return true;
	key->algorithm = parts.algorithm;
	key->id = (struct weir_buf){ NULL, 0 };
	if (values[KID].ptr) {
		key->id = weir_arena_copy(&set->arena, values[KID]);
		if (!key->id.ptr)
			return false;
	}
	key->key = weir_key_new(&parts);
	set->count += key->key != NULL;
	return true;
}

static bool read_keys(struct reader *reader)
{
	struct weir_buf values[MEMBERS];
	struct weir_json_token token;

	if (weir_json_next(&reader->scan, &token) != WEIR_JSON_ARRAY)
		return false;
	while (weir_json_next(&reader->scan, &token) == WEIR_JSON_OBJECT) {
		if (!read_key(reader, values) || !add_key(reader, values))
			return false;
	}
	return token.kind == WEIR_JSON_ARRAY_END;
}

static bool read_set(struct reader *reader)
{
	struct weir_json_token token;
	struct weir_buf name, ignored;
	bool found = false;

	if (weir_json_next(&reader->scan, &token) != WEIR_JSON_OBJECT)
		return false;
	while (weir_json_next(&reader->scan, &token) == WEIR_JSON_KEY) {
		if (!weir_json_unescape(&token, &reader->arena, &name))
			return false;
		if (weir_str_equal(name, WEIR_STR("keys"))) {
			if (found || !read_keys(reader))
				return false;
			found = true;
		} else if (weir_json_next(&reader->scan, &token) == WEIR_JSON_ERROR ||
			   !weir_json_skip(&reader->scan, &token, &ignored)) {
			return false;
		}
	}
	return found && token.kind == WEIR_JSON_OBJECT_END && weir_json_next(&reader->scan, &token) == WEIR_JSON_END;
}

int weir_jwks_parse(struct weir_buf json, struct weir_jwks **ret, struct weir_error *err)
{
	struct reader reader = { .set = weir_mem_zalloc(1, sizeof *reader.set) };
	bool sound;

	if (!reader.set)
		return weir_fail(err, WEIR_ENOMEM, "no memory for keys");
	atomic_init(&reader.set->refs, 1);
	weir_arena_init(&reader.set->arena, 0);
	weir_arena_init(&reader.arena, 0);
	weir_json_init(&reader.scan, json, MAX_DEPTH);
	sound = json.len <= WEIR_JWKS_MAX_BYTES && read_set(&reader);
	weir_arena_fini(&reader.arena);
	if (sound && reader.set->count) {
		*ret = reader.set;
		return WEIR_OK;
	}
	weir_jwks_unref(reader.set);
	return weir_fail(err, WEIR_EINVAL,
			 sound ? "none of the keys is one for RS256 of at least 2048 bits, or for ES256"
			       : "it is not a JSON Web Key Set (RFC 7517)");
}

struct weir_jwks *weir_jwks_ref(struct weir_jwks *set)
{
	if (set)
		atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
	return set;
}

void weir_jwks_unref(struct weir_jwks *set)
{
	if (!set || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < set->count; i++)
		weir_key_free(set->keys[i].key);
	weir_arena_fini(&set->arena);
	weir_mem_free(set);
}

size_t weir_jwks_count(const struct weir_jwks *set)
{
	return set->count;
}

/* ---- verifying ------------------------------------------------------------ */

/* A key is for one algorithm, whatever the token says. */
static const struct key *find(const struct weir_jwks *set, const struct weir_jwt *jwt)
{
	const struct key *found = NULL;

	for (size_t i = 0; i < set->count; i++) {
		const struct key *key = &set->keys[i];

		if (key->algorithm != jwt->algorithm)
			continue;
		if (jwt->key_id.ptr && key->id.ptr && weir_str_equal(key->id, jwt->key_id))
			return key;
		if (!jwt->key_id.ptr) {
			if (found)
				return NULL; /* which of them is not said */
			found = key;
		}
	}
	return found;
}

int weir_jwks_verify(const struct weir_jwks *set, const struct weir_jwt *jwt)
{
	const struct key *key = find(set, jwt);

	return key ? weir_key_verify(key->key, jwt->algorithm, jwt->signed_part, jwt->signature) : WEIR_ENOTFOUND;
}
