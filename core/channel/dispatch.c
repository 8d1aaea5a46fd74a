/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver's event means, and whom it is for. All on the pump. */
#include "channel/backend.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "channel/internal.h"

enum { THROTTLE_LOG_MS = 60000, SETTLE_LOG_MS = 60000 };

/* An event about something whose pointer the driver has not returned to its caller yet. */
struct weir_early {
	struct weir_early *next;
	struct weir_driver_event event;
	struct weir_error error;
};

/* Object of an event that has to wait: topic_open or subscribe is under way. */
static char too_early;

/* ---- whom ---------------------------------------------------------------- */

static void *find_object(struct weir_backend *backend, const struct weir_driver_event *event)
{
	void *object = NULL;

	if (event->sub)
		object = weir_ptrmap_get(&backend->subs, event->sub);
	else if (event->topic)
		object = weir_ptrmap_get(&backend->topics, event->topic);
	else
		return NULL;
	return object || !backend->opening ? object : &too_early;
}

/* Those that came before about the same have to go first. */
static bool follows_early(const struct weir_backend *backend, const struct weir_driver_event *event)
{
	for (const struct weir_early *early = backend->early; early; early = early->next)
		if (early->event.sub == event->sub && early->event.topic == event->topic)
			return true;
	return false;
}

static void find_objects(struct weir_backend *backend)
{
	struct weir_sub *last = NULL;
	void *object = NULL;

	pthread_mutex_lock(&backend->map_lock);
	for (size_t i = backend->at; i < backend->count; i++) {
		const struct weir_driver_event *event = &backend->events[i];

		if (!event->sub || event->sub != last)
			object = follows_early(backend, event) ? &too_early : find_object(backend, event);
		last = event->sub;
		backend->objects[i] = object;
	}
	pthread_mutex_unlock(&backend->map_lock);
}

/* ---- publishes ----------------------------------------------------------- */

static void flush_lane(struct weir_lane *lane)
{
	size_t count = lane->done_count;

	lane->done_count = 0;
	/* First: who hears of a completion may publish at once. */
	weir_lane_give_back(lane);
	if (count)
		weir_publisher_tell(lane, lane->done_owner, lane->done, count);
}

static void add_completion(struct weir_lane *lane, uint32_t owner, const struct weir_completion *completion)
{
	struct weir_backend *backend = lane->backend;

	if (!lane->touched) {
		lane->touched = true;
		lane->next_touched = backend->touched_lanes;
		backend->touched_lanes = lane;
	}
	if (lane->done_count == WEIR_LANE_BATCH || (lane->done_count && lane->done_owner != owner))
		flush_lane(lane);
	lane->done_owner = owner;
	lane->done[lane->done_count++] = *completion;
}

static void on_published(struct weir_backend *backend, const struct weir_driver_event *event)
{
	struct weir_completion completion = { 0, event->outcome, 0, event->position, event->error };
	uint32_t id = weir_lane_of_tag(event->tag);
	struct weir_lane *lane = NULL;
	enum weir_finish finish = WEIR_FINISH_UNKNOWN;
	uint32_t owner = 0;

	if (completion.outcome > WEIR_UNKNOWN) {
		weir_backend_breach(backend, WEIR_BREACH_OUTCOME);
		completion.outcome = WEIR_UNKNOWN;
	}
	if (id < atomic_load_explicit(&backend->lane_count, memory_order_acquire))
		lane = atomic_load_explicit(&backend->lanes[id], memory_order_acquire);
	if (lane)
		finish = weir_lane_finish(lane, event->tag, &completion.tag, &owner);
	if (finish == WEIR_FINISH_DONE)
		add_completion(lane, owner, &completion);
	else if (finish == WEIR_FINISH_TWICE)
		weir_backend_breach(backend, WEIR_BREACH_TWICE);
	else if (finish == WEIR_FINISH_UNKNOWN)
		weir_backend_breach(backend, WEIR_BREACH_UNKNOWN_TAG);
	else if (completion.outcome == WEIR_PERSISTED)
		atomic_fetch_add_explicit(&backend->late_persisted, 1, memory_order_relaxed);
}

