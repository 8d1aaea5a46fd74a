/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scripted_server: a subscriber on 127.0.0.1 that answers by a script, right or
 * wrong. Request number i, over all connections, gets reply number i; the last
 * reply goes to all further ones. Each connection has a thread of its own.
 */
#ifndef SCRIPTED_SERVER_H
#define SCRIPTED_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/driver.h>

enum scripted_end {
	SCRIPTED_KEEP,  /* wait for the next request */
	SCRIPTED_CLOSE, /* close in order */
	SCRIPTED_RESET, /* close with a reset */
	SCRIPTED_HANG,  /* stay silent until the peer closes */
};

struct scripted_reply {
	const char *bytes; /* NULL: none */
	size_t len;        /* 0: strlen(bytes) */
	size_t split;      /* so many bytes, a short pause, the others; 0: no pause */
	unsigned drip_ms;  /* a byte each so many milliseconds; 0: at once */
	uint64_t filler;   /* bytes 'x' behind it; UINT64_MAX: without end */
	bool early;        /* answer as soon as the request begins; only the first reply can */
	enum scripted_end end;
};

#define SCRIPTED_OK                                                                                                    \
	{                                                                                                              \
		.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"                                                \
	}

struct scripted_server;

/* The replies are borrowed. Fails the test if it cannot start. */
struct scripted_server *scripted_server_start(const struct scripted_reply *replies, size_t count);
void scripted_server_stop(struct scripted_server *server);

/* "http://127.0.0.1:PORT/path" */
const char *scripted_server_url(const struct scripted_server *server);
uint16_t scripted_server_port(const struct scripted_server *server);
unsigned scripted_server_connections(struct scripted_server *server);
unsigned scripted_server_requests(struct scripted_server *server);
/* Request number `index` as it came, head and body; of the first 64, and 8 KiB of each. */
struct weir_buf scripted_server_request(struct scripted_server *server, unsigned index);

#endif
