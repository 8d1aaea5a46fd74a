/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that moves channels from one backend to another, and opens anew what
 * has died. It sleeps while there is nothing to do, and looks again and again
 * while there is. Whatever fails is tried again, later and later.
 *
 * The order of things is what a crash leaves behind:
 *   the subscriptions are ready on the new backend
 *     a crash here: the channel is on the old one, as if nothing had been asked
 *   the memo says: on the new one, and who has to drain the old one
 *     a crash here: nothing is on the new one yet; the old one is drained
 *   new events go to the new one
 *   a subscription has settled all that was on the old one
 *     a crash here: it is drained once more, and nothing is left to deliver
 *   the memo says so
 *     a crash here: it reads the new one from where it was made
 *   it reads the new one
 */
#include "channel/internal.h"

#include <signal.h>
#include <stdarg.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "channel/runtime.h"

enum {
	TICK_MS = 20,
	LEAVE_MS = 2000,        /* a driver may take for letting go of a subscription */
	BACKOFF_MIN_MS = 1000,  /* a backend that did not open is tried again */
	BACKOFF_MAX_MS = 30000, /* at the latest */
	LIVED_MS = 60000,       /* one that lived this long and died is opened again soon */
	CLOSING_MS = 100,       /* one of the kind is being closed */
	MEMO_RETRY_MS = 1000,
	ABSENT_MS = 60000, /* a subscription that the memo names and nobody makes is not waited for any longer */
};

void weir_runtime_log(weir_runtime *runtime, int level, const char *format, ...)
{
	char text[640];
	va_list args;

	if (!runtime->log)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	runtime->log(runtime->log_ctx, level, text);
}

#define LOG(channel_, level_, format_, ...)                                                                            \
	weir_runtime_log((channel_)->runtime, level_, "channel %s/%s: " format_, (channel_)->ns, (channel_)->name,     \
			 __VA_ARGS__)

/* ---- opening ---------------------------------------------------------------- */

static void set_backoff(weir_runtime *runtime, struct weir_kind *kind, const struct weir_error *why)
{
	int64_t now = weir_clock_now_ns();

	pthread_mutex_lock(runtime->lock);
	kind->error = *why;
	if (now - kind->opened_ns > LIVED_MS * WEIR_NS_PER_MS && kind->opened_ns > kind->retry_ns)
		kind->backoff_ms = 0;
	kind->backoff_ms = kind->backoff_ms * 2 < BACKOFF_MAX_MS ? kind->backoff_ms * 2 : BACKOFF_MAX_MS;
	if (kind->backoff_ms < BACKOFF_MIN_MS)
		kind->backoff_ms = BACKOFF_MIN_MS;
	kind->retry_ns = weir_clock_after_ms(now, kind->backoff_ms);
	pthread_mutex_unlock(runtime->lock);
}

/* Each broken backend is noticed by each channel on it; the first to come says when it is tried again. */
static void note_death(struct weir_place *place)
{
	struct weir_backend *backend = place->backend;
	struct weir_error why = WEIR_ERROR_INIT;
	bool fatal;

	pthread_mutex_lock(&backend->lock);
	fatal = backend->fatal;
	why = backend->error;
	pthread_mutex_unlock(&backend->lock);
	if (fatal && weir_clock_now_ns() >= place->kind->retry_ns)
		set_backoff(place->channel->runtime, place->kind, &why);
}

static void close_if_broken(struct weir_place *place)
{
	weir_channel *channel = place->channel;

	if (!place->backend || !atomic_load(&place->backend->broken))
		return;
	if (atomic_load(&channel->current) == place || channel->unsynced)
		if (!weir_place_direct(channel,
				       atomic_load(&channel->current) == place ? NULL : atomic_load(&channel->current)))
			return;
	note_death(place);
	weir_place_close(place, false, weir_clock_after_ms(weir_clock_now_ns(), LEAVE_MS));
}

static void add_feeds(struct weir_place *place, struct weir_error *why)
{
	for (struct weir_subscription *sub = place->channel->subs; sub; sub = sub->next)
		if (weir_subscription_concerns(sub, place))
			weir_subscription_add_feed(sub, place, why);
}

