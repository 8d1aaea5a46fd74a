/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/topology: what there is at one time, and who is looking at it. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "dispatch/dispatcher_state.h"

int weir_topology_new(const weir_config *config, size_t rows, struct weir_topology **ret)
{
	struct weir_topology *topology = weir_mem_zalloc(1, sizeof *topology);

	if (!topology)
		return WEIR_ENOMEM;
	topology->config = config;
	topology->rows = weir_mem_zalloc(rows, sizeof *topology->rows);
	if (!topology->rows || weir_router_new(rows * (1 + WEIR_ADAPTER_ROUTES), &topology->router)) {
		weir_topology_free(topology);
		return WEIR_ENOMEM;
	}
	topology->row_count = rows;
	*ret = topology;
	return WEIR_OK;
}

void weir_topology_free(struct weir_topology *topology)
{
	if (!topology)
		return;
	for (size_t i = 0; i < topology->row_count; i++)
		weir_mem_free(topology->rows[i].egresses);
	weir_router_free(topology->router);
	weir_mem_free(topology->rows);
	weir_mem_free(topology);
}

uint64_t weir_topology_max_body(const struct weir_topology *topology, uint64_t configured)
{
	uint64_t most = 0;

	for (size_t i = 0; i < topology->row_count; i++) {
		uint64_t limit = weir_channel_caps(topology->rows[i].channel->ingress.channel)->max_record_bytes;

		if (limit == 0 || limit > configured)
			return configured;
		if (limit > most)
			most = limit;
	}
	return most;
}

size_t weir_topology_channels(const weir_config *config, const struct weir_channel_settings **ret)
{
	static const struct weir_channel_settings only = { .ns = "default", .name = "default" };
	size_t count = weir_config_channels(config, ret);

	if (count)
		return count;
	*ret = &only;
	return 1;
}

struct weir_dispatch_channel *weir_topology_find(const struct weir_topology *topology, const char *ns, const char *name)
{
	struct weir_ingress_channel *found = weir_router_find_name(topology->router, weir_str(ns), weir_str(name));

	return found && !found->is_door ? (struct weir_dispatch_channel *)found : NULL;
}

/* ---- visitors ------------------------------------------------------------- */

struct weir_topology *weir_topology_enter(struct weir_dispatcher *dispatcher, bool *open)
{
	struct weir_topology *topology;

	pthread_mutex_lock(&dispatcher->lock);
	topology = dispatcher->topology;
	topology->visitors++;
	*open = !dispatcher->closed;
	pthread_mutex_unlock(&dispatcher->lock);
	return topology;
}

void weir_topology_leave(struct weir_dispatcher *dispatcher, struct weir_topology *topology)
{
	pthread_mutex_lock(&dispatcher->lock);
	if (--topology->visitors == 0)
		pthread_cond_broadcast(&dispatcher->left);
	pthread_mutex_unlock(&dispatcher->lock);
}

struct weir_topology *weir_topology_replace(struct weir_dispatcher *dispatcher, struct weir_topology *next)
{
	struct weir_topology *before;

	pthread_mutex_lock(&dispatcher->lock);
	before = dispatcher->topology;
	dispatcher->topology = next;
	while (before && before->visitors)
		pthread_cond_wait(&dispatcher->left, &dispatcher->lock);
	pthread_mutex_unlock(&dispatcher->lock);
	return before;
}

void weir_topology_close(struct weir_dispatcher *dispatcher)
{
	pthread_mutex_lock(&dispatcher->lock);
	dispatcher->closed = true;
	while (dispatcher->topology && dispatcher->topology->visitors)
		pthread_cond_wait(&dispatcher->left, &dispatcher->lock);
	pthread_mutex_unlock(&dispatcher->lock);
}

/* ---- channels ------------------------------------------------------------- */

/* As Knative names it in the audience of a token. */
static char *resource_of(const struct weir_channel_settings *settings, const char *kind)
{
	char text[256];

	if (settings->is_broker)
		return weir_mem_strdup("eventing.knative.dev/broker");
	snprintf(text, sizeof text, "messaging.knative.dev/%s", kind);
	for (char *c = text; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
	return weir_mem_strdup(text);
}

static int name_channel(struct weir_dispatch_channel *channel, const struct weir_channel_settings *settings,
			const char *kind, size_t ingress_count)
{
	struct weir_dispatch_kind *named;

	channel->ns = weir_mem_strdup(settings->ns);
	channel->name = weir_mem_strdup(settings->name);
	channel->resource = resource_of(settings, kind);
	if (!channel->ns || !channel->name || !channel->resource || weir_dispatch_kind_new(kind, &named))
		return WEIR_ENOMEM;
	weir_dispatch_channel_take_kind(channel, named);
	channel->ingress.scope = (struct weir_auth_scope){ channel->resource, channel->ns, channel->name };
	return weir_ingress_channel_init(&channel->ingress, ingress_count);
}

int weir_dispatch_channel_open(struct weir_dispatcher *dispatcher, const struct weir_channel_settings *settings,
			       const char *kind, struct weir_dispatch_channel **ret, struct weir_error *err)
{
	struct weir_dispatch_channel *channel = weir_mem_zalloc(1, sizeof *channel);
	int code;

	if (!channel)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for a channel");
	code = weir_channel_open(dispatcher->runtime, settings->ns, settings->name, kind, &channel->ingress.channel,
				 err);
	if (!code && name_channel(channel, settings, kind, dispatcher->settings.ingress_loops))
		code = weir_fail(err, WEIR_ENOMEM, "out of memory for a channel");
	if (code) {
		weir_dispatch_channel_free(channel);
		return code;
	}
	weir_adapter_door_init(&channel->door, &channel->ingress, channel->ns, dispatcher->settings.events_source);
	weir_dispatch_channel_refresh(channel);
	*ret = channel;
	return WEIR_OK;
}

void weir_dispatch_channel_free(struct weir_dispatch_channel *channel)
{
	if (!channel)
		return;
	weir_ingress_channel_fini(&channel->ingress);
	if (channel->ingress.channel)
		weir_channel_close(channel->ingress.channel);
	while (channel->kinds) {
		struct weir_dispatch_kind *kind = channel->kinds;

		channel->kinds = kind->next;
		weir_mem_free(kind);
	}
	weir_mem_free(channel->ns);
	weir_mem_free(channel->name);
	weir_mem_free(channel->resource);
	weir_mem_free(channel);
}
