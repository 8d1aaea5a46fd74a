/* SPDX-License-Identifier: Apache-2.0 */
#include "http/response.h"

#include <time.h>

#include "base/clock.h"
#include "base/str.h"
#include "http/chars.h"
#include "http/server_state.h"

enum { MAX_HEAD_BYTES = 65536, MAX_ERROR_BYTES = 65536 };

void weir_http_writer_init(struct weir_http_writer *writer)
{
	weir_dynbuf_init(&writer->head, MAX_HEAD_BYTES);
	weir_dynbuf_init(&writer->error, MAX_ERROR_BYTES);
	writer->date_until_ns = 0;
}

void weir_http_writer_fini(struct weir_http_writer *writer)
{
	weir_dynbuf_fini(&writer->head);
	weir_dynbuf_fini(&writer->error);
}

const char *weir_http_phrase(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} phrases[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 304, "Not Modified" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
		{ 507, "Insufficient Storage" },
	};

	for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Unknown";
}

/* In English whatever the locale, so not strftime(3). Good until the wall clock's second ends. */
static void refresh_date(struct weir_http_writer *writer, int64_t now_ns)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t wall_ms = weir_clock_wall_ms();
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	snprintf(writer->date, sizeof writer->date, "Date: %.3s, %02u %.3s %04u %02u:%02u:%02u GMT\r\n",
		 &days[(size_t)tm.tm_wday * 3], (unsigned)tm.tm_mday % 100, &months[(size_t)tm.tm_mon * 3],
		 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		 (unsigned)tm.tm_sec % 100);
	writer->date_until_ns = now_ns + (1000 - wall_ms % 1000) * WEIR_NS_PER_MS;
}

static void decide_closing(struct weir_http_connection *connection, const struct weir_http_parser *parser)
{
	const struct weir_http_server *server = connection->server;

	connection->polite = parser->close || (!parser->minor && !parser->keep_alive);
	connection->closing = connection->polite || server->draining ||
			      connection->served >= server->limits.max_keepalive_requests;
}

struct weir_dynbuf *weir_http_response_begin(struct weir_http_connection *connection, int status)
{
	struct weir_http_writer *writer = &connection->server->writer;
	int64_t now_ns = weir_loop_now(connection->server->loop);
	struct weir_dynbuf *head = &writer->head;

	if (now_ns >= writer->date_until_ns)
		refresh_date(writer, now_ns);
	/* When the server itself refuses that is decided, and there may be no request. */
	if (!connection->closing)
		decide_closing(connection, &connection->request->parser);
	weir_dynbuf_reset(head);
	weir_dynbuf_add_buf(head, WEIR_STR("HTTP/1.1 "));
	weir_dynbuf_add_uint(head, (uint64_t)status);
	weir_dynbuf_add_char(head, ' ');
	weir_dynbuf_add_text(head, weir_http_phrase(status));
	weir_dynbuf_add_buf(head, WEIR_STR("\r\n"));
	weir_dynbuf_add(head, writer->date, sizeof writer->date - 1);
	if (connection->closing)
		weir_dynbuf_add_buf(head, WEIR_STR("Connection: close\r\n"));
	else if (!connection->request->parser.minor)
		weir_dynbuf_add_buf(head, WEIR_STR("Connection: keep-alive\r\n"));
	return head;
}

static void add_header(struct weir_dynbuf *head, struct weir_buf name, struct weir_buf value)
{
	weir_dynbuf_add_buf(head, name);
	weir_dynbuf_add_buf(head, WEIR_STR(": "));
	weir_dynbuf_add_buf(head, value);
	weir_dynbuf_add_buf(head, WEIR_STR("\r\n"));
}

/* Ends the head and sends it with the body. An answer that cannot be built ends the connection. */
static void send_answer(struct weir_http_connection *connection, int status, struct weir_buf body, bool without_body)
{
	struct weir_dynbuf *head = &connection->server->writer.head;
	bool bodiless = status == 204 || status == 304 || status < 200;
	struct iovec parts[2];

	if (!bodiless) {
		weir_dynbuf_add_buf(head, WEIR_STR("Content-Length: "));
		weir_dynbuf_add_uint(head, body.len);
		weir_dynbuf_add_buf(head, WEIR_STR("\r\n"));
	}
	weir_dynbuf_add_buf(head, WEIR_STR("\r\n"));
	if (head->failed) {
		connection->broken = true;
		return;
	}
	parts[0] = (struct iovec){ head->ptr, head->len };
	parts[1] = (struct iovec){ (void *)(uintptr_t)body.ptr, body.len };
	weir_http_connection_send(connection, parts, bodiless || without_body || !body.len ? 1 : 2);
}

