/* SPDX-License-Identifier: Apache-2.0 */
#include "conform/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* A file in memory: it can neither block the program nor be too small. */
static int file_with(const char *text)
{
	int fd = memfd_create("weir-harness", MFD_CLOEXEC);
	size_t len = text ? strlen(text) : 0;

	if (fd >= 0 && len && (write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int spawn(const char *program, const char *verb, const char *const args[WEIR_HARNESS_ARGS], int in, int out,
		 pid_t *pid)
{
	char *argv[WEIR_HARNESS_ARGS + 3] = { (char *)(uintptr_t)program, (char *)(uintptr_t)verb };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int failed;

	for (size_t i = 0; args && i < WEIR_HARNESS_ARGS && args[i]; i++)
		argv[i + 2] = (char *)(uintptr_t)args[i];
	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	failed = posix_spawn(pid, program, &actions, &attributes, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return failed;
}

static int await(pid_t pid, int64_t deadline_ns)
{
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (weir_clock_now_ns() >= deadline_ns) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return -1;
		}
		poll(NULL, 0, 10);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void take_output(int from, char *output, size_t size)
{
	ssize_t got = pread(from, output, size - 1, 0);

	output[got > 0 ? got : 0] = '\0';
}

int weir_harness_run(const char *program, const char *verb, const char *const args[WEIR_HARNESS_ARGS],
		     const char *input, char *output, size_t size, int64_t deadline_ns)
{
	int in = file_with(input), out = file_with(NULL), status = -1;
	pid_t pid;

	if (in >= 0 && out >= 0 && spawn(program, verb, args, in, out, &pid) == 0)
		status = await(pid, deadline_ns);
	if (output && out >= 0)
		take_output(out, output, size);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return status;
}
