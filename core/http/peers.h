/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/peers: how many connections each peer has. An IPv6 peer is its /64, which
 * is what one customer is given; an IPv4-mapped address counts as IPv4.
 */
#ifndef WEIR_HTTP_PEERS_H
#define WEIR_HTTP_PEERS_H

#include <stdint.h>
#include <sys/socket.h>

struct weir_http_peer {
	struct weir_http_peer *next;
	unsigned char key[8]; /* the /64, or 0 and the IPv4 address */
	uint32_t count;
};

enum { WEIR_HTTP_PEER_BUCKETS = 512 };

struct weir_http_peers {
	struct weir_http_peer *buckets[WEIR_HTTP_PEER_BUCKETS];
	uint64_t seed; /* so that nobody can choose addresses that share a bucket */
};

void weir_http_peers_init(struct weir_http_peers *peers);
/* Counts one connection more. WEIR_ELIMIT: the peer has `max` already. WEIR_ENOMEM. */
int weir_http_peers_take(struct weir_http_peers *peers, const struct sockaddr_storage *address, uint32_t max,
			 struct weir_http_peer **ret);
/* One connection less; the peer is freed with its last. */
void weir_http_peers_give(struct weir_http_peers *peers, struct weir_http_peer *peer);

#endif
