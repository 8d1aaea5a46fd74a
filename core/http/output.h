/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/output: writes to a socket what it takes now, without copying, and keeps
 * a copy of the rest for later. Holds no memory while nothing waits.
 */
#ifndef WEIR_HTTP_OUTPUT_H
#define WEIR_HTTP_OUTPUT_H

#include <stddef.h>
#include <sys/uio.h>

#include "base/dynbuf.h"

struct weir_http_output {
	struct weir_dynbuf kept;
	size_t sent; /* of what is kept */
};

void weir_http_output_init(struct weir_http_output *output);
void weir_http_output_fini(struct weir_http_output *output);
/* Bytes that wait. */
size_t weir_http_output_pending(const struct weir_http_output *output);
/*
 * Behind what waits already. WEIR_OK: all is sent; WEIR_EAGAIN: bytes wait until
 * the socket is writable; WEIR_EIO: nobody is there; WEIR_ENOMEM.
 */
int weir_http_output_send(struct weir_http_output *output, int fd, struct iovec *parts, int count);
/* When the socket is writable; like send(). *progress: how many bytes it took. */
int weir_http_output_flush(struct weir_http_output *output, int fd, size_t *progress);

#endif
