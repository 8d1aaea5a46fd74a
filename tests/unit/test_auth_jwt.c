/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens and key sets: what is read of them, and which signature is believed. */
#include "unit/weir_cmocka.h"

#include "auth/jwks.h"
#include "base/str.h"
#include "fixtures/jwt_maker.h"

static struct {
	EVP_PKEY *rsa, *ec, *other, *small;
	struct weir_arena arena;
	struct weir_jwks *set;
	struct weir_jwt jwt;
	struct weir_error err;
} at;

static int make_keys(void **state)
{
	(void)state;
	at.rsa = maker_rsa(2048);
	at.ec = maker_ec();
	at.other = maker_ec();
	at.small = maker_rsa(1024);
	return at.rsa && at.ec && at.other && at.small ? 0 : -1;
}

static int free_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(at.rsa);
	EVP_PKEY_free(at.ec);
	EVP_PKEY_free(at.other);
	EVP_PKEY_free(at.small);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	weir_arena_init(&at.arena, 0);
	at.set = NULL;
	at.err = (struct weir_error)WEIR_ERROR_INIT;
	return 0;
}

static int end(void **state)
{
	(void)state;
	weir_arena_fini(&at.arena);
	weir_jwks_unref(at.set);
	return 0;
}

static int parse(const char *header, const char *claims)
{
	static char token[MAKER_TEXT];

	maker_token(at.ec, header, claims, token);
	return weir_jwt_parse(weir_str(token), &at.arena, &at.jwt, &at.err);
}

static void assert_text(struct weir_buf found, const char *expected)
{
	assert_true(weir_str_equal(found, weir_str(expected)));
}

static void use_set(const char *json)
{
	assert_int_equal(weir_jwks_parse(weir_str(json), &at.set, &at.err), WEIR_OK);
}

static void use_keys(EVP_PKEY *first, EVP_PKEY *second, const char *more)
{
	static char json[3 * MAKER_TEXT], one[MAKER_TEXT], two[MAKER_TEXT];

	maker_jwk(first, "one", more, one);
	maker_jwk(second, "two", more, two);
	snprintf(json, sizeof json, "{\"keys\":[%s,%s]}", one, two);
	use_set(json);
}

static int verify(EVP_PKEY *key, const char *header)
{
	static char token[MAKER_TEXT];

	maker_token(key, header, "{}", token);
	assert_int_equal(weir_jwt_parse(weir_str(token), &at.arena, &at.jwt, &at.err), WEIR_OK);
	return weir_jwks_verify(at.set, &at.jwt);
}

/* ---- tokens --------------------------------------------------------------- */

static void the_parts_of_a_token_are_read(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"typ\":\"JWT\",\"alg\":\"ES256\",\"kid\":\"k\"}",
			       "{\"iss\":\"i\",\"sub\":\"s\",\"aud\":\"a\",\"exp\":1.9e0,\"x\":{\"y\":[1]}}"),
			 WEIR_EINVAL); /* a time with an exponent */
	assert_int_equal(
	    parse("{\"typ\":\"JWT\",\"alg\":\"ES256\",\"kid\":\"k\"}",
		  "{\"iss\":\"i\",\"sub\":\"s\",\"aud\":[\"a\",\"b\"],\"exp\":12.9,\"nbf\":-3,\"x\":{\"y\":[1]}}"),
	    WEIR_OK);
	assert_int_equal(at.jwt.algorithm, WEIR_JWT_ES256);
	assert_text(at.jwt.key_id, "k");
	assert_text(at.jwt.issuer, "i");
	assert_text(at.jwt.subject, "s");
	assert_int_equal(at.jwt.audience_count, 2);
	assert_text(at.jwt.audiences[1], "b");
	assert_int_equal(at.jwt.expires_s, 12);
	assert_int_equal(at.jwt.begins_s, -3);
}

static void what_is_absent_is_told_apart_from_what_is_empty(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"alg\":\"ES256\"}", "{\"iss\":\"\"}"), WEIR_OK);
	assert_null(at.jwt.key_id.ptr);
	assert_non_null(at.jwt.issuer.ptr);
	assert_null(at.jwt.subject.ptr);
	assert_int_equal(at.jwt.audience_count, 0);
	assert_true(at.jwt.expires_s == INT64_MIN && at.jwt.begins_s == INT64_MIN);
}

