/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the JetStream driver adds to its client library:
 * `bench_jetstream DRIVER.so URL [EVENTS 20000] [ROUNDS 5] [WINDOW 256] [BODY 1024]`
 *
 * EVENTS with seven headers are published and confirmed, then delivered and
 * acknowledged, with WINDOW of them under way: once through the driver's table,
 * once by a plain program on the library, in turn, ROUNDS times after one that
 * does not count. Prints the CPU of the whole process for each event, medians,
 * and their ratio.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <nats/nats.h>

#include <weir/driver.h>

enum { BATCH = 256, MAX_ROUNDS = 101, MAX_BODY = 1 << 19, HEADERS = 7 };

struct cost {
	double publish, deliver;
};

static const char *const names[HEADERS] = { "ce-specversion", "ce-id",           "ce-type",     "ce-source",
					    "ce-time",        "ce-partitionkey", "content-type" };
static long events = 20000, rounds = 5, window = 256, body_len = 1024;
static const char *url;
static unsigned char body[MAX_BODY];
static unsigned run_number;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "bench_jetstream: %s: %s\n", what, why);
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

/* The values of event `number`; its id and key change. */
static void values_of(long number, char id[32], char key[32], const char *values[HEADERS])
{
	snprintf(id, 32, "%u-%ld", run_number, number);
	snprintf(key, 32, "key-%ld", number % 100);
	values[0] = "1.0";
	values[1] = id;
	values[2] = "com.example.order.created";
	values[3] = "/shop/orders";
	values[4] = "2026-01-01T00:00:00Z";
	values[5] = key;
	values[6] = "application/json";
}

/* ---- the library, plainly -------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long under_way;

static void must(natsStatus status, const char *what)
{
	if (status != NATS_OK)
		die(what, nats_GetLastError(NULL));
}

static void on_confirmed(jsCtx *js, natsMsg *msg, jsPubAck *ack, jsPubAckErr *error, void *closure)
{
	(void)js;
	(void)closure;
	if (!ack)
		die("publishing", error->ErrText);
	natsMsg_Destroy(msg);
	pthread_mutex_lock(&lock);
	if (under_way-- == window || !under_way)
		pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

static void plain_publish(jsCtx *js, const char *subject, long number)
{
	const char *values[HEADERS];
	char id[32], key[32];
	jsPubOptions options;
	natsMsg *msg;

	values_of(number, id, key, values);
	must(natsMsg_Create(&msg, subject, NULL, (const char *)body, (int)body_len), "message");
	for (int i = 0; i < HEADERS; i++)
		must(natsMsgHeader_Set(msg, names[i], values[i]), "header");
	jsPubOptions_Init(&options);
	options.MsgId = id;
	must(js_PublishMsgAsync(js, &msg, &options), "publishing");
}

static double plain_publish_all(jsCtx *js, const char *subject)
{
	double before = cpu_us();

	for (long sent = 0; sent < events; sent++) {
		pthread_mutex_lock(&lock);
		while (under_way == window)
			pthread_cond_wait(&changed, &lock);
		under_way++;
		pthread_mutex_unlock(&lock);
		plain_publish(js, subject, sent);
	}
	pthread_mutex_lock(&lock);
	while (under_way)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return cpu_us() - before;
}

static void plain_take(natsMsg *msg)
{
	const char *value;

	for (int i = 0; i < HEADERS; i++)
		must(natsMsgHeader_Get(msg, names[i], &value), "header");
	must(natsMsg_Ack(msg, NULL), "acknowledging");
}

static double plain_deliver_all(natsSubscription *sub)
{
	double before = cpu_us();
	long got = 0;

	while (got < events) {
		natsMsgList list;
		long left = events - got;

		must(natsSubscription_Fetch(&list, sub, (int)(window < left ? window : left), 10000, NULL), "fetching");
		for (int i = 0; i < list.Count; i++)
			plain_take(list.Msgs[i]);
		got += list.Count;
		natsMsgList_Destroy(&list);
	}
	return cpu_us() - before;
}

static struct cost run_plain(const char *name)
{
	struct cost cost;
	const char *subjects[1];
	natsConnection *nc;
	natsSubscription *sub;
	jsStreamConfig stream;
	jsOptions options;
	jsSubOptions reading;
	jsCtx *js;

	subjects[0] = name;
	must(natsConnection_ConnectTo(&nc, url), "connecting");
	jsOptions_Init(&options);
	options.PublishAsync.AckHandler = on_confirmed;
	must(natsConnection_JetStream(&js, nc, &options), "jetstream");
	jsStreamConfig_Init(&stream);
	stream.Name = name;
	stream.Subjects = subjects;
	stream.SubjectsLen = 1;
	must(js_AddStream(NULL, js, &stream, NULL, NULL), "stream");
	jsSubOptions_Init(&reading);
	reading.Config.MaxAckPending = 65536;
	must(js_PullSubscribe(&sub, js, name, "bench", NULL, &reading, NULL), "subscribing");
	cost.publish = plain_publish_all(js, name) / (double)events;
	cost.deliver = plain_deliver_all(sub) / (double)events;
	natsConnection_Flush(nc);
	natsSubscription_Destroy(sub);
	js_DeleteStream(js, name, NULL, NULL);
	jsCtx_Destroy(js);
	natsConnection_Destroy(nc);
	return cost;
}

/* ---- the driver --------------------------------------------------------------------------- */

static struct weir_driver driver = { .size = sizeof driver };

static void load(const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	struct weir_error err = WEIR_ERROR_INIT;
	weir_driver_init_fn *init;

	if (!library)
		die(path, dlerror());
	*(void **)&init = dlsym(library, "weir_driver_jetstream_init");
	if (!init || init(WEIR_ABI_MAJOR, WEIR_ABI_MINOR, &driver, &err))
		die(path, init ? err.text : "no entry point");
}