/* There is room again: whoever was refused hears of it, as a batch of no completions. */
static void tell_room(struct weir_backend *backend)
{
	uint32_t count = atomic_load_explicit(&backend->lane_count, memory_order_acquire);

	for (uint32_t i = 0; i < count; i++) {
		struct weir_lane *lane = atomic_load_explicit(&backend->lanes[i], memory_order_acquire);

		if (!atomic_exchange(&lane->wants_room, false))
			continue;
		/* In the order in which things happened. */
		flush_lane(lane);
		weir_publisher_tell_room(lane);
	}
}

static void expire_one(struct weir_lane *lane, uint64_t tag, uint32_t owner)
{
	static const struct weir_error late = {
		.size = sizeof late,
		.code = WEIR_ETIMEDOUT,
		.retry = WEIR_RETRY_MAY_DUP,
		.text = "the backend has not said in time what became of the event; it may be stored or not",
	};
	struct weir_completion completion = { tag, WEIR_UNKNOWN, 0, 0, &late };

	atomic_fetch_add_explicit(&lane->backend->timeouts, 1, memory_order_relaxed);
	add_completion(lane, owner, &completion);
}

void weir_dispatch_expire(struct weir_backend *backend, int64_t before_ns)
{
	uint32_t count = atomic_load_explicit(&backend->lane_count, memory_order_acquire);

	for (uint32_t i = 0; i < count; i++) {
		struct weir_lane *lane = atomic_load_explicit(&backend->lanes[i], memory_order_acquire);
		int64_t earliest = weir_lane_expire(lane, before_ns, expire_one);

		if (earliest < backend->next_expiry_ns)
			backend->next_expiry_ns = earliest;
	}
}

/* ---- state of the backend ------------------------------------------------ */

static void set_up(struct weir_backend *backend, bool up, const struct weir_driver_event *event)
{
	struct weir_error why;
	bool changed;

	weir_guard_error(&why, event->error, event->error && event->error->code ? event->error->code : WEIR_EUNAVAIL,
			 "the backend is not reachable");
	pthread_mutex_lock(&backend->lock);
	changed = backend->up != up;
	backend->up = up;
	backend->down = why;
	pthread_mutex_unlock(&backend->lock);
	if (changed)
		weir_backend_log(backend, up ? WEIR_LOG_NOTICE : WEIR_LOG_WARNING, "%s%s",
				 up ? "reachable again" : "not reachable: ", up ? "" : why.text);
}

void weir_dispatch_fatal(struct weir_backend *backend, const struct weir_error *error)
{
	struct weir_error why;

	if (backend->dead)
		return;
	backend->dead = true;
	backend->next_expiry_ns = 0;
	weir_guard_error(&why, error, WEIR_EFATAL, "the instance is dead");
	pthread_mutex_lock(&backend->lock);
	backend->fatal = true;
	backend->error = why;
	pthread_mutex_unlock(&backend->lock);
	weir_backend_log(backend, WEIR_LOG_ERROR, "its instance is dead and will be opened anew: %s", why.text);
	atomic_store(&backend->broken, true);
	weir_mover_poke(backend->runtime);
}

static void renew_caps(struct weir_backend *backend)
{
	struct weir_caps_link *now = atomic_load_explicit(&backend->caps, memory_order_relaxed);
	struct weir_caps_link *link = weir_mem_zalloc(1, sizeof *link);

	/* A thread level that changes would pull the locks away from under calls that hold them. */
	if (!link || weir_guard_caps(&backend->guard, &link->caps) ||
	    link->caps.thread_level != now->caps.thread_level ||
	    memcmp(&link->caps, &now->caps, sizeof link->caps) == 0) {
		weir_mem_free(link);
		return;
	}
	/* Others may be reading the old ones: they stay until the backend is freed. */
	link->older = now;
	atomic_store_explicit(&backend->caps, link, memory_order_release);
}

/* The backend slows us down: nothing to do about it here, but somebody should know. */
static void on_throttle(struct weir_backend *backend, const struct weir_driver_event *event)
{
	int64_t now = weir_clock_now_ns();
	struct weir_error why;

	if (now < backend->throttle_quiet_ns)
		return;
	backend->throttle_quiet_ns = weir_clock_after_ms(now, THROTTLE_LOG_MS);
	weir_guard_error(&why, event->error, event->error ? event->error->code : WEIR_EAGAIN, "no reason given");
	weir_backend_log(backend, WEIR_LOG_WARNING, "the backend slows Weir down: %s", why.text);
}

