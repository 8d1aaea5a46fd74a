/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "admin/metrics.h"
#include "admin/quarantine.h"
#include "admin/reload_state.h"
#include "admin/snapshot.h"
#include "admin/status.h"
#include "admin/tail.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "dispatch/thread.h"
#include "http/server.h"

enum {
	ADDRESSES_MAX = 16,
	ANSWER_MAX = 64 * 1024 * 1024,
	BUFFERED = 4 * 1024 * 1024,         /* of requests */
	IDLE_MS = 5000,                     /* connections that ask for nothing must not keep a health check out */
	STREAM_BUFFERED = 256 * 1024,       /* of a tail, waiting for its reader */
	STREAM_STALLED_MS = 10 * 60 * 1000, /* until a tail whose reader does not read is cut off */
};

struct weir_admin {
	const weir_config *config;
	struct weir_dispatcher *dispatcher;
	weir_runtime *runtime;
	struct weir_loop *loop; /* NULL: no address is configured, there is no server */
	struct weir_http_server *server;
	struct weir_admin_tails *tails;
	struct weir_admin_quarantine *quarantine;
	struct weir_admin_reloads reloads;
	pthread_t thread;
	bool running;
	struct weir_task stop;
	uint16_t ports[ADDRESSES_MAX];
	size_t port_count;
	double start_seconds;
	_Atomic bool draining;
};

/* ---- endpoints -------------------------------------------------------------------- */

static void respond(struct weir_http_request *request, int status, const char *type, struct weir_buf body)
{
	struct weir_header headers[] = { { WEIR_STR("Content-Type"), weir_str(type) },
					 { WEIR_STR("Cache-Control"), WEIR_STR("no-store") } };

	weir_http_respond(request, status, headers, 2, body);
}

static void respond_no_memory(struct weir_http_request *request)
{
	weir_http_respond_error(request, 503, "overloaded", "out of memory for the answer");
}

static void respond_wrong_method(struct weir_http_request *request, bool post)
{
	struct weir_header headers[] = { { WEIR_STR("Allow"), post ? WEIR_STR("POST") : WEIR_STR("GET, HEAD") },
					 { WEIR_STR("Content-Type"), WEIR_STR("application/json") } };

	weir_http_respond(
	    request, 405, headers, 2,
	    post ? WEIR_STR("{\"code\":\"method_not_allowed\",\"reason\":\"What changes something takes POST.\"}")
		 : WEIR_STR("{\"code\":\"method_not_allowed\",\"reason\":\"This is only read from.\"}"));
}

static void serve_index(struct weir_admin *admin, struct weir_http_request *request)
{
	(void)admin;
	respond(request, 200, "text/plain; charset=utf-8",
		WEIR_STR("Weir admin port\n"
			 "\n"
			 "GET /healthz       200 while the process works\n"
			 "GET /readyz        200 if every channel and subscription is ready, else 503 and why\n"
			 "GET /metrics       figures for Prometheus\n"
			 "GET /status        everything, as JSON\n"
			 "GET /quarantine    events that nobody took; POST /quarantine/NAME/replay or /drop\n"
			 "POST /reload       reads the configuration again and goes over to it, or says why not\n"
			 "GET /tail/NS/NAME  events of a channel as they come; ?from=earliest&count=10\n"));
}

static void serve_healthz(struct weir_admin *admin, struct weir_http_request *request)
{
	(void)admin;
	respond(request, 200, "text/plain; charset=utf-8", WEIR_STR("ok\n"));
}

/* Makes the body of an answer from a snapshot; returns the status, 0 if memory is short. */
typedef int answer_writer(struct weir_admin *admin, const struct weir_admin_snapshot *snapshot,
			  struct weir_dynbuf *out);

static void serve_json(struct weir_admin *admin, struct weir_http_request *request, answer_writer *write)
{
	struct weir_admin_reload_state reload;
	struct weir_admin_snapshot snapshot;
	struct weir_dynbuf out;
	int status = 0;

	weir_dynbuf_init(&out, ANSWER_MAX);
	weir_admin_reloads_copy(&admin->reloads, &reload);
	if (weir_admin_snapshot_init(&snapshot, &reload, admin->dispatcher, admin->start_seconds,
				     atomic_load_explicit(&admin->draining, memory_order_relaxed)) == WEIR_OK)
		status = write(admin, &snapshot, &out);
	if (status)
		respond(request, status, "application/json", weir_dynbuf_view(&out));
	else
		respond_no_memory(request);
	weir_admin_snapshot_fini(&snapshot);
	weir_dynbuf_fini(&out);
}

static int write_readyz(struct weir_admin *admin, const struct weir_admin_snapshot *snapshot, struct weir_dynbuf *out)
{
	(void)admin;
	if (weir_admin_readyz_write(out, snapshot) != WEIR_OK)
		return 0;
	return weir_admin_snapshot_ready(snapshot) ? 200 : 503;
}

