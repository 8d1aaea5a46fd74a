/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/loader.h"

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include "base/mem.h"
#include "channel/table.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct weir_loaded *all;

/* The same entry function is never called twice in a process. */
static struct weir_loaded *already(weir_driver_init_fn *init)
{
	struct weir_loaded *loaded;

	for (loaded = all; loaded; loaded = loaded->next)
		if (loaded->init == init)
			break;
	return loaded;
}

static int load_failed(const struct weir_found *found, struct weir_error *err)
{
	const char *text = dlerror();

	return weir_fail(err, WEIR_EINVAL, "driver %s: cannot be loaded: %s", found->path,
			 text ? text : "no reason given");
}

/* The symbol must be the file's own: dlsym(3) also finds one of a library that it depends on. */
static int check_home(const struct weir_found *found, void *handle, void *symbol, struct weir_error *err)
{
	struct link_map *wanted = NULL, *home = NULL;
	Dl_info info;

	if (dlinfo(handle, RTLD_DI_LINKMAP, &wanted) != 0)
		return load_failed(found, err);
	if (dladdr1(symbol, &info, (void **)&home, RTLD_DL_LINKMAP) == 0 || home != wanted)
		return weir_fail(err, WEIR_EINVAL,
				 "driver %s: its entry function lies in another file, %s; link the driver as a whole",
				 found->path, home && info.dli_fname ? info.dli_fname : "which is not known");
	return WEIR_OK;
}

static void entry_name(const char *name, char *symbol, size_t size)
{
	snprintf(symbol, size, "weir_driver_%s_init", name);
	for (char *c = symbol; *c; c++)
		if (*c == '-')
			*c = '_';
}

static int find_entry(const struct weir_found *found, weir_driver_init_fn **ret, struct weir_error *err)
{
	/* Not RTLD_DEEPBIND: it would cut the driver off from a replaced malloc. */
	void *handle = dlopen(found->path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	char symbol[64];
	void *entry;
	int code;

	if (!handle)
		return load_failed(found, err);
	entry_name(found->note.name, symbol, sizeof symbol);
	entry = dlsym(handle, symbol);
	if (!entry)
		return weir_fail(err, WEIR_EINVAL, "driver %s: it does not export %s", found->path, symbol);
	code = check_home(found, handle, entry, err);
	if (!code)
		memcpy(ret, &entry, sizeof *ret); /* ISO C has no cast from an object to a function */
	return code;
}

/* Once more, right before its code is run: the file may have changed since the folders were read. */
static int check_again(const struct weir_found *found, bool allow_unsafe, struct weir_error *err)
{
	struct weir_note note;
	int fd, code;

	code = weir_find_open(found->path, allow_unsafe, &fd, err);
	if (code)
		return code;
	code = weir_note_read(fd, found->path, &note, err);
	close(fd);
	if (!code && memcmp(&note, &found->note, sizeof note) != 0)
		code =
		    weir_fail(err, WEIR_EVERSION, "driver %s: was replaced while Weir runs; restart it", found->path);
	return code;
}

static int loaded_new(const struct weir_found *found, weir_driver_init_fn *init, struct weir_loaded **ret,
		      struct weir_error *err)
{
	struct weir_loaded *loaded = weir_mem_zalloc(1, sizeof *loaded);
	int code = WEIR_ENOMEM;

	if (loaded)
		loaded->path = weir_mem_strdup(found->path);
	if (!loaded || !loaded->path) {
		weir_fail(err, code, "driver %s: %s", found->path, weir_code_text(code));
		goto failed;
	}
	code = weir_table_fill(&loaded->table, init, &found->note, found->path, err);
	if (code)
		goto failed;
	pthread_mutex_init(&loaded->turn, NULL);
	loaded->init = init;
	loaded->next = all;
	all = loaded;
	*ret = loaded;
	return WEIR_OK;
failed:
	if (loaded)
		weir_mem_free(loaded->path);
	weir_mem_free(loaded);
	return code;
}

static int load_locked(struct weir_found *found, bool allow_unsafe, struct weir_loaded **ret, struct weir_error *err)
{
	weir_driver_init_fn *init = found->init;
	int code = WEIR_OK;

	if (found->problem) {
		if (err)
			*err = found->error;
		return found->error.code;
	}
	if (!init)
		code = check_again(found, allow_unsafe, err);
	if (!code && !init)
		code = find_entry(found, &init, err);
	if (code)
		return code;
	*ret = already(init);
	return *ret ? WEIR_OK : loaded_new(found, init, ret, err);
}

int weir_loader_load(struct weir_found *found, bool allow_unsafe, struct weir_loaded **ret, struct weir_error *err)
{
	int code = WEIR_OK;

	pthread_mutex_lock(&lock);
	if (!found->loaded)
		code = load_locked(found, allow_unsafe, &found->loaded, err);
	*ret = found->loaded;
	pthread_mutex_unlock(&lock);
	return code;
}
