/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/settings: the keys `dispatcher.*` of a configuration, as the dispatcher uses them. */
#ifndef WEIR_DISPATCH_SETTINGS_H
#define WEIR_DISPATCH_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/config.h>
#include <weir/event.h>

#include "http/client.h"
#include "http/server.h"

struct weir_dispatch_settings {
	const char *listen;     /* comma-separated addresses; borrowed from the configuration, for the start only */
	const char *listen_tls; /* the same; "" or NULL: none */
	size_t ingress_loops;
	size_t delivery_loops; /* at most; no more than there are subscriptions are started */
	bool batch;
	struct weir_http_limits limits;
	struct weir_event_limits event_limits;
	struct weir_http_address_rules rules;
	char client_ca[4096], client_certificate[4096], client_key[4096]; /* files for deliveries; empty: none */
	uint64_t window_bytes;
	uint32_t max_hops;
	char quarantine_path[4096];
	uint64_t quarantine_max;
	char events_namespace[64]; /* whose default is at /events */
	char events_source[8192];  /* empty: the namespace's name */
};

/* WEIR_EINVAL: the folder of quarantine has too long a name. */
int weir_dispatch_settings_read(const weir_config *config, struct weir_dispatch_settings *ret, struct weir_error *err);

#endif
