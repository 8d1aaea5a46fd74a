/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's settings, and the names that they make. */
#include "kafka.h"

#include <stdlib.h>
#include <string.h>

const struct weir_option weir_kafka_options[] = {
	{ "provider", WEIR_OPT_ENUM, 0, "local", 0, 0, "local|azure|confluent",
	  "What kind of cluster it is: any Kafka, Azure Event Hubs, Confluent Cloud." },
	{ "brokers", WEIR_OPT_STRING, 0, "127.0.0.1:9092", 0, 0, NULL,
	  "Brokers to begin with: HOST:PORT, separated by commas." },
	{ "username", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL,
	  "User, or API key; for azure the literal $ConnectionString. With it, connections are SASL_SSL." },
	{ "password", WEIR_OPT_STRING, WEIR_OPTION_SECRET, NULL, 0, 0, NULL,
	  "Password, API secret, or for azure the connection string." },
	{ "namespace", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL, "Name of the Event Hubs namespace; for people." },
	{ "secretName", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL,
	  "Name of the Secret that the login came from; for people." },
	{ "partitions", WEIR_OPT_INT, 0, "4", 1, 10000, NULL, "Partitions of topics that it creates." },
	{ "replicationFactor", WEIR_OPT_INT, 0, NULL, 1, 100, NULL,
	  "Replicas of topics that it creates; default: 1, on confluent 3." },
	{ "retentionMillis", WEIR_OPT_INT, 0, "604800000", 1, INT64_MAX, NULL,
	  "How long topics that it creates keep records, in milliseconds." },
	{ "topicPattern", WEIR_OPT_STRING, 0, "knative-messaging-kafka.{namespace}.{name}", 0, 0, NULL,
	  "Name of a channel's topic." },
	{ "groupPattern", WEIR_OPT_STRING, 0, "kafka.{namespace}.{name}.{uid}", 0, 0, NULL,
	  "Name of a subscription's consumer group." },
	{ "maxBehind", WEIR_OPT_INT, 0, "16777216", 64, INT64_C(1) << 32, NULL,
	  "Records of a partition that may be taken behind one that is not settled." },
	{ "instanceId", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL,
	  "Static membership: a name that this process keeps over restarts, like the pod's; its partitions wait for "
	  "it." },
	{ "caFile", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL,
	  "Certificates to trust, PEM; default: the system's. With it, connections are TLS." },
	{ "certificateFile", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL, "Client certificate, PEM." },
	{ "keyFile", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL, "Key of the client certificate, PEM." },
	{ "oauth", WEIR_OPT_ENUM, 0, "off", 0, 0, "off|client-secret|workload-identity|managed-identity",
	  "Log in with tokens (SASL_SSL, OAUTHBEARER), and who we are to whoever issues them." },
	{ "oauthTokenUrl", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL,
	  "Where tokens come from; default: Entra ID's endpoint of the tenant, or the machine's metadata service." },
	{ "oauthTenant", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL, "Tenant in Entra ID; default: $AZURE_TENANT_ID." },
	{ "oauthClientId", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL, "Client id; default: $AZURE_CLIENT_ID." },
	{ "oauthClientSecret", WEIR_OPT_STRING, WEIR_OPTION_SECRET, NULL, 0, 0, NULL, "Client secret." },
	{ "oauthTokenFile", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL,
	  "File with the workload's own token, read at each fetch; default: $AZURE_FEDERATED_TOKEN_FILE." },
	{ "oauthScope", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL,
	  "Scope, or resource, to ask for; default for azure: the namespace." },
	{ "oauthExtensions", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL,
	  "For Confluent Cloud: logicalCluster=lkc-...,identityPoolId=pool-..." },
	{ "oauthCaFile", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL,
	  "Certificates to trust when tokens are fetched, PEM; default: the system's." },
	{ "properties.*", WEIR_OPT_STRING, WEIR_OPTION_PREFIX, NULL, 0, 0, NULL,
	  "Any property of librdkafka; it is checked against the library that is loaded." },
};
const uint32_t weir_kafka_option_count = sizeof weir_kafka_options / sizeof weir_kafka_options[0];

