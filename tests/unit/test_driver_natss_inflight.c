/* SPDX-License-Identifier: Apache-2.0 */
/* The NATS Streaming driver's table of what is in flight, and what it makes of sequences. No server. */
#include "unit/weir_cmocka.h"

#include <stdlib.h>
#include <string.h>

#include "../../drivers/natss/inflight.h"
#include "../../drivers/natss/link.h"

/* ---- the table -------------------------------------------------------------- */

static struct weir_natss_inflight table;
static int messages; /* that were made and not freed */

static void count_free(void *message)
{
	free(message);
	messages--;
}

static int begin(void **state)
{
	(void)state;
	messages = 0;
	weir_natss_message_free = count_free;
	assert_true(weir_natss_inflight_init(&table, 4));
	return 0;
}

/* Every message is given back in the end. */
static int end(void **state)
{
	(void)state;
	weir_natss_inflight_fini(&table);
	assert_int_equal(messages, 0);
	return 0;
}

static struct entry *entry_of(uint64_t sequence, uintptr_t from)
{
	void *message = calloc(1, 1);
	struct entry *entry = weir_natss_entry_new(message, sequence, 1, message, 1, false, from);

	assert_non_null(entry);
	messages++;
	return entry;
}

static struct entry *add(uint64_t sequence)
{
	struct entry *entry = entry_of(sequence, 1);

	weir_natss_inflight_add(&table, entry);
	return entry;
}

static uint64_t hand_out(int64_t now_ns)
{
	struct entry *entry = weir_natss_inflight_next(&table, now_ns);

	if (!entry)
		return 0;
	weir_natss_inflight_hand_out(&table, entry, now_ns);
	weir_natss_entry_unref(entry); /* the lease */
	return entry->sequence;
}

static void entries_go_out_as_they_came(void **state)
{
	(void)state;
	add(7);
	add(3);
	add(9);
	assert_int_equal(hand_out(0), 7);
	assert_int_equal(hand_out(0), 3);
	assert_int_equal(hand_out(0), 9);
	assert_int_equal(hand_out(0), 0);
	assert_int_equal(table.out_count, 3);
}

static void more_than_expected_are_found_all_the_same(void **state)
{
	(void)state;
	for (uint64_t sequence = 1; sequence <= 1000; sequence++)
		add(sequence);
	for (uint64_t sequence = 1; sequence <= 1000; sequence++)
		assert_int_equal(weir_natss_inflight_find(&table, sequence)->sequence, sequence);
	assert_null(weir_natss_inflight_find(&table, 1001));
}

static void what_is_removed_is_not_found_and_its_neighbours_are(void **state)
{
	struct entry *middle;

	(void)state;
	add(16);
	middle = add(32);
	add(48); /* all in one bucket */
	weir_natss_inflight_remove(&table, middle);
	weir_natss_entry_unref(middle);
	assert_null(weir_natss_inflight_find(&table, 32));
	assert_non_null(weir_natss_inflight_find(&table, 16));
	assert_non_null(weir_natss_inflight_find(&table, 48));
	assert_int_equal(table.count, 2);
}

static void what_was_nacked_comes_before_what_is_new_once_it_is_due(void **state)
{
	struct entry *entry = add(1);

	(void)state;
	assert_int_equal(hand_out(0), 1);
	add(2);
	add(3);
	weir_natss_inflight_nack(&table, entry, 100);
	assert_int_equal(table.out_count, 0);
	assert_int_equal(weir_natss_inflight_due(&table), 100);
	assert_int_equal(hand_out(99), 2);
	assert_int_equal(hand_out(100), 1);
	assert_int_equal(entry->attempt, 2);
	assert_int_equal(weir_natss_inflight_due(&table), INT64_MAX);
	assert_int_equal(hand_out(100), 3);
}

static void nacked_ones_come_back_in_the_order_of_their_times(void **state)
{
	static const int64_t due[] = { 50, 10, 40, 20, 30 };

	(void)state;
	for (uint64_t i = 0; i < 5; i++) {
		struct entry *entry = add(i + 1);

		hand_out(0);
		weir_natss_inflight_nack(&table, entry, due[i]);
	}
	assert_int_equal(hand_out(60), 2);
	assert_int_equal(hand_out(60), 4);
	assert_int_equal(hand_out(60), 5);
	assert_int_equal(hand_out(60), 3);
	assert_int_equal(hand_out(60), 1);
}