static void serve_readyz(struct weir_admin *admin, struct weir_http_request *request)
{
	serve_json(admin, request, write_readyz);
}

static int write_status(struct weir_admin *admin, const struct weir_admin_snapshot *snapshot, struct weir_dynbuf *out)
{
	return weir_admin_status_write(out, snapshot, admin->runtime) == WEIR_OK ? 200 : 0;
}

static void serve_status(struct weir_admin *admin, struct weir_http_request *request)
{
	serve_json(admin, request, write_status);
}

/* Prometheus lists what it takes; what it prefers among them is of no consequence here. */
static enum weir_exposition_format wanted_format(const struct weir_http_request *request)
{
	struct weir_buf accept = weir_http_request_header(request, "accept"), part;

	while (weir_str_split(&accept, ',', &part)) {
		if (weir_str_starts_nocase(weir_str_trim(part), WEIR_STR("application/openmetrics-text")))
			return WEIR_EXPOSITION_OPENMETRICS;
	}
	return WEIR_EXPOSITION_PROMETHEUS;
}

static void serve_metrics(struct weir_admin *admin, struct weir_http_request *request)
{
	enum weir_exposition_format format = wanted_format(request);
	struct weir_admin_reload_state reload;
	struct weir_admin_snapshot snapshot;
	struct weir_exposition exposition;

	weir_exposition_init(&exposition, format, ANSWER_MAX);
	weir_admin_reloads_copy(&admin->reloads, &reload);
	if (weir_admin_snapshot_init(&snapshot, &reload, admin->dispatcher, admin->start_seconds,
				     atomic_load_explicit(&admin->draining, memory_order_relaxed)) == WEIR_OK &&
	    weir_admin_metrics_write(&exposition, &snapshot, admin->runtime) == WEIR_OK)
		respond(request, 200, weir_exposition_content_type(format), weir_dynbuf_view(&exposition.out));
	else
		respond_no_memory(request);
	weir_admin_snapshot_fini(&snapshot);
	weir_exposition_fini(&exposition);
}

static void serve_tail(struct weir_admin *admin, struct weir_http_request *request)
{
	weir_admin_tails_handle(admin->tails, request);
}

static void serve_reload(struct weir_admin *admin, struct weir_http_request *request)
{
	weir_admin_reloads_handle(&admin->reloads, request);
}

static void serve_quarantine(struct weir_admin *admin, struct weir_http_request *request)
{
	weir_admin_quarantine_handle(admin->quarantine, request);
}

static const struct {
	const char *path;
	bool below; /* and what is below it */
	bool post;  /* it changes something */
	void (*serve)(struct weir_admin *admin, struct weir_http_request *request);
} routes[] = {
	{ "/", false, false, serve_index },        { "/healthz", false, false, serve_healthz },
	{ "/readyz", false, false, serve_readyz }, { "/metrics", false, false, serve_metrics },
	{ "/status", false, false, serve_status }, { "/tail/", true, false, serve_tail },
	{ "/reload", false, true, serve_reload },  { "/quarantine", false, false, serve_quarantine },
};

static void on_request(void *ctx, struct weir_http_request *request)
{
	struct weir_admin *admin = ctx;
	struct weir_buf path = weir_http_request_path(request);
	enum weir_http_method method = weir_http_request_method(request);

	/* What is below it is read and changed. */
	if (weir_str_starts(path, WEIR_STR("/quarantine/")) && (method == WEIR_HTTP_GET || method == WEIR_HTTP_POST)) {
		serve_quarantine(admin, request);
		return;
	}
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
		struct weir_buf route = weir_str(routes[i].path);
		if (routes[i].below ? !weir_str_starts(path, route) : !weir_str_equal(path, route))
			continue;
		if (routes[i].post ? method == WEIR_HTTP_POST : method == WEIR_HTTP_GET || method == WEIR_HTTP_HEAD)
			routes[i].serve(admin, request);
		else
			respond_wrong_method(request, routes[i].post);
		return;
	}
	weir_http_respond_error(request, 404, "not_found", "there is no such endpoint; GET / lists them");
}

/* ---- the thread ----------------------------------------------------------------------- */

static void on_stop(struct weir_task *task)
{
	struct weir_admin *admin = WEIR_CONTAINER(task, struct weir_admin, stop);

	weir_http_server_free(admin->server);
	admin->server = NULL;
	weir_loop_stop(admin->loop);
}

static void *run(void *ctx)
{
	struct weir_admin *admin = ctx;
	struct weir_error err = WEIR_ERROR_INIT;

	if (weir_loop_run(admin->loop, &err) != WEIR_OK)
		weir_log(WEIR_LOG_ERROR, "the admin port is dead: %s", err.text);
	return NULL;
}

/* ---- starting and ending ------------------------------------------------------------------ */