static void other_algorithms_are_not_taken(void **state)
{
	static const char *const headers[] = { "{\"alg\":\"none\"}",
					       "{\"alg\":\"HS256\"}",
					       "{\"alg\":\"RS384\"}",
					       "{\"alg\":\"rs256\"}",
					       "{\"alg\":null}",
					       "{\"alg\":[\"RS256\"]}",
					       "{}",
					       "{\"alg\":\"ES256\",\"alg\":\"RS256\"}",
					       "{\"alg\":\"ES256\",\"crit\":[\"exp\"]}" };

	(void)state;
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
		assert_int_equal(parse(headers[i], "{}"), WEIR_EINVAL);
		assert_true(at.err.text[0]);
	}
}

static void malformed_claims_are_refused(void **state)
{
	static const char *const claims[] = { "[]",
					      "{\"exp\":\"1\"}",
					      "{\"exp\":99999999999999999999}",
					      "{\"aud\":[1]}",
					      "{\"aud\":{}}",
					      "{\"iss\":5}",
					      "{\"aud\":\"a\",\"aud\":\"b\"}",
					      "{} x",
					      "{\"iss\":\"a\\u0000b\"}",
					      "{\"exp\":1",
					      "{\"aud\":[\"a\"" };

	(void)state;
	for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++)
		assert_int_equal(parse("{\"alg\":\"ES256\"}", claims[i]), WEIR_EINVAL);
}

static void what_is_no_compact_token_is_refused(void **state)
{
	static const char *const tokens[] = { "",         ".",           "..",          "a.b",        "a.b.c.d",
					      "e30.e30.", "e30=.e30.AA", "e30.e3 0.AA", "e31.e30.AA", "e30.e30.A" };

	(void)state;
	for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++)
		assert_int_equal(weir_jwt_parse(weir_str(tokens[i]), &at.arena, &at.jwt, &at.err), WEIR_EINVAL);
}

static void base64url_has_one_spelling_for_each_value(void **state)
{
	struct weir_buf out;

	(void)state;
	assert_true(weir_jwt_decode(WEIR_STR("_-8"), &at.arena, &out));
	assert_memory_equal(out.ptr, "\xff\xef", 2);
	assert_true(weir_jwt_decode(WEIR_STR(""), &at.arena, &out) && out.len == 0);
	assert_true(weir_jwt_decode(WEIR_STR("AAA"), &at.arena, &out) && out.len == 2);
	assert_false(weir_jwt_decode(WEIR_STR("AAB"), &at.arena, &out));
	assert_false(weir_jwt_decode(WEIR_STR("A"), &at.arena, &out));
	assert_false(weir_jwt_decode(WEIR_STR("AA=="), &at.arena, &out));
	assert_false(weir_jwt_decode(WEIR_STR("A+/A"), &at.arena, &out));
}

/* ---- keys ----------------------------------------------------------------- */

static void the_key_that_is_named_verifies(void **state)
{
	(void)state;
	use_keys(at.rsa, at.ec, "");
	assert_int_equal(weir_jwks_count(at.set), 2);
	assert_int_equal(verify(at.rsa, "{\"alg\":\"RS256\",\"kid\":\"one\"}"), WEIR_OK);
	assert_int_equal(verify(at.ec, "{\"alg\":\"ES256\",\"kid\":\"two\"}"), WEIR_OK);
}

static void a_signature_of_another_key_is_wrong(void **state)
{
	(void)state;
	use_keys(at.rsa, at.ec, "");
	assert_int_equal(verify(at.other, "{\"alg\":\"ES256\",\"kid\":\"two\"}"), WEIR_EAUTH);
}

static void a_changed_token_is_wrong(void **state)
{
	static char token[MAKER_TEXT];

	(void)state;
	use_keys(at.rsa, at.ec, "");
	maker_token(at.ec, "{\"alg\":\"ES256\",\"kid\":\"two\"}", "{\"sub\":\"a\"}", token);
	for (size_t i = 0; token[i]; i++) {
		char kept = token[i];

		if (kept == '.')
			continue;
		token[i] = kept == 'A' ? 'B' : 'A';
		if (weir_jwt_parse(weir_str(token), &at.arena, &at.jwt, &at.err) == WEIR_OK)
			assert_int_not_equal(weir_jwks_verify(at.set, &at.jwt), WEIR_OK);
		token[i] = kept;
	}
}

