/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/change: from one configuration to another while events flow, all of
 * it or nothing.
 *
 *   prepare   opens new channels, makes and subscribes new subscriptions, which
 *             hold what they get, and gives those that stay what they need for
 *             their new settings. Nothing that is in use changes. May fail.
 *   commit    hands all of it over: subscriptions, then routes, then views; what
 *             is not there any more is retired. Cannot fail.
 *
 * A start is a change from nothing.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "dispatch/dispatcher_state.h"

enum { UNDO_MS = 2000 };

/* A subscription of the next topology. */
struct item {
	struct weir_egress **slot; /* in the next topology */
	struct weir_dispatch_channel *channel;
	const struct weir_subscription_settings *settings;
	struct weir_delivery_loop *loop;
	struct weir_egress *now;      /* goes on with other settings; NULL: a new one is made */
	struct weir_egress *replaced; /* by the new one, under the same identity */
	struct weir_retired *before;  /* the new one has to wait for it */
};

/* A channel that goes to another kind. */
struct move {
	struct weir_dispatch_row *row; /* of the next topology */
	struct weir_dispatch_kind *to; /* NULL once the channel has it */
};

struct change {
	struct weir_dispatcher *dispatcher;
	struct weir_topology *now, *next; /* `now` NULL: this is the start */
	struct item *items;
	size_t item_count;
	struct move *moves; /* room for one for each channel */
	size_t move_count;
	struct weir_retired *spare; /* one for each thing that may have to be retired */
	struct weir_error *err;
	int code;
};

/* ---- what there is now ---------------------------------------------------- */

static const struct weir_dispatch_row *row_now(const struct change *change, const char *ns, const char *name)
{
	struct weir_dispatch_channel *channel;

	if (!change->now)
		return NULL;
	channel = weir_topology_find(change->now, ns, name);
	return channel ? &change->now->rows[channel->row] : NULL;
}

static struct weir_egress *egress_now(const struct weir_dispatch_row *row, const char *uid)
{
	for (size_t i = 0; row && i < row->egress_count; i++) {
		if (strcmp(weir_egress_settings(row->egresses[i])->uid, uid) == 0)
			return row->egresses[i];
	}
	return NULL;
}

static bool stays(const struct change *change, const struct weir_egress *egress)
{
	for (size_t i = 0; i < change->item_count; i++) {
		if (change->items[i].now == egress)
			return true;
	}
	return false;
}

/* ---- prepare: channels ---------------------------------------------------- */

static int note_move(struct change *change, struct weir_dispatch_row *row, const char *kind)
{
	struct move *move = &change->moves[change->move_count];

	if (weir_dispatch_kind_new(kind, &move->to))
		return weir_fail(change->err, WEIR_ENOMEM, "out of memory for a channel");
	move->row = row;
	change->move_count++;
	return WEIR_OK;
}

static int take_channel(struct change *change, const struct weir_channel_settings *settings,
			struct weir_dispatch_row *ret)
{
	const struct weir_dispatch_row *row = row_now(change, settings->ns, settings->name);
	const char *kind = weir_config_kind(change->next->config, settings->ns, settings->name);

	if (!row)
		return weir_dispatch_channel_open(change->dispatcher, settings, kind, &ret->channel, change->err);
	ret->channel = row->channel;
	return strcmp(row->channel->kind, kind) == 0 ? WEIR_OK : note_move(change, ret, kind);
}

static int take_channels(struct change *change, const struct weir_channel_settings *settings)
{
	struct weir_topology *next = change->next;

	for (size_t i = 0; i < next->row_count; i++) {
		struct weir_dispatch_row *row = &next->rows[i];
		int code = take_channel(change, &settings[i], row);

		if (code)
			return code;
		row->egresses = weir_mem_zalloc(settings[i].subscription_count + 1, sizeof(struct weir_egress *));
		if (!row->egresses)
			return weir_fail(change->err, WEIR_ENOMEM, "out of memory for a channel");
		row->egress_count = settings[i].subscription_count;
		code = weir_router_add(next->router, row->channel->ns, row->channel->name, row->channel);
		if (code)
			return weir_fail(change->err, code, "channel \"%s/%s\" is there twice", settings[i].ns,
					 settings[i].name);
	}
	return WEIR_OK;
}

