/* SPDX-License-Identifier: Apache-2.0 */
/* SHD: drain, close, and what is still out then. */
#include "conform/case.h"

#include <dirent.h>
#include <inttypes.h>
#include <string.h>

static struct weir_rig_sub *begin(struct weir_rig *rig, struct weir_rig_topic **topic, int64_t credit)
{
	struct weir_rig_sub *sub;

	*topic = weir_rig_topic(rig, "t");
	sub = weir_rig_subscribe(rig, *topic, "s", WEIR_START_LATEST);
	if (credit)
		weir_rig_credit(rig, sub, credit);
	return sub;
}

/* Half is settled, half is out: after the reopening exactly the other half comes. */
static void shd_01(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, 40);
	struct weir_rig_delivery delivery;

	weir_rig_publish(rig, topic, 100);
	for (int i = 0; i < 40; i++) {
		delivery = weir_rig_next(rig, sub);
		if (i < 20)
			weir_rig_ack(rig, &delivery);
	}
	if (weir_rig_claims(rig, WEIR_CAP_PAUSE))
		weir_rig_code(rig, "pause", weir_rig_pause(rig, sub, true), WEIR_OK);
	weir_rig_close(rig);
	weir_rig_open(rig, NULL);
	sub = begin(rig, &topic, 200);
	weir_rig_receive(rig, sub, 80);
	WEIR_EXPECT(rig, rig->delivery_count == 0, "more than the unsettled came");
	weir_rig_drain(rig, sub);
}

static void shd_03(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, 100);

	/* There is credit, and the deliveries may lie ready in the driver: nobody polls them. */
	weir_rig_publish(rig, topic, 1);
	weir_rig_send(rig, topic, 99);
	rig->ops->flush(rig->inst, weir_rig_deadline(rig, 5000), &(uint64_t){ 0 });
	weir_rig_end(rig, sub, true);
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_drain(rig, sub);
}

static void shd_04(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, 100);
	int64_t deadline_ns, over_ms;
	int code;

	weir_rig_publish(rig, topic, 50);
	for (int i = 0; i < 50; i++)
		weir_rig_next(rig, sub);
	deadline_ns = weir_rig_deadline(rig, 2000);
	code = weir_rig_try_close(rig, deadline_ns, WEIR_CLOSE_FLUSH);
	over_ms = (weir_clock_now_ns() - deadline_ns) / WEIR_NS_PER_MS;
	WEIR_EXPECT(rig, code == WEIR_OK || code == WEIR_ETIMEDOUT, "close answered %s", weir_code_name(code));
	WEIR_EXPECT(rig, over_ms < weir_rig_ms(rig, 1000), "close returned %" PRId64 " ms behind its deadline",
		    over_ms);
}

static void shd_04_now(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	int64_t start_ns;

	begin(rig, &topic, 100);
	weir_rig_send(rig, topic, 500);
	start_ns = weir_clock_now_ns();
	weir_rig_try_close(rig, 0, WEIR_CLOSE_ABORT);
	WEIR_EXPECT(rig, weir_clock_now_ns() - start_ns < weir_rig_ms(rig, 2000) * WEIR_NS_PER_MS,
		    "a close that is not to wait took %" PRId64 " ms",
		    (weir_clock_now_ns() - start_ns) / WEIR_NS_PER_MS);
}

/* Leases outlive their ack, their subscription and their instance. */
static void shd_05(struct weir_rig *rig)
{
	enum { OUT = 10 };
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic, OUT);
	struct weir_rig_delivery all[OUT];
	uint32_t flags = 0;

	rig->keep_leases = true;
	weir_rig_publish(rig, topic, OUT);
	for (int i = 0; i < OUT; i++)
		all[i] = weir_rig_next(rig, sub);
	for (int i = 0; i < OUT / 2; i++)
		weir_rig_ack(rig, &all[i]);
	weir_rig_close(rig);
	for (int i = 0; i < OUT; i++) {
		WEIR_EXPECT(rig, weir_rig_recognise(rig, &all[i].event.record, &flags) == all[i].number && !flags,
			    "a record that is lent out changed when its instance was closed");
		if (all[i].event.lease)
			rig->ops->release(all[i].event.lease);
	}
}

static int threads(struct weir_rig *rig)
{
	DIR *folder = opendir("/proc/self/task");
	int count = 0;

	if (!folder)
		weir_rig_fail(rig, "the kit cannot read /proc");
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void log_count(void *ctx, int level, const char *text)
{
	struct weir_rig *rig = ctx;

	(void)level;
	(void)text;
	WEIR_EXPECT(rig, !atomic_load(&rig->shared->flag[0]), "it logs after close returned");
}

static void one_life(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;

	weir_rig_open(rig, NULL);
	begin(rig, &topic, 10);
	weir_rig_publish(rig, topic, 10);
	weir_rig_close(rig);
}

/* A client library may keep threads for the whole process: those are there after the first life. */
static void shd_06(struct weir_rig *rig)
{
	int64_t until_ns;
	int before;

	one_life(rig);
	before = threads(rig);
	rig->host.log = log_count;
	one_life(rig);
	atomic_store(&rig->shared->flag[0], 1);
	until_ns = weir_rig_deadline(rig, 100);
	WEIR_EXPECT(rig, threads(rig) <= before, "after close %d threads of it are left", threads(rig) - before);
	while (weir_clock_now_ns() < until_ns)
		WEIR_EXPECT(rig, threads(rig) <= before, "after close it makes a thread");
}

static const struct weir_conform_case cases[] = {
	{ "SHD-01", WEIR_MUST, 0, 60, CAP(DURABLE), shd_01, NULL,
	  "after an orderly close exactly what is unsettled comes again", NULL },
	{ "SHD-03", WEIR_MUST, 0, 60, 0, shd_03, NULL, "what was fetched and not polled is not lost", NULL },
	{ "SHD-04", WEIR_MUST, 0, 0, 0, shd_04, NULL, "close keeps its deadline with deliveries out", NULL },
	{ "SHD-04n", WEIR_MUST, 0, 0, 0, shd_04_now, NULL, "close that is not to wait does not", NULL },
	{ "SHD-05", WEIR_MUST, 0, 0, 0, shd_05, NULL, "records lent out stay readable after close", NULL },
	{ "SHD-06", WEIR_MUST, WEIR_CASE_CLOSED, 0, 0, shd_06, NULL,
	  "after close there are no threads and no log lines", NULL },
};

WEIR_GROUP(shutdown, "SHD", "shutdown and drain");
