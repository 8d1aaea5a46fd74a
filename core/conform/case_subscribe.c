/* SPDX-License-Identifier: Apache-2.0 */
/* SUB: subscribing, and being delivered to. */
#include "conform/case.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static void sub_01(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");

	/* What is published right behind READY must arrive: if READY came early, one of these is missed. */
	for (int i = 0; i < 8; i++) {
		char uid[16];
		struct weir_rig_sub *sub;

		snprintf(uid, sizeof uid, "s%d", i);
		sub = weir_rig_subscribe(rig, topic, uid, WEIR_START_LATEST);
		weir_rig_publish(rig, topic, 1);
		weir_rig_drain(rig, sub);
		weir_rig_end(rig, sub, false);
	}
}

/* ---- start positions ----------------------------------------------------- */

static void starts_at_latest(struct weir_rig *rig, struct weir_rig_topic *topic)
{
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "new", WEIR_START_LATEST);

	weir_rig_credit(rig, sub, 100);
	weir_rig_marker(rig, topic, sub);
}

static void sub_02_earliest(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");

	weir_rig_publish(rig, topic, 10);
	weir_rig_drain(rig, weir_rig_subscribe(rig, topic, "old", WEIR_START_EARLIEST));
	if (weir_rig_claims(rig, WEIR_CAP_ORDERED_TOPIC))
		starts_at_latest(rig, topic);
}

static void refuse_start(struct weir_rig *rig, enum weir_start start, const char *what)
{
	struct weir_sub_spec spec = { .start = start };
	struct weir_rig_sub *sub;

	weir_rig_code(rig, what, weir_rig_try_subscribe(rig, weir_rig_topic(rig, what), "s", &spec, &sub),
		      WEIR_ENOTSUP);
}

static void sub_02_unclaimed(struct weir_rig *rig)
{
	refuse_start(rig, WEIR_START_EARLIEST, "earliest");
	starts_at_latest(rig, weir_rig_topic(rig, "t"));
}

static void sub_02_position(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *first = weir_rig_subscribe(rig, topic, "first", WEIR_START_LATEST), *sub;
	struct weir_sub_spec spec = { .start = WEIR_START_POSITION };
	struct weir_rig_delivery delivery;
	uint64_t fourth = 0;

	weir_rig_publish(rig, topic, 6);
	weir_rig_credit(rig, first, 6);
	for (int i = 0; i < 6; i++) {
		delivery = weir_rig_next(rig, first);
		weir_rig_ack(rig, &delivery);
		if (i == 3) {
			spec.start_value = (int64_t)delivery.event.position;
			fourth = delivery.number;
		}
	}
	weir_rig_code(rig, "subscribe at a position", weir_rig_try_subscribe(rig, topic, "s", &spec, &sub), WEIR_OK);
	weir_rig_await_ready(rig, sub);
	weir_rig_credit(rig, sub, 6);
	delivery = weir_rig_next(rig, sub);
	WEIR_EXPECT(rig, delivery.number == fourth, "record %" PRIu64 " came first, not record %" PRIu64,
		    delivery.number, fourth);
}

static void sub_02_position_unclaimed(struct weir_rig *rig)
{
	refuse_start(rig, WEIR_START_POSITION, "position");
}

static void sub_02_time(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_sub_spec spec = { .start = WEIR_START_TIME, .start_value = weir_clock_wall_ms() - 3600000 };
	struct weir_rig_sub *sub;

	weir_rig_publish(rig, topic, 5);
	weir_rig_code(rig, "subscribe at a time", weir_rig_try_subscribe(rig, topic, "s", &spec, &sub), WEIR_OK);
	weir_rig_await_ready(rig, sub);
	weir_rig_credit(rig, sub, 5);
	weir_rig_receive(rig, sub, 5);
	WEIR_EXPECT(rig, rig->delivery_count == 0, "more came than there is");
}

