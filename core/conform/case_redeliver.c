/* SPDX-License-Identifier: Apache-2.0 */
/* NCK, RDL: what comes again. */
#include "conform/case.h"

#include <inttypes.h>

static bool nacks(const struct weir_rig *rig)
{
	return weir_rig_claims(rig, WEIR_CAP_NACK) || weir_rig_claims(rig, WEIR_CAP_NACK_LOCAL);
}

static struct weir_rig_sub *begin(struct weir_rig *rig, struct weir_rig_topic **topic, int64_t credit)
{
	struct weir_rig_sub *sub;

	*topic = weir_rig_topic(rig, "t");
	sub = weir_rig_subscribe(rig, *topic, "s", WEIR_START_LATEST);
	weir_rig_credit(rig, sub, credit);
	return sub;
}

static struct weir_rig_delivery first_of(struct weir_rig *rig, struct weir_rig_topic **topic, struct weir_rig_sub **sub)
{
	*sub = begin(rig, topic, 100);
	weir_rig_publish(rig, *topic, 1);
	return weir_rig_next(rig, *sub);
}

static void need_nack(struct weir_rig *rig)
{
	if (!nacks(rig))
		weir_rig_skip(rig, "it claims neither nack nor nack-local");
}

static void again(struct weir_rig *rig, struct weir_rig_sub *sub, struct weir_rig_delivery *delivery)
{
	uint64_t number = delivery->number;

	*delivery = weir_rig_next(rig, sub);
	WEIR_EXPECT(rig, delivery->number == number, "record %" PRIu64 " came, not the nacked record %" PRIu64,
		    delivery->number, number);
}

static void nck_01(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;
	struct weir_rig_delivery delivery;

	need_nack(rig);
	sub = begin(rig, &topic, 300);
	weir_rig_publish(rig, topic, 30);
	/* Every third is nacked at its first delivery; the set must become complete all the same. */
	for (int i = 0; i < 40; i++) {
		delivery = weir_rig_next(rig, sub);
		if (delivery.number % 3 == 0 && delivery.event.attempt < 2)
			weir_rig_nack(rig, &delivery, 0);
		else
			weir_rig_ack(rig, &delivery);
	}
	WEIR_EXPECT(rig, rig->delivery_count == 0, "more came than was published and nacked");
	weir_rig_drain(rig, sub);
}

static void nck_02(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;
	struct weir_rig_delivery delivery;
	uint64_t number;

	need_nack(rig);
	delivery = first_of(rig, &topic, &sub);
	number = delivery.number;
	weir_rig_nack(rig, &delivery, weir_rig_claims(rig, WEIR_CAP_NACK_DELAY) ? 500 : 0);
	weir_rig_close(rig);
	weir_rig_open(rig, NULL);
	sub = begin(rig, &topic, 10);
	delivery = weir_rig_next(rig, sub);
	WEIR_EXPECT(rig, delivery.number == number, "after the reopening record %" PRIu64 " came", delivery.number);
	weir_rig_ack(rig, &delivery);
}

static void nck_02_member(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;
	struct weir_rig_delivery delivery;

	need_nack(rig);
	delivery = first_of(rig, &topic, &sub);
	weir_rig_nack(rig, &delivery, 20);
	weir_rig_end(rig, sub, true);
	sub = begin(rig, &topic, 10);
	again(rig, sub, &delivery);
	weir_rig_ack(rig, &delivery);
}

static void nck_05(struct weir_rig *rig)
{
	static const int64_t delays[] = { 30, 120 };
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;
	struct weir_rig_delivery delivery = first_of(rig, &topic, &sub);

	for (int i = 0; i < 2; i++) {
		int64_t start_ns = weir_clock_now_ns(), took_ms;

		weir_rig_nack(rig, &delivery, delays[i]);
		again(rig, sub, &delivery);
		took_ms = (weir_clock_now_ns() - start_ns) / WEIR_NS_PER_MS;
		WEIR_EXPECT(rig, took_ms >= delays[i] - 2, "a delay of %" PRId64 " ms was over after %" PRId64,
			    delays[i], took_ms);
		WEIR_EXPECT(rig, took_ms < delays[i] + weir_rig_ms(rig, 3000),
			    "a delay of %" PRId64 " ms took %" PRId64, delays[i], took_ms);
	}
	weir_rig_ack(rig, &delivery);
}

static void nck_05_unclaimed(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;
	struct weir_rig_delivery delivery;

	need_nack(rig);
	delivery = first_of(rig, &topic, &sub);
	weir_rig_nack(rig, &delivery, 0);
	again(rig, sub, &delivery);
	weir_rig_ack(rig, &delivery);
}

static void nck_06(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;
	struct weir_rig_delivery delivery = first_of(rig, &topic, &sub);

	weir_rig_nack(rig, &delivery, 3600000);
	for (int i = 0; i < 20; i++)
		weir_rig_marker(rig, topic, sub);
}

