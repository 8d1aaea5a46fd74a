/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

int64_t weir_clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * WEIR_NS_PER_S + now.tv_nsec;
}

int64_t weir_clock_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / WEIR_NS_PER_MS;
}

int64_t weir_clock_after_ms(int64_t base_ns, int64_t ms)
{
	int64_t ns, sum;

	if (base_ns == WEIR_NS_NEVER)
		return WEIR_NS_NEVER;
	if (__builtin_mul_overflow(ms, WEIR_NS_PER_MS, &ns) || __builtin_add_overflow(base_ns, ns, &sum))
		return ms < 0 ? INT64_MIN : WEIR_NS_NEVER;
	return sum;
}

int weir_clock_wait_ms(int64_t deadline_ns)
{
	int64_t now = weir_clock_now_ns();
	int64_t ms;

	if (deadline_ns <= now)
		return 0;
	ms = (deadline_ns - now - 1) / WEIR_NS_PER_MS + 1;
	return ms < INT32_MAX ? (int)ms : INT32_MAX;
}

void weir_clock_format(int64_t wall_ms, char text[WEIR_CLOCK_TEXT_SIZE])
{
	static const int64_t last_ms = INT64_C(253402300799999); /* 9999-12-31T23:59:59.999Z */
	struct tm tm;
	time_t seconds;

	if (wall_ms < 0)
		wall_ms = 0;
	if (wall_ms > last_ms)
		wall_ms = last_ms;
	seconds = (time_t)(wall_ms / 1000);
	gmtime_r(&seconds, &tm);
	strftime(text, WEIR_CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + strlen("2026-11-24T11:32:59"), sizeof ".123Z", ".%03uZ", (unsigned)(wall_ms % 1000));
}