static void on_topic(struct weir_backend *backend, struct weir_place *place, const struct weir_driver_event *event)
{
	bool failed = event->type == WEIR_EV_TOPIC_FAILED;
	struct weir_error why;

	weir_guard_error(&why, event->error, event->error && event->error->code ? event->error->code : WEIR_EUNKNOWN,
			 "the channel cannot be used on the backend");
	pthread_mutex_lock(&backend->lock);
	place->state.ready = !failed;
	place->state.failed = failed;
	place->state.error = why;
	pthread_mutex_unlock(&backend->lock);
	if (failed)
		weir_backend_log(backend, WEIR_LOG_ERROR, "channel %s/%s: %s", place->channel->ns, place->channel->name,
				 why.text);
}

/* ---- subscriptions ------------------------------------------------------- */

static void touch_sub(struct weir_backend *backend, struct weir_feed *feed)
{
	if (feed->touched)
		return;
	feed->touched = true;
	feed->next_touched = backend->touched_subs;
	backend->touched_subs = feed;
}

static void set_sub_state(struct weir_feed *feed, const struct weir_driver_event *event)
{
	bool failed = event->type != WEIR_EV_SUB_READY;
	int code = event->type == WEIR_EV_FENCED ? WEIR_EFENCED : WEIR_EUNKNOWN;
	struct weir_error why;

	if (event->error && event->error->code)
		code = event->error->code;
	weir_guard_error(&why, event->error, code, weir_code_text(code));
	pthread_mutex_lock(&feed->backend->lock);
	feed->state.ready = !failed;
	feed->state.failed = failed;
	feed->state.error = why;
	pthread_mutex_unlock(&feed->backend->lock);
	if (failed)
		weir_backend_log(feed->backend, WEIR_LOG_ERROR, "subscription %s: %s", feed->name, why.text);
}

/* An acknowledgement that the backend did not keep: the delivery comes again, as one that was settled too late does. */
static void on_settle_failed(struct weir_feed *feed, const struct weir_error *error)
{
	int64_t now = weir_clock_now_ns();
	struct weir_error why;

	atomic_fetch_add_explicit(&feed->stale, 1, memory_order_relaxed);
	if (now < feed->settle_quiet_ns)
		return;
	feed->settle_quiet_ns = weir_clock_after_ms(now, SETTLE_LOG_MS);
	weir_guard_error(&why, error, error->code, "no reason given");
	weir_backend_log(feed->backend, WEIR_LOG_WARNING,
			 "subscription %s: the backend has not kept an acknowledgement, the event will come again: %s",
			 feed->name, why.text);
}

static bool on_sub(struct weir_backend *backend, struct weir_feed *feed, const struct weir_driver_event *event)
{
	if (event->type == WEIR_EV_DELIVER) {
		if (!weir_feed_arrive(feed, event))
			return false;
		touch_sub(backend, feed);
		return true;
	}
	if (event->type == WEIR_EV_REVOKED && !weir_feed_revoke(feed, event->partition, event->token.epoch))
		return false;
	if (event->type == WEIR_EV_SUB_READY || event->type == WEIR_EV_SUB_FAILED || event->type == WEIR_EV_FENCED)
		set_sub_state(feed, event);
	if (event->type == WEIR_EV_SETTLED && event->error)
		on_settle_failed(feed, event->error);
	/* In the order in which things happened: first what was delivered before. */
	weir_feed_flush(feed, backend->out);
	weir_feed_notify(feed, event);
	return true;
}

/* ---- events -------------------------------------------------------------- */

static bool about_topic(const struct weir_driver_event *event)
{
	return event->type == WEIR_EV_TOPIC_READY || event->type == WEIR_EV_TOPIC_FAILED;
}

static void on_unknown(struct weir_backend *backend, const struct weir_driver_event *event)
{
	bool named = about_topic(event) ? event->topic != NULL : event->sub != NULL;

	if (event->type == WEIR_EV_DELIVER && event->lease)
		weir_guard_release(&backend->guard, event->lease);
	weir_backend_breach(backend, named ? WEIR_BREACH_UNKNOWN_SUB : WEIR_BREACH_EVENT);
}

