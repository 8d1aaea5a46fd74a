/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "http/address_url.h"
#include "http/client.h"

static const struct weir_http_address_rules public_only = { false, false };
static const struct weir_http_address_rules with_loopback = { true, false };
static const struct weir_http_address_rules with_private = { false, true };
static const struct weir_http_address_rules all = { true, true };

static bool allowed(const struct weir_http_address_rules *rules, const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return weir_http_address_allowed(rules, (struct sockaddr *)&in);
	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return weir_http_address_allowed(rules, (struct sockaddr *)&in6);
}

static void public_addresses_are_allowed_by_every_rule(void **state)
{
	static const char *const list[] = {
		"1.1.1.1",         "8.8.8.8",          "172.15.255.255",  "172.32.0.0",
		"100.63.255.255",  "100.128.0.0",      "192.167.255.255", "192.169.0.0",
		"126.255.255.255", "128.0.0.0",        "223.255.255.255", "2606:4700::1111",
		"::ffff:8.8.8.8",  "64:ff9b::808:808", "2002:808:808::",  "64:ff9b:1::808:808"
	};

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		if (!allowed(&public_only, list[i]) || !allowed(&all, list[i]))
			fail_msg("%s is refused", list[i]);
	}
}

static void link_local_metadata_multicast_and_reserved_are_refused_by_every_rule(void **state)
{
	static const char *const list[] = {
		"0.0.0.0",
		"0.1.2.3",
		"169.254.0.1",
		"169.254.169.254",
		"224.0.0.1",
		"239.1.1.1",
		"240.0.0.1",
		"255.255.255.255",
		"100.100.100.200",
		"168.63.129.16",
		"192.0.0.192",
		"::",
		"fe80::1",
		"febf::1",
		"ff02::1",
		"fd00:ec2::254",
		"fd20:ce::254",
		"::ffff:169.254.169.254",
		"::169.254.169.254",
		"64:ff9b::a9fe:a9fe",
		"64:ff9b:1::a9fe:a9fe",
		"64:ff9b:1:2:3:4:a9fe:a9fe",
		"2002:a9fe:a9fe::1",
		"::ffff:0.0.0.0",
	};

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		if (allowed(&all, list[i]))
			fail_msg("%s is allowed", list[i]);
	}
}

static void loopback_is_allowed_only_by_its_rule(void **state)
{
	static const char *const list[] = { "127.0.0.1",   "127.255.255.254", "::1",          "::ffff:127.0.0.1",
					    "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::" };

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		if (!allowed(&with_loopback, list[i]) || allowed(&with_private, list[i]))
			fail_msg("%s is judged wrongly", list[i]);
	}
}

static void private_ranges_are_allowed_only_by_their_rule(void **state)
{
	static const char *const list[] = { "10.0.0.1",        "10.255.255.255",  "172.16.0.1", "172.31.255.255",
					    "192.168.0.1",     "192.168.255.255", "100.64.0.1", "100.127.255.255",
					    "198.18.0.1",      "fc00::1",         "fdff::1",    "fec0::1",
					    "::ffff:10.1.2.3", "::10.1.2.3" };

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		if (!allowed(&with_private, list[i]) || allowed(&with_loopback, list[i]))
			fail_msg("%s is judged wrongly", list[i]);
	}
}

static void other_families_are_refused(void **state)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };

	(void)state;
	assert_false(weir_http_address_allowed(&all, (struct sockaddr *)&local));
}

static void expect_url(const struct weir_http_address_rules *rules, const char *url, int expected)
{
	struct weir_error err = WEIR_ERROR_INIT;
	int code = weir_http_url_check(url, rules, &err);

	if (code != expected)
		fail_msg("%s: %s (%s), expected %s", url, weir_code_name(code), err.text, weir_code_name(expected));
	if (code != WEIR_OK) {
		assert_int_equal(err.code, code);
		assert_true(err.text[0] != '\0');
	}
}

static void ordinary_urls_are_accepted(void **state)
{
	static const char *const list[] = {
		"http://example.com",
		"https://example.com/",
		"http://example.com:8080/a/b?c=d&e",
		"HTTP://EXAMPLE.COM/",
		"http://svc.ns.svc.cluster.local",
		"http://8.8.8.8/",
		"http://[2606:4700::1111]:80/",
		"http://example.com?x",
		"http://example.com:65535/",
		"http://example.com/%20/../x",
		"http://xn--bcher-kva.example/",
	};

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		expect_url(&public_only, list[i], WEIR_OK);
}

static void other_schemes_are_refused(void **state)
{
	static const char *const list[] = { "file:///etc/passwd",
					    "ftp://h/",
					    "gopher://h/",
					    "unix:/run/x",
					    "http+unix://x/",
					    "//h/",
					    "h",
					    "",
					    "http:/h",
					    "http:h",
					    "httpx://h/",
					    "javascript:1" };

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		expect_url(&all, list[i], WEIR_EINVAL);
}

