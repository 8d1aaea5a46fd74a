/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads at once, and what the guard lets through of them. */
#include "fixtures/channel_rig.h"

#include <sched.h>
#include <string.h>

#include "channel/internal.h"

enum { PUBLISHERS = 4, SETTLERS = 2, EVENTS = 2000, WINDOW = 64 };

struct publishing {
	pthread_t thread;
	weir_publisher *publisher;
	uint64_t published;
	_Atomic uint64_t completed;
	_Atomic uint64_t sum; /* of the tags */
	_Atomic unsigned inside;
	_Atomic bool overlapped;
};

static void count_completions(void *ctx, const struct weir_completion *completions, size_t count)
{
	struct publishing *p = ctx;

	if (atomic_fetch_add(&p->inside, 1) > 0)
		atomic_store(&p->overlapped, true);
	for (size_t i = 0; i < count; i++)
		atomic_fetch_add(&p->sum, completions[i].tag);
	atomic_fetch_add(&p->completed, count);
	atomic_fetch_sub(&p->inside, 1);
}

static void *publish_many(void *ctx)
{
	struct publishing *p = ctx;
	weir_event event = { .record.body = { "x", 1 } };

	while (p->published < EVENTS) {
		struct weir_publish_item items[3];
		size_t accepted, count = EVENTS - p->published < 3 ? EVENTS - p->published : 3;
		int code;

		for (size_t i = 0; i < count; i++)
			items[i] = (struct weir_publish_item){ &event, p->published + i };
		code = weir_channel_publish(rig.channel, p->publisher, items, count, 0, &accepted, NULL);
		p->published += accepted;
		if (code == WEIR_EAGAIN)
			sched_yield();
		else if (code)
			break;
	}
	return NULL;
}

static void start_publishing(struct publishing *all)
{
	for (int i = 0; i < PUBLISHERS; i++) {
		assert_int_equal(weir_publisher_new(rig.runtime, count_completions, &all[i], &all[i].publisher),
				 WEIR_OK);
		assert_int_equal(pthread_create(&all[i].thread, NULL, publish_many, &all[i]), 0);
	}
}

static void finish_publishing(struct publishing *all)
{
	for (int i = 0; i < PUBLISHERS; i++) {
		pthread_join(all[i].thread, NULL);
		rig_wait(atomic_load(&all[i].completed) == EVENTS);
		assert_int_equal(all[i].published, EVENTS);
		assert_int_equal(all[i].sum, (uint64_t)EVENTS * (EVENTS - 1) / 2);
		assert_false(all[i].overlapped);
		weir_publisher_free(all[i].publisher);
	}
}

/* ---- settling in threads of their own ------------------------------------- */

static _Atomic size_t next_to_settle, settled;

static void *settle_many(void *ctx)
{
	_Atomic bool *stop = ctx;

	while (!atomic_load(stop)) {
		weir_delivery *batch[8];
		size_t count = 0;

		pthread_mutex_lock(&rig.lock);
		while (count < 8 && next_to_settle < rig.delivery_count)
			batch[count++] = rig.deliveries[next_to_settle++];
		pthread_mutex_unlock(&rig.lock);
		if (count == 0) {
			sched_yield();
			continue;
		}
		if (weir_delivery_settle(batch, count, WEIR_ACK, 0) == WEIR_OK)
			atomic_fetch_add(&settled, count);
	}
	return NULL;
}

/* Delivers within the credit, as a driver does. */
static void deliver_within_credit(uint64_t count)
{
	int64_t used = 0;

	for (uint64_t seq = 0; seq < count;) {
		int64_t room;

		pthread_mutex_lock(&fake.lock);
		room = fake.credit[0] - used;
		pthread_mutex_unlock(&fake.lock);
		if (room <= 0)
			sched_yield();
		for (; room > 0 && seq < count; room--, used++)
			fake_deliver(0, seq++);
	}
}

static void four_threads_publish_while_two_settle(void **state)
{
	static struct publishing publishing[PUBLISHERS];
	pthread_t settlers[SETTLERS];
	static _Atomic bool stop;

	(void)state;
	memset(publishing, 0, sizeof publishing);
	atomic_store(&stop, false);
	next_to_settle = settled = 0;
	rig_open();
	rig_subscribe("s", WINDOW);
	start_publishing(publishing);
	for (int i = 0; i < SETTLERS; i++)
		assert_int_equal(pthread_create(&settlers[i], NULL, settle_many, &stop), 0);
	deliver_within_credit(EVENTS);
	rig_wait(atomic_load(&settled) == EVENTS);
	finish_publishing(publishing);
	atomic_store(&stop, true);
	for (int i = 0; i < SETTLERS; i++)
		pthread_join(settlers[i], NULL);
	assert_int_equal(fake.releases, EVENTS);
	assert_int_equal(fake.credit[0], EVENTS + WINDOW);
	assert_false(rig_logged("breaks its contract"));
}

