/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/reload.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "admin/reload.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/dynbuf.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/check.h"
#include "cli/notify.h"
#include "cli/reload_answer.h"
#include "cli/watch.h"
#include "config/plan.h"

enum { SAID_MAX = 256 * 1024, BACKENDS_MAX = 64, TICKETS_MAX = 64, OLD_MS = 100 };

/* A configuration that was in use, and still is for what finishes with it. */
struct old_config {
	struct old_config *next;
	weir_config *config;
};

struct weir_reload {
	struct weir_reload_options options;
	weir_config *config;
	struct old_config *old;
	struct weir_timer free_old;
	struct weir_admin_reload_state state;
	struct weir_watcher *watcher;
	struct weir_task begin;

	pthread_mutex_t lock; /* of: */
	struct weir_task task;
	bool asked;
	const char *why;
	struct weir_admin_ticket *tickets[TICKETS_MAX];
	size_t ticket_count;
};

/* ---- configurations that are not needed any more -------------------------- */

static void set_free_timer(struct weir_reload *reload)
{
	weir_loop_timer_set(weir_dispatcher_loop(reload->options.dispatcher), &reload->free_old,
			    weir_clock_after_ms(weir_clock_now_ns(), OLD_MS));
}

static void free_old(struct weir_reload *reload)
{
	struct old_config **at = &reload->old;

	while (*at) {
		struct old_config *old = *at;

		if (weir_dispatcher_uses(reload->options.dispatcher, old->config)) {
			at = &old->next;
			continue;
		}
		*at = old->next;
		weir_config_free(old->config);
		weir_mem_free(old);
	}
	if (reload->old)
		set_free_timer(reload);
}

static void on_free_old(struct weir_timer *timer)
{
	free_old(WEIR_CONTAINER(timer, struct weir_reload, free_old));
}

/* ---- one reload ----------------------------------------------------------- */

/* The tables of the backends that are open. */
static size_t open_drivers(weir_runtime *runtime, const struct weir_driver **ret)
{
	struct weir_backend_info info;
	size_t count = 0;

	for (size_t i = 0; count < BACKENDS_MAX && weir_runtime_backend_info(runtime, i, &info) == WEIR_OK; i++) {
		if (weir_runtime_load(runtime, info.kind, &ret[count], NULL) == WEIR_OK)
			count++;
	}
	return count;
}

/* Builds and checks it as a start does. False: everything wrong has been said. */
static bool build(struct weir_reload *reload, weir_config **ret)
{
	weir_runtime *runtime; /* looks for drivers, opens nothing */
	bool wrong;

	if (weir_cli_read(reload->options.from, ret, &runtime, &wrong))
		return false;
	wrong |= weir_cli_check(*ret, runtime) != WEIR_EXIT_OK;
	weir_runtime_close(runtime, 0, NULL);
	if (!wrong)
		return true;
	weir_watcher_add(reload->watcher, *ret); /* it may be mended there */
	weir_config_free(*ret);
	return false;
}

static void log_plan(const struct weir_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		weir_log(WEIR_LOG_NOTICE, "configuration: %s %s: %s", weir_plan_effect_text(plan->steps[i].effect),
			 plan->steps[i].key, plan->steps[i].text);
}

/* Backends whose credentials changed are opened anew, each once. */
static void renew(struct weir_reload *reload, const struct weir_plan *plan)
{
	const char *last = NULL;

	for (size_t i = 0; i < plan->count; i++) {
		const char *kind = plan->steps[i].kind;
		struct weir_error err = WEIR_ERROR_INIT;

		if (plan->steps[i].effect != WEIR_PLAN_RENEW || (last && strcmp(last, kind) == 0))
			continue;
		last = kind;
		if (weir_runtime_renew(reload->options.runtime, kind, &err) != WEIR_OK)
			weir_log(WEIR_LOG_WARNING, "%s is not opened anew: %s", kind, err.text);
	}
}

/* The configuration takes the place of the one in use. */
static void take(struct weir_reload *reload, weir_config *config, struct old_config *old)
{
	old->config = reload->config;
	old->next = reload->old;
	reload->old = old;
	reload->config = config;
	free_old(reload);
}

