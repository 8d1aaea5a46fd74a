/* SPDX-License-Identifier: Apache-2.0 */
/* cli/tail: between the two ways in which `weir tail` gets its events. */
#ifndef WEIR_CLI_TAIL_H
#define WEIR_CLI_TAIL_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/event.h>

#include "cli/load.h"

struct weir_tail {
	struct weir_cli_channel channel;
	const char *group; /* NULL: a subscription that is forgotten at the end */
	bool forget;       /* ... and so is `group` */
	bool earliest;
	bool pretty;
	uint64_t count;      /* events wanted; 0: no end */
	int64_t deadline_ns; /* WEIR_NS_NEVER: none */
	uint64_t seen;       /* events written */
	weir_event *event;   /* for decoding, one after the other */
};

/* What is still wanted; UINT64_MAX if there is no end. */
static inline uint64_t weir_tail_wanted(const struct weir_tail *tail)
{
	return tail->count ? tail->count - tail->seen : UINT64_MAX;
}

/*
 * Subscribes to an open channel and writes events until there were enough, the
 * deadline passed or SIGINT or SIGTERM came. Returns the exit code.
 */
int weir_tail_channel(struct weir_tail *tail, weir_channel *channel);

/* The same through the admin port at `base` of a running Weir. */
int weir_tail_admin(struct weir_tail *tail, const char *base, bool direct);

#endif
