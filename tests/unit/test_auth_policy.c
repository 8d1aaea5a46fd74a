/* SPDX-License-Identifier: Apache-2.0 */
/* Who may send: shared tokens, tokens of an issuer, and what each wrong one is answered. */
#include "unit/weir_cmocka.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "auth/auth.h"
#include "auth/keys.h"
#include "base/clock.h"
#include "base/str.h"
#include "fixtures/jwt_maker.h"

#define SECRET "a-shared-token-0123456789"
#define HEADER "{\"alg\":\"ES256\",\"kid\":\"k\"}"

static struct {
	EVP_PKEY *key, *next;
	char path[64];
	struct weir_auth *auth;
	struct weir_auth_cache *cache;
	struct weir_error err;
	char token[MAKER_TEXT];
} at;

static const struct weir_auth_scope orders = { "messaging.knative.dev/k", "shop", "orders" };
static const struct weir_auth_scope other = { "messaging.knative.dev/k", "shop", "other" };

static void write_keys(EVP_PKEY *key, const char *id)
{
	static char jwk[MAKER_TEXT];
	FILE *file = fopen(at.path, "w");

	assert_non_null(file);
	maker_jwk(key, id, "", jwk);
	fprintf(file, "{\"keys\":[%s]}", jwk);
	fclose(file);
}

static int make_keys(void **state)
{
	(void)state;
	snprintf(at.path, sizeof at.path, "/tmp/weir-keys-%d.json", (int)getpid());
	at.key = maker_ec();
	at.next = maker_ec();
	return at.key && at.next ? 0 : -1;
}

static int free_keys(void **state)
{
	(void)state;
	unlink(at.path);
	EVP_PKEY_free(at.key);
	EVP_PKEY_free(at.next);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	at.auth = NULL;
	at.err = (struct weir_error)WEIR_ERROR_INIT;
	write_keys(at.key, "k");
	return weir_auth_cache_new(&at.cache);
}

static int end(void **state)
{
	(void)state;
	weir_auth_free(at.auth);
	weir_auth_cache_free(at.cache);
	return 0;
}

static enum weir_auth_verdict check_headers(const struct weir_header *headers, size_t count, const char *query,
					    const struct weir_auth_scope *scope)
{
	return weir_auth_check(at.auth, at.cache, headers, count, weir_str(query), scope, &at.err);
}

static enum weir_auth_verdict check(const char *value)
{
	const struct weir_header header = { WEIR_STR("Authorization"), weir_str(value) };

	return check_headers(&header, 1, NULL, &orders);
}

static enum weir_auth_verdict check_token_for(const struct weir_auth_scope *scope)
{
	static char value[MAKER_TEXT + 16];
	const struct weir_header header = { WEIR_STR("authorization"), { value, 0 } };
	struct weir_header full = header;

	snprintf(value, sizeof value, "Bearer %s", at.token);
	full.value = weir_str(value);
	return check_headers(&full, 1, NULL, scope);
}