static int listen_all(struct weir_admin *admin, struct weir_buf list, struct weir_error *err)
{
	struct weir_buf part;
	char address[256];
	int code;

	while (weir_str_split(&list, ',', &part)) {
		part = weir_str_trim(part);
		if (part.len >= sizeof address || admin->port_count == ADDRESSES_MAX)
			return weir_fail(err, WEIR_EINVAL,
					 "dispatcher.admin: an address is too long, or there are more than %d",
					 ADDRESSES_MAX);
		memcpy(address, part.ptr, part.len);
		address[part.len] = '\0';
		code = weir_http_server_listen(admin->server, address, &admin->ports[admin->port_count], err);
		if (code == WEIR_EBUSY) { /* that is what a backend says of a store; an address in use is not one */
			code = WEIR_EIO;
			if (err)
				err->code = WEIR_EIO;
		}
		if (code != WEIR_OK)
			return code;
		admin->port_count++;
	}
	return WEIR_OK;
}

static int open_server(struct weir_admin *admin, struct weir_error *err)
{
	struct weir_http_server_options options = {
		.limits = { .max_body_bytes = STREAM_BUFFERED,
			    .max_connections = 256,
			    .max_connections_per_peer = 128,
			    .idle_timeout_ms = IDLE_MS,
			    .header_timeout_ms = IDLE_MS,
			    .max_buffered_bytes = BUFFERED,
			    .write_timeout_ms = STREAM_STALLED_MS },
		.handler = on_request,
		.ctx = admin,
	};
	int code = weir_loop_new(&admin->loop, err);

	admin->reloads.loop = admin->loop;

	if (code == WEIR_OK)
		code = weir_http_server_new(admin->loop, &options, &admin->server, err);
	if (code == WEIR_OK)
		code = listen_all(admin, weir_str(weir_config_get(admin->config, "dispatcher.admin")), err);
	if (code == WEIR_OK)
		code = weir_admin_tails_new(admin->loop, admin->dispatcher, &admin->tails, err);
	if (code == WEIR_OK)
		code = weir_admin_quarantine_new(admin->loop, admin->dispatcher, &admin->quarantine, err);
	return code;
}

static int start_thread(struct weir_admin *admin, struct weir_error *err)
{
	int failed = weir_thread_start(&admin->thread, "weir-admin", run, admin);

	if (failed) {
		weir_fail(err, WEIR_EAGAIN, "no thread for the admin port: %s", strerror(failed));
		weir_error_native(err, "errno", failed);
		return WEIR_EAGAIN;
	}
	admin->running = true;
	return WEIR_OK;
}

int weir_admin_start(const weir_config *config, struct weir_dispatcher *dispatcher, weir_runtime *runtime,
		     struct weir_admin **ret, struct weir_error *err)
{
	struct weir_admin *admin = weir_mem_zalloc(1, sizeof *admin);
	const char *addresses = weir_config_get(config, "dispatcher.admin");
	int code = WEIR_OK;

	if (!admin)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for the admin port");
	admin->config = config;
	admin->dispatcher = dispatcher;
	admin->runtime = runtime;
	admin->stop.run = on_stop;
	weir_admin_reloads_init(&admin->reloads);
	admin->start_seconds = weir_admin_process_start();
	if (addresses && addresses[0]) {
		code = open_server(admin, err);
		if (code == WEIR_OK)
			code = start_thread(admin, err);
	}
	if (code != WEIR_OK) {
		weir_admin_free(admin);
		return code;
	}
	*ret = admin;
	return WEIR_OK;
}

uint16_t weir_admin_port(const struct weir_admin *admin, size_t index)
{
	return index < admin->port_count ? admin->ports[index] : 0;
}

void weir_admin_reload_note(struct weir_admin *admin, const struct weir_admin_reload_state *state)
{
	pthread_mutex_lock(&admin->reloads.lock);
	admin->reloads.state = *state;
	pthread_mutex_unlock(&admin->reloads.lock);
}

void weir_admin_reload_handler(struct weir_admin *admin, weir_admin_reload_fn *reload, void *ctx)
{
	pthread_mutex_lock(&admin->reloads.lock);
	admin->reloads.reload = reload;
	admin->reloads.ctx = ctx;
	pthread_mutex_unlock(&admin->reloads.lock);
}

void weir_admin_drain(struct weir_admin *admin)
{
	atomic_store_explicit(&admin->draining, true, memory_order_relaxed);
	if (admin->running)
		weir_admin_tails_drain(admin->tails);
	if (admin->running)
		weir_admin_quarantine_drain(admin->quarantine);
}

void weir_admin_free(struct weir_admin *admin)
{
	if (!admin)
		return;
	if (admin->running) {
		weir_admin_drain(admin);
		weir_loop_post(admin->loop, &admin->stop);
		pthread_join(admin->thread, NULL);
	}
	weir_admin_tails_free(admin->tails);
	weir_admin_quarantine_free(admin->quarantine);
	weir_http_server_free(admin->server);
	weir_loop_free(admin->loop);
	weir_admin_reloads_fini(&admin->reloads);
	weir_mem_free(admin);
}
