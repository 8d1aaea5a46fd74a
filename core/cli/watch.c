/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/watch.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/sources.h"

enum {
	SOURCES_MAX = 16384,
	QUIET_MS = 250,   /* without a further change, until it is looked at */
	LATEST_MS = 2000, /* after the first change, however many follow */
	LINKS_MAX = 16,
	POLL_MS = 5000, /* where the kernel tells nothing */
};

struct watched {
	char *path;
	struct weir_stamp stamp;
};

struct weir_watcher {
	struct weir_loop *loop;
	void (*changed)(void *ctx);
	void *ctx;
	struct weir_watch watch; /* fd < 0: there is none */
	struct weir_timer look;
	int64_t first_ns; /* since when changes are told; 0: none is */
	bool poll;
	struct watched *sources;
	size_t count, capacity;
};

/* ---- what is watched ------------------------------------------------------ */

void weir_watcher_clear(struct weir_watcher *watcher)
{
	for (size_t i = 0; i < watcher->count; i++)
		weir_mem_free(watcher->sources[i].path);
	watcher->count = 0;
}

static bool add(struct weir_watcher *watcher, const struct weir_source *source)
{
	struct watched watched = { weir_mem_strdup(source->path), source->stamp };

	if (watched.path && watcher->count == watcher->capacity) {
		size_t capacity = watcher->capacity ? watcher->capacity * 2 : 16;
		struct watched *grown = weir_mem_realloc(watcher->sources, capacity * sizeof *grown);

		if (grown) {
			watcher->sources = grown;
			watcher->capacity = capacity;
		}
	}
	if (!watched.path || watcher->count == watcher->capacity) {
		weir_mem_free(watched.path);
		return false;
	}
	watcher->sources[watcher->count++] = watched;
	return true;
}

void weir_watcher_add(struct weir_watcher *watcher, const weir_config *config)
{
	const struct weir_source *sources;
	size_t count = weir_config_sources(config, &sources);

	for (size_t i = 0; i < count && watcher->count < SOURCES_MAX; i++) {
		if (add(watcher, &sources[i]))
			continue;
		weir_log(WEIR_LOG_WARNING, "out of memory: not every file of the configuration is watched");
		return;
	}
}

/* ---- what the kernel tells ------------------------------------------------ */

/* Of a file its folder: it may be replaced. */
static void watch_folder(struct weir_watcher *watcher, const char *folder)
{
	const uint32_t events =
	    IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_DELETE | IN_ATTRIB | IN_ONLYDIR;

	/* A folder that is not there is somebody's mistake, which is told elsewhere. */
	if (inotify_add_watch(watcher->watch.fd, folder, events) < 0 && errno != ENOENT && errno != ENOTDIR)
		watcher->poll = true;
}

/* Of `at`, a link, what it points to; false: it is none. Both PATH_MAX long. */
static bool follow(const char *at, char *next)
{
	char target[PATH_MAX];
	ssize_t len = readlink(at, target, sizeof target - 1);
	const char *slash = strrchr(at, '/');
	int used;

	if (len <= 0)
		return false;
	target[len] = '\0';
	used = snprintf(next, PATH_MAX, "%.*s%s", target[0] == '/' || !slash ? 0 : (int)(slash - at + 1), at, target);
	return used > 0 && used < PATH_MAX;
}

/* The folder of each link on the way: any of them may be moved elsewhere. */
static void watch_path(struct weir_watcher *watcher, const char *path)
{
	char at[PATH_MAX], next[PATH_MAX], folder[PATH_MAX];

	watch_folder(watcher, path); /* if it is one */
	snprintf(next, sizeof next, "%s", path);
	for (int links = 0; links < LINKS_MAX; links++) {
		memcpy(at, next, sizeof at);
		memcpy(folder, at, sizeof folder);
		watch_folder(watcher, dirname(folder));
		if (!follow(at, next))
			return;
	}
}

