/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth/jwt: the parts of a JSON Web Token in compact form (RFC 7515, RFC 7519).
 * Nothing here says that a token is genuine: weir_jwks_verify() does.
 *
 * Only the algorithms RS256 and ES256 are known, so that neither "none" nor an
 * HMAC keyed with somebody's public key is one. A header with `crit` is refused.
 */
#ifndef WEIR_AUTH_JWT_H
#define WEIR_AUTH_JWT_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/driver.h>
#include <weir/error.h>

#include "base/arena.h"

enum {
	WEIR_JWT_MAX_BYTES = 8192,
	WEIR_JWT_MAX_DEPTH = 16,
	WEIR_JWT_MAX_AUDIENCES = 32,
};

enum weir_jwt_algorithm { WEIR_JWT_RS256, WEIR_JWT_ES256 };

struct weir_jwt {
	enum weir_jwt_algorithm algorithm;
	struct weir_buf key_id;      /* ptr NULL: none */
	struct weir_buf signed_part; /* of the token itself */
	struct weir_buf signature;   /* bytes */
	struct weir_buf issuer;      /* ptr NULL: none; so are the others */
	struct weir_buf subject;
	struct weir_buf audiences[WEIR_JWT_MAX_AUDIENCES];
	size_t audience_count;
	int64_t expires_s; /* since 1970; INT64_MIN: not given */
	int64_t begins_s;  /* INT64_MIN: at once */
};

/*
 * Takes a token apart. *ret borrows from `token` and the arena. WEIR_EINVAL: it is
 * malformed, or of a kind that is not taken; the text says why and repeats nothing
 * of it. WEIR_ENOMEM.
 */
int weir_jwt_parse(struct weir_buf token, struct weir_arena *arena, struct weir_jwt *ret, struct weir_error *err);

/* False: not base64url without padding (RFC 7515, section 2), or no memory: then ret->ptr is NULL. */
bool weir_jwt_decode(struct weir_buf text, struct weir_arena *arena, struct weir_buf *ret);

/* ---- claims.c: the two JSON objects --------------------------------------- */

int weir_jwt_read_header(struct weir_buf json, struct weir_arena *arena, struct weir_jwt *ret, struct weir_error *err);
int weir_jwt_read_claims(struct weir_buf json, struct weir_arena *arena, struct weir_jwt *ret, struct weir_error *err);

#endif
