/* SPDX-License-Identifier: Apache-2.0 */
/* channel/runtime: the backends that are open. */
#ifndef WEIR_CHANNEL_RUNTIME_H
#define WEIR_CHANNEL_RUNTIME_H

#include "channel/internal.h"

/*
 * The backend of a kind, opened if it is the first time; counted as used until
 * weir_runtime_leave(). WEIR_EAGAIN: the one that there was is being closed.
 */
int weir_runtime_backend(weir_runtime *runtime, const char *kind, struct weir_backend **ret, struct weir_error *err);
/* Uses it no longer. It is closed if nobody does and it is broken, or `last` is set. */
void weir_runtime_leave(weir_runtime *runtime, struct weir_backend *backend, bool last);
/* Closes those that are broken and that nobody uses. */
void weir_runtime_sweep(weir_runtime *runtime);
/* Whether the caller is the thread of one of the backends. */
bool weir_runtime_on_pump(weir_runtime *runtime);

/*
 * Events that were persisted after their publisher had been told WEIR_UNKNOWN,
 * since start, over all channels on this channel's backend. Any thread.
 */
uint64_t weir_channel_late(const weir_channel *channel);

#endif
