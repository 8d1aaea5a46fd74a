/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing channels. */
#include "channel/internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "channel/fork.h"
#include "channel/runtime.h"

enum { NAME_MAX_BYTES = 253 };

/* ---- opening ------------------------------------------------------------- */

static struct weir_channel *find_locked(weir_runtime *runtime, const char *ns, const char *name, const char *kind)
{
	struct weir_channel *channel;

	for (channel = runtime->channels; channel; channel = channel->next)
		if (strcmp(channel->name, name) == 0 && strcmp(channel->ns, ns) == 0 &&
		    strcmp(channel->kind, kind) == 0)
			break;
	return channel;
}

static void channel_free(struct weir_channel *channel)
{
	weir_mem_free(channel->ns);
	weir_mem_free(channel->name);
	weir_mem_free(channel->kind);
	weir_mem_free(channel);
}

static struct weir_channel *channel_new(weir_runtime *runtime, const char *ns, const char *name, const char *kind)
{
	struct weir_channel *channel = weir_mem_zalloc(1, sizeof *channel);

	if (!channel)
		return NULL;
	channel->runtime = runtime;
	channel->opens = 1;
	channel->opening = true;
	channel->ns = weir_mem_strdup(ns);
	channel->name = weir_mem_strdup(name);
	channel->kind = weir_mem_strdup(kind);
	if (channel->ns && channel->name && channel->kind)
		return channel;
	channel_free(channel);
	return NULL;
}

/* The channel that there is, waited for if another thread is opening it; or a new one in its place. */
static int find_or_add(weir_runtime *runtime, const char *ns, const char *name, const char *kind, bool *found,
		       struct weir_channel **ret)
{
	struct weir_channel *channel;
	int code = WEIR_OK;

	pthread_mutex_lock(runtime->lock);
	while ((channel = find_locked(runtime, ns, name, kind)) && channel->opening)
		pthread_cond_wait(&runtime->changed, runtime->lock);
	*found = channel != NULL;
	if (runtime->closing) {
		code = WEIR_ECLOSED;
	} else if (channel) {
		channel->opens++;
	} else {
		channel = channel_new(runtime, ns, name, kind);
		if (channel) {
			channel->next = runtime->channels;
			runtime->channels = channel;
		}
		code = channel ? WEIR_OK : WEIR_ENOMEM;
	}
	pthread_mutex_unlock(runtime->lock);
	*ret = channel;
	return code;
}

static int open_topic(struct weir_channel *channel, struct weir_error *err)
{
	struct weir_backend *backend = channel->backend;
	int code;

	weir_backend_begin_opening(backend);
	code = weir_guard_topic_open(&backend->guard, channel->ns, channel->name, &channel->topic, err);
	if (weir_backend_end_opening(backend, &backend->topics, channel->topic, code ? NULL : channel)) {
		weir_guard_topic_close(&backend->guard, channel->topic);
		code = weir_fail(err, WEIR_ENOMEM, "channel %s/%s: %s", channel->ns, channel->name,
				 weir_code_text(WEIR_ENOMEM));
	}
	return code;
}

static void take_out_locked(struct weir_channel *channel)
{
	struct weir_channel **at;

	for (at = &channel->runtime->channels; *at != channel; at = &(*at)->next)
		;
	*at = channel->next;
}

static void end_opening(struct weir_channel *channel, bool failed)
{
	weir_runtime *runtime = channel->runtime;

	pthread_mutex_lock(runtime->lock);
	channel->opening = false;
	if (failed)
		take_out_locked(channel);
	pthread_cond_broadcast(&runtime->changed);
	pthread_mutex_unlock(runtime->lock);
	if (failed)
		channel_free(channel);
}

