/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/snapshot.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { ARENA_MAX = 64 * 1024 * 1024, CHANNELS_FIRST = 16 };

static bool copy_text(struct weir_arena *arena, const char **text)
{
	if (*text)
		*text = weir_arena_text(arena, weir_str(*text));
	else
		*text = "";
	return *text != NULL;
}

/* What follows '?' may be a token. */
static bool copy_url(struct weir_arena *arena, const char **url)
{
	static const char hidden[] = "?(not shown)";
	size_t len = *url ? strcspn(*url, "?") : 0;
	char *copy;

	if (!*url || !(*url)[len])
		return copy_text(arena, url);
	copy = weir_arena_alloc(arena, len + sizeof hidden);
	if (!copy)
		return false;
	memcpy(copy, *url, len);
	memcpy(copy + len, hidden, sizeof hidden);
	*url = copy;
	return true;
}

static bool copy_subscriptions(struct weir_arena *arena, struct weir_channel_view *channel)
{
	size_t count = channel->subscription_count;
	struct weir_subscription_view *copies;

	if (count == 0)
		return true;
	copies = weir_arena_alloc(arena, count * sizeof *copies);
	if (!copies)
		return false;
	memcpy(copies, channel->subscriptions, count * sizeof *copies);
	channel->subscriptions = copies;
	for (size_t i = 0; i < count; i++) {
		if (!copy_text(arena, &copies[i].name) || !copy_text(arena, &copies[i].uid) ||
		    !copy_url(arena, &copies[i].subscriber))
			return false;
	}
	return true;
}

static bool copy_moves(struct weir_arena *arena, struct weir_channel_view *channel)
{
	for (size_t i = 0; i < channel->move_count; i++) {
		if (!copy_text(arena, &channel->moves[i].from) || !copy_text(arena, &channel->moves[i].to))
			return false;
	}
	return true;
}

static bool reserve(struct weir_admin_snapshot *snapshot)
{
	size_t capacity = snapshot->channel_capacity ? snapshot->channel_capacity * 2 : CHANNELS_FIRST;
	struct weir_channel_view *grown;

	if (snapshot->channel_count < snapshot->channel_capacity)
		return true;
	grown = weir_mem_realloc(snapshot->channels, capacity * sizeof *grown);
	if (!grown)
		return false;
	snapshot->channels = grown;
	snapshot->channel_capacity = capacity;
	return true;
}

static bool on_channel(void *ctx, const struct weir_channel_view *view)
{
	struct weir_admin_snapshot *snapshot = ctx;
	struct weir_channel_view *copy;

	snapshot->failed = true;
	if (!reserve(snapshot))
		return false;
	copy = &snapshot->channels[snapshot->channel_count];
	*copy = *view;
	if (!copy_text(&snapshot->arena, &copy->ns) || !copy_text(&snapshot->arena, &copy->name) ||
	    !copy_text(&snapshot->arena, &copy->kind) || !copy_moves(&snapshot->arena, copy) ||
	    !copy_subscriptions(&snapshot->arena, copy))
		return false;
	snapshot->channel_count++;
	snapshot->failed = false;
	return true;
}

int weir_admin_snapshot_init(struct weir_admin_snapshot *snapshot, const struct weir_admin_reload_state *reload,
			     struct weir_dispatcher *dispatcher, double start_seconds, bool draining)
{
	memset(snapshot, 0, sizeof *snapshot);
	weir_arena_init(&snapshot->arena, ARENA_MAX);
	snapshot->draining = draining;
	snapshot->reload = *reload;
	weir_dispatcher_visit(dispatcher, on_channel, snapshot);
	weir_dispatcher_server_figures(dispatcher, &snapshot->server);
	weir_admin_process_read(&snapshot->process);
	snapshot->process.start_seconds = start_seconds;
	return snapshot->failed ? WEIR_ENOMEM : WEIR_OK;
}

void weir_admin_snapshot_fini(struct weir_admin_snapshot *snapshot)
{
	weir_mem_free(snapshot->channels);
	weir_arena_fini(&snapshot->arena);
}

static bool channel_ready(const struct weir_channel_view *channel)
{
	for (size_t i = 0; i < channel->subscription_count; i++) {
		if (!channel->subscriptions[i].ready)
			return false;
	}
	return channel->ready;
}

bool weir_admin_snapshot_ready(const struct weir_admin_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->channel_count; i++) {
		if (!channel_ready(&snapshot->channels[i]))
			return false;
	}
	return !snapshot->draining;
}