static int add_adapters(struct change *change)
{
	const struct weir_dispatch_settings *settings = &change->dispatcher->settings;

	for (size_t i = 0; i < change->next->row_count; i++) {
		struct weir_dispatch_channel *channel = change->next->rows[i].channel;
		int code = weir_adapter_add(change->next->router, settings->events_namespace, channel->ns,
					    channel->name, &channel->door);

		if (code)
			return weir_fail(change->err, code, "cannot add the paths of the source adapter: %s",
					 weir_code_text(code));
	}
	return WEIR_OK;
}

/* ---- prepare: delivery loops ---------------------------------------------- */

static const char *given(const char *text)
{
	return text[0] ? text : NULL;
}

/* No more than there are subscriptions. Those that are made stay, whatever becomes of the change. */
static int make_loops(struct change *change)
{
	struct weir_dispatcher *dispatcher = change->dispatcher;
	const struct weir_dispatch_settings *settings = &dispatcher->settings;
	const struct weir_delivery_options options = {
		.runtime = dispatcher->runtime,
		.quarantine = dispatcher->quarantine,
		.client = { .rules = settings->rules,
			    .ca_file = given(settings->client_ca),
			    .certificate_file = given(settings->client_certificate),
			    .key_file = given(settings->client_key) },
		.event_limits = dispatcher->settings.event_limits,
		.max_reply_bytes = dispatcher->settings.limits.max_body_bytes,
		.max_hops = dispatcher->settings.max_hops,
	};
	size_t wanted = dispatcher->settings.delivery_loops;

	if (wanted > change->item_count)
		wanted = change->item_count;
	while (dispatcher->delivery_count < wanted) {
		struct weir_delivery_loop **loop = &dispatcher->delivery_loops[dispatcher->delivery_count];
		int code = weir_delivery_loop_new(&options, loop, change->err);

		if (!code)
			code = weir_worker_start(&(*loop)->worker, "weir-delivery", change->err);
		if (code) {
			weir_delivery_loop_free(*loop);
			return code;
		}
		dispatcher->delivery_count++;
	}
	return WEIR_OK;
}

/* ---- prepare: subscriptions ----------------------------------------------- */

static size_t count_items(const struct weir_channel_settings *settings, size_t count)
{
	size_t items = 0;

	for (size_t i = 0; i < count; i++)
		items += settings[i].subscription_count;
	return items;
}

static void find_item(struct change *change, struct item *item)
{
	struct weir_dispatcher *dispatcher = change->dispatcher;
	struct weir_egress *now =
	    egress_now(row_now(change, item->channel->ns, item->channel->name), item->settings->uid);

	if (now && weir_egress_can_take(now, item->settings)) {
		item->now = now;
		item->loop = weir_egress_loop(now);
		*item->slot = now;
		return;
	}
	item->replaced = now;
	if (!now)
		item->before =
		    weir_retired_find(dispatcher, item->channel->ns, item->channel->name, item->settings->uid);
	item->loop = dispatcher->delivery_loops[dispatcher->next_loop++ % dispatcher->delivery_count];
}

static void find_items(struct change *change, const struct weir_channel_settings *settings)
{
	struct item *item = change->items;

	for (size_t i = 0; i < change->next->row_count; i++) {
		for (size_t j = 0; j < settings[i].subscription_count; j++, item++) {
			item->slot = &change->next->rows[i].egresses[j];
			item->channel = change->next->rows[i].channel;
			item->settings = &settings[i].subscriptions[j];
			find_item(change, item);
		}
	}
}

struct on_loop {
	struct change *change;
	const struct weir_delivery_loop *loop;
};

static int make_item(struct change *change, const struct item *item)
{
	const struct weir_egress_options options = {
		.loop = item->loop,
		.channel = item->channel->ingress.channel,
		.settings = item->settings,
		.window_bytes = change->dispatcher->settings.window_bytes,
		.held = true,
	};

	return item->now ? weir_egress_prepare(item->now, item->settings, change->err)
			 : weir_egress_new(&options, item->slot, change->err);
}

static void prepare_on_loop(void *ctx)
{
	const struct on_loop *on = ctx;
	struct change *change = on->change;

	for (size_t i = 0; i < change->item_count && !change->code; i++) {
		if (change->items[i].loop == on->loop)
			change->code = make_item(change, &change->items[i]);
	}
}

static void commit_on_loop(void *ctx)
{
	const struct on_loop *on = ctx;

	for (size_t i = 0; i < on->change->item_count; i++) {
		const struct item *item = &on->change->items[i];

		if (item->loop == on->loop)
			weir_egress_commit(*item->slot);
	}
}

