/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/auth.h"

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <string.h>

#include "auth/auth_cache.h"
#include "auth/keys.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

enum { SECRETS_MAX = 16, SECRET_BYTES = 512, SECRET_MIN = 16, AUDIENCE_MAX = 1024 };

struct secret {
	char bytes[SECRET_BYTES]; /* zeros behind it, so that a comparison is always of all of it */
	size_t len;
};

struct weir_auth {
	uint64_t number; /* of this policy */
	struct secret secrets[SECRETS_MAX];
	size_t secret_count;
	char *issuer, *audience, *subjects;
	int64_t leeway_s;
	struct weir_auth_keys *keys; /* NULL: no tokens */
};

static atomic_uint_fast64_t last_number;

/* ---- options -------------------------------------------------------------- */

static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~+/=", c));
}

static const char *next_secret(const char *text, size_t *len)
{
	text += strspn(text, " \t\r\n");
	*len = strcspn(text, " \t\r\n");
	return *len ? text : NULL;
}

static int check_secrets(const char *text, struct weir_error *err)
{
	size_t len, count = 0;

	while (text && (text = next_secret(text, &len))) {
		if (++count > SECRETS_MAX)
			return weir_fail(err, WEIR_EINVAL, "dispatcher.auth.tokenFile: more than %d tokens",
					 SECRETS_MAX);
		if (len < SECRET_MIN || len > SECRET_BYTES)
			return weir_fail(err, WEIR_EINVAL,
					 "dispatcher.auth.tokenFile: a token must be of %d to %d characters",
					 SECRET_MIN, SECRET_BYTES);
		for (size_t i = 0; i < len; i++) {
			if (!is_token_char(text[i]))
				return weir_fail(
				    err, WEIR_EINVAL,
				    "dispatcher.auth.tokenFile: a token must be of letters, digits and -._~+/=");
		}
		text += len;
	}
	return WEIR_OK;
}

int weir_auth_check_options(const struct weir_auth_options *options, struct weir_error *err)
{
	const char *wrong;
	int code = check_secrets(options->secrets, err);

	if (code)
		return code;
	if (!options->issuer != !options->keys)
		return weir_fail(err, WEIR_EINVAL, "dispatcher.auth.%s: needs dispatcher.auth.%s as well",
				 options->issuer ? "issuer" : "keys", options->issuer ? "keys" : "issuer");
	wrong = options->keys ? weir_auth_keys_check(options->keys) : NULL;
	return wrong ? weir_fail(err, WEIR_EINVAL, "dispatcher.auth.keys: %s", wrong) : WEIR_OK;
}

static void take_secrets(struct weir_auth *auth, const char *text)
{
	size_t len;

	while (text && (text = next_secret(text, &len))) {
		struct secret *secret = &auth->secrets[auth->secret_count++];

		memcpy(secret->bytes, text, len);
		secret->len = len;
		text += len;
	}
}

static int fill(struct weir_auth *auth, const struct weir_auth_options *options, const struct weir_auth *before,
		struct weir_error *err)
{
	auth->number = atomic_fetch_add(&last_number, 1) + 1;
	auth->leeway_s = options->leeway_ms / 1000;
	take_secrets(auth, options->secrets);
	if (!options->keys)
		return WEIR_OK;
	auth->issuer = weir_mem_strdup(options->issuer);
	auth->audience = weir_mem_strdup(options->audience);
	auth->subjects = weir_mem_strdup(options->subjects ? options->subjects : "");
	if (!auth->issuer || !auth->audience || !auth->subjects)
		return weir_fail(err, WEIR_ENOMEM, "no memory for a policy");
	return weir_auth_keys_new(options->keys, before ? before->keys : NULL, &auth->keys, err);
}

int weir_auth_new(const struct weir_auth_options *options, const struct weir_auth *before, struct weir_auth **ret,
		  struct weir_error *err)
{
	struct weir_auth *auth;
	size_t len;
	int code = weir_auth_check_options(options, err);

	*ret = NULL;
	if (code || (!options->keys && !(options->secrets && next_secret(options->secrets, &len))))
		return code;
	auth = weir_mem_zalloc(1, sizeof *auth);
	if (!auth)
		return weir_fail(err, WEIR_ENOMEM, "no memory for a policy");
	code = fill(auth, options, before, err);
	if (code)
		weir_auth_free(auth);
	else
		*ret = auth;
	return code;
}

void weir_auth_free(struct weir_auth *auth)
{
	if (!auth)
		return;
	weir_auth_keys_free(auth->keys);
	explicit_bzero(auth->secrets, sizeof auth->secrets);
	weir_mem_free(auth->issuer);
	weir_mem_free(auth->audience);
	weir_mem_free(auth->subjects);
	weir_mem_free(auth);
}

/* ---- the header ----------------------------------------------------------- */

static enum weir_auth_verdict say(enum weir_auth_verdict verdict, struct weir_error *err, const char *text)
{
	weir_fail(err, WEIR_EAUTH, "%s", text);
	return verdict;
}

