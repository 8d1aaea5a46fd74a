/* SPDX-License-Identifier: Apache-2.0 */
/* Counting connections by peer. */
#include "unit/weir_cmocka.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/mem.h"
#include "http/peers.h"
#include <weir/error.h>

static struct sockaddr_storage address_of(const char *text)
{
	struct sockaddr_storage address = { 0 };
	void *any = &address;
	struct sockaddr_in *in = any;
	struct sockaddr_in6 *in6 = any;

	address.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (address.ss_family == AF_INET)
		assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
	else
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
	return address;
}

static int take(struct weir_http_peers *peers, const char *text, struct weir_http_peer **ret)
{
	struct sockaddr_storage address = address_of(text);

	return weir_http_peers_take(peers, &address, 1, ret);
}

/* Both addresses count as one, or as two. */
static void check_same(const char *a, const char *b, int same)
{
	struct weir_http_peers peers;
	struct weir_http_peer *first, *second;

	weir_http_peers_init(&peers);
	assert_int_equal(take(&peers, a, &first), WEIR_OK);
	assert_int_equal(take(&peers, b, &second), same ? WEIR_ELIMIT : WEIR_OK);
	weir_http_peers_give(&peers, first);
	if (!same)
		weir_http_peers_give(&peers, second);
}

static void ipv4_address_is_one_peer(void **state)
{
	(void)state;
	check_same("192.0.2.1", "192.0.2.1", 1);
	check_same("192.0.2.1", "192.0.2.2", 0);
}

static void ipv4_mapped_address_is_its_ipv4_peer(void **state)
{
	(void)state;
	check_same("192.0.2.1", "::ffff:192.0.2.1", 1);
	check_same("::ffff:192.0.2.2", "::ffff:192.0.2.1", 0);
}

static void ipv6_network_of_64_bits_is_one_peer(void **state)
{
	(void)state;
	check_same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", 1);
	check_same("2001:db8:1:2::1", "2001:db8:1:3::1", 0);
}

static void peer_that_left_may_come_back(void **state)
{
	struct weir_http_peers peers;
	struct weir_http_peer *peer;

	(void)state;
	weir_http_peers_init(&peers);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(take(&peers, "192.0.2.1", &peer), WEIR_OK);
		weir_http_peers_give(&peers, peer);
	}
}

enum { MANY = 5000 };

static void many_peers_are_each_counted(void **state)
{
	static struct weir_http_peer *taken[MANY];
	struct weir_http_peers peers;
	struct weir_http_peer *again;
	char text[32];

	(void)state;
	weir_http_peers_init(&peers);
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof text, "10.0.%d.%d", i / 250, i % 250);
		assert_int_equal(take(&peers, text, &taken[i]), WEIR_OK);
		assert_int_equal(take(&peers, text, &again), WEIR_ELIMIT);
	}
	for (int i = 0; i < MANY; i++)
		weir_http_peers_give(&peers, taken[i]);
	for (int i = 0; i < WEIR_HTTP_PEER_BUCKETS; i++)
		assert_null(peers.buckets[i]);
}

static void peer_that_finds_no_memory_is_not_counted(void **state)
{
	struct weir_http_peers peers;
	struct weir_http_peer *peer;

	(void)state;
	weir_http_peers_init(&peers);
	weir_mem_fail(1, 0);
	assert_int_equal(take(&peers, "192.0.2.1", &peer), WEIR_ENOMEM);
	weir_mem_fail(0, 0);
	assert_int_equal(take(&peers, "192.0.2.1", &peer), WEIR_OK);
	weir_http_peers_give(&peers, peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_address_is_one_peer),
		cmocka_unit_test(ipv4_mapped_address_is_its_ipv4_peer),
		cmocka_unit_test(ipv6_network_of_64_bits_is_one_peer),
		cmocka_unit_test(peer_that_left_may_come_back),
		cmocka_unit_test(many_peers_are_each_counted),
		cmocka_unit_test(peer_that_finds_no_memory_is_not_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
