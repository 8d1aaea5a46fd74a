/* SPDX-License-Identifier: Apache-2.0 */
/* FLT: the server and the network break and come back. What was confirmed arrives; the driver comes back by itself. */
#include "conform/case.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <weir/harness.h>

#include "conform/harness.h"

enum { HARNESS_MS = 60000, BACK_MS = 60000, AWAY_MS = 60000 };

/* ---- the server ---------------------------------------------------------- */

static void server(struct weir_rig *rig, const char *verb)
{
	int status = weir_harness_run(rig->target->harness, verb, NULL, NULL, NULL, 0,
				      weir_clock_now_ns() + HARNESS_MS * WEIR_NS_PER_MS);

	if (status == WEIR_HARNESS_NONE)
		weir_rig_skip(rig, "the harness has no '%s'", verb);
	if (status)
		weir_rig_broken(rig, "the harness failed at '%s' with status %d", verb, status);
}

static struct weir_proxy_control *network(struct weir_rig *rig)
{
	if (!rig->target->proxy || !rig->target->proxy->pid)
		weir_rig_skip(rig, "the harness does not let the kit's proxy stand between");
	return rig->target->proxy->control;
}

/* Whatever the case before has left. */
static void mend(struct weir_rig *rig)
{
	if (rig->target->proxy && rig->target->proxy->control) {
		atomic_store(&rig->target->proxy->control->mode, WEIR_PROXY_PASS);
		atomic_store(&rig->target->proxy->control->delay_ms, 0);
	}
}

/* ---- a channel under load ------------------------------------------------ */

struct load {
	struct weir_rig_topic *topic;
	struct weir_rig_sub *subs[3];
};

static void load_begin(struct weir_rig *rig, struct load *load)
{
	static const char *const uids[] = { "one", "two", "three" };

	mend(rig);
	weir_rig_open(rig, NULL);
	load->topic = weir_rig_topic(rig, "t");
	for (int i = 0; i < 3; i++) {
		load->subs[i] = weir_rig_subscribe(rig, load->topic, uids[i], WEIR_START_LATEST);
		weir_rig_credit(rig, load->subs[i], 100000);
	}
	rig->auto_ack = true;
	/* A disconnection may bring again what was out, and what was acked and not stored. */
	rig->rules.duplicates = 100000;
}

/* Publishes, polls and acks for a while, whatever is broken. What is refused meanwhile was not accepted. */
static void load_run(struct weir_rig *rig, struct load *load, int64_t ms)
{
	int64_t end_ns = weir_clock_now_ns() + ms * WEIR_NS_PER_MS;
	uint64_t number;

	while (weir_clock_now_ns() < end_ns) {
		for (int i = 0; i < 5; i++)
			rig->sent += weir_rig_try_send(rig, load->topic, &number, NULL) == WEIR_OK;
		weir_rig_pump(rig, weir_clock_now_ns() + 10 * WEIR_NS_PER_MS);
	}
}

static void await_all_done(struct weir_rig *rig)
{
	int64_t deadline_ns = weir_rig_deadline(rig, BACK_MS);

	while (rig->completed < rig->sent && weir_clock_now_ns() < deadline_ns)
		weir_rig_pump(rig, weir_clock_now_ns() + 50 * WEIR_NS_PER_MS);
	WEIR_EXPECT(rig, rig->completed >= rig->sent, "%" PRIu64 " publishes have no outcome a minute after",
		    rig->sent - rig->completed);
}

/* Publishing works again: one that is persisted is found. */
static void await_working(struct weir_rig *rig, struct load *load)
{
	int64_t deadline_ns = weir_rig_deadline(rig, BACK_MS);
	uint64_t number, persisted = rig->persisted;

	while (rig->persisted == persisted && weir_clock_now_ns() < deadline_ns) {
		rig->sent += weir_rig_try_send(rig, load->topic, &number, NULL) == WEIR_OK;
		for (int i = 0; i < 5; i++)
			weir_rig_pump(rig, weir_clock_now_ns() + 20 * WEIR_NS_PER_MS);
	}
	WEIR_EXPECT(rig, rig->persisted > persisted, "a minute after it was mended no publish is persisted: %s",
		    rig->last_error.text);
}

