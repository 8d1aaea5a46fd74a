/* SPDX-License-Identifier: Apache-2.0 */
/* The judge of the conformance kit, with histories made by hand: what is good passes, what is bad is named. */
#include "weir_cmocka.h"

#include <stdio.h>
#include <string.h>

#include <weir/driver.h>

#include "conform/judge.h"

/* One subscription (reader 1, member 1) of topic 1, with credit for ten. */
#define READY                                                                                                          \
	{ .kind = WEIR_OP_SUBSCRIBE, .reader = 1, .member = 1, .topic = 1 },                                           \
	    { .kind = WEIR_OP_READY, .reader = 1, .member = 1 },                                                       \
	{                                                                                                              \
		.kind = WEIR_OP_CREDIT, .member = 1, .arg = 10                                                         \
	}
#define PUBLISH(n)                                                                                                     \
	{                                                                                                              \
		.kind = WEIR_OP_PUBLISH, .number = n, .topic = 1                                                       \
	}
#define DONE(n, outcome)                                                                                               \
	{                                                                                                              \
		.kind = WEIR_OP_DONE, .number = n, .arg = outcome                                                      \
	}
#define DELIVER(n)                                                                                                     \
	{                                                                                                              \
		.kind = WEIR_OP_DELIVER, .reader = 1, .member = 1, .topic = 1, .number = n, .attempt = 1               \
	}
#define SETTLE(n, verb)                                                                                                \
	{                                                                                                              \
		.kind = WEIR_OP_SETTLE, .reader = 1, .member = 1, .number = n, .arg = verb                             \
	}
#define WHOLE                                                                                                          \
	{                                                                                                              \
		.kind = WEIR_OP_WHOLE, .reader = 1                                                                     \
	}
#define STORED(n) PUBLISH(n), DONE(n, WEIR_PERSISTED)

static struct weir_judgement judge(const struct weir_op *ops, size_t count, const struct weir_judge_rules *rules)
{
	static const struct weir_judge_rules none;
	struct weir_judgement ret;

	assert_true(weir_judge(ops, count, rules ? rules : &none, &ret));
	return ret;
}

#define GOOD(rules, ...)                                                                                               \
	do {                                                                                                           \
		const struct weir_op history_[] = { __VA_ARGS__ };                                                     \
		struct weir_judgement verdict = judge(history_, sizeof history_ / sizeof history_[0], rules);          \
		if (verdict.violations)                                                                                \
			fail_msg("a good history was found bad: %s", verdict.text);                                    \
	} while (0)
#define BAD(rules, word, ...)                                                                                          \
	do {                                                                                                           \
		const struct weir_op history_[] = { __VA_ARGS__ };                                                     \
		struct weir_judgement verdict = judge(history_, sizeof history_ / sizeof history_[0], rules);          \
		assert_true(verdict.violations > 0);                                                                   \
		if (!strstr(verdict.text, word))                                                                       \
			fail_msg("\"%s\" does not say \"%s\"", verdict.text, word);                                    \
	} while (0)

static void a_plain_life_of_a_record_is_good(void **state)
{
	(void)state;
	GOOD(NULL, READY, STORED(1), DELIVER(1), SETTLE(1, WEIR_ACK), WHOLE);
}

static void a_persisted_record_that_never_arrived_is_lost(void **state)
{
	(void)state;
	BAD(NULL, "never reached", READY, STORED(1), STORED(2), DELIVER(1), SETTLE(1, WEIR_ACK), WHOLE);
}

static void what_was_published_before_ready_is_not_missed(void **state)
{
	(void)state;
	GOOD(NULL, STORED(1), READY, STORED(2), DELIVER(2), SETTLE(2, WEIR_ACK), WHOLE);
}

static void who_starts_at_earliest_must_have_what_was_before(void **state)
{
	(void)state;
	BAD(NULL, "never reached", STORED(1),
	    { .kind = WEIR_OP_SUBSCRIBE, .reader = 1, .member = 1, .topic = 1, .arg = WEIR_START_EARLIEST },
	    { .kind = WEIR_OP_READY, .reader = 1, .member = 1 }, WHOLE);
}

static void an_unknown_outcome_may_arrive_or_not(void **state)
{
	(void)state;
	GOOD(NULL, READY, PUBLISH(1), DONE(1, WEIR_UNKNOWN), WHOLE);
	GOOD(NULL, READY, PUBLISH(1), DONE(1, WEIR_UNKNOWN), DELIVER(1), SETTLE(1, WEIR_ACK), WHOLE);
}

