/* SPDX-License-Identifier: Apache-2.0 */
/* FLW: credit, pause, memory. */
#include "conform/case.h"

#include <inttypes.h>

static struct weir_rig_sub *begin(struct weir_rig *rig, struct weir_rig_topic **topic)
{
	*topic = weir_rig_topic(rig, "t");
	return weir_rig_subscribe(rig, *topic, "s", WEIR_START_LATEST);
}

static void flw_01(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	weir_rig_publish(rig, topic, 50);
	weir_rig_silence(rig, sub);
	for (int64_t credit = 1; credit <= 8; credit++) {
		weir_rig_credit(rig, sub, credit);
		weir_rig_receive(rig, sub, (uint64_t)credit);
		weir_rig_silence(rig, sub);
	}
	/* Settling gives nothing back by itself: all were acked, and all were silent behind them. */
	weir_rig_drain(rig, sub);
}

static void flw_01_back(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	weir_rig_credit(rig, sub, 5);
	weir_rig_credit(rig, sub, -10);
	weir_rig_publish(rig, topic, 3);
	weir_rig_silence(rig, sub);
	weir_rig_credit(rig, sub, 3);
	weir_rig_receive(rig, sub, 3);
}

/* Records that nobody takes stay where they are: neither dropped nor heaped up without bound. */
static void flw_02(struct weir_rig *rig)
{
	enum { MANY = 3000 };
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	rig->shape.body = 4096;
	weir_rig_credit(rig, sub, 1);
	weir_rig_publish(rig, topic, MANY);
	weir_rig_receive(rig, sub, 1);
	weir_rig_silence(rig, sub);
	weir_rig_drain(rig, sub);
}

static void flw_03(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	rig->shape.body = 10000;
	weir_rig_publish(rig, topic, 4);
	/* The last record may go beyond; the next one may not come, nor while the credit is used up. */
	weir_rig_credit_bytes(rig, sub, 100, 15000);
	weir_rig_next(rig, sub);
	weir_rig_next(rig, sub);
	weir_rig_silence(rig, sub);
	weir_rig_credit_bytes(rig, sub, 0, 1000);
	weir_rig_silence(rig, sub);
	weir_rig_credit_bytes(rig, sub, 0, 100000);
	weir_rig_next(rig, sub);
	weir_rig_next(rig, sub);
}

static void flw_04(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	weir_rig_credit(rig, sub, 100);
	for (uint64_t i = 1; i <= 5; i++) {
		weir_rig_code(rig, "pause", weir_rig_pause(rig, sub, true), WEIR_OK);
		weir_rig_await(rig, WEIR_EV_PAUSED, i);
		weir_rig_publish(rig, topic, 4);
		weir_rig_silence(rig, sub);
		weir_rig_code(rig, "resuming", weir_rig_pause(rig, sub, false), WEIR_OK);
		weir_rig_receive(rig, sub, 4);
	}
	weir_rig_drain(rig, sub);
}

static void flw_04_unclaimed(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	weir_rig_code(rig, "pause without its capability", weir_rig_pause(rig, sub, true), WEIR_ENOTSUP);
	weir_rig_note(rig, &(struct weir_op){ .kind = WEIR_OP_RESUME, .member = sub->member });
	weir_rig_credit(rig, sub, 1);
	weir_rig_marker(rig, topic, sub);
}

/* Publishing without polling until it says that it is full; then polling must make room, and nothing is lost. */
static void flw_06(struct weir_rig *rig)
{
	enum { MOST = 200000 };
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);
	uint64_t number, writable;
	int code = WEIR_OK;

	rig->shape.body = 2048;
	while (rig->sent < MOST / 4 && (code = weir_rig_try_send(rig, topic, &number, NULL)) == WEIR_OK)
		rig->sent++;
	WEIR_EXPECT(rig, code == WEIR_OK || code == WEIR_EAGAIN || code == WEIR_ELIMIT, "a full queue answered %s",
		    weir_code_name(code));
	writable = rig->seen[WEIR_EV_WRITABLE];
	weir_rig_await_done(rig);
	if (code == WEIR_EAGAIN) {
		/* What holds the room may be the records themselves: take them. */
		weir_rig_drain(rig, sub);
		WEIR_EXPECT(rig, weir_rig_try_await(rig, WEIR_EV_WRITABLE, writable + 1, weir_rig_deadline(rig, 5000)),
			    "publish answered EAGAIN, there is room again, and WRITABLE did not come");
	}
	/* What is full for good says ELIMIT, and keeps what it took. */
	if (code != WEIR_ELIMIT)
		weir_rig_send(rig, topic, 1);
	weir_rig_drain(rig, sub);
}

static const struct weir_conform_case cases[] = {
	{ "FLW-01", WEIR_MUST, 0, 60, 0, flw_01, NULL, "never more than credit; without it, silence", NULL },
	{ "FLW-01b", WEIR_MUST, 0, 0, 0, flw_01_back, NULL, "negative credit takes back what is unused", NULL },
	{ "FLW-02", WEIR_MUST, 0, 90, 0, flw_02, NULL, "what a slow subscription does not take is not dropped", NULL },
	{ "FLW-03", WEIR_MUST, 0, 0, 0, flw_03, NULL, "credit in bytes stops behind the record that uses it up", NULL },
	{ "FLW-04", WEIR_MUST, 0, 0, CAP(PAUSE), flw_04, flw_04_unclaimed,
	  "nothing comes while paused; nothing is lost or doubled by it", NULL },
	{ "FLW-06", WEIR_MUST, 0, 120, 0, flw_06, NULL, "a publisher that is too fast is told, and nothing is lost",
	  NULL },
};

WEIR_GROUP(flow, "FLW", "flow control");
