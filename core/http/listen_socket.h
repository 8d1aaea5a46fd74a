/* SPDX-License-Identifier: Apache-2.0 */
/* http/listen_socket: from "HOST:PORT" to a socket that listens. */
#ifndef WEIR_HTTP_LISTEN_SOCKET_H
#define WEIR_HTTP_LISTEN_SOCKET_H

#include <stdint.h>

#include <weir/error.h>

/*
 * Address and port as weir_http_server_listen() takes them. Gives a non-blocking
 * socket, and the port it got. A host name is resolved, which may block.
 */
int weir_http_listen_socket(const char *address, int *ret, uint16_t *port, struct weir_error *err);

#endif