static void what_was_not_persisted_must_not_arrive(void **state)
{
	(void)state;
	BAD(NULL, "not to be persisted", READY, PUBLISH(1), DONE(1, WEIR_NOT_PERSISTED), DELIVER(1));
}

static void a_completion_comes_once(void **state)
{
	(void)state;
	BAD(NULL, "completed twice", READY, STORED(1), DONE(1, WEIR_PERSISTED));
	BAD(NULL, "never completed", READY, PUBLISH(1));
	BAD(NULL, "not accepted", READY, DONE(7, WEIR_PERSISTED));
}

static void what_was_refused_must_not_complete(void **state)
{
	(void)state;
	BAD(NULL, "not accepted", PUBLISH(1), { .kind = WEIR_OP_REFUSED, .number = 1, .code = WEIR_EAGAIN },
	    DONE(1, WEIR_PERSISTED));
}

static void a_record_that_is_out_does_not_come_again(void **state)
{
	(void)state;
	BAD(NULL, "delivered again", READY, STORED(1), DELIVER(1), DELIVER(1));
}

static void an_acked_record_does_not_come_again(void **state)
{
	(void)state;
	BAD(NULL, "acknowledged", READY, STORED(1), DELIVER(1), SETTLE(1, WEIR_ACK), DELIVER(1));
	BAD(NULL, "acknowledged", READY, STORED(1), DELIVER(1), SETTLE(1, WEIR_TERM), DELIVER(1));
}

static void a_refused_ack_settles_nothing(void **state)
{
	(void)state;
	GOOD(NULL, READY, STORED(1), DELIVER(1), SETTLE(1, WEIR_NACK), DELIVER(1),
	     { .kind = WEIR_OP_SETTLE, .reader = 1, .member = 1, .number = 1, .arg = WEIR_ACK, .code = WEIR_ESTALE });
}

static void a_nacked_record_comes_again(void **state)
{
	(void)state;
	GOOD(NULL, READY, STORED(1), DELIVER(1), SETTLE(1, WEIR_NACK), DELIVER(1), SETTLE(1, WEIR_ACK));
}

static void it_is_marked_where_the_driver_says_that_it_marks(void **state)
{
	static const struct weir_judge_rules rules = { .flags = true };

	(void)state;
	BAD(&rules, "without being marked", READY, STORED(1), DELIVER(1), SETTLE(1, WEIR_NACK), DELIVER(1));
	BAD(&rules, "marked as redelivered", READY, STORED(1),
	    { .kind = WEIR_OP_DELIVER, .reader = 1, .member = 1, .number = 1, .flags = WEIR_OP_REDELIVERED });
}

static void after_a_crash_even_acked_records_may_come_again(void **state)
{
	(void)state;
	GOOD(NULL, READY, STORED(1), DELIVER(1), SETTLE(1, WEIR_ACK), { .kind = WEIR_OP_CRASH },
	     { .kind = WEIR_OP_SUBSCRIBE, .reader = 1, .member = 2, .topic = 1 },
	     { .kind = WEIR_OP_READY, .reader = 1, .member = 2 }, { .kind = WEIR_OP_CREDIT, .member = 2, .arg = 1 },
	     { .kind = WEIR_OP_DELIVER, .reader = 1, .member = 2, .number = 1 });
}

static void after_an_orderly_close_acked_records_do_not(void **state)
{
	(void)state;
	BAD(NULL, "acknowledged", READY, STORED(1), DELIVER(1), SETTLE(1, WEIR_ACK), { .kind = WEIR_OP_CLOSED },
	    { .kind = WEIR_OP_SUBSCRIBE, .reader = 1, .member = 2, .topic = 1 },
	    { .kind = WEIR_OP_READY, .reader = 1, .member = 2 }, { .kind = WEIR_OP_CREDIT, .member = 2, .arg = 1 },
	    { .kind = WEIR_OP_DELIVER, .reader = 1, .member = 2, .number = 1 });
}

