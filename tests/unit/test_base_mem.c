/* SPDX-License-Identifier: Apache-2.0 */
/* base/mem, base/arena, base/dynbuf */
#include "unit/weir_cmocka.h"

#include <pthread.h>
#include <string.h>

#include "base/arena.h"
#include "base/dynbuf.h"
#include "base/mem.h"
#include "base/str.h"

/* ---- mem ----------------------------------------------------------------- */

static void the_nth_allocation_fails_once(void **state)
{
	void *mem[4];

	(void)state;
	weir_mem_fail(3, 0);
	for (int i = 0; i < 4; i++)
		mem[i] = weir_mem_alloc(8);
	assert_non_null(mem[0]);
	assert_non_null(mem[1]);
	assert_null(mem[2]);
	assert_non_null(mem[3]);
	for (int i = 0; i < 4; i++)
		weir_mem_free(mem[i]);
}

static void a_sticky_failure_lasts_until_switched_off(void **state)
{
	void *mem;

	(void)state;
	weir_mem_fail(1, 1);
	assert_null(weir_mem_alloc(1));
	assert_null(weir_mem_zalloc(1, 1));
	assert_null(weir_mem_realloc(NULL, 1));
	assert_null(weir_mem_strdup("a"));
	weir_mem_fail(0, 0);
	mem = weir_mem_alloc(1);
	assert_non_null(mem);
	weir_mem_free(mem);
}

static void zeroed_memory_is_zero_and_its_size_does_not_overflow(void **state)
{
	static const char zeros[96];
	char *mem = weir_mem_zalloc(8, 12);

	(void)state;
	assert_memory_equal(mem, zeros, sizeof zeros);
	weir_mem_free(mem);
	assert_null(weir_mem_zalloc(SIZE_MAX / 2, 3));
}

static void nothing_is_also_allocated(void **state)
{
	void *a = weir_mem_alloc(0), *b = weir_mem_zalloc(0, 4), *c = weir_mem_realloc(NULL, 0);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(c);
	weir_mem_free(a);
	weir_mem_free(b);
	weir_mem_free(c);
	weir_mem_free(NULL);
}

static void strndup_copies_so_many_bytes_and_ends_them(void **state)
{
	char *copy = weir_mem_strndup("abcdef", 3), *empty = weir_mem_strndup(NULL, 0);

	(void)state;
	assert_string_equal(copy, "abc");
	assert_string_equal(empty, "");
	assert_null(weir_mem_strndup("a", SIZE_MAX));
	weir_mem_free(copy);
	weir_mem_free(empty);
}

static void *allocate_thousand(void *arg)
{
	for (int i = 0; i < 1000; i++)
		weir_mem_free(weir_mem_alloc(16));
	return arg;
}

static void allocations_are_counted_over_all_threads(void **state)
{
	uint64_t before = weir_mem_count();
	pthread_t threads[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, allocate_thousand, NULL), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(weir_mem_count() - before, 3000);
}

/* ---- arena --------------------------------------------------------------- */

static void pieces_are_aligned_and_do_not_overlap(void **state)
{
	struct weir_arena arena;
	unsigned char *pieces[300];

	(void)state;
	weir_arena_init(&arena, 0);
	for (size_t i = 0; i < 300; i++) {
		pieces[i] = weir_arena_alloc(&arena, i);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
		memset(pieces[i], (int)(i & 0xff), i);
	}
	for (size_t i = 0; i < 300; i++) {
		for (size_t j = 0; j < i; j++)
			assert_int_equal(pieces[i][j], i & 0xff);
	}
	weir_arena_fini(&arena);
}

static void an_arena_refuses_beyond_its_maximum(void **state)
{
	struct weir_arena arena;

	(void)state;
	weir_arena_init(&arena, 256);
	assert_non_null(weir_arena_alloc(&arena, 200));
	assert_null(weir_arena_alloc(&arena, 100));
	assert_non_null(weir_arena_alloc(&arena, 16));
	assert_null(weir_arena_alloc(&arena, SIZE_MAX));
	weir_arena_reset(&arena);
	assert_non_null(weir_arena_alloc(&arena, 256));
	weir_arena_fini(&arena);
}

static void fill(struct weir_arena *arena)
{
	for (int i = 0; i < 100; i++)
		assert_non_null(weir_arena_alloc(arena, 100));
}

