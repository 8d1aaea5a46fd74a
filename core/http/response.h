/* SPDX-License-Identifier: Apache-2.0 */
/* http/response: writes answers. */
#ifndef WEIR_HTTP_RESPONSE_H
#define WEIR_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dynbuf.h"
#include "http/problem.h"

struct weir_http_connection;

/* What a server writes heads with. */
struct weir_http_writer {
	struct weir_dynbuf head;  /* the one being written */
	struct weir_dynbuf error; /* the body of an error */
	char date[sizeof "Date: Tue, 24 Nov 2026 11:32:59 GMT\r\n"];
	int64_t date_until_ns; /* on the loop's clock */
};

void weir_http_writer_init(struct weir_http_writer *writer);
void weir_http_writer_fini(struct weir_http_writer *writer);

/* "Accepted"; "Unknown" for a status without a phrase. */
const char *weir_http_phrase(int status);

/*
 * Writes status line, Date and Connection of an answer on this connection into
 * the server's writer, and decides whether the connection is closed after it.
 */
struct weir_dynbuf *weir_http_response_begin(struct weir_http_connection *connection, int status);
/* Sends the error body for a problem; the caller finishes the connection. */
void weir_http_response_problem(struct weir_http_connection *connection, const struct weir_http_problem *problem,
				bool without_body);
/* {"code":"...","reason":"..."} */
void weir_http_error_body(struct weir_dynbuf *body, const char *code, const char *reason);

#endif
