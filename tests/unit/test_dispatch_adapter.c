/* SPDX-License-Identifier: Apache-2.0 */
/* The paths of the source adapter, and who has them. */
#include "unit/weir_cmocka.h"

#include "base/str.h"
#include "dispatch/adapter.h"

static struct {
	struct weir_router *router;
	const char *source;
	struct weir_ingress_channel shop, other, named;
	struct weir_adapter_door shop_door, other_door, named_door;
} at;

static int begin(void **state)
{
	(void)state;
	at.source = NULL;
	at.shop = (struct weir_ingress_channel){ .slot_count = 1 };
	at.other = (struct weir_ingress_channel){ .slot_count = 2 };
	at.named = (struct weir_ingress_channel){ .slot_count = 3 };
	return weir_router_new(16, &at.router);
}

static int end(void **state)
{
	(void)state;
	weir_router_free(at.router);
	return 0;
}

static const struct weir_ingress_channel *find(const char *path)
{
	return weir_router_find(at.router, weir_str(path), WEIR_STR("localhost"));
}

static void add(const char *ns, const char *name, const struct weir_ingress_channel *channel,
		struct weir_adapter_door *door)
{
	weir_adapter_door_init(door, channel, ns, at.source);
	assert_int_equal(weir_adapter_add(at.router, "shop", ns, name, door), WEIR_OK);
}

static void add_shop(void)
{
	assert_int_equal(weir_router_add(at.router, "shop", "default", &at.shop), WEIR_OK);
	add("shop", "default", &at.shop, &at.shop_door);
}

static void a_default_takes_events_at_its_namespaces_path(void **state)
{
	(void)state;
	add_shop();
	assert_int_equal(find("/shop/events")->slot_count, 1);
	assert_null(find("/shop/events")->kyma_source);
	assert_true(find("/shop/events")->is_door);
	assert_int_equal(find("/shop/v1/events")->slot_count, 1);
	assert_string_equal(find("/shop/v1/events")->kyma_source, "shop");
	assert_false(find("/shop/default")->is_door);
}

static void the_short_paths_are_those_of_the_configured_namespace(void **state)
{
	(void)state;
	add_shop();
	add("other", "default", &at.other, &at.other_door);
	assert_int_equal(find("/events")->slot_count, 1);
	assert_int_equal(find("/v1/events")->slot_count, 1);
	assert_int_equal(find("/other/events")->slot_count, 2);
	assert_int_equal(find("/other/v1/events")->slot_count, 2);
}

static void the_source_can_be_told(void **state)
{
	(void)state;
	at.source = "urn:commerce";
	add_shop();
	assert_string_equal(find("/v1/events")->kyma_source, "urn:commerce");
}

static void a_channel_of_another_name_has_no_such_path(void **state)
{
	(void)state;
	add("shop", "orders", &at.shop, &at.shop_door);
	assert_null(find("/events"));
	assert_null(find("/shop/events"));
	assert_null(find("/v1/events"));
}

static void a_channel_that_is_named_events_keeps_its_path(void **state)
{
	(void)state;
	assert_int_equal(weir_router_add(at.router, "shop", "events", &at.named), WEIR_OK);
	assert_int_equal(weir_router_add(at.router, "v1", "events", &at.other), WEIR_OK);
	add_shop();
	assert_int_equal(find("/shop/events")->slot_count, 3);
	assert_int_equal(find("/v1/events")->slot_count, 2);
	assert_int_equal(find("/events")->slot_count, 1);
	assert_int_equal(find("/shop/v1/events")->slot_count, 1);
}

static void paths_are_taken_as_they_are(void **state)
{
	static const char *const paths[] = { "/events/",         "//events",   "/Events",
					     "/v1/events/",      "/v2/events", "/v1",
					     "/shop/v1",         "/shop/v1/",  "/shop/v1/events/",
					     "/shop//v1/events", "/%65vents" };

	(void)state;
	add_shop();
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		assert_null(find(paths[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_default_takes_events_at_its_namespaces_path, begin, end),
		cmocka_unit_test_setup_teardown(the_short_paths_are_those_of_the_configured_namespace, begin, end),
		cmocka_unit_test_setup_teardown(the_source_can_be_told, begin, end),
		cmocka_unit_test_setup_teardown(a_channel_of_another_name_has_no_such_path, begin, end),
		cmocka_unit_test_setup_teardown(a_channel_that_is_named_events_keeps_its_path, begin, end),
		cmocka_unit_test_setup_teardown(paths_are_taken_as_they_are, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
