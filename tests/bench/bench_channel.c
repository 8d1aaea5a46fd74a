/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What core/channel adds to a driver: publish, complete, deliver and ack events
 * of 1 KiB through weir/channel.h, and the same through the driver's table with
 * nothing between, with the same two threads and the same number under way.
 *
 *   bench_channel [EVENTS] [KIND]
 *
 * CPU time of the process for one event, the best of several rounds that take
 * turns: what else the machine does only adds. Allocations are the core's.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weir/channel.h>

#include "base/clock.h"
#include "base/mem.h"
#include "config/settings.h"

enum { ROUNDS = 7, UNDER_WAY = 1024, WINDOW = 1024, BATCH_MAX = 64 };

static uint64_t events = 200000;
static const char *kind = "InMemoryChannel";
static weir_config *config;
static weir_runtime *runtime;
static weir_event *cloud_events[BATCH_MAX];

/* How far the round is. */
static _Atomic uint64_t completed, acked;
static sem_t progress;

static void must(int code, const struct weir_error *err)
{
	if (!code)
		return;
	fprintf(stderr, "failed: %s: %s\n", weir_code_name(code), err ? err->text : "");
	exit(1);
}

static void count(_Atomic uint64_t *counter, size_t more)
{
	atomic_fetch_add(counter, more);
	sem_post(&progress);
}

static void wait_for_progress(void)
{
	while (sem_wait(&progress) != 0)
		;
}

/* Not more than UNDER_WAY published and not acked. */
static void wait_for_room(uint64_t published, size_t batch)
{
	while (published + batch > atomic_load(&acked) + UNDER_WAY ||
	       published + batch > atomic_load(&completed) + UNDER_WAY)
		wait_for_progress();
}

static void wait_for_all(void)
{
	while (atomic_load(&acked) < events || atomic_load(&completed) < events)
		wait_for_progress();
}

/* ---- through the channel -------------------------------------------------- */

static weir_channel *channel;
static weir_publisher *publisher;
static weir_subscription *subscription;

static void on_done(void *ctx, const struct weir_completion *completions, size_t number)
{
	(void)ctx;
	(void)completions;
	count(&completed, number);
}

static void on_deliver(void *ctx, weir_delivery *const *deliveries, size_t number)
{
	(void)ctx;
	must(weir_delivery_settle(deliveries, number, WEIR_ACK, 0), NULL);
	count(&acked, number);
}

static void open_channel(void)
{
	const struct weir_subscription_spec spec = { .name = "bench", .window = WINDOW, .deliver = on_deliver };
	struct weir_error err = WEIR_ERROR_INIT;

	must(weir_runtime_open(config, NULL, NULL, &runtime, &err), &err);
	must(weir_channel_open(runtime, "bench", "core", kind, &channel, &err), &err);
	must(weir_publisher_new(runtime, on_done, NULL, &publisher), &err);
	must(weir_channel_subscribe(channel, &spec, &subscription, &err), &err);
	while (weir_subscription_ready(subscription, &err) == WEIR_EAGAIN)
		sched_yield();
}

static void publish_channel(size_t batch)
{
	struct weir_publish_item items[BATCH_MAX];
	struct weir_error err = WEIR_ERROR_INIT;

	for (uint64_t published = 0; published < events;) {
		size_t accepted;

		wait_for_room(published, batch);
		for (size_t i = 0; i < batch; i++)
			items[i] = (struct weir_publish_item){ cloud_events[i], published + i };
		must(weir_channel_publish(channel, publisher, items, batch, 0, &accepted, &err), &err);
		published += accepted;
	}
	wait_for_all();
}

/* ---- through the table ---------------------------------------------------- */

static const struct weir_driver *table;
static struct weir_inst *inst;
static struct weir_topic *topic;
static struct weir_sub *sub;
static struct weir_caps caps;
static _Atomic bool stop;
static pthread_t pump;

static void serve(const struct weir_driver_event *batch, size_t number)
{
	struct weir_token tokens[256];
	uint16_t codes[256];
	size_t done = 0, delivered = 0;

	for (size_t i = 0; i < number; i++) {
		done += batch[i].type == WEIR_EV_PUBLISHED;
		if (batch[i].type == WEIR_EV_DELIVER)
			tokens[delivered++] = batch[i].token;
	}
	if (done)
		count(&completed, done);
	if (!delivered)
		return;
	must(table->settle(inst, sub, WEIR_ACK, tokens, delivered, 0, codes), NULL);
	for (size_t i = 0; i < number; i++)
		if (batch[i].type == WEIR_EV_DELIVER)
			table->release(batch[i].lease);
	must(table->credit(inst, sub, (int64_t)delivered, 0), NULL);
	count(&acked, delivered);
}

static void *pump_main(void *unused)
{
	static struct weir_driver_event batch[256];
	struct pollfd fd = { table->event_fd(inst), POLLIN, 0 };

	for (size_t i = 0; i < 256; i++)
		batch[i].size = sizeof batch[i];
	while (!atomic_load(&stop)) {
		size_t number = 0;

		must(table->poll(inst, batch, 256, 0, &number), NULL);
		if (number)
			serve(batch, number);
		else
			poll(&fd, 1, 100);
	}
	return unused;
}

