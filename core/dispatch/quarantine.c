/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/quarantine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "dispatch/thread.h"

#define SUFFIX ".json"

struct weir_quarantine {
	char *folder;
	uint64_t max_files;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct weir_quarantine_job *queue, *queue_last;
	bool started, stop;
	pthread_t thread;

	/* the thread's own */
	int folder_fd;       /* while a queue is written */
	struct stat counted; /* the folder whose `files` these are */
	uint64_t files;
	char run[17]; /* makes names differ from those of other processes, also in containers, where all have one pid */
	uint64_t sequence;
};

static void make_run(char *run, size_t size)
{
	uint64_t number;

	if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
		number = (uint64_t)weir_clock_now_ns() << 16 ^ (uint64_t)getpid();
	snprintf(run, size, "%016" PRIx64, number);
}

int weir_quarantine_new(const char *folder, uint64_t max_files, struct weir_quarantine **ret, struct weir_error *err)
{
	struct weir_quarantine *quarantine = weir_mem_zalloc(1, sizeof *quarantine);

	if (!quarantine)
		return weir_fail(err, WEIR_ENOMEM, "out of memory");
	quarantine->folder = weir_mem_strdup(folder);
	if (!quarantine->folder) {
		weir_mem_free(quarantine);
		return weir_fail(err, WEIR_ENOMEM, "out of memory");
	}
	make_run(quarantine->run, sizeof quarantine->run);
	quarantine->max_files = max_files;
	quarantine->folder_fd = -1;
	pthread_mutex_init(&quarantine->lock, NULL);
	pthread_cond_init(&quarantine->wake, NULL);
	*ret = quarantine;
	return WEIR_OK;
}

static int fail_errno(struct weir_error *err, const char *what, const char *folder)
{
	int saved = errno;
	int code = saved == ENOSPC || saved == EDQUOT ? WEIR_ELIMIT : WEIR_EIO;

	weir_fail(err, code, "quarantine: cannot %s in \"%s\": %s", what, folder, strerror(saved));
	weir_error_native(err, "errno", saved);
	return code;
}

/* ---- the folder ----------------------------------------------------------- */

/* Makes the entry of a folder in the one above it durable: else its files could go with it. */
static int sync_above(const char *path)
{
	char above[4096];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) + 1 : 1;
	int fd, result;

	memcpy(above, slash ? path : ".", len);
	above[len] = '\0';
	fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	result = fsync(fd);
	close(fd);
	return result;
}

static int make_one(const char *path)
{
	if (mkdir(path, 0700) == 0)
		return sync_above(path);
	return errno == EEXIST ? 0 : -1;
}

