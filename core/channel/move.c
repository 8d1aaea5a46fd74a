/* SPDX-License-Identifier: Apache-2.0 */
/* Asking for a move, and what can be seen of it. */
#include "channel/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "channel/fork.h"

int weir_runtime_remember(weir_runtime *runtime, const char *path, struct weir_error *err)
{
	struct weir_memo *memos = NULL;
	char *copy;
	int code = weir_memo_read(path, &memos, err);

	if (code && code != WEIR_ENOTFOUND)
		return code;
	copy = weir_mem_strdup(path);
	if (!copy)
		return weir_fail(err, WEIR_ENOMEM, "%s: %s", path, weir_code_text(WEIR_ENOMEM));
	pthread_mutex_lock(runtime->lock);
	runtime->memo_path = copy;
	runtime->memos = memos;
	pthread_mutex_unlock(runtime->lock);
	return WEIR_OK;
}

int weir_channel_move(weir_channel *channel, const char *kind, struct weir_error *err)
{
	weir_runtime *runtime = channel->runtime;
	const struct weir_driver *driver;
	struct weir_kind *known;
	int code = weir_runtime_load(runtime, kind, &driver, err);

	if (code)
		return code;
	known = weir_kind_get(runtime, kind);
	if (!known)
		return weir_fail(err, WEIR_ENOMEM, "channel %s/%s: %s", channel->ns, channel->name,
				 weir_code_text(WEIR_ENOMEM));
	pthread_mutex_lock(runtime->lock);
	if (channel->kind != known)
		channel->wanted_ns = weir_clock_now_ns();
	channel->kind = known;
	channel->wanted = known;
	pthread_mutex_unlock(runtime->lock);
	weir_mover_poke(runtime);
	return WEIR_OK;
}

/* ---- what can be seen ------------------------------------------------------------ */

static uint32_t count_uids(const struct weir_uid *uids)
{
	uint32_t count = 0;

	for (; uids; uids = uids->next)
		count++;
	return count;
}

static void describe_leg_locked(const weir_channel *channel, struct weir_place *place, struct weir_move_info *ret)
{
	ret->stage = WEIR_MOVE_DRAINING;
	ret->from = place->kind->name;
	ret->to = place->next->kind->name;
	ret->subscriptions = count_uids(place->undrained);
	ret->age_ms = (weir_clock_now_ns() - channel->opened_ns) / WEIR_NS_PER_MS;
	if (place->moved_ns)
		ret->age_ms = (weir_clock_now_ns() - place->moved_ns) / WEIR_NS_PER_MS;
	if (weir_place_ready_locked(place, &ret->error) == WEIR_OK)
		ret->error = (struct weir_error)WEIR_ERROR_INIT;
}

static bool is_leg_locked(const weir_channel *channel, const struct weir_kind *kind)
{
	for (const struct weir_place *place = channel->places; place->next; place = place->next)
		if (place->kind == kind)
			return true;
	return false;
}

/* Feeds of a place that have something left, with references. */
static size_t take_feeds_locked(const weir_channel *channel, const struct weir_place *place, struct weir_feed **ret,
				size_t max)
{
	size_t count = 0;

	for (struct weir_subscription *sub = channel->subs; sub && count < max; sub = sub->next) {
		struct weir_feed *feed = weir_subscription_feed(sub, place);

		if (!feed || !weir_uid_has(place->undrained, sub->uid))
			continue;
		atomic_fetch_add_explicit(&feed->refs, 1, memory_order_relaxed);
		ret[count++] = feed;
	}
	return count;
}

static void add_left(struct weir_move_info *ret, struct weir_feed **feeds, size_t count)
{
	ret->left = count < ret->subscriptions ? UINT64_MAX : 0;
	for (size_t i = 0; i < count; i++) {
		struct weir_sub_stats stats = { .size = sizeof stats };

		if (weir_feed_stats(feeds[i], &stats) || stats.lag == UINT64_MAX)
			ret->left = UINT64_MAX;
		else if (ret->left != UINT64_MAX)
			ret->left += stats.lag;
		weir_feed_unref(feeds[i], 1);
	}
}

static int describe_wanted_locked(const weir_channel *channel, struct weir_move_info *ret)
{
	const struct weir_place *newest = weir_channel_newest(channel);

	if (!channel->wanted || channel->wanted == newest->kind)
		return WEIR_ENOTFOUND;
	ret->stage = is_leg_locked(channel, channel->wanted) ? WEIR_MOVE_WAITING : WEIR_MOVE_PREPARING;
	ret->from = newest->kind->name;
	ret->to = channel->wanted->name;
	ret->age_ms = (weir_clock_now_ns() - channel->wanted_ns) / WEIR_NS_PER_MS;
	ret->error = channel->stuck;
	return WEIR_OK;
}

int weir_channel_move_info(weir_channel *channel, size_t index, struct weir_move_info *ret)
{
	enum { FEEDS_MAX = 64 };
	struct weir_feed *feeds[FEEDS_MAX];
	struct weir_place *place;
	size_t count = 0;
	int code = WEIR_OK;

	if (weir_forked(channel->runtime->fork_mark))
		return WEIR_EFORKED;
	*ret = (struct weir_move_info){ .error = WEIR_ERROR_INIT };
	pthread_mutex_lock(channel->runtime->lock);
	for (place = channel->places; place->next && index > 0; index--)
		place = place->next;
	if (place->next) {
		describe_leg_locked(channel, place, ret);
		count = take_feeds_locked(channel, place, feeds, FEEDS_MAX);
	} else {
		code = index == 0 ? describe_wanted_locked(channel, ret) : WEIR_ENOTFOUND;
	}
	pthread_mutex_unlock(channel->runtime->lock);
	if (!code && ret->stage == WEIR_MOVE_DRAINING)
		add_left(ret, feeds, count);
	return code;
}
