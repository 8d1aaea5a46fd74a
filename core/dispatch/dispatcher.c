/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/dispatcher_state.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

/* ---- channels ------------------------------------------------------------- */

static int open_channel(struct weir_dispatcher *dispatcher, size_t index, struct weir_error *err)
{
	const struct weir_channel_settings *settings = &dispatcher->channel_settings[index];
	struct weir_dispatch_channel *channel = &dispatcher->channels[index];
	const struct weir_caps *caps;
	int code = weir_channel_open(dispatcher->runtime, settings->ns, settings->name, settings->kind,
				     &channel->ingress.channel, err);

	if (code)
		return code;
	channel->settings = settings;
	channel->kind = weir_mem_strdup(weir_channel_kind(channel->ingress.channel));
	channel->egresses = weir_mem_zalloc(settings->subscription_count + 1, sizeof(struct weir_egress *));
	if (!channel->kind || !channel->egresses)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for a channel");
	caps = weir_channel_caps(channel->ingress.channel);
	channel->ingress.index = index;
	channel->ingress.volatile_store = caps->durability && strcmp(caps->durability, "memory") == 0;
	channel->ingress.atomic_batch = caps->bits & WEIR_CAP_BIT(WEIR_CAP_ATOMIC_BATCH);
	code = weir_router_add(dispatcher->router, settings->ns, settings->name, channel);
	return code ? weir_fail(err, code, "channel \"%s/%s\" is there twice", settings->ns, settings->name) : WEIR_OK;
}

static int add_adapters(struct weir_dispatcher *dispatcher, struct weir_error *err)
{
	const struct weir_adapter_options options = { dispatcher->settings.events_namespace,
						      dispatcher->settings.events_source };
	int code;

	for (size_t i = 0; i < dispatcher->channel_count; i++) {
		struct weir_dispatch_channel *channel = &dispatcher->channels[i];

		code = weir_adapter_add(dispatcher->router, &options, channel->settings->ns, channel->settings->name,
					&channel->ingress, &channel->door);
		if (code)
			return weir_fail(err, code, "cannot add the paths of the source adapter: %s",
					 weir_code_text(code));
	}
	return WEIR_OK;
}

static int open_channels(struct weir_dispatcher *dispatcher, struct weir_error *err)
{
	int code;

	dispatcher->channel_count = weir_config_channels(dispatcher->config, &dispatcher->channel_settings);
	if (dispatcher->channel_count == 0) {
		dispatcher->default_channel = (struct weir_channel_settings){ .ns = "default", .name = "default" };
		dispatcher->channel_settings = &dispatcher->default_channel;
		dispatcher->channel_count = 1;
	}
	dispatcher->channels = weir_mem_zalloc(dispatcher->channel_count, sizeof *dispatcher->channels);
	if (!dispatcher->channels ||
	    weir_router_new(dispatcher->channel_count * (1 + WEIR_ADAPTER_ROUTES), &dispatcher->router))
		return weir_fail(err, WEIR_ENOMEM, "out of memory for channels");
	for (size_t i = 0; i < dispatcher->channel_count; i++) {
		code = open_channel(dispatcher, i, err);
		if (code)
			return code;
	}
	return add_adapters(dispatcher, err);
}

/* ---- delivering ----------------------------------------------------------- */

static size_t count_subscriptions(const struct weir_dispatcher *dispatcher)
{
	size_t count = 0;

	for (size_t i = 0; i < dispatcher->channel_count; i++)
		count += dispatcher->channels[i].settings->subscription_count;
	return count;
}

static int make_delivery_loops(struct weir_dispatcher *dispatcher, size_t count, struct weir_error *err)
{
	const struct weir_delivery_options options = {
		.runtime = dispatcher->runtime,
		.quarantine = dispatcher->quarantine,
		.client = { .rules = dispatcher->settings.rules },
		.event_limits = dispatcher->settings.event_limits,
		.max_reply_bytes = dispatcher->settings.limits.max_body_bytes,
	};
	int code;

	dispatcher->delivery_loops = weir_mem_zalloc(count + 1, sizeof(struct weir_delivery_loop *));
	if (!dispatcher->delivery_loops)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for delivery loops");
	while (dispatcher->delivery_count < count) {
		code = weir_delivery_loop_new(&options, &dispatcher->delivery_loops[dispatcher->delivery_count], err);
		if (code)
			return code;
		dispatcher->delivery_count++;
	}
	return WEIR_OK;
}

