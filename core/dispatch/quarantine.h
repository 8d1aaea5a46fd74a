/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/quarantine: the last place for an event that nobody takes: a file of
 * its own in a folder, synced before the delivery is acknowledged.
 *
 * A thread of its own writes, so that no loop waits for a disk. Everything that
 * waits in its queue is written before the folder is synced once for all of it.
 * The folder is made when the first event comes.
 */
#ifndef WEIR_DISPATCH_QUARANTINE_H
#define WEIR_DISPATCH_QUARANTINE_H

#include <stdint.h>

#include <weir/driver.h>
#include <weir/error.h>

#include "base/loop.h"

struct weir_quarantine;

/* One file to write. Embedded in its owner's struct. */
struct weir_quarantine_job {
	struct weir_quarantine_job *next;
	struct weir_buf text;   /* what to write; the owner's, until `task` ran */
	struct weir_loop *loop; /* where `task` is posted when it is done */
	struct weir_task task;
	struct weir_error error; /* code WEIR_OK: it is on disk */
	char name[64];           /* of the file in the folder */
};

/*
 * `max_files`: refuse beyond that many in the folder (those found at start
 * count). The thread starts with the first job. WEIR_ENOMEM.
 */
int weir_quarantine_new(const char *folder, uint64_t max_files, struct weir_quarantine **ret, struct weir_error *err);
/* What is queued is written first. NULL is allowed. */
void weir_quarantine_free(struct weir_quarantine *quarantine);

/* Any thread. `job->task` runs on `job->loop` exactly once, with `job->error` set. */
void weir_quarantine_write(struct weir_quarantine *quarantine, struct weir_quarantine_job *job);

#endif
