/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever a sender writes as path and host, it finds a channel only by that
 * channel's exact names; whatever a subscriber writes as Retry-After, the wait
 * that follows is bounded.
 *
 * The input: path, host and Retry-After, each on a line of its own.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/str.h"
#include "dispatch/retry.h"
#include "dispatch/route.h"

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void try_route(struct weir_buf path, struct weir_buf host)
{
	static char first, second;
	struct weir_router *router;
	const void *found;

	if (weir_router_new(2, &router))
		return;
	check(weir_router_add(router, "shop", "orders", &first) == WEIR_OK);
	check(weir_router_add(router, "a.b", "c-kn-channel", &second) == WEIR_OK);
	found = weir_router_find(router, path, host);
	check(!found || found == &first || found == &second);
	if (found && path.len > 1)
		check(weir_str_equal(path, found == &first ? WEIR_STR("/shop/orders") : WEIR_STR("/a.b/c-kn-channel")));
	if (found && path.len == 1) {
		check(found == &first); /* a namespace with a dot in it cannot be told from a domain */
		check(weir_str_starts_nocase(host, WEIR_STR("orders-k")));
	}
	weir_router_free(router);
}

static void try_retry_after(struct weir_buf value)
{
	const struct weir_delivery_settings policy = { .backoff_delay_ms = 200, .retry_after_max_ms = 10000 };
	int64_t after_ms = -1, delay_ms;

	if (!weir_retry_after_parse(value, INT64_C(1800000000000), &after_ms))
		after_ms = 0;
	check(after_ms >= 0);
	delay_ms = weir_retry_delay_ms(&policy, 1, after_ms, 12345);
	check(delay_ms >= 360 && delay_ms <= 10000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_buf rest = { data ? data : (const uint8_t *)"", size }, path = { 0 }, host = { 0 }, after = { 0 };

	weir_str_split(&rest, '\n', &path);
	weir_str_split(&rest, '\n', &host);
	weir_str_split(&rest, '\n', &after);
	try_route(path, host);
	try_retry_after(after);
	return 0;
}