static int make_egresses(struct weir_dispatcher *dispatcher, struct weir_dispatch_channel *channel, size_t *next_loop,
			 struct weir_error *err)
{
	for (size_t i = 0; i < channel->settings->subscription_count; i++) {
		const struct weir_egress_options options = {
			.loop = dispatcher->delivery_loops[*next_loop],
			.channel = channel->ingress.channel,
			.settings = &channel->settings->subscriptions[i],
			.window_bytes = dispatcher->settings.window_bytes,
		};
		int code = weir_egress_new(&options, &channel->egresses[i], err);

		if (code)
			return code;
		*next_loop = (*next_loop + 1) % dispatcher->delivery_count;
	}
	return WEIR_OK;
}

static int make_delivery(struct weir_dispatcher *dispatcher, struct weir_error *err)
{
	size_t subscriptions = count_subscriptions(dispatcher);
	size_t loops = dispatcher->settings.delivery_loops, next_loop = 0;
	int code = weir_quarantine_new(dispatcher->settings.quarantine_path, dispatcher->settings.quarantine_max,
				       &dispatcher->quarantine, err);

	if (!code)
		code = make_delivery_loops(dispatcher, loops < subscriptions ? loops : subscriptions, err);
	for (size_t i = 0; i < dispatcher->channel_count && !code; i++)
		code = make_egresses(dispatcher, &dispatcher->channels[i], &next_loop, err);
	return code;
}

static int subscribe(struct weir_dispatcher *dispatcher, struct weir_error *err)
{
	int code;

	for (size_t i = 0; i < dispatcher->delivery_count; i++) {
		code = weir_worker_start(&dispatcher->delivery_loops[i]->worker, "weir-delivery", err);
		if (code)
			return code;
	}
	for (size_t i = 0; i < dispatcher->channel_count; i++) {
		struct weir_dispatch_channel *channel = &dispatcher->channels[i];

		for (size_t j = 0; j < channel->settings->subscription_count; j++) {
			code = weir_egress_subscribe(channel->egresses[j], err);
			if (code)
				return code;
		}
	}
	return WEIR_OK;
}

/* ---- taking events -------------------------------------------------------- */

/* A body that no channel takes need not be read. */
static uint64_t max_body(const struct weir_dispatcher *dispatcher)
{
	uint64_t configured = dispatcher->settings.limits.max_body_bytes, most = 0;

	for (size_t i = 0; i < dispatcher->channel_count; i++) {
		uint64_t limit = weir_channel_caps(dispatcher->channels[i].ingress.channel)->max_record_bytes;

		if (limit == 0 || limit > configured)
			return configured;
		if (limit > most)
			most = limit;
	}
	return most;
}

static int make_ingresses(struct weir_dispatcher *dispatcher, struct weir_error *err)
{
	struct weir_ingress_options options = {
		.runtime = dispatcher->runtime,
		.router = dispatcher->router,
		.channel_count = dispatcher->channel_count,
		.limits = dispatcher->settings.limits,
		.event_limits = dispatcher->settings.event_limits,
		.batch = dispatcher->settings.batch,
	};
	size_t count = dispatcher->settings.ingress_loops;
	int code;

	options.limits.max_body_bytes = max_body(dispatcher);
	dispatcher->ingresses = weir_mem_zalloc(count, sizeof(struct weir_ingress *));
	if (!dispatcher->ingresses)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for ingress loops");
	while (dispatcher->ingress_count < count) {
		code = weir_ingress_new(&options, &dispatcher->ingresses[dispatcher->ingress_count], err);
		if (code)
			return code;
		dispatcher->ingress_count++;
	}
	return WEIR_OK;
}

/* All ingresses listen on one address. The first may be given any free port; the others then take the same. */
static int listen_on(struct weir_dispatcher *dispatcher, struct weir_buf address, uint16_t *port,
		     struct weir_error *err)
{
	char text[300];
	const char *end = memrchr(address.ptr, ':', address.len);
	int host_len = end ? (int)(end - (const char *)address.ptr) : (int)address.len;
	int code = WEIR_OK;

	if (address.len >= sizeof text - 6)
		return weir_fail(err, WEIR_EINVAL, "dispatcher.listen: an address is too long");
	snprintf(text, sizeof text, "%.*s", (int)address.len, (const char *)address.ptr);
	for (size_t i = 0; i < dispatcher->ingress_count && !code; i++) {
		code = weir_ingress_listen(dispatcher->ingresses[i], text, i == 0 ? port : NULL, err);
		snprintf(text, sizeof text, "%.*s:%u", host_len, (const char *)address.ptr, *port);
	}
	if (code == WEIR_EBUSY) { /* that is what a backend says of a store; an address in use is not one */
		code = WEIR_EIO;
		if (err)
			err->code = WEIR_EIO;
	}
	return code;
}

