/* SPDX-License-Identifier: Apache-2.0 */
#include "http/peers.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>

#include <weir/error.h>

#include "base/clock.h"
#include "base/mem.h"

void weir_http_peers_init(struct weir_http_peers *peers)
{
	memset(peers, 0, sizeof *peers);
	/* GRND_NONBLOCK: early at boot a clock is better than to hang. */
	if (getrandom(&peers->seed, sizeof peers->seed, GRND_NONBLOCK) != (ssize_t)sizeof peers->seed)
		peers->seed = (uint64_t)weir_clock_now_ns();
}

static void make_key(const struct sockaddr_storage *address, unsigned char key[8])
{
	const void *sockaddr = address;
	const struct sockaddr_in *in = sockaddr;
	const struct sockaddr_in6 *in6 = sockaddr;

	memset(key, 0, 8);
	if (address->ss_family == AF_INET)
		memcpy(key + 4, &in->sin_addr, 4);
	else if (address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		memcpy(key + 4, in6->sin6_addr.s6_addr + 12, 4);
	else if (address->ss_family == AF_INET6)
		memcpy(key, in6->sin6_addr.s6_addr, 8);
}

static struct weir_http_peer **bucket_of(struct weir_http_peers *peers, const unsigned char key[8])
{
	uint64_t hash;

	memcpy(&hash, key, sizeof hash);
	hash = (hash ^ peers->seed) * UINT64_C(0x9e3779b97f4a7c15);
	hash = (hash ^ hash >> 32 ^ peers->seed) * UINT64_C(0xd6e8feb86659fd93);
	return &peers->buckets[(hash >> 32) % WEIR_HTTP_PEER_BUCKETS];
}

int weir_http_peers_take(struct weir_http_peers *peers, const struct sockaddr_storage *address, uint32_t max,
			 struct weir_http_peer **ret)
{
	struct weir_http_peer **bucket;
	struct weir_http_peer *peer;
	unsigned char key[8];

	make_key(address, key);
	bucket = bucket_of(peers, key);
	for (peer = *bucket; peer && memcmp(peer->key, key, sizeof key) != 0;)
		peer = peer->next;
	if (peer && peer->count >= max)
		return WEIR_ELIMIT;
	if (!peer) {
		peer = weir_mem_zalloc(1, sizeof *peer);
		if (!peer)
			return WEIR_ENOMEM;
		memcpy(peer->key, key, sizeof key);
		peer->next = *bucket;
		*bucket = peer;
	}
	peer->count++;
	*ret = peer;
	return WEIR_OK;
}

void weir_http_peers_give(struct weir_http_peers *peers, struct weir_http_peer *peer)
{
	struct weir_http_peer **link = bucket_of(peers, peer->key);

	if (--peer->count)
		return;
	while (*link != peer)
		link = &(*link)->next;
	*link = peer->next;
	weir_mem_free(peer);
}
