/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/egress_life: making, draining, closing and looking at a subscription. */
#include "dispatch/egress_state.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/mem.h"

enum { WINDOW_MIN = 64, WINDOW_MAX = 4096 };

/* ---- making --------------------------------------------------------------- */

static uint32_t window_of(const struct weir_delivery_settings *delivery)
{
	uint32_t window = delivery->max_in_flight > WINDOW_MAX / 2 ? WINDOW_MAX : 2 * delivery->max_in_flight;

	return window < WINDOW_MIN ? WINDOW_MIN : window;
}

static int open_sinks(struct weir_egress *egress, struct weir_error *err)
{
	const struct weir_subscription_settings *settings = egress->options.settings;
	struct weir_http_client *client = egress->options.loop->client;
	weir_runtime *runtime = egress->options.loop->options.runtime;
	uint32_t parallel = settings->delivery.max_in_flight;
	int code = weir_sink_open(&egress->subscriber, settings->subscriber, client, runtime, parallel, err);

	if (!code)
		code = weir_sink_open(&egress->reply, settings->reply, client, runtime, parallel, err);
	if (!code)
		code = weir_sink_open(&egress->dead_letter, settings->delivery.dead_letter_sink, client, runtime,
				      parallel, err);
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

static int make_parts(struct weir_egress *egress, struct weir_error *err)
{
	const struct weir_delivery_settings *delivery = &egress->options.settings->delivery;
	bool ordered = delivery->order == WEIR_ORDER_ORDERED;

	egress->window = window_of(delivery);
	egress->key_kept = weir_channel_caps(egress->options.channel)->bits & WEIR_CAP_BIT(WEIR_CAP_KEY);
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
	code = make_parts(egress, err);
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
		.deliver = weir_egress_deliver,
		.notice = weir_egress_notice,
		.ctx = egress,
	};

	struct weir_error why = WEIR_ERROR_INIT;
	int code = weir_channel_subscribe(egress->options.channel, &spec, &egress->subscription, &why);

	if (!code || !err)
		return code;
	*err = why;
	snprintf(err->text, sizeof err->text, "subscription %.64s of %.64s/%.64s: %.256s", settings->name,
		 weir_channel_namespace(egress->options.channel), weir_channel_name(egress->options.channel), why.text);
	return code;
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
	if (egress->subscription)
		weir_subscription_pause(egress->subscription, 1);
	egress->idle = idle;
	egress->idle_ctx = ctx;
	egress->drain_task.run = on_drain;
	weir_loop_post(egress->options.loop->worker.loop, &egress->drain_task);
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
	weir_mem_free(item->failure);
	item->failure = NULL;
}

int weir_egress_close(struct weir_egress *egress, int64_t deadline_ns, size_t *given_up, struct weir_error *err)
{
	int code = WEIR_OK;

	*given_up = egress->lanes.running;
	egress->closing = true;
	weir_egress_extend_end(egress);
	weir_egress_settle(egress);
	if (egress->subscription)
		code = weir_subscription_close(egress->subscription, 1, deadline_ns, err);
	egress->subscription = NULL;
	weir_mailbox_take(&egress->mailbox);
	weir_sink_close(&egress->subscriber);
	weir_sink_close(&egress->reply);
	weir_sink_close(&egress->dead_letter);
	for (uint32_t i = 0; i < egress->window; i++) {
		if (egress->items[i].delivery)
			abandon_item(&egress->items[i]);
	}
	weir_figure_set(&egress->counters.in_flight, 0);
	weir_figure_set(&egress->counters.waiting, 0);
	return code;
}

void weir_egress_free(struct weir_egress *egress)
{
	if (!egress)
		return;
	weir_egress_extend_end(egress);
	weir_sink_close(&egress->subscriber);
	weir_sink_close(&egress->reply);
	weir_sink_close(&egress->dead_letter);
	weir_lanes_fini(&egress->lanes);
	weir_mailbox_fini(&egress->mailbox);
	weir_event_free(egress->scratch);
	weir_mem_free(egress->acks);
	weir_mem_free(egress->items);
	weir_mem_free(egress);
}

/* ---- looking -------------------------------------------------------------- */

static void view_counters(const struct weir_egress_counters *counters, struct weir_egress_figures *ret)
{
	uint64_t total = 0;

	ret->attempts = weir_figure_get(&counters->attempts);
	ret->delivered = weir_figure_get(&counters->delivered);
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

static bool is_ready(struct weir_egress *egress, struct weir_error *err)
{
	if (weir_subscription_ready(egress->subscription, err))
		return false;
	if (weir_figure_get(&egress->counters.quarantine_failing))
		return weir_fail(err, WEIR_EIO, "quarantine cannot be written, the log says why") == WEIR_OK;
	return true;
}

void weir_egress_view(struct weir_egress *egress, bool open, struct weir_subscription_view *ret)
{
	const struct weir_subscription_settings *settings = egress->options.settings;

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
	ret->ready = is_ready(egress, &ret->error);
	view_backend(egress->subscription, &ret->figures);
}