static void nck_08(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;
	struct weir_rig_delivery delivery = first_of(rig, &topic, &sub);

	if (nacks(rig)) {
		/* Claimed: a nack that is stale must not count. */
		weir_rig_ack(rig, &delivery);
		weir_rig_code(rig, "a nack behind an ack", weir_rig_settle(rig, &delivery, WEIR_NACK, 0), WEIR_ESTALE);
		weir_rig_marker(rig, topic, sub);
		return;
	}
	weir_rig_code(rig, "nack without its capability", weir_rig_settle(rig, &delivery, WEIR_NACK, 0), WEIR_ENOTSUP);
	weir_rig_ack(rig, &delivery);
}

static void nck_09(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;
	struct weir_rig_delivery delivery, old;

	need_nack(rig);
	delivery = first_of(rig, &topic, &sub);
	old = delivery;
	weir_rig_nack(rig, &delivery, 0);
	weir_rig_code(rig, "an ack behind a nack", weir_rig_settle(rig, &old, WEIR_ACK, 0), WEIR_ESTALE);
	again(rig, sub, &delivery);
	weir_rig_code(rig, "the token of the delivery before", weir_rig_settle(rig, &old, WEIR_ACK, 0), WEIR_ESTALE);
	weir_rig_ack(rig, &delivery);
}

/* ---- deadlines ----------------------------------------------------------- */

static struct weir_rig_sub *with_deadline(struct weir_rig *rig, struct weir_rig_topic *topic, int64_t *wait_ms)
{
	uint32_t wait = rig->caps.ack_wait_min_ms ? rig->caps.ack_wait_min_ms : 1000;
	struct weir_sub_spec spec = { .start = WEIR_START_LATEST, .ack_wait_ms = wait };
	struct weir_rig_sub *sub;

	*wait_ms = wait;
	rig->rules.ack_wait_ns = wait * WEIR_NS_PER_MS;
	weir_rig_code(rig, "subscribe with a deadline", weir_rig_try_subscribe(rig, topic, "s", &spec, &sub), WEIR_OK);
	weir_rig_await_ready(rig, sub);
	weir_rig_credit(rig, sub, 100);
	return sub;
}

static void rdl_01(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	int64_t wait_ms, start_ns, took_ms;
	struct weir_rig_sub *sub = with_deadline(rig, topic, &wait_ms);
	struct weir_rig_delivery delivery, old;

	weir_rig_publish(rig, topic, 1);
	delivery = weir_rig_next(rig, sub);
	start_ns = weir_clock_now_ns();
	old = delivery;
	again(rig, sub, &delivery);
	took_ms = (weir_clock_now_ns() - start_ns) / WEIR_NS_PER_MS;
	WEIR_EXPECT(rig, took_ms < 2 * wait_ms + weir_rig_ms(rig, 3000), "a deadline of %" PRId64 " ms took %" PRId64,
		    wait_ms, took_ms);
	if (rig->rules.flags)
		WEIR_EXPECT(rig, delivery.event.flags & WEIR_MSG_REDELIVERED, "it came again without being marked");
	(void)old;
	weir_rig_ack(rig, &delivery);
}

static void rdl_02(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	int64_t wait_ms, end_ns;
	struct weir_rig_sub *sub = with_deadline(rig, topic, &wait_ms);
	struct weir_rig_delivery delivery, other;

	weir_rig_publish(rig, topic, 1);
	delivery = weir_rig_next(rig, sub);
	end_ns = weir_clock_now_ns() + 3 * wait_ms * WEIR_NS_PER_MS;
	while (weir_clock_now_ns() < end_ns) {
		weir_rig_code(rig, "extend", weir_rig_settle(rig, &delivery, WEIR_EXTEND, wait_ms), WEIR_OK);
		if (weir_rig_try_next(rig, sub, weir_clock_now_ns() + wait_ms * WEIR_NS_PER_MS / 3, &other))
			weir_rig_fail(rig, "a delivery that was extended in time came again");
	}
	weir_rig_ack(rig, &delivery);
}

static void rdl_02_unclaimed(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;
	struct weir_rig_delivery delivery = first_of(rig, &topic, &sub);

	weir_rig_code(rig, "extend without its capability", weir_rig_settle(rig, &delivery, WEIR_EXTEND, 1000),
		      WEIR_ENOTSUP);
	weir_rig_ack(rig, &delivery);
}

