/* SPDX-License-Identifier: Apache-2.0 */
/* GRP: several subscriptions, several members. */
#include "conform/case.h"

#include <inttypes.h>
#include <stdio.h>

static void grp_01(struct weir_rig *rig)
{
	enum { SUBS = 5 };
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *subs[SUBS];
	char uid[8];

	for (int i = 0; i < SUBS; i++) {
		snprintf(uid, sizeof uid, "s%d", i);
		subs[i] = weir_rig_subscribe(rig, topic, uid, WEIR_START_LATEST);
	}
	weir_rig_publish(rig, topic, 100);
	for (int i = 0; i < SUBS; i++)
		weir_rig_drain(rig, subs[i]);
}

static void grp_01_unclaimed(struct weir_rig *rig)
{
	WEIR_EXPECT(rig, weir_rig_claims(rig, WEIR_CAP_FANOUT), "without fan-out it cannot be a channel's backend");
}

/* Acks what comes to any member until the reader has all. Returns how many came to `one`. */
static uint64_t share(struct weir_rig *rig, struct weir_rig_sub *one, uint64_t count)
{
	int64_t deadline_ns = weir_rig_deadline(rig, 20000);
	struct weir_rig_delivery delivery;
	uint64_t taken = 0, of_one = 0;

	while (taken < count && weir_rig_try_next(rig, NULL, deadline_ns, &delivery)) {
		of_one += delivery.sub == one;
		taken += weir_rig_settle(rig, &delivery, WEIR_ACK, 0) == WEIR_OK;
	}
	WEIR_EXPECT(rig, taken == count, "members received %" PRIu64 " of %" PRIu64 " records", taken, count);
	return of_one;
}

static void grp_02(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *one = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	struct weir_rig_sub *two = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	uint64_t of_one = 0, sent = 0;

	rig->shape.keys = 64;
	weir_rig_credit(rig, one, 20000);
	weir_rig_credit(rig, two, 20000);
	/* In rounds: a group may take a while until each member has its part. */
	for (int round = 0; round < 100 && (of_one == 0 || of_one == sent); round++) {
		weir_rig_send(rig, topic, 100);
		of_one += share(rig, one, 100);
		sent += 100;
		weir_rig_pump(rig, weir_rig_deadline(rig, 100));
	}
	WEIR_EXPECT(rig, of_one > 0 && of_one < sent, "one of two members got %" PRIu64 " of %" PRIu64 " records",
		    of_one, sent);
}

static void grp_03(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *one = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST), *two;

	rig->shape.keys = 64;
	weir_rig_credit(rig, one, 4096);
	weir_rig_send(rig, topic, 300);
	share(rig, one, 100);
	two = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_credit(rig, two, 4096);
	weir_rig_send(rig, topic, 300);
	share(rig, one, 500);
}

static void grp_04(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *one = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	struct weir_rig_sub *two = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	struct weir_rig_delivery delivery;

	rig->shape.keys = 64;
	weir_rig_credit(rig, one, 50);
	weir_rig_credit(rig, two, 50);
	weir_rig_publish(rig, topic, 100);
	for (int i = 0; i < 60; i++) {
		delivery = weir_rig_next(rig, NULL);
		if (i % 2)
			weir_rig_settle(rig, &delivery, WEIR_ACK, 0);
	}
	/* It goes with deliveries out: they come to the other one, and nothing that was settled does. */
	weir_rig_end(rig, one, true);
	weir_rig_end(rig, two, true);
	two = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_drain(rig, two);
}

static void grp_06(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_sub_spec spec = { .start = WEIR_START_LATEST, .flags = WEIR_SUB_EPHEMERAL };
	struct weir_rig_sub *sub;

	weir_rig_code(rig, "an ephemeral subscription", weir_rig_try_subscribe(rig, topic, "e", &spec, &sub), WEIR_OK);
	weir_rig_await_ready(rig, sub);
	weir_rig_credit(rig, sub, 10);
	weir_rig_marker(rig, topic, sub);
	weir_rig_end(rig, sub, false);
	weir_rig_publish(rig, topic, 3);
	weir_rig_code(rig, "an ephemeral subscription", weir_rig_try_subscribe(rig, topic, "e", &spec, &sub), WEIR_OK);
	weir_rig_await_ready(rig, sub);
	weir_rig_credit(rig, sub, 10);
	weir_rig_marker(rig, topic, sub);
}

static void grp_07(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "early", WEIR_START_LATEST);

	/* The very first record of a topic that nobody has published to. */
	weir_rig_credit(rig, sub, 1);
	weir_rig_marker(rig, topic, sub);
}

static void grp_08(struct weir_rig *rig)
{
	enum { MEMBERS = 12 };
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *members[MEMBERS];

	rig->shape.keys = 64;
	for (int i = 0; i < MEMBERS; i++) {
		members[i] = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
		weir_rig_credit(rig, members[i], 2048);
	}
	weir_rig_send(rig, topic, 200);
	share(rig, NULL, 200);
	for (int i = 0; i + 1 < MEMBERS; i++)
		weir_rig_end(rig, members[i], true);
	weir_rig_send(rig, topic, 100);
	weir_rig_drain(rig, members[MEMBERS - 1]);
}

static const struct weir_conform_case cases[] = {
	{ "GRP-01", WEIR_MUST, 0, 90, CAP(FANOUT), grp_01, grp_01_unclaimed, "five subscriptions each get everything",
	  NULL },
	{ "GRP-02", WEIR_MUST, 0, 90, CAP(GROUPS), grp_02, NULL, "two members share what there is", NULL },
	{ "GRP-03", WEIR_MUST, 0, 90, CAP(GROUPS), grp_03, NULL, "a member that joins costs nothing", NULL },
	{ "GRP-04", WEIR_MUST, 0, 90, CAP(GROUPS), grp_04, NULL, "what a member leaves unsettled comes to another",
	  NULL },
	{ "GRP-06", WEIR_MUST, 0, 60, CAP(EPHEMERAL), grp_06, NULL, "an ephemeral subscription leaves nothing behind",
	  NULL },
	{ "GRP-07", WEIR_MUST, 0, 0, 0, grp_07, NULL, "a subscription from before the first record gets it", NULL },
	{ "GRP-08", WEIR_MUST, 0, 120, CAP(GROUPS), grp_08, NULL, "more members than work, and all but one leave",
	  NULL },
};

WEIR_GROUP(groups_, "GRP", "fan-out and members");
