/* SPDX-License-Identifier: Apache-2.0 */
/* PUB: publishing. */
#include "conform/case.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static struct weir_rig_sub *subscribe(struct weir_rig *rig, struct weir_rig_topic *topic, int64_t credit)
{
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);

	if (credit)
		weir_rig_credit(rig, sub, credit);
	return sub;
}

static void pub_01(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	uint64_t number = weir_rig_publish(rig, topic, 1);

	WEIR_EXPECT(rig, rig->latest_done.tag == number && rig->completed == 1,
		    "one publish had %" PRIu64 " completions, the latest with tag %" PRIu64, rig->completed,
		    rig->latest_done.tag);
	weir_rig_try_await(rig, WEIR_EV_PUBLISHED, 2, weir_rig_deadline(rig, 50));
	WEIR_EXPECT(rig, rig->completed == 1, "one publish completed twice");
}

static void pub_02(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = subscribe(rig, topic, 0);

	rig->shape.keys = 16;
	weir_rig_publish(rig, topic, 1000);
	weir_rig_drain(rig, sub);
}

/* ---- kill ---------------------------------------------------------------- */

static void publish_and_die(struct weir_rig *rig, void *arg)
{
	struct weir_rig_topic *topic;

	(void)arg;
	weir_rig_open(rig, NULL);
	topic = weir_rig_topic(rig, "t");
	weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_publish(rig, topic, 100);
}

static void pub_03(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;

	weir_rig_life(rig, publish_and_die, NULL, 0);
	weir_rig_open(rig, NULL);
	topic = weir_rig_topic(rig, "t");
	weir_rig_drain(rig, weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST));
}

/* ---- many ---------------------------------------------------------------- */

static void pub_04(struct weir_rig *rig)
{
	enum { MANY = 20000 };
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = subscribe(rig, topic, 0);

	weir_rig_publish(rig, topic, MANY);
	WEIR_EXPECT(rig, rig->completed == MANY, "%d publishes had %" PRIu64 " completions", MANY, rig->completed);
	weir_rig_drain(rig, sub);
}

