/* SPDX-License-Identifier: Apache-2.0 */
/* ORD: what may overtake what. The judge compares; a case in which it compared nothing fails. */
#include "conform/case.h"

#include <inttypes.h>
#include <stdio.h>

enum { KEYS = 64 };

static void through(struct weir_rig *rig, uint64_t count)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);

	weir_rig_send(rig, topic, count);
	weir_rig_drain(rig, sub);
}

static void ord_01(struct weir_rig *rig)
{
	rig->rules.order = WEIR_JUDGE_TOPIC;
	through(rig, 10000);
}

static void ord_02(struct weir_rig *rig)
{
	rig->rules.order = WEIR_JUDGE_KEY;
	rig->shape.keys = KEYS;
	through(rig, 10000);
}

static void ord_02_members(struct weir_rig *rig)
{
	enum { MEMBERS = 4, MANY = 2000 };
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *members[MEMBERS];
	int64_t deadline_ns = weir_rig_deadline(rig, 20000);
	struct weir_rig_delivery delivery;
	uint64_t taken = 0;

	rig->shape.keys = KEYS;
	for (int i = 0; i < MEMBERS; i++) {
		members[i] = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
		weir_rig_credit(rig, members[i], MANY * 2);
	}
	weir_rig_send(rig, topic, MANY);
	while (taken < MANY && weir_rig_try_next(rig, NULL, deadline_ns, &delivery)) {
		taken += weir_rig_settle(rig, &delivery, WEIR_ACK, 0) == WEIR_OK;
	}
	WEIR_EXPECT(rig, taken >= MANY, "%d members received %" PRIu64 " of %d records", MEMBERS, taken, MANY);
}

/* The kit's own batches: all items of one publish() in the order they were given. */
static void ord_07(struct weir_rig *rig)
{
	enum { BATCH = 16, BATCHES = 50 };
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	struct weir_publish items[BATCH];
	struct weir_rig_made made[BATCH];
	size_t accepted;

	rig->rules.order = WEIR_JUDGE_TOPIC;
	for (int b = 0; b < BATCHES; b++) {
		for (int i = 0; i < BATCH; i++) {
			uint64_t number = atomic_fetch_add(&rig->shared->next_number, 1) + 1;

			if (!weir_rig_make(rig, number, &made[i]))
				weir_rig_fail(rig, "the kit has no memory");
			items[i] = (struct weir_publish){
				.size = sizeof items[i], .topic = topic->topic, .tag = number, .record = made[i].record
			};
			weir_rig_note(rig, &(struct weir_op){
					       .kind = WEIR_OP_PUBLISH, .number = number, .topic = topic->number });
		}
		accepted = 0;
		weir_rig_code(rig, "publish of a batch", rig->ops->publish(rig->inst, items, BATCH, &accepted, NULL),
			      WEIR_OK);
		WEIR_EXPECT(rig, accepted == BATCH, "%zu of %d items were accepted, and it answered OK", accepted,
			    BATCH);
		rig->sent += BATCH;
		for (int i = 0; i < BATCH; i++)
			weir_rig_made_fini(&made[i]);
		weir_rig_await_done(rig);
	}
	weir_rig_drain(rig, sub);
}

static void ord_05(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);

	rig->rules.order = WEIR_JUDGE_TOPIC;
	weir_rig_publish(rig, topic, 300);
	weir_rig_credit(rig, sub, 100);
	weir_rig_receive(rig, sub, 100);
	weir_rig_close(rig);
	weir_rig_open(rig, NULL);
	topic = weir_rig_topic(rig, "t");
	weir_rig_drain(rig, weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST));
}

static void ord_06(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	struct weir_rig_delivery delivery;

	if (!weir_rig_claims(rig, WEIR_CAP_NACK) && !weir_rig_claims(rig, WEIR_CAP_NACK_LOCAL))
		weir_rig_skip(rig, "it claims neither nack nor nack-local");
	rig->rules.order = WEIR_JUDGE_TOPIC;
	weir_rig_credit(rig, sub, 200);
	weir_rig_publish(rig, topic, 50);
	for (int i = 0; i < 50; i++) {
		delivery = weir_rig_next(rig, sub);
		if (i % 5 == 0 && delivery.event.attempt == 1)
			weir_rig_nack(rig, &delivery, 0);
		else
			weir_rig_ack(rig, &delivery);
	}
	weir_rig_drain(rig, sub);
}

static const struct weir_conform_case cases[] = {
	{ "ORD-01", WEIR_MUST, 0, 60, CAP(ORDERED_TOPIC), ord_01, NULL, "10000 records of a topic come in their order",
	  NULL },
	{ "ORD-02", WEIR_MUST, 0, 60, CAP(ORDERED_KEY) | CAP(KEY), ord_02, NULL,
	  "10000 records of 64 keys come in the order of each key", NULL },
	{ "ORD-02m", WEIR_MUST, 0, 90, CAP(GROUPS), ord_02_members, NULL, "four members share 2000 records", NULL },
	{ "ORD-05", WEIR_MUST, 0, 90, CAP(ORDERED_TOPIC) | CAP(DURABLE), ord_05, NULL, "order holds across a reopening",
	  NULL },
	{ "ORD-06", WEIR_MUST, 0, 60, CAP(ORDERED_TOPIC), ord_06, NULL,
	  "nacks do not disturb the order of first deliveries", NULL },
	{ "ORD-07", WEIR_MUST, 0, 60, CAP(ORDERED_TOPIC), ord_07, NULL, "the items of a batch keep their order", NULL },
};

WEIR_GROUP(order, "ORD", "ordering");