/* An ack that is late is taken or stale; either way the record is settled once and for all by the one after. */
static void rdl_03(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	int64_t wait_ms;
	struct weir_rig_sub *sub = with_deadline(rig, topic, &wait_ms);
	struct weir_rig_delivery delivery, late;
	uint16_t code;

	weir_rig_publish(rig, topic, 1);
	late = weir_rig_next(rig, sub);
	delivery = late;
	again(rig, sub, &delivery);
	code = weir_rig_settle(rig, &late, WEIR_ACK, 0);
	WEIR_EXPECT(rig, code == WEIR_OK || code == WEIR_ESTALE, "a late ack answered %s", weir_code_name(code));
	code = weir_rig_settle(rig, &delivery, WEIR_ACK, 0);
	WEIR_EXPECT(rig, code == WEIR_OK || code == WEIR_ESTALE, "the ack behind it answered %s", weir_code_name(code));
	rig->rules.duplicates = 1;
	weir_rig_publish(rig, topic, 1);
	weir_rig_drain(rig, sub);
}

static void rdl_04(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;
	struct weir_rig_delivery delivery;

	need_nack(rig);
	delivery = first_of(rig, &topic, &sub);
	for (uint32_t attempt = 2; attempt < 6; attempt++) {
		weir_rig_nack(rig, &delivery, 0);
		again(rig, sub, &delivery);
		WEIR_EXPECT(rig, delivery.event.attempt == attempt, "the attempt is %" PRIu32 ", not %" PRIu32,
			    delivery.event.attempt, attempt);
	}
	weir_rig_ack(rig, &delivery);
}

static void rdl_04_durable(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;
	struct weir_rig_delivery delivery;
	uint32_t attempt;

	need_nack(rig);
	delivery = first_of(rig, &topic, &sub);
	weir_rig_nack(rig, &delivery, 0);
	again(rig, sub, &delivery);
	attempt = delivery.event.attempt;
	weir_rig_close(rig);
	weir_rig_open(rig, NULL);
	sub = begin(rig, &topic, 10);
	delivery = weir_rig_next(rig, sub);
	WEIR_EXPECT(rig, delivery.event.attempt > attempt,
		    "after a reopening the attempt is %" PRIu32 ", before it was %" PRIu32, delivery.event.attempt,
		    attempt);
	weir_rig_ack(rig, &delivery);
}

static void rdl_05(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;
	struct weir_rig_delivery delivery;

	need_nack(rig);
	sub = begin(rig, &topic, 4);
	weir_rig_publish(rig, topic, 8);
	for (int i = 0; i < 3; i++)
		weir_rig_next(rig, sub);
	delivery = weir_rig_next(rig, sub);
	weir_rig_nack(rig, &delivery, 0);
	weir_rig_silence(rig, sub);
	weir_rig_credit(rig, sub, 1);
	WEIR_EXPECT(rig, weir_rig_try_next(rig, sub, weir_rig_deadline(rig, 10000), &delivery),
		    "with three of four out, a nacked record and credit for one, nothing came");
}

static const struct weir_conform_case cases[] = {
	{ "NCK-01", WEIR_MUST, 0, 60, 0, nck_01, NULL, "what was nacked comes again, and the set is complete", NULL },
	{ "NCK-02", WEIR_MUST, 0, 60, CAP(DURABLE), nck_02, nck_02_member,
	  "nacked and then closed: it comes after the reopening", NULL },
	{ "NCK-05", WEIR_MUST, 0, 0, CAP(NACK_DELAY), nck_05, nck_05_unclaimed, "the delay of a nack is kept", NULL },
	{ "NCK-06", WEIR_MUST, 0, 0, CAP(NACK_DELAY), nck_06, NULL, "others flow while a nacked record waits", NULL },
	{ "NCK-08", WEIR_MUST, 0, 0, 0, nck_08, NULL, "a nack that is not claimed is refused, a late one is stale",
	  NULL },
	{ "NCK-09", WEIR_MUST, 0, 0, 0, nck_09, NULL, "the token from before a nack settles nothing", NULL },
	{ "RDL-01", WEIR_MUST, 0, 120, CAP(ACK_DEADLINE), rdl_01, NULL, "what is not settled in time comes again",
	  NULL },
	{ "RDL-02", WEIR_MUST, 0, 120, CAP(EXTEND) | CAP(ACK_DEADLINE), rdl_02, rdl_02_unclaimed,
	  "extending keeps a delivery from coming again", NULL },
	{ "RDL-03", WEIR_MUST, 0, 120, CAP(ACK_DEADLINE), rdl_03, NULL, "a late ack does no harm", NULL },
	{ "RDL-04", WEIR_SHOULD, 0, 0, 0, rdl_04, NULL, "attempts are counted one by one", NULL },
	{ "RDL-04d", WEIR_SHOULD, 0, 60, CAP(DELIVERY_COUNT) | CAP(DURABLE), rdl_04_durable, NULL,
	  "... also across a reopening", NULL },
	{ "RDL-05", WEIR_MUST, 0, 0, 0, rdl_05, NULL, "a nacked record comes though the window is nearly full", NULL },
};

WEIR_GROUP(redeliver, "NCK", "nacks and redelivery");
