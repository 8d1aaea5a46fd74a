/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing channels. */
#include "channel/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "channel/fork.h"
#include "channel/runtime.h"

enum { NAME_MAX_BYTES = 253 };

/* ---- opening ------------------------------------------------------------- */

static struct weir_channel *find_locked(weir_runtime *runtime, const char *ns, const char *name,
					const struct weir_kind *kind)
{
	struct weir_channel *channel;

	for (channel = runtime->channels; channel; channel = channel->next)
		if (strcmp(channel->name, name) == 0 && strcmp(channel->ns, ns) == 0 && channel->kind == kind)
			break;
	return channel;
}

static void channel_free(struct weir_channel *channel)
{
	while (channel->places) {
		struct weir_place *place = channel->places;

		channel->places = place->next;
		weir_place_free(place);
	}
	while (channel->lent) {
		struct weir_caps_lent *lent = channel->lent;

		channel->lent = lent->next;
		weir_mem_free(lent);
	}
	weir_place_free(channel->coming);
	weir_uid_free(&channel->uids);
	weir_gate_fini(&channel->gates[0]);
	weir_gate_fini(&channel->gates[1]);
	weir_mem_free(channel->ns);
	weir_mem_free(channel->name);
	weir_mem_free(channel);
}

static struct weir_channel *channel_new(weir_runtime *runtime, const char *ns, const char *name, struct weir_kind *kind)
{
	struct weir_channel *channel = weir_mem_zalloc(1, sizeof *channel);

	if (!channel)
		return NULL;
	channel->runtime = runtime;
	channel->opens = 1;
	channel->opening = true;
	channel->opened_ns = weir_clock_now_ns();
	channel->kind = kind;
	weir_gate_init(&channel->gates[0]);
	weir_gate_init(&channel->gates[1]);
	channel->ns = weir_mem_strdup(ns);
	channel->name = weir_mem_strdup(name);
	if (channel->ns && channel->name)
		return channel;
	channel_free(channel);
	return NULL;
}

/* The channel that there is, waited for if another thread is opening it; or a new one in its place. */
static int find_or_add(weir_runtime *runtime, const char *ns, const char *name, struct weir_kind *kind, bool *found,
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

/* ---- the places of one that is opened ------------------------------------- */

static int add_place(weir_channel *channel, const char *kind_name, struct weir_uid **undrained)
{
	struct weir_kind *kind = weir_kind_get(channel->runtime, kind_name);
	struct weir_place *place = kind ? weir_place_new(channel, kind) : NULL;
	struct weir_place **at = &channel->places;

	if (!place)
		return WEIR_ENOMEM;
	while (*at)
		at = &(*at)->next;
	*at = place;
	if (undrained) {
		place->undrained = *undrained;
		*undrained = NULL;
		/* Whatever was published there was before this process. */
		place->left_ns = 1;
	}
	return WEIR_OK;
}

/* As the channel was left. */
static int restore(weir_channel *channel, struct weir_memo *memo)
{
	int code = WEIR_OK;

	for (struct weir_memo_leg *leg = memo->legs; leg && !code; leg = leg->next)
		code = add_place(channel, leg->kind, &leg->uids);
	if (!code)
		code = add_place(channel, memo->kind, NULL);
	if (code)
		return code;
	channel->uids = memo->uids;
	memo->uids = NULL;
	if (strcmp(memo->kind, channel->kind->name) != 0) {
		channel->wanted = channel->kind;
		channel->wanted_ns = channel->opened_ns;
	}
	return WEIR_OK;
}

/* Its backend may be away for long: the channel moves away from it, or waits for it. */
static int open_moving(weir_channel *channel, struct weir_place *newest, struct weir_error *err)
{
	struct weir_error why = WEIR_ERROR_INIT;
	const struct weir_driver *driver;
	int code;

	if (weir_place_open(newest, &why) == WEIR_OK) {
		atomic_store(&channel->current, newest);
	} else {
		pthread_mutex_lock(channel->runtime->lock);
		newest->kind->error = why;
		pthread_mutex_unlock(channel->runtime->lock);
		weir_runtime_log(channel->runtime, WEIR_LOG_WARNING, "channel %s/%s: %s: %s", channel->ns,
				 channel->name, newest->kind->name, why.text);
	}
	code = weir_runtime_load(channel->runtime, channel->kind->name, &driver, err);
	if (code)
		weir_place_close(newest, false, weir_clock_now_ns());
	return code;
}

static int open_places(weir_channel *channel, struct weir_error *err)
{
	weir_runtime *runtime = channel->runtime;
	struct weir_memo *memo;
	struct weir_place *newest;
	int code;

	pthread_mutex_lock(runtime->lock);
	memo = weir_memo_take_locked(runtime, channel->ns, channel->name);
	pthread_mutex_unlock(runtime->lock);
	code = memo ? restore(channel, memo) : add_place(channel, channel->kind->name, NULL);
	weir_memo_free(memo);
	if (code)
		return weir_fail(err, code, "channel %s/%s: %s", channel->ns, channel->name, weir_code_text(code));
	newest = weir_channel_newest(channel);
	if (channel->wanted)
		return open_moving(channel, newest, err);
	code = weir_place_open(newest, err);
	if (!code)
		atomic_store(&channel->current, newest);
	return code;
}

/* What was restored and is of no use now has to be known the next time. */
static void put_back_locked(weir_channel *channel)
{
	struct weir_memo *memo = weir_memo_of_locked(channel);

	if (!memo)
		return;
	memo->next = channel->runtime->memos;
	channel->runtime->memos = memo;
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
	bool moving;

	pthread_mutex_lock(runtime->lock);
	channel->opening = false;
	moving = weir_mover_wanted_locked(channel);
	if (failed) {
		take_out_locked(channel);
		put_back_locked(channel);
	}
	pthread_cond_broadcast(&runtime->changed);
	pthread_mutex_unlock(runtime->lock);
	if (failed)
		channel_free(channel);
	else if (moving)
		weir_mover_poke(runtime);
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
	struct weir_kind *known;
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
	known = weir_kind_get(runtime, kind);
	code = known ? find_or_add(runtime, ns, name, known, &found, &channel) : WEIR_ENOMEM;
	if (code)
		return weir_fail(err, code, "channel %s/%s: %s", ns, name, weir_code_text(code));
	if (!found) {
		code = open_places(channel, err);
		end_opening(channel, code != WEIR_OK);
	}
	if (!code)
		*ret = channel;
	return code;
}

/* ---- closing ------------------------------------------------------------- */

/* A publisher whose call to the driver has not returned still leaves by the gate that it came in. */
static bool is_inside(weir_channel *channel, int64_t now_ns)
{
	bool inside = false;

	for (size_t i = 0; i < 2; i++) {
		weir_gate_shut(&channel->gates[i]);
		inside |= !weir_gate_wait(&channel->gates[i], now_ns);
	}
	return inside;
}

/* Never freed, as calls that never returned may still use them; kept where a leak checker finds them. */
static void leave_behind(weir_channel *channel)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static weir_channel *volatile left;

	pthread_mutex_lock(&lock);
	channel->next = left;
	left = channel;
	pthread_mutex_unlock(&lock);
}

