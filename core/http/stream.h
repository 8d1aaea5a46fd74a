/* SPDX-License-Identifier: Apache-2.0 */
/* http/stream: streamed answers; the calls for the handler are in http/server.h. */
#ifndef WEIR_HTTP_STREAM_H
#define WEIR_HTTP_STREAM_H

struct weir_http_stream;

/* Its connection was closed: tells the owner and frees it. NULL is allowed. */
void weir_http_stream_gone(struct weir_http_stream *stream);

#endif
