/* SPDX-License-Identifier: Apache-2.0 */
/* admin/status: /readyz and /status as JSON. Internal to core/admin. */
#ifndef WEIR_ADMIN_STATUS_H
#define WEIR_ADMIN_STATUS_H

#include "admin/snapshot.h"
#include "base/dynbuf.h"

/* Append to `out`. WEIR_ENOMEM. */
int weir_admin_readyz_write(struct weir_dynbuf *out, const struct weir_admin_snapshot *snapshot);
int weir_admin_status_write(struct weir_dynbuf *out, const struct weir_admin_snapshot *snapshot, weir_runtime *runtime);

#endif
