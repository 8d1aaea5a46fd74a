/* SPDX-License-Identifier: Apache-2.0 */
/* channel/runtime: the backends that are open. */
#ifndef WEIR_CHANNEL_RUNTIME_H
#define WEIR_CHANNEL_RUNTIME_H

#include "channel/internal.h"

/* The backend of a kind, opened if it is the first time. Borrowed from the runtime. */
int weir_runtime_backend(weir_runtime *runtime, const char *kind, struct weir_backend **ret, struct weir_error *err);

/*
 * Events that were persisted after their publisher had been told WEIR_UNKNOWN,
 * since start, over all channels on this channel's backend. Any thread.
 */
uint64_t weir_channel_late(const weir_channel *channel);

#endif