static void sub_02_time_unclaimed(struct weir_rig *rig)
{
	refuse_start(rig, WEIR_START_TIME, "time");
}

/* ---- topics -------------------------------------------------------------- */

static void sub_03(struct weir_rig *rig)
{
	enum { TOPICS = 20 };
	struct weir_rig_topic *topics[TOPICS];
	struct weir_rig_sub *subs[TOPICS];
	char word[16];

	for (int i = 0; i < TOPICS; i++) {
		snprintf(word, sizeof word, "t%d", i);
		topics[i] = weir_rig_topic(rig, word);
		subs[i] = weir_rig_subscribe(rig, topics[i], "s", WEIR_START_LATEST);
	}
	for (int i = 0; i < TOPICS * 10; i++)
		weir_rig_send(rig, topics[(i * 7) % TOPICS], 1);
	weir_rig_await_done(rig);
	for (int i = 0; i < TOPICS; i++)
		weir_rig_drain(rig, subs[i]);
}

static void sub_04(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_sub_spec spec = { .start = WEIR_START_LATEST };
	struct weir_rig_sub *sub;

	/* Credit, records and the end, while it is becoming ready: the judge sees what comes too early or too late. */
	for (int i = 0; i < 5; i++) {
		weir_rig_code(rig, "subscribe", weir_rig_try_subscribe(rig, topic, "s", &spec, &sub), WEIR_OK);
		weir_rig_credit(rig, sub, 100);
		weir_rig_send(rig, topic, 5);
		weir_rig_await_ready(rig, sub);
		weir_rig_send(rig, topic, 5);
		weir_rig_end(rig, sub, true);
		weir_rig_await_done(rig);
		weir_rig_pump(rig, weir_rig_deadline(rig, 20));
	}
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_drain(rig, sub);
}

static void sub_05(struct weir_rig *rig)
{
	enum { BUSY = 2000, TAKEN = 1000 };
	struct weir_rig_topic *busy = weir_rig_topic(rig, "busy"), *quiet = weir_rig_topic(rig, "quiet");
	struct weir_rig_sub *many = weir_rig_subscribe(rig, busy, "s", WEIR_START_LATEST);
	struct weir_rig_sub *one = weir_rig_subscribe(rig, quiet, "s", WEIR_START_LATEST);
	int64_t deadline_ns = weir_rig_deadline(rig, 10000);
	struct weir_rig_delivery delivery;
	uint64_t before = 0;

	weir_rig_publish(rig, busy, BUSY);
	weir_rig_publish(rig, quiet, 1);
	weir_rig_credit(rig, many, BUSY);
	weir_rig_credit(rig, one, 1);
	while (weir_rig_try_next(rig, NULL, deadline_ns, &delivery)) {
		weir_rig_ack(rig, &delivery);
		if (delivery.sub == one)
			break;
		WEIR_EXPECT(rig, ++before < TAKEN, "%d records of a busy topic came before the one of a quiet topic",
			    TAKEN);
	}
	WEIR_EXPECT(rig, delivery.sub == one, "the record of the quiet topic never came");
}

/* ---- the same identity ---------------------------------------------------- */

static void sub_06(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *one = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	struct weir_rig_sub *two = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);

	/* The judge counts what comes to both: they are one reader. */
	weir_rig_credit(rig, one, 100);
	weir_rig_credit(rig, two, 100);
	weir_rig_send(rig, topic, 40);
	for (int i = 0; i < 40; i++) {
		struct weir_rig_delivery delivery = weir_rig_next(rig, NULL);

		weir_rig_ack(rig, &delivery);
	}
	WEIR_EXPECT(rig, rig->delivery_count == 0, "two members got more than there is");
}