static int go_over(struct weir_reload *reload, weir_config *config, struct weir_error *err)
{
	struct old_config *old = weir_mem_zalloc(1, sizeof *old);
	int code = old ? weir_dispatcher_reconfigure(reload->options.dispatcher, config, err)
		       : weir_fail(err, WEIR_ENOMEM, "out of memory");

	if (code) {
		weir_mem_free(old);
		return code;
	}
	take(reload, config, old);
	if (reload->options.apply)
		reload->options.apply(config);
	return WEIR_OK;
}

static void try_plan(struct weir_reload *reload, weir_config *config, struct weir_reload_outcome *outcome)
{
	const struct weir_driver *drivers[BACKENDS_MAX];
	size_t count = open_drivers(reload->options.runtime, drivers);
	const struct weir_plan_step *obstacle;
	int code = weir_plan_make(reload->config, config, drivers, count, &outcome->plan);

	if (code) {
		weir_fail(&outcome->error, code, "out of memory");
		return;
	}
	obstacle = weir_plan_obstacle(&outcome->plan);
	if (obstacle) {
		outcome->result = WEIR_RELOAD_NEEDS_RESTART;
		weir_fail(&outcome->error, WEIR_ENOTSUP, "%.200s: %.200s; that needs a restart", obstacle->key,
			  obstacle->text);
	} else if (go_over(reload, config, &outcome->error) == WEIR_OK) {
		outcome->result = WEIR_RELOAD_APPLIED;
		renew(reload, &outcome->plan);
		log_plan(&outcome->plan);
	}
}

static void try(struct weir_reload *reload, struct weir_reload_outcome *outcome)
{
	weir_config *config;
	bool valid;

	weir_watcher_clear(reload->watcher);
	weir_cli_say_also_to(&outcome->said);
	valid = build(reload, &config);
	weir_cli_say_also_to(NULL);
	if (!valid) {
		outcome->result = WEIR_RELOAD_INVALID;
		weir_reload_first_line(&outcome->said, &outcome->error);
		return;
	}
	weir_watcher_add(reload->watcher, config);
	try_plan(reload, config, outcome);
	if (outcome->result != WEIR_RELOAD_APPLIED)
		weir_config_free(config);
}

/* What was read just now, whatever became of it, and is not there yet perhaps. */
static void watch(struct weir_reload *reload)
{
	if (!weir_config_get_bool(reload->config, "dispatcher.watch"))
		weir_watcher_clear(reload->watcher);
	weir_watcher_begin(reload->watcher);
}

/* ---- telling -------------------------------------------------------------- */

static void note(struct weir_reload *reload, const struct weir_reload_outcome *outcome, const char *why)
{
	struct weir_admin_reload_state *state = &reload->state;
	size_t count = outcome->plan.count;

	state->last_ms = weir_clock_wall_ms();
	state->last_refused = outcome->result != WEIR_RELOAD_APPLIED;
	if (state->last_refused) {
		state->refused++;
		snprintf(state->text, sizeof state->text, "%s; the configuration before it stays in use",
			 outcome->error.text);
	} else {
		state->applied++;
		state->generation++;
		snprintf(state->text, sizeof state->text, "%zu change%s", count, count == 1 ? "" : "s");
	}
	/* First: whoever reads the line may look at once. */
	weir_admin_reload_note(reload->options.admin, state);
	if (state->last_refused)
		weir_log(WEIR_LOG_ERROR, "%s: configuration not taken: %s", why, state->text);
	else
		weir_log(WEIR_LOG_NOTICE, "%s: configuration %" PRIu64 " is in use: %s", why, state->generation,
			 state->text);
}

static size_t take_tickets(struct weir_reload *reload, struct weir_admin_ticket **ret, const char **why)
{
	size_t count;

	pthread_mutex_lock(&reload->lock);
	count = reload->ticket_count;
	memcpy(ret, reload->tickets, count * sizeof(struct weir_admin_ticket *));
	reload->ticket_count = 0;
	reload->asked = false;
	*why = reload->why;
	pthread_mutex_unlock(&reload->lock);
	return count;
}

