/* SPDX-License-Identifier: Apache-2.0 */
#include "http/limits.h"

static void fill32(uint32_t *value, uint32_t standard)
{
	if (!*value)
		*value = standard;
}

static void fill64(uint64_t *value, uint64_t standard)
{
	if (!*value)
		*value = standard;
}

void weir_http_limits_fill(struct weir_http_limits *limits)
{
	fill32(&limits->max_target_bytes, 8192);
	fill32(&limits->max_header_bytes, 8192);
	fill32(&limits->max_head_bytes, 32768);
	fill32(&limits->max_headers, 100);
	fill64(&limits->max_body_bytes, 1048576);
	fill32(&limits->max_connections, 4096);
	fill32(&limits->max_connections_per_peer, 1024);
	fill64(&limits->max_buffered_bytes, 67108864);
	fill32(&limits->max_keepalive_requests, 1000);
	fill32(&limits->header_timeout_ms, 10000);
	fill32(&limits->body_idle_timeout_ms, 10000);
	fill32(&limits->request_timeout_ms, 60000);
	fill32(&limits->idle_timeout_ms, 60000);
	fill32(&limits->write_timeout_ms, 10000);
}
