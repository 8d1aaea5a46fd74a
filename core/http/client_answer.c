/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/client_answer: the way in from a wire.
 *
 * An answer that comes in one piece, as nearly all do, is read where it was
 * received and copied nowhere; only what comes in several is gathered.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "http/client_wire.h"

enum { RECEIVES_PER_TURN = 8 };

/* Trailer lines are checked and dropped; bodies have the exchange's own limit. */
static const struct weir_http_limits chunk_limits = { .max_body_bytes = INT64_MAX, .max_header_bytes = 8192 };

enum progress {
	MORE, /* is wanted */
	OVER, /* the exchange is reported; the wire may be gone */
};

static enum progress fail(struct weir_http_wire *wire, int code, const char *text)
{
	weir_http_wire_finish(wire, false, code, text);
	return OVER;
}

static bool all_sent(const struct weir_http_wire *wire)
{
	size_t body = wire->joined ? 0 : wire->exchange->post.body.len;

	return wire->sent == wire->out.len + body;
}

/* The answer is whole. `rest`: bytes behind it, of which there should be none. */
static enum progress complete(struct weir_http_wire *wire, size_t rest)
{
	bool keep = wire->head.keep_alive && !wire->ending && wire->reading != WEIR_HTTP_READ_CLOSE && rest == 0 &&
		    all_sent(wire);

	weir_http_wire_finish(wire, keep, WEIR_OK, NULL);
	return OVER;
}

/* ---- body ----------------------------------------------------------------------- */

/* Takes data of the body; `last`: it is complete with it. False: the exchange is over. */
static bool take_body(struct weir_http_wire *wire, struct weir_buf data, bool last)
{
	struct weir_http_exchange *exchange = wire->exchange;
	size_t room = exchange->post.max_response_bytes - exchange->body.len;
	bool cut = data.len > room;

	if (cut) {
		exchange->body_cut = true;
		if (exchange->post.whole) {
			fail(wire, WEIR_ETOOBIG, "the answer's body is larger than allowed");
			return false;
		}
		data.len = room;
	}
	if ((last || cut) && exchange->body.len == 0) {
		exchange->body_view = data;
	} else {
		if (data.len > 0 && !weir_dynbuf_add_buf(&exchange->body, data)) {
			fail(wire, WEIR_EIO, "out of memory for the answer's body");
			return false;
		}
		exchange->body_view = weir_dynbuf_view(&exchange->body);
	}
	if (cut)
		fail(wire, WEIR_OK, NULL); /* nothing more is wanted */
	return !cut;
}

static enum progress read_length(struct weir_http_wire *wire, char *bytes, size_t len)
{
	size_t take = len < wire->left ? len : (size_t)wire->left;

	wire->left -= take;
	if (!take_body(wire, (struct weir_buf){ bytes, take }, wire->left == 0))
		return OVER;
	return wire->left == 0 ? complete(wire, len - take) : MORE;
}

static enum progress read_chunked(struct weir_http_wire *wire, char *bytes, size_t len)
{
	size_t pos = 0, end = 0;
	enum weir_http_chunked_result result =
	    weir_http_chunked_feed(&wire->chunked, &chunk_limits, bytes, &pos, len, &end);

	if (result == WEIR_HTTP_CHUNKED_FAILED)
		return fail(wire, WEIR_EIO, "the answer's chunked coding is malformed");
	if (!take_body(wire, (struct weir_buf){ bytes, end }, result == WEIR_HTTP_CHUNKED_DONE))
		return OVER;
	return result == WEIR_HTTP_CHUNKED_DONE ? complete(wire, len - pos) : MORE;
}

static enum progress read_body(struct weir_http_wire *wire, char *bytes, size_t len)
{
	switch (wire->reading) {
	case WEIR_HTTP_READ_LENGTH:
		return read_length(wire, bytes, len);
	case WEIR_HTTP_READ_CHUNKED:
		return read_chunked(wire, bytes, len);
	default:
		return take_body(wire, (struct weir_buf){ bytes, len }, false) ? MORE : OVER;
	}
}

/* ---- head ------------------------------------------------------------------------ */

static void choose_framing(struct weir_http_wire *wire)
{
	const struct weir_http_head *head = &wire->head;

	wire->left = 0;
	if (head->status == 204 || head->status == 304) {
		wire->reading = WEIR_HTTP_READ_LENGTH;
	} else if (head->chunked) {
		wire->reading = WEIR_HTTP_READ_CHUNKED;
		weir_http_chunked_init(&wire->chunked);
	} else if (head->length != UINT64_MAX) {
		wire->reading = WEIR_HTTP_READ_LENGTH;
		wire->left = head->length;
	} else {
		wire->reading = WEIR_HTTP_READ_CLOSE;
	}
}

