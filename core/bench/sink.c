/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/sink.h"

#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/server.h"

enum { MAX_BODY = 64 * 1024 * 1024, MAX_BUFFERED = 256 * 1024 * 1024 };

struct weir_sink {
	struct weir_http_server *server;
	weir_sink_arrived *arrived;
	void *ctx;
	uint16_t port;
};

static int64_t since(struct weir_buf due)
{
	struct timespec now;
	int64_t due_ns, under_way_ns;

	if (!due.ptr || !weir_str_to_int(due, &due_ns) || due_ns < 0)
		return -1;
	clock_gettime(CLOCK_REALTIME, &now);
	under_way_ns = (int64_t)now.tv_sec * WEIR_NS_PER_S + now.tv_nsec - due_ns;
	return under_way_ns > 0 ? under_way_ns : 0;
}

static void on_request(void *ctx, struct weir_http_request *request)
{
	static const struct weir_http_canned taken = { 202, "" };
	struct weir_sink *sink = ctx;
	struct weir_sink_arrival arrival;

	if (weir_http_request_method(request) != WEIR_HTTP_POST) {
		weir_http_respond_error(request, 405, "method_not_allowed", "events are posted here");
		return;
	}
	arrival.id = weir_http_request_header(request, "ce-id");
	arrival.under_way_ns = since(weir_http_request_header(request, "ce-benchdue"));
	arrival.bytes = weir_http_request_body(request).len;
	sink->arrived(sink->ctx, &arrival);
	weir_http_respond_canned(request, &taken);
}

int weir_sink_new(struct weir_loop *loop, const char *address, weir_sink_arrived *arrived, void *ctx,
		  struct weir_sink **ret, struct weir_error *err)
{
	struct weir_sink *sink = weir_mem_zalloc(1, sizeof *sink);
	struct weir_http_server_options options = {
		.limits = {
			.max_body_bytes = MAX_BODY,
			.max_buffered_bytes = MAX_BUFFERED,
			.max_connections = 65536,
			.max_connections_per_peer = 65536,
			.max_keepalive_requests = UINT32_MAX,
		},
		.handler = on_request,
		.ctx = sink,
	};
	int code;

	if (!sink)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for the sink");
	sink->arrived = arrived;
	sink->ctx = ctx;
	code = weir_http_server_new(loop, &options, &sink->server, err);
	if (!code)
		code = weir_http_server_listen(sink->server, address, &sink->port, err);
	if (code) {
		weir_sink_free(sink);
		return code;
	}
	*ret = sink;
	return WEIR_OK;
}

void weir_sink_free(struct weir_sink *sink)
{
	if (!sink)
		return;
	weir_http_server_free(sink->server);
	weir_mem_free(sink);
}

uint16_t weir_sink_port(const struct weir_sink *sink)
{
	return sink->port;
}
