/* SPDX-License-Identifier: Apache-2.0 */
#include "http/tls_session.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#include "base/mem.h"
#include "http/tls_int.h"

enum { RECORD_BYTES = 16384 };

struct weir_tls_session {
	struct weir_tls *tls;
	SSL *ssl;
	bool failed; /* OpenSSL asks not to be called again */
	bool ended;
};

struct weir_tls_session *weir_tls_session_new(struct weir_tls *tls, int fd)
{
	struct weir_tls_session *session = weir_mem_zalloc(1, sizeof *session);
	SSL *ssl = session ? SSL_new(tls->context) : NULL;
	BIO *bio = ssl ? BIO_new(tls->socket) : NULL;

	if (!bio) {
		SSL_free(ssl);
		weir_mem_free(session);
		weir_tls_unref(tls);
		return NULL;
	}
	BIO_set_data(bio, (void *)(intptr_t)fd);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_accept_state(ssl);
	session->tls = tls;
	session->ssl = ssl;
	return session;
}

void weir_tls_session_free(struct weir_tls_session *session)
{
	if (!session)
		return;
	weir_tls_session_end(session);
	SSL_free(session->ssl);
	weir_tls_unref(session->tls);
	weir_mem_free(session);
}

static enum weir_tls_step judge(struct weir_tls_session *session, int result)
{
	switch (SSL_get_error(session->ssl, result)) {
	case SSL_ERROR_NONE:
		return WEIR_TLS_DONE;
	case SSL_ERROR_WANT_READ:
		return WEIR_TLS_WANTS_READ;
	case SSL_ERROR_WANT_WRITE:
		return WEIR_TLS_WANTS_WRITE;
	default:
		session->failed = true;
		return WEIR_TLS_FAILED;
	}
}

enum weir_tls_step weir_tls_session_shake(struct weir_tls_session *session)
{
	enum weir_tls_step step;

	/* Errors are the thread's: what another connection left there is not this one's. */
	ERR_clear_error();
	step = session->failed ? WEIR_TLS_FAILED : judge(session, SSL_do_handshake(session->ssl));
	ERR_clear_error();
	return step;
}

bool weir_tls_session_is_open(const struct weir_tls_session *session)
{
	return SSL_is_init_finished(session->ssl);
}

ssize_t weir_tls_session_read(struct weir_tls_session *session, void *bytes, size_t room)
{
	size_t got = 0;
	int result;

	errno = EIO;
	if (session->failed)
		return -1;
	ERR_clear_error();
	result = SSL_read_ex(session->ssl, bytes, room, &got);
	if (result)
		return (ssize_t)got;
	if (SSL_get_error(session->ssl, result) == SSL_ERROR_ZERO_RETURN)
		return 0;
	errno = judge(session, result) == WEIR_TLS_FAILED ? EIO : EAGAIN;
	return -1;
}

/* All of one buffer, or as much as goes. False: no more now. */
static bool send_all(struct weir_tls_session *session, const char *bytes, size_t len, size_t *sent)
{
	size_t done = 0, now;

	while (done < len) {
		int result = SSL_write_ex(session->ssl, bytes + done, len - done, &now);

		if (!result) {
			judge(session, result);
			break;
		}
		done += now;
	}
	*sent += done;
	return done == len;
}

/* A head and a short body go in one record. */
static size_t join(const struct iovec *parts, int count, char buffer[RECORD_BYTES], int *joined)
{
	size_t len = 0;
	int used = 0;

	while (used < count && parts[used].iov_len <= RECORD_BYTES - len) {
		memcpy(buffer + len, parts[used].iov_base, parts[used].iov_len);
		len += parts[used++].iov_len;
	}
	*joined = used;
	return len;
}

ssize_t weir_tls_session_send(struct weir_tls_session *session, const struct iovec *parts, int count)
{
	char buffer[RECORD_BYTES];
	size_t sent = 0, len;
	bool more = true;
	int joined;

	errno = EIO;
	if (session->failed || session->ended)
		return -1;
	ERR_clear_error();
	for (int at = 0; at < count && more; at += joined) {
		len = join(parts + at, count - at, buffer, &joined);
		if (joined > 1) {
			more = send_all(session, buffer, len, &sent);
		} else {
			more = send_all(session, parts[at].iov_base, parts[at].iov_len, &sent);
			joined = 1;
		}
	}
	if (session->failed)
		return -1;
	errno = EAGAIN;
	return sent || more ? (ssize_t)sent : -1;
}

void weir_tls_session_end(struct weir_tls_session *session)
{
	if (session->failed || session->ended || !SSL_is_init_finished(session->ssl))
		return;
	session->ended = true;
	ERR_clear_error();
	SSL_shutdown(session->ssl);
	ERR_clear_error();
}