static void load_end(struct weir_rig *rig, struct load *load)
{
	await_working(rig, load);
	await_all_done(rig);
	/* Every subscription delivers again without being asked, and acks count. */
	rig->auto_ack = false;
	for (int i = 0; i < 3; i++)
		weir_rig_drain(rig, load->subs[i]);
}

static void through_server(struct weir_rig *rig, const char *away, const char *back, int64_t ms)
{
	struct load load;

	load_begin(rig, &load);
	load_run(rig, &load, 300);
	server(rig, away);
	load_run(rig, &load, ms);
	server(rig, back);
	load_end(rig, &load);
}

static void flt_02(struct weir_rig *rig)
{
	through_server(rig, "kill", "start", 500);
}

static void flt_02_orderly(struct weir_rig *rig)
{
	through_server(rig, "stop", "start", 500);
}

static void flt_11(struct weir_rig *rig)
{
	through_server(rig, "pause", "resume", 3000);
	WEIR_EXPECT(rig, atomic_load(&rig->shared->longest_ns) < weir_rig_ms(rig, 1500) * WEIR_NS_PER_MS,
		    "%s blocked for %" PRId64 " ms while the server was silent", rig->shared->longest,
		    atomic_load(&rig->shared->longest_ns) / WEIR_NS_PER_MS);
}

static void dur_02(struct weir_rig *rig)
{
	struct load load;

	load_begin(rig, &load);
	for (int i = 0; i < 5; i++) {
		load_run(rig, &load, 100 + (int64_t)((rig->target->seed + (uint64_t)i * 37) % 150));
		server(rig, "kill");
		load_run(rig, &load, 100);
		server(rig, "start");
		await_working(rig, &load);
	}
	load_end(rig, &load);
}

/* ---- the network --------------------------------------------------------- */

static void through_network(struct weir_rig *rig, enum weir_proxy_mode mode, uint32_t delay_ms, int64_t ms)
{
	struct weir_proxy_control *control = network(rig);
	struct load load;

	load_begin(rig, &load);
	load_run(rig, &load, 300);
	atomic_store(&control->delay_ms, delay_ms);
	atomic_store(&control->mode, (int)mode);
	load_run(rig, &load, ms);
	mend(rig);
	load_end(rig, &load);
}

static void flt_01_cut(struct weir_rig *rig)
{
	through_network(rig, WEIR_PROXY_CUT, 0, 4000);
	WEIR_EXPECT(rig, atomic_load(&rig->shared->longest_ns) < weir_rig_ms(rig, 1500) * WEIR_NS_PER_MS,
		    "%s blocked for %" PRId64 " ms while the network was cut", rig->shared->longest,
		    atomic_load(&rig->shared->longest_ns) / WEIR_NS_PER_MS);
}

static void flt_01_refuse(struct weir_rig *rig)
{
	through_network(rig, WEIR_PROXY_REFUSE, 0, 2000);
}

static void flt_01_delay(struct weir_rig *rig)
{
	through_network(rig, WEIR_PROXY_DELAY, 200, 3000);
}

static void flt_01_reset(struct weir_rig *rig)
{
	struct weir_proxy_control *control = network(rig);
	struct load load;

	load_begin(rig, &load);
	for (int i = 0; i < 10; i++) {
		load_run(rig, &load, 200);
		atomic_fetch_add(&control->resets, 1);
	}
	load_end(rig, &load);
}

/* Requests arrive and their answers do not: what is not confirmed is unknown, never "not persisted". */
static void flt_04(struct weir_rig *rig)
{
	struct weir_proxy_control *control = network(rig);
	struct load load;

	load_begin(rig, &load);
	load_run(rig, &load, 300);
	atomic_store(&control->mode, WEIR_PROXY_NO_ANSWER);
	load_run(rig, &load, 500);
	atomic_store(&control->mode, WEIR_PROXY_REFUSE);
	load_run(rig, &load, 500);
	mend(rig);
	/* The judge: whatever was said not to be persisted must not be delivered. */
	load_end(rig, &load);
}

/* ---- opening ------------------------------------------------------------- */

