/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/weir_cmocka.h"

#include "base/str.h"
#include "dispatch/retry.h"

enum { NO_SPREAD = 0 };

static const int64_t now_ms = INT64_C(784111777000); /* Sun, 06 Nov 1994 08:49:37 GMT */

static void every_2xx_is_done(void **state)
{
	(void)state;
	for (int status = 200; status < 300; status++)
		assert_int_equal(weir_retry_judge(status), WEIR_VERDICT_DONE);
}

static void no_answer_is_retried(void **state)
{
	(void)state;
	assert_int_equal(weir_retry_judge(0), WEIR_VERDICT_RETRY);
}

static void every_5xx_is_retried(void **state)
{
	(void)state;
	for (int status = 500; status < 600; status++)
		assert_int_equal(weir_retry_judge(status), WEIR_VERDICT_RETRY);
}

static void of_1xx_3xx_and_4xx_only_four_are_retried(void **state)
{
	(void)state;
	for (int status = 100; status < 500; status++) {
		bool again = status == 404 || status == 408 || status == 409 || status == 429;

		if (status >= 200 && status < 300)
			continue;
		assert_int_equal(weir_retry_judge(status), again ? WEIR_VERDICT_RETRY : WEIR_VERDICT_REFUSED);
	}
}

static void only_429_and_503_may_ask_for_a_delay(void **state)
{
	(void)state;
	for (int status = 0; status < 600; status++)
		assert_int_equal(weir_retry_after_counts(status), status == 429 || status == 503);
}

static int64_t after(const char *text)
{
	int64_t ms = -1;

	return weir_retry_after_parse(weir_str(text), now_ms, &ms) ? ms : -1;
}

static void retry_after_in_seconds_is_read(void **state)
{
	(void)state;
	assert_int_equal(after("0"), 0);
	assert_int_equal(after(" 120 "), 120000);
	assert_int_equal(after("18446744073709551615"), INT64_MAX);
}

static void retry_after_as_a_date_is_read_in_all_three_forms(void **state)
{
	(void)state;
	assert_int_equal(after("Sun, 06 Nov 1994 08:49:47 GMT"), 10000);
	assert_int_equal(after("Sunday, 06-Nov-94 08:49:47 GMT"), 10000);
	assert_int_equal(after("Sun Nov  6 08:49:47 1994"), 10000);
}

static void retry_after_in_the_past_is_now(void **state)
{
	(void)state;
	assert_int_equal(after("Sun, 06 Nov 1994 08:49:00 GMT"), 0);
}

static void retry_after_that_is_neither_is_not_valid(void **state)
{
	static const char *const bad[] = { "",
					   "-1",
					   "1.5",
					   "soon",
					   "Sun, 06 Nov 1994 08:49:47 GMT and more",
					   "Sun, 06 Nov 1994 08:49:47 GMT                                          " };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad - 1; i++)
		assert_int_equal(after(bad[i]), -1);
	assert_false(weir_retry_after_parse((struct weir_buf){ NULL, 0 }, now_ms, &(int64_t){ 0 }));
}

static struct weir_delivery_settings policy(enum weir_backoff backoff, int64_t delay_ms)
{
	return (struct weir_delivery_settings){ .backoff = backoff, .backoff_delay_ms = delay_ms };
}

static void exponential_doubles_with_each_retry(void **state)
{
	struct weir_delivery_settings p = policy(WEIR_BACKOFF_EXPONENTIAL, 4); /* too short to spread */

	(void)state;
	assert_int_equal(weir_retry_delay_ms(&p, 1, 0, 7), 8);
	assert_int_equal(weir_retry_delay_ms(&p, 2, 0, 10), 16 - 1 + 10 % 3);
}

static void linear_waits_the_same_each_time(void **state)
{
	struct weir_delivery_settings p = policy(WEIR_BACKOFF_LINEAR, 9);

	(void)state;
	assert_int_equal(weir_retry_delay_ms(&p, 1, 0, 1), 9);
	assert_int_equal(weir_retry_delay_ms(&p, 50, 0, 1), 9);
}

static void the_delay_is_spread_by_at_most_a_tenth(void **state)
{
	struct weir_delivery_settings p = policy(WEIR_BACKOFF_LINEAR, 1000);
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	for (uint32_t random = 0; random < 1000; random++) {
		int64_t delay_ms = weir_retry_delay_ms(&p, 1, 0, random);

		least = delay_ms < least ? delay_ms : least;
		most = delay_ms > most ? delay_ms : most;
	}
	assert_int_equal(least, 900);
	assert_int_equal(most, 1100);
}

static void no_delay_is_longer_than_five_minutes_and_a_tenth(void **state)
{
	struct weir_delivery_settings p = policy(WEIR_BACKOFF_EXPONENTIAL, 200);

	(void)state;
	assert_true(weir_retry_delay_ms(&p, UINT32_MAX, 0, UINT32_MAX) <= WEIR_RETRY_DELAY_MAX_MS / 10 * 11);
	p = policy(WEIR_BACKOFF_LINEAR, INT64_MAX);
	assert_true(weir_retry_delay_ms(&p, 1, 0, UINT32_MAX) <= WEIR_RETRY_DELAY_MAX_MS / 10 * 11);
}

static void no_delay_stays_no_delay(void **state)
{
	struct weir_delivery_settings p = policy(WEIR_BACKOFF_EXPONENTIAL, 0);

	(void)state;
	assert_int_equal(weir_retry_delay_ms(&p, UINT32_MAX, 0, 12345), 0);
}

static void retry_after_is_followed_when_it_is_longer(void **state)
{
	struct weir_delivery_settings p = policy(WEIR_BACKOFF_LINEAR, 5);

	(void)state;
	p.retry_after_max_ms = 60000;
	assert_int_equal(weir_retry_delay_ms(&p, 1, 3000, NO_SPREAD), 3000);
	assert_int_equal(weir_retry_delay_ms(&p, 1, 1, NO_SPREAD), 5);
}

static void retry_after_is_followed_no_further_than_the_policy_allows(void **state)
{
	struct weir_delivery_settings p = policy(WEIR_BACKOFF_LINEAR, 5);

	(void)state;
	assert_int_equal(weir_retry_delay_ms(&p, 1, 3000, NO_SPREAD), 5);
	p.retry_after_max_ms = 2000;
	assert_int_equal(weir_retry_delay_ms(&p, 1, INT64_MAX, NO_SPREAD), 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_2xx_is_done),
		cmocka_unit_test(no_answer_is_retried),
		cmocka_unit_test(every_5xx_is_retried),
		cmocka_unit_test(of_1xx_3xx_and_4xx_only_four_are_retried),
		cmocka_unit_test(only_429_and_503_may_ask_for_a_delay),
		cmocka_unit_test(retry_after_in_seconds_is_read),
		cmocka_unit_test(retry_after_as_a_date_is_read_in_all_three_forms),
		cmocka_unit_test(retry_after_in_the_past_is_now),
		cmocka_unit_test(retry_after_that_is_neither_is_not_valid),
		cmocka_unit_test(exponential_doubles_with_each_retry),
		cmocka_unit_test(linear_waits_the_same_each_time),
		cmocka_unit_test(the_delay_is_spread_by_at_most_a_tenth),
		cmocka_unit_test(no_delay_is_longer_than_five_minutes_and_a_tenth),
		cmocka_unit_test(no_delay_stays_no_delay),
		cmocka_unit_test(retry_after_is_followed_when_it_is_longer),
		cmocka_unit_test(retry_after_is_followed_no_further_than_the_policy_allows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
