/* SPDX-License-Identifier: Apache-2.0 */
/* admin/quarantine_work: what is done with quarantine on request. Blocks. Internal to core/admin. */
#ifndef WEIR_ADMIN_QUARANTINE_WORK_H
#define WEIR_ADMIN_QUARANTINE_WORK_H

#include <weir/event.h>

#include "base/dynbuf.h"
#include "dispatch/dispatcher.h"
#include "dispatch/quarantine_folder.h"

enum weir_quarantine_action {
	WEIR_QUARANTINE_LIST,
	WEIR_QUARANTINE_SHOW,
	WEIR_QUARANTINE_REPLAY,
	WEIR_QUARANTINE_DROP
};

struct weir_quarantine_query {
	enum weir_quarantine_action action;
	char name[WEIR_QUARANTINE_NAME_SIZE];          /* LIST: behind which; "" all */
	char ns[256], channel[256], subscription[256]; /* LIST: only these; "" any */
	uint64_t limit;
};

/* Reads path and query of a request. NULL, or what is wrong with it. */
const char *weir_quarantine_query_read(struct weir_buf path, struct weir_buf query, bool post,
				       struct weir_quarantine_query *ret);

/* Writes the answer's body to `out`. WEIR_EINVAL: it cannot be replayed. */
int weir_quarantine_work(struct weir_dispatcher *dispatcher, const struct weir_quarantine_query *query,
			 weir_event *event, struct weir_dynbuf *out, struct weir_error *err);

#endif
