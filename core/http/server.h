/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/server: HTTP/1.1 as strict as it gets, on a loop.
 *
 * Requests are read whole (head and body within limits) before the handler sees
 * them. Whatever is malformed is answered and the connection closed; the server
 * never resynchronises. One request of a connection is handled at a time;
 * pipelined ones wait in the kernel's buffer.
 *
 * Several servers, each on its own loop and thread, may listen on one address
 * (SO_REUSEPORT). Everything here is for the loop's thread.
 */
#ifndef WEIR_HTTP_SERVER_H
#define WEIR_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/driver.h>
#include <weir/error.h>

#include "base/loop.h"
#include "http/tls.h"

/* 0 takes the default. */
struct weir_http_limits {
	uint32_t max_target_bytes;      /* 8192; more: 414 */
	uint32_t max_header_bytes;      /* 8192, one header line; more: 431 */
	uint32_t max_head_bytes;        /* 32768, request line to empty line; more: 431 */
	uint32_t max_headers;           /* 100; more: 431 */
	uint64_t max_body_bytes;        /* 1048576; more: 413 */
	uint32_t max_connections;       /* 4096 for each server; more: accepted and closed with 503 */
	uint32_t max_connections_per_peer; /* 1024 */
	uint32_t max_fd;                /* none; connections beyond this descriptor: closed with 503 */
	uint64_t max_buffered_bytes;    /* 67108864: request bytes held over all connections; more: 503 */
	uint32_t max_keepalive_requests;/* 1000, then Connection: close */
	uint32_t header_timeout_ms;     /* 10000 from the first byte; then 408. Of a TLS handshake; then closed */
	uint32_t body_idle_timeout_ms;  /* 10000 between bytes; then 408 */
	uint32_t request_timeout_ms;    /* 60000 for the whole request; then 408 */
	uint32_t idle_timeout_ms;       /* 60000 between requests; then closed */
	uint32_t write_timeout_ms;      /* 10000 without progress; then reset */
};

enum weir_http_method {
	WEIR_HTTP_GET,
	WEIR_HTTP_HEAD,
	WEIR_HTTP_POST,
	WEIR_HTTP_PUT,
	WEIR_HTTP_DELETE,
	WEIR_HTTP_PATCH,
	WEIR_HTTP_OPTIONS,
	WEIR_HTTP_OTHER, /* a token that is none of these, CONNECT and lower case among them */
};

struct weir_http_request; /* lives until it is answered */

/* All views are borrowed from the request until it is answered. */
enum weir_http_method weir_http_request_method(const struct weir_http_request *request);
/* The path as sent (no decoding, no normalising), and what follows '?' (ptr NULL: nothing). */
struct weir_buf weir_http_request_path(const struct weir_http_request *request);
struct weir_buf weir_http_request_query(const struct weir_http_request *request);
/* The authority: from an absolute-form target, else the Host header; lower-case as sent is kept. */
struct weir_buf weir_http_request_host(const struct weir_http_request *request);
size_t weir_http_request_headers(const struct weir_http_request *request, const struct weir_header **ret);
/* First header with this name, without case; ptr NULL: none. */
struct weir_buf weir_http_request_header(const struct weir_http_request *request, const char *name);
/* ptr not NULL; len 0: no body. */
struct weir_buf weir_http_request_body(const struct weir_http_request *request);

/*
 * Answers, now or later, exactly once; the request is gone then. `headers` and
 * `body` are copied. Content-Length, Date and Connection are added. If the
 * client is gone meanwhile this just frees the request.
 */
void weir_http_respond(struct weir_http_request *request, int status, const struct weir_header *headers,
                       size_t header_count, struct weir_buf body);
/* Answers with the error body {"code":"...","reason":"..."}; 429 and 503 get `Retry-After: 1`. */
void weir_http_respond_error(struct weir_http_request *request, int status, const char *code, const char *reason);
/* An answer that is prepared once and sent often, such as 202 without body: no formatting. */
struct weir_http_canned {
	int status;
	const char *headers; /* "Name: value\r\n" lines, or "" */
};
void weir_http_respond_canned(struct weir_http_request *request, const struct weir_http_canned *canned);

/*
 * A streamed answer (chunked): begin, write any number of times, end. `gone` is
 * called on the loop when the client went away, or closed its side of the
 * connection; after it, or after end, the stream is no longer valid. write returns
 * WEIR_EAGAIN and takes nothing while more than `max_body_bytes` wait to be sent,
 * WEIR_ECLOSED when the connection is lost: `gone` follows. begin answers the
 * request in every case, and returns NULL if the client is gone already or memory
 * is short.
 */
struct weir_http_stream;
struct weir_http_stream *weir_http_respond_stream(struct weir_http_request *request, int status,
                                                  const char *content_type, void (*gone)(void *ctx), void *ctx);
int weir_http_stream_write(struct weir_http_stream *stream, struct weir_buf bytes);
void weir_http_stream_end(struct weir_http_stream *stream);

/* Called for every well-formed request. */
typedef void weir_http_handler(void *ctx, struct weir_http_request *request);

/* Counters since start; read from the loop's thread or relaxed from any. */
struct weir_http_server_stats {
	_Atomic uint64_t connections;      /* open now */
	_Atomic uint64_t accepted;
	_Atomic uint64_t refused;          /* over a connection limit */
	_Atomic uint64_t requests;
	_Atomic uint64_t malformed;        /* answered by the server itself with 4xx or 5xx */
	_Atomic uint64_t timeouts;
	_Atomic uint64_t bytes_in;
	_Atomic uint64_t handshakes;        /* of TLS, that were done */
	_Atomic uint64_t handshakes_failed; /* or took too long */
};

struct weir_http_server;

struct weir_http_server_options {
	struct weir_http_limits limits;
	weir_http_handler *handler;
	void *ctx;
};

int weir_http_server_new(struct weir_loop *loop, const struct weir_http_server_options *options,
                         struct weir_http_server **ret, struct weir_error *err);
/*
 * Listens on "HOST:PORT" ("127.0.0.1:8080", "[::1]:0", ":8080" for all). Call it
 * for each address. *port gets the port (for ":0"). NULL: another server of this
 * process listens there already, and both share what comes; otherwise an address
 * that anybody has is WEIR_EBUSY. The error names the address.
 */
int weir_http_server_listen(struct weir_http_server *server, const char *address, uint16_t *port,
                            struct weir_error *err);
/*
 * The same with TLS. Each new connection gets the identity that `slot`, which is
 * borrowed, has then; while it has none, connections are closed.
 */
int weir_http_server_listen_tls(struct weir_http_server *server, struct weir_tls_slot *slot, const char *address,
                                uint16_t *port, struct weir_error *err);
const struct weir_http_server_stats *weir_http_server_stats(const struct weir_http_server *server);
/* From the next request on. */
void weir_http_server_limit_body(struct weir_http_server *server, uint64_t max_body_bytes);

/*
 * Stops accepting, closes idle connections, and lets the requests that are being
 * read or handled finish with Connection: close. `drained` is called when none
 * is left; at once if so.
 */
void weir_http_server_drain(struct weir_http_server *server, void (*drained)(void *ctx), void *ctx);
/*
 * Closes everything, streams are told. Requests that the handler still has stay
 * valid, with everything they hold; answering them later just frees them. Not from
 * inside the handler or `gone`; from `drained` it may be called.
 */
void weir_http_server_free(struct weir_http_server *server);

#endif
