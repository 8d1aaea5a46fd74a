/* SPDX-License-Identifier: Apache-2.0 */
/* channel/runtime: the backends that are open. */
#ifndef WEIR_CHANNEL_RUNTIME_H
#define WEIR_CHANNEL_RUNTIME_H

#include "channel/internal.h"

/* The backend of a kind, opened if it is the first time. Borrowed from the runtime. */
int weir_runtime_backend(weir_runtime *runtime, const char *kind, struct weir_backend **ret, struct weir_error *err);

#endif