__attribute__((format(printf, 3, 4))) static void make_token(EVP_PKEY *key, const char *header, const char *format, ...)
{
	char claims[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(claims, sizeof claims, format, args);
	va_end(args);
	maker_token(key, header, claims, at.token);
}

static void make_good_token(void)
{
	make_token(at.key, HEADER,
		   "{\"iss\":\"i\",\"sub\":\"web\",\"aud\":\"messaging.knative.dev/k/shop/orders\",\"exp\":%lld}",
		   (long long)time(NULL) + 100);
}

static void use_secrets(const char *secrets)
{
	const struct weir_auth_options options = { .secrets = secrets, .audience = "x" };

	assert_int_equal(weir_auth_new(&options, NULL, &at.auth, &at.err), WEIR_OK);
}

/* Until the keys were read. */
static void wait_keys(void)
{
	int64_t deadline = weir_clock_after_ms(weir_clock_now_ns(), 10000);

	make_good_token();
	while (check_token_for(&orders) == WEIR_AUTH_LATER) {
		assert_true(weir_clock_now_ns() < deadline);
		poll(NULL, 0, 1);
	}
}

static void use_issuer(const char *audience, const char *subjects)
{
	const struct weir_auth_options options = {
		.issuer = "i", .keys = at.path, .audience = audience, .subjects = subjects, .leeway_ms = 30000
	};

	assert_int_equal(weir_auth_new(&options, NULL, &at.auth, &at.err), WEIR_OK);
	wait_keys();
}

/* ---- shared tokens -------------------------------------------------------- */

static void without_tokens_and_issuer_everybody_may_send(void **state)
{
	const struct weir_auth_options options = { .secrets = "\n ", .audience = "x" };

	(void)state;
	assert_int_equal(weir_auth_new(&options, NULL, &at.auth, &at.err), WEIR_OK);
	assert_null(at.auth);
}

static void every_shared_token_is_taken_and_no_other(void **state)
{
	(void)state;
	use_secrets(SECRET "\nanother-token-0123456789\n");
	assert_int_equal(check("Bearer " SECRET), WEIR_AUTH_GRANTED);
	assert_int_equal(check("bearer   another-token-0123456789 "), WEIR_AUTH_GRANTED);
	assert_int_equal(check("Bearer " SECRET "0"), WEIR_AUTH_INVALID);
	assert_int_equal(check("Bearer a-shared-token-012345678"), WEIR_AUTH_INVALID);
	assert_int_equal(check("Bearer b-shared-token-0123456789"), WEIR_AUTH_INVALID);
}

static void what_is_no_bearer_token_is_told_apart(void **state)
{
	const struct weir_header two[] = { { WEIR_STR("Authorization"), WEIR_STR("Bearer " SECRET) },
					   { WEIR_STR("authorization"), WEIR_STR("Bearer " SECRET) } };

	(void)state;
	use_secrets(SECRET);
	assert_int_equal(check_headers(NULL, 0, NULL, &orders), WEIR_AUTH_MISSING);
	assert_int_equal(check("Basic dTpw"), WEIR_AUTH_MISSING);
	assert_int_equal(check(SECRET), WEIR_AUTH_MISSING);
	assert_int_equal(check("Bearer "), WEIR_AUTH_MALFORMED);
	assert_int_equal(check("Bearer"), WEIR_AUTH_MALFORMED);
	assert_int_equal(check(""), WEIR_AUTH_MISSING);
	assert_int_equal(check("Bearer a b"), WEIR_AUTH_MALFORMED);
	assert_int_equal(check("Bearer \"" SECRET "\""), WEIR_AUTH_MALFORMED);
	assert_int_equal(check_headers(two, 2, NULL, &orders), WEIR_AUTH_MALFORMED);
	assert_int_equal(check_headers(two, 1, "a=b&access_token=" SECRET, &orders), WEIR_AUTH_MALFORMED);
	assert_int_equal(check_headers(two, 1, "a=access_token", &orders), WEIR_AUTH_GRANTED);
}

static void verdicts_have_the_statuses_of_rfc_6750(void **state)
{
	(void)state;
	assert_int_equal(weir_auth_answer_of(WEIR_AUTH_MISSING)->status, 401);
	assert_string_equal(weir_auth_answer_of(WEIR_AUTH_MISSING)->challenge, "Bearer realm=\"weir\"");
	assert_int_equal(weir_auth_answer_of(WEIR_AUTH_MALFORMED)->status, 400);
	assert_int_equal(weir_auth_answer_of(WEIR_AUTH_INVALID)->status, 401);
	assert_int_equal(weir_auth_answer_of(WEIR_AUTH_FORBIDDEN)->status, 403);
	assert_int_equal(weir_auth_answer_of(WEIR_AUTH_LATER)->status, 503);
	assert_null(weir_auth_answer_of(WEIR_AUTH_LATER)->challenge);
}

/* ---- tokens of an issuer -------------------------------------------------- */

static void a_token_for_the_channel_is_taken_again_and_again(void **state)
{
	(void)state;
	use_issuer("{resource}/{namespace}/{name}", NULL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(check_token_for(&orders), WEIR_AUTH_GRANTED);
}

static void a_token_for_another_channel_is_not(void **state)
{
	(void)state;
	use_issuer("{resource}/{namespace}/{name}", NULL);
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_GRANTED);
	assert_int_equal(check_token_for(&other), WEIR_AUTH_INVALID);
	make_token(at.key, HEADER, "{\"iss\":\"i\",\"exp\":99999999999}");
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_INVALID);
}

