/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/retire: what a change took away ends when it has finished what it had
 * begun: POSTs get their answers, requests theirs. The keeper looks after it.
 *
 *   subscription: draining ── idle, or too late ──▶ stopped ── quiet ──▶ closed ──▶ its successor begins
 *   channel:      its subscriptions are gone, no request waits ──▶ closed
 */
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatch/dispatcher_state.h"

enum { TEND_MS = 20, CLOSE_MS = 2000, AGAIN_MS = 1000 };

struct weir_retired {
	struct weir_retired *next;
	struct weir_dispatcher *dispatcher;
	struct weir_dispatch_channel *channel;
	const weir_config *config;  /* which the subscription's settings are borrowed from */
	struct weir_egress *egress; /* NULL: it is the channel that is retired, or only the successor is left */
	struct weir_egress *successor;
	int64_t deadline_ns; /* until which what is under way may finish; then until the next try */
	_Atomic bool idle;
	bool stopped, done;
	bool is_channel;
};

int weir_retired_new(struct weir_retired **ret)
{
	struct weir_retired *retired = weir_mem_zalloc(1, sizeof *retired);

	if (!retired)
		return WEIR_ENOMEM;
	retired->next = *ret;
	*ret = retired;
	return WEIR_OK;
}

struct weir_retired *weir_retired_take(struct weir_retired **spares)
{
	struct weir_retired *retired = *spares;

	*spares = retired->next;
	retired->next = NULL;
	return retired;
}

void weir_retired_free(struct weir_retired *retired)
{
	while (retired) {
		struct weir_retired *next = retired->next;

		weir_mem_free(retired);
		retired = next;
	}
}

/* ---- a subscription ------------------------------------------------------- */

struct asking {
	struct weir_egress *egress;
	bool quiet;
};

static void stop_on_loop(void *ctx)
{
	struct asking *asking = ctx;

	weir_egress_stop(asking->egress);
	asking->quiet = weir_egress_is_quiet(asking->egress);
}

static void ask_on_loop(void *ctx)
{
	struct asking *asking = ctx;

	asking->quiet = weir_egress_is_quiet(asking->egress);
}

static void release_on_loop(void *ctx)
{
	weir_egress_release(ctx);
}

/* True when nothing of it is under way any more. */
static bool stop(struct weir_retired *retired)
{
	struct asking asking = { .egress = retired->egress };

	weir_worker_call(&weir_egress_loop(retired->egress)->worker, retired->stopped ? ask_on_loop : stop_on_loop,
			 &asking);
	retired->stopped = true;
	return asking.quiet;
}

static void close_egress(struct weir_retired *retired)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_worker *worker = &weir_egress_loop(retired->egress)->worker;
	int code = weir_egress_unsubscribe(retired->egress, weir_clock_after_ms(weir_clock_now_ns(), CLOSE_MS), &err);

	if (code)
		weir_log(WEIR_LOG_ERROR, "ending a subscription of %s/%s: %s", retired->channel->ns,
			 retired->channel->name, err.text);
	if (code != WEIR_ETIMEDOUT) /* then somebody may still call it */
		weir_worker_call(worker, release_on_loop, retired->egress);
	retired->egress = NULL;
	retired->deadline_ns = 0;
	if (!atomic_exchange(&retired->idle, true))
		weir_dispatcher_idle(retired->dispatcher);
}

/* Where the backend does not want it now it is tried again: its settings are in force already. */
static void begin_successor(struct weir_retired *retired)
{
	struct weir_error err = WEIR_ERROR_INIT;

	retired->done = !retired->successor || weir_egress_subscribe(retired->successor, &err) == WEIR_OK;
	if (retired->done)
		return;
	weir_log(WEIR_LOG_ERROR, "%s; it is tried again", err.text);
	retired->deadline_ns = weir_clock_after_ms(weir_clock_now_ns(), AGAIN_MS);
}

static void tend_egress(struct weir_retired *retired)
{
	bool late = weir_clock_now_ns() >= retired->deadline_ns;

	if (retired->egress && (late || atomic_load(&retired->idle) || retired->stopped) && stop(retired))
		close_egress(retired);
	if (!retired->egress && weir_clock_now_ns() >= retired->deadline_ns)
		begin_successor(retired);
}

/* ---- a channel ------------------------------------------------------------ */

struct forgetting {
	struct weir_ingress *ingress;
	struct weir_dispatch_channel *channel;
	bool done;
};

static void forget_on_loop(void *ctx)
{
	struct forgetting *forgetting = ctx;

	forgetting->done = weir_ingress_forget(forgetting->ingress, &forgetting->channel->ingress);
}

static bool is_forgotten(struct weir_dispatcher *dispatcher, struct weir_dispatch_channel *channel)
{
	struct forgetting forgetting = { .channel = channel, .done = true };

	for (size_t i = 0; i < dispatcher->ingress_count && forgetting.done; i++) {
		forgetting.ingress = dispatcher->ingresses[i];
		weir_worker_call(weir_ingress_worker(forgetting.ingress), forget_on_loop, &forgetting);
	}
	return forgetting.done;
}

static bool has_subscriptions(const struct weir_dispatcher *dispatcher, const struct weir_dispatch_channel *channel)
{
	for (const struct weir_retired *retired = dispatcher->retired; retired; retired = retired->next) {
		if (!retired->is_channel && retired->channel == channel && !retired->done)
			return true;
	}
	return false;
}

