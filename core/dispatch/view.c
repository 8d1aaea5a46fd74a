/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/view: what the dispatcher tells of itself, to any thread. */
#include "base/mem.h"
#include "channel/runtime.h"
#include "dispatch/dispatcher_state.h"

static void view_moves(weir_channel *channel, struct weir_channel_view *ret)
{
	while (ret->move_count < WEIR_VIEW_MOVES &&
	       weir_channel_move_info(channel, ret->move_count, &ret->moves[ret->move_count]) == WEIR_OK)
		ret->move_count++;
}

static void view_backend(weir_channel *channel, struct weir_channel_view *ret)
{
	ret->ready = weir_channel_ready(channel, &ret->error) == WEIR_OK;
	ret->figures.late = weir_channel_late(channel);
}

static void view_channel(const struct weir_dispatch_channel *channel, bool open, struct weir_channel_view *ret)
{
	*ret = (struct weir_channel_view){
		.ns = channel->ns,
		.name = channel->name,
		.kind = channel->kind,
		.error = WEIR_ERROR_INIT,
	};
	if (open) {
		ret->kind = weir_channel_kind(channel->ingress.channel);
		view_backend(channel->ingress.channel, ret);
		view_moves(channel->ingress.channel, ret);
	}
	else
		weir_fail(&ret->error, WEIR_ECLOSED, "closed");
	weir_ingress_add_figures(&channel->ingress, &ret->figures);
}

static bool visit_row(const struct weir_dispatch_row *row, bool open,
		      bool (*visit)(void *ctx, const struct weir_channel_view *view), void *ctx)
{
	size_t count = row->egress_count;
	struct weir_subscription_view *subscriptions = weir_mem_alloc((count + 1) * sizeof *subscriptions);
	struct weir_channel_view view;
	bool more;

	view_channel(row->channel, open, &view);
	if (subscriptions) {
		for (size_t i = 0; i < count; i++)
			weir_egress_view(row->egresses[i], open, &subscriptions[i]);
		view.subscriptions = subscriptions;
		view.subscription_count = count;
	}
	more = visit(ctx, &view);
	weir_mem_free(subscriptions);
	return more;
}

void weir_dispatcher_visit(struct weir_dispatcher *dispatcher,
			   bool (*visit)(void *ctx, const struct weir_channel_view *view), void *ctx)
{
	bool open;
	struct weir_topology *topology = weir_topology_enter(dispatcher, &open);

	for (size_t i = 0; i < topology->row_count; i++) {
		if (!visit_row(&topology->rows[i], open, visit, ctx))
			break;
	}
	weir_topology_leave(dispatcher, topology);
}

int weir_dispatcher_open_channel(struct weir_dispatcher *dispatcher, const char *ns, const char *name,
				 weir_channel **ret, struct weir_error *err)
{
	bool open;
	struct weir_topology *topology = weir_topology_enter(dispatcher, &open);
	const struct weir_dispatch_channel *channel = weir_topology_find(topology, ns, name);
	int code;

	if (channel && open) /* it is open already: this counts, and waits for nobody */
		code = weir_channel_open(dispatcher->runtime, ns, name, channel->kind, ret, err);
	else
		code = weir_fail(err, open ? WEIR_ENOTFOUND : WEIR_ECLOSED,
				 open ? "there is no such channel; /status lists them" : "closed");
	weir_topology_leave(dispatcher, topology);
	return code;
}

void weir_dispatcher_server_figures(struct weir_dispatcher *dispatcher, struct weir_ingress_server_figures *ret)
{
	*ret = (struct weir_ingress_server_figures){ 0 };
	for (size_t i = 0; i < dispatcher->ingress_count; i++)
		weir_ingress_add_server_figures(dispatcher->ingresses[i], ret);
	ret->certificate_expiry = weir_tls_slot_expiry(&dispatcher->tls);
}

const char *weir_dispatcher_quarantine_folder(const struct weir_dispatcher *dispatcher)
{
	return dispatcher->settings.quarantine_path;
}
