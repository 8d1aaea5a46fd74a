/* SPDX-License-Identifier: Apache-2.0 */
/* admin/reload_state: the admin port's side of reloads. Internal to core/admin. */
#ifndef WEIR_ADMIN_RELOAD_STATE_H
#define WEIR_ADMIN_RELOAD_STATE_H

#include <pthread.h>

#include "admin/reload.h"
#include "base/loop.h"
#include "http/server.h"

struct weir_admin_reloads {
	struct weir_loop *loop;
	pthread_mutex_t lock; /* of all below */
	weir_admin_reload_fn *reload;
	void *ctx;
	struct weir_admin_reload_state state;
};

void weir_admin_reloads_init(struct weir_admin_reloads *reloads);
void weir_admin_reloads_fini(struct weir_admin_reloads *reloads);
/* Takes the request. On the loop. */
void weir_admin_reloads_handle(struct weir_admin_reloads *reloads, struct weir_http_request *request);
void weir_admin_reloads_copy(struct weir_admin_reloads *reloads, struct weir_admin_reload_state *ret);

#endif
