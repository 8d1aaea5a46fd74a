/* SPDX-License-Identifier: Apache-2.0 */
/* http/client_connection: a socket and what is under way on it. Internal to the client. */
#ifndef WEIR_HTTP_CLIENT_WIRE_H
#define WEIR_HTTP_CLIENT_WIRE_H

#include "http/chunked.h"
#include "http/client_internal.h"

enum {
	WEIR_HTTP_REQUEST_MAX = 256 * 1024, /* bytes of a request's head, with a body that goes with it */
	WEIR_HTTP_JOINED_BODY = 16 * 1024,  /* a body up to this is copied behind the head: one buffer, one send */
};

enum weir_http_reading {
	WEIR_HTTP_READ_HEAD,
	WEIR_HTTP_READ_LENGTH, /* `left` bytes more */
	WEIR_HTTP_READ_CHUNKED,
	WEIR_HTTP_READ_CLOSE, /* until the connection ends */
};

struct weir_http_wire {
	struct weir_watch watch; /* fd -1: not connected yet */
	uint32_t watched;
	struct weir_http_easy easy; /* handle: while libcurl connects */
	struct weir_http_target *target;
	struct weir_http_wire *next, *prev;  /* among the target's idle ones */
	struct weir_http_exchange *exchange; /* NULL: idle */
	int64_t idle_ns;                     /* since when */
	bool idle;
	bool kept; /* carried one before */

	struct weir_dynbuf out; /* the request's head, and its body if that is small */
	bool joined;
	size_t sent; /* of head and body */
	bool broken; /* sending failed: an answer may still be there to be read */

	enum weir_http_reading reading;
	bool ending;   /* the server has closed its side */
	bool gathered; /* the head that is being read is in the exchange's `head` */
	bool heard;    /* at least a byte of an answer came */
	unsigned interim;
	struct weir_http_head head;
	struct weir_http_chunked chunked;
	uint64_t left;
};

/* ---- client_wire.c ---------------------------------------------------- */

/* The exchange is over. `keep`: the wire can carry another. Both may be gone afterwards. */
void weir_http_wire_finish(struct weir_http_wire *wire, bool keep, int code, const char *text);
/* The wire is. Both may be gone afterwards. */
void weir_http_wire_broke(struct weir_http_wire *wire, const char *text);

/* ---- client_request.c --------------------------------------------------------- */

/* Gives it an exchange and writes down the request. WEIR_ENOMEM, WEIR_ETOOBIG; nothing is changed then. */
int weir_http_wire_begin(struct weir_http_wire *wire, struct weir_http_exchange *exchange);
/* Watches for input, and for `more` (0, EPOLLOUT). */
int weir_http_wire_watch(struct weir_http_wire *wire, uint32_t more);
/* Sends what can be sent now. Reports nothing: a failure is found by the next event. */
void weir_http_wire_send(struct weir_http_wire *wire);

/* ---- client_answer.c ------------------------------------------------------------- */

/* Something can be done: `events` as of epoll. The wire may be gone afterwards. */
void weir_http_wire_work(struct weir_http_wire *wire, uint32_t events);

#endif