static void a_subscription_closes_while_others_settle_its_deliveries(void **state)
{
	pthread_t settlers[SETTLERS];
	static _Atomic bool stop;

	(void)state;
	rig_open();
	for (int round = 0; round < 50; round++) {
		weir_subscription *sub;
		unsigned releases = fake.releases;

		atomic_store(&stop, false);
		pthread_mutex_lock(&rig.lock);
		next_to_settle = rig.delivery_count = 0;
		pthread_mutex_unlock(&rig.lock);
		fake.subs = 0;
		sub = rig_subscribe("s", WINDOW);
		for (int i = 0; i < SETTLERS; i++)
			assert_int_equal(pthread_create(&settlers[i], NULL, settle_many, &stop), 0);
		for (uint64_t seq = 0; seq < WINDOW / 2; seq++)
			fake_deliver(0, seq);
		assert_int_equal(weir_subscription_close(sub, 1, rig_soon(), NULL), WEIR_OK);
		/* Each was handed out and freed by a settler, or was not and was released by the close. */
		rig_wait(fake.releases == releases + WINDOW / 2);
		atomic_store(&stop, true);
		for (int i = 0; i < SETTLERS; i++)
			pthread_join(settlers[i], NULL);
	}
}

static void one_sink_is_never_called_by_two_pumps_at_a_time(void **state)
{
	static struct publishing p;
	weir_event event = { .record.body = { "x", 1 } };
	weir_runtime *second;
	weir_channel *other;

	(void)state;
	memset(&p, 0, sizeof p);
	rig_open();
	assert_int_equal(weir_runtime_open(&rig.config, NULL, NULL, &second, NULL), WEIR_OK);
	assert_int_equal(weir_channel_open(second, "ns", "name", "FakeChannel", &other, NULL), WEIR_OK);
	assert_int_equal(weir_publisher_new(rig.runtime, count_completions, &p, &p.publisher), WEIR_OK);
	for (uint64_t i = 0; i < 500; i++) {
		struct weir_publish_item item = { &event, i };
		size_t accepted;

		assert_int_equal(
		    weir_channel_publish(i % 2 ? rig.channel : other, p.publisher, &item, 1, 0, &accepted, NULL),
		    WEIR_OK);
	}
	assert_false(p.overlapped);
	weir_publisher_free(p.publisher);
	weir_runtime_close(second, rig_in_ms(0), NULL);
}

/* ---- thread levels -------------------------------------------------------- */

static unsigned most_at_a_time(uint32_t level)
{
	static struct publishing publishing[PUBLISHERS];
	pthread_t settlers[SETTLERS];
	static _Atomic bool stop;

	memset(publishing, 0, sizeof publishing);
	atomic_store(&stop, false);
	next_to_settle = settled = 0;
	fake.caps.thread_level = level;
	fake.dwell = 2;
	rig_open();
	rig_subscribe("s", WINDOW);
	start_publishing(publishing);
	for (int i = 0; i < SETTLERS; i++)
		assert_int_equal(pthread_create(&settlers[i], NULL, settle_many, &stop), 0);
	deliver_within_credit(200);
	rig_wait(atomic_load(&settled) == 200);
	finish_publishing(publishing);
	atomic_store(&stop, true);
	for (int i = 0; i < SETTLERS; i++)
		pthread_join(settlers[i], NULL);
	return fake.most_inside;
}

static void at_level_0_one_call_is_let_through_at_a_time(void **state)
{
	(void)state;
	assert_int_equal(most_at_a_time(WEIR_THREAD_PROCESS), 1);
}

static void at_level_1_one_call_is_let_through_at_a_time(void **state)
{
	(void)state;
	assert_int_equal(most_at_a_time(WEIR_THREAD_INSTANCE), 1);
}

static void at_level_2_one_publish_one_poll_and_one_settle_run_beside_each_other(void **state)
{
	unsigned most;

	(void)state;
	most = most_at_a_time(WEIR_THREAD_GROUPS);
	assert_true(most > 1);
	assert_true(most <= 3);
	assert_int_equal(fake.most_publishing, 1);
}

static void at_level_3_several_publish_at_a_time(void **state)
{
	(void)state;
	most_at_a_time(WEIR_THREAD_FREE);
	assert_true(fake.most_publishing > 1);
}

static void *publish_in_thread(void *ctx)
{
	(void)ctx;
	return (void *)(intptr_t)rig_publish(1);
}

static void behind_a_call_that_hangs_closing_keeps_its_deadline_at_level_1(void **state)
{
	weir_subscription *sub;
	pthread_t thread;

	(void)state;
	fake.caps.thread_level = WEIR_THREAD_INSTANCE;
	rig_open();
	sub = rig_subscribe("s", 1);
	rig_settle_down();
	fake.hang_publish = true;
	pthread_create(&thread, NULL, publish_in_thread, NULL);
	rig_wait(fake.inside > 0);
	assert_int_equal(weir_subscription_close(sub, 1, rig_in_ms(0), NULL), WEIR_ETIMEDOUT);
	assert_int_equal(fake.unsubscribes, 0);
	fake.hang_publish = false;
	pthread_join(thread, NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(four_threads_publish_while_two_settle),
		CASE(a_subscription_closes_while_others_settle_its_deliveries),
		CASE(one_sink_is_never_called_by_two_pumps_at_a_time),
		CASE(at_level_0_one_call_is_let_through_at_a_time),
		CASE(at_level_1_one_call_is_let_through_at_a_time),
		CASE(at_level_2_one_publish_one_poll_and_one_settle_run_beside_each_other),
		CASE(at_level_3_several_publish_at_a_time),
		CASE(behind_a_call_that_hangs_closing_keeps_its_deadline_at_level_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