static struct weir_inst *open_driver(void)
{
	static const struct weir_host host = { .size = sizeof host };
	struct weir_setting settings[64];
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_inst *inst;
	size_t count = 0;

	for (uint32_t i = 0; i < driver.option_count && count < 63; i++)
		if (driver.options[i].fallback && strcmp(driver.options[i].key, "url") != 0)
			settings[count++] = (struct weir_setting){ driver.options[i].key, driver.options[i].fallback };
	settings[count++] = (struct weir_setting){ "url", url };
	if (driver.open(&host, settings, count, &inst, &err))
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
	static struct weir_publish items[BATCH];
	static struct weir_header headers[BATCH][HEADERS];
	static char ids[BATCH][32], keys[BATCH][32];
	struct weir_error err = WEIR_ERROR_INIT;
	size_t count = 0, accepted;

	for (; count < BATCH && flow->sent + (long)count < events && flow->out + (long)count < window; count++) {
		const char *values[HEADERS];

		values_of(flow->sent + (long)count, ids[count], keys[count], values);
		for (int i = 0; i < HEADERS; i++)
			headers[count][i] =
			    (struct weir_header){ { names[i], strlen(names[i]) }, { values[i], strlen(values[i]) } };
		memset(&items[count], 0, sizeof items[count]);
		items[count].size = sizeof items[count];
		items[count].topic = flow->topic;
		items[count].record.headers = headers[count];
		items[count].record.header_count = HEADERS;
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
		if (seen[i].type == WEIR_EV_DELIVER) {
			if (seen[i].record.header_count != HEADERS)
				die("deliver", "headers are missing");
			tokens[delivered++] = seen[i].token;
			driver.release(seen[i].lease);
		} else if (seen[i].type == WEIR_EV_PUBLISHED) {
			if (seen[i].outcome != WEIR_PERSISTED)
				die("publish", seen[i].error->text);
			flow->out--;
		}
		flow->ready |= seen[i].type == WEIR_EV_SUB_READY;
	}
	if (!delivered)
		return;
	driver.settle(flow->inst, flow->sub, WEIR_ACK, tokens, delivered, 0, NULL);
	driver.credit(flow->inst, flow->sub, (int64_t)delivered, (int64_t)delivered * 2 * body_len);
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

static struct cost run_driver(const char *name)
{
	struct weir_sub_spec spec = {
		.size = sizeof spec, .name = "bench", .uid = "bench", .max_unsettled = (uint32_t)window
	};
	struct flow flow = { .inst = open_driver() };
	struct weir_error err = WEIR_ERROR_INIT;
	struct cost cost;
	double before;

	if (driver.topic_open(flow.inst, "bench", name, &flow.topic, &err) ||
	    driver.subscribe(flow.inst, flow.topic, &spec, &flow.sub, &err))
		die(name, err.text);
	while (!flow.ready)
		turn(&flow);
	before = cpu_us();
	while (flow.sent < events || flow.out) {
		publish_more(&flow);
		turn(&flow);
	}
	cost.publish = (cpu_us() - before) / (double)events;
	before = cpu_us();
	driver.credit(flow.inst, flow.sub, window, window * 2 * body_len);
	while (flow.settled < events)
		turn(&flow);
	cost.deliver = (cpu_us() - before) / (double)events;
	driver.unsubscribe(flow.inst, flow.sub, 0, now_ns() + INT64_C(10000000000), NULL);
	driver.topic_close(flow.inst, flow.topic);
	driver.topic_delete(flow.inst, "bench", name, now_ns() + INT64_C(10000000000), NULL);
	driver.close(flow.inst, now_ns() + INT64_C(10000000000), WEIR_CLOSE_FLUSH, NULL);
	return cost;
}

/* ---- in turn --------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_pair(const char *what, double *through, double *plain)
{
	double ratios[MAX_ROUNDS];
	size_t middle = (size_t)rounds / 2, last = (size_t)rounds - 1;

	for (long i = 0; i < rounds; i++)
		ratios[i] = through[i] / plain[i];
	qsort(through, (size_t)rounds, sizeof *through, compare);
	qsort(plain, (size_t)rounds, sizeof *plain, compare);
	qsort(ratios, (size_t)rounds, sizeof *ratios, compare);
	printf("%-8s driver %6.2f us of CPU an event (%.2f to %.2f), libnats %6.2f (%.2f to %.2f), ratio %.2f "
	       "(%.2f to %.2f)\n",
	       what, through[middle], through[0], through[last], plain[middle], plain[0], plain[last], ratios[middle],
	       ratios[0], ratios[last]);
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
	double through[2][MAX_ROUNDS], plain[2][MAX_ROUNDS];
	char name[64], stream[80];

	if (argc < 3) {
		fprintf(stderr, "usage: bench_jetstream DRIVER.so URL [EVENTS] [ROUNDS] [WINDOW] [BODY]\n");
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
		struct cost cost;

		snprintf(name, sizeof name, "b-%d-%u", (int)getpid(), ++run_number);
		cost = run_driver(name);
		through[0][at] = cost.publish;
		through[1][at] = cost.deliver;
		snprintf(stream, sizeof stream, "plain-%d-%u", (int)getpid(), run_number);
		cost = run_plain(stream);
		plain[0][at] = cost.publish;
		plain[1][at] = cost.deliver;
	}
	printf("%ld events of %ld bytes, %ld under way, %ld rounds in turn\n", events, body_len, window, rounds);
	print_pair("publish", through[0], plain[0]);
	print_pair("deliver", through[1], plain[1]);
	return 0;
}
