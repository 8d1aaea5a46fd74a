/* SPDX-License-Identifier: Apache-2.0 */
/* Names that the NATS Streaming driver gives, and what it makes of the server's words. No server. */
#include "unit/weir_cmocka.h"

#include <string.h>

#include "../../drivers/natss/natss.h"

#define PATTERN "{name}.{namespace}"

/* natss.c has it, and with it everything else. */
int64_t weir_natss_now(void)
{
	return 1;
}

static int spell(const char *pattern, const char *ns, const char *name, char ret[WEIR_NATSS_MAX_CHANNEL + 1])
{
	return weir_natss_channel_name(pattern, ns, name, ret, NULL);
}

static void a_channel_is_named_as_its_pattern_says(void **state)
{
	char name[WEIR_NATSS_MAX_CHANNEL + 1];

	(void)state;
	assert_int_equal(spell(PATTERN, "shop", "orders", name), WEIR_OK);
	assert_string_equal(name, "orders.shop");
	assert_int_equal(spell("x-{namespace}-{name}", "shop", "orders.eu", name), WEIR_OK);
	assert_string_equal(name, "x-shop-orders.eu");
	assert_int_equal(weir_natss_pattern_literals("x-{namespace}-{name}"), 3);
}

static void names_that_the_server_or_its_store_does_not_take_are_refused(void **state)
{
	static const char *const bad[] = { "", ".", "a.", "..", "a..b", "a*", "a>", "a/b", "a b", "a\n", "\xc3\xa4" };
	char name[WEIR_NATSS_MAX_CHANNEL + 1];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(spell(PATTERN, "ns", bad[i], name), WEIR_EINVAL);
	assert_int_equal(spell(PATTERN, "n.s", "a", name), WEIR_EINVAL);
	assert_int_equal(spell("*{name}.{namespace}", "ns", "a", name), WEIR_EINVAL);
}

/* The library packs an ack into 1024 bytes, whatever its length. */
static void a_name_has_a_length_that_the_library_can_ack(void **state)
{
	char name[WEIR_NATSS_MAX_CHANNEL + 1], longest[WEIR_NATSS_MAX_CHANNEL + 1];

	(void)state;
	memset(longest, 'x', sizeof longest);
	longest[WEIR_NATSS_MAX_CHANNEL - 3] = '\0';
	assert_int_equal(spell(PATTERN, "ns", longest, name), WEIR_OK);
	assert_int_equal(strlen(name), WEIR_NATSS_MAX_CHANNEL);
	longest[WEIR_NATSS_MAX_CHANNEL - 3] = 'x';
	longest[WEIR_NATSS_MAX_CHANNEL - 2] = '\0';
	assert_int_equal(spell(PATTERN, "ns", longest, name), WEIR_EINVAL);
}

static void a_reader_has_the_same_name_in_every_process_and_no_other_has_it(void **state)
{
	char one[WEIR_NATSS_MAX_CLIENT + 1], two[WEIR_NATSS_MAX_CLIENT + 1];

	(void)state;
	weir_natss_reader_name("orders.shop", "billing", one);
	weir_natss_reader_name("orders.shop", "billing", two);
	assert_string_equal(one, two);
	assert_memory_equal(one, "weir-orders_shop-billing-", 25);
	/* Told apart also where what is for people is alike. */
	weir_natss_reader_name("orders_shop", "billing", two);
	assert_string_not_equal(one, two);
	weir_natss_reader_name("orders", "shop-billing", two);
	weir_natss_reader_name("orders-shop", "billing", one);
	assert_string_not_equal(one, two);
}

static void a_client_has_only_what_the_server_takes(void **state)
{
	char name[WEIR_NATSS_MAX_CLIENT + 1], uid[WEIR_NATSS_MAX_UID + 1];

	(void)state;
	memset(uid, '/', sizeof uid);
	uid[WEIR_NATSS_MAX_UID] = '\0';
	weir_natss_reader_name("a.b", uid, name);
	assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"),
			 strlen(name));
	weir_natss_own_name("host.example.org/x", name);
	assert_memory_equal(name, "host_example_org_x-", 19);
	weir_natss_own_name(NULL, name);
	assert_memory_equal(name, "weir-", 5);
}

static void two_processes_have_clients_of_their_own(void **state)
{
	char one[WEIR_NATSS_MAX_CLIENT + 1], two[WEIR_NATSS_MAX_CLIENT + 1];

	(void)state;
	weir_natss_own_name("same", one);
	weir_natss_own_name("same", two);
	assert_string_not_equal(one, two);
}

static void a_uid_that_cannot_be_a_durable_is_refused(void **state)
{
	char uid[WEIR_NATSS_MAX_UID + 2];

	(void)state;
	memset(uid, 'x', sizeof uid);
	uid[WEIR_NATSS_MAX_UID + 1] = '\0';
	assert_int_equal(weir_natss_uid_check(uid, false, NULL), WEIR_EINVAL);
	assert_int_equal(weir_natss_uid_check("", false, NULL), WEIR_EINVAL);
	assert_int_equal(weir_natss_uid_check("a b", false, NULL), WEIR_EINVAL);
	assert_int_equal(weir_natss_uid_check("a:b", false, NULL), WEIR_OK);
	assert_int_equal(weir_natss_uid_check("a:b", true, NULL), WEIR_EINVAL);
}

static void words_of_server_and_library_have_codes(void **state)
{
	static const struct {
		const char *text;
		int code;
	} rows[] = {
		{ NULL, WEIR_OK },
		{ "", WEIR_OK },
		{ "stan: clientID already registered", WEIR_EFENCED },
		{ "(stan/conn.c:466): stan: clientID already registered", WEIR_EFENCED },
		{ "stan: invalid publish request", WEIR_EUNAVAIL },
		{ "stan: invalid ack wait time, should be >= 1s", WEIR_EINVAL },
		{ "too many channels", WEIR_ELIMIT },
		{ "publish ack timeout", WEIR_ETIMEDOUT },
		{ "Connection Closed", WEIR_EUNAVAIL },
		{ "no streaming server was listening for this connect request", WEIR_EUNAVAIL },
		{ "client has been replaced or is no longer registered", WEIR_EUNAVAIL },
		{ "something else", WEIR_EUNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(weir_natss_code(rows[i].text), rows[i].code);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_channel_is_named_as_its_pattern_says),
		cmocka_unit_test(names_that_the_server_or_its_store_does_not_take_are_refused),
		cmocka_unit_test(a_name_has_a_length_that_the_library_can_ack),
		cmocka_unit_test(a_reader_has_the_same_name_in_every_process_and_no_other_has_it),
		cmocka_unit_test(a_client_has_only_what_the_server_takes),
		cmocka_unit_test(two_processes_have_clients_of_their_own),
		cmocka_unit_test(a_uid_that_cannot_be_a_durable_is_refused),
		cmocka_unit_test(words_of_server_and_library_have_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
