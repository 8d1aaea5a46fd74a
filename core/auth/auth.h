/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth/auth: may this request publish? With a shared secret, or with a token of an
 * OpenID Connect issuer, as a bearer token (RFC 6750).
 *
 * A policy is never changed; a change of configuration makes another. What was
 * found out about tokens is kept in a cache for each thread, so that a signature
 * is checked once and not for each event.
 */
#ifndef WEIR_AUTH_AUTH_H
#define WEIR_AUTH_AUTH_H

#include <weir/driver.h>
#include <weir/error.h>

struct weir_auth;
struct weir_auth_cache;

struct weir_auth_options {
	const char *secrets;  /* shared ones, separated by blanks or line ends; NULL: none */
	const char *issuer;   /* of tokens; NULL: none are taken */
	const char *keys;     /* file or URL of the issuer's keys */
	const char *audience; /* that tokens must be for; may hold {resource}, {namespace} and {name} */
	const char *subjects; /* who may send, separated by commas; NULL or empty: whoever has a token */
	int64_t leeway_ms;    /* how far clocks may be apart */
};

/* *ret NULL: everybody may send. `before`: the policy that this one replaces, or NULL. WEIR_EINVAL, WEIR_ENOMEM. */
int weir_auth_new(const struct weir_auth_options *options, const struct weir_auth *before, struct weir_auth **ret,
		  struct weir_error *err);
/* As far as it can be said without reading keys: WEIR_OK or WEIR_EINVAL. */
int weir_auth_check_options(const struct weir_auth_options *options, struct weir_error *err);
/* When no thread uses it any more. NULL is allowed. */
void weir_auth_free(struct weir_auth *auth);

/* WEIR_ENOMEM. */
int weir_auth_cache_new(struct weir_auth_cache **ret);
void weir_auth_cache_free(struct weir_auth_cache *cache);

/* What somebody wants to send to. */
struct weir_auth_scope {
	const char *resource; /* "messaging.knative.dev/inmemorychannel", "eventing.knative.dev/broker" */
	const char *ns, *name;
};

enum weir_auth_verdict {
	WEIR_AUTH_GRANTED,
	WEIR_AUTH_MISSING,   /* 401 */
	WEIR_AUTH_MALFORMED, /* 400 */
	WEIR_AUTH_INVALID,   /* 401 */
	WEIR_AUTH_FORBIDDEN, /* 403 */
	WEIR_AUTH_LATER,     /* 503: it cannot be said now */
};

/* A cache belongs to one thread. `err` gets a reason for people, which repeats nothing of the request. */
enum weir_auth_verdict weir_auth_check(const struct weir_auth *auth, struct weir_auth_cache *cache,
				       const struct weir_header *headers, size_t count, struct weir_buf query,
				       const struct weir_auth_scope *scope, struct weir_error *err);

/* Everything about an answer but its reason. `challenge` NULL: no WWW-Authenticate. */
struct weir_auth_answer {
	int status;
	const char *code, *challenge;
};
const struct weir_auth_answer *weir_auth_answer_of(enum weir_auth_verdict verdict);

#endif
