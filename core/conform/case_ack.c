/* SPDX-License-Identifier: Apache-2.0 */
/* ACK, TRM: settling for good. */
#include "conform/case.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"

static struct weir_rig_sub *begin(struct weir_rig *rig, struct weir_rig_topic **topic, int64_t credit)
{
	struct weir_rig_sub *sub;

	*topic = weir_rig_topic(rig, "t");
	sub = weir_rig_subscribe(rig, *topic, "s", WEIR_START_LATEST);
	if (credit)
		weir_rig_credit(rig, sub, credit);
	return sub;
}

static struct weir_rig_sub *reopen(struct weir_rig *rig, struct weir_rig_topic **topic)
{
	weir_rig_open(rig, NULL);
	return begin(rig, topic, 0);
}

static void ack_01(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, 50);

	weir_rig_publish(rig, topic, 50);
	weir_rig_receive(rig, sub, 50);
	weir_rig_close(rig);
	sub = reopen(rig, &topic);
	weir_rig_credit(rig, sub, 100);
	weir_rig_marker(rig, topic, sub);
}

/* Within the process: for drivers that keep nothing. */
static void ack_01_member(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, 50);

	weir_rig_publish(rig, topic, 50);
	weir_rig_receive(rig, sub, 50);
	weir_rig_end(rig, sub, true);
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_credit(rig, sub, 100);
	weir_rig_marker(rig, topic, sub);
}

/* ---- what is not settled ------------------------------------------------- */

static void take_and_die(struct weir_rig *rig, void *arg)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;

	(void)arg;
	weir_rig_open(rig, NULL);
	sub = begin(rig, &topic, 20);
	weir_rig_publish(rig, topic, 20);
	for (int i = 0; i < 20; i++)
		weir_rig_next(rig, sub);
}

static void receive_all(struct weir_rig *rig, struct weir_rig_sub *sub, int count, const char *when)
{
	for (int i = 0; i < count; i++) {
		struct weir_rig_delivery delivery = weir_rig_next(rig, sub);

		WEIR_EXPECT(rig, delivery.number, "something strange came %s", when);
		weir_rig_ack(rig, &delivery);
	}
}

static void ack_02(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;

	weir_rig_life(rig, take_and_die, NULL, 0);
	sub = reopen(rig, &topic);
	weir_rig_credit(rig, sub, 40);
	for (int i = 0; i < 20; i++)
		weir_rig_next(rig, sub);
	weir_rig_close(rig);
	sub = reopen(rig, &topic);
	weir_rig_credit(rig, sub, 40);
	receive_all(rig, sub, 20, "after an orderly close");
}

static void ack_02_member(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, 20);

	weir_rig_publish(rig, topic, 20);
	for (int i = 0; i < 20; i++)
		weir_rig_next(rig, sub);
	weir_rig_end(rig, sub, true);
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_credit(rig, sub, 20);
	receive_all(rig, sub, 20, "after its member left");
}

static void ack_03(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, 10);
	struct weir_rig_delivery delivery;

	weir_rig_publish(rig, topic, 1);
	delivery = weir_rig_next(rig, sub);
	weir_rig_ack(rig, &delivery);
	for (int i = 0; i < 3; i++)
		weir_rig_code(rig, "a second ack", weir_rig_settle(rig, &delivery, WEIR_ACK, 0), WEIR_ESTALE);
	weir_rig_marker(rig, topic, sub);
}

static uint16_t settle_token(struct weir_rig *rig, struct weir_rig_sub *sub, struct weir_token token)
{
	uint16_t code = 999;
	int result = rig->ops->settle(rig->inst, sub->sub, WEIR_ACK, &token, 1, 0, &code);

	return result ? (uint16_t)result : code;
}

static void refuse_token(struct weir_rig *rig, struct weir_rig_sub *sub, struct weir_token token, const char *what)
{
	uint16_t code = settle_token(rig, sub, token);

	WEIR_EXPECT(rig, code == WEIR_EINVAL || code == WEIR_ESTALE, "%s was settled: %s", what, weir_code_name(code));
}

/* Nothing of it may settle the one delivery that is out: at the end it is still there to be acked. */
static void ack_04(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, 10), *other;
	struct weir_rig_delivery delivery;
	struct weir_token token;

	weir_rig_publish(rig, topic, 1);
	delivery = weir_rig_next(rig, sub);
	other = weir_rig_subscribe(rig, topic, "other", WEIR_START_LATEST);
	refuse_token(rig, other, delivery.event.token, "a token of another subscription");
	token = delivery.event.token;
	token.seq = UINT64_MAX;
	refuse_token(rig, sub, token, "a token with a made-up sequence");
	token = delivery.event.token;
	token.lane ^= UINT64_C(1) << 40;
	refuse_token(rig, sub, token, "a token with a made-up lane");
	token = delivery.event.token;
	token.epoch = UINT64_MAX;
	refuse_token(rig, sub, token, "a token with a made-up epoch");
	memset(&token, 0, sizeof token);
	if (memcmp(&token, &delivery.event.token, sizeof token) != 0)
		refuse_token(rig, sub, token, "a token of zeros");
	weir_rig_code(rig, "the ack of the true token", weir_rig_settle(rig, &delivery, WEIR_ACK, 0), WEIR_OK);
}

