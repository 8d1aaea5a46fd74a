/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Weir adds to librdkafka: the same records, published and read through
 * weir/channel.h and the Kafka driver, and by plain librdkafka with the settings
 * that the driver has. Taking turns, in one process.
 *
 *   bench_kafka [EVENTS [BROKERS [publish|deliver]]]     default: 200000, 127.0.0.1:9092, both
 *
 * Prints the CPU time of the process for one event: the median of the rounds,
 * with least and most.
 */
#include <inttypes.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#include <weir/channel.h>

#include "base/clock.h"
#include "config/settings.h"

enum { ROUNDS = 7, UNDER_WAY = 1024, WINDOW = 1024, BATCH = 64 };

static uint64_t events = 200000;
static const char *brokers = "127.0.0.1:9092";
static char topic_name[128], channel_name[64];
static weir_config *config;
static weir_runtime *runtime;
static weir_channel *channel;
static weir_publisher *publisher;
static weir_event *event;
static unsigned round_number;

static _Atomic uint64_t completed, delivered;
static sem_t progress;

static void must(int code, const struct weir_error *err)
{
	if (!code)
		return;
	fprintf(stderr, "bench_kafka: %s: %s\n", weir_code_name(code), err ? err->text : "");
	exit(1);
}

static void await(_Atomic uint64_t *counter, uint64_t goal)
{
	while (atomic_load(counter) < goal)
		while (sem_wait(&progress) != 0)
			;
}

static void count(_Atomic uint64_t *counter, size_t more)
{
	uint64_t before = atomic_fetch_add(counter, more);

	/* Whoever waits is not woken more often than it can do something. */
	if (before / BATCH != (before + more) / BATCH)
		sem_post(&progress);
}

/* ---- through Weir ------------------------------------------------------------------ */

static void on_done(void *ctx, const struct weir_completion *completions, size_t number)
{
	size_t i;

	(void)ctx;
	for (i = 0; i < number; i++)
		must(completions[i].error ? completions[i].error->code : WEIR_OK, completions[i].error);
	count(&completed, number);
}

static void on_deliver(void *ctx, weir_delivery *const *deliveries, size_t number)
{
	(void)ctx;
	must(weir_delivery_settle(deliveries, number, WEIR_ACK, 0), NULL);
	if (atomic_fetch_add(&delivered, number) + number >= events)
		sem_post(&progress);
}

static void publish_weir(void)
{
	struct weir_publish_item items[BATCH];
	struct weir_error err = WEIR_ERROR_INIT;
	uint64_t published;
	size_t accepted, i;

	for (published = 0; published < events; published += accepted) {
		if (published + BATCH > UNDER_WAY)
			await(&completed, published + BATCH - UNDER_WAY);
		for (i = 0; i < BATCH; i++)
			items[i] = (struct weir_publish_item){ event, published + i };
		must(weir_channel_publish(channel, publisher, items, BATCH, 0, &accepted, &err), &err);
	}
	await(&completed, events);
}

static void deliver_weir(void)
{
	char name[32];
	struct weir_subscription_spec spec = {
		.name = name, .window = WINDOW, .start = WEIR_START_EARLIEST, .deliver = on_deliver
	};
	struct weir_error err = WEIR_ERROR_INIT;
	weir_subscription *subscription;

	snprintf(name, sizeof name, "w%d-%u", (int)getpid(), round_number);
	must(weir_channel_subscribe(channel, &spec, &subscription, &err), &err);
	await(&delivered, events);
	weir_subscription_close(subscription, 0, weir_clock_after_ms(weir_clock_now_ns(), 10000), NULL);
}

/* ---- plain --------------------------------------------------------------------------- */

static rd_kafka_t *client(rd_kafka_type_t type, const char *const (*rows)[2])
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why);
	for (; (*rows)[0]; rows++)
		if (rd_kafka_conf_set(conf, (*rows)[0], (*rows)[1], why, sizeof why)) {
			fprintf(stderr, "bench_kafka: %s\n", why);
			exit(1);
		}
	if (type == RD_KAFKA_PRODUCER)
		rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
	rk = rd_kafka_new(type, conf, why, sizeof why);
	if (!rk)
		exit(1);
	return rk;
}

