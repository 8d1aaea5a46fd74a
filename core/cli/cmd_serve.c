/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/version.h>

#include "admin/admin.h"
#include "admin/reload.h"
#include "base/clock.h"
#include "base/dynbuf.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/check.h"
#include "cli/cmd.h"
#include "cli/load.h"
#include "cli/notify.h"
#include "cli/reload.h"
#include "dispatch/dispatcher.h"

enum { READY_LINE_MAX = 1000 };

struct serve_options {
	struct weir_cli_config config;
};

struct serve {
	const struct serve_options *options;
	weir_config *config;
	weir_runtime *runtime;
	struct weir_dispatcher *dispatcher;
	struct weir_admin *admin;
	struct weir_reload *reload; /* has the configuration once there is one */
	int signal_fd;
};

/* ---- log ------------------------------------------------------------------ */

static struct weir_log_fd log_stderr = { .fd = STDERR_FILENO };

/* At the start, and again on the keeper's thread. */
static void log_as_configured(const weir_config *config)
{
	static const char *const levels[] = { "error", "warning", "notice", "debug" };
	const char *wanted = weir_config_get(config, "log.level"), *format = weir_config_get(config, "log.format");
	bool json = format && strcmp(format, "json") == 0;
	int level = WEIR_LOG_NOTICE;

	for (int i = 0; wanted && i <= WEIR_LOG_DEBUG; i++) {
		if (strcmp(wanted, levels[i]) == 0)
			level = i;
	}
	log_stderr.format = json ? WEIR_LOG_JSON : WEIR_LOG_TEXT;
	weir_log_limit(level);
	weir_cli_say_to_log(json);
}

typedef uint16_t port_fn(const void *of, size_t index);

static uint16_t dispatcher_port(const void *of, size_t index)
{
	return weir_dispatcher_port(of, index);
}

static uint16_t tls_port(const void *of, size_t index)
{
	return weir_dispatcher_tls_port(of, index);
}

static uint16_t admin_port(const void *of, size_t index)
{
	return weir_admin_port(of, index);
}

/* Addresses as configured, with the ports that they really got. */
static void add_addresses(struct weir_dynbuf *line, const char *addresses, port_fn *port, const void *of)
{
	struct weir_buf rest = weir_str(addresses), address;

	for (size_t i = 0; weir_str_split(&rest, ',', &address); i++) {
		const char *colon;

		address = weir_str_trim(address);
		colon = address.len ? memrchr(address.ptr, ':', address.len) : NULL;
		if (!colon)
			continue;
		weir_dynbuf_addf(line, "%s%.*s:%u", i ? ", " : "", (int)(colon - (const char *)address.ptr),
				 (const char *)address.ptr, port(of, i));
	}
}

struct ready {
	const struct serve *serve;
	struct weir_dynbuf line;
	size_t shown, left_out;
};

static bool add_channel(void *ctx, const struct weir_channel_view *view)
{
	struct ready *ready = ctx;
	const char *durability;
	weir_channel *channel;

	if (weir_dispatcher_open_channel(ready->serve->dispatcher, view->ns, view->name, &channel, NULL))
		return true;
	durability = weir_channel_caps(channel)->durability; /* static text */
	weir_channel_close(channel);
	if (durability && strcmp(durability, "memory") == 0)
		weir_log(WEIR_LOG_WARNING, "channel %s/%s keeps its events in memory: nothing survives a restart",
			 view->ns, view->name);
	if (ready->line.len > READY_LINE_MAX / 2) {
		ready->left_out++;
		return true;
	}
	weir_dynbuf_addf(&ready->line, "%s%s/%s on %s (durability: %s)",
			 ready->shown++ ? ", " : "; channels: ", view->ns, view->name, view->kind,
			 durability ? durability : "unknown");
	return true;
}