static void pub_05(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = subscribe(rig, topic, 0);
	struct weir_publish items[2];
	struct weir_rig_made made;
	struct weir_error err = WEIR_ERROR_INIT;
	size_t accepted = 9;
	char *large;

	if (!rig->caps.max_record_bytes)
		weir_rig_skip(rig, "no limit is known that a record could be beyond");
	large = weir_mem_zalloc(1, (size_t)rig->caps.max_record_bytes + 1);
	if (!large || !weir_rig_make(rig, 1, &made))
		weir_rig_fail(rig, "the kit has no memory");
	atomic_store(&rig->shared->next_number, 1);
	items[0] =
	    (struct weir_publish){ .size = sizeof items[0], .topic = topic->topic, .tag = 1, .record = made.record };
	items[1] = (struct weir_publish){ .size = sizeof items[0], .topic = topic->topic, .tag = 99 };
	items[1].record.body = (struct weir_buf){ large, (size_t)rig->caps.max_record_bytes + 1 };
	weir_rig_note(rig, &(struct weir_op){ .kind = WEIR_OP_PUBLISH, .number = 1, .topic = topic->number });
	weir_rig_code(rig, "publish of a record that is too large",
		      rig->ops->publish(rig->inst, items, 2, &accepted, &err), WEIR_ETOOBIG);
	WEIR_EXPECT(rig, accepted == 1, "%zu items were accepted before the one that is too large, not 1", accepted);
	WEIR_EXPECT(rig, err.code == WEIR_ETOOBIG && err.text[0], "the error of the refused item says nothing");
	rig->sent = 1;
	weir_rig_await_done(rig);
	weir_rig_made_fini(&made);
	weir_mem_free(large);
	weir_rig_publish(rig, topic, 5);
	weir_rig_drain(rig, sub);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Half of all calls, not the slowest: a busy machine stops any of them now and then. */
static void pub_06(struct weir_rig *rig)
{
	enum { CALLS = 400, MEDIAN_MAX_US = 2000 };
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = subscribe(rig, topic, 0);
	int64_t took[CALLS];
	uint64_t number;

	for (int i = 0; i < CALLS; i++) {
		int64_t start_ns = weir_clock_now_ns();
		int code = weir_rig_try_send(rig, topic, &number, NULL);

		took[i] = weir_clock_now_ns() - start_ns;
		rig->sent += code == WEIR_OK;
		WEIR_EXPECT(rig, code == WEIR_OK || code == WEIR_EAGAIN, "publish answered %s", weir_code_name(code));
		if (code == WEIR_EAGAIN)
			weir_rig_await(rig, WEIR_EV_WRITABLE, rig->seen[WEIR_EV_WRITABLE] + 1);
	}
	qsort(took, CALLS, sizeof took[0], compare);
	WEIR_EXPECT(rig, took[CALLS / 2] / 1000 < weir_rig_ms(rig, MEDIAN_MAX_US),
		    "publish blocks: half of the calls took longer than %" PRId64 " us", took[CALLS / 2] / 1000);
	weir_rig_drain(rig, sub);
}

static void pub_09(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	uint64_t left = 99;
	int code;

	weir_rig_send(rig, topic, 500);
	code = rig->ops->flush(rig->inst, weir_rig_deadline(rig, 10000), &left);
	if (code == WEIR_ENOTSUP) {
		weir_rig_await_done(rig);
		weir_rig_skip(rig, "flush is an operation that it does not have");
	}
	weir_rig_code(rig, "flush", code, WEIR_OK);
	WEIR_EXPECT(rig, left == 0, "flush answered OK with %" PRIu64 " publishes pending", left);
	/* What is flushed has its completion ready: it needs no waiting. */
	for (int i = 0; i < 200 && rig->completed < rig->sent; i++)
		weir_rig_pump(rig, weir_rig_deadline(rig, 5));
	WEIR_EXPECT(rig, rig->completed == rig->sent, "after flush %" PRIu64 " completions are missing",
		    rig->sent - rig->completed);
}

/* ---- close --------------------------------------------------------------- */

static void pub_10(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = subscribe(rig, topic, 0);

	weir_rig_send(rig, topic, 2000);
	/* That close answers OK says that all are persisted: nobody can poll their completions any more. */
	weir_rig_close(rig);
	weir_rig_open(rig, NULL);
	topic = weir_rig_topic(rig, "t");
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_credit(rig, sub, 4000);
	weir_rig_receive(rig, sub, 2000);
	WEIR_EXPECT(rig, rig->delivery_count == 0, "more came than was published");
}

static void pub_10_unclaimed(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");

	weir_rig_send(rig, topic, 2000);
	weir_rig_code(rig, "close with publishes pending",
		      weir_rig_try_close(rig, weir_rig_deadline(rig, 10000), WEIR_CLOSE_FLUSH), WEIR_OK);
	weir_rig_open(rig, NULL);
	weir_rig_send(rig, weir_rig_topic(rig, "t"), 2000);
	weir_rig_code(rig, "close that gives up what is pending",
		      weir_rig_try_close(rig, weir_rig_deadline(rig, 10000), WEIR_CLOSE_ABORT), WEIR_OK);
}

/* ---- memory -------------------------------------------------------------- */

/* Every record of the kit is overwritten when publish() returned; this looks at those that lie in memory longest. */
static void pub_11(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = subscribe(rig, topic, 0);

	rig->shape.body = 4096;
	weir_rig_publish(rig, topic, 300);
	weir_rig_drain(rig, sub);
}

/* ---- threads ------------------------------------------------------------- */

enum { THREADS = 8, EACH = 250 };

struct worker {
	struct weir_rig *rig;
	struct weir_rig_topic *topic;
	uint64_t taken;
};

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	uint64_t number;

	for (int tries = 0; worker->taken < EACH && tries < 1000000; tries++) {
		int code = weir_rig_try_send(worker->rig, worker->topic, &number, NULL);

		if (code == WEIR_OK)
			worker->taken++;
		else if (code == WEIR_ELIMIT)
			weir_rig_skip(worker->rig, "it is full before all have published");
		else if (code != WEIR_EAGAIN)
			weir_rig_fail(worker->rig, "publish answered %s", weir_code_name(code));
		else
			sched_yield();
	}
	return NULL;
}

