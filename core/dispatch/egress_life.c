/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/egress_life: making, draining, closing and looking at a subscription. */
#include "dispatch/egress_state.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"

enum { WINDOW_MIN = 64, WINDOW_MAX = 4096 };

/* ---- making --------------------------------------------------------------- */

static uint32_t window_of(const struct weir_delivery_settings *delivery)
{
	uint32_t window = delivery->max_in_flight > WINDOW_MAX / 2 ? WINDOW_MAX : 2 * delivery->max_in_flight;

	return window < WINDOW_MIN ? WINDOW_MIN : window;
}

static int open_sink(const struct weir_egress *egress, const char *name, uint32_t parallel, struct weir_sink **ret,
		     struct weir_error *err)
{
	const struct weir_delivery_loop *loop = egress->options.loop;

	return weir_sink_open(ret, name, loop->client, loop->options.runtime, parallel, err);
}

static int open_sinks(struct weir_egress *egress, struct weir_error *err)
{
	const struct weir_subscription_settings *settings = egress->options.settings;
	uint32_t parallel = settings->delivery.max_in_flight;
	int code = open_sink(egress, settings->subscriber, parallel, &egress->subscriber, err);

	if (!code)
		code = open_sink(egress, settings->reply, parallel, &egress->reply, err);
	if (!code)
		code = open_sink(egress, settings->delivery.dead_letter_sink, parallel, &egress->dead_letter, err);
	return code;
}

static int make_items(struct weir_egress *egress)
{
	egress->items = weir_mem_zalloc(egress->window, sizeof *egress->items);
	egress->acks = weir_mem_zalloc(egress->window, sizeof(weir_delivery *));
	if (!egress->items || !egress->acks)
		return WEIR_ENOMEM;
	for (uint32_t i = egress->window; i > 0; i--) {
		struct weir_egress_item *item = &egress->items[i - 1];

		item->egress = egress;
		item->next_free = egress->free_items;
		egress->free_items = item;
	}
	return WEIR_OK;
}

/* Has the loop make room for as many timers as there may be at once, so that none fails when memory is short. */
static int reserve_timers(struct weir_egress *egress)
{
	struct weir_loop *loop = egress->options.loop->worker.loop;
	int code = WEIR_OK;

	for (uint32_t i = 0; i < egress->window && !code; i++)
		code = weir_loop_timer_set(loop, &egress->items[i].timer, WEIR_NS_NEVER);
	for (uint32_t i = 0; i < egress->window; i++)
		weir_loop_timer_cancel(loop, &egress->items[i].timer);
	return code;
}

/* While a channel moves, events of another backend come, too: then keys are looked for in the events. */
static bool keeps_keys(const struct weir_egress *egress)
{
	struct weir_move_info info;

	return weir_channel_move_info(egress->options.channel, 0, &info) != WEIR_OK &&
	       weir_channel_caps(egress->options.channel)->bits & WEIR_CAP_BIT(WEIR_CAP_KEY);
}

static int make_parts(struct weir_egress *egress, struct weir_error *err)
{
	const struct weir_delivery_settings *delivery = &egress->options.settings->delivery;
	bool ordered = delivery->order == WEIR_ORDER_ORDERED;

	egress->window = window_of(delivery);
	egress->key_kept = keeps_keys(egress);
	if (getrandom(&egress->key_seed, sizeof egress->key_seed, GRND_NONBLOCK) < 0)
		egress->key_seed = (uint64_t)weir_clock_now_ns();
	if (weir_mailbox_init(&egress->mailbox, egress->options.loop->worker.loop, egress->window,
			      weir_egress_receive) ||
	    weir_lanes_init(&egress->lanes, ordered, delivery->max_in_flight, egress->window) ||
	    weir_event_new(&egress->scratch) || make_items(egress) || weir_egress_extend_begin(egress) ||
	    reserve_timers(egress))
		return weir_fail(err, WEIR_ENOMEM, "out of memory for a subscription");
	return open_sinks(egress, err);
}