/* ---- out of order -------------------------------------------------------- */

static void ack_all_but_the_first(struct weir_rig *rig, struct weir_rig_sub *sub, int count)
{
	struct weir_rig_delivery all[128];

	for (int i = 0; i < count; i++)
		all[i] = weir_rig_next(rig, sub);
	for (int i = 1; i < count; i++)
		weir_rig_ack(rig, &all[i]);
}

static void ack_05(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, 100);
	struct weir_rig_delivery delivery;
	uint64_t first, again = 0;

	rig->rules.duplicates = weir_rig_claims(rig, WEIR_CAP_ACK_SELECTIVE) ? 0 : 99;
	first = weir_rig_publish(rig, topic, 100);
	ack_all_but_the_first(rig, sub, 100);
	weir_rig_close(rig);
	sub = reopen(rig, &topic);
	weir_rig_credit(rig, sub, 200);
	do {
		WEIR_EXPECT(rig, weir_rig_try_next(rig, sub, weir_rig_deadline(rig, 10000), &delivery),
			    "the one unsettled record of a hundred never came back");
		weir_rig_ack(rig, &delivery);
		again++;
	} while (delivery.number != first && again < 200);
	weir_rig_publish(rig, topic, 1);
	weir_rig_drain(rig, sub);
	weir_rig_close(rig);
	/* Acked without a gap now: nothing of it comes back. */
	rig->rules.duplicates = 99;
	sub = reopen(rig, &topic);
	weir_rig_credit(rig, sub, 200);
	weir_rig_marker(rig, topic, sub);
}

static void ack_05_member(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, 100);
	struct weir_rig_delivery delivery;
	uint64_t first = weir_rig_publish(rig, topic, 100);

	ack_all_but_the_first(rig, sub, 100);
	weir_rig_end(rig, sub, true);
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_credit(rig, sub, 10);
	delivery = weir_rig_next(rig, sub);
	WEIR_EXPECT(rig, delivery.number == first, "record %" PRIu64 " came back, not record %" PRIu64, delivery.number,
		    first);
	weir_rig_ack(rig, &delivery);
}

/* One record stays out while many others pass. */
static void ack_07(struct weir_rig *rig)
{
	enum { MANY = 20000 };
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, 1);
	struct weir_rig_delivery straggler, delivery;
	uint64_t taken = 0;

	rig->shape.body = 32;
	weir_rig_publish(rig, topic, 1);
	straggler = weir_rig_next(rig, sub);
	weir_rig_credit(rig, sub, MANY);
	weir_rig_send(rig, topic, MANY);
	while (taken < MANY && weir_rig_try_next(rig, sub, weir_rig_deadline(rig, 15000), &delivery)) {
		weir_rig_ack(rig, &delivery);
		taken++;
	}
	if (taken < MANY && rig->seen[WEIR_EV_STALL])
		weir_rig_skip(rig, "it stops behind an unsettled record after %" PRIu64 " others, and says so", taken);
	WEIR_EXPECT(rig, taken == MANY,
		    "behind an unsettled record only %" PRIu64 " of %d came, and no STALL was reported", taken, MANY);
	weir_rig_ack(rig, &straggler);
	weir_rig_credit(rig, sub, 1);
	weir_rig_marker(rig, topic, sub);
}

static void ack_09(struct weir_rig *rig)
{
	struct weir_rig_topic *topic, *other = weir_rig_topic(rig, "other");
	struct weir_rig_sub *sub = begin(rig, &topic, 64), *beside;

	beside = weir_rig_subscribe(rig, other, "s", WEIR_START_LATEST);
	weir_rig_publish(rig, topic, 200);
	for (int i = 0; i < 64; i++)
		weir_rig_next(rig, sub);
	weir_rig_silence(rig, sub);
	weir_rig_credit(rig, beside, 1);
	weir_rig_marker(rig, other, beside);
	weir_rig_end(rig, sub, true);
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_drain(rig, sub);
}

static void ack_10(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, 20);

	weir_rig_publish(rig, topic, 20);
	weir_rig_receive(rig, sub, 20);
	weir_rig_try_await(rig, WEIR_EV_SETTLED, 1, weir_rig_deadline(rig, 50));
	/* Only failures need be reported; of a backend that is up there is none. */
	WEIR_EXPECT(rig, !rig->seen[WEIR_EV_SETTLED] || !rig->last_error.code, "an ack was reported as failed: %s",
		    rig->last_error.text);
}

