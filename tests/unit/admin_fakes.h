/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_fakes: a dispatcher, a runtime, a configuration and a channel that do
 * what a test tells them, in the place of the real ones; and an HTTP client
 * that blocks. The test's thread plays the pump.
 */
#ifndef ADMIN_FAKES_H
#define ADMIN_FAKES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/channel.h>

#include "dispatch/dispatcher.h"

enum { FAKE_CHANNELS = 8, FAKE_BATCH = 64 };

struct fake_world {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	const char *addresses; /* of dispatcher.admin */

	/* what weir_dispatcher_visit() shows */
	struct weir_channel_view channels[FAKE_CHANNELS];
	size_t channel_count;
	struct weir_ingress_server_figures server;
	struct weir_driver_info drivers[2];
	size_t driver_count;
	struct weir_backend_info backend; /* there is none if its kind is NULL */

	const char *quarantine; /* folder */
	int publish_code;
	char published[1024]; /* the last event, as JSON */

	/* the one channel that can be subscribed to is "ns/open" */
	bool subscription_ready;
	unsigned subscribed, closed, kept;
	enum weir_start start;
	char uid[64];
	struct weir_subscription_spec spec; /* of the last subscription */
	unsigned acked, freed;              /* deliveries */
};
extern struct fake_world world;

void fake_world_reset(void);
/* Waits until *what is at least `wanted`; fails the test after 10 s. */
void fake_wait(const unsigned *what, unsigned wanted);
/* Waits no longer than `ms`; false: it is still less. */
bool fake_wait_ms(const unsigned *what, unsigned wanted, unsigned ms);
unsigned fake_read(const unsigned *what);
void fake_set_ready(bool ready);
/*
 * Hands `count` deliveries of an event to the last subscription, as the pump
 * would; none if it is closed. `json`: borrowed until it is settled or freed.
 */
void fake_deliver(const char *json, size_t count);

/* ---- HTTP ----------------------------------------------------------------------- */

struct fake_http {
	int fd;
	char *bytes; /* all that came so far, NUL-terminated */
	size_t len, capacity;
};

/* Sends "METHOD PATH HTTP/1.1" with Connection: close and `more` header lines ("A: b\r\n"). */
void fake_http_open(struct fake_http *http, uint16_t port, const char *method, const char *path, const char *more);
/* Reads until `text` came; false: the connection ended before. */
bool fake_http_until(struct fake_http *http, const char *text);
/* Reads to the end. */
void fake_http_rest(struct fake_http *http);
void fake_http_close(struct fake_http *http);
/* A whole exchange; returns the status. http->bytes is the answer: fake_http_close(). */
int fake_http_get(struct fake_http *http, uint16_t port, const char *method, const char *path, const char *more);
int fake_http_status(const struct fake_http *http);
const char *fake_http_body(const struct fake_http *http);

#endif