int weir_egress_new(const struct weir_egress_options *options, struct weir_egress **ret, struct weir_error *err)
{
	struct weir_egress *egress = weir_mem_zalloc(1, sizeof *egress);
	int code;

	if (!egress)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for a subscription");
	egress->options = *options;
	atomic_init(&egress->shown, options->settings);
	atomic_init(&egress->subscription, NULL);
	egress->name = weir_mem_strdup(options->settings->name);
	code = egress->name ? make_parts(egress, err) : weir_fail(err, WEIR_ENOMEM, "out of memory for a subscription");
	if (code)
		weir_egress_free(egress);
	else
		*ret = egress;
	return code;
}

int weir_egress_subscribe(struct weir_egress *egress, struct weir_error *err)
{
	const struct weir_subscription_settings *settings = egress->options.settings;
	const struct weir_subscription_spec spec = {
		.name = settings->name,
		.uid = settings->uid,
		.start = settings->from_earliest ? WEIR_START_EARLIEST : WEIR_START_LATEST,
		.window = egress->window,
		.window_bytes = egress->options.window_bytes,
		.flags = egress->lanes.ordered ? WEIR_SUB_ORDERED : 0,
		.deliver = weir_egress_deliver,
		.notice = weir_egress_notice,
		.ctx = egress,
	};

	struct weir_error why = WEIR_ERROR_INIT;
	weir_subscription *subscription = NULL;
	int code = weir_channel_subscribe(egress->options.channel, &spec, &subscription, &why);

	atomic_store(&egress->subscription, subscription);
	if (!code || !err)
		return code;
	*err = why;
	snprintf(err->text, sizeof err->text, "subscription %.64s of %.64s/%.64s: %.256s", settings->name,
		 weir_channel_namespace(egress->options.channel), weir_channel_name(egress->options.channel), why.text);
	return code;
}

/* ---- other settings ------------------------------------------------------- */

bool weir_egress_can_take(const struct weir_egress *egress, const struct weir_subscription_settings *settings)
{
	return strcmp(egress->name, settings->name) == 0 && egress->window == window_of(&settings->delivery) &&
	       egress->lanes.ordered == (settings->delivery.order == WEIR_ORDER_ORDERED);
}

/* The same sink again where nothing changes, so that its connections stay. */
static int next_sink(const struct weir_egress *egress, struct weir_sink *now, const char *name, uint32_t parallel,
		     struct weir_sink **ret, struct weir_error *err)
{
	bool same = parallel == egress->lanes.max_running && now && name && strcmp(now->name, name) == 0;

	if (!same)
		return open_sink(egress, name, parallel, ret, err);
	*ret = weir_sink_ref(now);
	return WEIR_OK;
}

int weir_egress_prepare(struct weir_egress *egress, const struct weir_subscription_settings *settings,
			struct weir_error *err)
{
	struct weir_egress_next *next = &egress->next;
	uint32_t parallel = settings->delivery.max_in_flight;
	int code = next_sink(egress, egress->subscriber, settings->subscriber, parallel, &next->subscriber, err);

	next->settings = settings;
	if (!code)
		code = next_sink(egress, egress->reply, settings->reply, parallel, &next->reply, err);
	if (!code)
		code = next_sink(egress, egress->dead_letter, settings->delivery.dead_letter_sink, parallel,
				 &next->dead_letter, err);
	if (code)
		weir_egress_discard(egress);
	return code;
}

static void unref_sinks(struct weir_egress *egress)
{
	weir_sink_unref(egress->subscriber);
	weir_sink_unref(egress->reply);
	weir_sink_unref(egress->dead_letter);
	egress->subscriber = egress->reply = egress->dead_letter = NULL;
}

void weir_egress_commit(struct weir_egress *egress)
{
	const struct weir_egress_next next = egress->next;

	if (next.settings) {
		egress->next = (struct weir_egress_next){ 0 };
		unref_sinks(egress);
		egress->subscriber = next.subscriber;
		egress->reply = next.reply;
		egress->dead_letter = next.dead_letter;
		egress->options.settings = next.settings;
		atomic_store(&egress->shown, next.settings);
		egress->lanes.max_running = next.settings->delivery.max_in_flight;
	}
	egress->options.held = false;
	weir_egress_pump(egress);
}