static void any_of_a_tokens_audiences_will_do(void **state)
{
	(void)state;
	use_issuer("weir", NULL);
	make_token(at.key, HEADER, "{\"iss\":\"i\",\"aud\":[\"x\",\"weir\"],\"exp\":99999999999}");
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_GRANTED);
	make_token(at.key, HEADER, "{\"iss\":\"i\",\"aud\":[\"weir2\",\"wei\",\"\"],\"exp\":99999999999}");
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_INVALID);
}

static void time_is_looked_at_with_leeway(void **state)
{
	long long now = (long long)time(NULL);

	(void)state;
	use_issuer("a", NULL);
	make_token(at.key, HEADER, "{\"iss\":\"i\",\"aud\":\"a\",\"exp\":%lld}", now - 10);
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_GRANTED);
	make_token(at.key, HEADER, "{\"iss\":\"i\",\"aud\":\"a\",\"exp\":%lld}", now - 40);
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_INVALID);
	assert_string_equal(at.err.text, "The token has expired.");
	make_token(at.key, HEADER, "{\"iss\":\"i\",\"aud\":\"a\",\"exp\":%lld,\"nbf\":%lld}", now + 100, now + 10);
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_GRANTED);
	make_token(at.key, HEADER, "{\"iss\":\"i\",\"aud\":\"a\",\"exp\":%lld,\"nbf\":%lld}", now + 100, now + 60);
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_INVALID);
	make_token(at.key, HEADER, "{\"iss\":\"i\",\"aud\":\"a\"}");
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_INVALID);
	make_token(at.key, HEADER, "{\"iss\":\"i\",\"aud\":\"a\",\"exp\":-9223372036854775807}");
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_INVALID);
	make_token(at.key, HEADER,
		   "{\"iss\":\"i\",\"aud\":\"a\",\"exp\":9223372036854775807,\"nbf\":9223372036854775807}");
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_INVALID);
}

static void another_issuers_token_is_not_taken(void **state)
{
	(void)state;
	use_issuer("a", NULL);
	make_token(at.key, HEADER, "{\"iss\":\"j\",\"aud\":\"a\",\"exp\":99999999999}");
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_INVALID);
	make_token(at.key, HEADER, "{\"aud\":\"a\",\"exp\":99999999999}");
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_INVALID);
}

static void a_forged_token_is_not_taken(void **state)
{
	(void)state;
	use_issuer("a", NULL);
	make_token(at.next, HEADER, "{\"iss\":\"i\",\"aud\":\"a\",\"exp\":99999999999}");
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_INVALID);
	assert_string_equal(at.err.text, "The token's signature is wrong.");
}

static void only_subjects_that_are_named_may_send(void **state)
{
	(void)state;
	use_issuer("a", "batch, web");
	make_token(at.key, HEADER, "{\"iss\":\"i\",\"sub\":\"web\",\"aud\":\"a\",\"exp\":99999999999}");
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_GRANTED);
	make_token(at.key, HEADER, "{\"iss\":\"i\",\"sub\":\"we\",\"aud\":\"a\",\"exp\":99999999999}");
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_FORBIDDEN);
	make_token(at.key, HEADER, "{\"iss\":\"i\",\"aud\":\"a\",\"exp\":99999999999}");
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_FORBIDDEN);
}

static void shared_and_issued_tokens_may_both_be_taken(void **state)
{
	const struct weir_auth_options options = {
		.secrets = SECRET, .issuer = "i", .keys = at.path, .audience = "{resource}/{namespace}/{name}"
	};

	(void)state;
	assert_int_equal(weir_auth_new(&options, NULL, &at.auth, &at.err), WEIR_OK);
	assert_int_equal(check("Bearer " SECRET), WEIR_AUTH_GRANTED);
	wait_keys();
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_GRANTED);
}

