/* SPDX-License-Identifier: Apache-2.0 */
/* config/defaults: defaults that depend on where Weir was installed and started. */
#include "config/internal.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/dynbuf.h"
#include "base/str.h"

enum { PATHS_MAX = 16384 };

static const char *keep(weir_config *config, struct weir_dynbuf *text)
{
	const char *kept = text->failed ? NULL : weir_arena_text(&config->arena, weir_dynbuf_view(text));

	config->no_memory |= !kept;
	weir_dynbuf_fini(text);
	return kept;
}

/* What this code is in: libweir.so, with an absolute path, or the program. */
static ssize_t code_path(char path[4096], bool *library)
{
	static const char here;
	struct link_map *map = NULL;
	Dl_info info;

	*library = dladdr1(&here, &info, (void **)&map, RTLD_DL_LINKMAP) && map && map->l_name && map->l_name[0] == '/';
	if (!*library)
		return readlink("/proc/self/exe", path, 4096);
	return realpath(map->l_name, path) ? (ssize_t)strlen(path) : -1;
}

/* The folder of the library or program; len 0: not known, or one that a list cannot hold. */
static struct weir_buf code_folder(char path[4096], bool *library)
{
	ssize_t len = code_path(path, library);
	struct weir_buf none = { path, 0 };

	if (len <= 0 || len >= 4000 || memchr(path, ',', (size_t)len))
		return none;
	while (len > 1 && path[len - 1] != '/')
		len--;
	return (struct weir_buf){ path, (size_t)len - 1 };
}

/* Takes `end` off `folder`, if it ends with that and is more. */
static bool take_end(struct weir_buf *folder, struct weir_buf end)
{
	if (folder->len <= end.len || memcmp((const char *)folder->ptr + folder->len - end.len, end.ptr, end.len) != 0)
		return false;
	folder->len -= end.len;
	return true;
}

static void add_folder(struct weir_dynbuf *list, struct weir_buf start, const char *end)
{
	if (list->len)
		weir_dynbuf_add_char(list, ',');
	weir_dynbuf_add_buf(list, start);
	weir_dynbuf_add_text(list, end);
}

/*
 * Nearest first, so that a program finds the drivers that were built with it:
 * where `cmake --install` puts them beside the program's bin or the library's
 * folder, wherever that is, or where a build does; then where they were
 * configured to be installed.
 */
static const char *driver_folders(weir_config *config)
{
	static const char installed[] = "/" WEIR_LIBDIR "/weir/drivers";
	const struct weir_buf prefix = WEIR_STR(WEIR_PREFIX), bin = WEIR_STR("/bin"), lib = WEIR_STR("/" WEIR_LIBDIR);
	bool library;
	char path[4096];
	struct weir_buf folder = code_folder(path, &library);
	struct weir_dynbuf list;

	weir_dynbuf_init(&list, PATHS_MAX);
	if (take_end(&folder, library ? lib : bin)) {
		if (!weir_str_equal(folder, prefix))
			add_folder(&list, folder, installed);
	} else if (folder.len) {
		add_folder(&list, folder, "/drivers");
	}
	add_folder(&list, prefix, installed);
	return keep(config, &list);
}

static const char *in_state_directory(weir_config *config, const char *name)
{
	struct weir_dynbuf text;

	weir_dynbuf_init(&text, PATHS_MAX);
	weir_dynbuf_addf(&text, "%s/%s", config->state_directory ? config->state_directory : "./weir-data", name);
	return keep(config, &text);
}

const char *weir_config_default(weir_config *config, const struct weir_field *row)
{
	if (strcmp(row->option.key, "drivers.path") == 0)
		return driver_folders(config);
	if (strcmp(row->option.key, "dispatcher.quarantine.path") == 0)
		return in_state_directory(config, "quarantine");
	if (strcmp(row->option.key, "dispatcher.moves.path") == 0)
		return in_state_directory(config, "moves.json");
	return row->option.fallback;
}