static void sub_06_unclaimed(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *one = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST), *two;
	struct weir_sub_spec spec = { .start = WEIR_START_LATEST };

	weir_rig_code(rig, "a second member without its capability",
		      weir_rig_try_subscribe(rig, topic, "s", &spec, &two), WEIR_EBUSY);
	weir_rig_credit(rig, one, 1);
	weir_rig_marker(rig, topic, one);
}

static void sub_07(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);

	weir_rig_end(rig, sub, true);
	weir_rig_publish(rig, topic, 5);
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_drain(rig, sub);
	weir_rig_end(rig, sub, false);
	weir_rig_publish(rig, topic, 5);
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_credit(rig, sub, 100);
	weir_rig_marker(rig, topic, sub);
}

static void sub_08(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_EARLIEST);

	weir_rig_publish(rig, topic, 5);
	weir_rig_drain(rig, sub);
	weir_rig_end(rig, sub, true);
	/* The position counts, not what is asked for: nothing of what was acked comes again. */
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_EARLIEST);
	weir_rig_credit(rig, sub, 100);
	weir_rig_marker(rig, topic, sub);
}

/* ---- polling ------------------------------------------------------------- */

static int64_t cpu_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * WEIR_NS_PER_S +
	       ((int64_t)usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static void settle_down(struct weir_rig *rig)
{
	while (weir_rig_pump(rig, weir_rig_deadline(rig, 30)))
		;
}

static void sub_09(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	int64_t start_ns, used_ns, quiet_ns = 500 * WEIR_NS_PER_MS;

	settle_down(rig);
	start_ns = weir_clock_now_ns();
	for (int i = 0; i < 20; i++)
		weir_rig_pump(rig, 0);
	WEIR_EXPECT(rig, weir_clock_now_ns() - start_ns < weir_rig_ms(rig, 500) * WEIR_NS_PER_MS,
		    "poll with timeout 0 waits: 20 calls took %" PRId64 " ms",
		    (weir_clock_now_ns() - start_ns) / WEIR_NS_PER_MS);
	start_ns = weir_clock_now_ns();
	used_ns = cpu_ns();
	while (weir_clock_now_ns() - start_ns < quiet_ns)
		weir_rig_pump(rig, start_ns + quiet_ns);
	used_ns = cpu_ns() - used_ns;
	WEIR_EXPECT(rig, used_ns < quiet_ns / 10, "an idle poll of 500 ms burns %" PRId64 " ms of CPU",
		    used_ns / WEIR_NS_PER_MS);
	weir_rig_credit(rig, sub, 1);
	weir_rig_marker(rig, topic, sub);
}

static bool readable(struct weir_rig *rig, int64_t ms)
{
	struct pollfd fd = { rig->ops->event_fd(rig->inst), POLLIN, 0 };

	return poll(&fd, 1, (int)weir_rig_ms(rig, ms)) == 1;
}

static void sub_10(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	int vain = 0;

	settle_down(rig);
	WEIR_EXPECT(rig, rig->ops->event_fd(rig->inst) >= 0, "event_fd is no descriptor");
	for (int i = 0; i < 50; i++) {
		weir_rig_send(rig, topic, 1);
		WEIR_EXPECT(rig, readable(rig, 10000), "a publish completes and event_fd is not readable");
		while (readable(rig, 0) && vain < 1000)
			vain += weir_rig_pump(rig, 0) == 0;
	}
	settle_down(rig);
	WEIR_EXPECT(rig, vain < 500, "event_fd stays readable though poll has nothing");
	weir_rig_credit(rig, sub, 50);
	WEIR_EXPECT(rig, readable(rig, 10000), "there is credit for a record that waits, and event_fd is not readable");
	weir_rig_receive(rig, sub, 50);
}

static void sub_11(struct weir_rig *rig)
{
	WEIR_EXPECT(rig, !weir_rig_claims(rig, WEIR_CAP_WILDCARD),
		    "it claims subscriptions over several topics, for which driver.h has no operation");
}

static void sub_12(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	int64_t before_ms = weir_clock_wall_ms() - 60000;
	uint64_t newest[64] = { 0 };

	weir_rig_publish(rig, topic, 30);
	weir_rig_credit(rig, sub, 30);
	for (int i = 0; i < 30; i++) {
		struct weir_rig_delivery delivery = weir_rig_next(rig, sub);
		const struct weir_driver_event *event = &delivery.event;

		weir_rig_ack(rig, &delivery);
		WEIR_EXPECT(rig, event->attempt == 1, "the attempt of a first delivery is %" PRIu32, event->attempt);
		if (weir_rig_claims(rig, WEIR_CAP_TIMESTAMP))
			WEIR_EXPECT(rig,
				    !(event->flags & WEIR_MSG_NO_TIME) && event->time_ms > before_ms &&
					event->time_ms < weir_clock_wall_ms() + 60000,
				    "it keeps times, and this one is %" PRId64, event->time_ms);
		else if (!(event->flags & WEIR_MSG_NO_TIME))
			WEIR_EXPECT(rig, event->time_ms > before_ms,
				    "time %" PRId64 " is neither true nor marked as unknown", event->time_ms);
		if (event->flags & WEIR_MSG_NO_POSITION)
			continue;
		WEIR_EXPECT(rig, newest[event->partition % 64] <= event->position, "positions go backward");
		newest[event->partition % 64] = event->position;
	}
}

static const struct weir_conform_case cases[] = {
	{ "SUB-01", WEIR_MUST, 0, 90, 0, sub_01, NULL, "a record published after READY is delivered", NULL },
	{ "SUB-02", WEIR_MUST, 0, 0, CAP(REPLAY_EARLIEST), sub_02_earliest, sub_02_unclaimed,
	  "a new subscription starts at earliest, or at latest", NULL },
	{ "SUB-02p", WEIR_MUST, 0, 0, CAP(REPLAY_POSITION) | CAP(ORDERED_TOPIC), sub_02_position,
	  sub_02_position_unclaimed, "... at a position", NULL },
	{ "SUB-02t", WEIR_MUST, 0, 0, CAP(REPLAY_TIME), sub_02_time, sub_02_time_unclaimed, "... at a time", NULL },
	{ "SUB-03", WEIR_MUST, 0, 120, 0, sub_03, NULL, "twenty topics do not mix", NULL },
	{ "SUB-04", WEIR_MUST, 0, 90, 0, sub_04, NULL, "nothing is delivered before READY or after the end", NULL },
	{ "SUB-05", WEIR_MUST, 0, 0, 0, sub_05, NULL, "a busy topic does not starve a quiet one", NULL },
	{ "SUB-06", WEIR_MUST, 0, 0, CAP(GROUPS), sub_06, sub_06_unclaimed,
	  "a second subscription with the same identity joins, or is refused", NULL },
	{ "SUB-07", WEIR_MUST, 0, 90, 0, sub_07, NULL,
	  "a kept subscription misses nothing, a forgotten one starts anew", NULL },
	{ "SUB-08", WEIR_MUST, 0, 60, CAP(REPLAY_EARLIEST), sub_08, NULL,
	  "a subscription that is known resumes, wherever it asks to start", NULL },
	{ "SUB-09", WEIR_MUST, 0, 0, 0, sub_09, NULL, "poll waits for its timeout and no longer, and does not spin",
	  NULL },
	{ "SUB-10", WEIR_MUST, 0, 0, 0, sub_10, NULL, "event_fd is readable exactly while there are events", NULL },
	{ "SUB-11", WEIR_SHOULD, 0, 0, 0, sub_11, NULL,
	  "wildcards are not claimed: the contract has no operation for them", NULL },
	{ "SUB-12", WEIR_MUST, 0, 0, 0, sub_12, NULL, "attempt, time and position are true or marked as unknown",
	  NULL },
};

WEIR_GROUP(subscribe, "SUB", "subscribing and delivery");
