/* SPDX-License-Identifier: Apache-2.0 */
/* auth/claims: the JSON objects of a token. What is not known is skipped; what is known is there once. */
#include "auth/jwt.h"

#include <string.h>

#include "base/str.h"
#include "event/json_scan.h"

struct reader {
	struct weir_json_scan scan;
	struct weir_arena *arena;
	struct weir_jwt *jwt;
	struct weir_error *err;
	unsigned seen; /* a bit for each member */
};

/* Reads the value of a member, whose first token is `token`. */
typedef int take_fn(struct reader *reader, const struct weir_json_token *token);

struct member {
	struct weir_buf name;
	take_fn *take;
};

static int malformed(struct reader *reader)
{
	return weir_fail(reader->err, WEIR_EINVAL, "the token holds malformed JSON");
}

static int take_text(struct reader *reader, const struct weir_json_token *token, struct weir_buf *ret)
{
	if (token->kind != WEIR_JSON_STRING)
		return weir_fail(reader->err, WEIR_EINVAL, "the token has something else where a string belongs");
	if (!weir_json_unescape(token, reader->arena, ret))
		return weir_fail(reader->err, WEIR_ENOMEM, "no memory for a token");
	if (ret->len && memchr(ret->ptr, '\0', ret->len))
		return weir_fail(reader->err, WEIR_EINVAL, "the token has a text with a NUL in it");
	return WEIR_OK;
}

static int skip(struct reader *reader, const struct weir_json_token *token)
{
	struct weir_buf ignored;

	return weir_json_skip(&reader->scan, token, &ignored) ? WEIR_OK : malformed(reader);
}

static int take_member(struct reader *reader, const struct weir_json_token *key, const struct member *members,
		       size_t count)
{
	struct weir_json_token token;
	struct weir_buf name;

	if (!weir_json_unescape(key, reader->arena, &name))
		return weir_fail(reader->err, WEIR_ENOMEM, "no memory for a token");
	if (weir_json_next(&reader->scan, &token) == WEIR_JSON_ERROR)
		return malformed(reader);
	for (size_t i = 0; i < count; i++) {
		if (!weir_str_equal(name, members[i].name))
			continue;
		if (reader->seen >> i & 1)
			return weir_fail(reader->err, WEIR_EINVAL, "the token says something twice");
		reader->seen |= 1u << i;
		return members[i].take(reader, &token);
	}
	return skip(reader, &token);
}

static int read_object(struct reader *reader, struct weir_buf json, const struct member *members, size_t count)
{
	struct weir_json_token token;
	int code = WEIR_OK;

	weir_json_init(&reader->scan, json, WEIR_JWT_MAX_DEPTH);
	if (weir_json_next(&reader->scan, &token) != WEIR_JSON_OBJECT)
		return malformed(reader);
	while (!code && weir_json_next(&reader->scan, &token) == WEIR_JSON_KEY)
		code = take_member(reader, &token, members, count);
	if (code)
		return code;
	return token.kind != WEIR_JSON_ERROR && weir_json_next(&reader->scan, &token) == WEIR_JSON_END
		   ? WEIR_OK
		   : malformed(reader);
}

/* ---- header --------------------------------------------------------------- */

static int take_algorithm(struct reader *reader, const struct weir_json_token *token)
{
	struct weir_buf name;
	int code = take_text(reader, token, &name);

	if (code)
		return code;
	if (weir_str_equal(name, WEIR_STR("RS256")))
		reader->jwt->algorithm = WEIR_JWT_RS256;
	else if (weir_str_equal(name, WEIR_STR("ES256")))
		reader->jwt->algorithm = WEIR_JWT_ES256;
	else
		return weir_fail(reader->err, WEIR_EINVAL,
				 "the token's algorithm is not taken; allowed: RS256 and ES256");
	return WEIR_OK;
}

