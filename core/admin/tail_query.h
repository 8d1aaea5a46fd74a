/* SPDX-License-Identifier: Apache-2.0 */
/* admin/tail_query: what a request for a tail asks for. Internal to core/admin. */
#ifndef WEIR_ADMIN_TAIL_QUERY_H
#define WEIR_ADMIN_TAIL_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/driver.h>

enum { WEIR_ADMIN_NAME_MAX = 256 };

struct weir_admin_tail_query {
	char ns[WEIR_ADMIN_NAME_MAX];
	char name[WEIR_ADMIN_NAME_MAX];
	bool earliest;
	uint64_t count; /* 0: without end */
};

/* NULL, or what is wrong (static). `path`: "/tail/NS/NAME"; `query` may have no value. */
const char *weir_admin_tail_query_read(struct weir_buf path, struct weir_buf query, struct weir_admin_tail_query *ret);

#endif
