/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token, as it is, and as the JSON of its parts: "HEADER\nCLAIMS". What is taken
 * lies in what was given, and no key that signed nothing verifies it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwks.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char keys[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\","
			   "\"x\":\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\","
			   "\"y\":\"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"}]}";

static void check_token(struct weir_buf token, struct weir_arena *arena)
{
	static struct weir_jwks *set;
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_jwt jwt;

	if (!set && weir_jwks_parse(weir_str(keys), &set, &err))
		abort();
	if (weir_jwt_parse(token, arena, &jwt, &err)) {
		if (!err.text[0])
			abort();
		return;
	}
	if (jwt.signed_part.ptr != token.ptr || jwt.signed_part.len >= token.len || !jwt.signature.len ||
	    jwt.audience_count > WEIR_JWT_MAX_AUDIENCES)
		abort();
	if (weir_jwks_verify(set, &jwt) == WEIR_OK)
		abort();
}

static void check_parts(struct weir_buf text, struct weir_arena *arena)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_jwt jwt = { 0 };
	struct weir_buf header;

	if (!weir_str_split(&text, '\n', &header) || !text.ptr)
		return;
	if (weir_jwt_read_header(header, arena, &jwt, &err) == WEIR_EINVAL && !err.text[0])
		abort();
	if (weir_jwt_read_claims(text, arena, &jwt, &err) == WEIR_EINVAL && !err.text[0])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_arena arena;

	weir_arena_init(&arena, 1 << 20);
	check_token((struct weir_buf){ data, size }, &arena);
	check_parts((struct weir_buf){ data, size }, &arena);
	weir_arena_fini(&arena);
	return 0;
}
