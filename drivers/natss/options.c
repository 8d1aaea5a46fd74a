/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's settings. */
#include "natss.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

const struct weir_option weir_natss_options[] = {
	WEIR_NATS_LOGIN_OPTIONS("nats://127.0.0.1:4222"),
	{ "clusterId", WEIR_OPT_STRING, 0, "test-cluster", 0, 0, NULL, "The streaming server's cluster id." },
	{ "clientId", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL,
	  "How the client ids of this process' own connections begin; default: weir- and the host's name." },
	{ "channelPattern", WEIR_OPT_STRING, 0, "{name}.{namespace}", 0, 0, NULL, "The server's name of a channel." },
	{ "members", WEIR_OPT_ENUM, 0, "exclusive", 0, 0, "exclusive|queue",
	  "Who reads a subscription: one process at a time; or, unless it is ordered, all, as the server likes." },
	{ "ackWait", WEIR_OPT_DURATION, 0, "30000", 1000, 3600000, NULL,
	  "When the server sends an unacknowledged event again, to whole seconds. Weir keeps what it still works on." },
	{ "maxInflight", WEIR_OPT_INT, 0, "1024", 1, 65536, NULL,
	  "Events of a subscription that the server sends ahead, at most; never more than the subscription's window." },
	{ "pingInterval", WEIR_OPT_DURATION, 0, "5000", 1000, 600000, NULL,
	  "How often the server is asked whether it is there, to whole seconds." },
	{ "pingMaxOut", WEIR_OPT_INT, 0, "3", 2, 100, NULL,
	  "Unanswered questions after which a connection is given up and made anew." },
	{ "monitorUrl", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL,
	  "The server's monitoring endpoint, http://HOST:8222: its limits are read there and refused if they drop "
	  "events." },
	{ "allowLoss", WEIR_OPT_BOOL, 0, "false", 0, 0, NULL,
	  "Take a server that drops events without a word, by its limits or because it keeps them in memory." },
};
const uint32_t weir_natss_option_count = sizeof weir_natss_options / sizeof weir_natss_options[0];

static int known_check(const struct weir_setting *given, size_t count, struct weir_error *err)
{
	for (size_t i = 0; i < count; i++) {
		bool known = false;

		for (uint32_t k = 0; k < weir_natss_option_count && !known; k++)
			known = strcmp(weir_natss_options[k].key, given[i].key) == 0;
		if (!known)
			return weir_fail(err, WEIR_EINVAL, "natss.%.100s: there is no such setting", given[i].key);
	}
	return WEIR_OK;
}

struct reading {
	const struct weir_setting *given;
	size_t count;
	struct weir_error *err;
	int code;
};

/* A copy; NULL if it is not set. */
static char *text(struct reading *reading, const char *key)
{
	const char *value = weir_nats_setting(reading->given, reading->count, key);
	char *copy = *value ? strdup(value) : NULL;

	if (*value && !copy && !reading->code)
		reading->code = weir_fail(reading->err, WEIR_ENOMEM, "natss: no memory for the settings");
	return copy;
}

static const struct weir_option *option(const char *key)
{
	for (uint32_t i = 0; i < weir_natss_option_count; i++)
		if (strcmp(weir_natss_options[i].key, key) == 0)
			return &weir_natss_options[i];
	return NULL;
}

/* The core has checked it; asking again costs nothing and keeps a careless caller from harm. */
static int number(struct reading *reading, const char *key)
{
	const char *value = weir_nats_setting(reading->given, reading->count, key);
	const struct weir_option *row = option(key);
	char *end;
	long result;

	if (!*value)
		value = row->fallback;
	errno = 0;
	result = strtol(value, &end, 10);
	if ((errno || *end || result < row->min || result > row->max) && !reading->code)
		reading->code = weir_fail(reading->err, WEIR_EINVAL, "natss.%s: not a number from %lld to %lld", key,
					  (long long)row->min, (long long)row->max);
	return (int)result;
}

static bool is(struct reading *reading, const char *key, const char *value)
{
	return strcmp(weir_nats_setting(reading->given, reading->count, key), value) == 0;
}

static int check(const struct settings *settings, struct weir_error *err)
{
	if (!settings->cluster || strlen(settings->cluster) > 128 ||
	    settings->cluster[strspn(settings->cluster,
				     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")])
		return weir_fail(
		    err, WEIR_EINVAL,
		    "natss.clusterId: 1 to 128 letters, digits, '-', '_' and '.', as the server was given");
	if (!settings->pattern || !strstr(settings->pattern, "{namespace}") || !strstr(settings->pattern, "{name}"))
		return weir_fail(err, WEIR_EINVAL, "natss.channelPattern: needs {namespace} and {name}");
	if (weir_natss_pattern_literals(settings->pattern) > WEIR_NATSS_MAX_CHANNEL - 64)
		return weir_fail(err, WEIR_EINVAL, "natss.channelPattern: leaves no room for the names");
	return WEIR_OK;
}

int weir_natss_settings_init(struct settings *settings, const struct weir_setting *given, size_t count,
			     struct weir_error *err)
{
	struct reading reading = { given, count, err, WEIR_OK };

	memset(settings, 0, sizeof *settings);
	reading.code = known_check(given, count, err);
	if (!reading.code)
		reading.code = weir_nats_login_init(&settings->login, "natss", given, count, err);
	if (reading.code)
		return reading.code;
	settings->cluster = text(&reading, "clusterId");
	settings->pattern = text(&reading, "channelPattern");
	settings->client = text(&reading, "clientId");
	settings->monitor = text(&reading, "monitorUrl");
	settings->ack_wait_ms = (uint32_t)number(&reading, "ackWait");
	settings->max_inflight = (uint32_t)number(&reading, "maxInflight");
	settings->ping_s = number(&reading, "pingInterval") / 1000;
	settings->ping_max = number(&reading, "pingMaxOut");
	settings->queue = is(&reading, "members", "queue");
	settings->allow_loss = is(&reading, "allowLoss", "true");
	return reading.code ? reading.code : check(settings, err);
}

void weir_natss_settings_fini(struct settings *settings)
{
	weir_nats_login_fini(&settings->login);
	free(settings->cluster);
	free(settings->pattern);
	free(settings->client);
	free(settings->monitor);
	memset(settings, 0, sizeof *settings);
}
