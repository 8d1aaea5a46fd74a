/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each provider makes of librdkafka's configuration: everything that is not
 * the library's own default, compared with a file. WEIR_GOLDEN_WRITE=1 writes
 * the files instead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kafka.h"

enum { MAX_TEXT = 16384 };

static void settings_make(struct settings *settings, const char *const (*rows)[2])
{
	struct weir_setting given[40];
	struct weir_error err = WEIR_ERROR_INIT;
	size_t count = 0;
	uint32_t i;

	for (; (*rows)[0]; rows++)
		given[count++] = (struct weir_setting){ (*rows)[0], (*rows)[1] };
	for (i = 0; i < weir_kafka_option_count; i++)
		if (weir_kafka_options[i].fallback && strcmp(weir_kafka_options[i].key, "provider") != 0 &&
		    strcmp(weir_kafka_options[i].key, "brokers") != 0 &&
		    strcmp(weir_kafka_options[i].key, "oauth") != 0)
			given[count++] =
			    (struct weir_setting){ weir_kafka_options[i].key, weir_kafka_options[i].fallback };
	if (weir_kafka_settings_init(settings, given, count, &err))
		fail_msg("%s", err.text);
}

static const char *value_in(const char **dump, size_t count, const char *name)
{
	size_t i;

	for (i = 0; i + 1 < count; i += 2)
		if (strcmp(dump[i], name) == 0)
			return dump[i + 1];
	return NULL;
}

/* Callbacks are addresses; they are not for this. */
static bool told(const char *name)
{
	size_t len = strlen(name);

	return strcmp(name, "opaque") != 0 && strcmp(name, "default_topic_conf") != 0 &&
	       (len < 3 || strcmp(name + len - 3, "_cb") != 0);
}

static size_t rows_write(const char **dump, size_t count, const char **plain, size_t plain_count, char *ret,
			 size_t used)
{
	size_t i;

	for (i = 0; i + 1 < count; i += 2) {
		const char *usual = value_in(plain, plain_count, dump[i]);

		if (told(dump[i]) && (!usual || strcmp(usual, dump[i + 1]) != 0))
			used += (size_t)snprintf(ret + used, MAX_TEXT - used, "%s=%s\n", dump[i],
						 strstr(dump[i], "password") ? "(secret)" : dump[i + 1]);
		assert_true(used < MAX_TEXT);
	}
	rd_kafka_conf_dump_free(dump, count);
	rd_kafka_conf_dump_free(plain, plain_count);
	return used;
}

static void dump_differences(rd_kafka_conf_t *conf, char *ret)
{
	rd_kafka_conf_t *plain = rd_kafka_conf_new();
	rd_kafka_topic_conf_t *plain_topic = rd_kafka_topic_conf_new();
	rd_kafka_topic_conf_t *topic = rd_kafka_conf_get_default_topic_conf(conf);
	size_t count, plain_count, used;
	const char **dump = rd_kafka_conf_dump(conf, &count), **plain_dump = rd_kafka_conf_dump(plain, &plain_count);

	ret[0] = '\0';
	used = rows_write(dump, count, plain_dump, plain_count, ret, 0);
	if (topic) {
		dump = rd_kafka_topic_conf_dump(topic, &count);
		plain_dump = rd_kafka_topic_conf_dump(plain_topic, &plain_count);
		rows_write(dump, count, plain_dump, plain_count, ret, used);
	}
	rd_kafka_conf_destroy(plain);
	rd_kafka_topic_conf_destroy(plain_topic);
}

static void golden_path(const char *name, char *ret, size_t size)
{
	const char *source = getenv("WEIR_TEST_SOURCE");

	snprintf(ret, size, "%s/tests/broker/golden/%s", source ? source : ".", name);
}

static void assert_golden(const char *name, const char *text)
{
	char path[512], wanted[MAX_TEXT] = "";
	bool write = getenv("WEIR_GOLDEN_WRITE") != NULL;
	FILE *file;
	size_t len;

	golden_path(name, path, sizeof path);
	file = fopen(path, write ? "w" : "r");
	assert_non_null(file);
	if (write) {
		fputs(text, file);
	} else {
		len = fread(wanted, 1, sizeof wanted - 1, file);
		wanted[len] = '\0';
	}
	fclose(file);
	if (!write)
		assert_string_equal(text, wanted);
}

static void check(const char *name, enum role role, const char *const (*rows)[2])
{
	struct settings settings;
	struct weir_error err = WEIR_ERROR_INIT;
	rd_kafka_conf_t *conf;
	char text[MAX_TEXT];

	settings_make(&settings, rows);
	if (weir_kafka_conf(&settings, role, &conf, &err))
		fail_msg("%s", err.text);
	dump_differences(conf, text);
	assert_golden(name, text);
	rd_kafka_conf_destroy(conf);
	weir_kafka_settings_fini(&settings);
}

static const char *const azure[][2] = { { "provider", "azure" },
					{ "brokers", "ns.servicebus.windows.net:9093" },
					{ "username", "$ConnectionString" },
					{ "password", "Endpoint=sb://ns/;SharedAccessKey=canary" },
					{ NULL, NULL } };
static const char *const azure_oauth[][2] = { { "provider", "azure" },
					      { "brokers", "ns.servicebus.windows.net:9093" },
					      { "oauth", "managed-identity" },
					      { NULL, NULL } };
static const char *const confluent[][2] = { { "provider", "confluent" },
					    { "brokers", "pkc-1.eu.aws.confluent.cloud:9092" },
					    { "username", "KEY" },
					    { "password", "canary" },
					    { NULL, NULL } };
static const char *const local[][2] = { { "provider", "local" }, { "brokers", "127.0.0.1:9092" }, { NULL, NULL } };

static void azure_s_producer_is_what_event_hubs_wants(void **state)
{
	(void)state;
	check("azure-producer.txt", ROLE_PRODUCER, azure);
}

static void azure_s_consumer_is_what_event_hubs_wants(void **state)
{
	(void)state;
	check("azure-consumer.txt", ROLE_CONSUMER, azure);
}

static void azure_with_tokens_has_no_password(void **state)
{
	(void)state;
	check("azure-oauth-producer.txt", ROLE_PRODUCER, azure_oauth);
}

static void confluent_s_clients_are_what_it_wants(void **state)
{
	(void)state;
	check("confluent-producer.txt", ROLE_PRODUCER, confluent);
	check("confluent-consumer.txt", ROLE_CONSUMER, confluent);
}

static void local_clients_are_plain(void **state)
{
	(void)state;
	check("local-producer.txt", ROLE_PRODUCER, local);
	check("local-consumer.txt", ROLE_CONSUMER, local);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(azure_s_producer_is_what_event_hubs_wants),
		cmocka_unit_test(azure_s_consumer_is_what_event_hubs_wants),
		cmocka_unit_test(azure_with_tokens_has_no_password),
		cmocka_unit_test(confluent_s_clients_are_what_it_wants),
		cmocka_unit_test(local_clients_are_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
