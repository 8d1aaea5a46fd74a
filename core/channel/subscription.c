/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions as receivers know them: one handle, whichever backends its deliveries come from. */
#include "channel/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "channel/fork.h"
#include "channel/runtime.h"

/* ---- life ---------------------------------------------------------------- */

void weir_subscription_ref(struct weir_subscription *sub)
{
	atomic_fetch_add_explicit(&sub->refs, 1, memory_order_relaxed);
}

void weir_subscription_unref(struct weir_subscription *sub)
{
	if (atomic_fetch_sub_explicit(&sub->refs, 1, memory_order_acq_rel) != 1)
		return;
	weir_mem_free(sub->name);
	weir_mem_free(sub->uid);
	weir_mem_free(sub);
}

static struct weir_subscription *sub_new(weir_channel *channel, const struct weir_subscription_spec *spec)
{
	struct weir_subscription *sub = weir_mem_zalloc(1, sizeof *sub);

	if (!sub)
		return NULL;
	atomic_init(&sub->refs, 1);
	sub->channel = channel;
	sub->name = weir_mem_strdup(spec->name);
	sub->uid = weir_mem_strdup(spec->uid ? spec->uid : spec->name);
	sub->spec = *spec;
	sub->spec.name = sub->name;
	sub->spec.uid = sub->uid;
	sub->spec.window = spec->window ? spec->window : 1;
	sub->spec.window_bytes = spec->window_bytes > INT64_MAX / 2 ? 0 : spec->window_bytes;
	if (sub->name && sub->uid)
		return sub;
	weir_subscription_unref(sub);
	return NULL;
}

/* ---- feeds ---------------------------------------------------------------- */

struct weir_feed *weir_subscription_feed(struct weir_subscription *sub, const struct weir_place *place)
{
	struct weir_feed *feed = sub->feeds;

	while (feed && feed->place != place)
		feed = feed->next;
	return feed;
}

bool weir_subscription_concerns(const struct weir_subscription *sub, const struct weir_place *place)
{
	if (!place->next)
		return true;
	return !(sub->spec.flags & WEIR_SUB_EPHEMERAL) && weir_uid_has(place->undrained, sub->uid);
}

const struct weir_place *weir_subscription_first(const struct weir_subscription *sub)
{
	const struct weir_place *place = sub->channel->places;

	while (place && !weir_subscription_concerns(sub, place))
		place = place->next;
	return place;
}

int weir_subscription_add_feed(struct weir_subscription *sub, struct weir_place *place, struct weir_error *err)
{
	pthread_mutex_t *lock = place->channel->runtime->lock;
	struct weir_feed *feed;
	int code;

	if (weir_subscription_feed(sub, place))
		return WEIR_OK;
	code = weir_feed_new(sub, place, &feed, err);
	if (code)
		return code;
	pthread_mutex_lock(lock);
	feed->next = sub->feeds;
	sub->feeds = feed;
	pthread_mutex_unlock(lock);
	return WEIR_OK;
}

/* Its deliveries come from somewhere else than before. */
static void tell_changed(struct weir_subscription *sub)
{
	const struct weir_notice notice = { .type = WEIR_EV_CAPS_CHANGED };

	if (sub->spec.notice)
		sub->spec.notice(sub->spec.ctx, &notice);
}

void weir_subscription_activate(struct weir_subscription *sub)
{
	const struct weir_place *place = weir_subscription_first(sub);
	struct weir_feed *feed, *ghost = sub->ghost;

	feed = place ? weir_subscription_feed(sub, place) : NULL;
	if (!feed || atomic_load(&feed->active))
		return;
	if (sub->was_active)
		tell_changed(sub);
	sub->was_active = true;
	sub->ghost = NULL;
	weir_feed_activate(feed, ghost);
	if (ghost)
		weir_feed_unref(ghost, 1);
}

static void unlink_feed(struct weir_subscription *sub, struct weir_feed *feed)
{
	pthread_mutex_t *lock = sub->channel->runtime->lock;
	struct weir_feed **at;

	pthread_mutex_lock(lock);
	for (at = &sub->feeds; *at != feed; at = &(*at)->next)
		;
	*at = feed->next;
	pthread_mutex_unlock(lock);
}

void weir_subscription_end_feed(struct weir_subscription *sub, struct weir_feed *feed, int keep, bool haunts,
				int64_t deadline_ns)
{
	struct weir_error why = WEIR_ERROR_INIT;
	int code;

	unlink_feed(sub, feed);
	if (haunts && atomic_load(&feed->active)) {
		atomic_fetch_add_explicit(&feed->refs, 1, memory_order_relaxed);
		sub->ghost = feed;
	}
	code = weir_feed_end(feed, keep, deadline_ns, &why);
	if (code && !atomic_load(&feed->backend->broken))
		weir_runtime_log(sub->channel->runtime, WEIR_LOG_WARNING, "subscription %s: leaving %s: %s", sub->name,
				 feed->backend->kind, why.text);
}

/* ---- subscribing ------------------------------------------------------------ */

