/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a driver costs by itself: `bench_driver DRIVER.so [EVENTS] [PUBLISHERS] [BODY] [SUBSCRIPTIONS] [KEY=VALUE]...`
 *
 * PUBLISHERS records are always on their way: each completion publishes the next
 * one, and each delivery is acknowledged at once. One thread does all of it, as
 * the pump would, beside whatever threads the driver has. Prints events/s, CPU
 * per event of the whole process, and syncs per event.
 */
#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <weir/driver.h>

enum { BATCH = 256, MAX_PUBLISHERS = 4096, MAX_SETTINGS = 32, HEADERS = 6 };

static struct weir_driver driver = { .size = sizeof driver };
static struct weir_inst *inst;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "bench_driver: %s: %s\n", what, why);
	exit(1);
}

static void load(const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const char *name = strstr(path, "weir-driver-");
	struct weir_error err = WEIR_ERROR_INIT;
	weir_driver_init_fn *init;
	char symbol[96];

	if (!library || !name)
		die(path, library ? "not named weir-driver-NAME.so" : dlerror());
	name += strlen("weir-driver-");
	snprintf(symbol, sizeof symbol, "weir_driver_%.*s_init", (int)strcspn(name, "."), name);
	*(void **)&init = dlsym(library, symbol);
	if (!init || init(WEIR_ABI_MAJOR, WEIR_ABI_MINOR, &driver, &err))
		die(path, init ? err.text : "no entry point");
}

static void open_instance(char **given, int count)
{
	struct weir_host host = { .size = sizeof host, .abi_major = WEIR_ABI_MAJOR };
	struct weir_setting settings[MAX_SETTINGS];
	struct weir_error err = WEIR_ERROR_INIT;
	uint32_t i;
	int k;

	for (i = 0; i < driver.option_count && i < MAX_SETTINGS; i++) {
		settings[i].key = driver.options[i].key;
		settings[i].value = driver.options[i].fallback;
		for (k = 0; k < count; k++) {
			size_t len = strlen(settings[i].key);

			if (strncmp(given[k], settings[i].key, len) == 0 && given[k][len] == '=')
				settings[i].value = given[k] + len + 1;
		}
	}
	if (driver.open(&host, settings, driver.option_count, &inst, &err))
		die("open", err.text);
}

/* Some CloudEvents headers and a body. */
static struct weir_record record_make(size_t body)
{
	static const char *const names[HEADERS] = { "ce_specversion", "ce_id",   "ce_source",
						    "ce_type",        "ce_time", "content-type" };
	static const char *const values[HEADERS] = {
		"1.0", "0123456789abcdef", "/bench/source", "dev.weir.bench", "2026-01-01T00:00:00Z", "application/json"
	};
	static struct weir_header headers[HEADERS];
	struct weir_record record = { .headers = headers, .header_count = HEADERS };
	char *bytes = malloc(body + 1);
	int i;

	if (!bytes)
		die("malloc", "no memory");
	memset(bytes, 'x', body);
	for (i = 0; i < HEADERS; i++) {
		headers[i].name = (struct weir_buf){ names[i], strlen(names[i]) };
		headers[i].value = (struct weir_buf){ values[i], strlen(values[i]) };
	}
	record.body = (struct weir_buf){ bytes, body };
	return record;
}

static void publish(struct weir_topic *topic, const struct weir_record *record, size_t count)
{
	static struct weir_publish items[MAX_PUBLISHERS];
	size_t accepted, i;

	for (i = 0; i < count; i++) {
		items[i].size = sizeof items[i];
		items[i].topic = topic;
		items[i].record = *record;
	}
	if (driver.publish(inst, items, count, &accepted, NULL))
		die("publish", "refused");
}

static void wait_ready(void)
{
	struct pollfd fd = { driver.event_fd(inst), POLLIN, 0 };

	poll(&fd, 1, 1000);
}