static void lif_02(struct weir_rig *rig)
{
	struct weir_proxy_control *control = network(rig);
	struct weir_error err = WEIR_ERROR_INIT;
	int64_t start_ns = weir_clock_now_ns(), took_ms;
	int code;

	atomic_store(&control->mode, WEIR_PROXY_REFUSE);
	code = weir_rig_try_open(rig, NULL, &err);
	took_ms = (weir_clock_now_ns() - start_ns) / WEIR_NS_PER_MS;
	WEIR_EXPECT(rig, code == WEIR_OK || code == WEIR_EUNAVAIL, "open with the server away answered %s",
		    weir_code_name(code));
	WEIR_EXPECT(rig, took_ms < weir_rig_ms(rig, 11000), "open with the server away took %" PRId64 " ms", took_ms);
	if (code) {
		mend(rig);
		return;
	}
	WEIR_EXPECT(rig, weir_rig_try_await(rig, WEIR_EV_DOWN, 1, weir_rig_deadline(rig, 15000)),
		    "it opened with the server away and reports no DOWN");
	mend(rig);
	WEIR_EXPECT(rig, weir_rig_try_await(rig, WEIR_EV_UP, 1, weir_rig_deadline(rig, BACK_MS)),
		    "the server came, and it reports no UP");
	rig->caps = (struct weir_caps){ .size = sizeof rig->caps };
	rig->ops->caps(rig->inst, &rig->caps);
	weir_rig_publish(rig, weir_rig_topic(rig, "t"), 10);
}

/* ---- down and up --------------------------------------------------------- */

static void flt_03(struct weir_rig *rig)
{
	struct weir_proxy_control *control = network(rig);
	struct weir_health health = { .size = sizeof health };
	struct load load;

	load_begin(rig, &load);
	atomic_store(&control->mode, WEIR_PROXY_REFUSE);
	WEIR_EXPECT(rig, weir_rig_try_await(rig, WEIR_EV_DOWN, 1, weir_rig_deadline(rig, AWAY_MS)),
		    "the server is away, and no DOWN was reported");
	WEIR_EXPECT(rig, rig->last_error.text[0], "DOWN does not say why");
	if (rig->ops->health(rig->inst, &health) == WEIR_OK)
		WEIR_EXPECT(rig, health.state != WEIR_HEALTH_UP, "the server is away, and health says that it is up");
	mend(rig);
	WEIR_EXPECT(rig, weir_rig_try_await(rig, WEIR_EV_UP, 2, weir_rig_deadline(rig, BACK_MS)),
		    "the server came back, and no UP was reported");
	load_end(rig, &load);
}

/* ---- without a server ---------------------------------------------------- */

/* No descriptors left: open fails with an error, and works once there are some. */
static void flt_10_files(struct weir_rig *rig)
{
	struct rlimit before, none;
	struct weir_error err = WEIR_ERROR_INIT;
	int code;

	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = 4;
	setrlimit(RLIMIT_NOFILE, &none);
	code = weir_rig_try_open(rig, NULL, &err);
	setrlimit(RLIMIT_NOFILE, &before);
	if (code == WEIR_OK) {
		weir_rig_try_close(rig, weir_rig_deadline(rig, 5000), WEIR_CLOSE_ABORT);
	} else {
		WEIR_EXPECT(rig, err.text[0], "open without descriptors fails and says nothing");
	}
	weir_rig_open(rig, NULL);
	weir_rig_publish(rig, weir_rig_topic(rig, "t"), 10);
	WEIR_EXPECT(rig, rig->completed == 10, "after a shortage of descriptors it does not publish");
}

/* Files cannot grow any more, as on a disk that is full; then they can. */
static void flt_10_disk(struct weir_rig *rig)
{
	struct rlimit before, full;
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;
	uint64_t number, refused = 0;
	int code;

	if (!weir_rig_has_option(rig, "path"))
		weir_rig_skip(rig, "it keeps no store of its own");
	signal(SIGXFSZ, SIG_IGN);
	weir_rig_open(rig, NULL);
	topic = weir_rig_topic(rig, "t");
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_publish(rig, topic, 100);
	getrlimit(RLIMIT_FSIZE, &before);
	full = before;
	full.rlim_cur = 4096;
	setrlimit(RLIMIT_FSIZE, &full);
	rig->shape.body = 4096;
	for (int i = 0; i < 500; i++) {
		code = weir_rig_try_send(rig, topic, &number, NULL);
		rig->sent += code == WEIR_OK;
		refused += code != WEIR_OK;
		weir_rig_pump(rig, 0);
	}
	await_all_done(rig);
	setrlimit(RLIMIT_FSIZE, &before);
	WEIR_EXPECT(rig, refused + rig->unpersisted > 0 || rig->completed == rig->sent, "publishes vanished");
	/* What could not be stored may be told now; then it was not said to be persisted. */
	code = weir_rig_try_close(rig, weir_rig_deadline(rig, 10000), WEIR_CLOSE_FLUSH);
	WEIR_EXPECT(rig, code == WEIR_OK || code == WEIR_EIO || code == WEIR_ELIMIT, "close answered %s",
		    weir_code_name(code));
	/* What was said to be persisted is; what was said not to be is not. */
	weir_rig_open(rig, NULL);
	topic = weir_rig_topic(rig, "t");
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_publish(rig, topic, 10);
	weir_rig_drain(rig, sub);
}

