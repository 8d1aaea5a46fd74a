/* SPDX-License-Identifier: Apache-2.0 */
#include "conform/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { HISTORY_ROOM = 3000000, DEFAULT_SECONDS = 45 };

static void *share(size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

const char *weir_run_verdict(enum weir_verdict verdict)
{
	static const char *const names[WEIR_VERDICTS] = { "PASS", "FAIL", "VACUOUS", "SKIP", "ERROR" };

	return names[verdict];
}

/* Waits for it; kills it at the deadline. The wait status; -1: it had to be killed. */
static int await_child(pid_t pid, int64_t deadline_ns)
{
	sigset_t child;
	int status = 0;
	bool late = false;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct timespec slice = { 0, 20000000 };

		if (weir_clock_now_ns() >= deadline_ns) {
			late = true;
			kill(-pid, SIGKILL);
			kill(pid, SIGKILL);
		}
		sigtimedwait(&child, NULL, &slice);
	}
	kill(-pid, SIGKILL); /* whatever it has left behind */
	return late ? -1 : status;
}

static pid_t fork_case(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	} else if (pid > 0) {
		setpgid(pid, pid);
	}
	return pid;
}

/* SIGCHLD is waited for, not handled. */
static void block_child(sigset_t *before)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, before);
}

/* ---- the probe ----------------------------------------------------------- */

struct probe_shared {
	struct weir_rig_shared rig;
	struct weir_run_probe probe;
};

static void probe_main(const struct weir_target *target, struct probe_shared *shared, struct weir_history *history)
{
	struct weir_run_probe *probe = &shared->probe;
	struct weir_rig *rig = weir_mem_zalloc(1, sizeof *rig);
	struct weir_error err = WEIR_ERROR_INIT;

	if (!rig)
		_exit(1);
	rig->target = target;
	rig->shared = &shared->rig;
	rig->history = history;
	probe->code = weir_rig_load(rig, &err);
	if (!probe->code) {
		snprintf(probe->name, sizeof probe->name, "%s", rig->ops->name);
		snprintf(probe->kind, sizeof probe->kind, "%s", rig->ops->kind);
		snprintf(probe->version, sizeof probe->version, "%s", rig->ops->version);
		snprintf(probe->summary, sizeof probe->summary, "%s", rig->ops->summary);
		probe->code = weir_rig_try_open(rig, NULL, &err);
	}
	snprintf(probe->error, sizeof probe->error, "%s", err.text);
	if (probe->code)
		_exit(0);
	rig->caps = (struct weir_caps){ .size = sizeof rig->caps };
	rig->ops->caps(rig->inst, &rig->caps);
	if (!weir_rig_try_await(rig, WEIR_EV_UP, 1, weir_rig_deadline(rig, 12000))) {
		probe->code = WEIR_EUNAVAIL;
		snprintf(probe->error, sizeof probe->error, "the backend is not reachable: %s", rig->last_error.text);
	}
	rig->ops->caps(rig->inst, &rig->caps);
	probe->caps = rig->caps;
	snprintf(probe->durability, sizeof probe->durability, "%s", rig->caps.durability ? rig->caps.durability : "?");
	snprintf(probe->note, sizeof probe->note, "%s", rig->caps.durability_note ? rig->caps.durability_note : "");
	weir_rig_try_close(rig, weir_rig_deadline(rig, 5000), WEIR_CLOSE_ABORT);
	_exit(0);
}

void weir_run_probe(const struct weir_target *target, struct weir_run_probe *ret)
{
	struct probe_shared *shared = share(sizeof *shared);
	struct weir_history *history = weir_history_new(4096);
	sigset_t before;
	int status;
	pid_t pid;

	*ret = (struct weir_run_probe){ .code = WEIR_ENOMEM };
	if (!shared || !history)
		return;
	atomic_init(&shared->rig.verdict, -1);
	block_child(&before);
	pid = fork_case();
	if (pid == 0)
		probe_main(target, shared, history);
	status = pid > 0 ? await_child(pid, weir_clock_after_ms(weir_clock_now_ns(), 60000)) : -1;
	sigprocmask(SIG_SETMASK, &before, NULL);
	*ret = shared->probe;
	if (status != 0 && !ret->code) {
		ret->code = WEIR_EINTERNAL;
		if (atomic_load(&shared->rig.verdict) >= 0)
			snprintf(ret->error, sizeof ret->error, "%s", shared->rig.text);
		else
			snprintf(ret->error, sizeof ret->error, "its process %s in %s",
				 status < 0 ? "did not end" : "died", shared->rig.doing);
	}
	weir_history_free(history);
	munmap(shared, sizeof *shared);
}

