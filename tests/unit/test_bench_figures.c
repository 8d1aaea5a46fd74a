/* SPDX-License-Identifier: Apache-2.0 */
/* What `weir bench` computes: quantiles, what is missing or repeated, the table of seconds, charts. */
#include "unit/weir_cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bench/chart.h"
#include "bench/latency.h"
#include "bench/series.h"
#include "bench/tally.h"

static void quantiles_are_within_three_percent(void **state)
{
	struct weir_latency latency = { 0 };

	(void)state;
	for (int64_t us = 1; us <= 100000; us++)
		weir_latency_add(&latency, us * 1000);
	assert_in_range((uint64_t)weir_latency_us(&latency, 0.5), 50000, 51600);
	assert_in_range((uint64_t)weir_latency_us(&latency, 0.99), 99000, 100000);
	assert_int_equal((int)weir_latency_us(&latency, 1), 100000);
	assert_in_range(weir_latency_within(&latency, 1000), 960, 1000);
}

static void no_latency_is_longer_than_the_longest(void **state)
{
	struct weir_latency latency = { 0 };

	(void)state;
	weir_latency_add(&latency, 1234567);
	assert_true(weir_latency_us(&latency, 0.5) <= 1234.567);
	assert_true(weir_latency_us(&latency, 0.999) <= 1234.567);
}

static void nothing_has_no_latency(void **state)
{
	struct weir_latency latency = { 0 };

	(void)state;
	assert_true(weir_latency_us(&latency, 0.99) <= 0);
}

static void times_out_of_range_count_in_the_last_bucket_and_the_first(void **state)
{
	struct weir_latency latency = { 0 };

	(void)state;
	weir_latency_add(&latency, INT64_MAX);
	weir_latency_add(&latency, -5);
	assert_int_equal(latency.total, 2);
	assert_int_equal(weir_latency_within(&latency, 1), 1);
}

static void an_accepted_event_that_did_not_arrive_is_missing(void **state)
{
	struct weir_tally tally;

	(void)state;
	weir_tally_init(&tally, 1);
	for (uint64_t number = 0; number < 200000; number++) {
		weir_tally_accept(&tally, number);
		if (number != 123456)
			weir_tally_arrive(&tally, number);
	}
	assert_int_equal(tally.missing, 1);
	assert_int_equal(tally.repeated, 0);
	weir_tally_fini(&tally);
}

static void an_arrival_before_the_answer_is_no_repetition(void **state)
{
	struct weir_tally tally;

	(void)state;
	weir_tally_init(&tally, 1);
	weir_tally_arrive(&tally, 7);
	weir_tally_accept(&tally, 7);
	assert_int_equal(tally.missing, 0);
	assert_int_equal(tally.repeated, 0);
	weir_tally_fini(&tally);
}

static void a_refused_event_that_arrives_is_not_missed_and_not_repeated(void **state)
{
	struct weir_tally tally;

	(void)state;
	weir_tally_init(&tally, 1);
	weir_tally_arrive(&tally, 0);
	assert_int_equal(tally.missing, 0);
	assert_int_equal(tally.repeated, 0);
	weir_tally_fini(&tally);
}

static void with_three_copies_two_arrivals_lack_one_and_five_repeat_two(void **state)
{
	struct weir_tally tally;

	(void)state;
	weir_tally_init(&tally, 3);
	weir_tally_accept(&tally, 0);
	weir_tally_accept(&tally, 1);
	for (int i = 0; i < 2; i++)
		weir_tally_arrive(&tally, 0);
	for (int i = 0; i < 5; i++)
		weir_tally_arrive(&tally, 1);
	assert_int_equal(tally.missing, 1);
	assert_int_equal(tally.repeated, 2);
	weir_tally_fini(&tally);
}

