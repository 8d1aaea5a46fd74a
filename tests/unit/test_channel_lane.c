/* SPDX-License-Identifier: Apache-2.0 */
/* The slots of publishes under way, and the map of a driver's pointers. */
#include "unit/weir_cmocka.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"
#include "channel/lane.h"
#include "channel/ptrmap.h"

static struct weir_lane *lane;

static int setup(void **state)
{
	(void)state;
	lane = weir_lane_new(NULL, 5);
	return lane ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	weir_lane_free(lane);
	return 0;
}

static uint64_t take(uint64_t tag)
{
	uint64_t driver_tag = 0;

	assert_int_equal(weir_lane_take(lane, tag, 1000, &driver_tag), WEIR_OK);
	return driver_tag;
}

static enum weir_finish finish(uint64_t driver_tag, uint64_t *tag)
{
	uint32_t owner;
	enum weir_finish result = weir_lane_finish(lane, driver_tag, tag, &owner);

	weir_lane_give_back(lane);
	return result;
}

static void a_tag_tells_its_lane(void **state)
{
	(void)state;
	assert_int_equal(weir_lane_of_tag(take(1)), 5);
}

static void a_slot_gives_back_the_tag_that_was_put_in(void **state)
{
	uint64_t first = take(11), second = take(22), tag;

	(void)state;
	assert_int_equal(finish(second, &tag), WEIR_FINISH_DONE);
	assert_int_equal(tag, 22);
	assert_int_equal(finish(first, &tag), WEIR_FINISH_DONE);
	assert_int_equal(tag, 11);
	assert_int_equal(weir_lane_pending(lane), 0);
}

static void a_slot_that_is_used_again_has_another_tag(void **state)
{
	uint64_t first = take(1), second, tag;

	(void)state;
	/* Uses up the chunk, so that the first slot is the one to come next. */
	for (int i = 1; i < WEIR_LANE_CHUNK; i++)
		take(0);
	finish(first, &tag);
	second = take(2);
	assert_int_equal((second >> 32) & 0xfffff, (first >> 32) & 0xfffff);
	assert_true(second != first);
	assert_int_equal(finish(first, &tag), WEIR_FINISH_TWICE);
	assert_int_equal(finish(second, &tag), WEIR_FINISH_DONE);
}

static void a_cancelled_slot_is_not_pending_and_its_completion_is_one_too_many(void **state)
{
	uint64_t driver_tag = take(1), tag;

	(void)state;
	weir_lane_cancel(lane, driver_tag);
	assert_int_equal(weir_lane_pending(lane), 0);
	assert_int_equal(finish(driver_tag, &tag), WEIR_FINISH_TWICE);
}

static void a_slot_that_was_completed_though_refused_is_cancelled_without_harm(void **state)
{
	uint64_t driver_tag = take(1), tag;

	(void)state;
	assert_int_equal(finish(driver_tag, &tag), WEIR_FINISH_DONE);
	weir_lane_cancel(lane, driver_tag);
	assert_int_equal(weir_lane_pending(lane), 0);
}

static void made_up_tags_are_unknown(void **state)
{
	uint64_t driver_tag = take(1), tag;

	(void)state;
	assert_int_equal(finish(driver_tag + 1, &tag), WEIR_FINISH_UNKNOWN);
	assert_int_equal(finish(driver_tag + (UINT64_C(1) << 32), &tag), WEIR_FINISH_UNKNOWN);
	assert_int_equal(finish(driver_tag + (UINT64_C(0x80000) << 32), &tag), WEIR_FINISH_UNKNOWN);
	assert_int_equal(finish(driver_tag, &tag), WEIR_FINISH_DONE);
}

static uint64_t expired;

static void note_expired(struct weir_lane *of, uint64_t tag, uint32_t owner)
{
	(void)of;
	(void)owner;
	expired = tag;
}

static void only_slots_behind_their_deadline_expire_and_the_next_deadline_is_told(void **state)
{
	uint64_t early, late;

	(void)state;
	weir_lane_take(lane, 1, 1000, &early);
	weir_lane_take(lane, 2, 2000, &late);
	expired = 0;
	assert_int_equal(weir_lane_expire(lane, 1500, note_expired), 2000);
	assert_int_equal(expired, 1);
	assert_int_equal(weir_lane_pending(lane), 1);
	assert_int_equal(weir_lane_expire(lane, 2500, note_expired), WEIR_NS_NEVER);
	assert_int_equal(expired, 2);
}

