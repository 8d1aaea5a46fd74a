/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/caps.h"

#include <stddef.h>

#include <weir/driver.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *weir_cli_cap_name(unsigned cap)
{
	static const char *const names[64] = {
		[WEIR_CAP_DURABLE] = "durable",
		[WEIR_CAP_REPLAY_EARLIEST] = "replay-earliest",
		[WEIR_CAP_REPLAY_POSITION] = "replay-position",
		[WEIR_CAP_REPLAY_TIME] = "replay-time",
		[WEIR_CAP_ORDERED_TOPIC] = "ordered-topic",
		[WEIR_CAP_ORDERED_KEY] = "ordered-key",
		[WEIR_CAP_FANOUT] = "fanout",
		[WEIR_CAP_GROUPS] = "groups",
		[WEIR_CAP_WILDCARD] = "wildcard",
		[WEIR_CAP_EPHEMERAL] = "ephemeral",
		[WEIR_CAP_ACK_SELECTIVE] = "ack-selective",
		[WEIR_CAP_ACK_CONFIRM] = "ack-confirm",
		[WEIR_CAP_NACK] = "nack",
		[WEIR_CAP_NACK_LOCAL] = "nack-local",
		[WEIR_CAP_NACK_DELAY] = "nack-delay",
		[WEIR_CAP_TERM] = "term",
		[WEIR_CAP_EXTEND] = "extend",
		[WEIR_CAP_ACK_DEADLINE] = "ack-deadline",
		[WEIR_CAP_REDELIVERED_FLAG] = "redelivered-flag",
		[WEIR_CAP_DELIVERY_COUNT] = "delivery-count",
		[WEIR_CAP_PUB_CONFIRM] = "publish-confirm",
		[WEIR_CAP_IDEMPOTENT] = "idempotent",
		[WEIR_CAP_TXN] = "transactions",
		[WEIR_CAP_KEY] = "key",
		[WEIR_CAP_TTL] = "ttl",
		[WEIR_CAP_DELAY] = "delay",
		[WEIR_CAP_ATOMIC_BATCH] = "atomic-batch",
		[WEIR_CAP_HEADERS] = "headers",
		[WEIR_CAP_HEADERS_BIN] = "headers-binary",
		[WEIR_CAP_HEADERS_DUP] = "headers-repeated",
		[WEIR_CAP_NULL_BODY] = "null-body",
		[WEIR_CAP_TIMESTAMP] = "timestamp",
		[WEIR_CAP_PAUSE] = "pause",
		[WEIR_CAP_AUTO_RECONNECT] = "auto-reconnect",
		[WEIR_CAP_TOPIC_ADMIN] = "topic-admin",
		[WEIR_CAP_BORROW] = "borrow",
	};

	return cap < COUNT(names) ? names[cap] : NULL;
}

const char *weir_cli_option_type(uint32_t type)
{
	static const char *const names[] = { "string", "bool", "int", "duration", "bytes", "choice", "list" };

	return type < COUNT(names) ? names[type] : NULL;
}

const char *weir_cli_thread_level(uint32_t level)
{
	static const char *const names[] = { "process", "instance", "groups", "free" };

	return level < COUNT(names) ? names[level] : NULL;
}