void weir_channel_end(weir_channel *channel)
{
	int64_t now = weir_clock_now_ns();
	bool lost = false;

	for (struct weir_place *place = channel->places; place; place = place->next) {
		weir_place_close(place, false, now);
		lost |= place->lost;
	}
	if (channel->coming) {
		weir_place_close(channel->coming, false, now);
		lost |= channel->coming->lost;
	}
	if (lost || is_inside(channel, now))
		leave_behind(channel);
	else
		channel_free(channel);
}

void weir_channel_close(weir_channel *channel)
{
	weir_runtime *runtime;
	bool last;

	if (!channel || weir_forked(channel->runtime->fork_mark))
		return;
	runtime = channel->runtime;
	weir_channel_take_turn(channel);
	pthread_mutex_lock(runtime->lock);
	last = --channel->opens == 0 && !channel->subs;
	if (last) {
		take_out_locked(channel);
		put_back_locked(channel);
	}
	pthread_mutex_unlock(runtime->lock);
	/* One with subscriptions is closed with the runtime. */
	if (last)
		weir_channel_end(channel);
	else
		weir_channel_give_turn(channel);
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
	const char *kind;

	pthread_mutex_lock(channel->runtime->lock);
	kind = weir_channel_newest(channel)->kind->name;
	pthread_mutex_unlock(channel->runtime->lock);
	return kind;
}

/* The same ones again for the same capabilities, so that there are never more than there are different ones. */
static const struct weir_caps *lend_locked(weir_channel *channel, const struct weir_caps *caps)
{
	struct weir_caps_lent *lent = channel->lent;

	while (lent && memcmp(&lent->caps, caps, sizeof *caps) != 0)
		lent = lent->next;
	if (!lent) {
		lent = weir_mem_zalloc(1, sizeof *lent);
		if (!lent)
			return NULL;
		lent->caps = *caps;
		lent->next = channel->lent;
		channel->lent = lent;
	}
	return &lent->caps;
}

const struct weir_caps *weir_channel_caps(const weir_channel *channel)
{
	static const struct weir_caps unknown = { .size = sizeof unknown,
						  .durability = "unknown",
						  .durability_note = "" };
	const struct weir_caps *caps = NULL;
	const struct weir_place *newest;

	pthread_mutex_lock(channel->runtime->lock);
	newest = weir_channel_newest(channel);
	if (newest->backend)
		caps = lend_locked((weir_channel *)(uintptr_t)channel, weir_backend_caps(newest->backend));
	else if (channel->lent)
		caps = &channel->lent->caps;
	pthread_mutex_unlock(channel->runtime->lock);
	return caps ? caps : &unknown;
}

int weir_channel_ready(weir_channel *channel, struct weir_error *err)
{
	struct weir_error why = WEIR_ERROR_INIT;
	int code;

	if (weir_forked(channel->runtime->fork_mark))
		return weir_fail(err, WEIR_EFORKED, "channel %s/%s: %s", channel->ns, channel->name,
				 weir_code_text(WEIR_EFORKED));
	pthread_mutex_lock(channel->runtime->lock);
	code = weir_place_ready_locked(weir_channel_newest(channel), &why);
	pthread_mutex_unlock(channel->runtime->lock);
	if (code && err)
		*err = why;
	return code;
}

uint64_t weir_channel_late(const weir_channel *channel)
{
	const struct weir_place *newest;
	uint64_t late = 0;

	pthread_mutex_lock(channel->runtime->lock);
	newest = weir_channel_newest(channel);
	if (newest->backend)
		late = atomic_load_explicit(&newest->backend->late_persisted, memory_order_relaxed);
	pthread_mutex_unlock(channel->runtime->lock);
	return late;
}
