/* SPDX-License-Identifier: Apache-2.0 */
/* Who could have put a driver file where it is. */
#include "channel/find.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

static _Atomic int forced_elevated = -1;

bool weir_find_elevated(void)
{
	int forced = atomic_load(&forced_elevated);

	return forced >= 0 ? forced == 1 : getauxval(AT_SECURE) != 0;
}

void weir_find_set_elevated(int elevated)
{
	atomic_store(&forced_elevated, elevated);
}

#define ALLOW "or set drivers.allowUnsafePath"

static int check_owner(const struct stat *info, const char *what, const char *path, struct weir_error *err)
{
	if (info->st_uid != 0 && info->st_uid != geteuid())
		return weir_fail(err, WEIR_ENOPERM,
				 "driver %s: %s belongs to user %u, not to root or user %u; change its owner, " ALLOW,
				 path, what, (unsigned)info->st_uid, (unsigned)geteuid());
	if (info->st_mode & S_IWOTH)
		return weir_fail(err, WEIR_ENOPERM, "driver %s: %s is writable for everybody; chmod o-w it, " ALLOW,
				 path, what);
	return WEIR_OK;
}

/* Whoever may write to a folder further up may put another one in place of ours, unless it is sticky. */
static int check_above(const char *path, char *folder, struct weir_error *err)
{
	struct stat info;

	for (char *slash = strrchr(folder, '/'); slash && slash != folder; slash = strrchr(folder, '/')) {
		*slash = '\0';
		if (stat(folder, &info) == 0 && (info.st_mode & S_IWOTH) && !(info.st_mode & S_ISVTX))
			return weir_fail(err, WEIR_ENOPERM,
					 "driver %s: %s is writable for everybody; chmod o-w it, " ALLOW, path, folder);
	}
	return WEIR_OK;
}

static int check_folder(const char *path, struct weir_error *err)
{
	const char *slash = strrchr(path, '/');
	size_t len = (size_t)(slash - path);
	char folder[4096];
	struct stat info;
	int code;

	if (len >= sizeof folder)
		return weir_fail(err, WEIR_EINVAL, "driver %.64s...: the path is too long", path);
	memcpy(folder, path, len);
	memcpy(folder + len, len ? "" : "/", len ? 1 : 2);
	if (stat(folder, &info) < 0)
		return weir_fail(err, WEIR_ENOTFOUND, "driver %s: its folder: %s", path, strerror(errno));
	code = check_owner(&info, "its folder", path, err);
	return code ? code : check_above(path, folder, err);
}

static int open_failed(const char *path, struct weir_error *err)
{
	int native = errno;
	int code = WEIR_EIO;

	if (native == ELOOP)
		return weir_fail(err, WEIR_ENOPERM, "driver %s: is a symbolic link; name the file itself, " ALLOW,
				 path);
	if (native == ENOENT || native == ENOTDIR)
		code = WEIR_ENOTFOUND;
	else if (native == EACCES || native == EPERM)
		code = WEIR_ENOPERM;
	weir_fail(err, code, "driver %s: %s", path, strerror(native));
	weir_error_native(err, "errno", native);
	return code;
}

int weir_find_open(const char *path, bool allow_unsafe, int *ret_fd, struct weir_error *err)
{
	struct stat info;
	int code = WEIR_OK;
	int fd;

	if (path[0] != '/')
		return weir_fail(err, WEIR_EINVAL, "driver %s: the path must be absolute", path);
	/* Not blocking: what looks like a driver may be a FIFO. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (allow_unsafe ? 0 : O_NOFOLLOW));
	if (fd < 0)
		return open_failed(path, err);
	if (fstat(fd, &info) < 0)
		code = open_failed(path, err);
	else if (!S_ISREG(info.st_mode))
		code = weir_fail(err, WEIR_EINVAL, "driver %s: not a regular file", path);
	else if (!allow_unsafe)
		code = check_owner(&info, "the file", path, err);
	if (!code && !allow_unsafe)
		code = check_folder(path, err);
	if (code)
		close(fd);
	else
		*ret_fd = fd;
	return code;
}