static void on_reload(struct weir_task *task)
{
	struct weir_reload *reload = WEIR_CONTAINER(task, struct weir_reload, task);
	struct weir_admin_ticket *tickets[TICKETS_MAX];
	struct weir_reload_outcome outcome = { .result = WEIR_RELOAD_FAILED, .error = WEIR_ERROR_INIT };
	struct weir_dynbuf body;
	const char *why;
	size_t count = take_tickets(reload, tickets, &why);
	int status;

	weir_cli_notify("RELOADING=1");
	weir_dynbuf_init(&outcome.said, SAID_MAX);
	try(reload, &outcome);
	watch(reload);
	note(reload, &outcome, why);
	weir_dynbuf_init(&body, 4 * SAID_MAX);
	status = weir_reload_answer(&outcome, reload->state.generation, &body);
	for (size_t i = 0; i < count; i++)
		weir_admin_ticket_answer(tickets[i], status, weir_dynbuf_view(&body));
	weir_dynbuf_fini(&body);
	weir_dynbuf_fini(&outcome.said);
	weir_plan_fini(&outcome.plan);
	weir_cli_notify("READY=1");
}

/* ---- asking --------------------------------------------------------------- */

static void ask_locked(struct weir_reload *reload, const char *why)
{
	reload->why = why;
	if (!reload->asked)
		weir_loop_post(weir_dispatcher_loop(reload->options.dispatcher), &reload->task);
	reload->asked = true;
}

void weir_reload_ask(struct weir_reload *reload, const char *why)
{
	pthread_mutex_lock(&reload->lock);
	ask_locked(reload, why);
	pthread_mutex_unlock(&reload->lock);
}

static void on_changed(void *ctx)
{
	weir_reload_ask(ctx, "a file of the configuration changed");
}

static void on_begin(struct weir_task *task)
{
	struct weir_reload *reload = WEIR_CONTAINER(task, struct weir_reload, begin);

	weir_watcher_add(reload->watcher, reload->config);
	watch(reload);
}

/* On the admin port's thread. */
static void on_post(void *ctx, struct weir_admin_ticket *ticket)
{
	struct weir_reload *reload = ctx;
	bool full;

	pthread_mutex_lock(&reload->lock);
	full = reload->ticket_count == TICKETS_MAX;
	if (!full)
		reload->tickets[reload->ticket_count++] = ticket;
	ask_locked(reload, "POST /reload");
	pthread_mutex_unlock(&reload->lock);
	if (full)
		weir_admin_ticket_answer(
		    ticket, 503, WEIR_STR("{\"code\":\"too_many\",\"reason\":\"A reload is asked for already.\"}"));
}

/* ---- life ----------------------------------------------------------------- */

int weir_reload_new(const struct weir_reload_options *options, struct weir_reload **ret)
{
	struct weir_reload *reload = weir_mem_zalloc(1, sizeof *reload);

	if (!reload)
		return WEIR_ENOMEM;
	if (weir_watcher_new(weir_dispatcher_loop(options->dispatcher), on_changed, reload, &reload->watcher)) {
		weir_mem_free(reload);
		return WEIR_ENOMEM;
	}
	reload->options = *options;
	reload->config = options->config;
	reload->begin.run = on_begin;
	reload->state.generation = 1;
	reload->task.run = on_reload;
	reload->free_old.fire = on_free_old;
	pthread_mutex_init(&reload->lock, NULL);
	weir_admin_reload_handler(options->admin, on_post, reload);
	weir_loop_post(weir_dispatcher_loop(options->dispatcher), &reload->begin);
	*ret = reload;
	return WEIR_OK;
}

const weir_config *weir_reload_config(const struct weir_reload *reload)
{
	return reload->config;
}

void weir_reload_stop(struct weir_reload *reload)
{
	struct weir_admin_ticket *tickets[TICKETS_MAX];
	const char *why;
	size_t count;

	if (!reload)
		return;
	weir_watcher_free(reload->watcher);
	reload->watcher = NULL;
	count = take_tickets(reload, tickets, &why);
	for (size_t i = 0; i < count; i++)
		weir_admin_ticket_answer(
		    tickets[i], 503, WEIR_STR("{\"code\":\"draining\",\"reason\":\"The process is about to end.\"}"));
}

void weir_reload_free(struct weir_reload *reload)
{
	if (!reload)
		return;
	while (reload->old) {
		struct old_config *old = reload->old;

		reload->old = old->next;
		weir_config_free(old->config);
		weir_mem_free(old);
	}
	weir_config_free(reload->config);
	pthread_mutex_destroy(&reload->lock);
	weir_mem_free(reload);
}
