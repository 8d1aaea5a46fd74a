/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/view: what the dispatcher tells of itself, to any thread. */
#include "base/mem.h"
#include "channel/runtime.h"
#include "dispatch/dispatcher_state.h"

/* False: it is closed, or being closed: only counters may be read. */
static bool enter(struct weir_dispatcher *dispatcher)
{
	atomic_fetch_add(&dispatcher->visitors, 1);
	if (!atomic_load(&dispatcher->closed))
		return true;
	atomic_fetch_sub(&dispatcher->visitors, 1);
	return false;
}

static void leave(struct weir_dispatcher *dispatcher)
{
	atomic_fetch_sub(&dispatcher->visitors, 1);
}

static void view_backend(weir_channel *channel, struct weir_channel_view *ret)
{
	ret->ready = weir_channel_ready(channel, &ret->error) == WEIR_OK;
	ret->figures.late = weir_channel_late(channel);
}

static void view_channel(const struct weir_dispatcher *dispatcher, const struct weir_dispatch_channel *channel,
			 bool open, struct weir_channel_view *ret)
{
	*ret = (struct weir_channel_view){
		.ns = channel->settings->ns,
		.name = channel->settings->name,
		.kind = channel->kind,
		.error = WEIR_ERROR_INIT,
	};
	if (open)
		view_backend(channel->ingress.channel, ret);
	else
		weir_fail(&ret->error, WEIR_ECLOSED, "closed");
	for (size_t i = 0; i < dispatcher->ingress_count; i++)
		weir_ingress_add_figures(dispatcher->ingresses[i], channel->ingress.index, &ret->figures);
}

static bool visit_channel(struct weir_dispatcher *dispatcher, const struct weir_dispatch_channel *channel, bool open,
			  bool (*visit)(void *ctx, const struct weir_channel_view *view), void *ctx)
{
	size_t count = channel->settings->subscription_count;
	struct weir_subscription_view *subscriptions = weir_mem_alloc((count + 1) * sizeof *subscriptions);
	struct weir_channel_view view;
	bool more;

	view_channel(dispatcher, channel, open, &view);
	if (subscriptions) {
		for (size_t i = 0; i < count; i++)
			weir_egress_view(channel->egresses[i], open, &subscriptions[i]);
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
	bool open = enter(dispatcher);

	for (size_t i = 0; i < dispatcher->channel_count; i++) {
		if (!visit_channel(dispatcher, &dispatcher->channels[i], open, visit, ctx))
			break;
	}
	if (open)
		leave(dispatcher);
}

void weir_dispatcher_server_figures(struct weir_dispatcher *dispatcher, struct weir_ingress_server_figures *ret)
{
	*ret = (struct weir_ingress_server_figures){ 0 };
	for (size_t i = 0; i < dispatcher->ingress_count; i++)
		weir_ingress_add_server_figures(dispatcher->ingresses[i], ret);
}
