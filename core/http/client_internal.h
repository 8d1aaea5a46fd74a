/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/client, inside.
 *
 *   client      one for each loop: libcurl's multi handle, limits, what is shared
 *   target      one subscriber: its URL taken apart, its queue, its carriers
 *   exchange    one post, from the call until `done` returned
 *   wire        carries exchanges to http:// one after the other, over a socket
 *               that libcurl resolved and connected
 *   transfer    carries one exchange to https:// through libcurl as a whole
 *
 * An exchange is queued, then carried, then finished. The carrier hands it back
 * with weir_http_exchange_finish() and does not touch it afterwards.
 */
#ifndef WEIR_HTTP_CLIENT_INTERNAL_H
#define WEIR_HTTP_CLIENT_INTERNAL_H

#include <curl/curl.h>

#include "base/dynbuf.h"
#include "base/loop.h"
#include "http/address_url.h"
#include "http/client.h"
#include "http/client_head.h"

enum {
	WEIR_HTTP_RECEIVE_BYTES = 64 * 1024,
	WEIR_HTTP_KEPT_BYTES = 16 * 1024, /* memory of an answer that an idle exchange may keep */
	WEIR_HTTP_DEFAULT_TIMEOUT_MS = 30000,
};

/* What libcurl's private pointer points to: whom to tell that it is done. */
struct weir_http_easy {
	CURL *handle;
	struct weir_http_client *client;
	bool opened, refused; /* sockets were opened; addresses were refused by the rules */
	void (*done)(struct weir_http_easy *easy, CURLcode result);
};

enum weir_http_stage {
	WEIR_HTTP_QUEUED, /* waits for a carrier */
	WEIR_HTTP_CARRIED,
	WEIR_HTTP_REFUSED, /* could not be carried; reported from the loop, not from inside of post() */
};

struct weir_http_exchange {
	struct weir_http_exchange *next, *prev; /* in one of the target's lists */
	struct weir_http_target *target;
	struct weir_http_post post;
	enum weir_http_stage stage;
	uint32_t sends; /* connections that it was written to */
	bool resent;    /* its kept connection was dead: not again */
	int status;     /* of the final answer; 0: not known yet */
	int64_t started_ns;
	struct weir_timer timer;             /* the whole time is over */
	struct weir_http_transfer *transfer; /* while it is carried: one of both */
	struct weir_http_wire *wire;
	struct weir_dynbuf head, body;        /* of the final answer, as far as they were gathered */
	struct weir_buf head_view, body_view; /* of the whole answer; views of the above or of what was received */
	bool body_cut;
};

struct weir_http_exchange_list {
	struct weir_http_exchange *first, *last;
};

struct weir_http_target {
	struct weir_http_target *next, *prev;
	struct weir_http_client *client;
	char *url;
	struct weir_http_url parts;
	uint32_t max_parallel;
	uint32_t carried;
	uint32_t spares;
	uint32_t calls; /* `done` functions under way: the memory must stay */
	bool closing;   /* nothing is started any more */
	struct weir_http_exchange_list queued, active, refused;
	struct weir_http_exchange *spare;
	struct weir_http_transfer *transfers; /* unused ones */
	struct weir_http_wire *idle;          /* kept ones; last used first */
	struct weir_dynbuf preamble;          /* how each request over a wire begins; empty: libcurl carries */
};

struct weir_http_client {
	struct weir_loop *loop;
	struct weir_http_client_options options; /* the strings are NULL: copies are below */
	char *ca_file, *certificate_file, *key_file;
	char *user_agent;
	struct weir_http_target *targets;
	CURLM *multi;
	struct weir_timer multi_timer;
	struct weir_http_socket **sockets; /* libcurl's, by file descriptor */
	size_t socket_slots;
	struct weir_timer soon_timer; /* refused exchanges are to be reported, or a wire has become free */
	struct weir_timer idle_timer; /* kept wires have grown old */
	uint32_t wires;
	bool starved;                                       /* somebody waits for a wire */
	struct weir_header headers[WEIR_HTTP_HEAD_HEADERS]; /* of the answer that is being read or reported */
	char received[WEIR_HTTP_RECEIVE_BYTES];             /* by the last recv() */
};

/* ---- client_exchange.c ---------------------------------------------------- */

/*
 * Ends a carried exchange: reports it, starts the next of its target. `text` is
 * static. Afterwards the target may be gone. Not from inside a callback of
 * libcurl.
 */
void weir_http_exchange_finish(struct weir_http_exchange *exchange, int code, const char *text);
/* Gives carriers to queued exchanges as far as the limits allow. */
void weir_http_target_start(struct weir_http_target *target);
/* Gives up everything of a target: WEIR_ECANCELED. */
void weir_http_target_cancel(struct weir_http_target *target);
/* Reports the refused ones. */
void weir_http_target_report(struct weir_http_target *target);
void weir_http_target_release(struct weir_http_target *target);

/* Reports and starts what waits, in the next turn of the loop. */
void weir_http_client_soon(struct weir_http_client *client);

/* ---- client_multi.c: libcurl's multi handle on the loop -------------------- */

/*
 * Makes it when it is first needed: libcurl and its TLS library take some 2 MiB,
 * which a process without traffic is spared. WEIR_ENOMEM.
 */
int weir_http_multi_ready(struct weir_http_client *client);
void weir_http_multi_fini(struct weir_http_client *client);
/* Makes easy->handle (set before, as is easy->client) open its sockets by the client's rules. WEIR_ENOMEM. */
int weir_http_easy_setup(struct weir_http_easy *easy);
int weir_http_easy_start(struct weir_http_easy *easy);
/* Takes it from libcurl, done or not. */
void weir_http_easy_stop(struct weir_http_easy *easy);
/* Takes over the socket of a handle that only connected: libcurl will not close it. -1: there is none. */
int weir_http_easy_take_socket(struct weir_http_easy *easy);

/* ---- client_transfer.c ------------------------------------------------------ */

/* Starts to carry it. WEIR_ENOMEM, WEIR_ETOOBIG. */
int weir_http_transfer_start(struct weir_http_exchange *exchange);
/* Gives it up, whatever state it is in. */
void weir_http_transfer_stop(struct weir_http_exchange *exchange);
void weir_http_transfer_free_all(struct weir_http_transfer *list);

/* ---- client_wire.c ---------------------------------------------------- */

/* Starts to carry it. WEIR_EAGAIN: all connections are in use; WEIR_ENOMEM, WEIR_ETOOBIG. */
int weir_http_wire_start(struct weir_http_exchange *exchange);
void weir_http_wire_stop(struct weir_http_exchange *exchange);
/* Closes the kept ones of a target. */
void weir_http_wire_close_idle(struct weir_http_target *target);
void weir_http_wire_close_old(struct weir_http_client *client);

/* ---- client_errors.c -------------------------------------------------------- */

struct weir_http_failure {
	int code;
	const char *text; /* static */
};
/* What a result of libcurl means to Weir; CURLE_OK: WEIR_OK. */
struct weir_http_failure weir_http_failure_of(const struct weir_http_easy *easy, CURLcode result);

#endif