static void log_ready(const struct serve *serve)
{
	struct ready ready = { .serve = serve };
	const char *admin = weir_config_get(serve->config, "dispatcher.admin");
	const char *tls = weir_config_get(serve->config, "dispatcher.tls.listen");

	weir_dynbuf_init(&ready.line, READY_LINE_MAX);
	weir_dynbuf_add_text(&ready.line, "ready: events on ");
	add_addresses(&ready.line, weir_config_get(serve->config, "dispatcher.listen"), dispatcher_port,
		      serve->dispatcher);
	if (tls && *tls) {
		weir_dynbuf_add_text(&ready.line, ", with TLS on ");
		add_addresses(&ready.line, tls, tls_port, serve->dispatcher);
	}
	if (admin && *admin) {
		weir_dynbuf_add_text(&ready.line, "; admin on ");
		add_addresses(&ready.line, admin, admin_port, serve->admin);
	}
	weir_dispatcher_visit(serve->dispatcher, add_channel, &ready);
	if (ready.left_out)
		weir_dynbuf_addf(&ready.line, " and %zu more", ready.left_out);
	weir_log(WEIR_LOG_NOTICE, "%s", ready.line.ptr ? ready.line.ptr : "ready");
	weir_dynbuf_fini(&ready.line);
}

/* ---- signals -------------------------------------------------------------- */

/* Before any thread is started, so that all inherit the mask. */
static int take_signals(void)
{
	sigset_t wanted;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGHUP);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	return signalfd(-1, &wanted, SFD_CLOEXEC);
}

static void exit_at_once(int number)
{
	(void)number;
	_exit(WEIR_EXIT_FAILED);
}

/* From here on the next SIGTERM or SIGINT ends the process without waiting. */
static void stop_at_next_signal(void)
{
	const struct sigaction at_once = { .sa_handler = exit_at_once };
	sigset_t wanted;

	sigaction(SIGTERM, &at_once, NULL);
	sigaction(SIGINT, &at_once, NULL);
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGINT);
	sigprocmask(SIG_UNBLOCK, &wanted, NULL);
}

/* Returns the number of the signal that asks to stop. */
static int wait_for_stop(const struct serve *serve)
{
	struct signalfd_siginfo info;

	for (;;) {
		ssize_t got = read(serve->signal_fd, &info, sizeof info);

		if (got < 0 && errno == EINTR)
			continue;
		if (got != sizeof info)
			return 0;
		if (info.ssi_signo != SIGHUP)
			return (int)info.ssi_signo;
		weir_reload_ask(serve->reload, "SIGHUP");
	}
}

/* ---- life ----------------------------------------------------------------- */

/* The soft limit is what it is for programs that use select(2), which has no room for more; nothing here does. */
static void take_all_descriptors(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur == files.rlim_max)
		return;
	files.rlim_cur = files.rlim_max;
	(void)!setrlimit(RLIMIT_NOFILE, &files);
}

static int start_reloading(struct serve *serve, struct weir_error *err)
{
	const struct weir_reload_options options = {
		.from = &serve->options->config,
		.config = serve->config,
		.runtime = serve->runtime,
		.dispatcher = serve->dispatcher,
		.admin = serve->admin,
		.apply = log_as_configured,
	};

	if (weir_reload_new(&options, &serve->reload))
		return weir_fail(err, WEIR_ENOMEM, "out of memory");
	return WEIR_OK;
}

/* A folder that cannot be made is told when a channel moves, and not before. */
static int remember_moves(const struct serve *serve, struct weir_error *err)
{
	const char *path = weir_config_get(serve->config, "dispatcher.moves.path"), *slash = strrchr(path, '/');
	char folder[4096];

	if (slash && (size_t)(slash - path) < sizeof folder) {
		snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
		(void)!mkdir(folder, 0700);
	}
	return weir_runtime_remember(serve->runtime, path, err);
}

static int start(struct serve *serve, struct weir_error *err)
{
	int code = remember_moves(serve, err);

	if (!code)
		code = weir_dispatcher_start(serve->config, serve->runtime, &serve->dispatcher, err);

	if (!code)
		code = weir_admin_start(serve->config, serve->dispatcher, serve->runtime, &serve->admin, err);
	return code;
}