static void events_beyond_the_maximum_are_told_of(void **state)
{
	struct weir_tally tally;

	(void)state;
	weir_tally_init(&tally, 1);
	weir_tally_accept(&tally, WEIR_TALLY_MAX);
	weir_tally_arrive(&tally, UINT64_MAX);
	assert_int_equal(tally.untracked, 2);
	assert_int_equal(tally.missing, 0);
	weir_tally_fini(&tally);
}

static void without_memory_events_are_told_of(void **state)
{
	struct weir_tally tally;

	(void)state;
	weir_tally_init(&tally, 1);
	weir_mem_fail(1, 0);
	weir_tally_accept(&tally, 0);
	assert_int_equal(tally.untracked, 1);
}

static void each_second_is_a_line(void **state)
{
	struct weir_series series = { 0 };
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	(void)state;
	assert_non_null(to);
	series.now.sent = 3;
	series.now.accepted = 2;
	series.now.refused = 1;
	weir_latency_add(&series.answers, 10000);
	assert_int_equal(weir_series_end_second(&series)->sent, 3);
	series.now.received = 4;
	weir_series_end_second(&series);
	assert_true(weir_series_write_csv(&series, to));
	fclose(to);
	assert_string_equal(
	    text, "second,sent,accepted,refused,received,answer_p50_us,answer_p99_us,delivery_p50_us,delivery_p99_us\n"
		  "1,3,2,1,0,10,10,0,0\n2,0,0,0,4,0,0,0,0\n");
	free(text);
	weir_series_fini(&series);
}

static void a_second_without_memory_is_counted(void **state)
{
	struct weir_series series = { 0 };

	(void)state;
	weir_mem_fail(1, 0);
	assert_null(weir_series_end_second(&series));
	assert_int_equal(series.dropped, 1);
	assert_int_equal(series.now.sent, 0);
	weir_series_fini(&series);
}

static uint64_t sent_of(const struct weir_second *second)
{
	return second->sent;
}

/* What is charted, as text that the caller frees. */
static char *chart_of(size_t seconds)
{
	struct weir_series series = { 0 };
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	assert_non_null(to);
	for (size_t i = 0; i < seconds; i++) {
		series.now.sent = i % 2 ? 60 : 0;
		weir_series_end_second(&series);
	}
	weir_chart_seconds(to, "sent", &series, sent_of);
	fclose(to);
	weir_series_fini(&series);
	return text;
}

static void a_chart_has_a_column_for_each_second(void **state)
{
	char *text = chart_of(4);

	(void)state;
	assert_non_null(strstr(text, "sent, at most 60\n  | # #\n"));
	assert_non_null(strstr(text, "  +---- 4 s\n"));
	free(text);
}

static void a_long_run_is_charted_in_sixty_columns(void **state)
{
	char *text = chart_of(600);
	const char *foot = strstr(text, "  +");

	(void)state;
	assert_non_null(foot);
	assert_int_equal(strspn(foot + 3, "-"), 60);
	assert_non_null(strstr(text, "at most 30\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantiles_are_within_three_percent),
		cmocka_unit_test(no_latency_is_longer_than_the_longest),
		cmocka_unit_test(nothing_has_no_latency),
		cmocka_unit_test(times_out_of_range_count_in_the_last_bucket_and_the_first),
		cmocka_unit_test(an_accepted_event_that_did_not_arrive_is_missing),
		cmocka_unit_test(an_arrival_before_the_answer_is_no_repetition),
		cmocka_unit_test(a_refused_event_that_arrives_is_not_missed_and_not_repeated),
		cmocka_unit_test(with_three_copies_two_arrivals_lack_one_and_five_repeat_two),
		cmocka_unit_test(events_beyond_the_maximum_are_told_of),
		cmocka_unit_test(without_memory_events_are_told_of),
		cmocka_unit_test(each_second_is_a_line),
		cmocka_unit_test(a_second_without_memory_is_counted),
		cmocka_unit_test(a_chart_has_a_column_for_each_second),
		cmocka_unit_test(a_long_run_is_charted_in_sixty_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