/* ---- a case -------------------------------------------------------------- */

static void case_main(const struct weir_target *target, const struct weir_conform_case *conform_case, weir_rig_fn *run,
		      struct weir_rig_shared *shared, struct weir_history *history)
{
	struct weir_rig *rig = weir_mem_zalloc(1, sizeof *rig);
	struct weir_error err = WEIR_ERROR_INIT;

	if (!rig)
		_exit(1);
	rig->target = target;
	rig->conform_case = conform_case;
	rig->shared = shared;
	rig->history = history;
	if (weir_rig_load(rig, &err))
		weir_rig_fail(rig, "%s", err.text);
	if (!(conform_case->flags & WEIR_CASE_CLOSED))
		weir_rig_open(rig, NULL);
	run(rig);
	weir_rig_finish(rig);
	weir_mem_free(rig);
	_exit(0);
}

static void tell_death(const struct weir_rig_shared *shared, int status, unsigned seconds, struct weir_run_result *ret)
{
	ret->verdict = WEIR_FAILED;
	if (status < 0)
		snprintf(ret->text, sizeof ret->text, "not done after %u s%s%s", seconds,
			 shared->doing[0] && shared->doing[0] != '-' ? ": it does not return from " : "",
			 shared->doing[0] != '-' ? shared->doing : "");
	else if (WIFSIGNALED(status))
		snprintf(ret->text, sizeof ret->text, "its process died of signal %d (%s) in %s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)), shared->doing);
	else
		snprintf(ret->text, sizeof ret->text, "its process ended with status %d in %s", WEXITSTATUS(status),
			 shared->doing);
}

static void run_forked(const struct weir_target *target, const struct weir_conform_case *conform_case, weir_rig_fn *run,
		       struct weir_run_result *ret)
{
	struct weir_rig_shared *shared = share(sizeof *shared);
	struct weir_history *history = weir_history_new(HISTORY_ROOM);
	unsigned seconds = (unsigned)((conform_case->seconds ? conform_case->seconds : DEFAULT_SECONDS) *
				      (target->scale > 1 ? target->scale : 1));
	int64_t start_ns = weir_clock_now_ns();
	sigset_t before;
	int status = -1;
	pid_t pid = -1;

	ret->verdict = WEIR_BROKEN;
	snprintf(ret->text, sizeof ret->text, "the kit has no memory or no process for it");
	if (shared && history) {
		atomic_init(&shared->verdict, -1);
		block_child(&before);
		pid = fork_case();
		if (pid == 0) {
			sigprocmask(SIG_SETMASK, &before, NULL);
			case_main(target, conform_case, run, shared, history);
		}
		if (pid > 0)
			status = await_child(pid, start_ns + seconds * WEIR_NS_PER_S);
		sigprocmask(SIG_SETMASK, &before, NULL);
	}
	if (pid > 0) {
		int verdict = atomic_load(&shared->verdict);

		ret->judged = atomic_load(&shared->judged);
		ret->judgement = shared->judgement;
		ret->verdict = verdict >= 0 ? (enum weir_verdict)verdict : WEIR_BROKEN;
		memcpy(ret->text, shared->text, sizeof ret->text);
		if (verdict < 0)
			tell_death(shared, status, seconds, ret);
	}
	ret->took_ms = (weir_clock_now_ns() - start_ns) / WEIR_NS_PER_MS;
	weir_history_free(history);
	if (shared)
		munmap(shared, sizeof *shared);
}

void weir_run_case(const struct weir_target *target, const struct weir_run_probe *probe,
		   const struct weir_conform_group *group, const struct weir_conform_case *conform_case, bool faults,
		   struct weir_run_result *ret)
{
	bool claimed = (probe->caps.bits & conform_case->needs) == conform_case->needs;
	weir_rig_fn *run = claimed ? conform_case->run : conform_case->unclaimed;

	*ret = (struct weir_run_result){ .conform_case = conform_case, .group = group, .verdict = WEIR_SKIPPED };
	ret->negative = !claimed && run;
	if (!conform_case->run)
		snprintf(ret->text, sizeof ret->text, "%s", conform_case->why);
	else if (!run)
		snprintf(ret->text, sizeof ret->text, "needs a capability that is not claimed");
	else if ((conform_case->flags & WEIR_CASE_HARNESS) && !target->harness)
		snprintf(ret->text, sizeof ret->text, "needs a harness (--harness)");
	else if ((conform_case->flags & WEIR_CASE_FAULTS) && !faults)
		snprintf(ret->text, sizeof ret->text, "run with --faults");
	else
		run_forked(target, conform_case, run, ret);
}
