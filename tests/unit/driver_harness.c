/* SPDX-License-Identifier: Apache-2.0 */
#include "driver_harness.h"

#include <dlfcn.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	DEADLINE_S = 20, /* far more than needed: sanitizers on a busy machine */
	BATCH = 64,
	MAX_SETTINGS = 32,
};

int64_t harness_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- loading and opening ------------------------------------------------------------ */

static void host_log(void *ctx, int level, const char *text)
{
	(void)ctx;
	if (getenv("WEIR_TEST_VERBOSE"))
		fprintf(stderr, "driver[%d]: %s\n", level, text);
}

void harness_adopt(struct harness *h, weir_driver_init_fn *init)
{
	struct weir_error err = WEIR_ERROR_INIT;

	memset(h, 0, sizeof *h);
	h->init = init;
	h->ops.size = sizeof h->ops;
	assert_int_equal(init(WEIR_ABI_MAJOR, WEIR_ABI_MINOR, &h->ops, &err), WEIR_OK);
	h->host = (struct weir_host){ .size = sizeof h->host, .abi_major = WEIR_ABI_MAJOR, .log = host_log };
	/* In memory if possible: these tests are about what a driver does, not about the disk. */
	snprintf(h->folder, sizeof h->folder, "%s/weir-test-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(h->folder));
}

void harness_load(struct harness *h, const char *name)
{
	const char *build = getenv("WEIR_TEST_BUILD");
	weir_driver_init_fn *init;
	char path[512], symbol[96];
	void *library;

	snprintf(path, sizeof path, "%s/drivers/weir-driver-%s.so", build ? build : "build", name);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		fail_msg("%s", dlerror());
	snprintf(symbol, sizeof symbol, "weir_driver_%s_init", name);
	*(void **)&init = dlsym(library, symbol);
	assert_non_null(init);
	harness_adopt(h, init);
}

/* Writes value and the key's row; overrides are "key=value key=value". */
static void setting_fill(const struct harness *h, const struct weir_option *option, const char *overrides, char *value,
			 size_t size)
{
	size_t len = strlen(option->key);
	const char *at = overrides;

	snprintf(value, size, "%s", option->fallback ? option->fallback : "");
	if (strcmp(option->key, "path") == 0)
		snprintf(value, size, "%s/store", h->folder);
	while (at && *at) {
		size_t word = strcspn(at, " ");

		if (word > len && strncmp(at, option->key, len) == 0 && at[len] == '=')
			snprintf(value, size, "%.*s", (int)(word - len - 1), at + len + 1);
		at += word;
		at += strspn(at, " ");
	}
}

/* Overrides of a key below an option "PREFIX.*" are settings of their own. The first "PREFIX.KEY=VALUE" in them. */
static bool prefixed(const struct weir_option *option, const char *overrides, char *key, char *value, size_t size)
{
	size_t len = strlen(option->key) - 1, key_len;
	const char *at;

	if (!(option->flags & WEIR_OPTION_PREFIX) || !overrides || option->key[len] != '*')
		return false;
	for (at = overrides; *at; at += strspn(at, " ")) {
		key_len = strcspn(at, "= ");
		if (strncmp(at, option->key, len) == 0 && at[key_len] == '=') {
			snprintf(key, size, "%.*s", (int)key_len, at);
			snprintf(value, size, "%.*s", (int)strcspn(at + key_len + 1, " "), at + key_len + 1);
			return true;
		}
		at += strcspn(at, " ");
	}
	return false;
}

int harness_try_open(struct harness *h, const char *overrides, struct weir_error *err)
{
	struct weir_setting settings[MAX_SETTINGS];
	char values[MAX_SETTINGS][256], key[256];
	size_t i, count = 0;

	assert_true(h->ops.option_count <= MAX_SETTINGS);
	for (i = 0; i < h->ops.option_count; i++) {
		const struct weir_option *option = &h->ops.options[i];

		settings[count].key = option->key;
		settings[count].value = values[count];
		if (prefixed(option, overrides, key, values[count], sizeof values[count]))
			settings[count++].key = key;
		else if (!(option->flags & WEIR_OPTION_PREFIX))
			setting_fill(h, option, overrides, values[count++], sizeof values[0]);
	}
	return h->ops.open(&h->host, settings, count, &h->inst, err);
}

void harness_open(struct harness *h, const char *overrides)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (harness_try_open(h, overrides, &err))
		fail_msg("open: %s", err.text);
}

