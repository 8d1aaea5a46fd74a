/* SPDX-License-Identifier: Apache-2.0 */
/* admin/process: what the kernel tells about this process. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "admin/snapshot.h"

enum { PROC_TEXT = 4096 };

/* Reads a small file of /proc whole; false: it is not there. */
static bool read_text(const char *path, char text[PROC_TEXT])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, text, PROC_TEXT - 1);
	close(fd);
	if (got <= 0)
		return false;
	text[got] = '\0';
	return true;
}

static uint64_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint64_t count = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count > 3 ? count - 3 : 0; /* ".", ".." and the one that reads this */
}

/* /proc/self/stat from its third field on; the second may contain anything but ends with the last ')'. */
static const char *stat_fields(char text[PROC_TEXT])
{
	char *end;

	if (!read_text("/proc/self/stat", text))
		return NULL;
	end = strrchr(text, ')');
	return end && end[1] == ' ' ? end + 2 : NULL;
}

/* Field `number` of those, counted as in proc(5). */
static uint64_t stat_field(const char *fields, int number)
{
	for (int at = 3; fields && at < number; at++) {
		fields = strchr(fields, ' ');
		if (fields)
			fields++;
	}
	return fields ? strtoull(fields, NULL, 10) : 0;
}

/* When the machine was started, in seconds since 1970; 0: not known. */
static double boot_seconds(void)
{
	struct timespec wall, boot;

	if (clock_gettime(CLOCK_REALTIME, &wall) != 0 || clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
		return 0;
	return (double)(wall.tv_sec - boot.tv_sec) + (double)(wall.tv_nsec - boot.tv_nsec) * 1e-9;
}

double weir_admin_process_start(void)
{
	char text[PROC_TEXT];
	const char *fields = stat_fields(text);

	if (!fields)
		return 0;
	return boot_seconds() + (double)stat_field(fields, 22) / (double)sysconf(_SC_CLK_TCK);
}

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

void weir_admin_process_read(struct weir_admin_process *ret)
{
	char text[PROC_TEXT];
	const char *fields = stat_fields(text);
	struct rusage used;
	struct rlimit files;

	memset(ret, 0, sizeof *ret);
	if (fields) {
		ret->threads = stat_field(fields, 20);
		ret->resident_bytes = stat_field(fields, 24) * (uint64_t)sysconf(_SC_PAGESIZE);
	}
	ret->open_fds = count_fds();
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
		ret->max_fds = files.rlim_cur;
	if (getrusage(RUSAGE_SELF, &used) == 0)
		ret->cpu_seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
}
