/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/egress_state.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum { LOG_BURST = 10 };

/* ---- items ---------------------------------------------------------------- */

static struct weir_egress_item *take_item(struct weir_egress *egress, weir_delivery *delivery)
{
	struct weir_egress_item *item = egress->free_items;

	if (!item)
		return NULL;
	egress->free_items = item->next_free;
	item->delivery = delivery;
	item->tries = 0;
	item->phase = WEIR_PHASE_SUBSCRIBER;
	item->poison = false;
	item->extend_round = egress->extend_round;
	item->unfiltered = false;
	return item;
}

static void leave_item(struct weir_egress_item *item)
{
	struct weir_egress *egress = item->egress;

	weir_failure_forget(item);
	item->delivery = NULL;
	item->next_free = egress->free_items;
	egress->free_items = item;
}

void weir_egress_settle(struct weir_egress *egress)
{
	size_t count = egress->ack_count;
	int code;

	if (!count)
		return;
	egress->ack_count = 0;
	code = weir_delivery_settle(egress->acks, count, WEIR_ACK, 0);
	if (code == WEIR_ESTALE)
		weir_figure_add(&egress->counters.stale, 1);
	else if (code)
		weir_egress_log(egress, WEIR_LOG_WARNING,
				"%zu deliveries could not be acknowledged and will come again: %s", count,
				weir_code_text(code));
}

/* It will be acknowledged at the end of the turn. */
static void acknowledge(struct weir_egress *egress, weir_delivery *delivery)
{
	struct weir_delivery_loop *loop = egress->options.loop;

	if (egress->ack_count == 0) {
		egress->next_unsettled = loop->unsettled;
		loop->unsettled = egress;
	}
	egress->acks[egress->ack_count++] = delivery;
}

void weir_egress_finish(struct weir_egress_item *item, weir_figure *counter)
{
	struct weir_egress *egress = item->egress;

	acknowledge(egress, item->delivery);
	weir_figure_add(counter, 1);
	weir_lanes_done(&egress->lanes, &item->lane);
	leave_item(item);
}

/* ---- whose turn it is ----------------------------------------------------- */

static void on_retry_time(struct weir_timer *timer)
{
	struct weir_egress_item *item = WEIR_CONTAINER(timer, struct weir_egress_item, timer);

	weir_lanes_again(&item->egress->lanes, &item->lane);
	weir_egress_pump(item->egress);
}

void weir_egress_wait(struct weir_egress_item *item, int64_t delay_ms)
{
	struct weir_egress *egress = item->egress;
	struct weir_loop *loop = egress->options.loop->worker.loop;

	weir_lanes_wait(&egress->lanes, &item->lane);
	item->timer.fire = on_retry_time;
	if (weir_loop_timer_set(loop, &item->timer, weir_clock_after_ms(weir_loop_now(loop), delay_ms)))
		weir_lanes_again(&egress->lanes, &item->lane); /* no memory for a timer: with the next pump, then */
}

void weir_egress_pump(struct weir_egress *egress)
{
	struct weir_lane_item *lane;
	void (*idle)(void *ctx);

	/* Bounded, as an attempt that fails at once without a timer is ready again at once. */
	for (uint32_t left = egress->window; left && !egress->draining && !egress->options.held; left--) {
		lane = weir_lanes_next(&egress->lanes);
		if (!lane)
			break;
		weir_egress_attempt((struct weir_egress_item *)lane);
	}
	weir_figure_set(&egress->counters.in_flight, egress->lanes.running);
	weir_figure_set(&egress->counters.waiting, egress->lanes.count - egress->lanes.running);
	/* `idle` is set by another thread; it may be looked at once it has told us to drain. */
	if (egress->draining && egress->lanes.running == 0 && egress->idle) {
		idle = egress->idle;
		egress->idle = NULL;
		idle(egress->idle_ctx);
	}
}

static uint64_t hash_key(uint64_t seed, struct weir_buf key)
{
	const unsigned char *bytes = key.ptr;
	uint64_t hash = seed;

	for (size_t i = 0; i < key.len; i++) {
		hash = (hash ^ bytes[i]) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 29;
	}
	return hash;
}

/* What must be known of an event before its turn comes: its key if the backend does not keep it, its attributes if
 * there is a filter. */
static bool must_decode(const struct weir_egress *egress)
{
	return egress->options.settings->filter || (egress->lanes.ordered && !egress->key_kept);
}