static void pub_12(struct weir_rig *rig)
{
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = subscribe(rig, topic, 0);
	int64_t deadline_ns = weir_rig_deadline(rig, 20000);

	if (rig->caps.thread_level != WEIR_THREAD_FREE)
		weir_rig_skip(rig, "its thread level has the core take turns");
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .rig = rig, .topic = topic };
		if (pthread_create(&threads[i], NULL, worker_main, &workers[i]))
			weir_rig_fail(rig, "the kit has no thread");
	}
	while (rig->completed < THREADS * EACH && weir_clock_now_ns() < deadline_ns)
		weir_rig_pump(rig, weir_rig_deadline(rig, 20));
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	rig->sent = THREADS * EACH;
	weir_rig_await_done(rig);
	weir_rig_drain(rig, sub);
}

/* ---- where to ------------------------------------------------------------ */

static void pub_13(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");

	weir_rig_publish(rig, topic, 20);
	WEIR_EXPECT(rig, rig->completed == 20, "publishing without a subscription failed");
	if (weir_rig_claims(rig, WEIR_CAP_REPLAY_EARLIEST))
		weir_rig_drain(rig, weir_rig_subscribe(rig, topic, "late", WEIR_START_EARLIEST));
}

static void refuse_topic(struct weir_rig *rig, const char *ns, const char *name, const char *what)
{
	struct weir_topic *topic = NULL;
	struct weir_error err = WEIR_ERROR_INIT;

	WEIR_EXPECT(rig, rig->ops->topic_open(rig->inst, ns, name, &topic, &err) == WEIR_EINVAL,
		    "a topic name with %s was not refused with EINVAL", what);
}

static void pub_14(struct weir_rig *rig)
{
	uint32_t room = rig->caps.max_topic_bytes;
	struct weir_topic *topic = NULL;
	struct weir_error err = WEIR_ERROR_INIT;
	char *name;

	refuse_topic(rig, "conform", "", "no byte");
	refuse_topic(rig, "", "t", "no namespace");
	refuse_topic(rig, "conform", "a\nb", "a line feed");
	refuse_topic(rig, "conform", "\x7f", "a control character");
	if (!room)
		return;
	name = weir_mem_zalloc(1, room + 2);
	if (!name)
		weir_rig_fail(rig, "the kit has no memory");
	memset(name, 'x', room + 1);
	refuse_topic(rig, "conform", name, "more bytes than max_topic_bytes");
	name[room - strlen("conform/")] = '\0';
	weir_rig_code(rig, "topic_open of the longest name",
		      rig->ops->topic_open(rig->inst, "conform", name, &topic, &err), WEIR_OK);
	weir_rig_try_await(rig, WEIR_EV_TOPIC_READY, 1, weir_rig_deadline(rig, 10000));
	WEIR_EXPECT(rig, rig->seen[WEIR_EV_TOPIC_READY] == 1, "the longest name: %s", rig->last_error.text);
	weir_mem_free(name);
}

