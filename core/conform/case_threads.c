/* SPDX-License-Identifier: Apache-2.0 */
/* CON: threads, forks, and what belongs to the process. */
#include "conform/case.h"

#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/fork.h"
#include "channel/guard.h"

/* ---- coming and going ---------------------------------------------------- */

static void con_02(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = NULL;

	for (int i = 0; i < 10; i++) {
		sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
		weir_rig_credit(rig, sub, 5);
		weir_rig_send(rig, topic, 5);
		if (i < 9)
			weir_rig_end(rig, sub, true);
	}
	weir_rig_drain(rig, sub);
}

static void *publish_beside(void *arg)
{
	struct weir_rig *rig = arg;
	uint64_t number;

	while (!atomic_load(&rig->shared->flag[0])) {
		int code = weir_rig_try_send(rig, &rig->topics[0], &number, NULL);

		if (code == WEIR_OK)
			atomic_fetch_add(&rig->shared->flag[1], 1);
		else if (code != WEIR_EAGAIN)
			weir_rig_fail(rig, "publish answered %s", weir_code_name(code));
		sched_yield();
	}
	return NULL;
}

/* Publishing goes on beside polling, subscribing and unsubscribing. */
static void con_03(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	pthread_t thread;

	if (rig->caps.thread_level != WEIR_THREAD_FREE)
		weir_rig_skip(rig, "its thread level has the core take turns");
	topic = weir_rig_topic(rig, "t");
	weir_rig_end(rig, weir_rig_subscribe(rig, topic, "kept", WEIR_START_LATEST), true);
	if (pthread_create(&thread, NULL, publish_beside, rig))
		weir_rig_fail(rig, "the kit has no thread");
	for (int i = 0; i < 20; i++) {
		struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, i % 2 ? "kept" : "s", WEIR_START_LATEST);

		weir_rig_credit(rig, sub, 10);
		weir_rig_next(rig, sub);
		weir_rig_end(rig, sub, true);
	}
	atomic_store(&rig->shared->flag[0], 1);
	pthread_join(thread, NULL);
	rig->sent = atomic_load(&rig->shared->flag[1]);
	weir_rig_await_done(rig);
	weir_rig_drain(rig, weir_rig_subscribe(rig, topic, "kept", WEIR_START_LATEST));
}

struct settler {
	struct weir_rig *rig;
	struct weir_rig_delivery delivery;
	uint16_t code;
};

static void *settle_beside(void *arg)
{
	struct settler *settler = arg;

	settler->code = weir_rig_settle(settler->rig, &settler->delivery, WEIR_ACK, 0);
	return NULL;
}

static void con_04(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);

	weir_rig_credit(rig, sub, 20);
	weir_rig_publish(rig, topic, 20);
	for (int i = 0; i < 20; i++) {
		struct settler settler = { .rig = rig, .delivery = weir_rig_next(rig, sub) };
		pthread_t thread;

		if (pthread_create(&thread, NULL, settle_beside, &settler))
			weir_rig_fail(rig, "the kit has no thread");
		pthread_join(thread, NULL);
		weir_rig_code(rig, "an ack from another thread", settler.code, WEIR_OK);
	}
	weir_rig_drain(rig, sub);
}

/* ---- fork ---------------------------------------------------------------- */

static void con_06(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	int64_t deadline_ns = weir_rig_deadline(rig, 10000);
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		weir_rig_fail(rig, "the kit cannot fork");
	if (pid == 0)
		_exit(0);
	while (waitpid(pid, &status, WNOHANG) == 0 && weir_clock_now_ns() < deadline_ns)
		weir_rig_pump(rig, weir_rig_deadline(rig, 5));
	WEIR_EXPECT(rig, WIFEXITED(status) && WEXITSTATUS(status) == 0,
		    "a forked child that leaves at once did not leave");
	weir_rig_credit(rig, sub, 5);
	for (int i = 0; i < 5; i++)
		weir_rig_marker(rig, topic, sub);
}

/* ---- the process --------------------------------------------------------- */

struct process {
	sigset_t mask;
	struct sigaction actions[32];
	char folder[512], locale[64];
	mode_t umask;
	ino_t stdio[3];
};

static void look(struct process *process)
{
	struct stat info;

	memset(process, 0, sizeof *process);
	pthread_sigmask(SIG_SETMASK, NULL, &process->mask);
	for (int i = 1; i < 32; i++)
		sigaction(i, NULL, &process->actions[i]);
	if (!getcwd(process->folder, sizeof process->folder))
		process->folder[0] = '?';
	snprintf(process->locale, sizeof process->locale, "%s", setlocale(LC_ALL, NULL));
	process->umask = umask(022);
	umask(process->umask);
	for (int i = 0; i < 3; i++)
		process->stdio[i] = fstat(i, &info) == 0 ? info.st_ino : 0;
}

