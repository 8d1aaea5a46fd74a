/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded store under faults: killed at any moment, killed at a given sync
 * or write, a sync that fails, a disk that is full.
 *
 * The program starts itself as `test_fault_store worker FOLDER FIRST`, which
 * publishes and acknowledges without end and writes to its standard output what
 * was promised to it. The parent ends it, opens the store, and compares.
 *
 *   WEIR_KILLS           how many times it is killed at random; 30
 *   WEIR_FAULT_SETTINGS  settings for the worker's store; with sync=os the test of power cuts has to fail
 *   WEIR_FAULT_SWEEP     up to which sync and write it is killed; 12
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/driver_harness.h"

/* ---- the ledger ------------------------------------------------------------------------ */

enum {
	MAX_NUMBERS = 1 << 20,
	GROUP = 3,   /* records that persist together */
	FLYING = 16, /* publishes on their way at a time, and the rest of a group */
};

/* What the worker tells: one letter and a number. */
enum promise {
	CONFIRMED = 'c', /* publishing completed as persisted */
	REFUSED = 'r',   /* ... as not persisted */
	UNKNOWN = 'u',
	ACKING = 'a', /* about to be acknowledged */
	DEAD = 'd',   /* the driver says that the store is dead */
};

struct promise_line {
	char what;
	uint64_t number;
} __attribute__((packed));

/* By number: what was promised about it in this round, and what was found. */
static struct {
	bool confirmed, refused, acking, delivered;
} ledger[MAX_NUMBERS];

static size_t body_len(uint64_t number)
{
	if (number % 97 == 0)
		return 100000;
	return 8 + (size_t)(number * 2654435761u % 5000);
}

static void body_fill(unsigned char *body, uint64_t number)
{
	size_t i, len = body_len(number);

	memcpy(body, &number, 8);
	for (i = 8; i < len; i++)
		body[i] = (unsigned char)(number + i);
}

/* The number of a record whose every byte is as it was. */
static uint64_t body_check(struct weir_buf body)
{
	static unsigned char expected[100000];
	uint64_t number;

	assert_true(body.len >= 8);
	memcpy(&number, body.ptr, 8);
	assert_true(number < MAX_NUMBERS);
	assert_int_equal(body.len, body_len(number));
	body_fill(expected, number);
	assert_memory_equal(body.ptr, expected, body.len);
	return number;
}

/* ---- the worker ---------------------------------------------------------------------------- */

static struct harness worker;
static struct weir_topic *worker_topic;

static void tell(enum promise what, uint64_t number)
{
	struct promise_line line = { (char)what, number };

	if (write(STDOUT_FILENO, &line, sizeof line) != sizeof line)
		_exit(3);
}

/* Publishes the next GROUP numbers, to persist together or not at all. */
static bool worker_publish(uint64_t number)
{
	static unsigned char bodies[GROUP][100000];
	struct weir_publish items[GROUP];
	size_t accepted, i;

	memset(items, 0, sizeof items);
	for (i = 0; i < GROUP; i++) {
		body_fill(bodies[i], number + i);
		items[i].size = sizeof items[i];
		items[i].flags = i + 1 < GROUP ? WEIR_PUB_ATOMIC : 0;
		items[i].topic = worker_topic;
		items[i].tag = number + i;
		items[i].record.body = (struct weir_buf){ bodies[i], body_len(number + i) };
	}
	return worker.ops.publish(worker.inst, items, GROUP, &accepted, NULL) == WEIR_OK;
}

static void worker_delivery(const struct weir_driver_event *event)
{
	uint64_t number;

	memcpy(&number, event->record.body.ptr, 8);
	worker.ops.release(event->lease);
	if (number % 10 == 0) {
		worker.ops.settle(worker.inst, event->sub, WEIR_NACK, &event->token, 1, event->attempt * 5, NULL);
	} else if (number % 10 != 1) {
		tell(ACKING, number);
		worker.ops.settle(worker.inst, event->sub, WEIR_ACK, &event->token, 1, 0, NULL);
	}
	worker.ops.credit(worker.inst, event->sub, 1, 1 << 20);
}

