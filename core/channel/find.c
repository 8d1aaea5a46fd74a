/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/find.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/dynbuf.h"
#include "base/mem.h"
#include "base/str.h"
#include "config/settings.h"

#define PREFIX "weir-driver-"
#define SUFFIX ".so"
#define KINDS  "drivers.kinds."

enum { MAX_SEARCHED = 16 * 1024, MAX_PATH = 4096 };

static struct weir_found *found_new(const char *path)
{
	struct weir_found *found = weir_mem_zalloc(1, sizeof *found);

	if (!found)
		return NULL;
	found->path = weir_mem_strdup(path);
	if (!found->path) {
		weir_mem_free(found);
		return NULL;
	}
	return found;
}

static void found_free(struct weir_found *found)
{
	weir_mem_free(found->path);
	weir_mem_free(found);
}

static struct weir_found *first_of_kind(const struct weir_found_list *list, const char *kind)
{
	for (struct weir_found *found = list->first; found; found = found->next)
		if (!found->problem && strcmp(found->note.kind, kind) == 0)
			return found;
	return NULL;
}

static void append_last(struct weir_found_list *list, struct weir_found *found)
{
	struct weir_found **tail = &list->first;

	while (*tail)
		tail = &(*tail)->next;
	*tail = found;
	list->count++;
}

static void append(struct weir_found_list *list, struct weir_found *found)
{
	const struct weir_found *other = first_of_kind(list, found->note.kind);

	if (other && !found->problem) {
		found->hidden = true;
		found->problem = true;
		weir_fail(&found->error, WEIR_EEXIST, "driver %s: hidden by %s, which is for the same kind %s",
			  found->path, other->path, found->note.kind);
	}
	append_last(list, found);
}

static void check_version(struct weir_found *found)
{
	if (found->note.abi_major == WEIR_ABI_MAJOR)
		return;
	found->problem = true;
	weir_fail(&found->error, WEIR_EVERSION,
		  "driver %s: made for driver ABI %u.%u, this is Weir with ABI %u.%u; get the driver for this Weir",
		  found->path, found->note.abi_major, found->note.abi_minor, WEIR_ABI_MAJOR, WEIR_ABI_MINOR);
}

/* Reads the note of the file that `found` names; whatever is wrong becomes its problem. */
static void inspect(struct weir_found *found, bool allow_unsafe)
{
	int fd = -1;

	found->problem = weir_find_open(found->path, allow_unsafe, &fd, &found->error) != WEIR_OK;
	if (found->problem)
		return;
	found->problem = weir_note_read(fd, found->path, &found->note, &found->error) != WEIR_OK;
	close(fd);
	if (!found->problem)
		check_version(found);
}

static int add_builtins(struct weir_found_list *list)
{
	for (const struct weir_builtin *b = weir_builtin_first(); b; b = b->next) {
		char path[64];
		struct weir_found *found;

		snprintf(path, sizeof path, "builtin:%s", b->name);
		found = found_new(path);
		if (!found)
			return WEIR_ENOMEM;
		found->init = b->init;
		found->note.abi_major = WEIR_ABI_MAJOR;
		found->note.abi_minor = WEIR_ABI_MINOR;
		snprintf(found->note.name, sizeof found->note.name, "%s", b->name);
		snprintf(found->note.kind, sizeof found->note.kind, "%s", b->kind);
		append(list, found);
	}
	return WEIR_OK;
}

static int is_driver_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > strlen(PREFIX SUFFIX) && strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 &&
	       strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX) == 0;
}

static int add_file(struct weir_found_list *list, const char *folder, const char *file)
{
	char path[MAX_PATH];
	struct weir_found *found;

	if (list->count >= WEIR_FOUND_MAX || snprintf(path, sizeof path, "%s/%s", folder, file) >= MAX_PATH)
		return WEIR_OK;
	found = found_new(path);
	if (!found)
		return WEIR_ENOMEM;
	inspect(found, list->allow_unsafe);
	append(list, found);
	return WEIR_OK;
}

