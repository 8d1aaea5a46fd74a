/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts CloudEvents in binary mode over N connections and prints one line of
 * JSON: how many, how fast, which statuses, how long, and what CPU that cost the
 * processes named with -p.
 *
 *   load [-c CONNECTIONS] [-n EVENTS | -t SECONDS] [-r RATE] [-b BYTES] [-k KEYS] [-u PATH] [-p PID]... PORT
 *
 * With -k events take turns with that many partition keys.
 *
 * Without -r each connection sends its next event when it has the answer to the
 * last (closed loop). With -r events are due at fixed times whatever the server
 * does, and a latency counts from when its event was due, not from when a
 * connection was free to send it.
 */
#include "bench.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/latency.h"

enum { READY = 256, MAX_PIDS = 8, ID_DIGITS = 16, HEAD_MAX = 1024, ANSWER_MAX = 4096 };

struct connection {
	int fd;
	bool busy;
	int64_t due_ns;
	size_t len;
	char bytes[ANSWER_MAX];
	struct connection *next; /* in the list of idle ones */
};

static struct {
	unsigned long connections, events, body_bytes, keys;
	double seconds, rate;
	const char *path;
	uint16_t port;
	int pids[MAX_PIDS];
	int pid_count;
} options = { .connections = 64, .body_bytes = 1024, .path = "/default/bench" };

static char *request;
static size_t request_len, id_at, key_at;
static struct connection *idle;
static int epoll_fd;
static int64_t begin_ns, stop_ns;
static uint64_t sent, answered, statuses[600];
static struct weir_latency latency;

static void make_request(void)
{
	static const char id_header[] = "ce-id: ", key_header[] = "ce-partitionkey: ";
	char key[sizeof key_header + ID_DIGITS + 2] = "";
	int head_len;

	request = malloc(HEAD_MAX + options.body_bytes);
	if (!request)
		bench_die("malloc");
	if (options.keys)
		snprintf(key, sizeof key, "%s%0*d\r\n", key_header, (int)ID_DIGITS, 0);
	head_len = snprintf(
	    request, HEAD_MAX,
	    "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nce-specversion: 1.0\r\nce-type: io.weir.bench\r\n"
	    "ce-source: /bench/%d\r\n%s%0*d\r\n%sContent-Type: application/octet-stream\r\n"
	    "Content-Length: %lu\r\n\r\n",
	    options.path, (unsigned)options.port, (int)getpid(), id_header, (int)ID_DIGITS, 0, key, options.body_bytes);
	id_at = (size_t)(strstr(request, id_header) - request) + sizeof id_header - 1;
	if (options.keys)
		key_at = (size_t)(strstr(request, key_header) - request) + sizeof key_header - 1;
	request_len = (size_t)head_len + options.body_bytes;
	for (unsigned long i = 0; i < options.body_bytes; i++)
		request[(unsigned long)head_len + i] = (char)('a' + i % 26);
}

static void write_number(size_t at, uint64_t number)
{
	for (size_t i = ID_DIGITS; i-- > 0; number /= 10)
		request[at + i] = (char)('0' + number % 10);
}

static void send_event(struct connection *connection, int64_t due_ns)
{
	write_number(id_at, ++sent);
	if (options.keys)
		write_number(key_at, sent % options.keys);
	connection->busy = true;
	connection->due_ns = due_ns;
	if (!bench_send(connection->fd, request, request_len))
		bench_die("send");
}

static bool may_send(int64_t now_ns)
{
	return options.events ? sent < options.events : now_ns < stop_ns;
}

static void on_answer(struct connection *connection, int64_t now_ns)
{
	int status = connection->len > 12 ? (int)strtol(connection->bytes + 9, NULL, 10) : 0;

	statuses[status > 0 && status < 600 ? status : 0]++;
	answered++;
	weir_latency_add(&latency, now_ns - connection->due_ns);
	connection->busy = false;
	connection->len = 0;
	if (options.rate <= 0 && may_send(now_ns)) {
		send_event(connection, now_ns);
		return;
	}
	connection->next = idle;
	idle = connection;
}

/* The server may close a connection after its last request: another one takes its place. */
static void reconnect(struct connection *connection)
{
	if (connection->busy)
		bench_die("the server closed a connection in the middle of a request");
	close(connection->fd);
	connection->fd = bench_connect(options.port);
	bench_watch(epoll_fd, connection->fd, connection);
}

static void on_ready(struct connection *connection)
{
	ssize_t got = recv(connection->fd, connection->bytes + connection->len, ANSWER_MAX - connection->len, 0);
	bool closing;

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		reconnect(connection);
		return;
	}
	connection->len += (size_t)got;
	if (!bench_message_end(connection->bytes, connection->len))
		return;
	closing = memmem(connection->bytes, connection->len, "\r\nConnection: close", 19) != NULL;
	if (closing) {
		close(connection->fd);
		connection->fd = bench_connect(options.port);
		bench_watch(epoll_fd, connection->fd, connection);
	}
	on_answer(connection, bench_now_ns());
}

