/* SPDX-License-Identifier: Apache-2.0 */
/* admin/metrics: which figures are exposed, under which names. Internal to core/admin. */
#ifndef WEIR_ADMIN_METRICS_H
#define WEIR_ADMIN_METRICS_H

#include "admin/exposition.h"
#include "admin/snapshot.h"

/* Writes all families. WEIR_ENOMEM. */
int weir_admin_metrics_write(struct weir_exposition *exposition, const struct weir_admin_snapshot *snapshot,
			     weir_runtime *runtime);

#endif
