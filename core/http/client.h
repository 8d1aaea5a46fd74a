/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/client: POST to subscribers, with libcurl's multi interface on a loop.
 *
 * A client belongs to one loop and its thread. A target is an address that is
 * posted to again and again: its URL is checked once, its connections are kept
 * open, its handles reused. Redirects are never followed. Each address that a
 * name resolves to is checked when the connection is made.
 */
#ifndef WEIR_HTTP_CLIENT_H
#define WEIR_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/driver.h>
#include <weir/error.h>

#include "base/loop.h"

/* ---- which addresses may be posted to (bad-input rows 101, 102) --------- */

/*
 * Link-local (with the cloud metadata addresses), unspecified and multicast
 * addresses are always refused. Loopback and private ranges are allowed or not.
 */
struct weir_http_address_rules {
	bool allow_loopback; /* 127/8, ::1; a sidecar's subscribers usually live there */
	bool allow_private;  /* 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7 */
};

struct sockaddr;
/* True if the address may be connected to; IPv4-mapped IPv6 is judged as IPv4. */
bool weir_http_address_allowed(const struct weir_http_address_rules *rules, const struct sockaddr *address);

/*
 * Checks a URL without resolving it: http or https, a host, a port in 1..65535,
 * no user info, no fragment, no control characters; a numeric host in whatever
 * notation is judged by the rules. Used by `weir config check` too. Any thread.
 */
int weir_http_url_check(const char *url, const struct weir_http_address_rules *rules, struct weir_error *err);

/* ---- client -------------------------------------------------------------- */

struct weir_http_client;
struct weir_http_target;

struct weir_http_client_options {
	struct weir_http_address_rules rules;
	uint32_t connect_timeout_ms; /* 5000 */
	uint32_t max_connections;    /* 1024 over all targets */
	uint32_t max_idle_ms;        /* 60000 a connection may idle */
	const char *ca_file;          /* NULL: the system's */
	const char *certificate_file; /* PEM: shown to servers that ask for one; NULL: none */
	const char *key_file;         /* PEM, of the certificate */
	const char *user_agent;      /* NULL: "weir/VERSION" */
	bool through_libcurl; /* http:// URLs too go through libcurl as a whole, as https:// URLs do; for tests */
};

int weir_http_client_new(struct weir_loop *loop, const struct weir_http_client_options *options,
			 struct weir_http_client **ret, struct weir_error *err);
/* Posts under way are given up: their `done` is called with WEIR_ECANCELED first. */
void weir_http_client_free(struct weir_http_client *client);

/* `max_parallel`: connections to it at most; more posts wait in order. The URL is copied. */
int weir_http_target_new(struct weir_http_client *client, const char *url, uint32_t max_parallel,
			 struct weir_http_target **ret, struct weir_error *err);
/* Posts under way to it are given up like in weir_http_client_free(). */
void weir_http_target_free(struct weir_http_target *target);

struct weir_http_result {
	int code;   /* WEIR_OK: an answer came, whole; else WEIR_ETIMEDOUT, WEIR_EUNAVAIL, WEIR_ETLS, WEIR_ETOOBIG,
		       WEIR_ENOPERM (address rules), WEIR_ECANCELED, WEIR_EIO */
	int status; /* 100..599; 0: none came */
	const char *text;                  /* for people, when code is not WEIR_OK; borrowed */
	const struct weir_header *headers; /* of the final answer; borrowed */
	size_t header_count;
	struct weir_buf body; /* at most max_response bytes; borrowed */
	bool body_cut;        /* there was more */
	uint32_t
	    sends; /* connections it was written to: 0 says that it was surely not sent, 2 that a kept one was dead */
	int64_t took_ns;
};

/*
 * Called once for each post, on the loop's thread; everything in `result` is
 * borrowed until it returns. May post and may free targets; must not free the
 * client.
 */
typedef void weir_http_done(void *ctx, const struct weir_http_result *result);

struct weir_http_post {
	const struct weir_header *headers; /* names lower case; borrowed until done */
	size_t header_count;
	struct weir_buf body;      /* borrowed until done */
	int64_t timeout_ms;        /* whole time of the attempt, from now; 0: 30000 */
	size_t max_response_bytes; /* body beyond it is cut: the post still succeeds unless `whole` */
	bool whole;                /* a longer body is WEIR_ETOOBIG */
	weir_http_done *done;
	void *ctx;
};

/*
 * Starts a POST. `post` is copied. Returns WEIR_OK and calls done later (never
 * from inside this call), or WEIR_ENOMEM. After 1xx answers the final one counts;
 * 101 counts as final. An answer has at most 128 header lines and 64 KiB of them.
 */
int weir_http_target_post(struct weir_http_target *target, const struct weir_http_post *post);

#endif