static void a_key_serves_its_own_algorithm_only(void **state)
{
	(void)state;
	use_keys(at.rsa, at.ec, "");
	assert_int_equal(verify(at.ec, "{\"alg\":\"ES256\",\"kid\":\"one\"}"), WEIR_ENOTFOUND);
	assert_int_equal(verify(at.rsa, "{\"alg\":\"RS256\",\"kid\":\"two\"}"), WEIR_ENOTFOUND);
}

static void an_unknown_key_is_not_found(void **state)
{
	(void)state;
	use_keys(at.rsa, at.ec, "");
	assert_int_equal(verify(at.ec, "{\"alg\":\"ES256\",\"kid\":\"three\"}"), WEIR_ENOTFOUND);
}

static void a_token_that_names_no_key_needs_the_only_one_of_its_kind(void **state)
{
	(void)state;
	use_keys(at.rsa, at.ec, "");
	assert_int_equal(verify(at.ec, "{\"alg\":\"ES256\"}"), WEIR_OK);
	weir_jwks_unref(at.set);
	use_keys(at.other, at.ec, "");
	assert_int_equal(verify(at.ec, "{\"alg\":\"ES256\"}"), WEIR_ENOTFOUND);
}

static void keys_of_no_use_are_left_out(void **state)
{
	static char one[MAKER_TEXT], json[2 * MAKER_TEXT];
	static const char *const others[] = { ",\"use\":\"enc\"", ",\"alg\":\"ES384\"" };

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		maker_jwk(at.ec, "one", others[i], one);
		snprintf(json, sizeof json, "{\"keys\":[%s]}", one);
		assert_int_equal(weir_jwks_parse(weir_str(json), &at.set, &at.err), WEIR_EINVAL);
	}
	maker_jwk(at.small, "one", "", one);
	snprintf(json, sizeof json, "{\"keys\":[%s]}", one);
	assert_int_equal(weir_jwks_parse(weir_str(json), &at.set, &at.err), WEIR_EINVAL);
	at.set = NULL;
	use_keys(at.ec, at.small, ",\"use\":\"sig\",\"x5c\":[\"a\"]");
	assert_int_equal(weir_jwks_count(at.set), 1);
}

static void a_point_off_the_curve_is_no_key(void **state)
{
	static const char json[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
				   "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
				   "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}";

	(void)state;
	assert_int_equal(weir_jwks_parse(weir_str(json), &at.set, &at.err), WEIR_EINVAL);
}

static void what_is_no_key_set_is_refused(void **state)
{
	static const char *const sets[] = { "",
					    "[]",
					    "{}",
					    "{\"keys\":{}}",
					    "{\"keys\":[1]}",
					    "{\"keys\":[]}",
					    "{\"keys\":[{}]",
					    "{\"keys\":[],\"keys\":[]}",
					    "{\"keys\":[]} x",
					    "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}" };

	(void)state;
	for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
		assert_int_equal(weir_jwks_parse(weir_str(sets[i]), &at.set, &at.err), WEIR_EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_parts_of_a_token_are_read),
		TEST(what_is_absent_is_told_apart_from_what_is_empty),
		TEST(other_algorithms_are_not_taken),
		TEST(malformed_claims_are_refused),
		TEST(what_is_no_compact_token_is_refused),
		TEST(base64url_has_one_spelling_for_each_value),
		TEST(the_key_that_is_named_verifies),
		TEST(a_signature_of_another_key_is_wrong),
		TEST(a_changed_token_is_wrong),
		TEST(a_key_serves_its_own_algorithm_only),
		TEST(an_unknown_key_is_not_found),
		TEST(a_token_that_names_no_key_needs_the_only_one_of_its_kind),
		TEST(keys_of_no_use_are_left_out),
		TEST(a_point_off_the_curve_is_no_key),
		TEST(what_is_no_key_set_is_refused),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