static const struct weir_conform_case cases[] = {
	{ "FLT-01c", WEIR_MUST, WEIR_CASE_CLOSED | WEIR_CASE_HARNESS | WEIR_CASE_FAULTS, 180, 0, flt_01_cut, NULL,
	  "the network is cut without a word for 4 s", NULL },
	{ "FLT-01d", WEIR_MUST, WEIR_CASE_CLOSED | WEIR_CASE_HARNESS | WEIR_CASE_FAULTS, 180, 0, flt_01_delay, NULL,
	  "everything takes 200 ms longer each way", NULL },
	{ "FLT-01r", WEIR_MUST, WEIR_CASE_CLOSED | WEIR_CASE_HARNESS | WEIR_CASE_FAULTS, 180, 0, flt_01_reset, NULL,
	  "all connections are reset ten times", NULL },
	{ "FLT-01x", WEIR_MUST, WEIR_CASE_CLOSED | WEIR_CASE_HARNESS | WEIR_CASE_FAULTS, 180, 0, flt_01_refuse, NULL,
	  "connections are refused for 2 s", NULL },
	{ "FLT-02", WEIR_MUST, WEIR_CASE_CLOSED | WEIR_CASE_HARNESS | WEIR_CASE_FAULTS, 240, CAP(DURABLE), flt_02, NULL,
	  "the server is killed under load and started again", NULL },
	{ "FLT-02o", WEIR_MUST, WEIR_CASE_CLOSED | WEIR_CASE_HARNESS | WEIR_CASE_FAULTS, 240, CAP(DURABLE),
	  flt_02_orderly, NULL, "the server is stopped under load and started again", NULL },
	{ "FLT-03", WEIR_MUST, WEIR_CASE_CLOSED | WEIR_CASE_HARNESS | WEIR_CASE_FAULTS, 240, 0, flt_03, NULL,
	  "DOWN, UP, and every subscription delivers again by itself", NULL },
	{ "FLT-04", WEIR_MUST, WEIR_CASE_CLOSED | WEIR_CASE_HARNESS | WEIR_CASE_FAULTS, 240, 0, flt_04, NULL,
	  "confirmations get lost: the outcome is unknown, not failed", NULL },
	{ "FLT-10f", WEIR_MUST, WEIR_CASE_CLOSED | WEIR_CASE_FAULTS, 0, 0, flt_10_files, NULL,
	  "no descriptors: an error, and it recovers", NULL },
	{ "FLT-10d", WEIR_MUST, WEIR_CASE_CLOSED | WEIR_CASE_FAULTS, 120, CAP(DURABLE), flt_10_disk, NULL,
	  "a full disk: an honest outcome, and it recovers", NULL },
	{ "FLT-11", WEIR_MUST, WEIR_CASE_CLOSED | WEIR_CASE_HARNESS | WEIR_CASE_FAULTS, 240, 0, flt_11, NULL,
	  "the server is silent for 3 s: nothing blocks", NULL },
	{ "FLT-20", WEIR_MUST, WEIR_CASE_CLOSED | WEIR_CASE_HARNESS | WEIR_CASE_FAULTS, 600, CAP(DURABLE), dur_02, NULL,
	  "the server is killed five times at random moments under load (DUR-02)", NULL },
	{ "FLT-21", WEIR_MUST, WEIR_CASE_CLOSED | WEIR_CASE_HARNESS | WEIR_CASE_FAULTS, 180, 0, lif_02, NULL,
	  "opening while the server is away, which then comes (LIF-02, LIF-03)", NULL },
};

WEIR_GROUP(faults, "FLT", "faults");