static void a_reused_arena_allocates_nothing(void **state)
{
	struct weir_arena arena;
	uint64_t before;

	(void)state;
	weir_arena_init(&arena, 0);
	fill(&arena);
	weir_arena_reset(&arena);
	before = weir_mem_count();
	for (int i = 0; i < 10; i++) {
		fill(&arena);
		weir_arena_reset(&arena);
	}
	assert_int_equal(weir_mem_count(), before);
	weir_arena_fini(&arena);
}

static void one_large_piece_is_not_kept_for_ever(void **state)
{
	struct weir_arena arena;
	uint64_t before;

	(void)state;
	weir_arena_init(&arena, 0);
	assert_non_null(weir_arena_alloc(&arena, 1024 * 1024));
	weir_arena_reset(&arena);
	before = weir_mem_count();
	assert_non_null(weir_arena_alloc(&arena, 1024 * 1024));
	assert_int_equal(weir_mem_count(), before + 1);
	weir_arena_fini(&arena);
}

static void copies_end_with_nul_and_empty_is_not_absent(void **state)
{
	struct weir_arena arena;
	struct weir_buf copy;

	(void)state;
	weir_arena_init(&arena, 0);
	copy = weir_arena_copy(&arena, WEIR_STR("abc"));
	assert_true(weir_str_equal(copy, WEIR_STR("abc")));
	assert_string_equal(weir_arena_text(&arena, WEIR_STR("abc")), "abc");
	copy = weir_arena_copy(&arena, WEIR_STR(""));
	assert_non_null(copy.ptr);
	assert_int_equal(copy.len, 0);
	weir_arena_fini(&arena);
}

static void an_arena_without_memory_stays_usable(void **state)
{
	struct weir_arena arena;
	struct weir_buf copy;

	(void)state;
	weir_arena_init(&arena, 0);
	weir_mem_fail(1, 1);
	assert_null(weir_arena_alloc(&arena, 1));
	copy = weir_arena_copy(&arena, WEIR_STR("abc"));
	assert_null(copy.ptr);
	assert_int_equal(copy.len, 0);
	weir_mem_fail(0, 0);
	fill(&arena);
	weir_mem_fail(1, 0); /* the reset cannot make its one chunk */
	weir_arena_reset(&arena);
	fill(&arena);
	weir_arena_fini(&arena);
}

/* ---- dynbuf -------------------------------------------------------------- */

static void what_is_added_is_there_in_order(void **state)
{
	struct weir_dynbuf buf;

	(void)state;
	weir_dynbuf_init(&buf, 4096);
	assert_true(weir_dynbuf_add_text(&buf, "a"));
	assert_true(weir_dynbuf_add_char(&buf, '='));
	assert_true(weir_dynbuf_add_uint(&buf, 0));
	assert_true(weir_dynbuf_add_uint(&buf, UINT64_MAX));
	assert_true(weir_dynbuf_addf(&buf, "<%d>", -5));
	assert_true(weir_dynbuf_add_buf(&buf, WEIR_STR("end")));
	assert_true(weir_dynbuf_add_buf(&buf, (struct weir_buf){ NULL, 0 }));
	assert_string_equal(buf.ptr, "a=018446744073709551615<-5>end");
	assert_int_equal(buf.len, strlen(buf.ptr));
	weir_dynbuf_fini(&buf);
}

static void a_buffer_grows_to_its_maximum_and_no_further(void **state)
{
	struct weir_dynbuf buf;

	(void)state;
	weir_dynbuf_init(&buf, 1000);
	for (int i = 0; i < 1000; i++)
		assert_true(weir_dynbuf_add_char(&buf, 'x'));
	assert_false(weir_dynbuf_add_char(&buf, 'y'));
	assert_true(buf.failed);
	assert_int_equal(buf.len, 1000);
	assert_int_equal(buf.ptr[999], 'x');
	assert_true(buf.capacity <= 1001);
	weir_dynbuf_fini(&buf);
}