static void what_the_server_sends_again_is_the_same_entry(void **state)
{
	struct entry *entry = add(5);
	const void *data = entry->data;

	(void)state;
	hand_out(0);
	weir_natss_inflight_merge(entry, entry_of(5, 1));
	weir_natss_inflight_merge(entry, entry_of(5, 2));
	assert_int_equal(table.count, 1);
	assert_int_equal(hand_out(0), 0);
	/* Its memory is with the host; only the newest message can be acked. */
	assert_ptr_equal(entry->data, data);
	assert_ptr_not_equal(entry->newer, entry->message);
	assert_int_equal(entry->from, 2);
	assert_int_equal(messages, 2);
}

static void a_lease_outlives_its_entry(void **state)
{
	struct entry *entry = add(5);

	(void)state;
	weir_natss_inflight_hand_out(&table, entry, 0);
	weir_natss_inflight_remove(&table, entry);
	weir_natss_entry_unref(entry);
	assert_int_equal(messages, 1);
	weir_natss_entry_unref(entry);
	assert_int_equal(messages, 0);
}

/* ---- sequences ------------------------------------------------------------------ */

static struct weir_natss_sequence seen;
static uint64_t first, last;

static int begin_sequence(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof seen);
	return 0;
}

static int end_sequence(void **state)
{
	(void)state;
	weir_natss_sequence_fini(&seen);
	return 0;
}

/* Published at as many nanoseconds as its sequence says. */
static enum weir_natss_arrival arrive(uint64_t sequence, bool redelivered)
{
	return weir_natss_sequence_arrive(&seen, sequence, (int64_t)sequence, redelivered, &first, &last);
}

static void new_ones_in_order_are_taken(void **state)
{
	(void)state;
	for (uint64_t sequence = 10; sequence < 20; sequence++)
		assert_int_equal(arrive(sequence, false), WEIR_NATSS_TAKE);
}

static void one_that_is_not_the_next_tells_of_a_loss_on_the_way(void **state)
{
	(void)state;
	arrive(10, false);
	assert_int_equal(arrive(12, false), WEIR_NATSS_MISSED);
	/* On a new connection the server begins with what was not acked. */
	weir_natss_sequence_reconnect(&seen);
	assert_int_equal(arrive(11, true), WEIR_NATSS_TAKE);
	assert_int_equal(arrive(12, true), WEIR_NATSS_TAKE);
	assert_int_equal(arrive(13, false), WEIR_NATSS_TAKE);
}

static void what_a_new_connection_does_not_bring_was_dropped_by_the_server(void **state)
{
	(void)state;
	arrive(10, false);
	weir_natss_sequence_reconnect(&seen);
	assert_int_equal(arrive(15, false), WEIR_NATSS_GAP);
	assert_int_equal(first, 11);
	assert_int_equal(last, 14);
	assert_int_equal(arrive(16, false), WEIR_NATSS_TAKE);
}

static void what_an_earlier_process_left_has_gaps_and_is_no_beginning(void **state)
{
	(void)state;
	assert_int_equal(arrive(5, true), WEIR_NATSS_TAKE);
	assert_int_equal(arrive(9, true), WEIR_NATSS_TAKE);
	assert_int_equal(arrive(20, false), WEIR_NATSS_TAKE);
	assert_int_equal(arrive(7, true), WEIR_NATSS_TAKE);
	assert_int_equal(arrive(21, false), WEIR_NATSS_TAKE);
}

static void where_others_read_too_gaps_mean_nothing(void **state)
{
	(void)state;
	seen.shared = true;
	assert_int_equal(arrive(10, false), WEIR_NATSS_TAKE);
	assert_int_equal(arrive(15, false), WEIR_NATSS_TAKE);
}

static void what_was_acked_is_acked_again(void **state)
{
	(void)state;
	arrive(10, false);
	arrive(11, false);
	weir_natss_sequence_acked(&seen, 10);
	assert_int_equal(arrive(10, true), WEIR_NATSS_ACK);
	assert_int_equal(arrive(11, true), WEIR_NATSS_TAKE);
}

static void what_is_not_marked_as_redelivered_is_delivered(void **state)
{
	(void)state;
	arrive(10, false);
	weir_natss_sequence_acked(&seen, 10);
	assert_int_equal(arrive(10, false), WEIR_NATSS_TAKE);
}

static void acks_are_forgotten_after_a_long_while(void **state)
{
	(void)state;
	arrive(10, false);
	weir_natss_sequence_acked(&seen, 10);
	weir_natss_sequence_acked(&seen, 10 + WEIR_NATSS_REMEMBERED - 1);
	assert_int_equal(arrive(10, true), WEIR_NATSS_ACK);
	weir_natss_sequence_acked(&seen, 10 + WEIR_NATSS_REMEMBERED);
	assert_int_equal(arrive(10, true), WEIR_NATSS_TAKE);
	/* Far ahead, everything is. */
	weir_natss_sequence_acked(&seen, 10 + UINT64_C(10) * WEIR_NATSS_REMEMBERED);
	seen.last = UINT64_C(100) * WEIR_NATSS_REMEMBERED;
	seen.newest_ns = INT64_MAX;
	assert_int_equal(arrive(10 + WEIR_NATSS_REMEMBERED, true), WEIR_NATSS_TAKE);
}