static void user_info_fragment_zone_and_empty_host_are_refused(void **state)
{
	static const char *const list[] = { "http://u:p@example.com/",
					    "http://u@example.com/",
					    "http://@example.com/",
					    "http://example.com/#f",
					    "http://example.com#",
					    "http:///x",
					    "http://:80/",
					    "http://?x",
					    "http://[fe80::1%25eth0]/",
					    "http://[]/",
					    "http://[::1/",
					    "http://exa%6dple.com/" };

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		expect_url(&all, list[i], WEIR_EINVAL);
}

static void ports_outside_of_1_to_65535_are_refused(void **state)
{
	static const char *const list[] = { "http://example.com:0/", "http://example.com:65536/",
					    "http://example.com:-1/", "http://example.com:x/",
					    "http://example.com:99999999999999999999/" };

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		expect_url(&all, list[i], WEIR_EINVAL);
}

static void bytes_that_parsers_disagree_about_are_refused(void **state)
{
	static const char *const list[] = { "http://example.com/a b",     "http://example.com/\t",
					    "http://example.com/\r\nX",   "http://example.com\\@127.0.0.1/",
					    "http://ex\xc3\xa4mple.com/", "http://example.com/\x7f",
					    " http://example.com/",       "http://example.com/\x01" };

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		expect_url(&all, list[i], WEIR_EINVAL);
}

static void numeric_hosts_are_judged_in_every_notation(void **state)
{
	static const char *const list[] = {
		"http://127.0.0.1/",          "http://0177.0.0.1/",    "http://2130706433/",
		"http://0x7f000001/",         "http://127.1/",         "http://0x7f.1/",
		"http://017700000001/",       "http://127.0.0.1./",    "http://[::1]/",
		"http://[::ffff:127.0.0.1]/", "http://[::127.0.0.1]/", "http://[0:0:0:0:0:ffff:7f00:1]/",
	};

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		expect_url(&public_only, list[i], WEIR_ENOPERM);
		expect_url(&with_loopback, list[i], WEIR_OK);
	}
}

static void metadata_addresses_are_refused_in_every_notation(void **state)
{
	static const char *const list[] = { "http://169.254.169.254/latest",
					    "http://2852039166/",
					    "http://0xa9fea9fe/",
					    "http://0251.0376.0251.0376/",
					    "http://[fd00:ec2::254]/",
					    "http://[::ffff:a9fe:a9fe]/",
					    "http://0/",
					    "http://[::]/" };

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		expect_url(&all, list[i], WEIR_ENOPERM);
}

static void an_error_never_repeats_the_url(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	assert_int_equal(weir_http_url_check("http://bob:s3cret@example.com/", &all, &err), WEIR_EINVAL);
	assert_null(strstr(err.text, "s3cret"));
	assert_null(strstr(err.text, "bob"));
}

static void a_url_longer_than_4096_bytes_is_refused(void **state)
{
	char url[4200];
	int used = snprintf(url, sizeof url, "http://example.com/");

	(void)state;
	memset(url + used, 'a', 4096 - (size_t)used);
	url[4096] = '\0';
	expect_url(&all, url, WEIR_OK);
	url[4096] = 'a';
	url[4097] = '\0';
	expect_url(&all, url, WEIR_EINVAL);
}

static void a_url_is_taken_apart_for_the_request(void **state)
{
	static const struct {
		const char *url, *authority, *target;
		bool tls;
	} list[] = {
		{ "http://example.com", "example.com", "/", false },
		{ "https://example.com:443/a?b=c", "example.com", "/a?b=c", true },
		{ "http://example.com:80/", "example.com", "/", false },
		{ "http://example.com:8080/a/../b", "example.com:8080", "/a/../b", false },
		{ "http://[2606:4700::1111]:81?q", "[2606:4700::1111]:81", "/?q", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		struct weir_http_url url;
		assert_int_equal(weir_http_url_init(&url, list[i].url, &all, NULL), WEIR_OK);
		assert_string_equal(url.authority, list[i].authority);
		assert_string_equal(url.target, list[i].target);
		assert_int_equal(url.tls, list[i].tls);
		weir_http_url_fini(&url);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(public_addresses_are_allowed_by_every_rule),
		cmocka_unit_test(link_local_metadata_multicast_and_reserved_are_refused_by_every_rule),
		cmocka_unit_test(loopback_is_allowed_only_by_its_rule),
		cmocka_unit_test(private_ranges_are_allowed_only_by_their_rule),
		cmocka_unit_test(other_families_are_refused),
		cmocka_unit_test(ordinary_urls_are_accepted),
		cmocka_unit_test(other_schemes_are_refused),
		cmocka_unit_test(user_info_fragment_zone_and_empty_host_are_refused),
		cmocka_unit_test(ports_outside_of_1_to_65535_are_refused),
		cmocka_unit_test(bytes_that_parsers_disagree_about_are_refused),
		cmocka_unit_test(numeric_hosts_are_judged_in_every_notation),
		cmocka_unit_test(metadata_addresses_are_refused_in_every_notation),
		cmocka_unit_test(an_error_never_repeats_the_url),
		cmocka_unit_test(a_url_longer_than_4096_bytes_is_refused),
		cmocka_unit_test(a_url_is_taken_apart_for_the_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
