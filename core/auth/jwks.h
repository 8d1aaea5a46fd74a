/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth/jwks: a set of public keys (RFC 7517), and whether one of them has signed
 * a token. Keys that are of no use here (other kinds, other purposes, too short)
 * are left out. A set is never changed; any thread.
 */
#ifndef WEIR_AUTH_JWKS_H
#define WEIR_AUTH_JWKS_H

#include "auth/jwt.h"

enum {
	WEIR_JWKS_MAX_BYTES = 262144,
	WEIR_JWKS_MAX_KEYS = 64,
	WEIR_JWKS_MIN_RSA_BITS = 2048,
};

struct weir_jwks;

/* WEIR_EINVAL: no JSON Web Key Set, or none of its keys is of use; WEIR_ENOMEM. */
int weir_jwks_parse(struct weir_buf json, struct weir_jwks **ret, struct weir_error *err);
struct weir_jwks *weir_jwks_ref(struct weir_jwks *set);
void weir_jwks_unref(struct weir_jwks *set);
size_t weir_jwks_count(const struct weir_jwks *set);

/*
 * Looks for the key by its id, or takes the only one of its kind if the token
 * names none. WEIR_EAUTH: the signature is wrong; WEIR_ENOTFOUND: there is no such
 * key, perhaps not yet; WEIR_ENOMEM.
 */
int weir_jwks_verify(const struct weir_jwks *set, const struct weir_jwt *jwt);

/* ---- key.c ---------------------------------------------------------------- */

/* What a key is made of; numbers as bytes. */
struct weir_key_parts {
	enum weir_jwt_algorithm algorithm;
	struct weir_buf modulus, exponent; /* RS256 */
	struct weir_buf x, y;              /* ES256 */
};

struct evp_pkey_st;

/* NULL: it is none, too short, or there is no memory. */
struct evp_pkey_st *weir_key_new(const struct weir_key_parts *parts);
void weir_key_free(struct evp_pkey_st *key);
/* WEIR_EAUTH: not its signature; WEIR_ENOMEM. */
int weir_key_verify(struct evp_pkey_st *key, enum weir_jwt_algorithm algorithm, struct weir_buf text,
		    struct weir_buf signature);

#endif
