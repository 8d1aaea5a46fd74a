/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations for librdkafka: what we need, then the provider's, then the user's. Providers are rows of data. */
#include "kafka.h"

#include <string.h>

/* What every client gets. */
static const struct property common[] = {
	{ ROLE_BOTH, "client.id", "weir" },
	{ ROLE_BOTH, "allow.auto.create.topics", "false" },
	{ ROLE_BOTH, "socket.keepalive.enable", "true" },
	{ ROLE_BOTH, "socket.nagle.disable", "true" },
	{ ROLE_BOTH, "reconnect.backoff.ms", "50" },
	{ ROLE_BOTH, "reconnect.backoff.max.ms", "1000" },
	{ ROLE_BOTH, "log.connection.close", "false" },
	{ ROLE_PRODUCER, "acks", "all" },
	{ ROLE_PRODUCER, "enable.idempotence", "true" },
	/* As the Java client does it: equal keys meet in one partition whoever sent them. */
	{ ROLE_PRODUCER, "partitioner", "murmur2_random" },
	{ ROLE_PRODUCER, "sticky.partitioning.linger.ms", "0" },
	{ ROLE_PRODUCER, "linger.ms", "2" },
	{ ROLE_PRODUCER, "message.timeout.ms", "30000" },
	{ ROLE_PRODUCER, "message.max.bytes", "1000000" },
	{ ROLE_PRODUCER, "queue.buffering.max.messages", "100000" },
	{ ROLE_PRODUCER, "queue.buffering.max.kbytes", "65536" },
	{ ROLE_CONSUMER, "partition.assignment.strategy", "cooperative-sticky" },
	{ ROLE_CONSUMER, "enable.auto.commit", "false" },
	{ ROLE_CONSUMER, "enable.auto.offset.store", "false" },
	/* If retention has overtaken the position we want to know: the loss is reported, then it goes on. */
	{ ROLE_CONSUMER, "auto.offset.reset", "error" },
	{ ROLE_CONSUMER, "queued.max.messages.kbytes", "2048" },
	{ ROLE_CONSUMER, "fetch.error.backoff.ms", "100" },
	{ ROLE_BOTH, NULL, NULL },
};

static const struct property local[] = {
	{ ROLE_CONSUMER, "session.timeout.ms", "10000" },
	{ ROLE_CONSUMER, "heartbeat.interval.ms", "1000" },
	{ ROLE_BOTH, NULL, NULL },
};

/* Its load balancers drop silent connections after 240 s; it closes connections on large requests. */
static const struct property azure[] = {
	{ ROLE_BOTH, "connections.max.idle.ms", "180000" },
	{ ROLE_BOTH, "metadata.max.age.ms", "180000" },
	{ ROLE_BOTH, "topic.metadata.refresh.interval.ms", "180000" },
	{ ROLE_BOTH, "socket.timeout.ms", "60000" },
	{ ROLE_PRODUCER, "request.timeout.ms", "60000" },
	{ ROLE_PRODUCER, "message.timeout.ms", "120000" },
	{ ROLE_PRODUCER, "compression.codec", "none" },
	{ ROLE_PRODUCER, "batch.size", "900000" },
	/* Whether it has idempotence depends on the tier. */
	{ ROLE_PRODUCER, "enable.idempotence", "false" },
	{ ROLE_PRODUCER, "max.in.flight.requests.per.connection", "1" },
	{ ROLE_CONSUMER, "session.timeout.ms", "30000" },
	{ ROLE_BOTH, NULL, NULL },
};

static const struct property confluent[] = {
	{ ROLE_BOTH, "connections.max.idle.ms", "180000" },
	{ ROLE_CONSUMER, "session.timeout.ms", "45000" },
	{ ROLE_BOTH, NULL, NULL },
};

const struct provider weir_kafka_providers[] = {
	{ "local", false, NULL, "1", 999000, local },
	{ "azure", true, "$ConnectionString", "1", 900000, azure },
	{ "confluent", true, NULL, "3", 999000, confluent },
	{ NULL, false, NULL, NULL, 0, NULL },
};

/* What the driver's promises rest on. */
static const char *const locked[] = { "enable.auto.commit", "enable.auto.offset.store",      "group.id",
				      "group.instance.id",  "partition.assignment.strategy", "enable.partition.eof",
				      "auto.offset.reset",  "plugin.library.paths",          NULL };