/* mkdir -p, only for the user. A part that is there already is left as it is. */
static int make_folders(const char *folder)
{
	char path[4096];
	size_t len = strlen(folder);

	if (len >= sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(path, folder, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		path[i] = '\0';
		if (make_one(path) < 0)
			return -1;
		path[i] = folder[i];
	}
	return 0;
}

static bool is_ours(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > sizeof SUFFIX - 1 && strcmp(name + len - (sizeof SUFFIX - 1), SUFFIX) == 0;
}

static int count_files(int folder_fd, uint64_t *ret)
{
	int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*ret = 0;
	while ((entry = readdir(dir)))
		*ret += is_ours(entry->d_name);
	closedir(dir);
	return 0;
}

static void close_folder(struct weir_quarantine *quarantine)
{
	if (quarantine->folder_fd >= 0)
		close(quarantine->folder_fd);
	quarantine->folder_fd = -1;
}

/* Files of a folder are counted once, and again if another one has taken its place. */
static int count_again(struct weir_quarantine *quarantine)
{
	struct stat now;

	if (fstat(quarantine->folder_fd, &now) < 0)
		return -1;
	if (now.st_dev == quarantine->counted.st_dev && now.st_ino == quarantine->counted.st_ino)
		return 0;
	if (count_files(quarantine->folder_fd, &quarantine->files) < 0)
		return -1;
	quarantine->counted = now;
	return 0;
}

/* By its name for each queue: people move the folder away, or remove it, to be rid of what is in it. */
static int open_folder(struct weir_quarantine *quarantine, struct weir_error *err)
{
	int code = WEIR_OK;

	if (quarantine->folder_fd >= 0)
		return WEIR_OK;
	if (make_folders(quarantine->folder) < 0)
		return fail_errno(err, "make the folder", quarantine->folder);
	quarantine->folder_fd = open(quarantine->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (quarantine->folder_fd < 0)
		return fail_errno(err, "open the folder", quarantine->folder);
	if (count_again(quarantine) < 0) {
		code = fail_errno(err, "list the folder", quarantine->folder);
		close_folder(quarantine);
	}
	return code;
}

/* ---- writing -------------------------------------------------------------- */

static int write_all(int fd, struct weir_buf text)
{
	const char *at = text.ptr;
	size_t left = text.len;

	while (left) {
		ssize_t done = write(fd, at, left);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		at += done;
		left -= (size_t)done;
	}
	return 0;
}

/* Written and synced under the name `name`; the rename itself is not durable yet. */
static int write_file(int folder_fd, const char *name, const char *temporary, struct weir_buf text)
{
	int fd = openat(folder_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int result = -1, saved;

	if (fd < 0)
		return -1;
	if (write_all(fd, text) == 0 && fsync(fd) == 0)
		result = 0;
	saved = errno;
	if (close(fd) < 0 && result == 0) {
		result = -1;
		saved = errno;
	}
	if (result == 0 && renameat(folder_fd, temporary, folder_fd, name) == 0)
		return 0;
	if (result == 0)
		saved = errno;
	unlinkat(folder_fd, temporary, 0);
	errno = saved;
	return -1;
}

static int write_job(struct weir_quarantine *quarantine, struct weir_quarantine_job *job, struct weir_error *err)
{
	char temporary[sizeof job->name + 1];
	int code = open_folder(quarantine, err);

	if (code)
		return code;
	/* Files are taken away by people, so what was counted may be too much: look again before refusing. */
	if (quarantine->files >= quarantine->max_files && count_files(quarantine->folder_fd, &quarantine->files) < 0)
		return fail_errno(err, "list the folder", quarantine->folder);
	if (quarantine->files >= quarantine->max_files)
		return weir_fail(err, WEIR_ELIMIT,
				 "quarantine: \"%s\" is full (%" PRIu64 " events): look at them and take them away, or "
				 "raise dispatcher.quarantine.maxEvents",
				 quarantine->folder, quarantine->files);
	snprintf(job->name, sizeof job->name, "%" PRId64 "-%s-%06" PRIu64 SUFFIX, weir_clock_wall_ms(), quarantine->run,
		 ++quarantine->sequence);
	snprintf(temporary, sizeof temporary, ".%s", job->name);
	if (write_file(quarantine->folder_fd, job->name, temporary, job->text) < 0)
		return fail_errno(err, "write a file", quarantine->folder);
	quarantine->files++;
	return WEIR_OK;
}

/* Writes all of a queue, then makes it durable with one sync of the folder. */
static void write_queue(struct weir_quarantine *quarantine, struct weir_quarantine_job *queue)
{
	struct weir_error sync_error = WEIR_ERROR_INIT;
	struct weir_quarantine_job *job, *next;

	for (job = queue; job; job = job->next) {
		job->error = (struct weir_error)WEIR_ERROR_INIT;
		write_job(quarantine, job, &job->error);
	}
	if (quarantine->folder_fd >= 0 && fsync(quarantine->folder_fd) < 0)
		fail_errno(&sync_error, "sync the folder", quarantine->folder);
	close_folder(quarantine);
	for (job = queue; job; job = next) {
		next = job->next;
		if (!job->error.code)
			job->error = sync_error;
		weir_loop_post(job->loop, &job->task);
	}
}

static void *quarantine_main(void *arg)
{
	struct weir_quarantine *quarantine = arg;
	struct weir_quarantine_job *queue;

	pthread_mutex_lock(&quarantine->lock);
	for (;;) {
		while (!quarantine->queue && !quarantine->stop)
			pthread_cond_wait(&quarantine->wake, &quarantine->lock);
		queue = quarantine->queue;
		if (!queue)
			break;
		quarantine->queue = NULL;
		pthread_mutex_unlock(&quarantine->lock);
		write_queue(quarantine, queue);
		pthread_mutex_lock(&quarantine->lock);
	}
	pthread_mutex_unlock(&quarantine->lock);
	return NULL;
}

void weir_quarantine_write(struct weir_quarantine *quarantine, struct weir_quarantine_job *job)
{
	bool started;

	job->next = NULL;
	pthread_mutex_lock(&quarantine->lock);
	if (!quarantine->started)
		quarantine->started =
		    weir_thread_start(&quarantine->thread, "weir-quarantine", quarantine_main, quarantine) == 0;
	started = quarantine->started;
	if (started) {
		if (quarantine->queue)
			quarantine->queue_last->next = job;
		else
			quarantine->queue = job;
		quarantine->queue_last = job;
		pthread_cond_signal(&quarantine->wake);
	}
	pthread_mutex_unlock(&quarantine->lock);
	if (started)
		return;
	weir_fail(&job->error, WEIR_ENOMEM, "quarantine: no thread could be started");
	weir_loop_post(job->loop, &job->task);
}

void weir_quarantine_free(struct weir_quarantine *quarantine)
{
	if (!quarantine)
		return;
	pthread_mutex_lock(&quarantine->lock);
	quarantine->stop = true;
	pthread_cond_signal(&quarantine->wake);
	pthread_mutex_unlock(&quarantine->lock);
	if (quarantine->started)
		pthread_join(quarantine->thread, NULL);
	pthread_cond_destroy(&quarantine->wake);
	pthread_mutex_destroy(&quarantine->lock);
	weir_mem_free(quarantine->folder);
	weir_mem_free(quarantine);
}
