/* SPDX-License-Identifier: Apache-2.0 */
#include "http/output.h"

#include <errno.h>
#include <sys/socket.h>

#include <weir/error.h>

/* An answer that is larger than this and cannot be sent at once is given up. */
enum { MAX_KEPT_BYTES = 64 << 20 };

void weir_http_output_init(struct weir_http_output *output)
{
	weir_dynbuf_init(&output->kept, MAX_KEPT_BYTES);
	output->sent = 0;
}

void weir_http_output_fini(struct weir_http_output *output)
{
	weir_dynbuf_fini(&output->kept);
	output->sent = 0;
}

size_t weir_http_output_pending(const struct weir_http_output *output)
{
	return output->kept.len - output->sent;
}

/* -1: the connection is lost. */
static ssize_t send_now(struct weir_http_wire wire, struct iovec *parts, int count)
{
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = (size_t)count };
	ssize_t sent =
	    wire.tls ? weir_tls_session_send(wire.tls, parts, count) : sendmsg(wire.fd, &message, MSG_NOSIGNAL);

	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return sent;
}

/* Keeps what is behind the first `sent` bytes. */
static int keep(struct weir_http_output *output, const struct iovec *parts, int count, size_t sent)
{
	for (int i = 0; i < count; i++) {
		size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;

		sent -= skip;
		weir_dynbuf_add(&output->kept, (const char *)parts[i].iov_base + skip, parts[i].iov_len - skip);
	}
	return output->kept.failed ? WEIR_ENOMEM : WEIR_EAGAIN;
}

int weir_http_output_send(struct weir_http_output *output, struct weir_http_wire wire, struct iovec *parts, int count)
{
	size_t total = 0;
	ssize_t sent;

	if (weir_http_output_pending(output))
		return keep(output, parts, count, 0);
	sent = send_now(wire, parts, count);
	if (sent < 0)
		return WEIR_EIO;
	for (int i = 0; i < count; i++)
		total += parts[i].iov_len;
	return (size_t)sent == total ? WEIR_OK : keep(output, parts, count, (size_t)sent);
}

int weir_http_output_flush(struct weir_http_output *output, struct weir_http_wire wire, size_t *progress)
{
	struct iovec part = { output->kept.ptr + output->sent, weir_http_output_pending(output) };
	ssize_t sent = part.iov_len ? send_now(wire, &part, 1) : 0;

	*progress = sent > 0 ? (size_t)sent : 0;
	if (sent < 0)
		return WEIR_EIO;
	output->sent += (size_t)sent;
	if (weir_http_output_pending(output))
		return WEIR_EAGAIN;
	weir_dynbuf_fini(&output->kept);
	weir_http_output_init(output);
	return WEIR_OK;
}
