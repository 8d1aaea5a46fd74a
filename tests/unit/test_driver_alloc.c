/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out of memory: the same short life of a driver again and again, each time with
 * another allocation failing, once or from then on. Nothing crashes or leaks
 * (the address sanitizer looks), nothing is confirmed that is not so, and with
 * memory again everything works.
 */
#include "driver_harness.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- the allocator that the drivers are built with --------------------------------------- */

void *weir_test_malloc(size_t size);
void *weir_test_calloc(size_t count, size_t size);
void *weir_test_realloc(void *old, size_t size);
char *weir_test_strdup(const char *text);
char *weir_test_strndup(const char *text, size_t max);

static atomic_long left; /* allocations until one fails; below 0: none does */
static atomic_bool sticky, failed;

static bool fails(void)
{
	if (atomic_load(&left) < 0)
		return false;
	if (atomic_load(&left) > 0) {
		atomic_fetch_sub(&left, 1);
		return false;
	}
	if (!atomic_load(&sticky))
		atomic_store(&left, -1);
	atomic_store(&failed, true);
	return true;
}

void *weir_test_malloc(size_t size)
{
	return fails() ? NULL : malloc(size);
}

void *weir_test_calloc(size_t count, size_t size)
{
	return fails() ? NULL : calloc(count, size);
}

void *weir_test_realloc(void *old, size_t size)
{
	return fails() ? NULL : realloc(old, size);
}

char *weir_test_strdup(const char *text)
{
	return fails() ? NULL : strdup(text);
}

char *weir_test_strndup(const char *text, size_t max)
{
	return fails() ? NULL : strndup(text, max);
}

/* ---- a short life ---------------------------------------------------------------------------- */

struct life {
	int accepted, persisted, delivered;
	int idle;      /* calls of poll() that found event_fd readable and had nothing to report */
	bool finished; /* every step was done */
};

/* Takes what comes until all that can come has, or a while has passed. */
static void poll_some(struct harness *h, struct weir_sub *sub, struct life *life)
{
	int64_t start = harness_now(), end = start + INT64_C(5000000000);
	int completed = 0;

	while ((completed < life->accepted || life->delivered < life->persisted) && harness_now() < end) {
		struct weir_driver_event events[8] = { { .size = sizeof events[0] } };
		bool readable = harness_readable(h);
		size_t count, i;

		/* Without any memory nothing more will come. */
		if (atomic_load(&sticky) && atomic_load(&failed))
			end = start + 20000000;
		assert_int_equal(h->ops.poll(h->inst, events, 8, readable ? 0 : harness_now() + 5000000, &count),
				 WEIR_OK);
		life->idle += readable && !count;
		for (i = 0; i < count; i++) {
			if (events[i].type == WEIR_EV_PUBLISHED) {
				completed++;
				life->persisted += events[i].outcome == WEIR_PERSISTED;
				assert_true(events[i].outcome == WEIR_PERSISTED || events[i].error);
			} else if (events[i].type == WEIR_EV_DELIVER) {
				life->delivered++;
				assert_memory_equal(events[i].record.body.ptr, "body", 4);
				h->ops.release(events[i].lease);
				h->ops.settle(h->inst, sub, WEIR_ACK, &events[i].token, 1, 0, NULL);
			}
		}
	}
}

static void use(struct harness *h, struct life *life)
{
	struct weir_sub_spec spec = { .size = sizeof spec, .name = "s", .uid = "s" };
	struct weir_topic *topic;
	struct weir_sub *sub;
	int i, code;

	code = h->ops.topic_open(h->inst, "ns", "t", &topic, NULL);
	if (code) {
		assert_int_equal(code, WEIR_ENOMEM);
		return;
	}
	code = h->ops.subscribe(h->inst, topic, &spec, &sub, NULL);
	if (code) {
		assert_int_equal(code, WEIR_ENOMEM);
		return;
	}
	h->ops.credit(h->inst, sub, 100, 1 << 20);
	for (i = 0; i < 3; i++)
		life->accepted += harness_send(h, topic, "body") == WEIR_OK;
	poll_some(h, sub, life);
	code = h->ops.unsubscribe(h->inst, sub, 1, harness_now() + INT64_C(5000000000), NULL);
	assert_true(code == WEIR_OK || atomic_load(&failed));
	life->finished = true;
}

/* Opens, uses, closes. */
static struct life live(struct harness *h)
{
	struct life life = { 0 };
	struct weir_error err = WEIR_ERROR_INIT;
	int code = harness_try_open(h, NULL, &err);

	if (code) {
		assert_int_equal(code, WEIR_ENOMEM);
		assert_null(h->inst);
		return life;
	}
	use(h, &life);
	code = h->ops.close(h->inst, harness_now() + INT64_C(5000000000), WEIR_CLOSE_FLUSH, NULL);
	assert_true(code == WEIR_OK || atomic_load(&failed));
	h->inst = NULL;
	return life;
}

static void every_allocation_may_fail(weir_driver_init_fn *init, bool sticks)
{
	struct harness h;
	struct life life;
	long k, tried = 0;

	harness_adopt(&h, init);
	atomic_store(&sticky, sticks);
	for (k = 0; k < 200; k++) {
		atomic_store(&failed, false);
		atomic_store(&left, k);
		life = live(&h);
		atomic_store(&left, -1);
		if (!atomic_load(&failed))
			break;
		/* Having no memory is no reason to run in circles. */
		assert_true(life.idle < 20);
		tried++;
		if (!sticks && life.finished)
			assert_true(life.delivered >= life.persisted);
		/* And now with memory. What was not acknowledged before comes along. */
		atomic_store(&failed, false);
		life = live(&h);
		assert_true(life.finished);
		assert_int_equal(life.persisted, 3);
		assert_true(life.delivered >= 3);
	}
	assert_true(tried > 5);
	assert_true(life.finished);
	harness_unload(&h);
}

weir_driver_init_fn weir_driver_memory_init, weir_driver_embedded_init;

static void memory_survives_one_failure(void **state)
{
	(void)state;
	every_allocation_may_fail(weir_driver_memory_init, false);
}

static void memory_survives_having_no_memory(void **state)
{
	(void)state;
	every_allocation_may_fail(weir_driver_memory_init, true);
}

static void embedded_survives_one_failure(void **state)
{
	(void)state;
	every_allocation_may_fail(weir_driver_embedded_init, false);
}

static void embedded_survives_having_no_memory(void **state)
{
	(void)state;
	every_allocation_may_fail(weir_driver_embedded_init, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_survives_one_failure),
		cmocka_unit_test(memory_survives_having_no_memory),
		cmocka_unit_test(embedded_survives_one_failure),
		cmocka_unit_test(embedded_survives_having_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