static void tend_channel(struct weir_retired *retired)
{
	struct weir_dispatcher *dispatcher = retired->dispatcher;

	if (has_subscriptions(dispatcher, retired->channel) || !is_forgotten(dispatcher, retired->channel))
		return;
	weir_dispatch_channel_free(retired->channel);
	retired->channel = NULL;
	retired->done = true;
}

/* ---- the keeper ----------------------------------------------------------- */

static void drop_done(struct weir_dispatcher *dispatcher)
{
	struct weir_retired **at = &dispatcher->retired;

	while (*at) {
		struct weir_retired *retired = *at;

		if (retired->done) {
			*at = retired->next;
			weir_mem_free(retired);
		} else {
			at = &retired->next;
		}
	}
}

static void set_timer(struct weir_dispatcher *dispatcher);

static void on_time(struct weir_timer *timer)
{
	struct weir_dispatcher *dispatcher = WEIR_CONTAINER(timer, struct weir_dispatcher, tend);

	for (struct weir_retired *retired = dispatcher->retired; retired; retired = retired->next) {
		if (!retired->is_channel)
			tend_egress(retired);
	}
	for (struct weir_retired *retired = dispatcher->retired; retired; retired = retired->next) {
		if (retired->is_channel)
			tend_channel(retired);
	}
	drop_done(dispatcher);
	if (weir_moving_tend(dispatcher) || dispatcher->retired)
		set_timer(dispatcher);
}

/* The timer keeps its place in the loop, so that after the first time it cannot fail. */
static void set_timer(struct weir_dispatcher *dispatcher)
{
	dispatcher->tend.fire = on_time;
	if (weir_loop_timer_set(dispatcher->keeper.loop, &dispatcher->tend,
				weir_clock_after_ms(weir_clock_now_ns(), TEND_MS)))
		weir_log(WEIR_LOG_ERROR, "out of memory: what a reload took away is ended with the next one");
}

void weir_tend_soon(struct weir_dispatcher *dispatcher)
{
	if (!dispatcher->tend.slot)
		set_timer(dispatcher);
}

static void retire(struct weir_dispatcher *dispatcher, struct weir_retired *retired,
		   struct weir_dispatch_channel *channel)
{
	retired->dispatcher = dispatcher;
	retired->channel = channel;
	retired->next = dispatcher->retired;
	dispatcher->retired = retired;
	weir_tend_soon(dispatcher);
}

static void on_idle(void *ctx)
{
	struct weir_retired *retired = ctx;
	struct weir_dispatcher *dispatcher = retired->dispatcher;

	atomic_store(&retired->idle, true);
	weir_dispatcher_idle(dispatcher);
}

/* One that waits for a place itself has none to give. */
static struct weir_retired *waiting_place(struct weir_dispatcher *dispatcher, const struct weir_egress *egress)
{
	struct weir_retired *retired = dispatcher->retired;

	while (retired && retired->successor != egress)
		retired = retired->next;
	return retired;
}

void weir_retire_egress(struct weir_dispatcher *dispatcher, struct weir_retired *retired,
			struct weir_dispatch_channel *channel, const weir_config *config, struct weir_egress *egress,
			struct weir_egress *successor)
{
	struct weir_retired *before = waiting_place(dispatcher, egress);

	if (before) {
		before->successor = successor;
		successor = NULL;
	}
	retired->egress = egress;
	retired->config = config;
	retired->successor = successor;
	retired->deadline_ns = weir_clock_after_ms(weir_clock_now_ns(), dispatcher->drain_timeout_ms);
	retire(dispatcher, retired, channel);
	weir_dispatcher_busy(dispatcher);
	weir_egress_drain(egress, on_idle, retired);
}

void weir_retire_channel(struct weir_dispatcher *dispatcher, struct weir_retired *retired,
			 struct weir_dispatch_channel *channel)
{
	retired->is_channel = true;
	retire(dispatcher, retired, channel);
}

struct weir_retired *weir_retired_find(struct weir_dispatcher *dispatcher, const char *ns, const char *name,
				       const char *uid)
{
	for (struct weir_retired *retired = dispatcher->retired; retired; retired = retired->next) {
		if (retired->egress && weir_egress_is_subscribed(retired->egress) &&
		    strcmp(weir_egress_settings(retired->egress)->uid, uid) == 0 &&
		    strcmp(retired->channel->name, name) == 0 && strcmp(retired->channel->ns, ns) == 0)
			return retired;
	}
	return NULL;
}

void weir_retired_succeed(struct weir_retired *retired, struct weir_egress *successor)
{
	retired->successor = successor;
}

bool weir_retired_uses(const struct weir_dispatcher *dispatcher, const weir_config *config)
{
	for (const struct weir_retired *retired = dispatcher->retired; retired; retired = retired->next) {
		if (retired->egress && retired->config == config)
			return true;
	}
	return false;
}

/* ---- the end -------------------------------------------------------------- */

size_t weir_retired_close(struct weir_dispatcher *dispatcher, int64_t deadline_ns)
{
	size_t given_up = 0, some;

	for (struct weir_retired *retired = dispatcher->retired; retired; retired = retired->next) {
		if (!retired->egress)
			continue;
		some = 0;
		weir_egress_close(retired->egress, deadline_ns, &some, NULL);
		weir_egress_free(retired->egress);
		retired->egress = NULL;
		given_up += some;
	}
	return given_up;
}

void weir_retired_end(struct weir_dispatcher *dispatcher)
{
	for (struct weir_retired *retired = dispatcher->retired; retired; retired = retired->next) {
		if (retired->is_channel)
			weir_dispatch_channel_free(retired->channel);
	}
	weir_retired_free(dispatcher->retired);
	dispatcher->retired = NULL;
}