static void discard_on_loop(void *ctx)
{
	const struct on_loop *on = ctx;

	for (size_t i = 0; i < on->change->item_count; i++) {
		const struct item *item = &on->change->items[i];

		if (item->loop != on->loop)
			continue;
		if (item->now)
			weir_egress_discard(item->now);
		else if (*item->slot)
			weir_egress_stop(*item->slot);
	}
}

static void release_on_loop(void *ctx)
{
	const struct on_loop *on = ctx;

	for (size_t i = 0; i < on->change->item_count; i++) {
		struct item *item = &on->change->items[i];

		if (item->loop == on->loop && !item->now && *item->slot)
			weir_egress_release(*item->slot);
	}
}

static void on_each_loop(struct change *change, void (*run)(void *ctx))
{
	struct weir_dispatcher *dispatcher = change->dispatcher;

	for (size_t i = 0; i < dispatcher->delivery_count; i++) {
		struct on_loop on = { change, dispatcher->delivery_loops[i] };

		weir_worker_call(&dispatcher->delivery_loops[i]->worker, run, &on);
	}
}

static int subscribe_items(struct change *change)
{
	for (size_t i = 0; i < change->item_count; i++) {
		const struct item *item = &change->items[i];
		int code = WEIR_OK;

		if (!item->now && !item->replaced && !item->before)
			code = weir_egress_subscribe(*item->slot, change->err);
		if (code)
			return code;
	}
	return WEIR_OK;
}

/* ---- prepare: moves ------------------------------------------------------- */

static void expect_on_loop(void *ctx)
{
	const struct on_loop *on = ctx;

	for (size_t i = 0; i < on->change->move_count; i++) {
		const struct weir_dispatch_row *row = on->change->moves[i].row;

		for (size_t j = 0; j < row->egress_count; j++) {
			if (weir_egress_loop(row->egresses[j]) == on->loop)
				weir_egress_expect_move(row->egresses[j]);
		}
	}
}

/* The last thing that may fail, for it begins at once. */
static int begin_moves(struct change *change)
{
	int code = WEIR_OK;
	size_t begun = 0;

	if (change->move_count)
		on_each_loop(change, expect_on_loop);
	while (begun < change->move_count && !code) {
		const struct move *move = &change->moves[begun];

		code = weir_channel_move(move->row->channel->ingress.channel, move->to->name, change->err);
		begun += !code;
	}
	while (code && begun > 0) { /* nothing has happened yet, or it goes back the same way */
		struct weir_dispatch_channel *channel = change->moves[--begun].row->channel;

		weir_channel_move(channel->ingress.channel, channel->kind, NULL);
		channel->moving = true;
	}
	return code;
}

/* ---- prepare -------------------------------------------------------------- */

/* So that nothing of the commit needs memory. */
static int make_spares(struct change *change)
{
	size_t count = 0;

	for (size_t i = 0; change->now && i < change->now->row_count; i++)
		count += 1 + change->now->rows[i].egress_count;
	while (count--) {
		if (weir_retired_new(&change->spare))
			return WEIR_ENOMEM;
	}
	return WEIR_OK;
}

static int make_room(struct change *change, const weir_config *config, const struct weir_channel_settings *settings,
		     size_t count)
{
	change->item_count = count_items(settings, count);
	change->items = weir_mem_zalloc(change->item_count + 1, sizeof *change->items);
	change->moves = weir_mem_zalloc(count, sizeof *change->moves);
	if (!change->items || !change->moves || weir_topology_new(config, count, &change->next) || make_spares(change))
		return weir_fail(change->err, WEIR_ENOMEM, "out of memory for the channels");
	return WEIR_OK;
}

static int prepare(struct change *change, const weir_config *config)
{
	const struct weir_channel_settings *settings;
	size_t count = weir_topology_channels(config, &settings);
	int code = make_room(change, config, settings, count);

	if (!code)
		code = take_channels(change, settings);
	if (!code)
		code = add_adapters(change);
	if (!code)
		code = make_loops(change);
	if (code)
		return code;
	find_items(change, settings);
	on_each_loop(change, prepare_on_loop);
	code = change->code ? change->code : subscribe_items(change);
	return code ? code : begin_moves(change);
}

/* ---- not done ------------------------------------------------------------- */

