/* SPDX-License-Identifier: Apache-2.0 */
/* LIF: opening, closing, settings. */
#include "conform/case.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "channel/guard.h"

/* ---- what a process holds ------------------------------------------------ */

static int entries(struct weir_rig *rig, const char *path)
{
	DIR *folder = opendir(path);
	int count = 0;

	if (!folder)
		weir_rig_fail(rig, "the kit cannot read %s", path);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static long resident_pages(void)
{
	FILE *from = fopen("/proc/self/statm", "r");
	long size = 0, resident = 0;

	if (from) {
		if (fscanf(from, "%ld %ld", &size, &resident) != 2)
			resident = 0;
		fclose(from);
	}
	return resident;
}

static void use_once(struct weir_rig *rig)
{
	weir_rig_open(rig, NULL);
	weir_rig_subscribe(rig, weir_rig_topic(rig, "t"), "s", WEIR_START_LATEST);
	weir_rig_close(rig);
}

/* Sanitizers keep what was freed for a while. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MAX_GROWTH_PAGES = 65536 };
#else
enum { MAX_GROWTH_PAGES = 2048 };
#endif

static void lif_01(struct weir_rig *rig)
{
	enum { ROUNDS = 30 };
	int files, threads;
	long pages;

	use_once(rig);
	use_once(rig);
	files = entries(rig, "/proc/self/fd");
	threads = entries(rig, "/proc/self/task");
	pages = resident_pages();
	for (int i = 0; i < ROUNDS; i++)
		use_once(rig);
	WEIR_EXPECT(rig, entries(rig, "/proc/self/fd") <= files, "%d rounds of open and close left %d descriptors open",
		    ROUNDS, entries(rig, "/proc/self/fd") - files);
	WEIR_EXPECT(rig, entries(rig, "/proc/self/task") <= threads, "%d rounds of open and close left %d threads",
		    ROUNDS, entries(rig, "/proc/self/task") - threads);
	WEIR_EXPECT(rig, resident_pages() - pages < MAX_GROWTH_PAGES, "%d rounds of open and close took %ld pages",
		    ROUNDS, resident_pages() - pages);
}

/* ---- settings ------------------------------------------------------------ */

static int open_with(struct weir_rig *rig, const char *key, const char *value, struct weir_error *err)
{
	char override[128];
	int code;

	snprintf(override, sizeof override, "%s=%s", key, value);
	code = weir_rig_try_open(rig, override, err);
	if (code == WEIR_OK)
		weir_rig_try_close(rig, weir_rig_deadline(rig, 5000), WEIR_CLOSE_ABORT);
	return code;
}

static void lif_04(struct weir_rig *rig)
{
	struct weir_error err = WEIR_ERROR_INIT;

	weir_rig_code(rig, "open with the key \"noSuchKey\"", open_with(rig, "noSuchKey", "1", &err), WEIR_EINVAL);
	WEIR_EXPECT(rig, strstr(err.text, "noSuchKey"), "the error does not name the key: \"%s\"", err.text);
}

/* The core has checked type and range; asking again costs nothing and keeps a careless host from harm. */
static void lif_04_values(struct weir_rig *rig)
{
	struct weir_error err = WEIR_ERROR_INIT;
	uint32_t looked_at = 0;

	for (uint32_t i = 0; i < rig->ops->option_count; i++) {
		const struct weir_option *option = &rig->ops->options[i];

		if (option->type == WEIR_OPT_STRING || option->type == WEIR_OPT_LIST)
			continue;
		looked_at++;
		err = (struct weir_error)WEIR_ERROR_INIT;
		WEIR_EXPECT(rig, open_with(rig, option->key, "\x01no-value", &err) == WEIR_EINVAL,
			    "a value of %s that cannot be was not refused with EINVAL", option->key);
		WEIR_EXPECT(rig, strstr(err.text, option->key), "the error does not name the key %s: \"%s\"",
			    option->key, err.text);
	}
	if (!looked_at)
		weir_rig_skip(rig, "it has no setting whose type says that a value is wrong");
}

static const char secret[] = "s3cr3t-C4n4ry-0f-c0nf0rm";

static void find_secret(struct weir_rig *rig, const char *text, const char *where)
{
	WEIR_EXPECT(rig, !strstr(text, secret), "a secret setting's value is in %s", where);
}

static void log_watch(void *ctx, int level, const char *text)
{
	(void)level;
	find_secret(ctx, text, "a line of the log");
}

/* Refused or not, with the canary in every secret option. */
static void lif_05(struct weir_rig *rig)
{
	struct weir_error err = WEIR_ERROR_INIT;
	char overrides[512] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < rig->ops->option_count && used < 400; i++)
		if (rig->ops->options[i].flags & WEIR_OPTION_SECRET)
			used += (size_t)snprintf(overrides + used, sizeof overrides - used, "%s=%s ",
						 rig->ops->options[i].key, secret);
	if (!used)
		weir_rig_skip(rig, "it has no setting that is secret");
	rig->host.log = log_watch;
	if (weir_rig_try_open(rig, overrides, &err) == WEIR_OK) {
		struct weir_health health = { .size = sizeof health };

		weir_rig_try_await(rig, WEIR_EV_DOWN, 1, weir_rig_deadline(rig, 2000));
		find_secret(rig, rig->last_error.text, "an event's error");
		if (rig->ops->health(rig->inst, &health) == WEIR_OK)
			find_secret(rig, health.error.text, "health()");
		weir_rig_try_close(rig, weir_rig_deadline(rig, 5000), WEIR_CLOSE_ABORT);
	}
	find_secret(rig, err.text, "the error of open");
}

