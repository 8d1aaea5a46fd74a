/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/extend: a backend with a deadline hands an event out again when it
 * hears nothing of it in time. A subscriber may take longer, and so may retries.
 * So the backend is told, three times in each deadline, what is still being
 * worked on. One timer for a subscription, and nothing to do for those
 * deliveries that are settled before it fires twice.
 */
#include "dispatch/egress_state.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"

enum {
	ACK_WAIT_MS = 30000, /* of a backend that does not say */
	ROUNDS = 3,
	EVERY_MIN_MS = 50,
	CHUNK = 64,
};

static void tell(struct weir_egress *egress, weir_delivery *const *deliveries, size_t count)
{
	int code = count
		       ? weir_delivery_settle(deliveries, count, WEIR_EXTEND, (int64_t)egress->extend_every_ms * ROUNDS)
		       : WEIR_OK;

	/*
	 * A stale one has come back already: it will be counted when it is acknowledged. While a channel moves, some
	 * are of a backend that does not want to be told.
	 */
	if (code && code != WEIR_ESTALE && code != WEIR_ENOTSUP)
		weir_egress_log(
		    egress, WEIR_LOG_WARNING,
		    "the backend was not told that events are still being delivered, they may come twice: %s",
		    weir_code_text(code));
}

static void tell_all(struct weir_egress *egress)
{
	weir_delivery *deliveries[CHUNK];
	size_t count = 0;

	for (uint32_t i = 0; i < egress->window; i++) {
		const struct weir_egress_item *item = &egress->items[i];

		/* What came in this round has most of its time left. */
		if (!item->delivery || item->extend_round == egress->extend_round)
			continue;
		deliveries[count++] = item->delivery;
		if (count == CHUNK) {
			tell(egress, deliveries, count);
			count = 0;
		}
	}
	tell(egress, deliveries, count);
}

static int set_timer(struct weir_egress *egress)
{
	struct weir_loop *loop = egress->options.loop->worker.loop;

	return weir_loop_timer_set(loop, &egress->extend_timer,
				   weir_clock_after_ms(weir_clock_now_ns(), egress->extend_every_ms));
}

static void on_time(struct weir_timer *timer)
{
	struct weir_egress *egress = WEIR_CONTAINER(timer, struct weir_egress, extend_timer);

	/* First: whatever takes time now, the next round does not wait for it. The timer has its place already. */
	set_timer(egress);
	tell_all(egress);
	egress->extend_round++;
}

int weir_egress_extend_begin(struct weir_egress *egress)
{
	const struct weir_caps *caps = weir_channel_caps(egress->options.channel);
	const uint64_t wanted = WEIR_CAP_BIT(WEIR_CAP_ACK_DEADLINE) | WEIR_CAP_BIT(WEIR_CAP_EXTEND);
	uint32_t every_ms;

	if ((caps->bits & wanted) != wanted)
		return WEIR_OK;
	every_ms = (caps->ack_wait_ms ? caps->ack_wait_ms : ACK_WAIT_MS) / ROUNDS;
	if (every_ms < EVERY_MIN_MS)
		every_ms = EVERY_MIN_MS;
	if (egress->extend_timer.slot && every_ms == egress->extend_every_ms)
		return WEIR_OK;
	egress->extend_every_ms = every_ms;
	egress->extend_timer.fire = on_time;
	return set_timer(egress);
}

void weir_egress_extend_end(struct weir_egress *egress)
{
	weir_loop_timer_cancel(egress->options.loop->worker.loop, &egress->extend_timer);
}