static void open_if_closed(struct weir_place *place)
{
	weir_channel *channel = place->channel;
	struct weir_error why = WEIR_ERROR_INIT;
	int64_t now = weir_clock_now_ns();
	int code;

	if (place->backend || now < place->kind->retry_ns)
		return;
	code = weir_place_open(place, &why);
	if (code == WEIR_EAGAIN) {
		pthread_mutex_lock(channel->runtime->lock);
		place->kind->retry_ns = weir_clock_after_ms(now, CLOSING_MS);
		pthread_mutex_unlock(channel->runtime->lock);
		return;
	}
	if (code) {
		set_backoff(channel->runtime, place->kind, &why);
		LOG(channel, WEIR_LOG_WARNING, "%s cannot be opened, tried again in %lld s: %s", place->kind->name,
		    (long long)place->kind->backoff_ms / 1000, why.text);
		return;
	}
	pthread_mutex_lock(channel->runtime->lock);
	place->kind->opened_ns = now;
	pthread_mutex_unlock(channel->runtime->lock);
	add_feeds(place, &why);
	if (place == weir_channel_newest(channel))
		weir_place_direct(channel, place);
}

static void each_place(weir_channel *channel, void (*call)(struct weir_place *place))
{
	for (struct weir_place *place = channel->places; place; place = place->next)
		call(place);
	if (channel->coming)
		call(channel->coming);
}

/* ---- where it shall go -------------------------------------------------------- */

static void set_stuck(weir_channel *channel, const struct weir_error *why)
{
	bool news;

	pthread_mutex_lock(channel->runtime->lock);
	news = why && why->code && why->code != channel->stuck.code;
	channel->stuck = why ? *why : (struct weir_error)WEIR_ERROR_INIT;
	pthread_mutex_unlock(channel->runtime->lock);
	if (news && why->code != WEIR_EAGAIN)
		LOG(channel, WEIR_LOG_WARNING, "moving waits: %s", why->text);
}

/* Not prepared any longer. What it has on the backend stays, and holds nothing. */
static void give_up_coming(weir_channel *channel)
{
	struct weir_place *place = channel->coming;

	if (!place)
		return;
	weir_place_close(place, true, weir_clock_after_ms(weir_clock_now_ns(), LEAVE_MS));
	pthread_mutex_lock(channel->runtime->lock);
	channel->coming = NULL;
	pthread_mutex_unlock(channel->runtime->lock);
	weir_place_free(place);
}

static bool is_left(const weir_channel *channel, const struct weir_kind *kind)
{
	for (const struct weir_place *place = channel->places; place && place->next; place = place->next)
		if (place->kind == kind)
			return true;
	return false;
}

static void stop_wanting(weir_channel *channel)
{
	pthread_mutex_lock(channel->runtime->lock);
	if (channel->wanted == weir_channel_newest(channel)->kind)
		channel->wanted = NULL;
	pthread_mutex_unlock(channel->runtime->lock);
	set_stuck(channel, NULL);
}

static void consider_wanted(weir_channel *channel)
{
	struct weir_kind *wanted;
	struct weir_place *place;

	pthread_mutex_lock(channel->runtime->lock);
	wanted = channel->wanted;
	pthread_mutex_unlock(channel->runtime->lock);
	if (!wanted)
		return;
	if (channel->coming && channel->coming->kind != wanted)
		give_up_coming(channel);
	if (wanted == weir_channel_newest(channel)->kind) {
		stop_wanting(channel);
		return;
	}
	/* Two ends of the same place cannot be told apart: first the one, then the other. */
	if (channel->coming || is_left(channel, wanted))
		return;
	place = weir_place_new(channel, wanted);
	pthread_mutex_lock(channel->runtime->lock);
	channel->coming = place;
	pthread_mutex_unlock(channel->runtime->lock);
}

/* ---- going there ---------------------------------------------------------------- */

static int coming_ready(weir_channel *channel, struct weir_error *why)
{
	struct weir_place *coming = channel->coming;
	int code;

	pthread_mutex_lock(channel->runtime->lock);
	code = weir_place_ready_locked(coming, why);
	pthread_mutex_unlock(channel->runtime->lock);
	for (struct weir_subscription *sub = channel->subs; sub && !code; sub = sub->next) {
		code = weir_subscription_add_feed(sub, coming, why);
		if (!code)
			code = weir_feed_ready(weir_subscription_feed(sub, coming), why);
	}
	return code;
}