/* ---- several, and none --------------------------------------------------- */

static void lif_06(struct weir_rig *rig)
{
	struct weir_rig *twin = weir_rig_twin(rig);
	struct weir_rig_topic *topic = weir_rig_topic(rig, "one"), *other;
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST), *sub2;
	char path[300];

	/* Two of the same store are not what is asked. */
	snprintf(path, sizeof path, "path=%s/%s-twin", rig->target->folder, rig->conform_case->id);
	weir_rig_open(twin, weir_rig_has_option(rig, "path") ? path : NULL);
	other = weir_rig_topic(twin, "two");
	sub2 = weir_rig_subscribe(twin, other, "s", WEIR_START_LATEST);
	WEIR_EXPECT(rig, rig->inst != twin->inst, "two instances are one");
	weir_rig_credit(rig, sub, 10);
	weir_rig_credit(twin, sub2, 10);
	weir_rig_publish(rig, topic, 3);
	weir_rig_publish(twin, other, 2);
	weir_rig_receive(rig, sub, 3);
	weir_rig_receive(twin, sub2, 2);
	weir_rig_twin_free(twin);
	/* CLOSED was noted for the twin: what follows is of members that are new. */
	weir_rig_end(rig, sub, true);
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_credit(rig, sub, 10);
	weir_rig_marker(rig, topic, sub);
}

static void lif_07(struct weir_rig *rig)
{
	struct weir_error err = WEIR_ERROR_INIT;

	for (int i = 0; i < 10; i++) {
		weir_rig_code(rig, "open with a key that is none", open_with(rig, "noSuchKey", "1", &err), WEIR_EINVAL);
		weir_rig_code(rig, "open", weir_rig_try_open(rig, NULL, &err), WEIR_OK);
		weir_rig_code(rig, "close right after open",
			      weir_rig_try_close(rig, weir_rig_deadline(rig, 10000), WEIR_CLOSE_ABORT), WEIR_OK);
	}
}

/* The core's guard stands before every driver: with this one behind it, it must refuse. */
static void lif_08(struct weir_rig *rig)
{
	struct weir_guard guard;
	struct weir_caps caps = { .size = sizeof caps };
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_topic *topic = NULL;
	size_t count = 0;

	weir_guard_init(&guard, rig->driver);
	guard.inst = rig->inst;
	guard.level = WEIR_THREAD_FREE;
	weir_rig_code(rig, "shutting the guard", weir_guard_shut(&guard, weir_rig_deadline(rig, 1000), &err), WEIR_OK);
	weir_rig_code(rig, "topic_open after close", weir_guard_topic_open(&guard, "conform", "t", &topic, &err),
		      WEIR_ECLOSED);
	weir_rig_code(rig, "publish after close", weir_guard_publish(&guard, NULL, 0, &count, &err), WEIR_ECLOSED);
	weir_rig_code(rig, "poll after close", weir_guard_poll(&guard, NULL, 0, &count), WEIR_ECLOSED);
	weir_rig_code(rig, "caps after close", weir_guard_caps(&guard, &caps), WEIR_ECLOSED);
}

/* ---- topics that are not there ------------------------------------------- */

static void lif_09(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "new");

	/* A driver that may create makes it; one that may not has reported WEIR_EV_TOPIC_FAILED, which fails above. */
	weir_rig_publish(rig, topic, 1);
	WEIR_EXPECT(rig, rig->latest_done.outcome == WEIR_PERSISTED, "publishing to a topic that was new failed");
}

static void lif_10(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "neverseen", WEIR_START_LATEST);

	weir_rig_credit(rig, sub, 1);
	weir_rig_marker(rig, topic, sub);
}

static void lif_11(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_topic *again = NULL;

	for (int i = 0; i < 20; i++) {
		weir_rig_code(rig, "topic_open of an open topic",
			      rig->ops->topic_open(rig->inst, "conform", topic->name, &again, &err), WEIR_OK);
		WEIR_EXPECT(rig, again == topic->topic, "the same names gave another topic");
	}
	for (int i = 0; i < 20; i++)
		rig->ops->topic_close(rig->inst, again);
	weir_rig_publish(rig, topic, 1);
}

static int delete_topic(struct weir_rig *rig, const char *name)
{
	return rig->ops->topic_delete(rig->inst, "conform", name, weir_rig_deadline(rig, 10000), NULL);
}

static void lif_11_unclaimed(struct weir_rig *rig)
{
	weir_rig_code(rig, "topic_delete without its capability", delete_topic(rig, "t"), WEIR_ENOTSUP);
}

