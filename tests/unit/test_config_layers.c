/* SPDX-License-Identifier: Apache-2.0 */
/* Which layer wins, how keys may be spelled, and where a value came from. */
#include "unit/config_support.h"

static void a_new_configuration_has_the_defaults(void **state)
{
	weir_config *config = loaded(NULL);

	(void)state;
	assert_value(config, "channel.default.kind", "EmbeddedChannel", "default");
	assert_value(config, "dispatcher.listen", "127.0.0.1:8080", "default");
	assert_true(weir_config_get(config, "drivers.path")[0] == '/');
	assert_value(config, "dispatcher.quarantine.path", "./weir-data/quarantine", "default");
	assert_int_equal(weir_config_get_duration(config, "dispatcher.drainTimeout"), 30000);
	assert_int_equal(weir_config_get_int(config, "dispatcher.limits.maxBodyBytes"), 1048576);
	assert_true(weir_config_get_bool(config, "dispatcher.addresses.allowLoopback"));
	assert_false(weir_config_get_bool(config, "dispatcher.batch"));
	weir_config_free(config);
}

static void a_key_that_is_not_set_reads_as_nothing(void **state)
{
	weir_config *config = loaded(NULL);

	(void)state;
	assert_null(weir_config_get(config, "channel.namespaces.orders.kind"));
	assert_null(weir_config_origin(config, "channel.namespaces.orders.kind"));
	assert_int_equal(weir_config_get_int(config, "no.such.key"), 0);
	assert_false(weir_config_get_bool(config, "no.such.key"));
	weir_config_free(config);
}

static void nested_objects_and_dotted_keys_name_the_same_field(void **state)
{
	weir_config *nested = loaded("{\"dispatcher\": {\"limits\": {\"maxHeaders\": 50}}}");
	weir_config *dotted = loaded("{\"dispatcher.limits.maxHeaders\": 50}");
	weir_config *mixed = loaded("{\"dispatcher.limits\":\n {\"maxHeaders\": 50}}");

	(void)state;
	assert_int_equal(weir_config_get_int(nested, "dispatcher.limits.maxHeaders"), 50);
	assert_value(dotted, "dispatcher.limits.maxHeaders", "50", "c.json:1");
	assert_value(mixed, "dispatcher.limits.maxHeaders", "50", "c.json:2");
	weir_config_free(nested);
	weir_config_free(dotted);
	weir_config_free(mixed);
}

static void later_layers_win_key_by_key(void **state)
{
	weir_config *config = config_of("{\"log\": {\"level\": \"debug\"}, \"dispatcher.listen\": \"127.0.0.1:1\"}");

	(void)state;
	weir_config_add_text(config, "d.json", WEIR_STR("{\"dispatcher.listen\": \"127.0.0.1:2\"}"));
	/* Settings win over the environment although they were added before it. */
	weir_config_add_setting(config, "log.level=warning");
	add_variable(config, "WEIR_LOG__FORMAT=json");
	add_variable(config, "WEIR_LOG__LEVEL=error");
	load(config);
	assert_value(config, "dispatcher.listen", "127.0.0.1:2", "d.json:1");
	assert_value(config, "log.format", "json", "environment");
	assert_value(config, "log.level", "warning", "--set");
	weir_config_free(config);
}

static void the_environment_spells_keys_in_capitals(void **state)
{
	weir_config *config = config_of(NULL);

	(void)state;
	add_variable(config, "WEIR_DISPATCHER__LIMITS__MAXBODYBYTES=2097152");
	add_variable(config, "WEIR_CHANNEL__NAMESPACES__SHOP__KIND=A");
	add_variable(config, "PATH=/bin");
	add_variable(config, "NOTHING");
	load(config);
	assert_value(config, "dispatcher.limits.maxBodyBytes", "2097152", "environment");
	assert_string_equal(weir_config_kind(config, "shop", "any"), "A");
	weir_config_free(config);
}

