/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/dispatcher_state.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

/* ---- taking events -------------------------------------------------------- */

static int make_ingresses(struct weir_dispatcher *dispatcher, struct weir_error *err)
{
	struct weir_ingress_options options = {
		.runtime = dispatcher->runtime,
		.auth = dispatcher->auth,
		.router = dispatcher->topology->router,
		.limits = dispatcher->settings.limits,
		.event_limits = dispatcher->settings.event_limits,
		.batch = dispatcher->settings.batch,
	};
	size_t count = dispatcher->settings.ingress_loops;
	int code;

	options.limits.max_body_bytes =
	    weir_topology_max_body(dispatcher->topology, dispatcher->settings.limits.max_body_bytes);
	dispatcher->ingresses = weir_mem_zalloc(count, sizeof(struct weir_ingress *));
	if (!dispatcher->ingresses)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for ingress loops");
	while (dispatcher->ingress_count < count) {
		options.index = dispatcher->ingress_count;
		code = weir_ingress_new(&options, &dispatcher->ingresses[dispatcher->ingress_count], err);
		if (code)
			return code;
		dispatcher->ingress_count++;
	}
	return WEIR_OK;
}

/* All ingresses listen on one address. The first may be given any free port; the others then take the same. */
static int listen_on(struct weir_dispatcher *dispatcher, struct weir_buf address, struct weir_tls_slot *tls,
		     uint16_t *port, struct weir_error *err)
{
	char text[300];
	const char *end = memrchr(address.ptr, ':', address.len);
	int host_len = end ? (int)(end - (const char *)address.ptr) : (int)address.len;
	int code = WEIR_OK;

	if (address.len >= sizeof text - 6)
		return weir_fail(err, WEIR_EINVAL, "dispatcher%s.listen: an address is too long", tls ? ".tls" : "");
	snprintf(text, sizeof text, "%.*s", (int)address.len, (const char *)address.ptr);
	for (size_t i = 0; i < dispatcher->ingress_count && !code; i++) {
		code = weir_ingress_listen(dispatcher->ingresses[i], text, tls, i == 0 ? port : NULL, err);
		snprintf(text, sizeof text, "%.*s:%u", host_len, (const char *)address.ptr, *port);
	}
	if (code == WEIR_EBUSY) { /* that is what a backend says of a store; an address in use is not one */
		code = WEIR_EIO;
		if (err)
			err->code = WEIR_EIO;
	}
	return code;
}

static int listen_on_all(struct weir_dispatcher *dispatcher, const char *addresses, struct weir_tls_slot *tls,
			 uint16_t ports[WEIR_DISPATCH_LISTEN_MAX], struct weir_error *err)
{
	struct weir_buf rest = weir_str(addresses ? addresses : ""), address;
	size_t count = 0;
	int code = WEIR_OK;

	while (!code && count < WEIR_DISPATCH_LISTEN_MAX && rest.len && weir_str_split(&rest, ',', &address))
		code = listen_on(dispatcher, weir_str_trim(address), tls, &ports[count++], err);
	return code;
}

static int start_ingresses(struct weir_dispatcher *dispatcher, struct weir_error *err)
{
	const struct weir_dispatch_settings *settings = &dispatcher->settings;
	int code = listen_on_all(dispatcher, settings->listen, NULL, dispatcher->ports, err);

	if (!code)
		code = listen_on_all(dispatcher, settings->listen_tls, &dispatcher->tls,
				     dispatcher->ports + WEIR_DISPATCH_LISTEN_MAX, err);
	for (size_t i = 0; i < dispatcher->ingress_count && !code; i++)
		code = weir_ingress_start(dispatcher->ingresses[i], err);
	return code;
}

/* ---- life ----------------------------------------------------------------- */

static int make_delivery(struct weir_dispatcher *dispatcher, struct weir_error *err)
{
	size_t loops = dispatcher->settings.delivery_loops;

	dispatcher->delivery_loops = weir_mem_zalloc(loops, sizeof(struct weir_delivery_loop *));
	if (!dispatcher->delivery_loops)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for delivery loops");
	return weir_quarantine_new(dispatcher->settings.quarantine_path, dispatcher->settings.quarantine_max,
				   &dispatcher->quarantine, err);
}

static int start(struct weir_dispatcher *dispatcher, const weir_config *config, struct weir_error *err)
{
	int code = weir_dispatch_settings_read(config, &dispatcher->settings, err);

	dispatcher->drain_timeout_ms = weir_config_get_duration(config, "dispatcher.drainTimeout");
	if (!code)
		code = weir_identity_load(config, &dispatcher->tls.current, err);
	if (!code)
		code = weir_policy_load(config, NULL, &dispatcher->auth, err);
	if (!code)
		code = weir_worker_init(&dispatcher->keeper, err);
	if (!code)
		weir_identity_warn(dispatcher->tls.current, config);
	if (!code)
		code = make_delivery(dispatcher, err);
	/* Subscriptions first, so that none misses the first event taken. */
	if (!code)
		code = weir_dispatcher_change(dispatcher, config, err);
	if (!code)
		code = make_ingresses(dispatcher, err);
	if (!code)
		code = start_ingresses(dispatcher, err);
	if (!code)
		code = weir_worker_start(&dispatcher->keeper, "weir-keeper", err);
	return code;
}

int weir_dispatcher_start(const weir_config *config, weir_runtime *runtime, struct weir_dispatcher **ret,
			  struct weir_error *err)
{
	struct weir_dispatcher *dispatcher = weir_mem_zalloc(1, sizeof *dispatcher);
	pthread_condattr_t monotonic;
	int code;