static void produce_one(rd_kafka_topic_t *topic, rd_kafka_t *rk, const struct weir_record *record)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
	rd_kafka_vu_t parts[4] = { { .vtype = RD_KAFKA_VTYPE_RKT },
				   { .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
				   { .vtype = RD_KAFKA_VTYPE_VALUE },
				   { .vtype = RD_KAFKA_VTYPE_HEADERS } };
	uint32_t i;

	for (i = 0; i < record->header_count; i++)
		rd_kafka_header_add(headers, record->headers[i].name.ptr, (ssize_t)record->headers[i].name.len,
				    record->headers[i].value.ptr, (ssize_t)record->headers[i].value.len);
	parts[0].u.rkt = topic;
	parts[2].u.mem.ptr = (void *)(uintptr_t)record->body.ptr;
	parts[2].u.mem.size = record->body.len;
	parts[3].u.headers = headers;
	if (rd_kafka_produceva(rk, parts, 4)) {
		fprintf(stderr, "bench_kafka: produce failed\n");
		exit(1);
	}
}

static uint64_t reports_take(rd_kafka_queue_t *queue, int wait_ms)
{
	uint64_t number = 0;
	rd_kafka_event_t *report;

	while ((report = rd_kafka_queue_poll(queue, wait_ms))) {
		wait_ms = 0;
		while (rd_kafka_event_message_next(report))
			number++;
		rd_kafka_event_destroy(report);
	}
	return number;
}

static rd_kafka_t *producer;
static rd_kafka_topic_t *producer_topic;

static void publish_plain(void)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_get_main(producer);
	struct weir_caps caps = { .size = sizeof caps,
				  .bits = WEIR_CAP_BIT(WEIR_CAP_HEADERS) | WEIR_CAP_BIT(WEIR_CAP_KEY) };
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_record record;
	uint64_t sent = 0, done = 0;
	size_t i;

	must(weir_event_to_record(event, &caps, &record, &err), &err);
	while (done < events) {
		for (i = 0; i < BATCH && sent < events; i++, sent++)
			produce_one(producer_topic, producer, &record);
		while (done < events && (sent == events || sent + BATCH > done + UNDER_WAY))
			done += reports_take(queue, 100);
	}
	rd_kafka_queue_destroy(queue);
}

static void deliver_plain(void)
{
	char group[64];
	const char *const rows[][2] = { { "group.id", group },
					{ "auto.offset.reset", "earliest" },
					{ "enable.auto.offset.store", "true" },
					{ "enable.auto.commit", "true" },
					{ "auto.commit.interval.ms", "1000" },
					{ "queued.max.messages.kbytes", "2048" },
					{ "partition.assignment.strategy", "cooperative-sticky" },
					{ NULL, NULL } };
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	uint64_t got = 0;
	rd_kafka_t *rk;

	snprintf(group, sizeof group, "plain-%d-%u", (int)getpid(), round_number);
	rk = client(RD_KAFKA_CONSUMER, rows);
	rd_kafka_poll_set_consumer(rk);
	rd_kafka_topic_partition_list_add(list, topic_name, RD_KAFKA_PARTITION_UA);
	rd_kafka_subscribe(rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	while (got < events) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 1000);
		rd_kafka_headers_t *headers;

		/* A reader of CloudEvents looks at the headers: they are parsed when one does. */
		if (message && !message->err && !rd_kafka_message_headers(message, &headers))
			got++;
		if (message)
			rd_kafka_message_destroy(message);
	}
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
}

/* ---- measuring -------------------------------------------------------------------------- */