static void con_07(struct weir_rig *rig)
{
	struct process before, after;
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub;

	look(&before);
	weir_rig_open(rig, NULL);
	topic = weir_rig_topic(rig, "t");
	sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_credit(rig, sub, 1);
	weir_rig_marker(rig, topic, sub);
	weir_rig_close(rig);
	look(&after);
	WEIR_EXPECT(rig, memcmp(&before.mask, &after.mask, sizeof before.mask) == 0, "it changed the signal mask");
	for (int i = 1; i < 32; i++)
		WEIR_EXPECT(rig, before.actions[i].sa_handler == after.actions[i].sa_handler,
			    "it changed what is done about signal %d", i);
	WEIR_EXPECT(rig, strcmp(before.folder, after.folder) == 0, "it changed the working directory");
	WEIR_EXPECT(rig, strcmp(before.locale, after.locale) == 0, "it changed the locale");
	WEIR_EXPECT(rig, before.umask == after.umask, "it changed the umask");
	WEIR_EXPECT(rig, memcmp(before.stdio, after.stdio, sizeof before.stdio) == 0, "it changed a standard stream");
}

/* What it says goes to the log, not to the standard streams. */
static void con_07_quiet(struct weir_rig *rig)
{
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO), catch = memfd_create("weir-conform", MFD_CLOEXEC);
	struct weir_rig_topic *topic;
	off_t said;

	if (out < 0 || err < 0 || catch < 0 || dup2(catch, STDOUT_FILENO) < 0 || dup2(catch, STDERR_FILENO) < 0)
		weir_rig_fail(rig, "the kit has no descriptors");
	weir_rig_open(rig, NULL);
	topic = weir_rig_topic(rig, "t");
	weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	weir_rig_publish(rig, topic, 10);
	weir_rig_close(rig);
	fflush(NULL);
	said = lseek(catch, 0, SEEK_END);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	close(catch);
	WEIR_EXPECT(rig, said == 0 || rig->target->verbose, "it wrote %" PRId64 " bytes to the standard streams",
		    (int64_t)said);
}

/* The log may be called from any thread, and its lines are lines. */
static void log_check(void *ctx, int level, const char *text)
{
	struct weir_rig *rig = ctx;

	WEIR_EXPECT(rig, level >= 0 && level <= 3, "it logs with level %d", level);
	WEIR_EXPECT(rig, text && !strchr(text, '\n'), "it logs what is not one line");
}

static void con_05(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;

	rig->host.log = log_check;
	weir_rig_open(rig, NULL);
	topic = weir_rig_topic(rig, "t");
	weir_rig_publish(rig, topic, 10);
	weir_rig_close(rig);
	/* A host that gives no log is allowed too. */
	rig->host.log = NULL;
	weir_rig_open(rig, NULL);
	topic = weir_rig_topic(rig, "t");
	weir_rig_publish(rig, topic, 10);
	WEIR_EXPECT(rig, rig->completed == 10, "without a log it does not publish");
}

static void con_01(struct weir_rig *rig)
{
	WEIR_EXPECT(rig, rig->caps.thread_level <= WEIR_THREAD_FREE, "its thread level is %" PRIu32 ", which is none",
		    rig->caps.thread_level);
}

static const struct weir_conform_case cases[] = {
	{ "CON-01", WEIR_MUST, 0, 0, 0, con_01, NULL, "it says which calls may run beside each other", NULL },
	{ "CON-02", WEIR_MUST, 0, 90, 0, con_02, NULL, "a subscription comes and goes ten times and misses nothing",
	  NULL },
	{ "CON-03", WEIR_MUST, 0, 120, 0, con_03, NULL,
	  "subscribing and leaving race with publishing, and nothing is lost", NULL },
	{ "CON-04", WEIR_MUST, 0, 0, 0, con_04, NULL, "settling works from any thread", NULL },
	{ "CON-05", WEIR_MUST, WEIR_CASE_CLOSED, 0, 0, con_05, NULL, "the log gets lines, and may be missing", NULL },
	{ "CON-06", WEIR_MUST, 0, 0, 0, con_06, NULL, "a child that is forked leaves at once, the parent goes on",
	  NULL },
	{ "CON-07", WEIR_MUST, WEIR_CASE_CLOSED, 0, 0, con_07, NULL, "signals, locale, umask, folder and streams stay",
	  NULL },
	{ "CON-07q", WEIR_MUST, WEIR_CASE_CLOSED, 0, 0, con_07_quiet, NULL,
	  "nothing is written to the standard streams", NULL },
};

WEIR_GROUP(threads, "CON", "threads and the process");
