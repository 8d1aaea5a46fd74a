/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/memo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dynbuf.h"
#include "base/mem.h"
#include "channel/internal.h"

#define HEAD "weir-moves 1"

enum { FILE_MAX = 16 << 20, WORD_MAX = 4096 };

/* ---- lists of uids --------------------------------------------------------- */

bool weir_uid_has(const struct weir_uid *list, const char *text)
{
	for (; list; list = list->next)
		if (strcmp(list->text, text) == 0)
			return true;
	return false;
}

bool weir_uid_add(struct weir_uid **list, const char *text)
{
	size_t size = strlen(text) + 1;
	struct weir_uid *uid;

	if (weir_uid_has(*list, text))
		return true;
	uid = weir_mem_alloc(sizeof *uid + size);
	if (!uid)
		return false;
	memcpy(uid->text, text, size);
	while (*list)
		list = &(*list)->next;
	uid->next = NULL;
	*list = uid;
	return true;
}

bool weir_uid_remove(struct weir_uid **list, const char *text)
{
	struct weir_uid *uid;

	while (*list && strcmp((*list)->text, text) != 0)
		list = &(*list)->next;
	uid = *list;
	if (!uid)
		return false;
	*list = uid->next;
	weir_mem_free(uid);
	return true;
}

void weir_uid_free(struct weir_uid **list)
{
	while (*list) {
		struct weir_uid *uid = *list;

		*list = uid->next;
		weir_mem_free(uid);
	}
}

void weir_memo_free(struct weir_memo *memo)
{
	if (!memo)
		return;
	while (memo->legs) {
		struct weir_memo_leg *leg = memo->legs;

		memo->legs = leg->next;
		weir_uid_free(&leg->uids);
		weir_mem_free(leg);
	}
	weir_uid_free(&memo->uids);
	weir_mem_free(memo->ns);
	weir_mem_free(memo->name);
	weir_mem_free(memo->kind);
	weir_mem_free(memo);
}

/* ---- reading --------------------------------------------------------------- */

struct reader {
	char *at;
	unsigned line;
	struct weir_memo *first, *last;
	struct weir_memo_leg *leg; /* of the last one that "sub" lines belong to; NULL: they are the channel's */
	bool ended;
};

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undoes %XX in place. False: it is none. */
static bool unescape(char *word)
{
	char *to = word;

	for (; *word; word++) {
		if (*word != '%') {
			*to++ = *word;
			continue;
		}
		if (hex(word[1]) < 0 || hex(word[2]) < 0)
			return false;
		*to++ = (char)(hex(word[1]) << 4 | hex(word[2]));
		word += 2;
	}
	*to = '\0';
	return true;
}

/* Cuts a line into words. Returns how many; more than `max` or none that can be: 0. */
static size_t cut(char *line, char **words, size_t max)
{
	size_t count = 0;
	char *word;

	while ((word = strsep(&line, " "))) {
		if (count == max || *word == '\0' || !unescape(word))
			return 0;
		words[count++] = word;
	}
	return count;
}

static int add_channel(struct reader *reader, char *const *words)
{
	struct weir_memo *memo = weir_mem_zalloc(1, sizeof *memo);

	if (!memo)
		return WEIR_ENOMEM;
	memo->ns = weir_mem_strdup(words[1]);
	memo->name = weir_mem_strdup(words[2]);
	memo->kind = weir_mem_strdup(words[3]);
	if (reader->last)
		reader->last->next = memo;
	else
		reader->first = memo;
	reader->last = memo;
	reader->leg = NULL;
	return memo->ns && memo->name && memo->kind ? WEIR_OK : WEIR_ENOMEM;
}

static struct weir_memo_leg *add_leg(struct weir_memo *memo, const char *kind)
{
	struct weir_memo_leg **at = &memo->legs;
	size_t size = strlen(kind) + 1;
	struct weir_memo_leg *leg = weir_mem_zalloc(1, sizeof *leg + size);

	if (!leg)
		return NULL;
	memcpy(leg->kind, kind, size);
	while (*at)
		at = &(*at)->next;
	*at = leg;
	return leg;
}

static int take_line(struct reader *reader, char *line)
{
	char *words[4];
	size_t count = cut(line, words, 4);

	if (count == 4 && strcmp(words[0], "channel") == 0)
		return add_channel(reader, words);
	if (count == 1 && strcmp(words[0], "end") == 0) {
		reader->ended = true;
		return WEIR_OK;
	}
	if (count != 2 || !reader->last)
		return WEIR_ECORRUPT;
	if (strcmp(words[0], "from") == 0) {
		reader->leg = add_leg(reader->last, words[1]);
		return reader->leg ? WEIR_OK : WEIR_ENOMEM;
	}
	if (strcmp(words[0], "sub") != 0)
		return WEIR_ECORRUPT;
	return weir_uid_add(reader->leg ? &reader->leg->uids : &reader->last->uids, words[1]) ? WEIR_OK : WEIR_ENOMEM;
}