static int take_key_id(struct reader *reader, const struct weir_json_token *token)
{
	return take_text(reader, token, &reader->jwt->key_id);
}

/* Whatever it names must be understood, and nothing is. */
static int refuse_critical(struct reader *reader, const struct weir_json_token *token)
{
	(void)token;
	return weir_fail(reader->err, WEIR_EINVAL, "the token has critical extensions, which are not understood");
}

int weir_jwt_read_header(struct weir_buf json, struct weir_arena *arena, struct weir_jwt *ret, struct weir_error *err)
{
	static const struct member members[] = {
		{ { "alg", 3 }, take_algorithm },
		{ { "kid", 3 }, take_key_id },
		{ { "crit", 4 }, refuse_critical },
	};
	struct reader reader = { .arena = arena, .jwt = ret, .err = err };
	int code = read_object(&reader, json, members, sizeof members / sizeof members[0]);

	if (!code && !(reader.seen & 1))
		return weir_fail(err, WEIR_EINVAL, "the token names no algorithm");
	return code;
}

/* ---- claims --------------------------------------------------------------- */

static int take_issuer(struct reader *reader, const struct weir_json_token *token)
{
	return take_text(reader, token, &reader->jwt->issuer);
}

static int take_subject(struct reader *reader, const struct weir_json_token *token)
{
	return take_text(reader, token, &reader->jwt->subject);
}

/* A number of seconds, which may have a fraction: that is cut off. */
static int take_time(struct reader *reader, const struct weir_json_token *token, int64_t *ret)
{
	struct weir_buf whole = token->text;
	const char *dot = whole.len ? memchr(whole.ptr, '.', whole.len) : NULL;

	if (dot)
		whole.len = (size_t)(dot - (const char *)whole.ptr);
	if (token->kind != WEIR_JSON_NUMBER || memchr(token->text.ptr, 'e', token->text.len) ||
	    memchr(token->text.ptr, 'E', token->text.len) || !weir_str_to_int(whole, ret))
		return weir_fail(reader->err, WEIR_EINVAL, "the token has a time that is no number of seconds");
	return WEIR_OK;
}

static int take_expiry(struct reader *reader, const struct weir_json_token *token)
{
	return take_time(reader, token, &reader->jwt->expires_s);
}

static int take_begin(struct reader *reader, const struct weir_json_token *token)
{
	return take_time(reader, token, &reader->jwt->begins_s);
}

static int take_audience(struct reader *reader, const struct weir_json_token *token)
{
	struct weir_jwt *jwt = reader->jwt;

	if (jwt->audience_count == WEIR_JWT_MAX_AUDIENCES)
		return weir_fail(reader->err, WEIR_EINVAL, "the token has too many audiences");
	return take_text(reader, token, &jwt->audiences[jwt->audience_count++]);
}

static int take_audiences(struct reader *reader, const struct weir_json_token *token)
{
	struct weir_json_token item;
	int code = WEIR_OK;

	if (token->kind != WEIR_JSON_ARRAY)
		return take_audience(reader, token);
	while (!code && weir_json_next(&reader->scan, &item) > WEIR_JSON_END && item.kind != WEIR_JSON_ARRAY_END)
		code = take_audience(reader, &item);
	if (code)
		return code;
	return item.kind == WEIR_JSON_ARRAY_END ? WEIR_OK : malformed(reader);
}

int weir_jwt_read_claims(struct weir_buf json, struct weir_arena *arena, struct weir_jwt *ret, struct weir_error *err)
{
	static const struct member members[] = {
		{ { "iss", 3 }, take_issuer }, { { "sub", 3 }, take_subject }, { { "aud", 3 }, take_audiences },
		{ { "exp", 3 }, take_expiry }, { { "nbf", 3 }, take_begin },
	};
	struct reader reader = { .arena = arena, .jwt = ret, .err = err };

	return read_object(&reader, json, members, sizeof members / sizeof members[0]);
}