static bool copy_uids(struct weir_uid **to, const struct weir_uid *from)
{
	for (; from; from = from->next)
		if (!weir_uid_add(to, from->text))
			return false;
	return true;
}

/* From here on it is what a crash leaves behind. */
static int commit(weir_channel *channel, struct weir_place *old, struct weir_error *why)
{
	weir_runtime *runtime = channel->runtime;
	bool copied;
	int code;

	pthread_mutex_lock(runtime->lock);
	copied = copy_uids(&old->undrained, channel->uids);
	channel->committing = copied;
	pthread_mutex_unlock(runtime->lock);
	code = copied ? weir_memo_write(runtime, why) : weir_fail(why, WEIR_ENOMEM, "%s", weir_code_text(WEIR_ENOMEM));
	if (!code)
		return WEIR_OK;
	pthread_mutex_lock(runtime->lock);
	channel->committing = false;
	weir_uid_free(&old->undrained);
	pthread_mutex_unlock(runtime->lock);
	channel->retry_ns = weir_clock_after_ms(weir_clock_now_ns(), MEMO_RETRY_MS);
	return code;
}

/* New events go to the new one; from now on everybody sees it. */
static void go(weir_channel *channel, struct weir_place *old)
{
	struct weir_place *coming = channel->coming;

	weir_place_direct(channel, coming);
	pthread_mutex_lock(channel->runtime->lock);
	old->moved_ns = weir_clock_now_ns();
	old->next = coming;
	channel->coming = NULL;
	channel->committing = false;
	pthread_mutex_unlock(channel->runtime->lock);
}

static void try_going(weir_channel *channel)
{
	struct weir_place *old = weir_channel_newest(channel), *coming = channel->coming;
	struct weir_error why = WEIR_ERROR_INIT;
	int code;

	if (!coming || channel->unsynced || weir_clock_now_ns() < channel->retry_ns)
		return;
	code = coming_ready(channel, &why);
	if (!code)
		code = commit(channel, old, &why);
	set_stuck(channel, code ? &why : NULL);
	if (code)
		return;
	go(channel, old);
	stop_wanting(channel);
	LOG(channel, WEIR_LOG_NOTICE, "new events go to %s; what is left on %s is delivered first", coming->kind->name,
	    old->kind->name);
}

/* ---- draining --------------------------------------------------------------------- */

/* Whether all that was published to it has been told. */
static bool is_settled(struct weir_place *place)
{
	weir_channel *channel = place->channel;
	int64_t now = weir_clock_now_ns();

	if (place->settled_ns)
		return true;
	if (channel->unsynced || !place->backend)
		return false;
	if (!place->left_ns)
		place->left_ns = weir_clock_after_ms(now, channel->runtime->publish_timeout_ms);
	if (!weir_backend_pending_until(place->backend, place->left_ns))
		place->settled_ns = now;
	return place->settled_ns != 0;
}

/* True: somebody has come to the end of it. */
static bool find_drained(struct weir_place *place)
{
	weir_channel *channel = place->channel;
	bool found = false;

	for (struct weir_subscription *sub = channel->subs; sub; sub = sub->next) {
		struct weir_feed *feed = weir_subscription_feed(sub, place);
		uint64_t left;

		if (!feed || weir_subscription_first(sub) != place || !atomic_load(&feed->active) ||
		    !weir_feed_drained(feed, place->settled_ns, &left))
			continue;
		pthread_mutex_lock(channel->runtime->lock);
		weir_uid_remove(&place->undrained, sub->uid);
		pthread_mutex_unlock(channel->runtime->lock);
		found = true;
	}
	return found;
}

static bool is_present(const weir_channel *channel, const char *uid)
{
	for (const struct weir_subscription *sub = channel->subs; sub; sub = sub->next)
		if (strcmp(sub->uid, uid) == 0)
			return true;
	return false;
}

