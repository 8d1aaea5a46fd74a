/* SPDX-License-Identifier: Apache-2.0 */
/* http/address_url: a subscriber's URL, checked and taken apart. Internal to core/http. */
#ifndef WEIR_HTTP_ADDRESS_URL_H
#define WEIR_HTTP_ADDRESS_URL_H

#include "http/client.h"

struct weir_http_url {
	bool tls;
	char *authority; /* for the Host header: "host" or "host:port", no default port */
	char *target;    /* path and query, as sent in the request line */
};

/* Checks as weir_http_url_check(), and fills *ret: weir_http_url_fini(). */
int weir_http_url_init(struct weir_http_url *ret, const char *url, const struct weir_http_address_rules *rules,
		       struct weir_error *err);
void weir_http_url_fini(struct weir_http_url *url);

#endif
