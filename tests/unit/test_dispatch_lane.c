/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/weir_cmocka.h"

#include <stdlib.h>

#include "dispatch/lane.h"

enum { MANY = 1000 };

static struct weir_lanes ordered(uint32_t max_running)
{
	struct weir_lanes lanes;

	assert_int_equal(weir_lanes_init(&lanes, true, max_running, 16), WEIR_OK);
	return lanes;
}

static void items_with_one_key_go_one_after_the_other(void **state)
{
	struct weir_lanes lanes = ordered(8);
	struct weir_lane_item a, b, c;

	(void)state;
	weir_lanes_add(&lanes, &a, 1);
	weir_lanes_add(&lanes, &b, 1);
	weir_lanes_add(&lanes, &c, 1);
	assert_ptr_equal(weir_lanes_next(&lanes), &a);
	assert_null(weir_lanes_next(&lanes));
	weir_lanes_done(&lanes, &a);
	assert_ptr_equal(weir_lanes_next(&lanes), &b);
	assert_null(weir_lanes_next(&lanes));
	weir_lanes_done(&lanes, &b);
	assert_ptr_equal(weir_lanes_next(&lanes), &c);
	weir_lanes_done(&lanes, &c);
	assert_null(weir_lanes_next(&lanes));
	assert_int_equal(lanes.count, 0);
	weir_lanes_fini(&lanes);
}

static void different_keys_go_side_by_side(void **state)
{
	struct weir_lanes lanes = ordered(8);
	struct weir_lane_item a, b;

	(void)state;
	weir_lanes_add(&lanes, &a, 1);
	weir_lanes_add(&lanes, &b, 2);
	assert_ptr_equal(weir_lanes_next(&lanes), &a);
	assert_ptr_equal(weir_lanes_next(&lanes), &b);
	weir_lanes_fini(&lanes);
}

static void a_key_that_waits_for_a_retry_blocks_only_itself(void **state)
{
	struct weir_lanes lanes = ordered(8);
	struct weir_lane_item a1, a2, b1, b2;

	(void)state;
	weir_lanes_add(&lanes, &a1, 1);
	weir_lanes_add(&lanes, &a2, 1);
	weir_lanes_add(&lanes, &b1, 2);
	weir_lanes_add(&lanes, &b2, 2);
	assert_ptr_equal(weir_lanes_next(&lanes), &a1);
	weir_lanes_wait(&lanes, &a1);
	assert_ptr_equal(weir_lanes_next(&lanes), &b1);
	weir_lanes_done(&lanes, &b1);
	assert_ptr_equal(weir_lanes_next(&lanes), &b2);
	assert_null(weir_lanes_next(&lanes));
	weir_lanes_again(&lanes, &a1);
	assert_ptr_equal(weir_lanes_next(&lanes), &a1);
	weir_lanes_done(&lanes, &a1);
	assert_ptr_equal(weir_lanes_next(&lanes), &a2);
	weir_lanes_fini(&lanes);
}

static void no_more_run_than_allowed(void **state)
{
	struct weir_lanes lanes = ordered(2);
	struct weir_lane_item items[3];

	(void)state;
	for (uint64_t i = 0; i < 3; i++)
		weir_lanes_add(&lanes, &items[i], i);
	assert_ptr_equal(weir_lanes_next(&lanes), &items[0]);
	assert_ptr_equal(weir_lanes_next(&lanes), &items[1]);
	assert_null(weir_lanes_next(&lanes));
	weir_lanes_done(&lanes, &items[1]);
	assert_ptr_equal(weir_lanes_next(&lanes), &items[2]);
	weir_lanes_fini(&lanes);
}

static void one_that_waits_does_not_count_as_running(void **state)
{
	struct weir_lanes lanes = ordered(1);
	struct weir_lane_item a, b;

	(void)state;
	weir_lanes_add(&lanes, &a, 1);
	weir_lanes_add(&lanes, &b, 2);
	assert_ptr_equal(weir_lanes_next(&lanes), &a);
	assert_null(weir_lanes_next(&lanes));
	weir_lanes_wait(&lanes, &a);
	assert_ptr_equal(weir_lanes_next(&lanes), &b);
	weir_lanes_fini(&lanes);
}

