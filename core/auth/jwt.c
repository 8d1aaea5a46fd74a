/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/jwt.h"

#include <string.h>

#include "base/str.h"

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* Bits that are left over must be zero, so that each value has one spelling. */
static bool decode(struct weir_buf text, unsigned char *out, size_t *len)
{
	const char *chars = text.ptr;
	unsigned bits = 0, held = 0;

	*len = 0;
	for (size_t i = 0; i < text.len; i++) {
		int value = value_of(chars[i]);

		if (value < 0)
			return false;
		bits = bits << 6 | (unsigned)value;
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[(*len)++] = (unsigned char)(bits >> held);
			bits &= (1u << held) - 1;
		}
	}
	return held < 6 && bits == 0;
}

bool weir_jwt_decode(struct weir_buf text, struct weir_arena *arena, struct weir_buf *ret)
{
	unsigned char *bytes = weir_arena_alloc(arena, text.len / 4 * 3 + 3);

	*ret = (struct weir_buf){ bytes, 0 };
	return bytes && decode(text, bytes, &ret->len);
}

/* A part that is text decoded; WEIR_EINVAL if not. */
static int decode_part(struct weir_buf part, const char *what, struct weir_arena *arena, struct weir_buf *ret,
		       struct weir_error *err)
{
	if (weir_jwt_decode(part, arena, ret) && ret->len)
		return WEIR_OK;
	if (!ret->ptr)
		return weir_fail(err, WEIR_ENOMEM, "no memory for a token");
	return weir_fail(err, WEIR_EINVAL, "the token's %s is not base64url", what);
}

static int read_parts(struct weir_buf head, struct weir_buf body, struct weir_buf end, struct weir_arena *arena,
		      struct weir_jwt *ret, struct weir_error *err)
{
	struct weir_buf header, claims;
	int code = decode_part(head, "header", arena, &header, err);

	if (!code)
		code = decode_part(body, "body", arena, &claims, err);
	if (!code)
		code = decode_part(end, "signature", arena, &ret->signature, err);
	if (!code)
		code = weir_jwt_read_header(header, arena, ret, err);
	return code ? code : weir_jwt_read_claims(claims, arena, ret, err);
}

int weir_jwt_parse(struct weir_buf token, struct weir_arena *arena, struct weir_jwt *ret, struct weir_error *err)
{
	struct weir_buf rest = token, head, body;

	memset(ret, 0, sizeof *ret);
	ret->expires_s = ret->begins_s = INT64_MIN;
	if (token.len > WEIR_JWT_MAX_BYTES)
		return weir_fail(err, WEIR_EINVAL, "the token is too long");
	if (!weir_str_split(&rest, '.', &head) || !rest.ptr || !weir_str_split(&rest, '.', &body) || !rest.ptr ||
	    memchr(rest.ptr, '.', rest.len))
		return weir_fail(err, WEIR_EINVAL, "the token is not of three parts");
	ret->signed_part = (struct weir_buf){ token.ptr, head.len + 1 + body.len };
	return read_parts(head, body, rest, arena, ret, err);
}