static int worker_outcome(const struct weir_driver_event *event)
{
	tell(event->outcome == WEIR_PERSISTED ? CONFIRMED
	     : event->outcome == WEIR_UNKNOWN ? UNKNOWN
					      : REFUSED,
	     event->tag);
	return 1;
}

static struct weir_sub *worker_subscribe(const char *uid)
{
	struct weir_sub_spec spec = { .size = sizeof spec, .start = WEIR_START_EARLIEST, .name = uid, .uid = uid };
	struct weir_sub *sub;

	if (worker.ops.subscribe(worker.inst, worker_topic, &spec, &sub, NULL))
		_exit(4);
	return sub;
}

static int worker_main(const char *folder, uint64_t number)
{
	struct weir_driver_event events[64];
	struct weir_error err = WEIR_ERROR_INIT;
	int flying = 0, dead = 0;

	harness_load(&worker, "embedded");
	rmdir(worker.folder);
	snprintf(worker.folder, sizeof worker.folder, "%s", folder);
	if (harness_try_open(&worker, getenv("WEIR_FAULT_SETTINGS"), &err) ||
	    worker.ops.topic_open(worker.inst, "ns", "t", &worker_topic, &err)) {
		fprintf(stderr, "worker: %s\n", err.text);
		return 2;
	}
	worker_subscribe("keeper");
	worker.ops.credit(worker.inst, worker_subscribe("worker"), 200, 1 << 30);
	while (!dead || flying) {
		size_t count, i;

		while (!dead && flying < FLYING && worker_publish(number)) {
			number += GROUP;
			flying += GROUP;
		}
		events[0].size = sizeof events[0];
		worker.ops.poll(worker.inst, events, 64, harness_now() + INT64_C(1000000000), &count);
		for (i = 0; i < count; i++) {
			if (events[i].type == WEIR_EV_PUBLISHED)
				flying -= worker_outcome(&events[i]);
			else if (events[i].type == WEIR_EV_DELIVER)
				worker_delivery(&events[i]);
			else if (events[i].type == WEIR_EV_FATAL)
				dead = 1;
		}
	}
	tell(DEAD, 0);
	return worker_publish(number) ? 5 : 0;
}

/* ---- starting and ending it -------------------------------------------------------------------- */

struct child {
	pid_t pid;
	int ledger;
	struct promise_line line; /* as far as it was read */
	size_t have;
	uint64_t count[128]; /* lines of each letter */
	bool confirmed_after_death;
};

static char program[512];

/* `tool`: words of a command to run it under, NULL at the end; or NULL. */
static void child_start(struct child *child, const char *folder, uint64_t first, const char *const *tool)
{
	char number[32];
	char *argv[24];
	int ends[2], n = 0;

	memset(child, 0, sizeof *child);
	assert_int_equal(pipe(ends), 0);
	snprintf(number, sizeof number, "%llu", (unsigned long long)first);
	for (; tool && *tool; tool++)
		argv[n++] = strdup(*tool);
	argv[n++] = program;
	argv[n++] = strdup("worker");
	argv[n++] = strdup(folder);
	argv[n++] = number;
	argv[n] = NULL;
	child->pid = fork();
	if (child->pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		execvp(argv[0], argv);
		_exit(127);
	}
	assert_true(child->pid > 0);
	close(ends[1]);
	for (n--; n >= 0; n--)
		if (argv[n] != program && argv[n] != number)
			free(argv[n]);
	child->ledger = ends[0];
}

static void ledger_line(struct child *child, const struct promise_line *line)
{
	assert_true(line->number < MAX_NUMBERS);
	child->count[(unsigned char)line->what & 127]++;
	if (line->what == CONFIRMED) {
		ledger[line->number].confirmed = true;
		child->confirmed_after_death |= child->count[DEAD] != 0;
	} else if (line->what == REFUSED) {
		ledger[line->number].refused = true;
	} else if (line->what == ACKING) {
		ledger[line->number].acking = true;
	}
}