const struct provider *weir_kafka_provider(const char *name)
{
	const struct provider *provider;

	for (provider = weir_kafka_providers; provider->name; provider++)
		if (strcmp(provider->name, name) == 0)
			return provider;
	return NULL;
}

/* The library's text may repeat the value: not for secrets. */
static int set(rd_kafka_conf_t *conf, const char *shown, const char *name, const char *value, struct weir_error *err)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK)
		return WEIR_OK;
	if (strstr(name, "password") || strstr(name, "secret") || strstr(name, ".key") || strstr(name, "jaas"))
		return weir_fail(err, WEIR_EINVAL, "kafka.%.100s: librdkafka %s does not take it", shown,
				 rd_kafka_version_str());
	return weir_fail(err, WEIR_EINVAL, "kafka.%.100s: librdkafka %s: %.200s", shown, rd_kafka_version_str(), why);
}

static int rows_set(rd_kafka_conf_t *conf, const struct property *row, enum role role, struct weir_error *err)
{
	int code = WEIR_OK;

	for (; row->name && !code; row++)
		if (row->role == ROLE_BOTH || row->role == role)
			code = set(conf, row->name, row->name, row->value, err);
	return code;
}

/* No way leads from TLS back to plain text but the user's own properties.security.protocol. */
static int security_set(rd_kafka_conf_t *conf, const struct settings *settings, struct weir_error *err)
{
	static const char *const files[][2] = { { "caFile", "ssl.ca.location" },
						{ "certificateFile", "ssl.certificate.location" },
						{ "keyFile", "ssl.key.location" } };
	const char *username = weir_kafka_setting(settings, "username");
	bool tls = false;
	int code = WEIR_OK;
	size_t i;

	for (i = 0; i < 3 && !code; i++) {
		const char *path = weir_kafka_setting(settings, files[i][0]);

		if (!*path)
			continue;
		tls = true;
		code = set(conf, files[i][0], files[i][1], path, err);
	}
	if (!code && *weir_kafka_setting(settings, "oauth") &&
	    strcmp(weir_kafka_setting(settings, "oauth"), "off") != 0) {
		code = set(conf, "oauth", "security.protocol", "SASL_SSL", err);
		return code ? code : set(conf, "oauth", "sasl.mechanisms", "OAUTHBEARER", err);
	}
	if (code || !*username)
		return code || !tls ? code : set(conf, "caFile", "security.protocol", "SSL", err);
	code = set(conf, "username", "security.protocol", "SASL_SSL", err);
	code = code ? code : set(conf, "username", "sasl.mechanisms", "PLAIN", err);
	code = code ? code : set(conf, "username", "sasl.username", username, err);
	return code ? code : set(conf, "password", "sasl.password", weir_kafka_setting(settings, "password"), err);
}

static int property_check(const struct settings *settings, const char *name, struct weir_error *err)
{
	size_t i;

	for (i = 0; locked[i]; i++)
		if (strcmp(locked[i], name) == 0)
			return weir_fail(err, WEIR_EINVAL, "kafka.properties.%s: is the driver's own; it cannot be set",
					 name);
	if (settings->provider->needs_login && strcmp(name, "security.protocol") == 0)
		return weir_fail(err, WEIR_EINVAL, "kafka.properties.%s: with the provider %s it is SASL_SSL", name,
				 settings->provider->name);
	return WEIR_OK;
}

static int properties_set(rd_kafka_conf_t *conf, const struct settings *settings, struct weir_error *err)
{
	int code = WEIR_OK;
	size_t i;

	for (i = 0; i < settings->count && !code; i++) {
		const char *key = settings->all[i].key;

		if (strncmp(key, "properties.", 11) != 0)
			continue;
		code = property_check(settings, key + 11, err);
		code = code ? code : set(conf, key, key + 11, settings->all[i].value, err);
	}
	return code;
}

int weir_kafka_conf(const struct settings *settings, enum role role, rd_kafka_conf_t **ret, struct weir_error *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	int code = rows_set(conf, common, role, err);

	code = code ? code : rows_set(conf, settings->provider->properties, role, err);
	code = code ? code : set(conf, "brokers", "bootstrap.servers", weir_kafka_setting(settings, "brokers"), err);
	code = code ? code : security_set(conf, settings, err);
	code = code ? code : properties_set(conf, settings, err);
	if (code) {
		rd_kafka_conf_destroy(conf);
		return code;
	}
	*ret = conf;
	return WEIR_OK;
}