static void host_log(void *ctx, int level, const char *text)
{
	(void)ctx;
	(void)level;
	(void)text;
}

static void open_table(void)
{
	static const struct weir_host host = { sizeof host, WEIR_ABI_MAJOR, WEIR_ABI_MINOR, 0, NULL, host_log };
	const struct weir_sub_spec spec = { .size = sizeof spec, .name = "b", .uid = "b", .max_unsettled = WINDOW };
	struct weir_error err = WEIR_ERROR_INIT;
	const struct weir_setting *settings;
	size_t setting_count;

	must(weir_runtime_load(runtime, kind, &table, &err), &err);
	must(weir_config_driver(config, table, &settings, &setting_count, &err), &err);
	must(table->open(&host, settings, setting_count, &inst, &err), &err);
	caps.size = sizeof caps;
	must(table->caps(inst, &caps), NULL);
	must(table->topic_open(inst, "bench", "table", &topic, &err), &err);
	must(table->subscribe(inst, topic, &spec, &sub, &err), &err);
	must(table->credit(inst, sub, WINDOW, INT64_MAX / 2), NULL);
	if (pthread_create(&pump, NULL, pump_main, NULL) != 0)
		exit(1);
}

static void publish_table(size_t batch)
{
	static struct weir_publish rows[BATCH_MAX];
	struct weir_error err = WEIR_ERROR_INIT;

	for (uint64_t published = 0; published < events;) {
		size_t accepted;

		wait_for_room(published, batch);
		for (size_t i = 0; i < batch; i++) {
			rows[i] = (struct weir_publish){ .size = sizeof rows[i], .topic = topic, .tag = published + i };
			must(weir_event_to_record(cloud_events[i], &caps, &rows[i].record, &err), &err);
		}
		must(table->publish(inst, rows, batch, &accepted, &err), &err);
		published += accepted;
	}
	wait_for_all();
}

/* ---- measuring ------------------------------------------------------------ */

struct cost {
	double cpu_ns;
	double allocations;
};

static struct cost measure(void (*publish)(size_t batch), size_t batch)
{
	struct timespec before, after;
	uint64_t allocations;

	atomic_store(&completed, 0);
	atomic_store(&acked, 0);
	allocations = weir_mem_count();
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	publish(batch);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	return (struct cost){
		((double)(after.tv_sec - before.tv_sec) * 1e9 + (double)(after.tv_nsec - before.tv_nsec)) /
		    (double)events,
		(double)(weir_mem_count() - allocations) / (double)events,
	};
}

static struct cost better(struct cost best, struct cost now)
{
	return best.cpu_ns > 0 && best.cpu_ns < now.cpu_ns ? best : now;
}

static void compare(size_t batch)
{
	struct cost core = { 0 }, direct = { 0 };

	for (int round = 0; round < ROUNDS; round++) {
		direct = better(direct, measure(publish_table, batch));
		core = better(core, measure(publish_channel, batch));
	}
	printf("%5zu  %8.0f %8.0f %+8.0f %+6.1f %%  %11.4f\n", batch, direct.cpu_ns, core.cpu_ns,
	       core.cpu_ns - direct.cpu_ns, (core.cpu_ns / direct.cpu_ns - 1) * 100, core.allocations);
}

static void make_events(void)
{
	static char data[1024];
	struct weir_error err = WEIR_ERROR_INIT;

	memset(data, 'x', sizeof data);
	for (size_t i = 0; i < BATCH_MAX; i++) {
		weir_event *event;

		must(weir_event_new(&event), NULL);
		must(weir_event_set_text(event, "id", "6e8bc430-9c3a-11d9-9669-0800200c9a66", &err), &err);
		must(weir_event_set_text(event, "source", "https://shop.example.com/orders", &err), &err);
		must(weir_event_set_text(event, "type", "com.example.shop.order.created", &err), &err);
		must(weir_event_set_text(event, "datacontenttype", "application/octet-stream", &err), &err);
		must(weir_event_set_data(event, (struct weir_buf){ data, sizeof data }, &err), &err);
		cloud_events[i] = event;
	}
}

int main(int argc, char **argv)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (argc > 1)
		events = strtoull(argv[1], NULL, 10) / BATCH_MAX * BATCH_MAX;
	if (argc > 2)
		kind = argv[2];
	sem_init(&progress, 0, 0);
	must(weir_config_new(&config), NULL);
	must(weir_config_add_environment(config, environ), NULL);
	must(weir_config_load(config, &err), &err);
	make_events();
	open_channel();
	open_table();
	printf("%s, %" PRIu64 " events of 1 KiB, CPU ns for each\n", kind, events);
	printf("batch    driver     core      add        %%  allocations\n");
	for (size_t batch = 1; batch <= BATCH_MAX; batch *= 4)
		compare(batch);
	atomic_store(&stop, true);
	pthread_join(pump, NULL);
	must(table->close(inst, weir_clock_now_ns(), WEIR_CLOSE_ABORT, &err), &err);
	weir_publisher_free(publisher);
	weir_runtime_close(runtime, weir_clock_after_ms(weir_clock_now_ns(), 1000), NULL);
	for (size_t i = 0; i < BATCH_MAX; i++)
		weir_event_free(cloud_events[i]);
	weir_config_free(config);
	return 0;
}
