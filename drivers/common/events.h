/* SPDX-License-Identifier: Apache-2.0 */
/* common/events: the array that poll() fills, and waiting for something to fill it with. */
#ifndef WEIR_DRIVER_COMMON_EVENTS_H
#define WEIR_DRIVER_COMMON_EVENTS_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <weir/driver.h>

/* Elements are as far apart as the host's struct is large, which may be a newer one than ours. */
struct events {
	char *base;
	size_t stride, count, max;
	size_t errors; /* how many of the instance's own errors are lent to events so far */
};

/* `max` elements, whose size the host has set in the first. */
static inline struct events weir_events_of(struct weir_driver_event *base, size_t max)
{
	return (struct events){ .base = (char *)base, .stride = max ? base->size : 0, .max = max };
}

/* The next element, empty. The caller knows that there is room. */
static inline struct weir_driver_event *weir_events_add(struct events *events)
{
	struct weir_driver_event *event = (void *)(events->base + events->count++ * events->stride);

	memset(event, 0, sizeof *event);
	event->size = (uint32_t)events->stride;
	return event;
}

/* Waits for `fd` until timeout_ns of the monotonic clock. False: the time is over. */
static inline bool weir_events_await(int fd, int64_t timeout_ns)
{
	struct pollfd ready = { fd, POLLIN, 0 };
	struct timespec now, wait;
	int64_t left;

	if (!timeout_ns)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	left = timeout_ns - ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
	wait = (struct timespec){ left / 1000000000, left % 1000000000 };
	return left > 0 && (ppoll(&ready, 1, &wait, NULL) >= 0 || errno == EINTR);
}

#endif
