/* SPDX-License-Identifier: Apache-2.0 */
/* drivers/nats: what the settings of a NATS connection may be, and what the library's codes mean. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "../../drivers/nats/login.h"

static int init_with(struct weir_nats_login *login, const struct weir_setting *settings, size_t count,
		     struct weir_error *err)
{
	return weir_nats_login_init(login, "jetstream", settings, count, err);
}

#define INIT(login, err, ...)                                                                                          \
	init_with((login), (const struct weir_setting[]){ __VA_ARGS__ },                                               \
		  sizeof((const struct weir_setting[]){ __VA_ARGS__ }) / sizeof(struct weir_setting), (err))
#define REFUSED(key, ...)                                                                                              \
	do {                                                                                                           \
		struct weir_nats_login login_;                                                                         \
		struct weir_error err_ = WEIR_ERROR_INIT;                                                              \
		assert_int_equal(INIT(&login_, &err_, __VA_ARGS__), WEIR_EINVAL);                                      \
		assert_non_null(strstr(err_.text, "jetstream." key));                                                  \
		assert_null(strstr(err_.text, "s3cret"));                                                              \
	} while (0)

/* ---- URLs -------------------------------------------------------------------------- */

static void several_servers_are_taken_in_their_order(void **state)
{
	struct weir_nats_login login;

	(void)state;
	assert_int_equal(INIT(&login, NULL, { "url", "nats://a:4222, b ,nats://[::1]:5222/" }), WEIR_OK);
	assert_int_equal(login.server_count, 3);
	assert_string_equal(login.servers[0].url, "nats://a:4222");
	assert_string_equal(login.servers[1].url, "nats://b:4222");
	assert_string_equal(login.servers[2].url, "nats://[::1]:5222");
	assert_string_equal(login.servers[2].host, "::1");
	assert_false(login.tls);
	weir_nats_login_fini(&login);
}

static void a_user_in_the_url_is_taken_out_of_it(void **state)
{
	struct weir_nats_login login;

	(void)state;
	assert_int_equal(INIT(&login, NULL, { "url", "nats://me:s3cret%40x@a:4222" }), WEIR_OK);
	assert_string_equal(login.username, "me");
	assert_string_equal(login.password, "s3cret@x");
	assert_string_equal(login.servers[0].url, "nats://a:4222");
	assert_string_equal(login.shown, "nats://a:4222");
	weir_nats_login_fini(&login);
}

static void a_token_in_the_url_is_taken_out_of_it(void **state)
{
	struct weir_nats_login login;

	(void)state;
	assert_int_equal(INIT(&login, NULL, { "url", "nats://s3cret@a" }), WEIR_OK);
	assert_string_equal(login.token, "s3cret");
	assert_null(login.username);
	assert_string_equal(login.shown, "nats://a:4222");
	weir_nats_login_fini(&login);
}

static void what_is_set_counts_more_than_what_is_in_the_url(void **state)
{
	struct weir_nats_login login;

	(void)state;
	assert_int_equal(INIT(&login, NULL, { "url", "nats://x:y@a" }, { "username", "me" }, { "password", "p" }),
			 WEIR_OK);
	assert_string_equal(login.username, "me");
	assert_string_equal(login.password, "p");
	weir_nats_login_fini(&login);
}

static void tls_in_the_url_makes_every_connection_tls(void **state)
{
	struct weir_nats_login login;

	(void)state;
	assert_int_equal(INIT(&login, NULL, { "url", "tls://a:4222" }), WEIR_OK);
	assert_true(login.tls);
	weir_nats_login_fini(&login);
}

static void urls_that_are_none_are_refused(void **state)
{
	static const char *const urls[] = {
		"",          "nats://",      "http://a:1",  "nats://a:0",   "nats://a:66000",         "nats://a:x",
		"nats://a:", "nats://a b/c", "nats://[::1", "nats://a?x=1", "nats://s3cret:s3cret@:1"
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof urls / sizeof urls[0]; i++)
		REFUSED("url", { "url", urls[i] });
}

static void seventeen_servers_are_too_many(void **state)
{
	(void)state;
	REFUSED("url", { "url", "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a" });
}

/* ---- who we are ---------------------------------------------------------------------- */

static void half_an_identity_is_refused(void **state)
{
	(void)state;
	REFUSED("password", { "url", "a" }, { "username", "me" });
	REFUSED("username", { "url", "a" }, { "password", "s3cret" });
	REFUSED("nkeySeed", { "url", "a" }, { "nkey", "U" });
	REFUSED("nkey", { "url", "a" }, { "nkeySeed", "/dev/null" });
	REFUSED("keyFile", { "url", "a" }, { "certificateFile", "/dev/null" });
	REFUSED("certificateFile", { "url", "a" }, { "keyFile", "/dev/null" });
}