static bool keep_early(struct weir_backend *backend, const struct weir_driver_event *event)
{
	struct weir_early *early, **tail = &backend->early;

	if (backend->early_count == WEIR_EARLY_MAX)
		return false;
	early = weir_mem_alloc(sizeof *early);
	if (!early)
		return false;
	early->next = NULL;
	early->event = *event;
	if (event->error) {
		weir_guard_error(&early->error, event->error, event->error->code, "no reason given");
		early->event.error = &early->error;
	}
	while (*tail)
		tail = &(*tail)->next;
	*tail = early;
	backend->early_count++;
	return true;
}

static bool on_instance(struct weir_backend *backend, const struct weir_driver_event *event)
{
	switch (event->type) {
	case WEIR_EV_PUBLISHED:
		on_published(backend, event);
		return true;
	case WEIR_EV_UP:
	case WEIR_EV_DOWN:
		set_up(backend, event->type == WEIR_EV_UP, event);
		return true;
	case WEIR_EV_CAPS_CHANGED:
		renew_caps(backend);
		return true;
	case WEIR_EV_FATAL:
		weir_dispatch_fatal(backend, event->error);
		return true;
	case WEIR_EV_THROTTLE:
		on_throttle(backend, event);
		return event->sub == NULL; /* a subscription that is slowed down hears of it, too */
	case WEIR_EV_WRITABLE:
		tell_room(backend);
		return true;
	default:
		return false;
	}
}

/* False: the event has to wait. */
static bool dispatch_one(struct weir_backend *backend, const struct weir_driver_event *event, void *object)
{
	if (on_instance(backend, event))
		return true;
	/* Of a newer driver. */
	if (event->type == 0 || event->type > WEIR_EV_FATAL)
		return true;
	if (object == &too_early)
		return keep_early(backend, event);
	if (!object || about_topic(event) != (event->sub == NULL)) {
		on_unknown(backend, event);
		return true;
	}
	if (about_topic(event)) {
		on_topic(backend, object, event);
		return true;
	}
	return on_sub(backend, object, event);
}

bool weir_dispatch(struct weir_backend *backend)
{
	if (backend->at == backend->count)
		return true;
	find_objects(backend);
	for (; backend->at < backend->count; backend->at++)
		if (!dispatch_one(backend, &backend->events[backend->at], backend->objects[backend->at]))
			return false;
	backend->at = backend->count = 0;
	return true;
}

void weir_dispatch_flush(struct weir_backend *backend)
{
	while (backend->touched_lanes) {
		struct weir_lane *lane = backend->touched_lanes;

		backend->touched_lanes = lane->next_touched;
		lane->touched = false;
		flush_lane(lane);
	}
	while (backend->touched_subs) {
		struct weir_feed *feed = backend->touched_subs;

		backend->touched_subs = feed->next_touched;
		feed->touched = false;
		weir_feed_flush(feed, backend->out);
	}
}

/* ---- early ones ---------------------------------------------------------- */

void weir_dispatch_early(struct weir_backend *backend)
{
	struct weir_early **at = &backend->early;

	while (*at) {
		struct weir_early *early = *at;
		void *object;

		pthread_mutex_lock(&backend->map_lock);
		object = find_object(backend, &early->event);
		pthread_mutex_unlock(&backend->map_lock);
		/* One that has to wait holds back those behind it: they may be about the same. */
		if (object == &too_early || !dispatch_one(backend, &early->event, object))
			break;
		*at = early->next;
		backend->early_count--;
		weir_mem_free(early);
	}
}

static void give_back(struct weir_backend *backend, const struct weir_driver_event *event)
{
	if (event->type == WEIR_EV_PUBLISHED)
		on_published(backend, event);
	else if (event->type == WEIR_EV_DELIVER && event->lease)
		weir_guard_release(&backend->guard, event->lease);
}

void weir_dispatch_rest(struct weir_backend *backend)
{
	for (; backend->at < backend->count; backend->at++)
		give_back(backend, &backend->events[backend->at]);
	for (const struct weir_early *early = backend->early; early; early = early->next)
		give_back(backend, &early->event);
	weir_dispatch_free_early(backend);
}

void weir_dispatch_free_early(struct weir_backend *backend)
{
	while (backend->early) {
		struct weir_early *early = backend->early;

		backend->early = early->next;
		weir_mem_free(early);
	}
}