static bool has_token(struct weir_buf query)
{
	struct weir_buf part;

	while (query.ptr && weir_str_split(&query, '&', &part)) {
		if (weir_str_starts(part, WEIR_STR("access_token=")))
			return true;
	}
	return false;
}

static bool is_token(struct weir_buf text)
{
	const char *chars = text.ptr;

	for (size_t i = 0; i < text.len; i++) {
		if (!is_token_char(chars[i]))
			return false;
	}
	return text.len > 0;
}

static enum weir_auth_verdict find_token(const struct weir_header *headers, size_t count, struct weir_buf query,
					 struct weir_buf *ret, struct weir_error *err)
{
	struct weir_buf found = { NULL, 0 }, scheme;

	if (has_token(query))
		return say(WEIR_AUTH_MALFORMED, err, "A token belongs in the header Authorization, not in the URL.");
	for (size_t i = 0; i < count; i++) {
		if (!weir_str_equal_nocase(headers[i].name, WEIR_STR("authorization")))
			continue;
		if (found.ptr)
			return say(WEIR_AUTH_MALFORMED, err, "There is more than one header Authorization.");
		found = headers[i].value;
	}
	if (!weir_str_split(&found, ' ', &scheme) || !weir_str_equal_nocase(scheme, WEIR_STR("bearer")))
		return say(WEIR_AUTH_MISSING, err, "Send a bearer token in the header Authorization.");
	*ret = weir_str_trim(found);
	if (!is_token(*ret))
		return say(WEIR_AUTH_MALFORMED, err, "The header Authorization holds no bearer token.");
	return WEIR_AUTH_GRANTED;
}

/* ---- shared secrets ------------------------------------------------------- */

/* Takes as long for a wrong one as for a right one, wherever they differ. */
static bool is_secret(const struct weir_auth *auth, struct weir_auth_cache *cache, struct weir_buf token)
{
	int found = 0;

	if (token.len > SECRET_BYTES)
		return false;
	memset(cache->secret, 0, sizeof cache->secret);
	memcpy(cache->secret, token.ptr, token.len);
	for (size_t i = 0; i < auth->secret_count; i++) {
		const struct secret *secret = &auth->secrets[i];

		found |= (CRYPTO_memcmp(secret->bytes, cache->secret, SECRET_BYTES) == 0) & (secret->len == token.len);
	}
	return found;
}

/* ---- tokens of an issuer -------------------------------------------------- */

/* Writes the audience that a token must have. 0: it does not fit. */
static size_t expected_audience(const struct weir_auth *auth, const struct weir_auth_scope *scope, char *out)
{
	const struct {
		struct weir_buf name;
		const char *value;
	} places[] = { { WEIR_STR("{resource}"), scope->resource },
		       { WEIR_STR("{namespace}"), scope->ns },
		       { WEIR_STR("{name}"), scope->name } };
	struct weir_buf rest = weir_str(auth->audience);
	size_t len = 0;

	while (rest.len) {
		struct weir_buf piece = { rest.ptr, 1 };
		size_t taken = 1;

		for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
			if (weir_str_starts(rest, places[i].name)) {
				piece = weir_str(places[i].value);
				taken = places[i].name.len;
			}
		}
		if (piece.len > AUDIENCE_MAX - len)
			return 0;
		memcpy(out + len, piece.ptr, piece.len);
		len += piece.len;
		rest = (struct weir_buf){ (const char *)rest.ptr + taken, rest.len - taken };
	}
	return len;
}

static bool is_for(const struct weir_auth *auth, const struct weir_auth_entry *entry,
		   const struct weir_auth_scope *scope)
{
	char wanted[AUDIENCE_MAX];
	struct weir_buf expected = { wanted, expected_audience(auth, scope, wanted) };
	struct weir_buf rest = { entry->bytes + entry->token_len, entry->audience_len }, audience;

	while (expected.len && weir_str_split(&rest, '\0', &audience)) {
		if (weir_str_equal(audience, expected))
			return true;
	}
	return false;
}

static bool may_send(const struct weir_auth *auth, struct weir_buf subject)
{
	struct weir_buf rest = weir_str(auth->subjects), one;

	if (!rest.len)
		return true;
	while (subject.ptr && weir_str_split(&rest, ',', &one)) {
		if (weir_str_equal(weir_str_trim(one), subject))
			return true;
	}
	return false;
}

/* The keys that the cache has, as new as there are. False: there are none yet. */
static bool take_keys(const struct weir_auth *auth, struct weir_auth_cache *cache)
{
	uint64_t generation = weir_auth_keys_generation(auth->keys);

	if (generation && generation != cache->keys) {
		weir_jwks_unref(cache->set);
		cache->set = weir_auth_keys_get(auth->keys);
		cache->keys = generation;
	}
	return generation != 0;
}