/* 1 stays out, 2 is acked, the member leaves; another one gets 1, and 2 again. */
#define BEHIND_A_GAP                                                                                                   \
	READY, STORED(1), STORED(2), DELIVER(1), DELIVER(2), SETTLE(2, WEIR_ACK),                                      \
	    { .kind = WEIR_OP_ENDED, .reader = 1, .member = 1, .arg = 1 },                                             \
	    { .kind = WEIR_OP_SUBSCRIBE, .reader = 1, .member = 2, .topic = 1 },                                       \
	    { .kind = WEIR_OP_READY, .reader = 1, .member = 2 }, { .kind = WEIR_OP_CREDIT, .member = 2, .arg = 9 },    \
	    { .kind = WEIR_OP_DELIVER, .reader = 1, .member = 2, .number = 1 },                                        \
	{                                                                                                              \
		.kind = WEIR_OP_DELIVER, .reader = 1, .member = 2, .number = 2                                         \
	}

static void acks_behind_a_gap_count_only_where_that_is_claimed(void **state)
{
	static const struct weir_judge_rules prefix = { .prefix = true };

	(void)state;
	GOOD(&prefix, BEHIND_A_GAP);
	BAD(NULL, "acknowledged", BEHIND_A_GAP);
}

static void credit_is_counted(void **state)
{
	(void)state;
	BAD(NULL, "beyond the credit", { .kind = WEIR_OP_SUBSCRIBE, .reader = 1, .member = 1, .topic = 1 },
	    { .kind = WEIR_OP_READY, .reader = 1, .member = 1 }, { .kind = WEIR_OP_CREDIT, .member = 1, .arg = 1 },
	    STORED(1), STORED(2), DELIVER(1), DELIVER(2));
}

static void nothing_comes_before_ready_while_paused_or_after_the_end(void **state)
{
	(void)state;
	BAD(NULL, "before the member", STORED(1), { .kind = WEIR_OP_SUBSCRIBE, .reader = 1, .member = 1, .topic = 1 },
	    { .kind = WEIR_OP_CREDIT, .member = 1, .arg = 1 }, DELIVER(1));
	BAD(NULL, "paused", READY, STORED(1), { .kind = WEIR_OP_PAUSED, .member = 1 }, DELIVER(1));
	BAD(NULL, "had ended", READY, STORED(1), { .kind = WEIR_OP_ENDED, .reader = 1, .member = 1, .arg = 1 },
	    DELIVER(1));
}

static void order_of_first_deliveries_is_compared(void **state)
{
	static const struct weir_judge_rules topic = { .order = WEIR_JUDGE_TOPIC };
	const struct weir_op good[] = { READY, STORED(1), STORED(2), DELIVER(1), DELIVER(2) };

	(void)state;
	assert_int_equal(judge(good, sizeof good / sizeof good[0], &topic).compared, 1);
	BAD(&topic, "first delivered after", READY, STORED(1), STORED(2), DELIVER(2), DELIVER(1));
	GOOD(&topic, READY, STORED(1), STORED(2), DELIVER(1), SETTLE(1, WEIR_NACK), DELIVER(2), DELIVER(1));
}

#define KEYED(n, k) { .kind = WEIR_OP_PUBLISH, .number = n, .topic = 1, .key = k }, DONE(n, WEIR_PERSISTED)

static void order_by_key_lets_keys_overtake_each_other(void **state)
{
	static const struct weir_judge_rules rules = { .order = WEIR_JUDGE_KEY };

	(void)state;
	GOOD(&rules, READY, KEYED(1, 1), KEYED(2, 2), KEYED(3, 1), DELIVER(2), DELIVER(1), DELIVER(3));
	BAD(&rules, "of the same key", READY, KEYED(1, 1), KEYED(2, 2), KEYED(3, 1), DELIVER(3), DELIVER(1));
}

static void damage_and_strangers_are_seen(void **state)
{
	(void)state;
	BAD(NULL, "not delivered as it was published", READY, STORED(1),
	    { .kind = WEIR_OP_DELIVER, .reader = 1, .member = 1, .number = 1, .flags = WEIR_OP_DAMAGED });
	BAD(NULL, "nobody published", READY,
	    { .kind = WEIR_OP_DELIVER, .reader = 1, .member = 1, .flags = WEIR_OP_STRANGE });
}

static void topics_do_not_mix(void **state)
{
	(void)state;
	BAD(NULL, "of topic 2", READY, { .kind = WEIR_OP_PUBLISH, .number = 1, .topic = 2 }, DONE(1, WEIR_PERSISTED),
	    DELIVER(1));
}

