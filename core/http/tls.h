/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/tls: who a server says it is, and whom it believes.
 *
 * An identity is made of files once and never changed, so that connections on
 * any thread may use it. A slot holds the identity that new connections get; when
 * the files have changed a new one is put there, and connections that are open
 * keep theirs.
 *
 * TLS 1.2 and 1.3 with ECDHE and AEAD only; no compression, no renegotiation,
 * no early data; ALPN is http/1.1. Session tickets are made with keys of the
 * identity, so they end with it.
 */
#ifndef WEIR_HTTP_TLS_H
#define WEIR_HTTP_TLS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/error.h>

struct weir_tls;

struct weir_tls_files {
	const char *certificate; /* PEM: the server's, then those between it and the root */
	const char *key;         /* PEM, without a password */
	const char *client_ca;   /* PEM: clients must have a certificate of one of these; NULL: they need none */
};

/* WEIR_EINVAL: the text says which file is wrong, and how; WEIR_ENOMEM. */
int weir_tls_new(const struct weir_tls_files *files, struct weir_tls **ret, struct weir_error *err);
/* Any thread. NULL is allowed. */
struct weir_tls *weir_tls_ref(struct weir_tls *tls);
void weir_tls_unref(struct weir_tls *tls);

/* When the server's certificate ends, in seconds since 1970. */
int64_t weir_tls_expiry(const struct weir_tls *tls);

/* Any thread, but for init and fini. */
struct weir_tls_slot {
	pthread_mutex_t lock;
	struct weir_tls *current;
};

void weir_tls_slot_init(struct weir_tls_slot *slot);
void weir_tls_slot_fini(struct weir_tls_slot *slot);
/* Takes the identity over. */
void weir_tls_slot_put(struct weir_tls_slot *slot, struct weir_tls *tls);
/* The caller's own reference; NULL: nothing was put there. */
struct weir_tls *weir_tls_slot_get(struct weir_tls_slot *slot);
/* weir_tls_expiry() of what is there; 0: nothing. */
uint64_t weir_tls_slot_expiry(struct weir_tls_slot *slot);

#endif
