/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/moving: channels that move to another backend. The runtime moves them;
 * here is what the dispatcher has to know of the backend, and learns in time.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "dispatch/dispatcher_state.h"

int weir_dispatch_kind_new(const char *name, struct weir_dispatch_kind **ret)
{
	size_t size = strlen(name) + 1;
	struct weir_dispatch_kind *kind = weir_mem_alloc(sizeof *kind + size);

	*ret = kind;
	if (!kind)
		return WEIR_ENOMEM;
	memcpy(kind->name, name, size);
	return WEIR_OK;
}

void weir_dispatch_channel_take_kind(struct weir_dispatch_channel *channel, struct weir_dispatch_kind *kind)
{
	kind->next = channel->kinds;
	channel->kinds = kind;
	atomic_store(&channel->kind, kind->name);
}

void weir_dispatch_channel_refresh(struct weir_dispatch_channel *channel)
{
	const struct weir_caps *caps = weir_channel_caps(channel->ingress.channel);
	bool in_memory = caps->durability && strcmp(caps->durability, "memory") == 0;
	bool atomic = caps->bits & WEIR_CAP_BIT(WEIR_CAP_ATOMIC_BATCH);
	struct weir_ingress_channel *ways[] = { &channel->ingress, &channel->door.events, &channel->door.kyma };

	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		atomic_store(&ways[i]->volatile_store, in_memory);
		atomic_store(&ways[i]->atomic_batch, atomic);
	}
}

/* ---- looking after -------------------------------------------------------- */

struct adapting {
	const struct weir_dispatch_row *row;
	const struct weir_delivery_loop *loop;
};

static void adapt_on_loop(void *ctx)
{
	const struct adapting *adapting = ctx;

	for (size_t i = 0; i < adapting->row->egress_count; i++) {
		if (weir_egress_loop(adapting->row->egresses[i]) == adapting->loop)
			weir_egress_adapt(adapting->row->egresses[i]);
	}
}

static void adapt(struct weir_dispatcher *dispatcher, const struct weir_dispatch_row *row)
{
	weir_dispatch_channel_refresh(row->channel);
	for (size_t i = 0; i < dispatcher->delivery_count; i++) {
		struct adapting adapting = { row, dispatcher->delivery_loops[i] };

		weir_worker_call(&dispatcher->delivery_loops[i]->worker, adapt_on_loop, &adapting);
	}
}

static bool is_moving(const struct weir_dispatch_channel *channel)
{
	struct weir_move_info info;

	return weir_channel_move_info(channel->ingress.channel, 0, &info) == WEIR_OK;
}

bool weir_moving_tend(struct weir_dispatcher *dispatcher)
{
	const struct weir_topology *topology = dispatcher->topology;
	bool any = false;

	for (size_t i = 0; i < topology->row_count; i++) {
		struct weir_dispatch_channel *channel = topology->rows[i].channel;
		bool moves = is_moving(channel);

		/* Once more when it has arrived. */
		if (moves || channel->moving)
			adapt(dispatcher, &topology->rows[i]);
		if (channel->moving && !moves)
			weir_log(WEIR_LOG_NOTICE, "channel %s/%s has moved to %s: nothing is left elsewhere",
				 channel->ns, channel->name, weir_channel_kind(channel->ingress.channel));
		channel->moving = moves;
		any |= moves;
	}
	return any;
}

void weir_moving_begin(struct weir_dispatcher *dispatcher)
{
	const struct weir_topology *topology = dispatcher->topology;

	for (size_t i = 0; i < topology->row_count; i++) {
		struct weir_dispatch_channel *channel = topology->rows[i].channel;

		channel->moving = channel->moving || is_moving(channel);
		if (channel->moving)
			weir_tend_soon(dispatcher);
	}
}