/* Which lane: by partitionkey; those without are in one together. `event` NULL: it is not known. */
static uint64_t lane_key(const struct weir_egress *egress, const weir_delivery *delivery, const weir_event *event)
{
	struct weir_buf key = { NULL, 0 };

	if (!egress->lanes.ordered)
		return 0;
	if (egress->key_kept)
		key = weir_delivery_record(delivery)->key;
	else if (event)
		key = weir_event_get(event, "partitionkey");
	return key.ptr ? hash_key(egress->key_seed, key) : 0;
}

/* ---- deliveries ----------------------------------------------------------- */

/* What the filter holds back never waits in a lane: a subscriber that is down does not hold it up. */
static void take_delivery(struct weir_egress *egress, weir_delivery *delivery)
{
	const weir_event *event = NULL;
	struct weir_egress_item *item;

	if (must_decode(egress) && weir_delivery_event(delivery, egress->scratch, NULL) == WEIR_OK)
		event = egress->scratch;
	if (event && !egress->closing && !weir_egress_wants(egress, event)) {
		acknowledge(egress, delivery);
		weir_figure_add(&egress->counters.filtered, 1);
		return;
	}
	item = egress->closing ? NULL : take_item(egress, delivery);
	if (!item) {
		weir_delivery_free(delivery); /* stays unsettled */
		return;
	}
	item->unfiltered = !event;
	weir_lanes_add(&egress->lanes, &item->lane, lane_key(egress, delivery, event));
}

void weir_egress_receive(struct weir_mailbox *mailbox, const struct weir_mail *mail, size_t count)
{
	struct weir_egress *egress = (struct weir_egress *)mailbox;

	for (size_t i = 0; i < count; i++)
		take_delivery(egress, (weir_delivery *)(uintptr_t)mail[i].value);
	if (!egress->closing)
		weir_egress_pump(egress);
}

/* ---- log ------------------------------------------------------------------ */

__attribute__((format(printf, 3, 4))) static void log_line(const struct weir_egress *egress, int level,
							   const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	weir_log(level, "subscription %s of %s/%s: %s", egress->name, weir_channel_namespace(egress->options.channel),
		 weir_channel_name(egress->options.channel), text);
}

/* A burst of lines, then one a second. */
static bool may_log(struct weir_egress *egress)
{
	int64_t now_ns = weir_loop_now(egress->options.loop->worker.loop);
	int64_t oldest_ns = now_ns - LOG_BURST * WEIR_NS_PER_S;

	if (egress->logged_until_ns < oldest_ns)
		egress->logged_until_ns = oldest_ns;
	if (egress->logged_until_ns + WEIR_NS_PER_S > now_ns)
		return false;
	egress->logged_until_ns += WEIR_NS_PER_S;
	return true;
}

void weir_egress_log(struct weir_egress *egress, int level, const char *format, ...)
{
	char text[448];
	va_list args;

	if (!may_log(egress)) {
		egress->unlogged++;
		return;
	}
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (egress->unlogged)
		log_line(egress, level, "%s (and %" PRIu64 " messages before it, not shown)", text, egress->unlogged);
	else
		log_line(egress, level, "%s", text);
	egress->unlogged = 0;
}

/* ---- what the backend's pump calls ---------------------------------------- */

void weir_egress_deliver(void *ctx, weir_delivery *const *deliveries, size_t count)
{
	struct weir_egress *egress = ctx;

	for (size_t i = 0; i < count; i++) {
		if (weir_mailbox_put(&egress->mailbox, (uint64_t)(uintptr_t)deliveries[i], 0))
			continue;
		log_line(egress, WEIR_LOG_ERROR, "more deliveries than the window allows");
		weir_delivery_free(deliveries[i]);
	}
	weir_mailbox_send(&egress->mailbox);
}

void weir_egress_notice(void *ctx, const struct weir_notice *notice)
{
	const struct weir_egress *egress = ctx;
	const char *text = notice->error ? notice->error->text : "";

	switch (notice->type) {
	case WEIR_EV_SUB_FAILED:
	case WEIR_EV_FENCED:
		log_line(egress, WEIR_LOG_ERROR, "failed: %s", text);
		break;
	case WEIR_EV_GAP:
		log_line(egress, WEIR_LOG_ERROR,
			 "events %" PRIu64 " to %" PRIu64 " were lost to the backend's retention", notice->position,
			 notice->position_end);
		break;
	case WEIR_EV_STALL:
		log_line(egress, WEIR_LOG_WARNING, "an old delivery holds back the rest: %s", text);
		break;
	default:
		log_line(egress, WEIR_LOG_DEBUG, "notice %" PRIu32 " %s", notice->type, text);
	}
}