static int join_channel(weir_channel *channel, struct weir_subscription *sub, struct weir_error *err)
{
	weir_runtime *runtime = channel->runtime;
	bool ephemeral = sub->spec.flags & WEIR_SUB_EPHEMERAL;
	int code = WEIR_OK;

	pthread_mutex_lock(runtime->lock);
	if (runtime->closing)
		code = WEIR_ECLOSED;
	else if (!ephemeral && !weir_uid_add(&channel->uids, sub->uid))
		code = WEIR_ENOMEM;
	if (!code) {
		sub->next = channel->subs;
		channel->subs = sub;
	}
	pthread_mutex_unlock(runtime->lock);
	return code ? weir_fail(err, code, "subscription %s: %s", sub->name,
				code == WEIR_ECLOSED ? "closing" : weir_code_text(code))
		    : WEIR_OK;
}

static void leave_channel(struct weir_subscription *sub)
{
	weir_channel *channel = sub->channel;
	pthread_mutex_t *lock = channel->runtime->lock;
	struct weir_subscription **at;

	pthread_mutex_lock(lock);
	for (at = &channel->subs; *at && *at != sub; at = &(*at)->next)
		;
	if (*at)
		*at = sub->next;
	pthread_mutex_unlock(lock);
}

static int add_feeds(weir_channel *channel, struct weir_subscription *sub, struct weir_error *err)
{
	int code = WEIR_OK;

	for (struct weir_place *place = channel->places; place && !code; place = place->next)
		if (place->backend && weir_subscription_concerns(sub, place))
			code = weir_subscription_add_feed(sub, place, err);
	if (!code && channel->coming && channel->coming->backend)
		code = weir_subscription_add_feed(sub, channel->coming, err);
	return code;
}

static void end_all_feeds(struct weir_subscription *sub, int keep, int64_t deadline_ns, int *code,
			  struct weir_error *err)
{
	struct weir_error why = WEIR_ERROR_INIT;

	while (sub->feeds) {
		struct weir_feed *feed = sub->feeds;
		int other;

		unlink_feed(sub, feed);
		other = weir_feed_end(feed, keep, deadline_ns, &why);
		if (other && !*code) {
			*code = other;
			if (err)
				*err = why;
		}
	}
}

static int subscribe(weir_channel *channel, struct weir_subscription *sub, weir_subscription **ret, bool *new_uid,
		     struct weir_error *err)
{
	int code = add_feeds(channel, sub, err);
	int ignored = WEIR_OK;

	*new_uid = !(sub->spec.flags & WEIR_SUB_EPHEMERAL) && !weir_uid_has(channel->uids, sub->uid);
	if (!code)
		code = join_channel(channel, sub, err);
	if (code) {
		end_all_feeds(sub, 1, weir_clock_now_ns(), &ignored, NULL);
		return code;
	}
	/* First: the receiver may be called at once. */
	*ret = sub;
	weir_subscription_activate(sub);
	return WEIR_OK;
}

int weir_channel_subscribe(weir_channel *channel, const struct weir_subscription_spec *spec, weir_subscription **ret,
			   struct weir_error *err)
{
	struct weir_subscription *sub;
	bool new_uid;
	int code;

	if (weir_forked(channel->runtime->fork_mark))
		return weir_fail(err, WEIR_EFORKED, "channel %s/%s: %s", channel->ns, channel->name,
				 weir_code_text(WEIR_EFORKED));
	if (!spec->name || !spec->deliver)
		return weir_fail(err, WEIR_EINVAL, "channel %s/%s: a subscription needs a name and a receiver",
				 channel->ns, channel->name);
	sub = sub_new(channel, spec);
	if (!sub)
		return weir_fail(err, WEIR_ENOMEM, "subscription %s: %s", spec->name, weir_code_text(WEIR_ENOMEM));
	weir_channel_take_turn(channel);
	code = subscribe(channel, sub, ret, &new_uid, err);
	weir_channel_give_turn(channel);
	if (code)
		weir_subscription_unref(sub);
	else if (new_uid)
		weir_mover_note(channel->runtime);
	return code;
}

int weir_subscription_end(struct weir_subscription *sub, int keep, int64_t deadline_ns, struct weir_error *err)
{
	struct weir_feed *ghost = sub->ghost;
	int code = WEIR_OK;

	atomic_store(&sub->ended, true);
	end_all_feeds(sub, keep, deadline_ns, &code, err);
	sub->ghost = NULL;
	if (ghost)
		weir_feed_unref(ghost, 1);
	weir_subscription_unref(sub);
	return code;
}

/* It is forgotten: nothing is left for it anywhere. */
static void forget_uid(weir_channel *channel, const char *uid)
{
	pthread_mutex_lock(channel->runtime->lock);
	weir_uid_remove(&channel->uids, uid);
	for (struct weir_place *place = channel->places; place; place = place->next)
		weir_uid_remove(&place->undrained, uid);
	pthread_mutex_unlock(channel->runtime->lock);
}