static void pub_15(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = subscribe(rig, topic, 10);
	struct weir_record keyless = { .body = { "no key", 6 } },
			   empty = { .key = { "", 0 }, .body = { "empty key", 9 } };
	uint32_t partition[32] = { 0 };
	bool known[32] = { false };

	weir_rig_publish_record(rig, topic, &keyless);
	weir_rig_publish_record(rig, topic, &empty);
	weir_rig_receive(rig, sub, 2);
	rig->shape.keys = 16;
	weir_rig_publish(rig, topic, 200);
	weir_rig_credit(rig, sub, 200);
	for (int i = 0; i < 200; i++) {
		struct weir_rig_delivery delivery = weir_rig_next(rig, sub);
		uint32_t key = weir_rig_key(rig, delivery.number);

		weir_rig_ack(rig, &delivery);
		WEIR_EXPECT(rig, !known[key] || partition[key] == delivery.event.partition,
			    "key %" PRIu32 " came from partition %" PRIu32 " and from %" PRIu32, key, partition[key],
			    delivery.event.partition);
		known[key] = true;
		partition[key] = delivery.event.partition;
	}
}

/* Capabilities for which this version of the contract has no operation: claiming them is a lie. */
static void not_in_contract(struct weir_rig *rig)
{
	WEIR_EXPECT(rig, !(rig->caps.bits & rig->conform_case->needs),
		    "it claims a capability for which driver.h has no operation");
}

static const struct weir_conform_case cases[] = {
	{ "PUB-01", WEIR_MUST, 0, 0, 0, pub_01, NULL, "one record has exactly one completion", NULL },
	{ "PUB-02", WEIR_MUST, 0, 0, 0, pub_02, NULL, "1000 records arrive whole: key, headers and body", NULL },
	{ "PUB-03", WEIR_MUST, WEIR_CASE_CLOSED, 0, CAP(DURABLE) | CAP(PUB_CONFIRM), pub_03, NULL,
	  "what was persisted is there after the process was killed", NULL },
	{ "PUB-04", WEIR_MUST, 0, 90, 0, pub_04, NULL, "each of 20000 publishes completes once and arrives once",
	  NULL },
	{ "PUB-05", WEIR_MUST, 0, 0, 0, pub_05, NULL, "of a batch with one bad record the others are taken", NULL },
	{ "PUB-06", WEIR_MUST, 0, 0, 0, pub_06, NULL, "publish does not block, and after EAGAIN comes WRITABLE", NULL },
	{ "PUB-09", WEIR_MUST, 0, 0, 0, pub_09, NULL, "flush answers OK only when nothing is pending", NULL },
	{ "PUB-10", WEIR_MUST, 0, 0, CAP(DURABLE), pub_10, pub_10_unclaimed, "close flushes what is pending", NULL },
	{ "PUB-11", WEIR_MUST, 0, 0, 0, pub_11, NULL, "the caller's memory may change once publish returned", NULL },
	{ "PUB-12", WEIR_MUST, 0, 60, 0, pub_12, NULL, "eight threads publish on one instance", NULL },
	{ "PUB-13", WEIR_MUST, 0, 0, 0, pub_13, NULL, "publishing without a subscription works", NULL },
	{ "PUB-14", WEIR_MUST, 0, 0, 0, pub_14, NULL, "names that cannot be are refused, the longest works", NULL },
	{ "PUB-15", WEIR_MUST, 0, 0, CAP(KEY), pub_15, NULL,
	  "one key, one partition; an empty key and none are different", NULL },
	{ "PUB-17", WEIR_SHOULD, 0, 0, CAP(TTL), not_in_contract, not_in_contract,
	  "expiry is not claimed: the contract has no operation for it", NULL },
	{ "PUB-18", WEIR_SHOULD, 0, 0, CAP(DELAY), not_in_contract, not_in_contract,
	  "delayed delivery is not claimed: the contract has no operation for it", NULL },
	{ "PUB-19", WEIR_MUST, 0, 0, CAP(TXN), not_in_contract, not_in_contract,
	  "transactions are not claimed: the contract has no operation for them", NULL },
};

WEIR_GROUP(publish, "PUB", "publishing");
