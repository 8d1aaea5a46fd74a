/* SPDX-License-Identifier: Apache-2.0 */
/* http/client_request: the way out of a wire. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/str.h"
#include "http/client_wire.h"

static bool write_head(struct weir_dynbuf *out, const struct weir_http_post *post)
{
	for (size_t i = 0; i < post->header_count; i++) {
		weir_dynbuf_add_buf(out, post->headers[i].name);
		weir_dynbuf_add(out, ": ", 2);
		weir_dynbuf_add_buf(out, post->headers[i].value);
		weir_dynbuf_add(out, "\r\n", 2);
	}
	weir_dynbuf_add_buf(out, WEIR_STR("Content-Length: "));
	weir_dynbuf_add_uint(out, post->body.len);
	return weir_dynbuf_add(out, "\r\n\r\n", 4);
}

int weir_http_wire_begin(struct weir_http_wire *wire, struct weir_http_exchange *exchange)
{
	const struct weir_http_post *post = &exchange->post;
	struct weir_dynbuf *out = &wire->out;

	weir_dynbuf_reset(out);
	weir_dynbuf_add_buf(out, weir_dynbuf_view(&exchange->target->preamble));
	if (!write_head(out, post))
		return WEIR_ENOMEM;
	wire->joined = post->body.len <= WEIR_HTTP_JOINED_BODY;
	if (wire->joined && post->body.len > 0 && !weir_dynbuf_add_buf(out, post->body))
		return WEIR_ENOMEM;
	wire->exchange = exchange;
	wire->sent = 0;
	wire->broken = false;
	wire->reading = WEIR_HTTP_READ_HEAD;
	wire->heard = false;
	wire->interim = 0;
	exchange->wire = wire;
	return WEIR_OK;
}

int weir_http_wire_watch(struct weir_http_wire *wire, uint32_t more)
{
	struct weir_loop *loop = wire->easy.client->loop;
	uint32_t wanted = EPOLLIN | EPOLLRDHUP | more;
	int code;

	if (wire->watched == wanted)
		return WEIR_OK;
	code = wire->watched ? weir_loop_rewatch(loop, &wire->watch, wanted)
			     : weir_loop_watch(loop, &wire->watch, wanted, NULL);
	if (code == WEIR_OK)
		wire->watched = wanted;
	return code;
}

/* What is still to be sent, in up to two parts; returns how many. */
static int parts_left(const struct weir_http_wire *wire, struct iovec parts[2])
{
	struct weir_buf body = wire->exchange->post.body;
	size_t head = wire->out.len, past = 0;
	int count = 0;

	if (wire->sent < head)
		parts[count++] = (struct iovec){ wire->out.ptr + wire->sent, head - wire->sent };
	else
		past = wire->sent - head;
	if (!wire->joined && past < body.len)
		parts[count++] = (struct iovec){ (char *)(uintptr_t)body.ptr + past, body.len - past };
	return count;
}

void weir_http_wire_send(struct weir_http_wire *wire)
{
	bool first = wire->sent == 0;
	struct iovec parts[2];
	int count;

	while (!wire->broken && (count = parts_left(wire, parts)) > 0) {
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = (size_t)count };
		ssize_t sent = count == 1 ? send(wire->watch.fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL)
					  : sendmsg(wire->watch.fd, &message, MSG_NOSIGNAL);

		if (sent >= 0)
			wire->sent += (size_t)sent;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			wire->broken = true;
	}
	if (first && wire->sent > 0)
		wire->exchange->sends++;
	count = wire->broken ? 0 : parts_left(wire, parts);
	/* Failing to watch for room would let it hang until its time is over: rather find it broken at once. */
	if (weir_http_wire_watch(wire, count > 0 ? EPOLLOUT : 0) != WEIR_OK)
		shutdown(wire->watch.fd, SHUT_RDWR);
}
