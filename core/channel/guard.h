/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel/guard: stands between the core and one instance of a driver.
 *
 * Keeps what weir/driver.h promises to a driver: no more calls at a time than
 * its thread level allows, none in a forked child (WEIR_EFORKED), none after
 * close (WEIR_ECLOSED). Distrusts what comes back: codes, counts and errors are
 * brought into range. Tokens, credit and completions are kept by those who own
 * them: subscription.c and lane.c.
 *
 * No lock but the guard's own is ever held across a call into a driver. Thread
 * level 3 has none: then the guard costs two atomic additions.
 */
#ifndef WEIR_CHANNEL_GUARD_H
#define WEIR_CHANNEL_GUARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "channel/gate.h"
#include "channel/loader.h"

enum { WEIR_GUARD_GROUPS = 3 };

struct weir_guard {
	struct weir_loaded *driver;
	struct weir_inst *inst;
	uint64_t fork_mark;
	uint32_t level;        /* enum weir_thread_level */
	struct weir_gate gate; /* shut: closed */
	pthread_mutex_t turns[WEIR_GUARD_GROUPS];
	_Atomic uint64_t broken; /* answers that were out of range */
};

/* Before anything else; weir_guard_fini(). */
void weir_guard_init(struct weir_guard *guard, struct weir_loaded *driver);
/*
 * Opens an instance and asks for its capabilities. `settings`: as
 * weir_driver.open has it. Blocks as long as the driver does.
 */
int weir_guard_open(struct weir_guard *guard, const struct weir_host *host, const struct weir_setting *settings,
		    size_t count, struct weir_caps *caps, struct weir_error *err);

/*
 * Refuses further calls and waits for those under way. WEIR_ETIMEDOUT: one does
 * not come back by deadline_ns + 0.5 s; then the instance can never be closed.
 */
int weir_guard_shut(struct weir_guard *guard, int64_t deadline_ns, struct weir_error *err);
/* After shutting. Closes the instance. */
int weir_guard_close(struct weir_guard *guard, int64_t deadline_ns, uint32_t flags, struct weir_error *err);
/* Both, at once: for an instance that turned out to be of no use. */
void weir_guard_abort(struct weir_guard *guard);
/* After close and the last release, or after an open that failed. */
void weir_guard_fini(struct weir_guard *guard);

/* The operations, as in weir/driver.h. */
int weir_guard_caps(struct weir_guard *guard, struct weir_caps *ret);
int weir_guard_topic_open(struct weir_guard *guard, const char *ns, const char *name, struct weir_topic **ret,
			  struct weir_error *err);
void weir_guard_topic_close(struct weir_guard *guard, struct weir_topic *topic);
int weir_guard_publish(struct weir_guard *guard, const struct weir_publish *items, size_t count, size_t *accepted,
		       struct weir_error *err);
int weir_guard_flush(struct weir_guard *guard, int64_t deadline_ns, uint64_t *left);
int weir_guard_subscribe(struct weir_guard *guard, struct weir_topic *topic, const struct weir_sub_spec *spec,
			 struct weir_sub **ret, struct weir_error *err);
int weir_guard_credit(struct weir_guard *guard, struct weir_sub *sub, int64_t records, int64_t bytes);
int weir_guard_poll(struct weir_guard *guard, struct weir_driver_event *events, size_t max, size_t *count);
int weir_guard_event_fd(struct weir_guard *guard);
int weir_guard_settle(struct weir_guard *guard, struct weir_sub *sub, int verb, const struct weir_token *tokens,
		      size_t count, int64_t arg, uint16_t *codes);
/* Also after close. Does nothing in a forked child. */
void weir_guard_release(struct weir_guard *guard, void *lease);
int weir_guard_unsubscribe(struct weir_guard *guard, struct weir_sub *sub, int keep, int64_t deadline_ns,
			   struct weir_error *err);
int weir_guard_pause(struct weir_guard *guard, struct weir_sub *sub, int on);
int weir_guard_health(struct weir_guard *guard, struct weir_health *ret);
int weir_guard_stats(struct weir_guard *guard, struct weir_stats *ret);
int weir_guard_sub_stats(struct weir_guard *guard, struct weir_sub *sub, struct weir_sub_stats *ret);

/* A copy of a driver's error that can be relied on: terminated, one line, known code. `from` may be NULL. */
void weir_guard_error(struct weir_error *to, const struct weir_error *from, int code, const char *fallback);

#endif