static void drain(struct serve *serve)
{
	struct weir_error err = WEIR_ERROR_INIT;
	int64_t timeout_ms;

	weir_admin_reload_handler(serve->admin, NULL, NULL);
	weir_dispatcher_freeze(serve->dispatcher);
	timeout_ms = weir_config_get_duration(weir_reload_config(serve->reload), "dispatcher.drainTimeout");
	weir_admin_drain(serve->admin);
	if (weir_dispatcher_drain(serve->dispatcher, weir_clock_after_ms(weir_clock_now_ns(), timeout_ms), &err))
		weir_log(WEIR_LOG_WARNING, "stopping: %s", err.text);
}

static void stop(struct serve *serve)
{
	struct weir_error err = WEIR_ERROR_INIT;

	weir_reload_stop(serve->reload);
	weir_admin_free(serve->admin);
	weir_dispatcher_free(serve->dispatcher);
	if (weir_runtime_close(serve->runtime, weir_clock_now_ns() + WEIR_NS_PER_S, &err))
		weir_log(WEIR_LOG_WARNING, "stopping: %s", err.text);
	if (serve->reload)
		weir_reload_free(serve->reload);
	else
		weir_config_free(serve->config);
	close(serve->signal_fd);
}

static int serve_run(void *options, char *const *args, size_t arg_count)
{
	struct serve serve = { .options = options };
	struct weir_error err = WEIR_ERROR_INIT;
	int code, number;

	(void)args;
	(void)arg_count;
	/* Arenas are per thread by default, each with memory of its own; few threads here allocate much. */
	mallopt(M_ARENA_MAX, 2);
	take_all_descriptors();
	weir_log_set(weir_log_to_fd, &log_stderr, WEIR_LOG_NOTICE);
	serve.signal_fd = take_signals();
	if (serve.signal_fd < 0) {
		weir_cli_say("cannot wait for signals: %s", strerror(errno));
		return WEIR_EXIT_FAILED;
	}
	code = weir_cli_open(&serve.options->config, &serve.config, &serve.runtime);
	if (code)
		return code;
	log_as_configured(serve.config);
	code = weir_cli_check(serve.config, serve.runtime);
	if (code) {
		stop(&serve);
		return code;
	}
	weir_log(WEIR_LOG_NOTICE, "weir %s starts as process %ld", weir_version(), (long)getpid());
	if (start(&serve, &err)) {
		stop(&serve);
		return weir_cli_fail(&err);
	}
	log_ready(&serve);
	if (start_reloading(&serve, &err)) {
		stop(&serve);
		return weir_cli_fail(&err);
	}
	weir_cli_notify("READY=1");
	number = wait_for_stop(&serve);
	stop_at_next_signal();
	weir_log(WEIR_LOG_NOTICE, "%s: finishing what is in flight", number ? strsignal(number) : "no signals");
	weir_cli_notify("STOPPING=1");
	drain(&serve);
	stop(&serve);
	weir_log(WEIR_LOG_NOTICE, "stopped");
	return WEIR_EXIT_OK;
}

static const struct weir_cli_option options[] = { WEIR_CLI_CONFIG_OPTIONS(struct serve_options, config) };

const struct weir_cmd weir_cmd_serve = {
	.name = "serve",
	.args = "",
	.summary = "Take events over HTTP, keep them, deliver them",
	.details =
	    "Without configuration: channel default/default, events on 127.0.0.1:8080, admin on 127.0.0.1:9090.\n"
	    "SIGTERM and SIGINT finish what is in flight within dispatcher.drainTimeout; a second one ends at once.\n"
	    "SIGHUP and POST /reload on the admin port read the configuration again and go over to it while events "
	    "flow.",
	.options = options,
	.option_count = sizeof options / sizeof *options,
	.options_size = sizeof(struct serve_options),
	.run = serve_run,
};
