/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/quarantine_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "dispatch/encode.h"
#include "event/json_scan.h"

#define SUFFIX ".json"

enum { LOAD_STEP = 65536, DEPTH = 1000 };

int weir_quarantine_path(const weir_config *config, char out[WEIR_QUARANTINE_PATH_SIZE], struct weir_error *err)
{
	const char *path = weir_config_get(config, "dispatcher.quarantine.path");
	const char *state = getenv("STATE_DIRECTORY");
	int len;

	if (path)
		len = snprintf(out, WEIR_QUARANTINE_PATH_SIZE, "%s", path);
	else /* systemd gives a list; ours has one */
		len = snprintf(out, WEIR_QUARANTINE_PATH_SIZE, "%.*s/quarantine",
			       state ? (int)strcspn(state, ":") : 0x7fff, state && *state ? state : "weir-data");
	if (len < 0 || len >= WEIR_QUARANTINE_PATH_SIZE)
		return weir_fail(err, WEIR_EINVAL, "dispatcher.quarantine.path: the path is too long");
	return WEIR_OK;
}

bool weir_quarantine_is_name(struct weir_buf name)
{
	const struct weir_buf suffix = WEIR_STR(SUFFIX);
	const char *bytes = name.ptr;
	size_t len = name.len - suffix.len;

	if (name.len <= suffix.len || name.len >= WEIR_QUARANTINE_NAME_SIZE ||
	    memcmp(bytes + len, suffix.ptr, suffix.len) != 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (weir_str_hex(bytes[i]) < 0 && bytes[i] != '-')
			return false;
	}
	return true;
}

static int fail_errno(struct weir_error *err, const char *what, const char *name)
{
	int saved = errno;

	weir_fail(err, saved == ENOENT ? WEIR_ENOTFOUND : WEIR_EIO, "quarantine: cannot %s \"%s\": %s", what, name,
		  strerror(saved));
	weir_error_native(err, "errno", saved);
	return saved == ENOENT ? WEIR_ENOTFOUND : WEIR_EIO;
}

/* ---- listing -------------------------------------------------------------- */

static bool add_name(struct weir_quarantine_names *names, const char *name)
{
	size_t capacity = names->capacity ? names->capacity * 2 : 64;
	void *grown;

	if (names->count == names->capacity) {
		grown = weir_mem_realloc(names->items, capacity * sizeof *names->items);
		if (!grown)
			return false;
		names->items = grown;
		names->capacity = capacity;
	}
	snprintf(names->items[names->count++], sizeof *names->items, "%s", name);
	return true;
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

int weir_quarantine_list(const char *folder, const char *after, struct weir_quarantine_names *ret,
			 struct weir_error *err)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	bool kept = true;

	*ret = (struct weir_quarantine_names){ 0 };
	if (!dir)
		return errno == ENOENT ? WEIR_OK : fail_errno(err, "list the folder", folder);
	while (kept && (entry = readdir(dir))) {
		if (weir_quarantine_is_name(weir_str(entry->d_name)) && (!after || strcmp(entry->d_name, after) > 0))
			kept = add_name(ret, entry->d_name);
	}
	closedir(dir);
	if (!kept)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for the names of quarantine");
	if (ret->count)
		qsort(ret->items, ret->count, sizeof *ret->items, name_compare);
	return WEIR_OK;
}

void weir_quarantine_names_fini(struct weir_quarantine_names *names)
{
	weir_mem_free(names->items);
	*names = (struct weir_quarantine_names){ 0 };
}

/* ---- one file ------------------------------------------------------------- */

static int open_folder(const char *folder, struct weir_error *err)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		fail_errno(err, "open the folder", folder);
	return fd;
}

static int read_all(int fd, const char *name, struct weir_dynbuf *out, struct weir_error *err)
{
	ssize_t got;
	char *room;

	do {
		room = weir_dynbuf_reserve(out, LOAD_STEP);
		if (!room)
			return weir_fail(err, WEIR_ETOOBIG, "quarantine: \"%s\" is too large for this", name);
		got = read(fd, room, LOAD_STEP);
		if (got < 0 && errno != EINTR)
			return fail_errno(err, "read", name);
		out->len += got > 0 ? (size_t)got : 0;
		out->ptr[out->len] = '\0';
	} while (got != 0);
	return WEIR_OK;
}

int weir_quarantine_load(const char *folder, const char *name, struct weir_dynbuf *out, struct weir_error *err)
{
	int code, fd, folder_fd = open_folder(folder, err);
	struct stat info;

	if (folder_fd < 0)
		return WEIR_ENOTFOUND;
	fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	close(folder_fd);
	if (fd < 0)
		return fail_errno(err, "open", name);
	if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
		code = weir_fail(err, WEIR_EIO, "quarantine: \"%s\" is not a file", name);
	else
		code = read_all(fd, name, out, err);
	close(fd);
	return code;
}