static double measure(void (*work)(void))
{
	struct timespec before, after;

	round_number++;
	atomic_store(&completed, 0);
	atomic_store(&delivered, 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	work();
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	return ((double)(after.tv_sec - before.tv_sec) * 1e9 + (double)(after.tv_nsec - before.tv_nsec)) /
	       (double)events;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double show(const char *what, double *values)
{
	qsort(values, ROUNDS, sizeof *values, ascending);
	printf("  %-28s %7.0f (%.0f..%.0f)\n", what, values[ROUNDS / 2], values[0], values[ROUNDS - 1]);
	return values[ROUNDS / 2];
}

static void compare(const char *what, void (*plain)(void), void (*weir)(void))
{
	double plains[ROUNDS], weirs[ROUNDS], a, b;
	char text[64];
	int i;

	plain();
	measure(weir);
	for (i = 0; i < ROUNDS; i++) {
		plains[i] = measure(plain);
		weirs[i] = measure(weir);
	}
	snprintf(text, sizeof text, "%s, plain librdkafka", what);
	a = show(text, plains);
	snprintf(text, sizeof text, "%s, driver and core", what);
	b = show(text, weirs);
	printf("  %-28s %7.3f of medians, %.3f of the least\n", what, b / a, weirs[0] / plains[0]);
}

static void open_all(void)
{
	static const char *const rows[][2] = { { "acks", "all" },
					       { "enable.idempotence", "true" },
					       { "partitioner", "murmur2_random" },
					       { "sticky.partitioning.linger.ms", "0" },
					       { "linger.ms", "2" },
					       { "socket.nagle.disable", "true" },
					       { "queue.buffering.max.messages", "100000" },
					       { NULL, NULL } };
	struct weir_error err = WEIR_ERROR_INIT;

	must(weir_config_new(&config), NULL);
	must(weir_config_add_environment(config, environ), NULL);
	must(weir_config_load(config, &err), &err);
	must(weir_runtime_open(config, NULL, NULL, &runtime, &err), &err);
	must(weir_channel_open(runtime, "bench", channel_name, "KafkaChannel", &channel, &err), &err);
	must(weir_publisher_new(runtime, on_done, NULL, &publisher), &err);
	producer = client(RD_KAFKA_PRODUCER, rows);
	producer_topic = rd_kafka_topic_new(producer, topic_name, NULL);
}

static void make_event(void)
{
	static char data[1024];
	struct weir_error err = WEIR_ERROR_INIT;

	memset(data, 'x', sizeof data);
	must(weir_event_new(&event), NULL);
	must(weir_event_set_text(event, "id", "6e8bc430-9c3a-11d9-9669-0800200c9a66", &err), &err);
	must(weir_event_set_text(event, "source", "https://shop.example.com/orders", &err), &err);
	must(weir_event_set_text(event, "type", "com.example.shop.order.created", &err), &err);
	must(weir_event_set_text(event, "datacontenttype", "application/octet-stream", &err), &err);
	must(weir_event_set_data(event, (struct weir_buf){ data, sizeof data }, &err), &err);
}

int main(int argc, char **argv)
{
	const char *only = NULL;

	if (argc > 1)
		events = strtoull(argv[1], NULL, 10) / BATCH * BATCH;
	if (argc > 2)
		brokers = argv[2];
	if (argc > 3)
		only = argv[3];
	snprintf(channel_name, sizeof channel_name, "b%d", (int)getpid());
	snprintf(topic_name, sizeof topic_name, "knative-messaging-kafka.bench.%s", channel_name);
	setenv("WEIR_KAFKA_BROKERS", brokers, 1);
	sem_init(&progress, 0, 0);
	make_event();
	open_all();
	printf("%" PRIu64 " events of 1 KiB; CPU ns for each, medians of %d rounds (least..most); librdkafka %s\n",
	       events, ROUNDS, rd_kafka_version_str());
	if (!only || strcmp(only, "publish") == 0)
		compare("publish", publish_plain, publish_weir);
	else
		publish_plain();
	if (!only || strcmp(only, "deliver") == 0)
		compare("deliver", deliver_plain, deliver_weir);
	rd_kafka_topic_destroy(producer_topic);
	rd_kafka_destroy(producer);
	weir_publisher_free(publisher);
	weir_runtime_close(runtime, weir_clock_after_ms(weir_clock_now_ns(), 5000), NULL);
	weir_event_free(event);
	weir_config_free(config);
	return 0;
}