/* What a driver makes of a name is its own affair; but no path, nothing that cannot be shown, nothing endless. */
static bool is_name(const char *name)
{
	size_t len = name ? strnlen(name, NAME_MAX_BYTES + 1) : 0;

	if (len == 0 || len > NAME_MAX_BYTES || name[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f || name[i] == '/')
			return false;
	return true;
}

int weir_channel_open(weir_runtime *runtime, const char *ns, const char *name, const char *kind, weir_channel **ret,
		      struct weir_error *err)
{
	struct weir_channel *channel;
	bool found;
	int code;

	if (weir_forked(runtime->fork_mark))
		return weir_fail(err, WEIR_EFORKED, "opening a channel: %s", weir_code_text(WEIR_EFORKED));
	if (!is_name(ns) || !is_name(name))
		return weir_fail(err, WEIR_EINVAL,
				 "a channel's namespace and name have 1 to %d printable characters without '/', and do "
				 "not begin with '.'",
				 NAME_MAX_BYTES);
	if (!kind)
		kind = weir_config_kind(runtime->config, ns, name);
	code = find_or_add(runtime, ns, name, kind, &found, &channel);
	if (code)
		return weir_fail(err, code, "channel %s/%s: %s", ns, name, weir_code_text(code));
	if (!found) {
		code = weir_runtime_backend(runtime, kind, &channel->backend, err);
		if (!code)
			code = open_topic(channel, err);
		end_opening(channel, code != WEIR_OK);
	}
	if (!code)
		*ret = channel;
	return code;
}

/* ---- closing ------------------------------------------------------------- */

void weir_channel_end(weir_channel *channel)
{
	struct weir_backend *backend = channel->backend;

	weir_guard_topic_close(&backend->guard, channel->topic);
	weir_backend_forget(backend, &backend->topics, channel->topic, channel);
	/* An event that the pump has in hand may name the channel. */
	if (weir_backend_sync(backend, weir_clock_now_ns()))
		channel_free(channel);
}

void weir_channel_close(weir_channel *channel)
{
	weir_runtime *runtime;
	bool last;

	if (!channel || weir_forked(channel->runtime->fork_mark))
		return;
	runtime = channel->runtime;
	pthread_mutex_lock(runtime->lock);
	last = --channel->opens == 0 && !channel->subs;
	if (last)
		take_out_locked(channel);
	pthread_mutex_unlock(runtime->lock);
	/* One with subscriptions is closed with the runtime. */
	if (last)
		weir_channel_end(channel);
}

/* ---- what is known of it ------------------------------------------------- */

const char *weir_channel_namespace(const weir_channel *channel)
{
	return channel->ns;
}

const char *weir_channel_name(const weir_channel *channel)
{
	return channel->name;
}

const char *weir_channel_kind(const weir_channel *channel)
{
	return channel->kind;
}

const struct weir_caps *weir_channel_caps(const weir_channel *channel)
{
	return weir_backend_caps(channel->backend);
}

int weir_channel_ready(weir_channel *channel, struct weir_error *err)
{
	struct weir_backend *backend = channel->backend;
	struct weir_error why = WEIR_ERROR_INIT;
	int code;

	if (weir_forked(backend->guard.fork_mark))
		return weir_fail(err, WEIR_EFORKED, "channel %s/%s: %s", channel->ns, channel->name,
				 weir_code_text(WEIR_EFORKED));
	pthread_mutex_lock(&backend->lock);
	code = weir_backend_ready_locked(backend, &why);
	if (!code && channel->state.failed) {
		code = channel->state.error.code;
		why = channel->state.error;
	} else if (!code && !channel->state.ready) {
		code = weir_fail(&why, WEIR_EAGAIN, "channel %s/%s: its place on the backend is not made yet",
				 channel->ns, channel->name);
	}
	pthread_mutex_unlock(&backend->lock);
	if (code && err)
		*err = why;
	return code;
}

uint64_t weir_channel_late(const weir_channel *channel)
{
	return atomic_load_explicit(&channel->backend->late_persisted, memory_order_relaxed);
}