static int64_t due_of(uint64_t number)
{
	return begin_ns + (int64_t)((double)number * 1e9 / options.rate);
}

/* Sends what is due while there are idle connections; how long until the next is due. */
static struct timespec send_due(void)
{
	int64_t now_ns = bench_now_ns();

	while (options.rate > 0 && idle && may_send(now_ns) && due_of(sent) <= now_ns) {
		struct connection *connection = idle;

		idle = connection->next;
		send_event(connection, due_of(sent));
	}
	if (options.rate <= 0 || !idle || !may_send(now_ns))
		return (struct timespec){ 0, 100000000 };
	now_ns = due_of(sent) - now_ns;
	return (struct timespec){ now_ns / 1000000000, now_ns % 1000000000 };
}

static void run(void)
{
	struct epoll_event events[READY];

	while (may_send(bench_now_ns()) || answered < sent) {
		/* Not epoll_wait(2): a millisecond is longer than most of what is measured. */
		struct timespec wait = send_due();
		int count = epoll_pwait2(epoll_fd, events, READY, &wait, NULL);

		for (int i = 0; i < count; i++)
			on_ready(events[i].data.ptr);
	}
}

static void open_connections(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned long i = 0; i < options.connections; i++) {
		struct connection *connection = calloc(1, sizeof *connection);

		if (!connection)
			bench_die("calloc");
		connection->fd = bench_connect(options.port);
		bench_watch(epoll_fd, connection->fd, connection);
		connection->next = idle;
		idle = connection;
	}
}

static uint64_t cpu_of_all(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < options.pid_count; i++)
		sum += bench_cpu_ns(options.pids[i]);
	return sum;
}

static void print_result(double seconds, uint64_t cpu_ns)
{
	const char *comma = "";

	printf("{\"events\":%llu,\"seconds\":%.3f,\"events_per_second\":%.0f,\"statuses\":{",
	       (unsigned long long)answered, seconds, (double)answered / seconds);
	for (int status = 0; status < 600; status++)
		if (statuses[status]) {
			printf("%s\"%d\":%llu", comma, status, (unsigned long long)statuses[status]);
			comma = ",";
		}
	printf("},\"latency_us\":{\"p50\":%.0f,\"p99\":%.0f,\"p999\":%.0f,\"max\":%.0f}",
	       weir_latency_us(&latency, 0.5), weir_latency_us(&latency, 0.99), weir_latency_us(&latency, 0.999),
	       (double)latency.max_ns / 1000);
	if (options.pid_count)
		printf(",\"cpu_us_per_event\":%.2f", (double)cpu_ns / 1000 / (double)answered);
	printf("}\n");
}

static void read_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "c:n:t:r:b:k:u:p:")) >= 0) {
		switch (option) {
		case 'c':
			options.connections = bench_number(optarg, 100000);
			break;
		case 'n':
			options.events = bench_number(optarg, ULONG_MAX);
			break;
		case 't':
			options.seconds = strtod(optarg, NULL);
			break;
		case 'r':
			options.rate = strtod(optarg, NULL);
			break;
		case 'b':
			options.body_bytes = bench_number(optarg, 1 << 20);
			break;
		case 'k':
			options.keys = bench_number(optarg, ULONG_MAX);
			break;
		case 'u':
			options.path = optarg;
			break;
		case 'p':
			if (options.pid_count < MAX_PIDS)
				options.pids[options.pid_count++] = (int)bench_number(optarg, INT_MAX);
			break;
		default:
			exit(64);
		}
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: load [-c CONNECTIONS] [-n EVENTS | -t SECONDS] [-r RATE] [-b BYTES] [-k KEYS] "
				"[-u PATH] [-p PID]... PORT\n");
		exit(64);
	}
	options.port = (uint16_t)bench_number(argv[optind], UINT16_MAX);
	if (!options.events && options.seconds <= 0)
		options.seconds = 3;
}

int main(int argc, char **argv)
{
	uint64_t cpu_ns;
	int64_t end_ns;

	read_options(argc, argv);
	make_request();
	open_connections();
	cpu_ns = cpu_of_all();
	begin_ns = bench_now_ns();
	stop_ns = begin_ns + (int64_t)(options.seconds * 1e9);
	while (options.rate <= 0 && idle && may_send(begin_ns)) {
		struct connection *connection = idle;

		idle = connection->next;
		send_event(connection, begin_ns);
	}
	run();
	end_ns = bench_now_ns();
	print_result((double)(end_ns - begin_ns) / 1e9, cpu_of_all() - cpu_ns);
	return 0;
}