static bool look_later(struct weir_watcher *watcher, int64_t ms)
{
	return weir_loop_timer_set(watcher->loop, &watcher->look, weir_clock_after_ms(weir_clock_now_ns(), ms)) ==
	       WEIR_OK;
}

static void note_change(struct weir_watcher *watcher)
{
	int64_t now_ns = weir_clock_now_ns();

	if (!watcher->first_ns)
		watcher->first_ns = now_ns;
	if (now_ns - watcher->first_ns < LATEST_MS * WEIR_NS_PER_MS)
		look_later(watcher, QUIET_MS);
}

static void on_ready(struct weir_watch *watch, uint32_t events)
{
	struct weir_watcher *watcher = WEIR_CONTAINER(watch, struct weir_watcher, watch);
	char buffer[4096];

	(void)events;
	/* Which it was is of no importance: all are looked at. */
	while (read(watch->fd, buffer, sizeof buffer) > 0)
		;
	note_change(watcher);
}

/* ---- looking -------------------------------------------------------------- */

static bool has_changed(const struct weir_watcher *watcher)
{
	for (size_t i = 0; i < watcher->count; i++) {
		struct weir_stamp stamp;

		weir_stamp_take(watcher->sources[i].path, &stamp);
		if (!weir_stamp_same(&stamp, &watcher->sources[i].stamp))
			return true;
	}
	return false;
}

static void on_look(struct weir_timer *timer)
{
	struct weir_watcher *watcher = WEIR_CONTAINER(timer, struct weir_watcher, look);

	watcher->first_ns = 0;
	if (watcher->poll)
		look_later(watcher, POLL_MS);
	if (has_changed(watcher))
		watcher->changed(watcher->ctx);
}

static void close_watch(struct weir_watcher *watcher)
{
	if (watcher->watch.fd < 0)
		return;
	weir_loop_unwatch(watcher->loop, &watcher->watch);
	close(watcher->watch.fd);
	watcher->watch.fd = -1;
}

/* A new descriptor each time: folders that are not of interest any more are forgotten with the old one. */
void weir_watcher_begin(struct weir_watcher *watcher)
{
	bool polled = watcher->poll;

	close_watch(watcher);
	weir_loop_timer_cancel(watcher->loop, &watcher->look);
	watcher->first_ns = 0;
	watcher->poll = false;
	if (!watcher->count)
		return;
	watcher->watch.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	watcher->poll =
	    watcher->watch.fd < 0 || weir_loop_watch(watcher->loop, &watcher->watch, EPOLLIN, NULL) != WEIR_OK;
	for (size_t i = 0; i < watcher->count && !watcher->poll; i++)
		watch_path(watcher, watcher->sources[i].path);
	if (watcher->poll && !polled)
		weir_log(WEIR_LOG_WARNING,
			 "the kernel does not watch the files of the configuration (%s): they are "
			 "looked at every %d s",
			 strerrordesc_np(errno), POLL_MS / 1000);
	/* What changed while the watches were made. */
	if (watcher->poll)
		look_later(watcher, POLL_MS);
	else if (has_changed(watcher))
		note_change(watcher);
}

int weir_watcher_new(struct weir_loop *loop, void (*changed)(void *ctx), void *ctx, struct weir_watcher **ret)
{
	struct weir_watcher *watcher = weir_mem_zalloc(1, sizeof *watcher);

	if (!watcher)
		return WEIR_ENOMEM;
	watcher->loop = loop;
	watcher->changed = changed;
	watcher->ctx = ctx;
	watcher->watch.fd = -1;
	watcher->watch.ready = on_ready;
	watcher->look.fire = on_look;
	*ret = watcher;
	return WEIR_OK;
}

void weir_watcher_free(struct weir_watcher *watcher)
{
	if (!watcher)
		return;
	weir_watcher_clear(watcher);
	close_watch(watcher);
	weir_loop_timer_cancel(watcher->loop, &watcher->look);
	weir_mem_free(watcher->sources);
	weir_mem_free(watcher);
}
