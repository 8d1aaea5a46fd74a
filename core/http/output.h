/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/output: writes to a socket, or to TLS on it, what it takes now, and keeps a
 * copy of the rest for later. Holds no memory while nothing waits.
 */
#ifndef WEIR_HTTP_OUTPUT_H
#define WEIR_HTTP_OUTPUT_H

#include <stddef.h>
#include <sys/uio.h>

#include "base/dynbuf.h"
#include "http/tls_session.h"

struct weir_http_output {
	struct weir_dynbuf kept;
	size_t sent; /* of what is kept */
};

/* Where to. */
struct weir_http_wire {
	int fd;
	struct weir_tls_session *tls; /* NULL: plain */
};

void weir_http_output_init(struct weir_http_output *output);
void weir_http_output_fini(struct weir_http_output *output);
/* Bytes that wait. */
size_t weir_http_output_pending(const struct weir_http_output *output);
/*
 * Behind what waits already. WEIR_OK: all is sent; WEIR_EAGAIN: bytes wait until
 * the socket is writable; WEIR_EIO: nobody is there; WEIR_ENOMEM.
 */
int weir_http_output_send(struct weir_http_output *output, struct weir_http_wire wire, struct iovec *parts, int count);
/* When the socket is writable; like send(). *progress: how many bytes it took. */
int weir_http_output_flush(struct weir_http_output *output, struct weir_http_wire wire, size_t *progress);

#endif
