/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/retry.h"

#include <string.h>
#include <time.h>

#include "base/str.h"

enum weir_verdict weir_retry_judge(int status)
{
	if (status >= 200 && status < 300)
		return WEIR_VERDICT_DONE;
	if (status < 100 || status >= 500)
		return WEIR_VERDICT_RETRY;
	switch (status) {
	case 404:
	case 408:
	case 409:
	case 429:
		return WEIR_VERDICT_RETRY;
	default:
		return WEIR_VERDICT_REFUSED;
	}
}

bool weir_retry_after_counts(int status)
{
	return status == 429 || status == 503;
}

static bool parse_date(struct weir_buf value, int64_t *ret_ms)
{
	static const char *const forms[] = {
		"%a, %d %b %Y %H:%M:%S GMT", /* what senders should write */
		"%A, %d-%b-%y %H:%M:%S GMT", /* RFC 850 */
		"%a %b %d %H:%M:%S %Y",      /* asctime */
	};
	char text[64];

	if (value.len >= sizeof text)
		return false;
	memcpy(text, value.ptr, value.len);
	text[value.len] = '\0';
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct tm when = { 0 };
		const char *end = strptime(text, forms[i], &when);

		if (end && *end == '\0') {
			*ret_ms = (int64_t)timegm(&when) * 1000;
			return true;
		}
	}
	return false;
}

bool weir_retry_after_parse(struct weir_buf value, int64_t now_ms, int64_t *ret_ms)
{
	uint64_t seconds;
	int64_t date_ms;

	if (!value.ptr)
		return false;
	value = weir_str_trim(value);
	if (weir_str_to_uint(value, &seconds)) {
		*ret_ms = seconds > INT64_MAX / 1000 ? INT64_MAX : (int64_t)seconds * 1000;
		return true;
	}
	if (!parse_date(value, &date_ms))
		return false;
	*ret_ms = date_ms > now_ms ? date_ms - now_ms : 0;
	return true;
}

static int64_t policy_delay_ms(const struct weir_delivery_settings *policy, uint32_t nth)
{
	int64_t delay_ms = policy->backoff_delay_ms;

	if (policy->backoff == WEIR_BACKOFF_EXPONENTIAL) {
		for (uint32_t i = 0; i < nth && delay_ms && delay_ms < WEIR_RETRY_DELAY_MAX_MS; i++)
			delay_ms *= 2;
	}
	return delay_ms < WEIR_RETRY_DELAY_MAX_MS ? delay_ms : WEIR_RETRY_DELAY_MAX_MS;
}

int64_t weir_retry_delay_ms(const struct weir_delivery_settings *policy, uint32_t nth, int64_t after_ms,
			    uint32_t random)
{
	int64_t delay_ms = policy_delay_ms(policy, nth);
	int64_t spread_ms = delay_ms / 10;

	delay_ms += (int64_t)(random % (uint64_t)(2 * spread_ms + 1)) - spread_ms;
	if (after_ms > policy->retry_after_max_ms)
		after_ms = policy->retry_after_max_ms;
	return after_ms > delay_ms ? after_ms : delay_ms;
}