/* Reads what it promises until then. False: it is gone. */
static bool child_read(struct child *child, int64_t until_ns)
{
	struct pollfd fd = { child->ledger, POLLIN, 0 };
	ssize_t got;
	int64_t left;

	while ((left = until_ns - harness_now()) > 0) {
		if (poll(&fd, 1, (int)(left / 1000000) + 1) == 0)
			continue;
		got = read(child->ledger, (char *)&child->line + child->have, sizeof child->line - child->have);
		if (got <= 0)
			return false;
		child->have += (size_t)got;
		if (child->have < sizeof child->line)
			continue;
		child->have = 0;
		ledger_line(child, &child->line);
	}
	return true;
}

/* Reads what it promised until it is gone, and kills it at kill_ns. Returns its wait status. */
static int child_end(struct child *child, int64_t kill_ns)
{
	int status;

	if (child_read(child, kill_ns)) {
		kill(child->pid, SIGKILL);
		assert_false(child_read(child, harness_now() + INT64_C(60000000000)));
	}
	close(child->ledger);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	return status;
}

/* ---- comparing ------------------------------------------------------------------------------------ */

static struct weir_sub *resume(struct harness *h, struct weir_topic *topic, const char *uid)
{
	struct weir_sub *sub = harness_subscribe(h, topic, uid, WEIR_START_EARLIEST);

	harness_credit(h, sub, MAX_NUMBERS);
	return sub;
}

/* Takes and acknowledges all that a subscription gets, up to the marker. */
static void drain(struct harness *h, struct weir_sub *sub, uint64_t marker)
{
	uint64_t number, last = 0;

	do {
		struct weir_driver_event event = harness_wait(h, WEIR_EV_DELIVER);

		assert_ptr_equal(event.sub, sub);
		assert_int_equal(event.flags & WEIR_MSG_DAMAGED, 0);
		number = body_check(event.record.body);
		if (ledger[number].delivered)
			fail_msg("record %llu is in the store twice", (unsigned long long)number);
		ledger[number].delivered = true;
		if (!(event.flags & WEIR_MSG_REDELIVERED)) {
			assert_true(event.position > last);
			last = event.position;
		}
		h->ops.release(event.lease);
		harness_ack(h, &event);
	} while (number != marker);
}

static void publish_marker(struct harness *h, struct weir_topic *topic, uint64_t marker)
{
	static unsigned char body[100000];
	struct weir_record record = { 0 };

	body_fill(body, marker);
	record.body = (struct weir_buf){ body, body_len(marker) };
	harness_publish_record(h, topic, &record);
}

/* Opens the store after the worker has gone; all that was promised is there, once, whole. Empties it. */
static void check(struct harness *h, uint64_t first, uint64_t end)
{
	struct weir_topic *topic;
	struct weir_sub *sub;
	uint64_t i;

	harness_open(h, NULL);
	topic = harness_topic(h, "t");
	/* Both are there before the marker is, also if the worker did not come so far. */
	harness_unsubscribe(h, harness_subscribe(h, topic, "worker", WEIR_START_EARLIEST), 1);
	sub = resume(h, topic, "keeper");
	publish_marker(h, topic, end);
	drain(h, sub, end);
	harness_unsubscribe(h, sub, 1);
	for (i = first; i < end; i++) {
		if (ledger[i].confirmed && !ledger[i].delivered)
			fail_msg("record %llu was confirmed and is lost", (unsigned long long)i);
		if (ledger[i].refused && ledger[i].delivered)
			fail_msg("record %llu was refused and is there", (unsigned long long)i);
	}
	for (i = first; i + GROUP <= end; i += GROUP)
		if (ledger[i].delivered != ledger[i + 1].delivered || ledger[i].delivered != ledger[i + 2].delivered)
			fail_msg("the group of record %llu was torn", (unsigned long long)i);
	for (i = first; i <= end; i++)
		ledger[i].delivered = false;
	sub = resume(h, topic, "worker");
	drain(h, sub, end);
	for (i = first; i < end; i++)
		if (ledger[i].confirmed && !ledger[i].acking && !ledger[i].delivered)
			fail_msg("record %llu was not acknowledged and is lost to its subscription",
				 (unsigned long long)i);
	harness_unsubscribe(h, sub, 1);
	harness_close(h);
	memset(ledger, 0, sizeof ledger);
}