static int add_entries(struct weir_found_list *list, const char *folder, struct dirent **entries, int count)
{
	int code = WEIR_OK;

	for (int i = 0; i < count; i++) {
		if (!code)
			code = add_file(list, folder, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return code;
}

static int add_folder(struct weir_found_list *list, const char *folder, struct weir_dynbuf *searched)
{
	struct dirent **entries = NULL;
	int count;

	weir_dynbuf_addf(searched, "%s%s", searched->len ? ", " : "", folder);
	if (folder[0] != '/') {
		weir_dynbuf_add_text(searched, " (not an absolute path)");
		return WEIR_OK;
	}
	count = scandir(folder, &entries, is_driver_file, alphasort);
	if (count < 0 && errno == ENOMEM)
		return WEIR_ENOMEM;
	if (count < 0) {
		weir_dynbuf_addf(searched, " (%s)", errno == ENOENT ? "no such folder" : strerror(errno));
		return WEIR_OK;
	}
	return add_entries(list, folder, entries, count);
}

/* The value of a key that says where code is loaded from; NULL if it is not to be trusted. */
static const char *trusted(const weir_config *config, const char *key)
{
	const char *origin = weir_config_origin(config, key);

	if (weir_find_elevated() && origin && strcmp(origin, "environment") == 0)
		return NULL;
	return weir_config_get(config, key);
}

/* The file that the configuration names for a kind. */
static struct weir_found *named_file(struct weir_found_list *list, const char *kind, const char *path,
				     struct weir_error *err)
{
	struct weir_found *found;

	for (found = list->first; found; found = found->next)
		if (strcmp(found->path, path) == 0 && strcasecmp(found->named, kind) == 0)
			return found;
	found = found_new(path);
	if (!found) {
		weir_fail(err, WEIR_ENOMEM, "driver %s: %s", path, weir_code_text(WEIR_ENOMEM));
		return NULL;
	}
	snprintf(found->named, sizeof found->named, "%s", kind);
	inspect(found, list->allow_unsafe);
	if (!found->problem && strcasecmp(found->note.kind, kind) != 0) {
		found->problem = true;
		weir_fail(&found->error, WEIR_EINVAL, "driver %s: is for kind %s, but drivers.kinds.%s names it", path,
			  found->note.kind, kind);
	}
	append_last(list, found);
	return found;
}

/* Those that the configuration names come into the list like those of folders. */
static int add_named(const weir_config *config, struct weir_found_list *list)
{
	const char *key;

	for (size_t i = 0; (key = weir_config_key(config, KINDS, i)); i++) {
		const char *path = trusted(config, key);

		if (path && list->count < WEIR_FOUND_MAX && !named_file(list, key + strlen(KINDS), path, NULL))
			return WEIR_ENOMEM;
	}
	return WEIR_OK;
}

static int add_folders(const weir_config *config, struct weir_found_list *list, struct weir_dynbuf *searched)
{
	const char *path = trusted(config, "drivers.path");
	struct weir_buf rest = weir_str(path), part;

	if (!path && weir_config_get(config, "drivers.path"))
		weir_dynbuf_add_text(searched,
				     "nowhere: with raised privileges, folders from the environment are ignored");
	while (path && weir_str_split(&rest, ',', &part)) {
		char folder[MAX_PATH];
		int code;

		part = weir_str_trim(part);
		while (part.len > 1 && ((const char *)part.ptr)[part.len - 1] == '/')
			part.len--;
		if (part.len == 0 || part.len >= sizeof folder)
			continue;
		memcpy(folder, part.ptr, part.len);
		folder[part.len] = '\0';
		code = add_folder(list, folder, searched);
		if (code)
			return code;
	}
	return WEIR_OK;
}

int weir_find(const weir_config *config, struct weir_found_list *list, struct weir_error *err)
{
	struct weir_dynbuf searched;
	int code;

	memset(list, 0, sizeof *list);
	weir_dynbuf_init(&searched, MAX_SEARCHED);
	list->allow_unsafe =
	    trusted(config, "drivers.allowUnsafePath") && weir_config_get_bool(config, "drivers.allowUnsafePath");
	code = add_builtins(list);
	if (!code)
		code = add_named(config, list);
	if (!code)
		code = add_folders(config, list, &searched);
	if (!code) {
		list->searched = weir_mem_strdup(searched.len ? searched.ptr : "no folder");
		code = list->searched ? WEIR_OK : WEIR_ENOMEM;
	}
	weir_dynbuf_fini(&searched);
	if (code) {
		weir_find_fini(list);
		weir_fail(err, code, "looking for drivers: %s", weir_code_text(code));
	}
	return code;
}

void weir_find_fini(struct weir_found_list *list)
{
	while (list->first) {
		struct weir_found *found = list->first;

		list->first = found->next;
		found_free(found);
	}
	weir_mem_free(list->searched);
	list->searched = NULL;
}

/* A file that cannot be used and does not say for which kind it is may be the one that is missed. */
static const struct weir_found *first_nameless(const struct weir_found_list *list)
{
	for (const struct weir_found *found = list->first; found; found = found->next)
		if (found->problem && !found->note.kind[0] && !found->named[0])
			return found;
	return NULL;
}

static void say_kinds(const struct weir_found_list *list, const char *kind, struct weir_error *err)
{
	const struct weir_found *nameless = first_nameless(list);
	struct weir_dynbuf kinds;

	weir_dynbuf_init(&kinds, 256);
	for (const struct weir_found *found = list->first; found; found = found->next)
		if (!found->problem)
			weir_dynbuf_addf(&kinds, "%s%s", kinds.len ? ", " : "", found->note.kind);
	weir_fail(err, WEIR_ENOTFOUND, "no driver for kind %.63s; kinds found: %s; searched: %s%s%s", kind,
		  kinds.len ? kinds.ptr : "none", list->searched, nameless ? "; cannot be used: " : "",
		  nameless ? nameless->error.text : "");
	weir_dynbuf_fini(&kinds);
}

struct weir_found *weir_find_kind(const weir_config *config, struct weir_found_list *list, const char *kind,
				  struct weir_error *err)
{
	struct weir_found *broken = NULL;
	char key[128];
	const char *path = NULL;

	if (snprintf(key, sizeof key, KINDS "%s", kind) < (int)sizeof key)
		path = trusted(config, key);
	if (path)
		return named_file(list, kind, path, err);
	for (struct weir_found *found = list->first; found; found = found->next) {
		if (strcmp(found->note.kind, kind) != 0 || found->hidden || found->named[0])
			continue;
		if (!found->problem)
			return found;
		broken = broken ? broken : found;
	}
	if (!broken)
		say_kinds(list, kind, err);
	return broken;
}
