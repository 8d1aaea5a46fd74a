/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drivers against a model: random operations, each checked against what a few
 * tables say must be. WEIR_MODEL_SEED repeats one run, WEIR_MODEL_RUNS makes
 * more of them.
 */
#include "driver_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOPICS = 2, SUBS = 3, RECORDS = 400, STEPS = 700 };

enum state {
	NONE, /* not for this subscription */
	PENDING,
	OUT,
	DONE,
};

struct model_sub {
	bool exists;
	struct weir_sub *member; /* NULL: nobody reads now */
	enum state state[RECORDS];
	uint32_t attempts[RECORDS];
	struct weir_driver_event out[RECORDS];
	int last_first; /* newest record that was delivered for the first time */
};

struct model {
	struct harness h;
	bool durable;
	struct weir_topic *topics[TOPICS];
	int published[TOPICS];
	struct model_sub subs[TOPICS][SUBS];
	unsigned random;
};

/* Not rand(): the same everywhere, and nobody else's. */
static unsigned pick(struct model *m, unsigned below)
{
	m->random = m->random * 1664525u + 1013904223u;
	return (m->random >> 8) % below;
}

static void model_open(struct model *m)
{
	char name[8];
	int t;

	harness_open(&m->h, NULL);
	for (t = 0; t < TOPICS; t++) {
		snprintf(name, sizeof name, "t%d", t);
		m->topics[t] = harness_topic(&m->h, name);
	}
}

/* ---- what happens to it ------------------------------------------------------------------ */

static struct model_sub *sub_of(struct model *m, const struct weir_sub *member, int *topic)
{
	int t, s;

	for (t = 0; t < TOPICS; t++)
		for (s = 0; s < SUBS; s++)
			if (m->subs[t][s].member == member) {
				*topic = t;
				return &m->subs[t][s];
			}
	fail_msg("a delivery for nobody");
	return NULL;
}

static void delivered(struct model *m, struct weir_driver_event *event)
{
	int t = 0, number;
	struct model_sub *sub = sub_of(m, event->sub, &t);
	char text[32];

	assert_true(event->record.body.len < sizeof text);
	memcpy(text, event->record.body.ptr, event->record.body.len);
	text[event->record.body.len] = '\0';
	m->h.ops.release(event->lease);
	assert_int_equal(text[0] - '0', t);
	number = atoi(text + 2);
	assert_in_range(number, 0, m->published[t] - 1);
	assert_int_equal(sub->state[number], PENDING);
	assert_int_equal(event->attempt, ++sub->attempts[number]);
	assert_int_equal(event->flags, event->attempt > 1 ? WEIR_MSG_REDELIVERED : 0);
	if (event->attempt == 1) {
		assert_true(number > sub->last_first);
		sub->last_first = number;
	}
	sub->state[number] = OUT;
	sub->out[number] = *event;
}

static void drain(struct model *m)
{
	struct weir_driver_event event;

	while (harness_take(&m->h, WEIR_EV_DELIVER, &event))
		delivered(m, &event);
}

static void publish(struct model *m, int t)
{
	char text[32];
	int s;

	if (m->published[t] == RECORDS)
		return;
	snprintf(text, sizeof text, "%d:%d", t, m->published[t]);
	harness_publish(&m->h, m->topics[t], text);
	for (s = 0; s < SUBS; s++)
		if (m->subs[t][s].exists)
			m->subs[t][s].state[m->published[t]] = PENDING;
	m->published[t]++;
}

static void subscribe(struct model *m, int t, int s)
{
	struct model_sub *sub = &m->subs[t][s];
	char uid[8];

	snprintf(uid, sizeof uid, "s%d", s);
	if (sub->member)
		return;
	sub->member = harness_subscribe(&m->h, m->topics[t], uid, WEIR_START_LATEST);
	if (!sub->exists)
		sub->last_first = -1;
	sub->exists = true;
}

/* What was out is not any more. */
static void came_back(struct model_sub *sub)
{
	int i;

	sub->member = NULL;
	for (i = 0; i < RECORDS; i++)
		if (sub->state[i] == OUT)
			sub->state[i] = PENDING;
}

static void unsubscribe(struct model *m, int t, int s, bool keep)
{
	struct model_sub *sub = &m->subs[t][s];

	if (!sub->member)
		return;
	drain(m);
	harness_unsubscribe(&m->h, sub->member, keep);
	came_back(sub);
	if (!keep)
		memset(sub, 0, sizeof *sub);
}