/* A number behind all that this round may have used. */
enum { ROUND = 200000 };

static long setting(const char *name, long fallback)
{
	const char *text = getenv(name);

	return text && *text ? atol(text) : fallback;
}

static int store_setup(void **state)
{
	struct harness *h = calloc(1, sizeof *h);

	assert_non_null(h);
	harness_load(h, "embedded");
	/* On a disk, if /tmp is one: memory has nothing to sync. */
	rmdir(h->folder);
	snprintf(h->folder, sizeof h->folder, "/tmp/weir-fault-XXXXXX");
	assert_non_null(mkdtemp(h->folder));
	memset(ledger, 0, sizeof ledger);
	*state = h;
	return 0;
}

static int store_teardown(void **state)
{
	harness_unload(*state);
	free(*state);
	return 0;
}

/* ---- killed ------------------------------------------------------------------------------------------- */

static void nothing_confirmed_is_lost_when_killed_at_random(void **state)
{
	struct harness *h = *state;
	long kills = setting("WEIR_KILLS", 30), i;
	unsigned seed = (unsigned)setting("WEIR_FAULT_SEED", (long)getpid());
	uint64_t confirmed = 0;
	struct child child;

	print_message("seed %u\n", seed);
	srand(seed);
	for (i = 0; i < kills; i++) {
		child_start(&child, h->folder, 0, NULL);
		child_end(&child, harness_now() + INT64_C(1000000) * (10 + rand() % 250));
		confirmed += child.count[CONFIRMED];
		check(h, 0, ROUND);
	}
	print_message("%ld kills, %llu records confirmed before them\n", kills, (unsigned long long)confirmed);
	assert_true(confirmed > (uint64_t)kills);
}

/* Runs a command without its output. Whether it succeeded. */
static bool run(const char *const *argv)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDERR_FILENO);
		dup2(null, STDOUT_FILENO);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* strace is what makes a given system call fail. Without it, or without the right to trace, there is nothing to test.
 */
