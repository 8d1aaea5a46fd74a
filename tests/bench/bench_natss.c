/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the NATS Streaming driver adds to its client library:
 * `bench_natss DRIVER.so URL [EVENTS 10000] [ROUNDS 5] [WINDOW 256] [BODY 1024]`
 *
 * EVENTS are published and confirmed, delivered and acknowledged, with WINDOW of
 * them under way: once through the driver's table, once by a plain program on
 * the library, in turn, ROUNDS times after one that does not count. Prints the
 * CPU of the whole process for each event, medians, and their ratio.
 */
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <nats/nats.h>

#include <weir/driver.h>

enum { BATCH = 256, MAX_ROUNDS = 101, MAX_BODY = 1 << 19 };

static long events = 10000, rounds = 5, window = 256, body_len = 1024;
static const char *url;
static unsigned char body[MAX_BODY];
static unsigned run_number;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "bench_natss: %s: %s\n", what, why);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static double cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* ---- the library, plainly -------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long under_way, received;

static void must(natsStatus status, const char *what)
{
	if (status != NATS_OK)
		die(what, nats_GetLastError(NULL));
}

static void on_lost(stanConnection *sc, const char *text, void *closure)
{
	(void)sc;
	(void)closure;
	die("the connection was lost", text);
}

static void on_confirmed(const char *guid, const char *error, void *closure)
{
	(void)guid;
	(void)closure;
	if (error)
		die("publishing", error);
	pthread_mutex_lock(&lock);
	if (under_way-- == window)
		pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

static void on_message(stanConnection *sc, stanSubscription *sub, const char *channel, stanMsg *message, void *closure)
{
	(void)sc;
	(void)channel;
	(void)closure;
	must(stanSubscription_AckMsg(sub, message), "acknowledging");
	stanMsg_Destroy(message);
	pthread_mutex_lock(&lock);
	if (++received == events)
		pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

/* Whoever reads and whoever publishes are clients of their own, as with the driver: a durable belongs to its client. */
static stanConnection *plain_connect(const char *role)
{
	stanConnOptions *options;
	stanConnection *sc;
	char client[64];

	snprintf(client, sizeof client, "bench-%s-%d-%u", role, (int)getpid(), run_number);
	must(stanConnOptions_Create(&options), "options");
	must(stanConnOptions_SetURL(options, url), "url");
	must(stanConnOptions_SetConnectionLostHandler(options, on_lost, NULL), "handler");
	must(stanConnection_Connect(&sc, "test-cluster", client, options), "connecting");
	stanConnOptions_Destroy(options);
	return sc;
}

static stanSubscription *plain_subscribe(stanConnection *sc, const char *channel)
{
	stanSubOptions *options;
	stanSubscription *sub;

	must(stanSubOptions_Create(&options), "options");
	must(stanSubOptions_SetManualAckMode(options, true), "acks");
	must(stanSubOptions_SetDurableName(options, "bench"), "durable");
	must(stanSubOptions_SetMaxInflight(options, (int)window), "window");
	must(stanConnection_Subscribe(&sub, sc, channel, on_message, NULL, options), "subscribing");
	stanSubOptions_Destroy(options);
	return sub;
}

static double run_plain(const char *channel)
{
	stanConnection *sc = plain_connect("publish"), *reader = plain_connect("read");
	stanSubscription *sub = plain_subscribe(reader, channel);
	double before, used;

	received = 0;
	before = cpu_us();
	for (long sent = 0; sent < events; sent++) {
		pthread_mutex_lock(&lock);
		while (under_way == window)
			pthread_cond_wait(&changed, &lock);
		under_way++;
		pthread_mutex_unlock(&lock);
		must(stanConnection_PublishAsync(sc, channel, body, (int)body_len, on_confirmed, NULL), "publishing");
	}
	pthread_mutex_lock(&lock);
	while (received < events)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	used = cpu_us() - before;
	must(stanSubscription_Unsubscribe(sub), "forgetting");
	stanSubscription_Destroy(sub);
	stanConnection_Destroy(reader);
	stanConnection_Destroy(sc);
	return used / (double)events;
}

/* ---- the driver ---------------------------------------------------------------------- */

static struct weir_driver driver = { .size = sizeof driver };

static void load(const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	struct weir_error err = WEIR_ERROR_INIT;
	weir_driver_init_fn *init;

	if (!library)
		die(path, dlerror());
	*(void **)&init = dlsym(library, "weir_driver_natss_init");
	if (!init || init(WEIR_ABI_MAJOR, WEIR_ABI_MINOR, &driver, &err))
		die(path, init ? err.text : "no entry point");
}

static struct weir_inst *open_driver(void)
{
	static const struct weir_host host = { .size = sizeof host };
	const struct weir_setting settings[] = { { "url", url },
						 { "clusterId", "test-cluster" },
						 { "channelPattern", "{name}.{namespace}" } };
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_inst *inst;

	if (driver.open(&host, settings, sizeof settings / sizeof settings[0], &inst, &err))
		die("open", err.text);
	return inst;
}

struct flow {
	struct weir_inst *inst;
	struct weir_topic *topic;
	struct weir_sub *sub;
	long sent, out, settled;
	bool ready;
};

static void publish_more(struct flow *flow)
{
	struct weir_publish items[BATCH];
	struct weir_error err = WEIR_ERROR_INIT;
	size_t count = 0, accepted;

	for (; count < BATCH && flow->sent + (long)count < events && flow->out + (long)count < window; count++) {
		memset(&items[count], 0, sizeof items[count]);
		items[count].size = sizeof items[count];
		items[count].topic = flow->topic;
		items[count].record.body = (struct weir_buf){ body, (size_t)body_len };
	}
	if (!count)
		return;
	if (driver.publish(flow->inst, items, count, &accepted, &err))
		die("publish", err.text);
	flow->sent += (long)accepted;
	flow->out += (long)accepted;
}

static void take(struct flow *flow, const struct weir_driver_event *seen, size_t count)
{
	struct weir_token tokens[BATCH];
	size_t delivered = 0;

	for (size_t i = 0; i < count; i++) {
		switch (seen[i].type) {
		case WEIR_EV_DELIVER:
			tokens[delivered++] = seen[i].token;
			driver.release(seen[i].lease);
			break;
		case WEIR_EV_PUBLISHED:
			if (seen[i].outcome != WEIR_PERSISTED)
				die("publish", seen[i].error->text);
			flow->out--;
			break;
		case WEIR_EV_SUB_READY:
			flow->ready = true;
			break;
		default:
			break;
		}
	}
	if (!delivered)
		return;
	driver.settle(flow->inst, flow->sub, WEIR_ACK, tokens, delivered, 0, NULL);
	driver.credit(flow->inst, flow->sub, (int64_t)delivered, (int64_t)delivered * body_len);
	flow->settled += (long)delivered;
}

static void turn(struct flow *flow)
{
	struct weir_driver_event seen[BATCH];
	size_t count;

	seen[0].size = sizeof seen[0];
	if (driver.poll(flow->inst, seen, BATCH, now_ns() + INT64_C(10000000000), &count))
		die("poll", "failed");
	if (!count)
		die("poll", "nothing happens");
	take(flow, seen, count);
}

static double run_driver(const char *name)
{
	struct weir_sub_spec spec = {
		.size = sizeof spec, .name = "bench", .uid = "bench", .max_unsettled = (uint32_t)window
	};
	struct flow flow = { .inst = open_driver() };
	struct weir_error err = WEIR_ERROR_INIT;
	double before, used;

	if (driver.topic_open(flow.inst, "bench", name, &flow.topic, &err) ||
	    driver.subscribe(flow.inst, flow.topic, &spec, &flow.sub, &err))
		die(name, err.text);
	while (!flow.ready)
		turn(&flow);
	driver.credit(flow.inst, flow.sub, window, window * body_len);
	before = cpu_us();
	while (flow.settled < events) {
		publish_more(&flow);
		turn(&flow);
	}
	used = cpu_us() - before;
	driver.unsubscribe(flow.inst, flow.sub, 0, now_ns() + INT64_C(10000000000), NULL);
	driver.topic_close(flow.inst, flow.topic);
	driver.close(flow.inst, now_ns() + INT64_C(10000000000), WEIR_CLOSE_FLUSH, NULL);
	return used / (double)events;
}

/* ---- in turn ---------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_row(const char *name, double *values)
{
	qsort(values, (size_t)rounds, sizeof *values, compare);
	printf("%-8s %7.2f us of CPU an event  (%.2f to %.2f)\n", name, values[rounds / 2], values[0],
	       values[rounds - 1]);
}

static long number(char **argv, int argc, int at, long fallback, long max)
{
	long value = at < argc ? strtol(argv[at], NULL, 10) : fallback;

	if (value < 1 || value > max)
		die(argv[at], "not a number in range");
	return value;
}

int main(int argc, char **argv)
{
	double through[MAX_ROUNDS], plain[MAX_ROUNDS], ratios[MAX_ROUNDS];
	char name[64], channel[80];

	if (argc < 3) {
		fprintf(stderr, "usage: bench_natss DRIVER.so URL [EVENTS] [ROUNDS] [WINDOW] [BODY]\n");
		return 64;
	}
	url = argv[2];
	events = number(argv, argc, 3, events, 10000000);
	rounds = number(argv, argc, 4, rounds, MAX_ROUNDS);
	window = number(argv, argc, 5, window, 4096);
	body_len = number(argv, argc, 6, body_len, MAX_BODY);
	memset(body, 'x', sizeof body);
	load(argv[1]);
	for (long round = -1; round < rounds; round++) {
		long at = round < 0 ? 0 : round;

		snprintf(name, sizeof name, "b-%d-%u", (int)getpid(), ++run_number);
		through[at] = run_driver(name);
		snprintf(channel, sizeof channel, "plain-%d-%u", (int)getpid(), run_number);
		plain[at] = run_plain(channel);
		ratios[at] = through[at] / plain[at];
	}
	printf("%ld events of %ld bytes, %ld under way, %ld rounds in turn\n", events, body_len, window, rounds);
	print_row("driver", through);
	print_row("libnats", plain);
	qsort(ratios, (size_t)rounds, sizeof *ratios, compare);
	printf("ratio    %7.2f  (%.2f to %.2f)\n", ratios[rounds / 2], ratios[0], ratios[rounds - 1]);
	return 0;
}
