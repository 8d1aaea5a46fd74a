/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/watch: notices that something changed which a configuration was read from:
 * files, also when an editor replaces them or they are symbolic links, and folders
 * that Kubernetes mounts, where the link `..data` is what changes.
 *
 * What the kernel tells is only the reason to look: something changed when a path
 * is another file than the one that was read, or was written to since. Where the
 * kernel tells nothing (its watches are used up) it is looked at every few seconds.
 * All of this belongs to the loop's thread.
 */
#ifndef WEIR_CLI_WATCH_H
#define WEIR_CLI_WATCH_H

#include <weir/config.h>

#include "base/loop.h"

struct weir_watcher;

/* `changed` is called on the loop, some time after the last change. WEIR_ENOMEM. */
int weir_watcher_new(struct weir_loop *loop, void (*changed)(void *ctx), void *ctx, struct weir_watcher **ret);
/* Also when the loop's thread has ended. NULL is allowed. */
void weir_watcher_free(struct weir_watcher *watcher);

/* Forgets what it watches. */
void weir_watcher_clear(struct weir_watcher *watcher);
/* Watches what a configuration was read from, as it was when it was read. */
void weir_watcher_add(struct weir_watcher *watcher, const weir_config *config);
/* Of what was added: looks, and watches. */
void weir_watcher_begin(struct weir_watcher *watcher);

#endif