/* Checks a token that is not in the cache, and puts it there. */
static enum weir_auth_verdict judge(const struct weir_auth *auth, struct weir_auth_cache *cache, struct weir_buf token,
				    const struct weir_auth_entry **ret, struct weir_error *err)
{
	struct weir_jwt jwt;

	weir_arena_reset(&cache->arena);
	switch (weir_jwt_parse(token, &cache->arena, &jwt, err)) {
	case WEIR_OK:
		break;
	case WEIR_ENOMEM:
		return WEIR_AUTH_LATER;
	default:
		return WEIR_AUTH_INVALID;
	}
	if (!jwt.issuer.ptr || !weir_str_equal(jwt.issuer, weir_str(auth->issuer)))
		return say(WEIR_AUTH_INVALID, err, "The token is of another issuer.");
	switch (weir_jwks_verify(cache->set, &jwt)) {
	case WEIR_OK:
		break;
	case WEIR_EAUTH:
		return say(WEIR_AUTH_INVALID, err, "The token's signature is wrong.");
	case WEIR_ENOTFOUND:
		/* The issuer may have a new key. */
		return weir_auth_keys_refresh(auth->keys)
			   ? say(WEIR_AUTH_LATER, err, "The token's key is being looked for.")
			   : say(WEIR_AUTH_INVALID, err, "The token is signed with a key that is not known.");
	default:
		return say(WEIR_AUTH_LATER, err, "The token cannot be checked now.");
	}
	if (jwt.expires_s == INT64_MIN)
		return say(WEIR_AUTH_INVALID, err, "The token does not say when it ends.");
	*ret = weir_auth_cache_add(cache, token, &jwt, auth->number, cache->keys, may_send(auth, jwt.subject));
	return *ret ? WEIR_AUTH_GRANTED : say(WEIR_AUTH_LATER, err, "The token cannot be checked now.");
}

/* A claim may be anything, so the sum is not made where it could overflow. */
static bool is_past(int64_t when_s, int64_t now_s, int64_t leeway_s)
{
	return when_s <= now_s - leeway_s;
}

static enum weir_auth_verdict check_token(const struct weir_auth *auth, struct weir_auth_cache *cache,
					  struct weir_buf token, const struct weir_auth_scope *scope,
					  struct weir_error *err)
{
	int64_t now_s = weir_clock_wall_ms() / 1000;
	enum weir_auth_verdict verdict = WEIR_AUTH_GRANTED;
	const struct weir_auth_entry *entry;

	if (!take_keys(auth, cache))
		return say(WEIR_AUTH_LATER, err, "The keys of the issuer are not there yet.");
	entry = weir_auth_cache_find(cache, token, auth->number, cache->keys);
	if (!entry)
		verdict = judge(auth, cache, token, &entry, err);
	if (verdict != WEIR_AUTH_GRANTED)
		return verdict;
	if (is_past(entry->expires_s, now_s, auth->leeway_s))
		return say(WEIR_AUTH_INVALID, err, "The token has expired.");
	if (entry->begins_s > now_s + auth->leeway_s)
		return say(WEIR_AUTH_INVALID, err, "The token is not valid yet.");
	if (!is_for(auth, entry, scope))
		return say(WEIR_AUTH_INVALID, err, "The token is for another audience.");
	return entry->allowed ? WEIR_AUTH_GRANTED
			      : say(WEIR_AUTH_FORBIDDEN, err, "The token's subject may not send here.");
}

/* ---- all of it ------------------------------------------------------------ */

enum weir_auth_verdict weir_auth_check(const struct weir_auth *auth, struct weir_auth_cache *cache,
				       const struct weir_header *headers, size_t count, struct weir_buf query,
				       const struct weir_auth_scope *scope, struct weir_error *err)
{
	struct weir_buf token;
	enum weir_auth_verdict verdict = find_token(headers, count, query, &token, err);

	if (verdict != WEIR_AUTH_GRANTED || is_secret(auth, cache, token))
		return verdict;
	if (!auth->keys)
		return say(WEIR_AUTH_INVALID, err, "The token is not known.");
	return check_token(auth, cache, token, scope, err);
}

const struct weir_auth_answer *weir_auth_answer_of(enum weir_auth_verdict verdict)
{
	static const struct weir_auth_answer answers[] = {
		[WEIR_AUTH_GRANTED] = { 200, "granted", NULL },
		[WEIR_AUTH_MISSING] = { 401, "unauthorized", "Bearer realm=\"weir\"" },
		[WEIR_AUTH_MALFORMED] = { 400, "invalid_request", "Bearer realm=\"weir\", error=\"invalid_request\"" },
		[WEIR_AUTH_INVALID] = { 401, "invalid_token", "Bearer realm=\"weir\", error=\"invalid_token\"" },
		[WEIR_AUTH_FORBIDDEN] = { 403, "forbidden", "Bearer realm=\"weir\", error=\"insufficient_scope\"" },
		[WEIR_AUTH_LATER] = { 503, "unavailable", NULL },
	};

	return &answers[verdict];
}
