/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/reload_state.h"

#include "base/container.h"
#include "base/mem.h"
#include "base/str.h"

struct weir_admin_ticket {
	struct weir_loop *loop;
	struct weir_http_request *request;
	struct weir_task answer;
	int status;
	char *body;
	size_t len;
};

void weir_admin_reloads_init(struct weir_admin_reloads *reloads)
{
	pthread_mutex_init(&reloads->lock, NULL);
	reloads->state.generation = 1;
}

void weir_admin_reloads_fini(struct weir_admin_reloads *reloads)
{
	pthread_mutex_destroy(&reloads->lock);
}

void weir_admin_reloads_copy(struct weir_admin_reloads *reloads, struct weir_admin_reload_state *ret)
{
	pthread_mutex_lock(&reloads->lock);
	*ret = reloads->state;
	pthread_mutex_unlock(&reloads->lock);
}

/* ---- requests ------------------------------------------------------------- */

static void on_answer(struct weir_task *task)
{
	struct weir_admin_ticket *ticket = WEIR_CONTAINER(task, struct weir_admin_ticket, answer);
	const struct weir_header headers[] = { { WEIR_STR("Content-Type"), WEIR_STR("application/json") },
					       { WEIR_STR("Cache-Control"), WEIR_STR("no-store") } };

	if (ticket->body)
		weir_http_respond(ticket->request, ticket->status, headers, 2,
				  (struct weir_buf){ ticket->body, ticket->len });
	else
		weir_http_respond_error(ticket->request, 503, "overloaded",
					"out of memory for the answer; /status says what became of it");
	weir_mem_free(ticket->body);
	weir_mem_free(ticket);
}

void weir_admin_ticket_answer(struct weir_admin_ticket *ticket, int status, struct weir_buf body)
{
	ticket->status = status;
	ticket->body = body.ptr ? weir_mem_strndup(body.ptr, body.len) : NULL;
	ticket->len = body.len;
	weir_loop_post(ticket->loop, &ticket->answer);
}

void weir_admin_reloads_handle(struct weir_admin_reloads *reloads, struct weir_http_request *request)
{
	struct weir_admin_ticket *ticket = weir_mem_zalloc(1, sizeof *ticket);
	bool taken;

	if (!ticket) {
		weir_http_respond_error(request, 503, "overloaded", "out of memory; nothing was reloaded");
		return;
	}
	ticket->loop = reloads->loop;
	ticket->request = request;
	ticket->answer.run = on_answer;
	pthread_mutex_lock(&reloads->lock);
	/* With the lock, so that nobody is called any more once the handler is taken away. It only posts a task. */
	taken = reloads->reload != NULL;
	if (taken)
		reloads->reload(reloads->ctx, ticket);
	pthread_mutex_unlock(&reloads->lock);
	if (taken)
		return;
	weir_http_respond_error(request, 503, "not_ready", "the process is about to begin or to end");
	weir_mem_free(ticket);
}
