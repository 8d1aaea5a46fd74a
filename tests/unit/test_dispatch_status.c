/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/weir_cmocka.h"

#include <string.h>

#include "dispatch/status.h"

static int status(int code)
{
	return weir_status_of_code(code)->status;
}

static void a_fault_of_the_event_is_a_4xx_that_is_not_retried(void **state)
{
	(void)state;
	assert_int_equal(status(WEIR_EINVAL), 400);
	assert_int_equal(status(WEIR_ETOOBIG), 413);
	assert_int_equal(status(WEIR_EMEDIATYPE), 415);
}

static void a_full_queue_is_429(void **state)
{
	(void)state;
	assert_int_equal(status(WEIR_EAGAIN), 429);
}

static void an_unknown_channel_is_404(void **state)
{
	(void)state;
	assert_int_equal(status(WEIR_ENOTFOUND), 404);
}

static void everything_else_is_503(void **state)
{
	(void)state;
	for (int code = WEIR_EUNKNOWN; code <= WEIR_EIO + 5; code++) {
		switch (code) {
		case WEIR_EINVAL:
		case WEIR_ETOOBIG:
		case WEIR_EMEDIATYPE:
		case WEIR_EAGAIN:
		case WEIR_ENOTFOUND:
			break;
		default:
			assert_int_equal(status(code), 503);
		}
	}
}

static void an_unknown_outcome_does_not_claim_that_nothing_was_stored(void **state)
{
	(void)state;
	assert_non_null(strstr(weir_status_of_code(WEIR_EUNKNOWN)->reason, "may or may not"));
	assert_null(strstr(weir_status_of_code(WEIR_EUNAVAIL)->reason, "may or may not"));
}

static void every_status_has_a_code_and_a_reason_that_need_no_escape(void **state)
{
	(void)state;
	for (int code = WEIR_EUNKNOWN; code <= WEIR_EIO; code++) {
		const struct weir_status *found = weir_status_of_code(code);

		assert_true(strlen(found->code) > 0 && strlen(found->reason) > 0);
		assert_null(strpbrk(found->code, "\"\\\n"));
		assert_null(strpbrk(found->reason, "\"\\\n"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_of_the_event_is_a_4xx_that_is_not_retried),
		cmocka_unit_test(a_full_queue_is_429),
		cmocka_unit_test(an_unknown_channel_is_404),
		cmocka_unit_test(everything_else_is_503),
		cmocka_unit_test(an_unknown_outcome_does_not_claim_that_nothing_was_stored),
		cmocka_unit_test(every_status_has_a_code_and_a_reason_that_need_no_escape),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