static void variables_that_kubernetes_makes_are_no_settings(void **state)
{
	weir_config *config = config_of(NULL);

	(void)state;
	add_variable(config, "WEIR_SERVICE_HOST=10.0.0.1");
	add_variable(config, "WEIR_PORT=tcp://10.0.0.1:80");
	add_variable(config, "WEIR_PORT_80_TCP_PORT=80");
	load(config);
	weir_config_free(config);
}

static void the_quarantine_lies_in_the_state_directory(void **state)
{
	weir_config *config = config_of(NULL);

	(void)state;
	add_variable(config, "STATE_DIRECTORY=/var/lib/weir:/var/lib/other");
	load(config);
	assert_value(config, "dispatcher.quarantine.path", "/var/lib/weir/quarantine", "default");
	weir_config_free(config);
}

static void a_setting_is_json_if_it_parses_as_that(void **state)
{
	weir_config *config = config_of(NULL);

	(void)state;
	weir_config_add_setting(config, "dispatcher.listen=[\"127.0.0.1:1\", \"127.0.0.1:2\"]");
	weir_config_add_setting(config, "dispatcher.admin=127.0.0.1:3, 127.0.0.1:4");
	weir_config_add_setting(config, "log={\"format\": \"json\"}");
	load(config);
	assert_value(config, "dispatcher.listen", "127.0.0.1:1,127.0.0.1:2", "--set");
	assert_value(config, "dispatcher.admin", "127.0.0.1:3,127.0.0.1:4", "--set");
	assert_value(config, "log.format", "json", "--set");
	weir_config_free(config);
}

static void an_empty_list_switches_the_admin_port_off(void **state)
{
	weir_config *config = loaded("{\"dispatcher.admin\": []}");

	(void)state;
	assert_null(weir_config_get(config, "dispatcher.admin"));
	assert_string_equal(weir_config_origin(config, "dispatcher.admin"), "c.json:1");
	weir_config_free(config);
}

static void keys_of_the_charts_are_understood(void **state)
{
	weir_config *config = loaded("{\"knative-eventing.channel.default.kind\": \"KafkaChannel\","
				     " \"environment\": {\"kafkaProvider\": \"azure\"},"
				     " \"kafka\": {\"brokers\": {\"hostname\": \"h.example\", \"port\": 9093}}}");

	(void)state;
	assert_string_equal(weir_config_get(config, "channel.default.kind"), "KafkaChannel");
	assert_string_equal(weir_config_get(config, "kafka.provider"), "azure");
	assert_string_equal(weir_config_get(config, "kafka.brokers"), "h.example:9093");
	assert_null(weir_config_get(config, "kafka.brokers.hostname"));
	weir_config_free(config);
}

static void brokers_in_one_key_win_over_earlier_parts(void **state)
{
	weir_config *config = loaded("{\"kafka.brokers.hostname\": \"h\", \"kafka.brokers.port\": \"1\"}");
	weir_config *later = config_of("{\"kafka.brokers.hostname\": \"h\", \"kafka.brokers.port\": \"1\"}");

	(void)state;
	weir_config_add_setting(later, "kafka.brokers=a:1,b:2");
	load(later);
	assert_string_equal(weir_config_get(config, "kafka.brokers"), "h:1");
	assert_string_equal(weir_config_get(later, "kafka.brokers"), "a:1,b:2");
	weir_config_free(config);
	weir_config_free(later);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_configuration_has_the_defaults),
		cmocka_unit_test(a_key_that_is_not_set_reads_as_nothing),
		cmocka_unit_test(nested_objects_and_dotted_keys_name_the_same_field),
		cmocka_unit_test(later_layers_win_key_by_key),
		cmocka_unit_test(the_environment_spells_keys_in_capitals),
		cmocka_unit_test(variables_that_kubernetes_makes_are_no_settings),
		cmocka_unit_test(the_quarantine_lies_in_the_state_directory),
		cmocka_unit_test(a_setting_is_json_if_it_parses_as_that),
		cmocka_unit_test(an_empty_list_switches_the_admin_port_off),
		cmocka_unit_test(keys_of_the_charts_are_understood),
		cmocka_unit_test(brokers_in_one_key_win_over_earlier_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