/* ---- keeping them ----------------------------------------------------------------- */

static bool known(const char *key)
{
	uint32_t i;

	if (strncmp(key, "properties.", 11) == 0)
		return true;
	for (i = 0; i < weir_kafka_option_count; i++)
		if (strcmp(weir_kafka_options[i].key, key) == 0)
			return true;
	return false;
}

static int settings_copy(struct settings *settings, const struct weir_setting *given, size_t count,
			 struct weir_error *err)
{
	size_t i;

	settings->all = calloc(count + 1, sizeof *settings->all);
	if (!settings->all)
		return weir_fail(err, WEIR_ENOMEM, "kafka: no memory for the settings");
	for (i = 0; i < count; i++) {
		if (!known(given[i].key))
			return weir_fail(err, WEIR_EINVAL, "kafka.%.100s: there is no such setting", given[i].key);
		if (!given[i].value || !*given[i].value || strcmp(given[i].key, "properties.*") == 0)
			continue;
		settings->all[settings->count].key = strdup(given[i].key);
		settings->all[settings->count].value = strdup(given[i].value);
		settings->count++;
		if (!settings->all[settings->count - 1].key || !settings->all[settings->count - 1].value)
			return weir_fail(err, WEIR_ENOMEM, "kafka: no memory for the settings");
	}
	return WEIR_OK;
}

void weir_kafka_settings_fini(struct settings *settings)
{
	size_t i;

	for (i = 0; i < settings->count; i++) {
		char *value = (char *)(uintptr_t)settings->all[i].value;

		if (value)
			explicit_bzero(value, strlen(value));
		free(value);
		free((char *)(uintptr_t)settings->all[i].key);
	}
	free(settings->all);
	memset(settings, 0, sizeof *settings);
}

const char *weir_kafka_setting(const struct settings *settings, const char *key)
{
	size_t i;

	for (i = 0; i < settings->count; i++)
		if (strcmp(settings->all[i].key, key) == 0)
			return settings->all[i].value;
	return "";
}

/* ---- checking them ------------------------------------------------------------------ */

static int login_check(const struct settings *settings, struct weir_error *err)
{
	const struct provider *provider = settings->provider;
	const char *username = weir_kafka_setting(settings, "username");
	bool password = *weir_kafka_setting(settings, "password");

	if (strcmp(weir_kafka_setting(settings, "oauth"), "off") != 0 && *weir_kafka_setting(settings, "oauth")) {
		if (*username || password)
			return weir_fail(err, WEIR_EINVAL,
					 "kafka.oauth: a login is a token, or a user name and a password");
		return WEIR_OK;
	}
	if (provider->needs_login && !*username)
		return weir_fail(err, WEIR_EINVAL, "kafka.username: the provider %s needs one; set %s", provider->name,
				 provider->username ? provider->username : "the API key");
	if (provider->username && strcmp(username, provider->username) != 0)
		return weir_fail(err, WEIR_EINVAL, "kafka.username: for the provider %s it is the literal %s",
				 provider->name, provider->username);
	if (*username && !password)
		return weir_fail(err, WEIR_EINVAL, "kafka.password: there is a user name, but no password");
	if (!*username && password)
		return weir_fail(err, WEIR_EINVAL, "kafka.username: there is a password, but no user name");
	return WEIR_OK;
}

static int patterns_check(const struct settings *settings, struct weir_error *err)
{
	const char *topic = weir_kafka_setting(settings, "topicPattern");
	const char *group = weir_kafka_setting(settings, "groupPattern");

	if (!strstr(topic, "{namespace}") || !strstr(topic, "{name}"))
		return weir_fail(err, WEIR_EINVAL, "kafka.topicPattern: needs {namespace} and {name}");
	if (weir_kafka_pattern_literals(topic) > WEIR_KAFKA_MAX_NAME - 64)
		return weir_fail(err, WEIR_EINVAL, "kafka.topicPattern: leaves no room for the names");
	if (!strstr(group, "{uid}"))
		return weir_fail(err, WEIR_EINVAL, "kafka.groupPattern: needs {uid}");
	return WEIR_OK;
}

