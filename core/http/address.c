/* SPDX-License-Identifier: Apache-2.0 */
/* http/address: which addresses may be posted to. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "http/client.h"

enum address_class {
	ADDRESS_PUBLIC,
	ADDRESS_PRIVATE,
	ADDRESS_LOOPBACK,
	ADDRESS_REFUSED, /* whatever the rules say */
};

struct address_range {
	uint8_t bytes[16];
	uint8_t prefix; /* bits */
	uint8_t class;
};

/* An IPv4 range is written as the IPv4-mapped IPv6 range that it is judged as. */
#define V4(a, b, c, d, bits, class)                                                                                    \
	{                                                                                                              \
		{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d }, 96 + (bits), class                           \
	}

/* The first that matches decides, so the narrow ones come first. */
static const struct address_range ranges[] = {
	/* Metadata services that lie outside of the link-local ranges: they hand out credentials. */
	V4(100, 100, 100, 200, 32, ADDRESS_REFUSED),
	V4(168, 63, 129, 16, 32, ADDRESS_REFUSED),
	{ { 0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54 }, 128, ADDRESS_REFUSED },
	{ { 0xfd, 0x20, 0x00, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54 }, 128, ADDRESS_REFUSED },
	V4(0, 0, 0, 0, 8, ADDRESS_REFUSED),      /* "this network": connects to the host itself */
	V4(169, 254, 0, 0, 16, ADDRESS_REFUSED), /* link-local */
	V4(192, 0, 0, 0, 24, ADDRESS_REFUSED),   /* protocol assignments */
	V4(224, 0, 0, 0, 3, ADDRESS_REFUSED),    /* multicast, reserved, broadcast */
	V4(127, 0, 0, 0, 8, ADDRESS_LOOPBACK),
	V4(10, 0, 0, 0, 8, ADDRESS_PRIVATE),
	V4(100, 64, 0, 0, 10, ADDRESS_PRIVATE),
	V4(172, 16, 0, 0, 12, ADDRESS_PRIVATE),
	V4(192, 168, 0, 0, 16, ADDRESS_PRIVATE),
	V4(198, 18, 0, 0, 15, ADDRESS_PRIVATE),
	V4(0, 0, 0, 0, 0, ADDRESS_PUBLIC),
	{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 128, ADDRESS_REFUSED },
	{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, 128, ADDRESS_LOOPBACK },
	{ { 0xfe, 0x80 }, 10, ADDRESS_REFUSED }, /* link-local */
	{ { 0xff }, 8, ADDRESS_REFUSED },        /* multicast */
	{ { 0xfe, 0xc0 }, 10, ADDRESS_PRIVATE }, /* site-local, given up but still routed somewhere */
	{ { 0xfc }, 7, ADDRESS_PRIVATE },
	{ { 0 }, 0, ADDRESS_PUBLIC },
};

/* IPv6 ranges that carry an IPv4 address, which is what is judged: where it is. */
static const struct {
	uint8_t bytes[16];
	uint8_t prefix, offset;
} carriers[] = {
	{ { 0x00, 0x64, 0xff, 0x9b }, 96, 12 },             /* NAT64 */
	{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, 12 }, /* NAT64 of a network's own (RFC 8215), as a /96 of it */
	{ { 0x20, 0x02 }, 16, 2 },                          /* 6to4 */
	{ { 0 }, 96, 12 },                                  /* IPv4-compatible; :: and ::1 are taken before */
};

static bool in_range(const uint8_t address[16], const uint8_t range[16], unsigned bits)
{
	unsigned whole = bits / 8;
	unsigned mask = 0xffu << (8 - bits % 8) & 0xffu;

	if (memcmp(address, range, whole) != 0)
		return false;
	return bits % 8 == 0 || ((address[whole] ^ range[whole]) & mask) == 0;
}

static void map_v4(uint8_t ret[16], const void *v4)
{
	memset(ret, 0, 10);
	memset(ret + 10, 0xff, 2);
	memcpy(ret + 12, v4, 4);
}

/* Replaces an IPv6 address that carries an IPv4 one by the mapped form of the latter. */
static void unwrap(uint8_t address[16])
{
	uint8_t mapped[16];

	if (IN6_IS_ADDR_UNSPECIFIED((const struct in6_addr *)address) ||
	    IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)address))
		return;
	for (size_t i = 0; i < sizeof carriers / sizeof carriers[0]; i++) {
		if (!in_range(address, carriers[i].bytes, carriers[i].prefix))
			continue;
		map_v4(mapped, address + carriers[i].offset);
		memcpy(address, mapped, sizeof mapped);
		return;
	}
}

static enum address_class classify(const uint8_t address[16])
{
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
		if (in_range(address, ranges[i].bytes, ranges[i].prefix))
			return (enum address_class)ranges[i].class;
	}
	return ADDRESS_REFUSED;
}

bool weir_http_address_allowed(const struct weir_http_address_rules *rules, const struct sockaddr *address)
{
	struct in6_addr wide;

	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof in);
		map_v4(wide.s6_addr, &in.sin_addr);
	} else if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, address, sizeof in6);
		wide = in6.sin6_addr;
		unwrap(wide.s6_addr);
	} else {
		return false;
	}
	switch (classify(wide.s6_addr)) {
	case ADDRESS_PUBLIC:
		return true;
	case ADDRESS_PRIVATE:
		return rules->allow_private;
	case ADDRESS_LOOPBACK:
		return rules->allow_loopback;
	default:
		return false;
	}
}