int weir_quarantine_remove(const char *folder, const char *name, struct weir_error *err)
{
	int code = WEIR_OK, folder_fd = open_folder(folder, err);

	if (folder_fd < 0)
		return WEIR_ENOTFOUND;
	if (unlinkat(folder_fd, name, 0) < 0)
		code = fail_errno(err, "remove", name);
	else if (fsync(folder_fd) < 0)
		code = fail_errno(err, "sync the folder of", name);
	close(folder_fd);
	return code;
}

/* ---- what it says ----------------------------------------------------------- */

struct reader {
	struct weir_json_scan scan;
	struct weir_arena *arena;
	struct weir_quarantine_about *about;
	bool in_failure;
};

static struct weir_buf *field_of(const struct reader *reader, struct weir_buf key)
{
	const struct {
		const char *key;
		struct weir_buf *field;
		bool in_failure;
	} fields[] = {
		{ "quarantined", &reader->about->quarantined, false },
		{ "namespace", &reader->about->ns, false },
		{ "channel", &reader->about->channel, false },
		{ "subscription", &reader->about->subscription, false },
		{ "uid", &reader->about->uid, false },
		{ "reason", &reader->about->reason, true },
	};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		if (fields[i].in_failure == reader->in_failure && weir_str_equal(key, weir_str(fields[i].key)))
			return fields[i].field;
	}
	return NULL;
}

static int read_member(struct reader *reader, struct weir_buf key)
{
	struct weir_json_token value;
	struct weir_buf whole, *field = field_of(reader, key);
	enum weir_json_kind kind = weir_json_next(&reader->scan, &value);

	if (kind == WEIR_JSON_OBJECT && !reader->in_failure && weir_str_equal(key, WEIR_STR("failure"))) {
		reader->in_failure = true;
		return WEIR_OK;
	}
	if (kind == WEIR_JSON_STRING && field)
		return weir_json_unescape(&value, reader->arena, field) ? WEIR_OK : WEIR_ENOMEM;
	if (!weir_json_skip(&reader->scan, &value, &whole))
		return WEIR_ECORRUPT;
	if (kind == WEIR_JSON_OBJECT && !reader->in_failure && weir_str_equal(key, WEIR_STR("event")))
		reader->about->event = whole;
	return WEIR_OK;
}

static int read_members(struct reader *reader)
{
	struct weir_json_token token;
	enum weir_json_kind kind;
	int code = WEIR_OK;

	if (weir_json_next(&reader->scan, &token) != WEIR_JSON_OBJECT)
		return WEIR_ECORRUPT;
	while (!code && (kind = weir_json_next(&reader->scan, &token)) != WEIR_JSON_END) {
		if (kind == WEIR_JSON_KEY)
			code = read_member(reader, token.text);
		else if (kind == WEIR_JSON_OBJECT_END)
			reader->in_failure = false;
		else
			code = WEIR_ECORRUPT;
	}
	return code;
}

int weir_quarantine_read(struct weir_buf text, struct weir_arena *arena, struct weir_quarantine_about *ret,
			 struct weir_error *err)
{
	static const struct weir_buf empty = { "", 0 };
	struct reader reader = { .arena = arena, .about = ret };
	int code;

	*ret = (struct weir_quarantine_about){ empty, empty, empty, empty, empty, empty, { NULL, 0 } };
	if (!weir_str_is_utf8(text))
		return weir_fail(err, WEIR_ECORRUPT, "quarantine: the file is damaged");
	weir_json_init(&reader.scan, text, DEPTH);
	code = read_members(&reader);
	if (code == WEIR_ECORRUPT)
		return weir_fail(err, code, "quarantine: the file is damaged");
	return code ? weir_fail(err, code, "out of memory for a file of quarantine") : WEIR_OK;
}

static void add_member(struct weir_dynbuf *out, const char *name, struct weir_buf value)
{
	weir_dynbuf_addf(out, ",\"%s\":", name);
	weir_encode_json_text(out, value);
}

bool weir_quarantine_line(struct weir_dynbuf *out, const char *name, const struct weir_quarantine_about *about,
			  weir_event *event)
{
	weir_dynbuf_add_text(out, "{\"name\":");
	weir_encode_json_text(out, weir_str(name));
	add_member(out, "quarantined", about->quarantined);
	add_member(out, "namespace", about->ns);
	add_member(out, "channel", about->channel);
	add_member(out, "subscription", about->subscription);
	if (about->event.ptr && weir_event_from_json(event, about->event, NULL) == WEIR_OK) {
		add_member(out, "id", weir_event_attribute(event, WEIR_ATTR_ID));
		add_member(out, "source", weir_event_attribute(event, WEIR_ATTR_SOURCE));
		add_member(out, "type", weir_event_attribute(event, WEIR_ATTR_TYPE));
	}
	add_member(out, "reason", about->reason);
	return weir_dynbuf_add_text(out, "}\n");
}
