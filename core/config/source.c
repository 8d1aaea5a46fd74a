/* SPDX-License-Identifier: Apache-2.0 */
#include "config/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

enum { FILE_MAX = 16 * 1024 * 1024 };

static int refuse(char why[WEIR_WHY_SIZE], const char *what, int failure)
{
	snprintf(why, WEIR_WHY_SIZE, "%s%s%s", what, failure ? ": " : "", failure ? strerrordesc_np(failure) : "");
	return WEIR_EINVAL;
}

static int refuse_type(mode_t mode, char why[WEIR_WHY_SIZE])
{
	if (S_ISDIR(mode))
		return refuse(why, "is a folder, not a file", 0);
	return refuse(why, S_ISFIFO(mode) ? "is a pipe, not a file" : "is not a regular file", 0);
}

/* One byte more than fstat(2) said, so that a file that grows meanwhile is noticed. */
static int read_all(int fd, size_t size, char **ret, size_t *len, char why[WEIR_WHY_SIZE])
{
	char *text = weir_mem_alloc(size + 1);
	size_t have = 0;
	ssize_t got = 1;

	if (!text)
		return WEIR_ENOMEM;
	while (got && have <= size) {
		got = read(fd, text + have, size + 1 - have);
		if (got < 0 && errno != EINTR) {
			weir_mem_free(text);
			return refuse(why, "cannot be read", errno);
		}
		have += got > 0 ? (size_t)got : 0;
		got = got < 0 ? 1 : got;
	}
	if (have > size) {
		weir_mem_free(text);
		return refuse(why, "changes while it is read; try again", 0);
	}
	*ret = text;
	*len = have;
	return WEIR_OK;
}

static int read_open(int fd, size_t max, char **ret, size_t *len, unsigned *mode, char why[WEIR_WHY_SIZE])
{
	struct stat info;

	if (fstat(fd, &info) < 0)
		return refuse(why, "cannot be read", errno);
	if (!S_ISREG(info.st_mode))
		return refuse_type(info.st_mode, why);
	if ((uint64_t)info.st_size > max) {
		snprintf(why, WEIR_WHY_SIZE, "has %llu bytes; allowed: at most %zu", (unsigned long long)info.st_size,
			 max);
		return WEIR_EINVAL;
	}
	*mode = info.st_mode & 07777;
	return read_all(fd, (size_t)info.st_size, ret, len, why);
}

int weir_source_read(const char *path, size_t max, char **ret, size_t *len, unsigned *mode, char why[WEIR_WHY_SIZE])
{
	/* O_NONBLOCK: opening a pipe must not wait for whoever writes to it. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int code;

	if (fd < 0)
		return refuse(why, errno == ENXIO ? "is not a regular file" : "cannot be opened", errno);
	code = read_open(fd, max, ret, len, mode, why);
	close(fd);
	return code;
}

static int parse(weir_config *config, const char *name, struct weir_buf text)
{
	struct weir_place place = { weir_arena_text(&config->arena, weir_str(name)), { 0, 0 } };
	struct weir_buf kept = weir_arena_copy(&config->arena, text);
	struct weir_tree_error err;
	struct weir_node *root;
	int code;

	if (!place.source || !kept.ptr)
		return WEIR_ENOMEM;
	code = weir_tree_parse(kept, &config->arena, &root, &err);
	if (code == WEIR_EINVAL) {
		place.at = err.at;
		weir_config_problem_add(config, &place, NULL, "%s", err.text);
	} else if (!code && root->kind != WEIR_JSON_OBJECT) {
		place.at = root->at;
		weir_config_problem_add(config, &place, NULL, "must be an object, not %s", weir_node_kind_text(root));
	} else if (!code) {
		weir_config_add_tree(config, place.source, WEIR_LAYER_FILE, root);
	}
	return code == WEIR_ENOMEM || config->no_memory ? WEIR_ENOMEM : WEIR_OK;
}

int weir_config_add_text(weir_config *config, const char *name, struct weir_buf text)
{
	char size[48];
	struct weir_place place = { name, { 0, 0 } };

	if (text.len <= FILE_MAX)
		return parse(config, name, text.ptr ? text : WEIR_STR(""));
	snprintf(size, sizeof size, "has %zu bytes", text.len);
	weir_config_problem_add(config, &place, NULL, "%s; allowed: at most %d", size, FILE_MAX);
	return config->no_memory ? WEIR_ENOMEM : WEIR_OK;
}

int weir_config_add_file(weir_config *config, const char *path)
{
	struct weir_place place = { path, { 0, 0 } };
	char why[WEIR_WHY_SIZE];
	char *text = NULL;
	size_t len = 0;
	unsigned mode;
	int code;

	weir_config_add_source(config, path);
	code = weir_source_read(path, FILE_MAX, &text, &len, &mode, why);
	if (code == WEIR_EINVAL)
		weir_config_problem_add(config, &place, NULL, "%s", why);
	if (code)
		return code == WEIR_EINVAL && !config->no_memory ? WEIR_OK : WEIR_ENOMEM;
	code = parse(config, path, (struct weir_buf){ text, len });
	explicit_bzero(text, len); /* there may be secrets in it */
	weir_mem_free(text);
	return code;
}