static bool can_trace(void)
{
	const char *const argv[] = { "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "true", NULL };

	if (run(argv))
		return true;
	print_message("skipped: strace is not there or may not trace here (CAP_SYS_PTRACE)\n");
	return false;
}

/* Runs the worker until `inject` hits it. Returns whether it was killed by it. */
static bool run_injected(struct harness *h, struct child *child, const char *call, const char *inject)
{
	char trace[64], rule[96];
	const char *const tool[] = { "strace", "-f", "-qq", "-o", "/dev/null", "-e", trace, "-e", rule, NULL };
	int status;

	snprintf(trace, sizeof trace, "trace=%s", call);
	snprintf(rule, sizeof rule, "inject=%s:%s", call, inject);
	child_start(child, h->folder, 0, tool);
	status = child_end(child, harness_now() + INT64_C(60000000000));
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void sweep(struct harness *h, const char *call)
{
	long end = setting("WEIR_FAULT_SWEEP", 12), i;
	struct child child;

	for (i = 1; i <= end; i++) {
		char inject[64];

		snprintf(inject, sizeof inject, "signal=SIGKILL:when=%ld", i);
		assert_true(run_injected(h, &child, call, inject));
		check(h, 0, ROUND);
	}
}

static void nothing_confirmed_is_lost_when_killed_at_a_sync(void **state)
{
	if (!can_trace())
		skip();
	sweep(*state, "fdatasync");
}

static void nothing_confirmed_is_lost_when_killed_at_a_write(void **state)
{
	if (!can_trace())
		skip();
	sweep(*state, "pwrite64");
}

/* ---- power cut ------------------------------------------------------------------------------------------ */

#define EXT4_SHUTDOWN        _IOR('X', 125, uint32_t)
#define EXT4_SHUTDOWN_NO_LOG 2u /* what is in memory, of the journal too, never reaches the disk */

/* A disk in a file, with a file system that can be told to forget what it has not written. */
static bool disk_make(const struct harness *h, char *image, size_t size, const char *bytes)
{
	const char *const make[] = { "mkfs.ext4", "-q", "-F", image, bytes, NULL };

	snprintf(image, size, "%s.image", h->folder);
	if (run(make) && unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		return true;
	print_message("skipped: cannot make a disk of our own here\n");
	return false;
}

static bool disk_mount(const struct harness *h, const char *image)
{
	const char *const argv[] = { "mount", "-o", "loop", image, h->folder, NULL };

	return run(argv);
}

static void power_cut(const struct harness *h)
{
	uint32_t how = EXT4_SHUTDOWN_NO_LOG;
	int fd = open(h->folder, O_RDONLY | O_DIRECTORY);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, EXT4_SHUTDOWN, &how), 0);
	close(fd);
}

static void nothing_confirmed_is_lost_when_the_power_is_cut(void **state)
{
	struct harness *h = *state;
	struct child child;
	char image[128];
	uint64_t confirmed = 0;
	int i;

	if (!disk_make(h, image, sizeof image, "48M") || !disk_mount(h, image)) {
		unlink(image);
		skip();
	}
	for (i = 0; i < 8; i++) {
		int64_t end = harness_now() + INT64_C(1000000) * (50 + 37 * i);

		child_start(&child, h->folder, 0, NULL);
		child_read(&child, end);
		power_cut(h);
		child_end(&child, harness_now() + 20000000);
		confirmed += child.count[CONFIRMED];
		assert_int_equal(umount(h->folder), 0);
		assert_true(disk_mount(h, image));
		check(h, 0, ROUND);
	}
	print_message("%llu records confirmed before power was cut\n", (unsigned long long)confirmed);
	assert_true(confirmed > 0);
	umount(h->folder);
	unlink(image);
}

/* ---- input and output fail ------------------------------------------------------------------------------- */

static void nothing_is_confirmed_after_a_failed_sync(void **state)
{
	struct harness *h = *state;
	struct child child;
	int when;

	if (!can_trace())
		skip();
	for (when = 4; when < 9; when++) {
		char inject[64];

		snprintf(inject, sizeof inject, "error=EIO:when=%d+", when);
		assert_false(run_injected(h, &child, "fdatasync", inject));
		assert_int_equal(child.count[DEAD], 1);
		assert_false(child.confirmed_after_death);
		/* Those that were in the transaction whose sync failed. */
		assert_true(child.count[UNKNOWN] > 0);
		check(h, 0, ROUND);
	}
}

/* ---- no room -------------------------------------------------------------------------------------------------- */

/* A small disk of our own in place of the folder; false if we may not. */
static bool small_disk(struct harness *h, const char *size)
{
	char options[32];

	snprintf(options, sizeof options, "size=%s", size);
	if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("weir-test", h->folder, "tmpfs", 0, options) == 0)
		return true;
	print_message("skipped: may not mount a small disk here: %s\n", strerror(errno));
	return false;
}

/* Fills the disk with something that is not ours. */
static void disk_fill(const struct harness *h)
{
	static char bytes[65536];
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/other", h->folder);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	while (write(fd, bytes, sizeof bytes) > 0)
		continue;
	close(fd);
}

static void disk_free(const struct harness *h)
{
	char path[128];

	snprintf(path, sizeof path, "%s/other", h->folder);
	assert_int_equal(unlink(path), 0);
}

static uint32_t publish_number(struct harness *h, struct weir_topic *topic, uint64_t number)
{
	static unsigned char body[100000];
	struct weir_publish item = { .size = sizeof item, .topic = topic, .tag = number };
	struct weir_driver_event event;
	size_t accepted;

	body_fill(body, number);
	item.record.body = (struct weir_buf){ body, body_len(number) };
	assert_int_equal(h->ops.publish(h->inst, &item, 1, &accepted, NULL), WEIR_OK);
	event = harness_wait(h, WEIR_EV_PUBLISHED);
	if (event.outcome != WEIR_PERSISTED) {
		assert_int_equal(event.outcome, WEIR_NOT_PERSISTED);
		assert_int_equal(event.error->code, WEIR_ELIMIT);
	}
	return event.outcome;
}

/* Publishes number, number + step, ... and returns the first that was refused. */
static uint64_t publish_until_refused(struct harness *h, struct weir_topic *topic, uint64_t number, uint64_t step)
{
	uint64_t first = number;

	while (publish_number(h, topic, number) == WEIR_PERSISTED) {
		number += step;
		assert_true(number < MAX_NUMBERS);
	}
	assert_true(number > first);
	return number;
}