static void settle(struct model *m, int t, int s)
{
	static const int verbs[] = { WEIR_ACK, WEIR_ACK, WEIR_ACK, WEIR_NACK, WEIR_NACK, WEIR_TERM };
	struct model_sub *sub = &m->subs[t][s];
	int start = (int)pick(m, RECORDS), i, n, verb = verbs[pick(m, 6)];

	if (!sub->member)
		return;
	for (i = 0; i < RECORDS; i++) {
		n = (start + i) % RECORDS;
		if (sub->state[n] == OUT)
			break;
	}
	if (i == RECORDS)
		return;
	assert_int_equal(harness_settle(&m->h, sub->member, verb, &sub->out[n], verb == WEIR_NACK ? pick(m, 3) : 0),
			 WEIR_OK);
	sub->state[n] = verb == WEIR_NACK ? PENDING : DONE;
	assert_int_equal(harness_settle(&m->h, sub->member, WEIR_ACK, &sub->out[n], 0), WEIR_ESTALE);
}

static void reopen(struct model *m)
{
	int t, s;

	drain(m);
	harness_close(&m->h);
	for (t = 0; t < TOPICS; t++)
		for (s = 0; s < SUBS; s++)
			came_back(&m->subs[t][s]);
	model_open(m);
}

/* ---- a run ------------------------------------------------------------------------------------- */

static void step(struct model *m)
{
	int t = (int)pick(m, TOPICS), s = (int)pick(m, SUBS);
	unsigned what = pick(m, 100);

	if (what < 35)
		publish(m, t);
	else if (what < 45)
		subscribe(m, t, s);
	else if (what < 75)
		settle(m, t, s);
	else if (what < 95 && m->subs[t][s].member)
		harness_credit(&m->h, m->subs[t][s].member, pick(m, 6));
	else if (what < 97)
		unsubscribe(m, t, s, true);
	else if (what < 98)
		unsubscribe(m, t, s, false);
	else if (m->durable)
		reopen(m);
	if (pick(m, 3))
		drain(m);
}

static int open_ends(const struct model *m)
{
	int t, s, i, count = 0;

	for (t = 0; t < TOPICS; t++)
		for (s = 0; s < SUBS; s++)
			for (i = 0; i < RECORDS; i++)
				count += m->subs[t][s].state[i] == PENDING || m->subs[t][s].state[i] == OUT;
	return count;
}

/* Everybody reads and acknowledges until nothing is left; then the driver has nothing left either. */
static void finish(struct model *m)
{
	int t, s, i;

	for (t = 0; t < TOPICS; t++)
		for (s = 0; s < SUBS; s++) {
			subscribe(m, t, s);
			harness_credit(&m->h, m->subs[t][s].member, 10 * RECORDS);
		}
	while (open_ends(m)) {
		for (t = 0; t < TOPICS; t++)
			for (s = 0; s < SUBS; s++)
				for (i = 0; i < RECORDS; i++)
					if (m->subs[t][s].state[i] == OUT) {
						harness_ack(&m->h, &m->subs[t][s].out[i]);
						m->subs[t][s].state[i] = DONE;
					}
		if (open_ends(m)) {
			struct weir_driver_event event = harness_wait(&m->h, WEIR_EV_DELIVER);

			delivered(m, &event);
			drain(m);
		}
	}
	harness_silence(&m->h, WEIR_EV_DELIVER);
	for (t = 0; t < TOPICS; t++)
		for (s = 0; s < SUBS; s++) {
			struct weir_sub_stats stats = { .size = sizeof stats };

			m->h.ops.sub_stats(m->h.inst, m->subs[t][s].member, &stats);
			assert_int_equal(stats.lag, 0);
			assert_int_equal(stats.unsettled, 0);
		}
}

static void run(const char *driver, bool durable)
{
	const char *given = getenv("WEIR_MODEL_SEED"), *more = getenv("WEIR_MODEL_RUNS");
	int runs = given ? 1 : more ? atoi(more) : 12, i, n;
	struct model *m = calloc(1, sizeof *m);

	assert_non_null(m);
	for (n = 0; n < runs; n++) {
		memset(m, 0, sizeof *m);
		m->random = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)harness_now();
		m->durable = durable;
		print_message("%s: WEIR_MODEL_SEED=%u\n", driver, m->random);
		harness_load(&m->h, driver);
		model_open(m);
		for (i = 0; i < STEPS; i++)
			step(m);
		finish(m);
		harness_unload(&m->h);
	}
	free(m);
}

static void memory_does_what_the_model_says(void **state)
{
	(void)state;
	run("memory", false);
}

static void embedded_does_what_the_model_says(void **state)
{
	(void)state;
	run("embedded", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_does_what_the_model_says),
		cmocka_unit_test(embedded_does_what_the_model_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
