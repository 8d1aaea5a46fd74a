/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/listen_socket.h"
#include "http/server_state.h"

static bool is_drained(const struct weir_http_server *server)
{
	return atomic_load_explicit(&server->stats.connections, memory_order_relaxed) == server->lingering;
}

/* Only as many as there are now: those that are not done are put in again. */
static void run_resumes(struct weir_http_server *server)
{
	uint32_t count = server->resume_count;

	while (count-- && !TAILQ_EMPTY(&server->resumes))
		weir_http_connection_resumed(TAILQ_FIRST(&server->resumes));
	if (!TAILQ_EMPTY(&server->resumes))
		weir_http_server_wake(server);
}

static void on_wake(struct weir_timer *timer)
{
	struct weir_http_server *server = WEIR_CONTAINER(timer, struct weir_http_server, resume_timer);
	void (*drained)(void *ctx);

	run_resumes(server);
	if (!server->drained || !is_drained(server))
		return;
	/* The last thing done here, for it may free the server. */
	drained = server->drained;
	server->drained = NULL;
	drained(server->drained_ctx);
}

void weir_http_server_wake(struct weir_http_server *server)
{
	/* One later than now, or it would run in this turn again and again. */
	if (weir_loop_timer_set(server->loop, &server->resume_timer, weir_loop_now(server->loop) + 1) != WEIR_OK)
		weir_log(WEIR_LOG_ERROR, "http server: out of memory; connections go on when their timers fire");
}

void weir_http_server_left(struct weir_http_server *server)
{
	if (server->drained && is_drained(server))
		weir_http_server_wake(server);
}

int weir_http_server_new(struct weir_loop *loop, const struct weir_http_server_options *options,
			 struct weir_http_server **ret, struct weir_error *err)
{
	struct weir_http_server *server = weir_mem_zalloc(1, sizeof *server);

	if (!server)
		return weir_fail(err, WEIR_ENOMEM, "no memory for an HTTP server");
	server->loop = loop;
	server->handler = options->handler;
	server->ctx = options->ctx;
	server->limits = options->limits;
	weir_http_limits_fill(&server->limits);
	LIST_INIT(&server->listeners);
	LIST_INIT(&server->connections);
	TAILQ_INIT(&server->resumes);
	server->resume_timer.fire = on_wake;
	weir_http_pool_init(&server->pool, &server->limits);
	weir_http_peers_init(&server->peers);
	weir_http_writer_init(&server->writer);
	/* Without it the pause when descriptors run out works too, only nobody is told. */
	server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	*ret = server;
	return WEIR_OK;
}

int weir_http_server_listen(struct weir_http_server *server, const char *address, uint16_t *port,
			    struct weir_error *err)
{
	int fd;
	int rc = weir_http_listen_socket(address, &fd, port, err);

	return rc == WEIR_OK ? weir_http_listener_open(server, fd, NULL, err) : rc;
}

int weir_http_server_listen_tls(struct weir_http_server *server, struct weir_tls_slot *slot, const char *address,
				uint16_t *port, struct weir_error *err)
{
	int fd;
	int rc = weir_http_listen_socket(address, &fd, port, err);

	return rc == WEIR_OK ? weir_http_listener_open(server, fd, slot, err) : rc;
}

void weir_http_server_limit_body(struct weir_http_server *server, uint64_t max_body_bytes)
{
	server->limits.max_body_bytes = max_body_bytes;
}

const struct weir_http_server_stats *weir_http_server_stats(const struct weir_http_server *server)
{
	return &server->stats;
}

static void close_listeners(struct weir_http_server *server)
{
	struct weir_http_listener *listener;

	while ((listener = LIST_FIRST(&server->listeners)))
		weir_http_listener_close(listener);
}

void weir_http_server_drain(struct weir_http_server *server, void (*drained)(void *ctx), void *ctx)
{
	struct weir_http_connection *connection, *next;

	server->draining = true;
	close_listeners(server);
	for (connection = LIST_FIRST(&server->connections); connection; connection = next) {
		next = LIST_NEXT(connection, all);
		weir_http_connection_close_idle(connection);
	}
	if (is_drained(server)) {
		drained(ctx);
		return;
	}
	server->drained = drained;
	server->drained_ctx = ctx;
}

void weir_http_server_free(struct weir_http_server *server)
{
	struct weir_http_connection *connection;

	if (!server)
		return;
	server->drained = NULL;
	close_listeners(server);
	while ((connection = LIST_FIRST(&server->connections)))
		weir_http_connection_close(connection);
	weir_loop_timer_cancel(server->loop, &server->resume_timer);
	weir_http_pool_fini(&server->pool);
	weir_http_writer_fini(&server->writer);
	if (server->reserve_fd >= 0)
		close(server->reserve_fd);
	weir_mem_free(server);
}
