/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/http's server with a handler that answers 202 at once, or with -l from a
 * later turn of the loop, as the ingress does when the backend has confirmed.
 *
 *   bench_http_server [-l] [PORT]
 *
 * Prints its port.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/loop.h"
#include "bench.h"
#include "http/server.h"

enum { MAX_LATER = 65536 };

static const struct weir_http_canned accepted = { 202, "" };
static struct weir_http_request *later[MAX_LATER];
static size_t later_count;
static struct weir_loop *loop;
static struct weir_task task;

static void answer_later(struct weir_task *self)
{
	(void)self;
	for (size_t i = 0; i < later_count; i++)
		weir_http_respond_canned(later[i], &accepted);
	later_count = 0;
}

static void on_now(void *ctx, struct weir_http_request *request)
{
	(void)ctx;
	weir_http_respond_canned(request, &accepted);
}

/* One task for all requests of a turn, like a batch of completions. */
static void on_later(void *ctx, struct weir_http_request *request)
{
	(void)ctx;
	if (later_count == MAX_LATER)
		abort();
	if (!later_count) {
		task.run = answer_later;
		weir_loop_post(loop, &task);
	}
	later[later_count++] = request;
}

int main(int argc, char **argv)
{
	struct weir_http_server_options options = { .handler = on_now };
	struct weir_http_server *server;
	struct weir_error err = WEIR_ERROR_INIT;
	char address[32];
	uint16_t port;
	int option;

	while ((option = getopt(argc, argv, "l")) >= 0)
		if (option == 'l')
			options.handler = on_later;
	snprintf(address, sizeof address, "127.0.0.1:%s", optind < argc ? argv[optind] : "0");
	if (weir_loop_new(&loop, &err) || weir_http_server_new(loop, &options, &server, &err) ||
	    weir_http_server_listen(server, address, &port, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	printf("%u\n", (unsigned)port);
	fflush(stdout);
	return weir_loop_run(loop, &err);
}