/* Those that are not configured any more would hold the old backend open for ever. */
static bool drop_absent(struct weir_place *place)
{
	weir_channel *channel = place->channel;
	bool found = false;
	struct weir_uid **at = &place->undrained;

	if (weir_clock_now_ns() < weir_clock_after_ms(channel->opened_ns, ABSENT_MS))
		return false;
	while (*at) {
		struct weir_uid *uid = *at;

		if (is_present(channel, uid->text)) {
			at = &uid->next;
			continue;
		}
		LOG(channel, WEIR_LOG_WARNING,
		    "nobody makes subscription %.64s: what it has left on %s is not delivered", uid->text,
		    place->kind->name);
		pthread_mutex_lock(channel->runtime->lock);
		*at = uid->next;
		pthread_mutex_unlock(channel->runtime->lock);
		weir_mem_free(uid);
		found = true;
	}
	return found;
}

static void write_memo(weir_channel *channel)
{
	struct weir_error why = WEIR_ERROR_INIT;

	/* Not written, a crash has the old backend drained once more, which finds nothing. */
	if (weir_memo_write(channel->runtime, &why))
		LOG(channel, WEIR_LOG_WARNING, "%s", why.text);
}

/* Feeds of places that a subscription does not read from any more. */
static void end_old_feeds(weir_channel *channel, struct weir_place *place)
{
	int64_t deadline_ns = weir_clock_after_ms(weir_clock_now_ns(), LEAVE_MS);

	for (struct weir_subscription *sub = channel->subs; sub; sub = sub->next) {
		struct weir_feed *feed = weir_subscription_feed(sub, place);

		if (feed && !weir_subscription_concerns(sub, place))
			weir_subscription_end_feed(sub, feed, 1, true, deadline_ns);
	}
}

static void leave(weir_channel *channel, struct weir_place *place)
{
	struct weir_place **at = &channel->places;

	LOG(channel, WEIR_LOG_NOTICE, "%s is drained and left as it is", place->kind->name);
	weir_place_close(place, true, weir_clock_after_ms(weir_clock_now_ns(), LEAVE_MS));
	pthread_mutex_lock(channel->runtime->lock);
	while (*at != place)
		at = &(*at)->next;
	*at = place->next;
	pthread_mutex_unlock(channel->runtime->lock);
	weir_place_free(place);
	write_memo(channel);
}

static void drain(weir_channel *channel)
{
	struct weir_place *place = channel->places, *next;

	for (; place->next; place = next) {
		bool settled = is_settled(place), changed = drop_absent(place);

		next = place->next;
		if (settled && find_drained(place))
			changed = true;
		if (changed)
			write_memo(channel);
		end_old_feeds(channel, place);
		if (!place->undrained && (settled || !place->backend))
			leave(channel, place);
	}
}

/* ---- the thread --------------------------------------------------------------------- */

bool weir_mover_wanted_locked(const weir_channel *channel)
{
	if (channel->wanted || channel->coming || channel->unsynced || !channel->places)
		return channel->places != NULL;
	for (const struct weir_place *place = channel->places; place; place = place->next)
		if (place->next || !place->backend || atomic_load(&place->backend->broken))
			return true;
	return false;
}

bool weir_mover_step(weir_channel *channel)
{
	bool more;

	if (channel->unsynced)
		weir_place_sync(channel);
	each_place(channel, close_if_broken);
	each_place(channel, open_if_closed);
	consider_wanted(channel);
	try_going(channel);
	drain(channel);
	for (struct weir_subscription *sub = channel->subs; sub; sub = sub->next)
		weir_subscription_activate(sub);
	pthread_mutex_lock(channel->runtime->lock);
	more = weir_mover_wanted_locked(channel);
	pthread_mutex_unlock(channel->runtime->lock);
	return more;
}

/* The next channel that has something to do, with its turn. The lock is held. */
static weir_channel *next_channel_locked(weir_runtime *runtime)
{
	for (weir_channel *channel = runtime->channels; channel; channel = channel->next) {
		if (channel->round == runtime->mover_round || channel->opening || channel->changing)
			continue;
		channel->round = runtime->mover_round;
		if (!weir_mover_wanted_locked(channel))
			continue;
		channel->changing = true;
		return channel;
	}
	return NULL;
}

