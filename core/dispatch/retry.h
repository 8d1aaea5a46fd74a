/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/retry: what an answer means, and when to try again. Pure: no clock,
 * no randomness of its own.
 */
#ifndef WEIR_DISPATCH_RETRY_H
#define WEIR_DISPATCH_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/settings.h"

enum weir_verdict {
	WEIR_VERDICT_DONE,    /* 2xx */
	WEIR_VERDICT_RETRY,   /* it may go well next time */
	WEIR_VERDICT_REFUSED, /* it will not */
};

/* No wait is longer than this, whatever the policy and the number of retries say. */
#define WEIR_RETRY_DELAY_MAX_MS (INT64_C(5) * 60 * 1000)

/* `status` 0: no answer came. */
enum weir_verdict weir_retry_judge(int status);

/* Only these two statuses may ask for a delay by `Retry-After`. */
bool weir_retry_after_counts(int status);

/*
 * Reads a Retry-After value: seconds, or a date in any form of RFC 9110, which is
 * compared with `now_ms` (since 1970-01-01 UTC). Not negative. False: not valid.
 */
bool weir_retry_after_parse(struct weir_buf value, int64_t now_ms, int64_t *ret_ms);

/*
 * Milliseconds to wait before retry number `nth` (1 for the first): the policy's
 * delay, or what the receiver asked for (`after_ms`, 0: nothing; at most
 * retry_after_max_ms) if that is longer. Spread over +-10 % by `random`, so that
 * what failed together does not come back together.
 */
int64_t weir_retry_delay_ms(const struct weir_delivery_settings *policy, uint32_t nth, int64_t after_ms,
			    uint32_t random);

#endif