static void duplicates_within_the_budget_are_forgiven_and_counted(void **state)
{
	static const struct weir_judge_rules rules = { .duplicates = 1 };
	const struct weir_op ops[] = { READY, STORED(1), DELIVER(1), DELIVER(1) };

	(void)state;
	assert_int_equal(judge(ops, sizeof ops / sizeof ops[0], &rules).duplicates, 1);
	assert_int_equal(judge(ops, sizeof ops / sizeof ops[0], &rules).violations, 0);
	BAD(&rules, "delivered again", READY, STORED(1), DELIVER(1), DELIVER(1), DELIVER(1));
}

static void a_deadline_that_passed_is_a_reason(void **state)
{
	static const struct weir_judge_rules rules = { .ack_wait_ns = 1000 };

	(void)state;
	GOOD(&rules, READY, STORED(1), DELIVER(1),
	     { .kind = WEIR_OP_DELIVER, .reader = 1, .member = 1, .number = 1, .at_ns = 1000 });
	BAD(&rules, "delivered again", READY, STORED(1), DELIVER(1),
	    { .kind = WEIR_OP_DELIVER, .reader = 1, .member = 1, .number = 1, .at_ns = 500 });
}

static void what_a_crash_took_from_memory_is_no_loss_where_nothing_is_durable(void **state)
{
	static const struct weir_judge_rules rules = { .lose_all_in_crash = true };

	(void)state;
	GOOD(&rules, READY, STORED(1), { .kind = WEIR_OP_CRASH }, WHOLE);
	BAD(NULL, "never reached", READY, STORED(1), { .kind = WEIR_OP_CRASH }, WHOLE);
}

static void a_history_of_a_forgotten_subscription_begins_anew(void **state)
{
	(void)state;
	GOOD(NULL, READY, STORED(1), { .kind = WEIR_OP_ENDED, .reader = 1, .member = 1, .arg = 0 },
	     { .kind = WEIR_OP_SUBSCRIBE, .reader = 1, .member = 2, .topic = 1 },
	     { .kind = WEIR_OP_READY, .reader = 1, .member = 2 }, WHOLE);
}

static void a_history_is_shared_and_bounded(void **state)
{
	struct weir_history *history = weir_history_new(2);
	const struct weir_op op = { .kind = WEIR_OP_UP };

	(void)state;
	assert_non_null(history);
	assert_true(weir_history_add(history, &op));
	assert_true(weir_history_add(history, &op));
	assert_false(weir_history_add(history, &op));
	assert_int_equal(history->count, 2);
	assert_string_equal(weir_history_kind(history->ops[1].kind), "up");
	assert_string_equal(weir_history_kind(99), "?");
	weir_history_free(history);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_life_of_a_record_is_good),
		cmocka_unit_test(a_persisted_record_that_never_arrived_is_lost),
		cmocka_unit_test(what_was_published_before_ready_is_not_missed),
		cmocka_unit_test(who_starts_at_earliest_must_have_what_was_before),
		cmocka_unit_test(an_unknown_outcome_may_arrive_or_not),
		cmocka_unit_test(what_was_not_persisted_must_not_arrive),
		cmocka_unit_test(a_completion_comes_once),
		cmocka_unit_test(what_was_refused_must_not_complete),
		cmocka_unit_test(a_record_that_is_out_does_not_come_again),
		cmocka_unit_test(an_acked_record_does_not_come_again),
		cmocka_unit_test(a_refused_ack_settles_nothing),
		cmocka_unit_test(a_nacked_record_comes_again),
		cmocka_unit_test(it_is_marked_where_the_driver_says_that_it_marks),
		cmocka_unit_test(after_a_crash_even_acked_records_may_come_again),
		cmocka_unit_test(after_an_orderly_close_acked_records_do_not),
		cmocka_unit_test(acks_behind_a_gap_count_only_where_that_is_claimed),
		cmocka_unit_test(credit_is_counted),
		cmocka_unit_test(nothing_comes_before_ready_while_paused_or_after_the_end),
		cmocka_unit_test(order_of_first_deliveries_is_compared),
		cmocka_unit_test(order_by_key_lets_keys_overtake_each_other),
		cmocka_unit_test(damage_and_strangers_are_seen),
		cmocka_unit_test(topics_do_not_mix),
		cmocka_unit_test(duplicates_within_the_budget_are_forgiven_and_counted),
		cmocka_unit_test(a_deadline_that_passed_is_a_reason),
		cmocka_unit_test(what_a_crash_took_from_memory_is_no_loss_where_nothing_is_durable),
		cmocka_unit_test(a_history_of_a_forgotten_subscription_begins_anew),
		cmocka_unit_test(a_history_is_shared_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