static bool is_sound(const struct weir_header *header)
{
	const char *name = header->name.ptr;
	const char *value = header->value.ptr;

	for (size_t i = 0; i < header->name.len; i++)
		if (!weir_http_is(name[i], WEIR_HTTP_TOKEN))
			return false;
	for (size_t i = 0; i < header->value.len; i++)
		if (!weir_http_is(value[i], WEIR_HTTP_VALUE))
			return false;
	return header->name.len > 0;
}

/* A CR LF in a value would let it write headers of its own. */
static bool all_sound(const struct weir_header *headers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!is_sound(&headers[i]))
			return false;
	return true;
}

/* The connection to answer on; NULL: the client is gone, and so is the request now. */
static struct weir_http_connection *connection_of(struct weir_http_request *request)
{
	struct weir_http_connection *connection = request->connection;

	if (!connection)
		weir_http_request_free(request);
	return connection;
}

static bool is_head(const struct weir_http_request *request)
{
	return request->parser.method == WEIR_HTTP_HEAD;
}

void weir_http_respond(struct weir_http_request *request, int status, const struct weir_header *headers,
		       size_t header_count, struct weir_buf body)
{
	struct weir_http_connection *connection;
	struct weir_dynbuf *head;

	if (!all_sound(headers, header_count)) {
		weir_http_respond_error(request, 500, "internal", "The answer had a malformed header.");
		return;
	}
	connection = connection_of(request);
	if (!connection)
		return;
	head = weir_http_response_begin(connection, status);
	for (size_t i = 0; i < header_count; i++)
		add_header(head, headers[i].name, headers[i].value);
	send_answer(connection, status, body, is_head(request));
	weir_http_connection_finish(connection);
}

void weir_http_respond_canned(struct weir_http_request *request, const struct weir_http_canned *canned)
{
	struct weir_http_connection *connection = connection_of(request);

	if (!connection)
		return;
	weir_dynbuf_add_text(weir_http_response_begin(connection, canned->status), canned->headers);
	send_answer(connection, canned->status, WEIR_STR(""), true);
	weir_http_connection_finish(connection);
}

static void add_json_text(struct weir_dynbuf *body, const char *text)
{
	weir_dynbuf_add_char(body, '"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20) {
			weir_dynbuf_addf(body, "\\u%04x", (unsigned)c);
			continue;
		}
		if (c == '"' || c == '\\')
			weir_dynbuf_add_char(body, '\\');
		weir_dynbuf_add_char(body, *text);
	}
	weir_dynbuf_add_char(body, '"');
}

void weir_http_error_body(struct weir_dynbuf *body, const char *code, const char *reason)
{
	weir_dynbuf_add_text(body, "{\"code\":");
	add_json_text(body, code);
	weir_dynbuf_add_text(body, ",\"reason\":");
	add_json_text(body, reason);
	weir_dynbuf_add_text(body, "}");
}

void weir_http_response_problem(struct weir_http_connection *connection, const struct weir_http_problem *problem,
				bool without_body)
{
	struct weir_dynbuf *head = weir_http_response_begin(connection, problem->status);
	struct weir_dynbuf *body = &connection->server->writer.error;

	weir_dynbuf_reset(body);
	weir_http_error_body(body, problem->code, problem->reason);
	weir_dynbuf_add_text(head, "Content-Type: application/json\r\n");
	if (problem->status == 429 || problem->status == 503)
		weir_dynbuf_add_text(head, "Retry-After: 1\r\n");
	send_answer(connection, problem->status, weir_dynbuf_view(body), without_body);
}

void weir_http_respond_error(struct weir_http_request *request, int status, const char *code, const char *reason)
{
	struct weir_http_problem problem = { status, code, reason };
	struct weir_http_connection *connection = connection_of(request);

	if (!connection)
		return;
	weir_http_response_problem(connection, &problem, is_head(request));
	weir_http_connection_finish(connection);
}