/* The same bit is not the same sequence. */
static void a_sequence_that_was_never_acked_is_not_taken_for_another(void **state)
{
	(void)state;
	arrive(1, false);
	weir_natss_sequence_acked(&seen, 1);
	weir_natss_sequence_acked(&seen, WEIR_NATSS_REMEMBERED);
	seen.last = WEIR_NATSS_REMEMBERED + 1;
	seen.newest_ns = INT64_MAX;
	assert_int_equal(arrive(WEIR_NATSS_REMEMBERED + 1, true), WEIR_NATSS_TAKE);
}

static void a_channel_that_begins_anew_is_noticed_and_nothing_of_it_is_skipped(void **state)
{
	(void)state;
	for (uint64_t sequence = 1; sequence <= 5; sequence++) {
		arrive(sequence, false);
		weir_natss_sequence_acked(&seen, sequence);
	}
	assert_int_equal(weir_natss_sequence_arrive(&seen, 1, 1000, true, &first, &last), WEIR_NATSS_REBORN);
	assert_int_equal(weir_natss_sequence_arrive(&seen, 2, 1001, true, &first, &last), WEIR_NATSS_TAKE);
	assert_int_equal(weir_natss_sequence_arrive(&seen, 3, 1002, false, &first, &last), WEIR_NATSS_TAKE);
}

/* ---- links ---------------------------------------------------------------------- */

static void a_link_that_ended_leads_nowhere_also_when_its_place_is_used_again(void **state)
{
	int one, two;
	uintptr_t old = weir_natss_link_new(&one), new;

	(void)state;
	assert_ptr_equal(weir_natss_link_enter(old), &one);
	weir_natss_link_leave();
	weir_natss_link_end(old);
	new = weir_natss_link_new(&two);
	assert_int_not_equal(old, new);
	assert_null(weir_natss_link_enter(old));
	weir_natss_link_leave();
	assert_ptr_equal(weir_natss_link_enter(new), &two);
	weir_natss_link_leave();
	weir_natss_link_end(old); /* once more: no harm */
	assert_ptr_equal(weir_natss_link_enter(new), &two);
	weir_natss_link_leave();
	weir_natss_link_end(new);
	assert_null(weir_natss_link_enter(0));
	weir_natss_link_leave();
}

static void many_links_are_told_apart(void **state)
{
	enum { MANY = 100 };
	int objects[MANY];
	uintptr_t numbers[MANY];

	(void)state;
	for (int i = 0; i < MANY; i++)
		numbers[i] = weir_natss_link_new(&objects[i]);
	for (int i = 0; i < MANY; i++) {
		assert_ptr_equal(weir_natss_link_enter(numbers[i]), &objects[i]);
		weir_natss_link_leave();
		weir_natss_link_end(numbers[i]);
	}
}

int main(void)
{
#define TABLE(name)    cmocka_unit_test_setup_teardown(name, begin, end)
#define SEQUENCE(name) cmocka_unit_test_setup_teardown(name, begin_sequence, end_sequence)
	const struct CMUnitTest tests[] = {
		TABLE(entries_go_out_as_they_came),
		TABLE(more_than_expected_are_found_all_the_same),
		TABLE(what_is_removed_is_not_found_and_its_neighbours_are),
		TABLE(what_was_nacked_comes_before_what_is_new_once_it_is_due),
		TABLE(nacked_ones_come_back_in_the_order_of_their_times),
		TABLE(what_the_server_sends_again_is_the_same_entry),
		TABLE(a_lease_outlives_its_entry),
		SEQUENCE(new_ones_in_order_are_taken),
		SEQUENCE(one_that_is_not_the_next_tells_of_a_loss_on_the_way),
		SEQUENCE(what_a_new_connection_does_not_bring_was_dropped_by_the_server),
		SEQUENCE(what_an_earlier_process_left_has_gaps_and_is_no_beginning),
		SEQUENCE(where_others_read_too_gaps_mean_nothing),
		SEQUENCE(what_was_acked_is_acked_again),
		SEQUENCE(what_is_not_marked_as_redelivered_is_delivered),
		SEQUENCE(acks_are_forgotten_after_a_long_while),
		SEQUENCE(a_sequence_that_was_never_acked_is_not_taken_for_another),
		SEQUENCE(a_channel_that_begins_anew_is_noticed_and_nothing_of_it_is_skipped),
		cmocka_unit_test(a_link_that_ended_leads_nowhere_also_when_its_place_is_used_again),
		cmocka_unit_test(many_links_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