static void ack_10_unclaimed(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, 20);

	weir_rig_publish(rig, topic, 20);
	weir_rig_receive(rig, sub, 20);
	weir_rig_pump(rig, weir_rig_deadline(rig, 50));
	WEIR_EXPECT(rig, !rig->seen[WEIR_EV_SETTLED], "it reports SETTLED without claiming ack-confirm");
}

static void ack_11(struct weir_rig *rig)
{
	enum { MANY = 256 };
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, MANY);
	struct weir_token *tokens = weir_mem_zalloc(MANY, sizeof *tokens);
	struct weir_rig_delivery *all = weir_mem_zalloc(MANY, sizeof *all);
	uint16_t *codes = weir_mem_zalloc(MANY, sizeof *codes);

	if (!tokens || !all || !codes)
		weir_rig_fail(rig, "the kit has no memory");
	weir_rig_send(rig, topic, MANY);
	for (int i = 0; i < MANY; i++) {
		all[i] = weir_rig_next(rig, sub);
		tokens[i] = all[i].event.token;
		codes[i] = 999;
	}
	weir_rig_code(rig, "settling many", rig->ops->settle(rig->inst, sub->sub, WEIR_ACK, tokens, MANY, 0, codes),
		      WEIR_OK);
	for (int i = 0; i < MANY; i++) {
		WEIR_EXPECT(rig, codes[i] == WEIR_OK, "token %d of %d: %s", i, MANY, weir_code_name(codes[i]));
		weir_rig_note(rig, &(struct weir_op){ .kind = WEIR_OP_SETTLE,
						      .reader = sub->reader,
						      .member = sub->member,
						      .number = all[i].number,
						      .arg = WEIR_ACK });
	}
	/* `codes` may be NULL. */
	weir_rig_code(rig, "settling without codes",
		      rig->ops->settle(rig->inst, sub->sub, WEIR_ACK, tokens, 2, 0, NULL), WEIR_OK);
	weir_mem_free(tokens);
	weir_mem_free(all);
	weir_mem_free(codes);
	weir_rig_end(rig, sub, true);
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_credit(rig, sub, 10);
	weir_rig_marker(rig, topic, sub);
}

/* ---- term ---------------------------------------------------------------- */

static void trm_01(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, 10);
	struct weir_rig_delivery delivery;

	weir_rig_publish(rig, topic, 1);
	delivery = weir_rig_next(rig, sub);
	weir_rig_code(rig, "term", weir_rig_settle(rig, &delivery, WEIR_TERM, 0), WEIR_OK);
	weir_rig_end(rig, sub, true);
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_credit(rig, sub, 10);
	weir_rig_marker(rig, topic, sub);
}

static void trm_01_unclaimed(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, 10);
	struct weir_rig_delivery delivery;

	weir_rig_publish(rig, topic, 1);
	delivery = weir_rig_next(rig, sub);
	weir_rig_code(rig, "term without its capability", weir_rig_settle(rig, &delivery, WEIR_TERM, 0), WEIR_ENOTSUP);
	weir_rig_ack(rig, &delivery);
}

static const struct weir_conform_case cases[] = {
	{ "ACK-01", WEIR_MUST, 0, 60, CAP(DURABLE), ack_01, ack_01_member,
	  "what was acked does not come after a reopening", NULL },
	{ "ACK-02", WEIR_MUST, WEIR_CASE_CLOSED, 120, CAP(DURABLE), ack_02, NULL,
	  "what was not acked comes again after a kill and after a close", NULL },
	{ "ACK-02m", WEIR_MUST, 0, 60, 0, ack_02_member, NULL, "... and after its member left", NULL },
	{ "ACK-03", WEIR_MUST, 0, 0, 0, ack_03, NULL, "a second ack is stale and does no harm", NULL },
	{ "ACK-04", WEIR_MUST, 0, 0, 0, ack_04, NULL, "foreign and made-up tokens settle nothing", NULL },
	{ "ACK-05", WEIR_MUST, 0, 90, CAP(DURABLE), ack_05, ack_05_member,
	  "of a hundred records acked out of order the one that is missing comes again", NULL },
	{ "ACK-07", WEIR_MUST, 0, 90, 0, ack_07, NULL, "one unsettled record does not hold up 20000 others in silence",
	  NULL },
	{ "ACK-09", WEIR_MUST, 0, 60, 0, ack_09, NULL, "a full window stops that subscription only", NULL },
	{ "ACK-10", WEIR_MUST, 0, 0, CAP(ACK_CONFIRM), ack_10, ack_10_unclaimed,
	  "what became of acks is told as claimed", NULL },
	{ "ACK-11", WEIR_MUST, 0, 60, 0, ack_11, NULL, "256 tokens are settled in one call", NULL },
	{ "TRM-01", WEIR_MUST, 0, 0, CAP(TERM), trm_01, trm_01_unclaimed, "what was termed never comes back", NULL },
};

WEIR_GROUP(ack, "ACK", "settling for good");