static int start_ingresses(struct weir_dispatcher *dispatcher, struct weir_error *err)
{
	struct weir_buf rest = weir_str(dispatcher->settings.listen), address;
	size_t count = 0;
	int code = WEIR_OK;

	while (!code && count < WEIR_DISPATCH_LISTEN_MAX && weir_str_split(&rest, ',', &address))
		code = listen_on(dispatcher, weir_str_trim(address), &dispatcher->ports[count++], err);
	for (size_t i = 0; i < dispatcher->ingress_count && !code; i++)
		code = weir_ingress_start(dispatcher->ingresses[i], err);
	return code;
}

/* ---- life ----------------------------------------------------------------- */

static int start(struct weir_dispatcher *dispatcher, struct weir_error *err)
{
	int code = weir_dispatch_settings_read(dispatcher->config, &dispatcher->settings, err);

	if (!code)
		code = open_channels(dispatcher, err);
	if (!code)
		code = make_delivery(dispatcher, err);
	if (!code)
		code = make_ingresses(dispatcher, err);
	/* Subscriptions first, so that none misses the first event taken. */
	if (!code)
		code = subscribe(dispatcher, err);
	if (!code)
		code = start_ingresses(dispatcher, err);
	return code;
}

int weir_dispatcher_start(const weir_config *config, weir_runtime *runtime, struct weir_dispatcher **ret,
			  struct weir_error *err)
{
	struct weir_dispatcher *dispatcher = weir_mem_zalloc(1, sizeof *dispatcher);
	pthread_condattr_t monotonic;
	int code;

	if (!dispatcher)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for the dispatcher");
	dispatcher->config = config;
	dispatcher->runtime = runtime;
	pthread_mutex_init(&dispatcher->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&dispatcher->idle, &monotonic);
	pthread_condattr_destroy(&monotonic);
	code = start(dispatcher, err);
	if (code)
		weir_dispatcher_free(dispatcher);
	else
		*ret = dispatcher;
	return code;
}

static void free_egresses(const struct weir_dispatch_channel *channel)
{
	for (size_t i = 0; channel->egresses && i < channel->settings->subscription_count; i++)
		weir_egress_free(channel->egresses[i]);
}

static void free_channel(struct weir_dispatch_channel *channel)
{
	weir_mem_free(channel->egresses);
	if (channel->ingress.channel)
		weir_channel_close(channel->ingress.channel);
	weir_mem_free(channel->kind);
}

void weir_dispatcher_free(struct weir_dispatcher *dispatcher)
{
	size_t given_up;

	if (!dispatcher)
		return;
	weir_dispatcher_close(dispatcher, weir_clock_now_ns(), &given_up, NULL);
	for (size_t i = 0; i < dispatcher->ingress_count; i++)
		weir_ingress_free(dispatcher->ingresses[i]);
	/* Whoever publishes or delivers goes before the channels that it does it with. */
	for (size_t i = 0; dispatcher->channels && i < dispatcher->channel_count; i++)
		free_egresses(&dispatcher->channels[i]);
	for (size_t i = 0; i < dispatcher->delivery_count; i++)
		weir_delivery_loop_free(dispatcher->delivery_loops[i]);
	for (size_t i = 0; dispatcher->channels && i < dispatcher->channel_count; i++)
		free_channel(&dispatcher->channels[i]);
	weir_router_free(dispatcher->router);
	weir_mem_free(dispatcher->ingresses);
	weir_mem_free(dispatcher->delivery_loops);
	weir_mem_free(dispatcher->channels);
	pthread_cond_destroy(&dispatcher->idle);
	pthread_mutex_destroy(&dispatcher->lock);
	weir_mem_free(dispatcher);
}

/* ---- asking --------------------------------------------------------------- */

uint16_t weir_dispatcher_port(const struct weir_dispatcher *dispatcher, size_t index)
{
	return index < WEIR_DISPATCH_LISTEN_MAX ? dispatcher->ports[index] : 0;
}

weir_channel *weir_dispatcher_channel(struct weir_dispatcher *dispatcher, const char *ns, const char *name)
{
	const struct weir_ingress_channel *channel =
	    weir_router_find_name(dispatcher->router, weir_str(ns), weir_str(name));

	return channel && !channel->is_door ? channel->channel : NULL;
}
