/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/weir_cmocka.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "dispatch/route.h"

static char orders[] = "orders", other[] = "other";

static int make(void **state)
{
	struct weir_router *router = NULL;

	if (weir_router_new(4, &router) || weir_router_add(router, "shop", "orders", orders) ||
	    weir_router_add(router, "default", "default", other))
		return -1;
	*state = router;
	return 0;
}

static int unmake(void **state)
{
	weir_router_free(*state);
	return 0;
}

static const char *by_path(void **state, const char *path)
{
	return weir_router_find(*state, weir_str(path), weir_str("localhost:8080"));
}

static const char *by_host(void **state, const char *host)
{
	return weir_router_find(*state, weir_str("/"), weir_str(host));
}

static void a_path_names_its_channel(void **state)
{
	assert_ptr_equal(by_path(state, "/shop/orders"), orders);
	assert_ptr_equal(by_path(state, "/default/default"), other);
}

static void a_path_is_not_normalised(void **state)
{
	static const char *const paths[] = { "",
					     "shop/orders",
					     "/shop",
					     "/shop/",
					     "//",
					     "///",
					     "/shop/orders/",
					     "//shop/orders",
					     "/shop//orders",
					     "/./shop/orders",
					     "/x/../shop/orders",
					     "/shop/%6frders",
					     "/Shop/orders",
					     "/shop/Orders",
					     "/shop%2forders",
					     "/shop/orders2",
					     "/shop/order",
					     "/orders/shop",
					     "/../shop/orders" };

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		assert_null(by_path(state, paths[i]));
}

static void a_path_with_nul_or_of_any_length_is_unknown(void **state)
{
	char *longest = malloc(9001);

	assert_non_null(longest);
	memset(longest, 'a', 9000);
	longest[0] = longest[4500] = '/';
	longest[9000] = '\0';
	assert_null(by_path(state, longest));
	assert_null(weir_router_find(*state, WEIR_STR("/shop/orders\0"), WEIR_STR("x")));
	free(longest);
}

static void a_host_names_its_channel_in_each_convention(void **state)
{
	static const char *const hosts[] = { "orders-kn-channel.shop.svc",
					     "orders-kn-channel.shop.svc.cluster.local",
					     "orders-kn-channel.shop.svc:80",
					     "orders-kn-channel.shop.svc.",
					     "orders-kn-channel.shop.svc.cluster.local.:8080",
					     "ORDERS-KN-Channel.Shop.SVC.Cluster.Local",
					     "orders-kn-jsm-channel.shop.svc",
					     "orders-kafkachannel.shop.svc" };

	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
		assert_ptr_equal(by_host(state, hosts[i]), orders);
}

static void any_other_host_is_unknown(void **state)
{
	static const char *const hosts[] = { "",
					     "localhost",
					     "127.0.0.1:8080",
					     "[::1]:8080",
					     "orders.shop.svc",
					     "-kn-channel.shop.svc",
					     "orders-kn-channel.shop",
					     "orders-kn-channel",
					     "orders-kn-channel.shop.srv",
					     "orders-kn-channel..svc",
					     ".",
					     "..",
					     ":80",
					     "orders-kn-channel.other.svc",
					     "x.orders-kn-channel.shop.svc",
					     "orders-kn-channelx.shop.svc" };

	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
		assert_null(by_host(state, hosts[i]));
	assert_null(weir_router_find(*state, weir_str("/"), (struct weir_buf){ NULL, 0 }));
}

static void a_path_wins_over_the_host(void **state)
{
	struct weir_buf host = weir_str("orders-kn-channel.shop.svc");

	assert_ptr_equal(weir_router_find(*state, weir_str("/default/default"), host), other);
	assert_null(weir_router_find(*state, weir_str("/x/y"), host));
}

static void a_channel_is_added_once_and_no_more_than_there_is_room(void **state)
{
	assert_int_equal(weir_router_add(*state, "shop", "orders", other), WEIR_EEXIST);
	assert_int_equal(weir_router_add(*state, "a", "a", other), WEIR_OK);
	assert_int_equal(weir_router_add(*state, "b", "b", other), WEIR_OK);
	assert_int_equal(weir_router_add(*state, "c", "c", other), WEIR_ELIMIT);
}

static void names_that_join_to_the_same_text_stay_apart(void **state)
{
	assert_int_equal(weir_router_add(*state, "a", "b.c", orders), WEIR_OK);
	assert_int_equal(weir_router_add(*state, "a.b", "c", other), WEIR_OK);
	assert_ptr_equal(by_path(state, "/a/b.c"), orders);
	assert_ptr_equal(by_path(state, "/a.b/c"), other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_path_names_its_channel, make, unmake),
		cmocka_unit_test_setup_teardown(a_path_is_not_normalised, make, unmake),
		cmocka_unit_test_setup_teardown(a_path_with_nul_or_of_any_length_is_unknown, make, unmake),
		cmocka_unit_test_setup_teardown(a_host_names_its_channel_in_each_convention, make, unmake),
		cmocka_unit_test_setup_teardown(any_other_host_is_unknown, make, unmake),
		cmocka_unit_test_setup_teardown(a_path_wins_over_the_host, make, unmake),
		cmocka_unit_test_setup_teardown(a_channel_is_added_once_and_no_more_than_there_is_room, make, unmake),
		cmocka_unit_test_setup_teardown(names_that_join_to_the_same_text_stay_apart, make, unmake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