static void an_expired_slot_is_not_used_again_before_the_driver_gives_it_up(void **state)
{
	uint64_t driver_tag = take(1), tag;

	(void)state;
	weir_lane_expire(lane, 5000, note_expired);
	for (int i = 0; i < 2 * WEIR_LANE_CHUNK - 1; i++)
		assert_true((take(0) >> 32) != (driver_tag >> 32));
	assert_int_equal(finish(driver_tag, &tag), WEIR_FINISH_LATE);
	assert_int_equal(finish(driver_tag, &tag), WEIR_FINISH_TWICE);
	assert_int_equal((take(0) >> 32) & 0xfffff, (driver_tag >> 32) & 0xfffff);
}

/* ---- two threads ---------------------------------------------------------- */

enum { PASSES = 100000, RING = 512 };

static _Atomic uint64_t ring[RING];

static void *finish_all(void *sum)
{
	for (uint64_t i = 0; i < PASSES; i++) {
		uint64_t driver_tag, tag;
		uint32_t owner;

		while ((driver_tag = atomic_exchange(&ring[i % RING], 0)) == 0)
			sched_yield();
		if (weir_lane_finish(lane, driver_tag, &tag, &owner) == WEIR_FINISH_DONE)
			*(uint64_t *)sum += tag;
		if (i % 7 == 0)
			weir_lane_give_back(lane);
	}
	weir_lane_give_back(lane);
	return NULL;
}

static void one_thread_takes_while_another_finishes(void **state)
{
	uint64_t sum = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, finish_all, &sum), 0);
	for (uint64_t i = 0; i < PASSES; i++) {
		uint64_t driver_tag = take(i);

		while (atomic_load(&ring[i % RING]) != 0)
			sched_yield();
		atomic_store(&ring[i % RING], driver_tag);
	}
	pthread_join(thread, NULL);
	assert_int_equal(sum, (uint64_t)PASSES * (PASSES - 1) / 2);
	assert_int_equal(weir_lane_pending(lane), 0);
	assert_true(atomic_load(&lane->slots) <= 2 * RING + WEIR_LANE_CHUNK);
}

/* ---- the map -------------------------------------------------------------- */

static void a_map_behaves_as_a_plain_table_of_what_was_put_and_removed(void **state)
{
	enum { KEYS = 300 };
	static char keys[KEYS], values[KEYS];
	bool there[KEYS] = { false };
	struct weir_ptrmap map = { NULL, 0, 0 };
	size_t count = 0;

	(void)state;
	srand(7);
	for (int step = 0; step < 20000; step++) {
		int key = rand() % KEYS;

		if (there[key]) {
			weir_ptrmap_remove(&map, &keys[key]);
			count--;
		} else {
			assert_true(weir_ptrmap_reserve(&map));
			weir_ptrmap_put(&map, &keys[key], &values[key]);
			count++;
		}
		there[key] = !there[key];
		assert_int_equal(map.used, count);
		key = rand() % KEYS;
		assert_ptr_equal(weir_ptrmap_get(&map, &keys[key]), there[key] ? &values[key] : NULL);
	}
	for (int key = 0; key < KEYS; key++)
		assert_ptr_equal(weir_ptrmap_get(&map, &keys[key]), there[key] ? &values[key] : NULL);
	weir_ptrmap_fini(&map);
}

static void an_empty_map_has_nothing(void **state)
{
	struct weir_ptrmap map = { NULL, 0, 0 };

	assert_null(weir_ptrmap_get(&map, state));
	weir_ptrmap_remove(&map, state);
	assert_null(weir_ptrmap_get(&map, NULL));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_tag_tells_its_lane),
		CASE(a_slot_gives_back_the_tag_that_was_put_in),
		CASE(a_slot_that_is_used_again_has_another_tag),
		CASE(a_cancelled_slot_is_not_pending_and_its_completion_is_one_too_many),
		CASE(a_slot_that_was_completed_though_refused_is_cancelled_without_harm),
		CASE(made_up_tags_are_unknown),
		CASE(only_slots_behind_their_deadline_expire_and_the_next_deadline_is_told),
		CASE(an_expired_slot_is_not_used_again_before_the_driver_gives_it_up),
		CASE(one_thread_takes_while_another_finishes),
		CASE(a_map_behaves_as_a_plain_table_of_what_was_put_and_removed),
		CASE(an_empty_map_has_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