static void while_there_are_no_keys_the_answer_is_later(void **state)
{
	const struct weir_auth_options options = { .issuer = "i", .keys = "/nowhere/keys.json", .audience = "a" };

	(void)state;
	assert_int_equal(weir_auth_new(&options, NULL, &at.auth, &at.err), WEIR_OK);
	make_good_token();
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_LATER);
}

static void a_new_policy_has_the_keys_of_the_one_before(void **state)
{
	const struct weir_auth_options options = { .issuer = "i", .keys = at.path, .audience = "a" };
	struct weir_auth *before;

	(void)state;
	use_issuer("a", NULL);
	before = at.auth;
	assert_int_equal(weir_auth_new(&options, before, &at.auth, &at.err), WEIR_OK);
	weir_auth_free(before);
	make_token(at.key, HEADER, "{\"iss\":\"i\",\"aud\":\"a\",\"exp\":99999999999}");
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_GRANTED);
}

static void what_a_policy_found_out_is_forgotten_with_it(void **state)
{
	struct weir_auth *before;

	(void)state;
	use_issuer("a", NULL);
	make_token(at.key, HEADER, "{\"iss\":\"i\",\"sub\":\"web\",\"aud\":\"a\",\"exp\":99999999999}");
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_GRANTED);
	before = at.auth;
	use_issuer("a", "batch");
	weir_auth_free(before);
	make_token(at.key, HEADER, "{\"iss\":\"i\",\"sub\":\"web\",\"aud\":\"a\",\"exp\":99999999999}");
	assert_int_equal(check_token_for(&orders), WEIR_AUTH_FORBIDDEN);
}

static void a_place_of_keys_is_a_file_or_https(void **state)
{
	(void)state;
	assert_null(weir_auth_keys_check("/etc/keys.json"));
	assert_null(weir_auth_keys_check("https://example.com/keys"));
	assert_null(weir_auth_keys_check("http://127.0.0.1:80/keys"));
	assert_null(weir_auth_keys_check("http://localhost"));
	assert_non_null(weir_auth_keys_check("http://example.com/keys"));
	assert_non_null(weir_auth_keys_check("http://127.0.0.1.example.com/"));
	assert_non_null(weir_auth_keys_check("file:///etc/keys"));
	assert_non_null(weir_auth_keys_check(""));
}

static void options_that_cannot_be_meant_are_refused(void **state)
{
	static const struct weir_auth_options cases[] = {
		{ .secrets = "short", .audience = "a" },
		{ .secrets = "with-a-\"-in-it-0123456789", .audience = "a" },
		{ .issuer = "i", .audience = "a" },
		{ .keys = "/k", .audience = "a" },
		{ .issuer = "i", .keys = "http://example.com/", .audience = "a" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(weir_auth_new(&cases[i], NULL, &at.auth, &at.err), WEIR_EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_tokens_and_issuer_everybody_may_send),
		TEST(every_shared_token_is_taken_and_no_other),
		TEST(what_is_no_bearer_token_is_told_apart),
		TEST(verdicts_have_the_statuses_of_rfc_6750),
		TEST(a_token_for_the_channel_is_taken_again_and_again),
		TEST(a_token_for_another_channel_is_not),
		TEST(any_of_a_tokens_audiences_will_do),
		TEST(time_is_looked_at_with_leeway),
		TEST(another_issuers_token_is_not_taken),
		TEST(a_forged_token_is_not_taken),
		TEST(only_subjects_that_are_named_may_send),
		TEST(shared_and_issued_tokens_may_both_be_taken),
		TEST(while_there_are_no_keys_the_answer_is_later),
		TEST(a_new_policy_has_the_keys_of_the_one_before),
		TEST(what_a_policy_found_out_is_forgotten_with_it),
		TEST(a_place_of_keys_is_a_file_or_https),
		TEST(options_that_cannot_be_meant_are_refused),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