void weir_egress_discard(struct weir_egress *egress)
{
	weir_sink_unref(egress->next.subscriber);
	weir_sink_unref(egress->next.reply);
	weir_sink_unref(egress->next.dead_letter);
	egress->next = (struct weir_egress_next){ 0 };
}

void weir_egress_expect_move(struct weir_egress *egress)
{
	egress->key_kept = false;
}

void weir_egress_adapt(struct weir_egress *egress)
{
	egress->key_kept = keeps_keys(egress);
	if (!egress->closing && weir_egress_extend_begin(egress))
		weir_egress_log(egress, WEIR_LOG_ERROR,
				"out of memory: the backend is not told what is still being delivered");
}

/* ---- ending --------------------------------------------------------------- */

static void on_drain(struct weir_task *task)
{
	struct weir_egress *egress = WEIR_CONTAINER(task, struct weir_egress, drain_task);

	egress->draining = true;
	weir_egress_pump(egress);
}

void weir_egress_drain(struct weir_egress *egress, void (*idle)(void *ctx), void *ctx)
{
	/* Where the backend cannot pause, what still comes waits in its lanes and stays unsettled. */
	weir_subscription *subscription = atomic_load(&egress->subscription);

	if (subscription)
		weir_subscription_pause(subscription, 1);
	egress->idle = idle;
	egress->idle_ctx = ctx;
	egress->drain_task.run = on_drain;
	weir_loop_post(egress->options.loop->worker.loop, &egress->drain_task);
}

/* No turn's end looks for it any more. */
static void unlist(struct weir_egress *egress)
{
	struct weir_egress **at = &egress->options.loop->unsettled;

	while (*at && *at != egress)
		at = &(*at)->next_unsettled;
	if (*at)
		*at = egress->next_unsettled;
}

static void cancel_posts(struct weir_egress *egress)
{
	for (uint32_t i = 0; i < egress->window; i++) {
		if (egress->items[i].attempt)
			weir_sink_cancel(egress->items[i].attempt->sink);
	}
}

void weir_egress_stop(struct weir_egress *egress)
{
	egress->closing = true;
	egress->idle = NULL;
	weir_egress_extend_end(egress);
	weir_egress_settle(egress);
	unlist(egress);
	cancel_posts(egress);
}

bool weir_egress_is_quiet(const struct weir_egress *egress)
{
	for (uint32_t i = 0; i < egress->window; i++) {
		if (egress->items[i].attempt || egress->items[i].note)
			return false;
	}
	return true;
}

int weir_egress_unsubscribe(struct weir_egress *egress, int64_t deadline_ns, struct weir_error *err)
{
	weir_subscription *subscription = atomic_exchange(&egress->subscription, NULL);

	return subscription ? weir_subscription_close(subscription, 1, deadline_ns, err) : WEIR_OK;
}

static void abandon_item(struct weir_egress_item *item)
{
	struct weir_egress *egress = item->egress;

	if (item->attempt)
		weir_attempt_leave(
		    item->attempt); /* was on its way to a channel, whose publisher will not tell any more */
	weir_quarantine_note_free(item->note);
	item->note = NULL;
	weir_loop_timer_cancel(egress->options.loop->worker.loop, &item->timer);
	weir_delivery_free(item->delivery);
	item->delivery = NULL;
	weir_failure_forget(item);
}

/* What it had: stays unsettled. */
static void abandon(struct weir_egress *egress)
{
	weir_egress_settle(egress);
	unlist(egress);
	weir_mailbox_take(&egress->mailbox);
	for (uint32_t i = 0; i < egress->window; i++) {
		if (egress->items[i].delivery)
			abandon_item(&egress->items[i]);
	}
	unref_sinks(egress);
	weir_figure_set(&egress->counters.in_flight, 0);
	weir_figure_set(&egress->counters.waiting, 0);
}

void weir_egress_release(struct weir_egress *egress)
{
	abandon(egress);
	weir_egress_free(egress);
}

int weir_egress_close(struct weir_egress *egress, int64_t deadline_ns, size_t *given_up, struct weir_error *err)
{
	int code;

	*given_up = egress->lanes.running;
	weir_egress_stop(egress);
	code = weir_egress_unsubscribe(egress, deadline_ns, err);
	abandon(egress);
	return code;
}

