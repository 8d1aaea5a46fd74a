/* SPDX-License-Identifier: Apache-2.0 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int system_fail(struct weir_error *err, const char *path, const char *what)
{
	int number = errno;
	int code = number == EACCES || number == EPERM || number == EROFS ? WEIR_ENOPERM : WEIR_EIO;

	if (number == ENOSPC || number == EDQUOT)
		code = WEIR_ELIMIT;
	weir_fail(err, code, "store %s: %s: %s", path, what, strerror(number));
	weir_error_native(err, "errno", number);
	return code;
}

/* ---- the folder ------------------------------------------------------------------- */

/* Makes a new entry of the folder above `path` durable. */
static int parent_sync(const char *path)
{
	char parent[PATH_MAX];
	char *slash;
	int fd, rc;

	if (snprintf(parent, sizeof parent, "%s", path) >= (int)sizeof parent) {
		errno = ENAMETOOLONG;
		return -1;
	}
	slash = strrchr(parent, '/');
	if (!slash)
		memcpy(parent, ".", 2);
	else if (slash == parent)
		slash[1] = '\0';
	else
		*slash = '\0';
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

static int folder_make(const char *path, struct weir_error *err)
{
	struct stat info;

	if (mkdir(path, 0700) == 0)
		return parent_sync(path) ? system_fail(err, path, "cannot make its folder durable") : WEIR_OK;
	if (errno == ENOENT)
		return weir_fail(err, WEIR_EINVAL, "embedded.path: cannot make %s: the folder above it is missing",
				 path);
	if (errno != EEXIST && errno != EROFS)
		return system_fail(err, path, "cannot make its folder");
	if (stat(path, &info))
		return system_fail(err, path, "cannot look at it");
	if (!S_ISDIR(info.st_mode))
		return weir_fail(err, WEIR_EINVAL, "embedded.path: %s is not a folder", path);
	if (access(path, R_OK | W_OK | X_OK))
		return weir_fail(err, WEIR_ENOPERM, "store %s: user %u may not write there: %s (it belongs to user %u)",
				 path, (unsigned)geteuid(), strerror(errno), (unsigned)info.st_uid);
	return WEIR_OK;
}

/* ---- the lock ----------------------------------------------------------------------- */

static int lock_taken(int fd, const char *path, struct weir_error *err)
{
	char text[32] = "";
	ssize_t len = pread(fd, text, sizeof text - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return weir_fail(err, WEIR_EBUSY, "store %s is in use by process %s: one process at a time", path,
			 *text ? text : "(not known)");
}

static int lock_mark(int fd)
{
	char text[32];
	int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());

	return ftruncate(fd, 0) || pwrite(fd, text, (size_t)len, 0) != len ? -1 : 0;
}

/* A lock of the open file, not of the process: it also keeps out this process itself. */
int weir_embedded_lock(const char *path, int *fd, struct weir_error *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char name[PATH_MAX];
	int code = folder_make(path, err);

	*fd = -1;
	if (code)
		return code;
	if (snprintf(name, sizeof name, "%s/weir.lock", path) >= (int)sizeof name)
		return weir_fail(err, WEIR_EINVAL, "embedded.path is too long");
	*fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return system_fail(err, path, "cannot open its lock file");
	if (fcntl(*fd, F_OFD_SETLK, &lock) == 0) {
		/* Without a pid in it, the lock locks all the same: a full disk must not keep the store closed. */
		if (lock_mark(*fd) == 0 || errno == ENOSPC || errno == EDQUOT)
			return WEIR_OK;
		code = system_fail(err, path, "cannot write its lock file");
	} else if (errno == EAGAIN || errno == EACCES) {
		code = lock_taken(*fd, path, err);
	} else {
		code = system_fail(err, path, "cannot lock it");
	}
	weir_embedded_unlock(*fd);
	*fd = -1;
	return code;
}

void weir_embedded_unlock(int fd)
{
	if (fd >= 0)
		close(fd);
}