static void lif_13(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_caps before = rig->caps, caps;

	for (int i = 0; i < 50; i++) {
		weir_rig_publish(rig, topic, 1);
		caps = (struct weir_caps){ .size = sizeof caps };
		weir_rig_code(rig, "caps", rig->ops->caps(rig->inst, &caps), WEIR_OK);
		if (rig->seen[WEIR_EV_CAPS_CHANGED]) {
			before = caps;
			rig->seen[WEIR_EV_CAPS_CHANGED] = 0;
		}
		WEIR_EXPECT(rig,
			    caps.bits == before.bits && caps.max_record_bytes == before.max_record_bytes &&
				caps.thread_level == before.thread_level,
			    "capabilities changed without WEIR_EV_CAPS_CHANGED");
	}
}

static void lif_14(struct weir_rig *rig)
{
	struct weir_health health = { .size = sizeof health };
	int64_t start_ns = weir_clock_now_ns();
	int code = rig->ops->health(rig->inst, &health);

	WEIR_EXPECT(rig, code == WEIR_OK || code == WEIR_ENOTSUP, "health answered %s", weir_code_name(code));
	WEIR_EXPECT(rig, weir_clock_now_ns() - start_ns < 100 * WEIR_NS_PER_MS, "health() blocked");
	if (code == WEIR_OK)
		WEIR_EXPECT(rig, health.state == WEIR_HEALTH_UP, "health is %" PRIu32 " of a backend that is up: %s",
			    health.state, health.error.text);
	/* A host that knows a shorter struct gets no more than that. */
	memset(&health, 0x5a, sizeof health);
	health.size = offsetof(struct weir_health, error);
	if (rig->ops->health(rig->inst, &health) == WEIR_OK)
		WEIR_EXPECT(rig, health.error.size == 0x5a5a5a5a, "health() wrote beyond the size it was given");
}

static void crash_at_once(struct weir_rig *rig, void *arg)
{
	(void)arg;
	weir_rig_open(rig, NULL);
	weir_rig_topic(rig, "t");
}

static void lif_15(struct weir_rig *rig)
{
	struct weir_error err = WEIR_ERROR_INIT;
	int64_t deadline_ns = weir_rig_deadline(rig, 30000);
	int code;

	weir_rig_life(rig, crash_at_once, NULL, 0);
	while ((code = weir_rig_try_open(rig, NULL, &err)) == WEIR_EBUSY && weir_clock_now_ns() < deadline_ns)
		WEIR_EXPECT(rig, err.retry != WEIR_RETRY_NEVER, "EBUSY is not marked as worth another try");
	weir_rig_code(rig, "open after a kill", code, WEIR_OK);
	weir_rig_await(rig, WEIR_EV_UP, 1);
}

static const struct weir_conform_case cases[] = {
	{ "LIF-01", WEIR_MUST, WEIR_CASE_CLOSED, 120, 0, lif_01, NULL,
	  "opening and closing many times leaves no descriptor, thread or memory behind", NULL },
	{ "LIF-04", WEIR_MUST, WEIR_CASE_CLOSED, 0, 0, lif_04, NULL, "an unknown key is refused with EINVAL and named",
	  NULL },
	{ "LIF-04v", WEIR_SHOULD, WEIR_CASE_CLOSED, 0, 0, lif_04_values, NULL, "... and so is a wrong value", NULL },
	{ "LIF-05", WEIR_MUST, WEIR_CASE_CLOSED, 0, 0, lif_05, NULL, "secrets are in no error, no log line, no health",
	  NULL },
	{ "LIF-06", WEIR_MUST, 0, 0, 0, lif_06, NULL, "two instances do not affect each other", NULL },
	{ "LIF-07", WEIR_MUST, WEIR_CASE_CLOSED, 0, 0, lif_07, NULL,
	  "close works right after open, and open after an open that failed", NULL },
	{ "LIF-08", WEIR_MUST, 0, 0, 0, lif_08, NULL, "every operation after close answers ECLOSED (the core's guard)",
	  NULL },
	{ "LIF-09", WEIR_MUST, 0, 0, 0, lif_09, NULL, "a topic that is missing is made, or reported as failed", NULL },
	{ "LIF-10", WEIR_MUST, 0, 0, 0, lif_10, NULL, "a subscription that is missing is made", NULL },
	{ "LIF-11", WEIR_MUST, 0, 0, CAP(TOPIC_ADMIN), lif_11, lif_11_unclaimed,
	  "opening a topic that is there is the same topic, counted", NULL },
	{ "LIF-13", WEIR_MUST, 0, 0, 0, lif_13, NULL, "capabilities stay until WEIR_EV_CAPS_CHANGED", NULL },
	{ "LIF-14", WEIR_MUST, 0, 0, 0, lif_14, NULL, "health tells how it is, without blocking", NULL },
	{ "LIF-15", WEIR_SHOULD, WEIR_CASE_CLOSED, 60, 0, lif_15, NULL,
	  "opening right after the process before was killed works, or is worth another try", NULL },
};

WEIR_GROUP(life, "LIF", "lifecycle and configuration");