	if (!dispatcher)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for the dispatcher");
	dispatcher->runtime = runtime;
	pthread_mutex_init(&dispatcher->lock, NULL);
	weir_tls_slot_init(&dispatcher->tls);
	pthread_cond_init(&dispatcher->left, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&dispatcher->idle, &monotonic);
	pthread_condattr_destroy(&monotonic);
	code = start(dispatcher, config, err);
	if (code)
		weir_dispatcher_free(dispatcher);
	else
		*ret = dispatcher;
	return code;
}

static void free_egresses(const struct weir_dispatch_row *row)
{
	for (size_t i = 0; i < row->egress_count; i++)
		weir_egress_free(row->egresses[i]);
}

void weir_dispatcher_free(struct weir_dispatcher *dispatcher)
{
	const struct weir_topology *topology;
	size_t given_up, rows;

	if (!dispatcher)
		return;
	weir_dispatcher_close(dispatcher, weir_clock_now_ns(), &given_up, NULL);
	topology = dispatcher->topology;
	rows = topology ? topology->row_count : 0;
	for (size_t i = 0; i < dispatcher->ingress_count; i++)
		weir_ingress_free(dispatcher->ingresses[i]);
	/* Whoever publishes or delivers goes before the channels that it does it with. */
	for (size_t i = 0; i < rows; i++)
		free_egresses(&topology->rows[i]);
	for (size_t i = 0; i < dispatcher->delivery_count; i++)
		weir_delivery_loop_free(dispatcher->delivery_loops[i]);
	for (size_t i = 0; i < rows; i++)
		weir_dispatch_channel_free(topology->rows[i].channel);
	weir_retired_end(dispatcher);
	weir_topology_free(dispatcher->topology);
	weir_worker_fini(&dispatcher->keeper);
	weir_mem_free(dispatcher->ingresses);
	weir_mem_free(dispatcher->delivery_loops);
	weir_tls_slot_fini(&dispatcher->tls);
	weir_auth_free(dispatcher->auth);
	pthread_cond_destroy(&dispatcher->idle);
	pthread_cond_destroy(&dispatcher->left);
	pthread_mutex_destroy(&dispatcher->lock);
	weir_mem_free(dispatcher);
}

/* ---- another configuration ------------------------------------------------ */

struct weir_loop *weir_dispatcher_loop(struct weir_dispatcher *dispatcher)
{
	return dispatcher->keeper.loop;
}

/* What a configuration has beside channels and subscriptions. */
struct guards {
	struct weir_tls *tls;
	struct weir_auth *auth;
};

static int load_guards(const struct weir_dispatcher *dispatcher, const weir_config *config, struct guards *ret,
		       struct weir_error *err)
{
	int code = weir_identity_load(config, &ret->tls, err);

	ret->auth = NULL;
	if (!code)
		code = weir_policy_load(config, dispatcher->auth, &ret->auth, err);
	if (code)
		weir_tls_unref(ret->tls);
	return code;
}

struct judging {
	struct weir_ingress *ingress;
	const struct weir_auth *auth;
};

static void judge_on_loop(void *ctx)
{
	const struct judging *judging = ctx;

	weir_ingress_judge_by(judging->ingress, judging->auth);
}

static void put_guards(struct weir_dispatcher *dispatcher, const weir_config *config, struct guards *guards)
{
	struct judging judging = { .auth = guards->auth };

	for (size_t i = 0; i < dispatcher->ingress_count; i++) {
		judging.ingress = dispatcher->ingresses[i];
		weir_worker_call(weir_ingress_worker(judging.ingress), judge_on_loop, &judging);
	}
	weir_auth_free(dispatcher->auth);
	dispatcher->auth = guards->auth;
	/* Connections that are open keep the identity that they began with. */
	weir_identity_warn(guards->tls, config);
	if (guards->tls)
		weir_tls_slot_put(&dispatcher->tls, guards->tls);
}

int weir_dispatcher_reconfigure(struct weir_dispatcher *dispatcher, const weir_config *config, struct weir_error *err)
{
	const weir_config *before = dispatcher->topology->config;
	struct guards guards;
	int code = load_guards(dispatcher, config, &guards, err);

	if (code)
		return code;
	weir_runtime_configure(dispatcher->runtime, config);
	code = weir_dispatcher_change(dispatcher, config, err);
	if (code) {
		weir_runtime_configure(dispatcher->runtime, before);
		weir_tls_unref(guards.tls);
		weir_auth_free(guards.auth);
		return code;
	}
	put_guards(dispatcher, config, &guards);
	dispatcher->drain_timeout_ms = weir_config_get_duration(config, "dispatcher.drainTimeout");
	return WEIR_OK;
}

void weir_dispatcher_freeze(struct weir_dispatcher *dispatcher)
{
	weir_worker_stop(&dispatcher->keeper);
}

bool weir_dispatcher_uses(const struct weir_dispatcher *dispatcher, const weir_config *config)
{
	return dispatcher->topology->config == config || weir_retired_uses(dispatcher, config);
}

/* ---- asking --------------------------------------------------------------- */

uint16_t weir_dispatcher_port(const struct weir_dispatcher *dispatcher, size_t index)
{
	return index < WEIR_DISPATCH_LISTEN_MAX ? dispatcher->ports[index] : 0;
}

uint16_t weir_dispatcher_tls_port(const struct weir_dispatcher *dispatcher, size_t index)
{
	return index < WEIR_DISPATCH_LISTEN_MAX ? dispatcher->ports[WEIR_DISPATCH_LISTEN_MAX + index] : 0;
}