static void unordered_items_with_one_key_go_side_by_side(void **state)
{
	struct weir_lanes lanes;
	struct weir_lane_item a, b;

	(void)state;
	assert_int_equal(weir_lanes_init(&lanes, false, 8, 16), WEIR_OK);
	weir_lanes_add(&lanes, &a, 1);
	weir_lanes_add(&lanes, &b, 1);
	assert_ptr_equal(weir_lanes_next(&lanes), &a);
	assert_ptr_equal(weir_lanes_next(&lanes), &b);
	weir_lanes_done(&lanes, &b);
	weir_lanes_done(&lanes, &a);
	assert_int_equal(lanes.count, 0);
	weir_lanes_fini(&lanes);
}

static void keys_in_one_bucket_stay_apart(void **state)
{
	struct weir_lanes lanes = ordered(8);
	struct weir_lane_item a1, a2, b, c1, c2;

	(void)state;
	weir_lanes_add(&lanes, &a1, 1);
	weir_lanes_add(&lanes, &b, 1 + 16);
	weir_lanes_add(&lanes, &c1, 1 + 32);
	weir_lanes_add(&lanes, &a2, 1);
	weir_lanes_add(&lanes, &c2, 1 + 32);
	assert_ptr_equal(weir_lanes_next(&lanes), &a1);
	assert_ptr_equal(weir_lanes_next(&lanes), &b);
	assert_ptr_equal(weir_lanes_next(&lanes), &c1);
	weir_lanes_done(&lanes, &b);
	weir_lanes_done(&lanes, &c1);
	assert_ptr_equal(weir_lanes_next(&lanes), &c2);
	weir_lanes_done(&lanes, &a1);
	assert_ptr_equal(weir_lanes_next(&lanes), &a2);
	weir_lanes_fini(&lanes);
}

struct numbered {
	struct weir_lane_item lane; /* first, so that an item is its lane's address */
	unsigned number;
};

/* Finishes items in an order of its own, some after waiting; each key must see its items in the order they were added.
 */
static void random_completion_never_breaks_the_order_of_a_key(void **state)
{
	enum { KEYS = 7, RUNNING = 16 };
	struct weir_lanes lanes = ordered(RUNNING);
	struct numbered *items = calloc(MANY, sizeof *items), *running[RUNNING];
	unsigned seen[KEYS] = { 0 }, done = 0, under_way = 0, seed = 42;

	(void)state;
	assert_non_null(items);
	for (unsigned i = 0; i < MANY; i++) {
		items[i].number = i / KEYS;
		weir_lanes_add(&lanes, &items[i].lane, i % KEYS);
	}
	while (done < MANY) {
		struct weir_lane_item *next;
		unsigned pick;

		while ((next = weir_lanes_next(&lanes)))
			running[under_way++] = (struct numbered *)next;
		assert_in_range(under_way, 1, KEYS);
		seed = seed * 1103515245 + 12345;
		pick = (seed >> 16) % under_way;
		if ((seed >> 8) % 3 == 0) {
			weir_lanes_wait(&lanes, &running[pick]->lane);
			weir_lanes_again(&lanes, &running[pick]->lane);
		} else {
			assert_int_equal(running[pick]->number, seen[running[pick]->lane.key]++);
			weir_lanes_done(&lanes, &running[pick]->lane);
			done++;
		}
		running[pick] = running[--under_way];
	}
	assert_int_equal(lanes.count, 0);
	weir_lanes_fini(&lanes);
	free(items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_with_one_key_go_one_after_the_other),
		cmocka_unit_test(different_keys_go_side_by_side),
		cmocka_unit_test(a_key_that_waits_for_a_retry_blocks_only_itself),
		cmocka_unit_test(no_more_run_than_allowed),
		cmocka_unit_test(one_that_waits_does_not_count_as_running),
		cmocka_unit_test(unordered_items_with_one_key_go_side_by_side),
		cmocka_unit_test(keys_in_one_bucket_stay_apart),
		cmocka_unit_test(random_completion_never_breaks_the_order_of_a_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