static int take_lines(struct reader *reader)
{
	char *line = strsep(&reader->at, "\n");
	int code = WEIR_OK;

	if (!line || strcmp(line, HEAD) != 0)
		return WEIR_ECORRUPT;
	while (!code && !reader->ended && (line = strsep(&reader->at, "\n"))) {
		reader->line++;
		code = take_line(reader, line);
	}
	if (code)
		return code;
	/* Behind the end there is one line break and nothing else: else the file is not as it was written. */
	return reader->ended && reader->at && *reader->at == '\0' ? WEIR_OK : WEIR_ECORRUPT;
}

static int read_whole(int fd, char **ret)
{
	struct stat info;
	size_t size, used = 0;
	char *text;

	if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || info.st_size > FILE_MAX)
		return WEIR_EIO;
	size = (size_t)info.st_size;
	text = weir_mem_alloc(size + 1);
	if (!text)
		return WEIR_ENOMEM;
	while (used < size) {
		ssize_t got = read(fd, text + used, size - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += (size_t)got;
	}
	text[used] = '\0';
	*ret = text;
	/* A zero byte would hide what is behind it. */
	return used == size && strlen(text) == size ? WEIR_OK : WEIR_ECORRUPT;
}

static int read_failed(const char *path, int code, unsigned line, struct weir_error *err)
{
	if (code == WEIR_ECORRUPT)
		return weir_fail(
		    err, code,
		    "%s is damaged at line %u: it says which backends still have events to deliver; move it "
		    "away to start without it",
		    path, line);
	return weir_fail(err, code, "%s: %s", path, code == WEIR_EIO ? "cannot be read" : weir_code_text(code));
}

int weir_memo_read(const char *path, struct weir_memo **ret, struct weir_error *err)
{
	struct reader reader = { .line = 1 };
	char *text = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int code;

	*ret = NULL;
	if (fd < 0 && errno == ENOENT)
		return WEIR_ENOTFOUND;
	if (fd < 0)
		return weir_fail(err, WEIR_EIO, "%s: %s", path, strerror(errno));
	code = read_whole(fd, &text);
	close(fd);
	reader.at = text;
	if (!code)
		code = take_lines(&reader);
	weir_mem_free(text);
	if (!code) {
		*ret = reader.first;
		return WEIR_OK;
	}
	while (reader.first) {
		struct weir_memo *memo = reader.first;

		reader.first = memo->next;
		weir_memo_free(memo);
	}
	return read_failed(path, code, reader.line, err);
}

/* ---- channels that come and go ---------------------------------------------- */

struct weir_memo *weir_memo_take_locked(weir_runtime *runtime, const char *ns, const char *name)
{
	struct weir_memo **at = &runtime->memos, *memo;

	while (*at && (strcmp((*at)->ns, ns) != 0 || strcmp((*at)->name, name) != 0))
		at = &(*at)->next;
	memo = *at;
	if (memo)
		*at = memo->next;
	return memo;
}

static bool copy_uids(struct weir_uid **to, const struct weir_uid *from)
{
	for (; from; from = from->next)
		if (!weir_uid_add(to, from->text))
			return false;
	return true;
}

static bool copy_leg(struct weir_memo *memo, const struct weir_place *place)
{
	struct weir_memo_leg *leg = add_leg(memo, place->kind->name);

	return leg && copy_uids(&leg->uids, place->undrained);
}

static bool copy_channel(struct weir_memo *memo, const weir_channel *channel)
{
	const struct weir_place *place = channel->places;

	for (; place->next; place = place->next)
		if (!copy_leg(memo, place))
			return false;
	if (channel->committing && !copy_leg(memo, place))
		return false;
	if (channel->committing)
		place = channel->coming;
	memo->ns = weir_mem_strdup(channel->ns);
	memo->name = weir_mem_strdup(channel->name);
	memo->kind = weir_mem_strdup(place->kind->name);
	return memo->ns && memo->name && memo->kind && copy_uids(&memo->uids, channel->uids);
}

/* One that has no durable subscription and nothing to drain need not be known. */
static bool is_worth(const weir_channel *channel)
{
	return channel->places && (channel->uids || channel->places->next);
}

struct weir_memo *weir_memo_of_locked(const weir_channel *channel)
{
	struct weir_memo *memo = is_worth(channel) ? weir_mem_zalloc(1, sizeof *memo) : NULL;

