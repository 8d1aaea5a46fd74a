/* SPDX-License-Identifier: Apache-2.0 */
/* DUR: what survives. */
#include "conform/case.h"

#include <inttypes.h>

static uint64_t random_of(const struct weir_rig *rig, uint64_t round)
{
	uint64_t x = rig->target->seed + round * UINT64_C(0x9e3779b97f4a7c15);

	x ^= x >> 29;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	return x ^ (x >> 32);
}

enum { LIFE_RECORDS = 1500, LEFT_RECORDS = 100 };

static void live_and_work(struct weir_rig *rig, void *arg)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;

	(void)arg;
	weir_rig_open(rig, NULL);
	topic = weir_rig_topic(rig, "t");
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	/* The last ones are left to the next life: whenever the kill comes, there is something to lose. */
	weir_rig_credit(rig, sub, LIFE_RECORDS - LEFT_RECORDS);
	rig->auto_ack = true;
	for (;;) {
		/* Enough for one life: what is not acked for good comes again in each that follows. */
		if (rig->sent >= LIFE_RECORDS) {
			weir_rig_pump(rig, weir_rig_deadline(rig, 50));
			continue;
		}
		weir_rig_send(rig, topic, 1 + random_of(rig, rig->sent) % 20);
		do
			weir_rig_pump(rig, 0);
		while (rig->sent - rig->completed > 256);
	}
}

static void make_subscription(struct weir_rig *rig)
{
	weir_rig_open(rig, NULL);
	weir_rig_subscribe(rig, weir_rig_topic(rig, "t"), "s", WEIR_START_LATEST);
	weir_rig_close(rig);
}

static void dur_03(struct weir_rig *rig)
{
	enum { KILLS = 20 };

	make_subscription(rig);
	for (uint64_t i = 0; i < KILLS; i++)
		weir_rig_life(rig, live_and_work, NULL, 30 + (int64_t)(random_of(rig, i) % 120));
	weir_rig_open(rig, NULL);
	weir_rig_drain(rig, weir_rig_subscribe(rig, weir_rig_topic(rig, "t"), "s", WEIR_START_LATEST));
}

static void dur_03_unclaimed(struct weir_rig *rig)
{
	weir_rig_open(rig, NULL);
	/* Not claimed: then it must not call itself anything but memory. */
	WEIR_EXPECT(rig, rig->caps.durability && rig->caps.durability[0] == 'm',
		    "it is not durable, and calls its durability \"%s\"",
		    rig->caps.durability ? rig->caps.durability : "");
}

static void dur_04(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");

	weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_close(rig);
	weir_rig_open(rig, NULL);
	topic = weir_rig_topic(rig, "t");
	weir_rig_publish(rig, topic, 100);
	weir_rig_drain(rig, weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST));
}

static void dur_07(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	struct weir_error err = WEIR_ERROR_INIT;

	weir_rig_publish(rig, topic, 10);
	weir_rig_code(rig, "topic_delete of an open topic",
		      rig->ops->topic_delete(rig->inst, "conform", topic->name, weir_rig_deadline(rig, 10000), &err),
		      WEIR_EBUSY);
	weir_rig_end(rig, sub, true);
	rig->ops->topic_close(rig->inst, topic->topic);
	weir_rig_code(rig, "topic_delete",
		      rig->ops->topic_delete(rig->inst, "conform", topic->name, weir_rig_deadline(rig, 10000), &err),
		      WEIR_OK);
	/* Its subscription went with it: who comes now is new, and the judge is told so. */
	weir_rig_note(rig, &(struct weir_op){ .kind = WEIR_OP_ENDED, .reader = 1, .member = 1, .arg = 0 });
	topic = weir_rig_topic(rig, "t");
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_credit(rig, sub, 100);
	weir_rig_marker(rig, topic, sub);
}

static void dur_07_unclaimed(struct weir_rig *rig)
{
	weir_rig_code(rig, "topic_delete without its capability",
		      rig->ops->topic_delete(rig->inst, "conform", "t", weir_rig_deadline(rig, 1000), NULL),
		      WEIR_ENOTSUP);
}

static const struct weir_conform_case cases[] = {
	{ "DUR-03", WEIR_MUST, WEIR_CASE_CLOSED, 240, CAP(DURABLE), dur_03, dur_03_unclaimed,
	  "twenty kills at random moments under load lose nothing", NULL },
	{ "DUR-04", WEIR_MUST, 0, 60, CAP(DURABLE), dur_04, NULL,
	  "a subscription gets what came while nobody was there", NULL },
	{ "DUR-07", WEIR_MUST, 0, 60, CAP(TOPIC_ADMIN), dur_07, dur_07_unclaimed,
	  "a topic that was deleted and made again has nothing of the old one", NULL },
};

WEIR_GROUP(durable, "DUR", "durability and restart");
