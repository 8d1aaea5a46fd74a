/* SPDX-License-Identifier: Apache-2.0 */
/* http/listen_socket: from "HOST:PORT" to a socket that listens. */
#ifndef WEIR_HTTP_LISTEN_SOCKET_H
#define WEIR_HTTP_LISTEN_SOCKET_H

#include <stdint.h>

#include <weir/error.h>

/*
 * Address as weir_http_server_listen() takes it. Gives a non-blocking socket
 * that shares its address with others of this process (SO_REUSEPORT), and the
 * port it got; port may be NULL. A host name is resolved, which may block.
 */
int weir_http_listen_socket(const char *address, int *ret, uint16_t *port, struct weir_error *err);

#endif