/* The answer goes on later: what was received will be overwritten, so the head at `bytes` is gathered. */
static bool keep_head(struct weir_http_wire *wire, const char *bytes)
{
	struct weir_dynbuf *head = &wire->exchange->head;

	if (head->len == 0 && !weir_dynbuf_add(head, bytes, wire->head.bytes))
		return false;
	/* If it was there before, then between interim answers and the beginning of the body. */
	if (wire->gathered)
		weir_dynbuf_consume(head, (size_t)(bytes - head->ptr));
	head->len = wire->head.bytes;
	head->ptr[head->len] = '\0';
	wire->exchange->head_view = weir_dynbuf_view(head);
	return true;
}

/* The final head, at the front of bytes[0..len). */
static enum progress final_head(struct weir_http_wire *wire, char *bytes, size_t len)
{
	struct weir_http_exchange *exchange = wire->exchange;
	size_t used = wire->head.bytes;
	enum progress progress;

	exchange->status = wire->head.status;
	exchange->head_view = (struct weir_buf){ bytes, used };
	exchange->body_view = (struct weir_buf){ bytes + used, 0 };
	if (wire->head.status == 101)
		return fail(wire, WEIR_OK, NULL); /* an answer, but no HTTP follows */
	choose_framing(wire);
	progress = read_body(wire, bytes + used, len - used);
	if (progress == OVER)
		return OVER;
	return keep_head(wire, bytes) ? MORE : fail(wire, WEIR_EIO, "out of memory for the answer's headers");
}

/* Reads heads until the final one. bytes[0..len) is in `received` or in the exchange's `head`. */
static enum progress read_heads(struct weir_http_wire *wire, char *bytes, size_t len)
{
	struct weir_http_exchange *exchange = wire->exchange;
	struct weir_dynbuf *head = &exchange->head;
	const char *why = NULL;

	for (;;) {
		int code =
		    weir_http_head_read((struct weir_buf){ bytes, len }, &wire->head, wire->easy.client->headers, &why);

		if (code == WEIR_EAGAIN)
			break;
		if (code != WEIR_OK || wire->head.version == 20)
			return fail(wire, WEIR_EIO, why ? why : "the answer is not HTTP/1.1");
		if (wire->head.status >= 200 || wire->head.status == 101)
			return final_head(wire, bytes, len);
		if (++wire->interim > WEIR_HTTP_INTERIM_MAX)
			return fail(wire, WEIR_EIO, "more than 8 interim answers came");
		bytes += wire->head.bytes;
		len -= wire->head.bytes;
	}
	if (head->len > 0)
		weir_dynbuf_consume(head, head->len - len);
	else if (len > 0 && !weir_dynbuf_add(head, bytes, len))
		return fail(wire, WEIR_EIO, "out of memory for the answer's headers");
	return MORE;
}

/* ---- socket ----------------------------------------------------------------------- */

static enum progress take_bytes(struct weir_http_wire *wire, char *bytes, size_t len)
{
	struct weir_dynbuf *head = &wire->exchange->head;

	wire->heard = true;
	if (wire->reading != WEIR_HTTP_READ_HEAD)
		return read_body(wire, bytes, len);
	wire->gathered = head->len > 0;
	if (!wire->gathered)
		return read_heads(wire, bytes, len);
	if (!weir_dynbuf_add(head, bytes, len))
		return fail(wire, WEIR_EIO, "the answer's headers are larger than 64 KiB");
	return read_heads(wire, head->ptr, head->len);
}

static enum progress end_of_stream(struct weir_http_wire *wire)
{
	if (wire->reading == WEIR_HTTP_READ_CLOSE)
		return complete(wire, 0);
	weir_http_wire_broke(wire, wire->heard ? "the connection was closed in the middle of the answer"
					       : "the connection was closed without an answer");
	return OVER;
}

static enum progress receive(struct weir_http_wire *wire)
{
	char *received = wire->easy.client->received;

	for (int i = 0; i < RECEIVES_PER_TURN; i++) {
		ssize_t got = recv(wire->watch.fd, received, WEIR_HTTP_RECEIVE_BYTES, 0);

		if (got == 0)
			return end_of_stream(wire);
		if (got < 0 && errno == EAGAIN)
			return MORE;
		if (got < 0 && errno != EINTR) {
			weir_http_wire_broke(wire, "the connection broke before the answer was whole");
			return OVER;
		}
		if (got > 0 && take_bytes(wire, received, (size_t)got) == OVER)
			return OVER;
		if (got > 0 && got < WEIR_HTTP_RECEIVE_BYTES)
			return MORE;
	}
	return MORE;
}

void weir_http_wire_work(struct weir_http_wire *wire, uint32_t events)
{
	wire->ending = (events & EPOLLRDHUP) != 0;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		if (receive(wire) == OVER)
			return;
	}
	if (events & EPOLLOUT)
		weir_http_wire_send(wire);
}