/* Takes and acknowledges the records first, first + step, ... up to end, each exactly once. */
static void take_numbers(struct harness *h, struct weir_sub *sub, uint64_t first, uint64_t end, uint64_t step)
{
	for (; first < end; first += step) {
		struct weir_driver_event event = harness_wait(h, WEIR_EV_DELIVER);

		assert_ptr_equal(event.sub, sub);
		assert_int_equal(body_check(event.record.body), first);
		h->ops.release(event.lease);
		harness_ack(h, &event);
	}
}

/* Fills the disk and empties it again, three times. */
static void fill_and_empty(struct harness *h, uint64_t step)
{
	uint64_t end = step, half, first;
	struct weir_topic *topic;
	struct weir_sub *sub;
	int round;

	harness_open(h, NULL);
	topic = harness_topic(h, "t");
	sub = resume(h, topic, "s");
	for (round = 0; round < 3; round++) {
		first = end;
		end = publish_until_refused(h, topic, first, step);
		assert_true(end - first > 20 * step);
		/* Acknowledging works on a full disk, and is kept. */
		half = first + (end - first) / step / 2 * step;
		take_numbers(h, sub, first, half, step);
		harness_unsubscribe(h, sub, 1);
		harness_close(h);
		harness_open(h, NULL);
		topic = harness_topic(h, "t");
		sub = resume(h, topic, "s");
		take_numbers(h, sub, half, end, step);
		harness_silence(h, WEIR_EV_DELIVER);
	}
	harness_close(h);
}

static void a_full_disk_in_memory_refuses_and_recovers(void **state)
{
	struct harness *h = *state;

	if (!small_disk(h, "12m"))
		skip();
	fill_and_empty(h, 1);
	umount(h->folder);
}

/* With records of 100,000 bytes, which need consecutive pages. */
static void a_full_disk_refuses_and_recovers(void **state)
{
	struct harness *h = *state;
	char image[128];

	if (!disk_make(h, image, sizeof image, "24M") || !disk_mount(h, image)) {
		unlink(image);
		skip();
	}
	fill_and_empty(h, 97);
	umount(h->folder);
	unlink(image);
}

static void a_disk_that_others_fill_refuses_and_recovers(void **state)
{
	struct harness *h = *state;
	struct weir_topic *topic;
	struct weir_sub *sub;
	uint64_t end;

	if (!small_disk(h, "16m"))
		skip();
	harness_open(h, NULL);
	topic = harness_topic(h, "t");
	sub = resume(h, topic, "s");
	assert_int_equal(publish_number(h, topic, 1), WEIR_PERSISTED);
	disk_fill(h);
	end = publish_until_refused(h, topic, 2, 1);
	take_numbers(h, sub, 1, end, 1);
	harness_unsubscribe(h, sub, 1);
	sub = resume(h, topic, "s");
	/* What was given back inside the file is room, though the disk is still full. */
	assert_int_equal(publish_number(h, topic, end), WEIR_PERSISTED);
	disk_free(h);
	publish_until_refused(h, topic, end + 1, 1);
	harness_close(h);
	umount(h->folder);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(nothing_confirmed_is_lost_when_killed_at_random),
		CASE(nothing_confirmed_is_lost_when_killed_at_a_sync),
		CASE(nothing_confirmed_is_lost_when_killed_at_a_write),
		CASE(nothing_confirmed_is_lost_when_the_power_is_cut),
		CASE(nothing_is_confirmed_after_a_failed_sync),
		CASE(a_full_disk_in_memory_refuses_and_recovers),
		CASE(a_full_disk_refuses_and_recovers),
		CASE(a_disk_that_others_fill_refuses_and_recovers),
	};

	if (argc == 4 && strcmp(argv[1], "worker") == 0)
		return worker_main(argv[2], (uint64_t)atoll(argv[3]));
	if (argc == 2)
		setenv("WEIR_KILLS", argv[1], 1);
	if (readlink("/proc/self/exe", program, sizeof program - 1) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