int weir_subscription_close(weir_subscription *sub, int keep, int64_t deadline_ns, struct weir_error *err)
{
	weir_channel *channel = sub->channel;
	bool forgets = !keep && !(sub->spec.flags & WEIR_SUB_EPHEMERAL);
	int code;

	if (weir_forked(channel->runtime->fork_mark))
		return weir_fail(err, WEIR_EFORKED, "subscription %s: %s", sub->name, weir_code_text(WEIR_EFORKED));
	if (weir_runtime_on_pump(channel->runtime))
		return weir_fail(err, WEIR_EINVAL, "subscription %s: cannot be closed from a callback", sub->name);
	weir_channel_take_turn(channel);
	leave_channel(sub);
	if (forgets)
		forget_uid(channel, sub->uid);
	code = weir_subscription_end(sub, keep, deadline_ns, err);
	weir_channel_give_turn(channel);
	if (forgets)
		weir_mover_note(channel->runtime);
	return code;
}

/* ---- what is known of it ------------------------------------------------------ */

/* The feed that deliveries come from now, or *place, which is not open. With a reference. */
static struct weir_feed *feed_now(struct weir_subscription *sub, struct weir_error *why)
{
	weir_runtime *runtime = sub->channel->runtime;
	const struct weir_place *place;
	struct weir_feed *feed = NULL;

	pthread_mutex_lock(runtime->lock);
	place = weir_subscription_first(sub);
	if (place)
		feed = weir_subscription_feed(sub, place);
	if (feed)
		atomic_fetch_add_explicit(&feed->refs, 1, memory_order_relaxed);
	else if (!place || weir_place_ready_locked(place, why) == WEIR_OK)
		weir_fail(why, WEIR_EAGAIN, "subscription %s: it is being made", sub->name);
	pthread_mutex_unlock(runtime->lock);
	return feed;
}

int weir_subscription_ready(weir_subscription *sub, struct weir_error *err)
{
	struct weir_error why = WEIR_ERROR_INIT;
	struct weir_feed *feed;
	int code;

	if (weir_forked(sub->channel->runtime->fork_mark))
		return weir_fail(err, WEIR_EFORKED, "subscription %s: %s", sub->name, weir_code_text(WEIR_EFORKED));
	feed = feed_now(sub, &why);
	if (feed) {
		code = weir_feed_ready(feed, &why);
		weir_feed_unref(feed, 1);
	} else {
		code = why.code;
	}
	if (code && err)
		*err = why;
	return code;
}

enum { FEEDS_MAX = 16 };

/* All of them, with references, so that drivers may be asked without a lock. */
static size_t take_feeds(struct weir_subscription *sub, struct weir_feed **ret)
{
	pthread_mutex_t *lock = sub->channel->runtime->lock;
	size_t count = 0;

	pthread_mutex_lock(lock);
	for (struct weir_feed *feed = sub->feeds; feed && count < FEEDS_MAX; feed = feed->next) {
		atomic_fetch_add_explicit(&feed->refs, 1, memory_order_relaxed);
		ret[count++] = feed;
	}
	pthread_mutex_unlock(lock);
	return count;
}

static void add_stats(struct weir_sub_stats *sum, const struct weir_sub_stats *more)
{
	sum->lag = sum->lag == UINT64_MAX || more->lag == UINT64_MAX ? UINT64_MAX : sum->lag + more->lag;
	sum->unsettled += more->unsettled;
	sum->redelivered += more->redelivered;
	if (more->oldest_ms > sum->oldest_ms)
		sum->oldest_ms = more->oldest_ms;
	if (more->lag_ns && (!sum->lag_ns || more->lag_ns < sum->lag_ns))
		sum->lag_ns = more->lag_ns;
}

int weir_subscription_stats(weir_subscription *sub, struct weir_sub_stats *ret)
{
	struct weir_sub_stats sum = { .size = sizeof sum, .oldest_ms = -1 };
	struct weir_feed *feeds[FEEDS_MAX];
	size_t count = take_feeds(sub, feeds);
	int code = count ? WEIR_OK : WEIR_ECLOSED;

	for (size_t i = 0; i < count; i++) {
		struct weir_sub_stats stats = { .size = sizeof stats };
		int other = weir_feed_stats(feeds[i], &stats);

		if (other)
			code = other;
		else
			add_stats(&sum, &stats);
		weir_feed_unref(feeds[i], 1);
	}
	*ret = sum;
	return code;
}

int weir_subscription_pause(weir_subscription *sub, int on)
{
	struct weir_feed *feeds[FEEDS_MAX];
	size_t count;
	int code = WEIR_OK;

	if (weir_forked(sub->channel->runtime->fork_mark))
		return WEIR_EFORKED;
	pthread_mutex_lock(sub->channel->runtime->lock);
	sub->paused = on != 0;
	pthread_mutex_unlock(sub->channel->runtime->lock);
	count = take_feeds(sub, feeds);
	for (size_t i = 0; i < count; i++) {
		int other = weir_feed_pause(feeds[i], on != 0);

		code = code ? code : other;
		weir_feed_unref(feeds[i], 1);
	}
	return code;
}