void weir_egress_free(struct weir_egress *egress)
{
	if (!egress)
		return;
	weir_egress_extend_end(egress);
	weir_egress_discard(egress);
	unref_sinks(egress);
	weir_lanes_fini(&egress->lanes);
	weir_mailbox_fini(&egress->mailbox);
	weir_event_free(egress->scratch);
	weir_mem_free(egress->acks);
	weir_mem_free(egress->items);
	weir_mem_free(egress->name);
	weir_mem_free(egress);
}

/* ---- looking -------------------------------------------------------------- */

const struct weir_subscription_settings *weir_egress_settings(const struct weir_egress *egress)
{
	return egress->options.settings;
}

struct weir_delivery_loop *weir_egress_loop(const struct weir_egress *egress)
{
	return egress->options.loop;
}

bool weir_egress_is_subscribed(const struct weir_egress *egress)
{
	return atomic_load(&egress->subscription) != NULL;
}

static void view_counters(const struct weir_egress_counters *counters, struct weir_egress_figures *ret)
{
	uint64_t total = 0;

	ret->attempts = weir_figure_get(&counters->attempts);
	ret->delivered = weir_figure_get(&counters->delivered);
	ret->filtered = weir_figure_get(&counters->filtered);
	ret->filter_faults = weir_figure_get(&counters->filter_faults);
	ret->looped = weir_figure_get(&counters->looped);
	ret->retries = weir_figure_get(&counters->retries);
	ret->dead_lettered = weir_figure_get(&counters->dead_lettered);
	ret->quarantined = weir_figure_get(&counters->quarantined);
	ret->replies = weir_figure_get(&counters->replies);
	ret->poison = weir_figure_get(&counters->poison);
	ret->stale = weir_figure_get(&counters->stale);
	ret->duration_ns = weir_figure_get(&counters->duration_ns);
	for (size_t i = 0; i < WEIR_EGRESS_BUCKETS; i++) {
		total += weir_figure_get(&counters->duration_buckets[i]);
		ret->duration_buckets[i] = total;
	}
	ret->in_flight = weir_figure_get(&counters->in_flight);
	ret->waiting = weir_figure_get(&counters->waiting);
	ret->failing = weir_figure_get(&counters->failing);
}

static void view_backend(weir_subscription *subscription, struct weir_egress_figures *ret)
{
	struct weir_sub_stats stats = { .size = sizeof stats };

	if (weir_subscription_stats(subscription, &stats))
		return;
	ret->lag = stats.lag;
	ret->oldest_ms = stats.oldest_ms;
	ret->redelivered = stats.redelivered == UINT64_MAX ? 0 : stats.redelivered;
}

static bool is_ready(struct weir_egress *egress, weir_subscription *subscription, struct weir_error *err)
{
	if (!subscription)
		return weir_fail(err, WEIR_EAGAIN, "waits until what it replaces has finished") == WEIR_OK;
	if (weir_subscription_ready(subscription, err))
		return false;
	if (weir_figure_get(&egress->counters.quarantine_failing))
		return weir_fail(err, WEIR_EIO, "quarantine cannot be written, the log says why") == WEIR_OK;
	return true;
}

void weir_egress_view(struct weir_egress *egress, bool open, struct weir_subscription_view *ret)
{
	const struct weir_subscription_settings *settings = atomic_load(&egress->shown);
	weir_subscription *subscription = atomic_load(&egress->subscription);

	*ret = (struct weir_subscription_view){
		.name = settings->name,
		.uid = settings->uid,
		.subscriber = settings->subscriber,
		.error = WEIR_ERROR_INIT,
		.figures = { .lag = UINT64_MAX, .oldest_ms = -1 },
	};
	view_counters(&egress->counters, &ret->figures);
	if (!open) {
		weir_fail(&ret->error, WEIR_ECLOSED, "closed");
		return;
	}
	ret->ready = is_ready(egress, subscription, &ret->error);
	if (subscription)
		view_backend(subscription, &ret->figures);
}