static bool someone_waits_locked(const weir_runtime *runtime)
{
	for (const weir_channel *channel = runtime->channels; channel; channel = channel->next)
		if (!channel->opening && weir_mover_wanted_locked(channel))
			return true;
	return false;
}

/* One look at everything. The lock is held, and given up meanwhile. */
static void look_locked(weir_runtime *runtime)
{
	weir_channel *channel;

	runtime->mover_round++;
	while (!runtime->mover_stop && (channel = next_channel_locked(runtime))) {
		pthread_mutex_unlock(runtime->lock);
		weir_mover_step(channel);
		pthread_mutex_lock(runtime->lock);
		channel->changing = false;
		pthread_cond_broadcast(&runtime->changed);
	}
	pthread_mutex_unlock(runtime->lock);
	weir_runtime_sweep(runtime);
	pthread_mutex_lock(runtime->lock);
}

static void write_if_dirty_locked(weir_runtime *runtime)
{
	struct weir_error why = WEIR_ERROR_INIT;

	if (!runtime->memo_dirty)
		return;
	runtime->memo_dirty = false;
	pthread_mutex_unlock(runtime->lock);
	if (weir_memo_write(runtime, &why))
		weir_runtime_log(runtime, WEIR_LOG_WARNING, "%s", why.text);
	pthread_mutex_lock(runtime->lock);
}

static void rest_locked(weir_runtime *runtime)
{
	int64_t until_ns = weir_clock_after_ms(weir_clock_now_ns(), TICK_MS);
	struct timespec until = { until_ns / WEIR_NS_PER_S, until_ns % WEIR_NS_PER_S };

	if (runtime->mover_stop || runtime->mover_poked)
		return;
	if (someone_waits_locked(runtime))
		pthread_cond_timedwait(&runtime->mover_wake, runtime->lock, &until);
	else
		pthread_cond_wait(&runtime->mover_wake, runtime->lock);
}

static void *mover_main(void *data)
{
	weir_runtime *runtime = data;

	pthread_setname_np(pthread_self(), "weir-mover");
	pthread_mutex_lock(runtime->lock);
	while (!runtime->mover_stop) {
		runtime->mover_poked = false;
		look_locked(runtime);
		write_if_dirty_locked(runtime);
		rest_locked(runtime);
	}
	write_if_dirty_locked(runtime);
	runtime->mover_gone = true;
	pthread_cond_broadcast(&runtime->changed);
	pthread_mutex_unlock(runtime->lock);
	return NULL;
}

static void start_locked(weir_runtime *runtime)
{
	sigset_t all, before;

	if (runtime->mover_runs || runtime->mover_stop)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	runtime->mover_runs = pthread_create(&runtime->mover, NULL, mover_main, runtime) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void weir_mover_poke(weir_runtime *runtime)
{
	pthread_mutex_lock(runtime->lock);
	start_locked(runtime);
	runtime->mover_poked = true;
	pthread_cond_signal(&runtime->mover_wake);
	pthread_mutex_unlock(runtime->lock);
}

void weir_mover_note(weir_runtime *runtime)
{
	if (!runtime->memo_path)
		return;
	pthread_mutex_lock(runtime->lock);
	runtime->memo_dirty = true;
	pthread_mutex_unlock(runtime->lock);
	weir_mover_poke(runtime);
}

bool weir_mover_stop(weir_runtime *runtime, int64_t deadline_ns)
{
	int64_t patience_ns = weir_clock_after_ms(deadline_ns, LEAVE_MS / 2);
	struct timespec until = { patience_ns / WEIR_NS_PER_S, patience_ns % WEIR_NS_PER_S };
	bool gone;

	pthread_mutex_lock(runtime->lock);
	runtime->mover_stop = true;
	pthread_cond_signal(&runtime->mover_wake);
	while (runtime->mover_runs && !runtime->mover_gone &&
	       pthread_cond_clockwait(&runtime->changed, runtime->lock, CLOCK_MONOTONIC, &until) == 0)
		;
	gone = !runtime->mover_runs || runtime->mover_gone;
	pthread_mutex_unlock(runtime->lock);
	if (runtime->mover_runs && gone)
		pthread_join(runtime->mover, NULL);
	return gone;
}