	if (!memo || copy_channel(memo, channel))
		return memo;
	weir_memo_free(memo);
	return NULL;
}

/* ---- writing --------------------------------------------------------------- */

static void add_word(struct weir_dynbuf *text, const char *word)
{
	weir_dynbuf_add_text(text, " ");
	for (; *word; word++) {
		if ((unsigned char)*word <= ' ' || *word == '%' || *word == 0x7f)
			weir_dynbuf_addf(text, "%%%02X", (unsigned char)*word);
		else
			weir_dynbuf_addf(text, "%c", *word);
	}
}

static void add_uids(struct weir_dynbuf *text, const struct weir_uid *uids)
{
	for (; uids; uids = uids->next) {
		weir_dynbuf_add_text(text, "sub");
		add_word(text, uids->text);
		weir_dynbuf_add_text(text, "\n");
	}
}

static void add_memo(struct weir_dynbuf *text, const struct weir_memo *memo)
{
	weir_dynbuf_add_text(text, "channel");
	add_word(text, memo->ns);
	add_word(text, memo->name);
	add_word(text, memo->kind);
	weir_dynbuf_add_text(text, "\n");
	add_uids(text, memo->uids);
	for (const struct weir_memo_leg *leg = memo->legs; leg; leg = leg->next) {
		weir_dynbuf_add_text(text, "from");
		add_word(text, leg->kind);
		weir_dynbuf_add_text(text, "\n");
		add_uids(text, leg->uids);
	}
}

/* False: memory is short. */
static bool add_all_locked(weir_runtime *runtime, struct weir_dynbuf *text)
{
	weir_dynbuf_add_text(text, HEAD "\n");
	for (const struct weir_memo *memo = runtime->memos; memo; memo = memo->next)
		add_memo(text, memo);
	for (const weir_channel *channel = runtime->channels; channel; channel = channel->next) {
		struct weir_memo *memo;

		if (channel->opening || !is_worth(channel))
			continue;
		memo = weir_memo_of_locked(channel);
		if (!memo)
			return false;
		add_memo(text, memo);
		weir_memo_free(memo);
	}
	weir_dynbuf_add_text(text, "end\n");
	return !text->failed;
}

static int write_all(int fd, const char *at, size_t len)
{
	while (len > 0) {
		ssize_t done = write(fd, at, len);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return -1;
		at += done;
		len -= (size_t)done;
	}
	return 0;
}

static int sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? weir_mem_strdup(path) : NULL;
	int fd, result;

	if (slash && !folder)
		return -1;
	if (folder)
		folder[slash == path ? 1 : slash - path] = '\0';
	fd = open(folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	weir_mem_free(folder);
	result = fd < 0 ? -1 : fsync(fd);
	if (fd >= 0)
		close(fd);
	return result;
}

static int replace(const char *path, const char *text, size_t len)
{
	size_t size = strlen(path) + sizeof ".new";
	char *beside = weir_mem_alloc(size);
	int result = -1, fd;

	if (!beside)
		return -1;
	snprintf(beside, size, "%s.new", path);
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0) {
		result = write_all(fd, text, len) == 0 && fsync(fd) == 0 ? 0 : -1;
		if (close(fd) < 0)
			result = -1;
	}
	if (result == 0)
		result = rename(beside, path);
	if (result == 0)
		result = sync_folder(path);
	weir_mem_free(beside);
	return result;
}

/* One at a time: who comes later knows more. */
static void begin_writing(weir_runtime *runtime)
{
	while (runtime->memo_writing)
		pthread_cond_wait(&runtime->changed, runtime->lock);
	runtime->memo_writing = true;
}

int weir_memo_write(weir_runtime *runtime, struct weir_error *err)
{
	struct weir_dynbuf text;
	int code = WEIR_OK;

	if (!runtime->memo_path)
		return WEIR_OK;
	weir_dynbuf_init(&text, FILE_MAX);
	pthread_mutex_lock(runtime->lock);
	begin_writing(runtime);
	if (!add_all_locked(runtime, &text))
		code = weir_fail(err, WEIR_ENOMEM, "%s: %s", runtime->memo_path, weir_code_text(WEIR_ENOMEM));
	pthread_mutex_unlock(runtime->lock);
	if (!code && replace(runtime->memo_path, text.ptr, text.len) < 0)
		code = weir_fail(err, WEIR_EIO, "%s: cannot be written: %s", runtime->memo_path, strerror(errno));
	pthread_mutex_lock(runtime->lock);
	runtime->memo_writing = false;
	pthread_cond_broadcast(&runtime->changed);
	pthread_mutex_unlock(runtime->lock);
	weir_dynbuf_fini(&text);
	return code;
}
