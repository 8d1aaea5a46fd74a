/* SPDX-License-Identifier: Apache-2.0 */
/* http/client_head: the head of an answer: status line, header lines, empty line. Internal to core/http. */
#ifndef WEIR_HTTP_CLIENT_HEAD_H
#define WEIR_HTTP_CLIENT_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/driver.h>
#include <weir/error.h>

enum {
	WEIR_HTTP_HEAD_HEADERS = 128,     /* header lines at most */
	WEIR_HTTP_HEAD_BYTES = 64 * 1024, /* in all, interim answers not counted */
	WEIR_HTTP_INTERIM_MAX = 8,        /* 1xx answers before the final one */
};

struct weir_http_head {
	int status;   /* 100..599 */
	int version;  /* 10, 11, 20 */
	size_t bytes; /* with the empty line */
	size_t header_count;
	bool keep_alive; /* the connection may be used again */
	bool chunked;
	uint64_t length; /* Content-Length; UINT64_MAX: none */
};

/*
 * Reads a head at the front of `in`. Headers are views of `in`. WEIR_EAGAIN: it
 * is not all there yet; WEIR_EIO: it is no valid head, or larger than allowed;
 * *why gets a static text.
 */
int weir_http_head_read(struct weir_buf in, struct weir_http_head *ret,
			struct weir_header headers[WEIR_HTTP_HEAD_HEADERS], const char **why);

#endif
