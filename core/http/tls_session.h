/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/tls_session: one connection's TLS, in the place of recv() and sendmsg().
 * For the thread of the connection.
 */
#ifndef WEIR_HTTP_TLS_SESSION_H
#define WEIR_HTTP_TLS_SESSION_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "http/tls.h"

struct weir_tls_session;

/* For a socket that stays the caller's. Takes the reference to `tls` over. NULL: no memory. */
struct weir_tls_session *weir_tls_session_new(struct weir_tls *tls, int fd);
/* Says goodbye if that is still possible, without waiting. NULL is allowed. */
void weir_tls_session_free(struct weir_tls_session *session);

enum weir_tls_step {
	WEIR_TLS_DONE,
	WEIR_TLS_WANTS_READ,
	WEIR_TLS_WANTS_WRITE,
	WEIR_TLS_FAILED,
};

/* Goes on with the handshake as far as the socket lets it. */
enum weir_tls_step weir_tls_session_shake(struct weir_tls_session *session);
/* The handshake is done. */
bool weir_tls_session_is_open(const struct weir_tls_session *session);

/* As recv() on a socket that does not block: -1 and errno EAGAIN or EIO; 0: the other side has ended. */
ssize_t weir_tls_session_read(struct weir_tls_session *session, void *bytes, size_t room);
/*
 * As sendmsg(), but goes on until all is sent or the socket is full. What was not
 * taken must come first in the next call, unchanged, though it may lie elsewhere.
 */
ssize_t weir_tls_session_send(struct weir_tls_session *session, const struct iovec *parts, int count);
/* Nothing more will be sent. */
void weir_tls_session_end(struct weir_tls_session *session);

#endif
