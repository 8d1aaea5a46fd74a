/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/settings.h"

#include "dispatch/quarantine_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define LIMITS "dispatcher.limits."

/* Ingress and delivery share the machine; more threads than processors only cost wake-ups. */
static size_t loops(const weir_config *config, const char *key)
{
	int64_t wanted = weir_config_get_int(config, key);
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (wanted > 0)
		return (size_t)wanted;
	return processors > 3 ? (size_t)processors / 2 : 1;
}

static uint32_t number(const weir_config *config, const char *key)
{
	return (uint32_t)weir_config_get_int(config, key);
}

static uint32_t duration(const weir_config *config, const char *key)
{
	return (uint32_t)weir_config_get_duration(config, key);
}

/*
 * Senders may have three quarters of the descriptors. Without the rest, idle
 * connections could keep deliveries from being made and the store from its files.
 */
static uint32_t max_fd(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur == RLIM_INFINITY)
		return 0;
	files.rlim_cur -= files.rlim_cur / 4;
	return files.rlim_cur < UINT32_MAX ? (uint32_t)files.rlim_cur : UINT32_MAX;
}

static void read_limits(const weir_config *config, struct weir_http_limits *limits)
{
	limits->max_target_bytes = number(config, LIMITS "maxTargetBytes");
	limits->max_header_bytes = number(config, LIMITS "maxHeaderBytes");
	limits->max_head_bytes = number(config, LIMITS "maxHeadBytes");
	limits->max_headers = number(config, LIMITS "maxHeaders");
	limits->max_body_bytes = (uint64_t)weir_config_get_int(config, LIMITS "maxBodyBytes");
	limits->max_connections = number(config, LIMITS "maxConnections");
	limits->max_connections_per_peer = number(config, LIMITS "maxConnectionsPerPeer");
	limits->max_fd = max_fd();
	limits->max_buffered_bytes = (uint64_t)weir_config_get_int(config, LIMITS "maxBufferedBytes");
	limits->max_keepalive_requests = number(config, LIMITS "maxKeepaliveRequests");
	limits->header_timeout_ms = duration(config, LIMITS "headerTimeout");
	limits->body_idle_timeout_ms = duration(config, LIMITS "bodyIdleTimeout");
	limits->request_timeout_ms = duration(config, LIMITS "requestTimeout");
	limits->idle_timeout_ms = duration(config, LIMITS "idleTimeout");
	limits->write_timeout_ms = duration(config, LIMITS "writeTimeout");
}

static void read_event_limits(const weir_config *config, struct weir_event_limits *limits)
{
	limits->max_extensions = number(config, LIMITS "maxExtensions");
	limits->max_name_bytes = number(config, LIMITS "maxAttributeNameBytes");
	limits->max_value_bytes = number(config, LIMITS "maxAttributeValueBytes");
	limits->max_depth = number(config, LIMITS "maxJsonDepth");
	limits->max_envelope_keys = number(config, LIMITS "maxJsonKeys");
	limits->max_batch_events = number(config, LIMITS "maxBatchEvents");
}

static int read_quarantine(const weir_config *config, struct weir_dispatch_settings *ret, struct weir_error *err)
{
	ret->quarantine_max = (uint64_t)weir_config_get_int(config, "dispatcher.quarantine.maxEvents");
	return weir_quarantine_path(config, ret->quarantine_path, err);
}

/* Of a configuration that may go before the dispatcher does. */
static int copy(const weir_config *config, const char *key, char *ret, size_t size, struct weir_error *err)
{
	const char *value = weir_config_get(config, key);
	size_t len = value ? strlen(value) : 0;

	if (len >= size)
		return weir_fail(err, WEIR_EINVAL, "%s: longer than %zu characters", key, size - 1);
	memcpy(ret, value ? value : "", len + 1);
	return WEIR_OK;
}

static int read_client(const weir_config *config, struct weir_dispatch_settings *ret, struct weir_error *err)
{
	int code = copy(config, "dispatcher.client.caFile", ret->client_ca, sizeof ret->client_ca, err);

	if (!code)
		code = copy(config, "dispatcher.client.certificateFile", ret->client_certificate,
			    sizeof ret->client_certificate, err);
	if (!code)
		code = copy(config, "dispatcher.client.keyFile", ret->client_key, sizeof ret->client_key, err);
	if (!code && !ret->client_certificate[0] != !ret->client_key[0])
		code = weir_fail(err, WEIR_EINVAL, "dispatcher.client: certificateFile and keyFile need each other");
	return code;
}

int weir_dispatch_settings_read(const weir_config *config, struct weir_dispatch_settings *ret, struct weir_error *err)
{
	int code;

	memset(ret, 0, sizeof *ret);
	ret->listen = weir_config_get(config, "dispatcher.listen");
	ret->listen_tls = weir_config_get(config, "dispatcher.tls.listen");
	ret->ingress_loops = loops(config, "dispatcher.ingressLoops");
	ret->delivery_loops = loops(config, "dispatcher.deliveryLoops");
	ret->batch = weir_config_get_bool(config, "dispatcher.batch");
	ret->rules.allow_loopback = weir_config_get_bool(config, "dispatcher.addresses.allowLoopback");
	ret->rules.allow_private = weir_config_get_bool(config, "dispatcher.addresses.allowPrivate");
	ret->max_hops = number(config, LIMITS "maxHops");
	ret->window_bytes = (uint64_t)weir_config_get_int(config, LIMITS "windowBytes");
	read_limits(config, &ret->limits);
	read_event_limits(config, &ret->event_limits);
	code = copy(config, "dispatcher.events.namespace", ret->events_namespace, sizeof ret->events_namespace, err);
	if (!code)
		code = copy(config, "dispatcher.events.source", ret->events_source, sizeof ret->events_source, err);
	if (!code)
		code = read_client(config, ret, err);
	return code ? code : read_quarantine(config, ret, err);
}
