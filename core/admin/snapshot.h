/* SPDX-License-Identifier: Apache-2.0 */
/* admin/snapshot: all figures at one moment, so that an answer agrees with itself. Internal to core/admin. */
#ifndef WEIR_ADMIN_SNAPSHOT_H
#define WEIR_ADMIN_SNAPSHOT_H

#include <weir/channel.h>

#include "admin/reload.h"
#include "base/arena.h"
#include "dispatch/dispatcher.h"

/* Of this process. */
struct weir_admin_process {
	uint64_t resident_bytes;
	uint64_t open_fds, max_fds; /* 0: not known */
	uint64_t threads;
	double cpu_seconds;
	double start_seconds; /* since 1970-01-01 UTC; 0: not known */
};
/* When this process was started. The clock drifts: asked once, so that the figure never changes. */
double weir_admin_process_start(void);
/* All but start_seconds. */
void weir_admin_process_read(struct weir_admin_process *ret);

struct weir_admin_snapshot {
	struct weir_arena arena; /* the strings and arrays below */
	struct weir_channel_view *channels;
	size_t channel_count;
	size_t channel_capacity;
	struct weir_ingress_server_figures server;
	struct weir_admin_process process;
	struct weir_admin_reload_state reload;
	bool draining;
	bool failed;
};

/* WEIR_ENOMEM; weir_admin_snapshot_fini() in any case. */
int weir_admin_snapshot_init(struct weir_admin_snapshot *snapshot, const struct weir_admin_reload_state *reload,
			     struct weir_dispatcher *dispatcher, double start_seconds, bool draining);
void weir_admin_snapshot_fini(struct weir_admin_snapshot *snapshot);
/* Nothing is draining, every channel and subscription is ready. */
bool weir_admin_snapshot_ready(const struct weir_admin_snapshot *snapshot);

#endif
