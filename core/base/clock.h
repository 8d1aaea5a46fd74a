/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock: time. Timers and deadlines use the monotonic clock; only logs and events show the other. */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <stdint.h>

#define WEIR_NS_PER_MS INT64_C(1000000)
#define WEIR_NS_PER_S INT64_C(1000000000)
#define WEIR_NS_NEVER INT64_MAX

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t weir_clock_now_ns(void);
/* Milliseconds since 1970-01-01 UTC. */
int64_t weir_clock_wall_ms(void);
/* `base_ns` + `ms` without overflow; WEIR_NS_NEVER absorbs. */
int64_t weir_clock_after_ms(int64_t base_ns, int64_t ms);
/* Whole milliseconds from now until `deadline_ns`, rounded up, 0 if past, at most INT32_MAX: for poll(2). */
int weir_clock_wait_ms(int64_t deadline_ns);

enum { WEIR_CLOCK_TEXT_SIZE = 25 };
/* "2026-11-24T11:32:59.123Z" */
void weir_clock_format(int64_t wall_ms, char text[WEIR_CLOCK_TEXT_SIZE]);

#endif