static void close_new_channels(const struct change *change)
{
	for (size_t i = 0; change->next && i < change->next->row_count; i++) {
		struct weir_dispatch_channel *channel = change->next->rows[i].channel;

		if (channel && !row_now(change, channel->ns, channel->name))
			weir_dispatch_channel_free(channel);
	}
}

static void undo(struct change *change)
{
	int64_t deadline_ns = weir_clock_after_ms(weir_clock_now_ns(), UNDO_MS);
	struct weir_error err = WEIR_ERROR_INIT;

	on_each_loop(change, discard_on_loop);
	for (size_t i = 0; i < change->item_count; i++) {
		struct item *item = &change->items[i];

		if (item->now || !item->slot || !*item->slot ||
		    !weir_egress_unsubscribe(*item->slot, deadline_ns, &err))
			continue;
		weir_log(WEIR_LOG_ERROR, "a subscription that was not to be cannot be closed: %s", err.text);
		*item->slot = NULL; /* somebody may still call it */
	}
	on_each_loop(change, release_on_loop);
	close_new_channels(change);
	weir_topology_free(change->next);
}

/* ---- commit --------------------------------------------------------------- */

static struct weir_egress *successor_of(const struct change *change, const struct weir_egress *egress)
{
	for (size_t i = 0; i < change->item_count; i++) {
		if (change->items[i].replaced == egress)
			return *change->items[i].slot;
	}
	return NULL;
}

static void retire_row(struct change *change, const struct weir_dispatch_row *row)
{
	const struct weir_dispatch_channel *channel =
	    weir_topology_find(change->next, row->channel->ns, row->channel->name);

	for (size_t i = 0; i < row->egress_count; i++) {
		if (!stays(change, row->egresses[i]))
			weir_retire_egress(change->dispatcher, weir_retired_take(&change->spare), row->channel,
					   change->now->config, row->egresses[i],
					   successor_of(change, row->egresses[i]));
	}
	if (channel != row->channel)
		weir_retire_channel(change->dispatcher, weir_retired_take(&change->spare), row->channel);
}

struct routing {
	struct weir_ingress *ingress;
	const struct weir_topology *topology;
	uint64_t max_body;
};

static void route_on_loop(void *ctx)
{
	const struct routing *routing = ctx;

	weir_ingress_route(routing->ingress, routing->topology->router, routing->max_body);
}

static void route(struct weir_dispatcher *dispatcher, const struct weir_topology *topology)
{
	struct routing routing = {
		.topology = topology,
		.max_body = weir_topology_max_body(topology, dispatcher->settings.limits.max_body_bytes),
	};

	for (size_t i = 0; i < dispatcher->ingress_count; i++) {
		routing.ingress = dispatcher->ingresses[i];
		weir_worker_call(weir_ingress_worker(routing.ingress), route_on_loop, &routing);
	}
}

static void take_kinds(struct change *change)
{
	for (size_t i = 0; i < change->move_count; i++) {
		struct move *move = &change->moves[i];

		weir_dispatch_channel_take_kind(move->row->channel, move->to);
		move->to = NULL;
		move->row->channel->moving = true;
	}
}

static void commit(struct change *change)
{
	struct weir_dispatcher *dispatcher = change->dispatcher;
	struct weir_topology *now = change->now;

	on_each_loop(change, commit_on_loop);
	take_kinds(change);
	route(dispatcher, change->next);
	for (size_t i = 0; i < change->item_count; i++) {
		if (change->items[i].before)
			weir_retired_succeed(change->items[i].before, *change->items[i].slot);
	}
	weir_topology_replace(dispatcher, change->next);
	for (size_t i = 0; now && i < now->row_count; i++)
		retire_row(change, &now->rows[i]);
	for (size_t i = 0; i < change->next->row_count; i++)
		change->next->rows[i].channel->row = i;
	weir_topology_free(now);
}

int weir_dispatcher_change(struct weir_dispatcher *dispatcher, const weir_config *config, struct weir_error *err)
{
	struct change change = { .dispatcher = dispatcher, .now = dispatcher->topology, .err = err };
	int code = prepare(&change, config);

	if (code)
		undo(&change);
	else
		commit(&change);
	for (size_t i = 0; i < change.move_count; i++)
		weir_mem_free(change.moves[i].to);
	weir_mem_free(change.moves);
	if (dispatcher->topology)
		weir_moving_begin(dispatcher);
	weir_retired_free(change.spare);
	weir_mem_free(change.items);
	return code;
}