/* Settles what came for one subscription in a batch. */
static void settle(struct weir_driver_event *events, size_t count, struct weir_sub *sub)
{
	struct weir_token tokens[BATCH];
	int64_t bytes = 0;
	size_t i, n = 0;

	for (i = 0; i < count; i++) {
		if (events[i].type != WEIR_EV_DELIVER || events[i].sub != sub)
			continue;
		tokens[n++] = events[i].token;
		bytes += 1 << 20;
		driver.release(events[i].lease);
	}
	if (!n)
		return;
	driver.settle(inst, sub, WEIR_ACK, tokens, n, 0, NULL);
	driver.credit(inst, sub, (int64_t)n, bytes);
}

int main(int argc, char **argv)
{
	long events_total = argc > 2 ? atol(argv[2]) : 200000;
	size_t publishers = argc > 3 ? (size_t)atol(argv[3]) : 64, body = argc > 4 ? (size_t)atol(argv[4]) : 1024;
	int sub_count = argc > 5 ? atoi(argv[5]) : 1, i;
	static struct weir_driver_event events[BATCH];
	long published = 0, started = 0, delivered = 0;
	struct weir_stats before = { .size = sizeof before }, after = { .size = sizeof after };
	struct weir_topic *topic;
	struct weir_sub *subs[64];
	struct weir_record record = record_make(body);
	double cpu, seconds;
	int64_t start;

	if (argc < 2 || publishers > MAX_PUBLISHERS || sub_count > 64)
		die("usage", "bench_driver DRIVER.so [EVENTS] [PUBLISHERS] [BODY] [SUBSCRIPTIONS] [KEY=VALUE]...");
	load(argv[1]);
	open_instance(argv + 6, argc > 6 ? argc - 6 : 0);
	if (driver.topic_open(inst, "bench", "topic", &topic, NULL))
		die("topic_open", "failed");
	for (i = 0; i < sub_count; i++) {
		char uid[16];
		struct weir_sub_spec spec = { .size = sizeof spec, .name = uid, .uid = uid };

		snprintf(uid, sizeof uid, "s%d", i);
		if (driver.subscribe(inst, topic, &spec, &subs[i], NULL))
			die("subscribe", "failed");
		driver.credit(inst, subs[i], 1000, 1 << 30);
	}
	driver.stats(inst, &before);
	start = now_ns();
	cpu = cpu_seconds();
	publish(topic, &record, publishers);
	started = (long)publishers;
	while (published < events_total || delivered < events_total * sub_count) {
		size_t count, k, again = 0;

		events[0].size = sizeof events[0];
		driver.poll(inst, events, BATCH, 0, &count);
		if (!count) {
			wait_ready();
			continue;
		}
		for (k = 0; k < count; k++) {
			if (events[k].type == WEIR_EV_PUBLISHED && events[k].outcome != WEIR_PERSISTED)
				die("publish", events[k].error ? events[k].error->text : "not persisted");
			published += events[k].type == WEIR_EV_PUBLISHED;
			again += events[k].type == WEIR_EV_PUBLISHED && started + (long)again < events_total;
			delivered += events[k].type == WEIR_EV_DELIVER;
		}
		if (again)
			publish(topic, &record, again);
		started += (long)again;
		for (i = 0; i < sub_count; i++)
			settle(events, count, subs[i]);
	}
	cpu = cpu_seconds() - cpu;
	seconds = (double)(now_ns() - start) / 1e9;
	driver.stats(inst, &after);
	printf("%s: %ld events of %zu bytes, %zu publishers, %d subscriptions: %.0f events/s, %.2f us CPU per event, "
	       "%.4f syncs per event\n",
	       driver.name, published, body, publishers, sub_count, (double)published / seconds,
	       cpu * 1e6 / (double)published, (double)(after.syncs - before.syncs) / (double)published);
	driver.close(inst, now_ns() + INT64_C(10000000000), WEIR_CLOSE_FLUSH, NULL);
	return 0;
}
