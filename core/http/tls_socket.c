/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's way to a socket: its own writes without MSG_NOSIGNAL, and a client that leaves would be a signal. */
#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

#include "http/tls_int.h"

static int socket_of(BIO *bio)
{
	return (int)(intptr_t)BIO_get_data(bio);
}

static int finish(BIO *bio, ssize_t done, int retry)
{
	BIO_clear_retry_flags(bio);
	if (done < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
	return (int)done;
}

static int write_socket(BIO *bio, const char *bytes, int len)
{
	return finish(bio, send(socket_of(bio), bytes, (size_t)len, MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}

static int read_socket(BIO *bio, char *bytes, int len)
{
	ssize_t got = recv(socket_of(bio), bytes, (size_t)len, 0);

	if (got == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	return finish(bio, got, BIO_FLAGS_READ);
}

static long control(BIO *bio, int command, long number, void *pointer)
{
	(void)number;
	(void)pointer;
	switch (command) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	default:
		return 0;
	}
}

BIO_METHOD *weir_tls_socket_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "socket");

	if (method && BIO_meth_set_write(method, write_socket) && BIO_meth_set_read(method, read_socket) &&
	    BIO_meth_set_ctrl(method, control))
		return method;
	BIO_meth_free(method);
	return NULL;
}