int weir_kafka_settings_init(struct settings *settings, const struct weir_setting *given, size_t count,
			     struct weir_error *err)
{
	const char *replication;
	int code;

	memset(settings, 0, sizeof *settings);
	code = settings_copy(settings, given, count, err);
	if (code)
		return code;
	settings->provider = weir_kafka_provider(weir_kafka_setting(settings, "provider"));
	if (!settings->provider)
		return weir_fail(err, WEIR_EINVAL, "kafka.provider: allowed are local, azure and confluent");
	code = login_check(settings, err);
	if (!code)
		code = patterns_check(settings, err);
	if (code)
		return code;
	if (!*weir_kafka_setting(settings, "brokers"))
		return weir_fail(err, WEIR_EINVAL, "kafka.brokers: is empty");
	replication = weir_kafka_setting(settings, "replicationFactor");
	settings->replication = atoi(*replication ? replication : settings->provider->replication);
	settings->max_behind = strtoull(weir_kafka_setting(settings, "maxBehind"), NULL, 10);
	settings->partitions = atoi(weir_kafka_setting(settings, "partitions"));
	if (settings->partitions < 1)
		return weir_fail(err, WEIR_EINVAL, "kafka.partitions: not a positive number");
	return WEIR_OK;
}

/* ---- names ------------------------------------------------------------------------------ */

size_t weir_kafka_pattern_literals(const char *pattern)
{
	size_t count = 0;

	while (*pattern) {
		const char *end = *pattern == '{' ? strchr(pattern, '}') : NULL;

		count += !end;
		pattern = end ? end + 1 : pattern + 1;
	}
	return count;
}

static bool legal(const char *text)
{
	return *text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")];
}

/* Dots part the names in the default pattern: in a namespace one would make two channels share a topic. */
static int part_check(const char *what, const char *text, bool dots, struct weir_error *err)
{
	if (!legal(text) || (!dots && strchr(text, '.')))
		return weir_fail(err, WEIR_EINVAL,
				 "kafka: the %s cannot be part of a name: letters, digits, '-', '_'%s", what,
				 dots ? " and '.' can" : " can");
	return WEIR_OK;
}

int weir_kafka_spell(const char *pattern, const char *ns, const char *name, const char *uid, char *ret, size_t size,
		     struct weir_error *err)
{
	const struct {
		const char *mark, *text;
	} parts[] = { { "{namespace}", ns }, { "{name}", name }, { "{uid}", uid } };
	size_t used = 0, i;
	int code = part_check("namespace", ns, false, err);

	code = code ? code : part_check("channel's name", name, true, err);
	code = code ? code : uid ? part_check("subscription's uid", uid, true, err) : WEIR_OK;
	while (!code && *pattern) {
		const char *text = pattern;
		size_t len = 1, step = 1;

		for (i = 0; i < sizeof parts / sizeof parts[0]; i++) {
			if (!parts[i].text || strncmp(pattern, parts[i].mark, strlen(parts[i].mark)) != 0)
				continue;
			text = parts[i].text;
			len = strlen(text);
			step = strlen(parts[i].mark);
		}
		if (used + len >= size)
			return weir_fail(err, WEIR_EINVAL,
					 "kafka: the name is longer than the %zu characters that it may have",
					 size - 1);
		memcpy(ret + used, text, len);
		used += len;
		pattern += step;
	}
	ret[used] = '\0';
	if (!code && !legal(ret))
		return weir_fail(err, WEIR_EINVAL,
				 "kafka: the pattern makes a name with characters that Kafka does not take");
	return code;
}