static void after_a_failure_nothing_is_added_until_reset(void **state)
{
	struct weir_dynbuf buf;

	(void)state;
	weir_dynbuf_init(&buf, 4);
	assert_true(weir_dynbuf_add_text(&buf, "ab"));
	assert_false(weir_dynbuf_add_text(&buf, "cde"));
	assert_false(weir_dynbuf_add_text(&buf, "c"));
	assert_false(weir_dynbuf_addf(&buf, "c"));
	assert_string_equal(buf.ptr, "ab");
	weir_dynbuf_reset(&buf);
	assert_true(weir_dynbuf_add_text(&buf, "cdef"));
	assert_string_equal(buf.ptr, "cdef");
	weir_dynbuf_fini(&buf);
}

static void a_buffer_that_finds_no_memory_keeps_what_it_has(void **state)
{
	struct weir_dynbuf buf;

	(void)state;
	weir_dynbuf_init(&buf, SIZE_MAX);
	assert_true(weir_dynbuf_add_text(&buf, "kept"));
	weir_mem_fail(1, 0);
	assert_null(weir_dynbuf_reserve(&buf, 100000));
	assert_true(buf.failed);
	assert_string_equal(buf.ptr, "kept");
	weir_dynbuf_reset(&buf);
	assert_null(weir_dynbuf_reserve(&buf, SIZE_MAX));
	weir_dynbuf_fini(&buf);
}

static void reserved_room_is_written_by_the_caller(void **state)
{
	struct weir_dynbuf buf;
	char *room;

	(void)state;
	weir_dynbuf_init(&buf, 4096);
	weir_dynbuf_add_text(&buf, "ab");
	room = weir_dynbuf_reserve(&buf, 3000);
	memset(room, 'z', 3000);
	buf.len += 3000;
	assert_int_equal(strlen(buf.ptr), 3002);
	weir_dynbuf_fini(&buf);
}

static void consume_drops_from_the_front(void **state)
{
	struct weir_dynbuf buf;

	(void)state;
	weir_dynbuf_init(&buf, 16);
	weir_dynbuf_consume(&buf, 3);
	weir_dynbuf_add_text(&buf, "abcdef");
	weir_dynbuf_consume(&buf, 0);
	weir_dynbuf_consume(&buf, 2);
	assert_string_equal(buf.ptr, "cdef");
	weir_dynbuf_consume(&buf, 100);
	assert_int_equal(buf.len, 0);
	assert_string_equal(buf.ptr, "");
	weir_dynbuf_fini(&buf);
}

static void the_view_of_an_unused_buffer_is_empty_not_absent(void **state)
{
	struct weir_dynbuf buf;

	(void)state;
	weir_dynbuf_init(&buf, 16);
	assert_non_null(weir_dynbuf_view(&buf).ptr);
	assert_int_equal(weir_dynbuf_view(&buf).len, 0);
	weir_dynbuf_add_text(&buf, "x");
	assert_true(weir_str_equal(weir_dynbuf_view(&buf), WEIR_STR("x")));
	weir_dynbuf_fini(&buf);
	assert_null(buf.ptr);
}

static int no_more_failures(void **state)
{
	(void)state;
	weir_mem_fail(0, 0);
	return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, no_more_failures)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_nth_allocation_fails_once),
		TEST(a_sticky_failure_lasts_until_switched_off),
		TEST(zeroed_memory_is_zero_and_its_size_does_not_overflow),
		TEST(nothing_is_also_allocated),
		TEST(strndup_copies_so_many_bytes_and_ends_them),
		TEST(allocations_are_counted_over_all_threads),
		TEST(pieces_are_aligned_and_do_not_overlap),
		TEST(an_arena_refuses_beyond_its_maximum),
		TEST(a_reused_arena_allocates_nothing),
		TEST(one_large_piece_is_not_kept_for_ever),
		TEST(copies_end_with_nul_and_empty_is_not_absent),
		TEST(an_arena_without_memory_stays_usable),
		TEST(what_is_added_is_there_in_order),
		TEST(a_buffer_grows_to_its_maximum_and_no_further),
		TEST(after_a_failure_nothing_is_added_until_reset),
		TEST(a_buffer_that_finds_no_memory_keeps_what_it_has),
		TEST(reserved_room_is_written_by_the_caller),
		TEST(consume_drops_from_the_front),
		TEST(the_view_of_an_unused_buffer_is_empty_not_absent),
	};

	return cmocka_run_group_tests_name("base/mem", tests, NULL, NULL);
}
