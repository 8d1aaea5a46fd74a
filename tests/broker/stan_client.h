/* SPDX-License-Identifier: Apache-2.0 */
/* A plain client of NATS Streaming, as anybody would write one: nothing of the driver in it. */
#ifndef WEIR_TESTS_STAN_CLIENT_H
#define WEIR_TESTS_STAN_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include <nats/nats.h>

/* Aborts with what the library says. */
stanConnection *stan_client_open(const char *url, const char *client);
void stan_client_close(stanConnection *sc);
void stan_client_publish(stanConnection *sc, const char *channel, const void *data, size_t len);
/* The first message of the channel, whole; the caller destroys it. Waits 20 s. */
stanMsg *stan_client_first(stanConnection *sc, const char *channel);

#endif
