/* SPDX-License-Identifier: Apache-2.0 */
/* Which URLs lead back to the dispatcher that posts to them. */
#include "config/own_url.h"
#include "unit/config_support.h"

static bool leads_back(const char *url, const char *listen, const char *channel)
{
	struct weir_buf ns, name;
	char found[128];

	if (!weir_own_url(weir_str(url), weir_str(listen), &ns, &name))
		return false;
	snprintf(found, sizeof found, "%.*s/%.*s", (int)ns.len, (const char *)ns.ptr, (int)name.len,
		 (const char *)name.ptr);
	assert_string_equal(found, channel);
	return true;
}

static void the_address_that_is_listened_on_leads_back(void **state)
{
	(void)state;
	assert_true(leads_back("http://10.0.0.1:8080/n/a", "10.0.0.1:8080", "n/a"));
	assert_true(leads_back("HTTP://Weir.Example:8080/n/a?q=/x", "127.0.0.1:1,weir.example:8080", "n/a"));
	assert_true(leads_back("http://10.0.0.1/n/a", "10.0.0.1:80", "n/a"));
	assert_true(leads_back("http://[fd00::1]:8080/n/a", "[fd00::1]:8080", "n/a"));
}

static void loopback_leads_back_to_loopback_and_to_all_addresses(void **state)
{
	(void)state;
	assert_true(leads_back("http://localhost:8080/n/a", "127.0.0.1:8080", "n/a"));
	assert_true(leads_back("http://[::1]:8080/n/a", ":8080", "n/a"));
	assert_true(leads_back("http://127.0.0.2:8080/n/a", "0.0.0.0:8080", "n/a"));
	assert_true(leads_back("http://127.0.0.1:8080/n/a", "[::]:8080", "n/a"));
	assert_false(leads_back("http://localhost:8080/n/a", "10.0.0.1:8080", NULL));
}

static void other_hosts_and_ports_lead_elsewhere(void **state)
{
	(void)state;
	assert_false(leads_back("http://127.0.0.1:8081/n/a", "127.0.0.1:8080", NULL));
	assert_false(leads_back("http://other:8080/n/a", ":8080", NULL));
	assert_false(leads_back("https://127.0.0.1:8080/n/a", "127.0.0.1:8080", NULL));
	assert_false(leads_back("http://127.0.0.1:8080/n/a", "", NULL));
}

static void a_path_that_is_no_channel_leads_nowhere(void **state)
{
	(void)state;
	assert_false(leads_back("http://127.0.0.1:8080", ":8080", NULL));
	assert_false(leads_back("http://127.0.0.1:8080/", ":8080", NULL));
	assert_false(leads_back("http://127.0.0.1:8080/n", ":8080", NULL));
	assert_false(leads_back("http://127.0.0.1:8080/n/", ":8080", NULL));
	assert_false(leads_back("http://127.0.0.1:8080//a", ":8080", NULL));
	assert_false(leads_back("http://127.0.0.1:8080?/n/a", ":8080", NULL));
	assert_false(leads_back("http://", ":80", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_address_that_is_listened_on_leads_back),
		cmocka_unit_test(loopback_leads_back_to_loopback_and_to_all_addresses),
		cmocka_unit_test(other_hosts_and_ports_lead_elsewhere),
		cmocka_unit_test(a_path_that_is_no_channel_leads_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
