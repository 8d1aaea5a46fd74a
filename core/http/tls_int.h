/* SPDX-License-Identifier: Apache-2.0 */
/* http/tls_int: what an identity is made of, for sessions. */
#ifndef WEIR_HTTP_TLS_INT_H
#define WEIR_HTTP_TLS_INT_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "http/tls.h"

struct weir_tls {
	atomic_uint refs;
	SSL_CTX *context;
	BIO_METHOD *socket; /* reads and writes a socket without a signal when it is gone */
	int64_t expiry;
};

/* tls_socket.c: NULL: no memory. */
BIO_METHOD *weir_tls_socket_method(void);

#endif