static void two_identities_are_refused(void **state)
{
	struct weir_nats_login login;
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	assert_int_equal(INIT(&login, &err, { "url", "a" }, { "token", "s3cret" }, { "credentials", "/dev/null" }),
			 WEIR_EINVAL);
	assert_null(strstr(err.text, "s3cret"));
}

static void a_file_that_is_not_there_is_named(void **state)
{
	(void)state;
	REFUSED("credentials", { "url", "a" }, { "credentials", "/nowhere/c.creds" });
	REFUSED("caFile", { "url", "a" }, { "caFile", "/nowhere/ca.pem" });
}

static void a_ca_file_with_no_certificate_is_an_error_of_tls(void **state)
{
	struct weir_nats_login login;
	struct weir_error err = WEIR_ERROR_INIT;
	natsOptions *options;

	(void)state;
	assert_int_equal(INIT(&login, NULL, { "url", "a" }, { "caFile", "/dev/null" }), WEIR_OK);
	assert_true(login.tls);
	assert_int_equal(weir_nats_options(&login, 0, "test", &options, &err), WEIR_ETLS);
	assert_null(options);
	assert_non_null(strstr(err.text, "jetstream.caFile"));
	weir_nats_login_fini(&login);
}

static void options_are_made_for_one_server_and_for_all(void **state)
{
	struct weir_nats_login login;
	natsOptions *options;

	(void)state;
	assert_int_equal(INIT(&login, NULL, { "url", "a,b" }, { "token", "t" }), WEIR_OK);
	assert_int_equal(weir_nats_options(&login, 1, "test", &options, NULL), WEIR_OK);
	natsOptions_Destroy(options);
	assert_int_equal(weir_nats_options(&login, -1, "test", &options, NULL), WEIR_OK);
	natsOptions_Destroy(options);
	weir_nats_login_fini(&login);
}

/* ---- codes --------------------------------------------------------------------------- */

static void every_code_of_the_library_means_something(void **state)
{
	natsStatus status;

	(void)state;
	assert_int_equal(weir_nats_code(NATS_OK), WEIR_OK);
	for (status = NATS_ERR; status <= NATS_MISSED_HEARTBEAT; status++) {
		assert_int_not_equal(weir_nats_code(status), WEIR_OK);
		if (status != NATS_ERR)
			assert_int_not_equal(weir_nats_code(status), WEIR_EUNKNOWN);
	}
	assert_int_equal(weir_nats_code((natsStatus)9999), WEIR_EUNKNOWN);
	assert_int_equal(weir_nats_code(NATS_NO_RESPONDERS), WEIR_EUNAVAIL);
	assert_int_equal(weir_nats_code(NATS_CONNECTION_AUTH_FAILED), WEIR_EAUTH);
	assert_int_equal(weir_nats_code(NATS_SSL_ERROR), WEIR_ETLS);
}

static void a_failed_connection_says_where_and_what_to_do(void **state)
{
	struct weir_nats_login login;
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	assert_int_equal(INIT(&login, NULL, { "url", "nats://me:s3cret@a:1" }), WEIR_OK);
	assert_int_equal(weir_nats_connect_fail(&err, &login, NATS_CONNECTION_AUTH_FAILED), WEIR_EAUTH);
	assert_non_null(strstr(err.text, "nats://a:1"));
	assert_non_null(strstr(err.text, "check the user's credentials"));
	assert_null(strstr(err.text, "s3cret"));
	assert_int_equal(err.scope, WEIR_SCOPE_INSTANCE);
	weir_nats_login_fini(&login);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_servers_are_taken_in_their_order),
		cmocka_unit_test(a_user_in_the_url_is_taken_out_of_it),
		cmocka_unit_test(a_token_in_the_url_is_taken_out_of_it),
		cmocka_unit_test(what_is_set_counts_more_than_what_is_in_the_url),
		cmocka_unit_test(tls_in_the_url_makes_every_connection_tls),
		cmocka_unit_test(urls_that_are_none_are_refused),
		cmocka_unit_test(seventeen_servers_are_too_many),
		cmocka_unit_test(half_an_identity_is_refused),
		cmocka_unit_test(two_identities_are_refused),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
		cmocka_unit_test(a_ca_file_with_no_certificate_is_an_error_of_tls),
		cmocka_unit_test(options_are_made_for_one_server_and_for_all),
		cmocka_unit_test(every_code_of_the_library_means_something),
		cmocka_unit_test(a_failed_connection_says_where_and_what_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
