/* SPDX-License-Identifier: Apache-2.0 */
#include "http/stream.h"

#include "base/mem.h"
#include "base/str.h"
#include "http/server_state.h"

struct weir_http_stream {
	struct weir_http_connection *connection;
	void (*gone)(void *ctx);
	void *ctx;
	bool chunked; /* else HTTP/1.0, where the end of the connection is the end of the body */
	bool mute;    /* an answer to HEAD */
};

struct weir_http_stream *weir_http_respond_stream(struct weir_http_request *request, int status,
						  const char *content_type, void (*gone)(void *ctx), void *ctx)
{
	struct weir_http_connection *connection = request->connection;
	struct weir_http_stream *stream = connection ? weir_mem_zalloc(1, sizeof *stream) : NULL;
	struct weir_dynbuf *head;
	struct iovec part;

	if (!stream) {
		weir_http_respond_error(request, 503, "overloaded", "There is no memory for a streamed answer.");
		return NULL;
	}
	*stream = (struct weir_http_stream){ .connection = connection, .gone = gone, .ctx = ctx };
	stream->chunked = request->parser.minor > 0;
	stream->mute = request->parser.method == WEIR_HTTP_HEAD;
	connection->closing = !stream->chunked;
	head = weir_http_response_begin(connection, status);
	weir_dynbuf_addf(head, "Content-Type: %s\r\n%s\r\n", content_type,
			 stream->chunked ? "Transfer-Encoding: chunked\r\n" : "");
	part = (struct iovec){ head->ptr, head->len };
	connection->broken = connection->broken || head->failed;
	weir_http_connection_send(connection, &part, 1);
	connection->stream = stream;
	connection->state = WEIR_HTTP_STREAMING;
	if (connection->broken || connection->hangup)
		weir_http_connection_resume(connection);
	return stream;
}

static void send_chunk(struct weir_http_stream *stream, struct weir_buf bytes)
{
	static char line_end[] = "\r\n";
	char size[sizeof "ffffffffffffffff\r\n"];
	int size_len = snprintf(size, sizeof size, "%zx\r\n", bytes.len);
	struct iovec parts[3] = {
		{ size, (size_t)size_len },
		{ (void *)(uintptr_t)bytes.ptr, bytes.len },
		{ line_end, sizeof line_end - 1 },
	};

	if (stream->chunked)
		weir_http_connection_send(stream->connection, parts, 3);
	else
		weir_http_connection_send(stream->connection, parts + 1, 1);
}

int weir_http_stream_write(struct weir_http_stream *stream, struct weir_buf bytes)
{
	struct weir_http_connection *connection = stream->connection;

	if (connection->broken)
		return WEIR_ECLOSED;
	if (weir_http_connection_pending(connection) > connection->server->limits.max_body_bytes)
		return WEIR_EAGAIN;
	/* A chunk without bytes would end the body. */
	if (stream->mute || !bytes.len)
		return WEIR_OK;
	send_chunk(stream, bytes);
	if (!connection->broken)
		return WEIR_OK;
	weir_http_connection_resume(connection);
	return WEIR_ECLOSED;
}

void weir_http_stream_end(struct weir_http_stream *stream)
{
	struct weir_http_connection *connection = stream->connection;

	if (stream->chunked && !stream->mute)
		send_chunk(stream, WEIR_STR(""));
	weir_mem_free(stream);
	weir_http_connection_finish(connection);
}

void weir_http_stream_gone(struct weir_http_stream *stream)
{
	if (!stream)
		return;
	if (stream->gone)
		stream->gone(stream->ctx);
	weir_mem_free(stream);
}
