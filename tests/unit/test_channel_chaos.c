/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that breaks the contract at random, under load from several threads.
 * Whatever it does: each accepted publish completes exactly once, each lease is
 * released exactly once, no more than the window is out, and everything closes.
 */
#include "fixtures/channel_rig.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "channel/internal.h"

enum { SEEDS = 12, STEPS = 1500, PUBLISHERS = 2, TAGS = 4096, WINDOW = 16 };

struct publishing {
	pthread_t thread;
	weir_publisher *publisher;
	unsigned seed;
	_Atomic bool *stop;
	uint64_t accepted;
	_Atomic uint64_t completed;
	_Atomic unsigned char seen[TAGS];
	_Atomic bool twice;
};

static _Atomic bool stop;
static _Atomic int out; /* deliveries in the receiver's hands */
static _Atomic bool too_many;

/* ---- the core's callers --------------------------------------------------- */

static void on_done(void *ctx, const struct weir_completion *completions, size_t count)
{
	struct publishing *p = ctx;

	for (size_t i = 0; i < count; i++)
		if (atomic_fetch_add(&p->seen[completions[i].tag], 1) > 0)
			atomic_store(&p->twice, true);
	atomic_fetch_add(&p->completed, count);
}

static void *publish_at_random(void *ctx)
{
	struct publishing *p = ctx;
	weir_event event = { .record.body = { "x", 1 } };

	while (!atomic_load(&stop) && p->accepted + 8 < TAGS) {
		struct weir_publish_item items[8];
		size_t count = 1 + (size_t)rand_r(&p->seed) % 8, accepted;

		for (size_t i = 0; i < count; i++)
			items[i] = (struct weir_publish_item){ &event, p->accepted + i };
		weir_channel_publish(rig.channel, p->publisher, items, count, 0, &accepted, NULL);
		p->accepted += accepted;
		sched_yield();
	}
	return NULL;
}

static void on_deliver(void *ctx, weir_delivery *const *deliveries, size_t count)
{
	if (atomic_fetch_add(&out, (int)count) + (int)count > WINDOW)
		atomic_store(&too_many, true);
	rig_deliver(ctx, deliveries, count);
}

static size_t next_to_settle;

static void settle_some(unsigned *seed)
{
	weir_delivery *batch[8];
	size_t count = 0;

	pthread_mutex_lock(&rig.lock);
	while (count < 8 && next_to_settle < rig.delivery_count)
		batch[count++] = rig.deliveries[next_to_settle++];
	pthread_mutex_unlock(&rig.lock);
	if (count == 0)
		return;
	if (rand_r(seed) % 4 == 0)
		weir_delivery_settle(batch, count, WEIR_EXTEND, 10);
	/* Before: with the last of them its place is free. */
	atomic_fetch_sub(&out, (int)count);
	weir_delivery_settle(batch, count, rand_r(seed) % 2 ? WEIR_ACK : WEIR_NACK, 0);
}

static void *settle_at_random(void *ctx)
{
	unsigned *seed = ctx;

	while (!atomic_load(&stop)) {
		settle_some(seed);
		sched_yield();
	}
	return NULL;
}

/* ---- the driver ----------------------------------------------------------- */

static unsigned delivered;

static void misbehave(unsigned *seed)
{
	static struct weir_error garbage = { .size = 3, .code = 999, .retry = 77 };
	struct weir_driver_event event = { .type = (uint32_t)rand_r(seed) % 24, .tag = (uint64_t)rand_r(seed) << 20 };
	unsigned published = atomic_load(&fake.published);

	switch (rand_r(seed) % 12) {
	case 0: /* any event about anything, but no lease that is not counted and no end of the instance */
		if (event.type == WEIR_EV_FATAL || event.type == WEIR_EV_DELIVER)
			event.type = WEIR_EV_STALL;
		event.sub = rand_r(seed) % 2 ? fake_sub(0) : NULL;
		event.topic = rand_r(seed) % 2 ? fake_topic() : NULL;
		event.error = &garbage;
		fake_push(event);
		break;
	case 1: /* of a subscription that is none */
		fake_deliver(5, delivered++);
		break;
	case 2:
		fake.accept = (size_t)rand_r(seed) % 5;
		break;
	case 3:
	case 4:
	case 5: /* with credit or without */
		for (int i = rand_r(seed) % 20; i > 0; i--)
			fake_deliver(0, delivered++);
		break;
	default: /* some of them for the second time */
		if (published > 0)
			fake_complete((size_t)rand_r(seed) % published, (uint32_t)rand_r(seed) % 5);
	}
}

/* ---- the whole ------------------------------------------------------------ */

static void check_publisher(struct publishing *p)
{
	pthread_join(p->thread, NULL);
	rig_wait(atomic_load(&p->completed) == p->accepted);
	assert_false(p->twice);
	for (uint64_t tag = 0; tag < TAGS; tag++)
		assert_int_equal(p->seen[tag], tag < p->accepted);
}

static void run(unsigned seed)
{
	static struct publishing publishing[PUBLISHERS];
	struct weir_subscription_spec spec = rig_spec("s", WINDOW);
	unsigned settle_seed = seed + 1000;
	weir_subscription *sub;
	pthread_t settler;

	memset(publishing, 0, sizeof publishing);
	atomic_store(&stop, false);
	atomic_store(&out, 0);
	next_to_settle = delivered = 0;
	fake.hold = true;
	fake.caps.thread_level = seed % 4;
	fake_config_set(&rig.config, "dispatcher.publishTimeout", "300");
	rig_open();
	spec.deliver = on_deliver;
	assert_int_equal(weir_channel_subscribe(rig.channel, &spec, &sub, NULL), WEIR_OK);
	for (unsigned i = 0; i < PUBLISHERS; i++) {
		publishing[i].seed = seed * 10 + i;
		weir_publisher_new(rig.runtime, on_done, &publishing[i], &publishing[i].publisher);
		pthread_create(&publishing[i].thread, NULL, publish_at_random, &publishing[i]);
	}
	pthread_create(&settler, NULL, settle_at_random, &settle_seed);
	for (int step = 0; step < STEPS; step++) {
		misbehave(&seed);
		if (step % 16 == 0)
			sched_yield();
	}
	atomic_store(&stop, true);
	pthread_join(settler, NULL);
	for (unsigned i = 0; i < PUBLISHERS; i++)
		check_publisher(&publishing[i]);
	assert_int_equal(weir_subscription_close(sub, 1, rig_soon(), NULL), WEIR_OK);
	while (next_to_settle < rig.delivery_count)
		weir_delivery_free(rig.deliveries[next_to_settle++]);
	for (unsigned i = 0; i < PUBLISHERS; i++)
		weir_publisher_free(publishing[i].publisher);
	rig_wait(fake.releases == delivered);
	assert_false(too_many);
}

static void every_promise_holds_under_a_driver_that_keeps_none(void **state)
{
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		rig_setup(state);
		run(seed);
		rig_close();
		assert_int_equal(fake.closes, 1);
		assert_int_equal(fake.releases, delivered);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_promise_holds_under_a_driver_that_keeps_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