static void seen_clear(struct harness *h)
{
	size_t i;

	for (i = 0; i < h->seen_count; i++)
		h->ops.release(h->seen[i].lease);
	free(h->seen);
	h->seen = NULL;
	h->seen_count = h->seen_room = 0;
}

void harness_close(struct harness *h)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (h->ops.close(h->inst, harness_now() + INT64_C(10000000000), WEIR_CLOSE_FLUSH, &err))
		fail_msg("close: %s", err.text);
	h->inst = NULL;
	seen_clear(h);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	(void)info;
	(void)type;
	(void)ftw;
	return remove(path);
}

void harness_unload(struct harness *h)
{
	if (h->inst)
		harness_close(h);
	seen_clear(h);
	nftw(h->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- events ------------------------------------------------------------------------- */

static void pump(struct harness *h, int64_t timeout_ns)
{
	size_t count = 0;

	if (h->seen_count + BATCH > h->seen_room) {
		h->seen_room = h->seen_room ? h->seen_room * 2 : 4 * (size_t)BATCH;
		h->seen = realloc(h->seen, h->seen_room * sizeof *h->seen);
		assert_non_null(h->seen);
	}
	h->seen[h->seen_count].size = sizeof *h->seen;
	assert_int_equal(h->ops.poll(h->inst, h->seen + h->seen_count, BATCH, timeout_ns, &count), WEIR_OK);
	assert_true(count <= BATCH);
	h->seen_count += count;
}

static bool take_seen(struct harness *h, uint32_t type, struct weir_driver_event *ret)
{
	size_t i;

	for (i = 0; i < h->seen_count; i++) {
		if (h->seen[i].type != type)
			continue;
		*ret = h->seen[i];
		h->seen_count--;
		memmove(h->seen + i, h->seen + i + 1, (h->seen_count - i) * sizeof *h->seen);
		return true;
	}
	return false;
}

bool harness_take(struct harness *h, uint32_t type, struct weir_driver_event *ret)
{
	if (take_seen(h, type, ret))
		return true;
	pump(h, 0);
	return take_seen(h, type, ret);
}

struct weir_driver_event harness_wait_(struct harness *h, uint32_t type, const char *file, int line)
{
	int64_t deadline = harness_now() + DEADLINE_S * INT64_C(1000000000);
	struct weir_driver_event event = { 0 };

	while (!take_seen(h, type, &event)) {
		if (harness_now() > deadline) {
			print_error("%s:%d: no event of type %u came\n", file, line, type);
			fail();
		}
		pump(h, deadline);
	}
	return event;
}

void harness_silence_(struct harness *h, uint32_t type, const char *file, int line)
{
	int64_t until = harness_now() + 30000000;
	struct weir_driver_event event;

	do {
		if (take_seen(h, type, &event)) {
			print_error("%s:%d: an event of type %u came\n", file, line, type);
			fail();
		}
		pump(h, until);
	} while (harness_now() < until);
}

size_t harness_count(struct harness *h, uint32_t type)
{
	size_t i, count = 0;

	pump(h, 0);
	for (i = 0; i < h->seen_count; i++)
		count += h->seen[i].type == type;
	return count;
}

bool harness_readable(struct harness *h)
{
	struct pollfd fd = { h->ops.event_fd(h->inst), POLLIN, 0 };

	return poll(&fd, 1, 0) == 1;
}

/* ---- operations ------------------------------------------------------------------------- */

struct weir_topic *harness_topic(struct harness *h, const char *name)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_topic *topic;

	if (h->ops.topic_open(h->inst, "ns", name, &topic, &err))
		fail_msg("topic_open: %s", err.text);
	assert_ptr_equal(harness_wait(h, WEIR_EV_TOPIC_READY).topic, topic);
	return topic;
}

static struct weir_sub *subscribe(struct harness *h, struct weir_topic *topic, const char *uid, enum weir_start start,
				  uint32_t flags)
{
	struct weir_sub_spec spec = { .size = sizeof spec, .start = start, .name = uid, .uid = uid, .flags = flags };
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_sub *sub;

	if (h->ops.subscribe(h->inst, topic, &spec, &sub, &err))
		fail_msg("subscribe: %s", err.text);
	assert_ptr_equal(harness_wait(h, WEIR_EV_SUB_READY).sub, sub);
	return sub;
}

struct weir_sub *harness_subscribe(struct harness *h, struct weir_topic *topic, const char *uid, enum weir_start start)
{
	return subscribe(h, topic, uid, start, 0);
}

struct weir_sub *harness_tail(struct harness *h, struct weir_topic *topic, const char *uid, enum weir_start start)
{
	return subscribe(h, topic, uid, start, WEIR_SUB_EPHEMERAL);
}

void harness_credit(struct harness *h, struct weir_sub *sub, int64_t records)
{
	assert_int_equal(h->ops.credit(h->inst, sub, records, INT64_C(1) << 40), WEIR_OK);
}

void harness_unsubscribe(struct harness *h, struct weir_sub *sub, int keep)
{
	struct weir_error err = WEIR_ERROR_INIT;
	size_t i;

	/* What was reported and not looked at is of a subscription that is gone. */
	for (i = h->seen_count; i-- > 0;) {
		if (h->seen[i].sub != sub)
			continue;
		h->ops.release(h->seen[i].lease);
		h->seen_count--;
		memmove(h->seen + i, h->seen + i + 1, (h->seen_count - i) * sizeof *h->seen);
	}
	if (h->ops.unsubscribe(h->inst, sub, keep, harness_now() + INT64_C(10000000000), &err))
		fail_msg("unsubscribe: %s", err.text);
}

struct weir_buf harness_buf(const char *text)
{
	struct weir_buf buf = { text, text ? strlen(text) : 0 };

	return buf;
}

struct weir_record harness_text(const char *text)
{
	struct weir_record record = { .body = harness_buf(text) };

	return record;
}

uint64_t harness_publish_record(struct harness *h, struct weir_topic *topic, const struct weir_record *record)
{
	struct weir_publish item = { .size = sizeof item, .topic = topic, .tag = ++h->next_tag, .record = *record };
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_driver_event event;
	size_t accepted = 0;

	if (h->ops.publish(h->inst, &item, 1, &accepted, &err))
		fail_msg("publish: %s", err.text);
	assert_int_equal(accepted, 1);
	event = harness_wait(h, WEIR_EV_PUBLISHED);
	assert_int_equal(event.tag, item.tag);
	assert_int_equal(event.outcome, WEIR_PERSISTED);
	return event.position;
}

uint64_t harness_publish(struct harness *h, struct weir_topic *topic, const char *text)
{
	struct weir_record record = harness_text(text);

	return harness_publish_record(h, topic, &record);
}

int harness_send(struct harness *h, struct weir_topic *topic, const char *text)
{
	struct weir_publish item = {
		.size = sizeof item, .topic = topic, .tag = ++h->next_tag, .record = harness_text(text)
	};
	size_t accepted = 0;
	int code = h->ops.publish(h->inst, &item, 1, &accepted, NULL);

	assert_int_equal(accepted, code ? 0 : 1);
	return code;
}

struct weir_driver_event harness_expect_(struct harness *h, struct weir_sub *sub, const char *text, const char *file,
					 int line)
{
	struct weir_driver_event event = harness_wait_(h, WEIR_EV_DELIVER, file, line);

	if (event.sub != sub || event.record.body.len != strlen(text) ||
	    memcmp(event.record.body.ptr, text, strlen(text)) != 0) {
		print_error("%s:%d: expected \"%s\", got \"%.*s\"%s\n", file, line, text, (int)event.record.body.len,
			    (const char *)event.record.body.ptr, event.sub == sub ? "" : " for another subscription");
		fail();
	}
	h->ops.release(event.lease);
	event.lease = NULL;
	return event;
}

uint16_t harness_settle(struct harness *h, struct weir_sub *sub, int verb, const struct weir_driver_event *event,
			int64_t arg)
{
	uint16_t code = 999;
	int result = h->ops.settle(h->inst, sub, verb, &event->token, 1, arg, &code);

	return result ? (uint16_t)result : code;
}

void harness_ack(struct harness *h, const struct weir_driver_event *event)
{
	assert_int_equal(harness_settle(h, event->sub, WEIR_ACK, event, 0), WEIR_OK);
}
