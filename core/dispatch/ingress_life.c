/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/ingress_life: making, draining, ending an ingress, and what it counted. */
#include "dispatch/ingress_state.h"

#include <string.h>

#include "base/container.h"
#include "base/mem.h"

static int make_parts(struct weir_ingress *ingress, struct weir_error *err)
{
	struct weir_http_server_options server = { .limits = ingress->options.limits,
						   .handler = weir_ingress_request,
						   .ctx = ingress };
	int code = weir_worker_init(&ingress->worker, err);

	if (code)
		return code;
	ingress->slab = weir_mem_zalloc(WEIR_INGRESS_OUTSTANDING, sizeof *ingress->slab);
	if (!ingress->slab)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for an ingress");
	code = weir_publishing_init(&ingress->publishing, ingress->options.runtime, ingress->worker.loop,
				    WEIR_INGRESS_OUTSTANDING, weir_ingress_published, ingress);
	if (code)
		return weir_fail(err, code, "cannot make a publisher: %s", weir_code_text(code));
	if (weir_auth_cache_new(&ingress->auth_cache))
		return weir_fail(err, WEIR_ENOMEM, "out of memory for an ingress");
	ingress->hook.run = weir_ingress_end_turn;
	weir_loop_hook(ingress->worker.loop, &ingress->hook);
	return weir_http_server_new(ingress->worker.loop, &server, &ingress->server, err);
}

int weir_ingress_new(const struct weir_ingress_options *options, struct weir_ingress **ret, struct weir_error *err)
{
	struct weir_ingress *ingress = weir_mem_zalloc(1, sizeof *ingress);
	int code;

	if (!ingress)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for an ingress");
	ingress->options = *options;
	code = make_parts(ingress, err);
	if (code)
		weir_ingress_free(ingress);
	else
		*ret = ingress;
	return code;
}

int weir_ingress_listen(struct weir_ingress *ingress, const char *address, struct weir_tls_slot *tls, uint16_t *port,
			struct weir_error *err)
{
	if (tls)
		return weir_http_server_listen_tls(ingress->server, tls, address, port, err);
	return weir_http_server_listen(ingress->server, address, port, err);
}

int weir_ingress_start(struct weir_ingress *ingress, struct weir_error *err)
{
	return weir_worker_start(&ingress->worker, "weir-ingress", err);
}

/* ---- channels come and go ------------------------------------------------- */

int weir_ingress_channel_init(struct weir_ingress_channel *channel, size_t ingress_count)
{
	channel->slots = weir_mem_zalloc(ingress_count, sizeof *channel->slots);
	channel->slot_count = channel->slots ? ingress_count : 0;
	return channel->slots ? WEIR_OK : WEIR_ENOMEM;
}

void weir_ingress_channel_fini(struct weir_ingress_channel *channel)
{
	for (size_t i = 0; i < channel->slot_count; i++)
		weir_mem_free(channel->slots[i].gather);
	weir_mem_free(channel->slots);
	channel->slots = NULL;
	channel->slot_count = 0;
}

struct weir_worker *weir_ingress_worker(struct weir_ingress *ingress)
{
	return &ingress->worker;
}

void weir_ingress_judge_by(struct weir_ingress *ingress, const struct weir_auth *auth)
{
	ingress->options.auth = auth;
}

void weir_ingress_route(struct weir_ingress *ingress, const struct weir_router *router, uint64_t max_body_bytes)
{
	ingress->options.router = router;
	weir_http_server_limit_body(ingress->server, max_body_bytes);
}

bool weir_ingress_forget(struct weir_ingress *ingress, struct weir_ingress_channel *channel)
{
	struct weir_ingress_slot *slot = weir_ingress_slot(ingress, channel);
	struct weir_ingress_gather **at = &ingress->listed;

	if (slot->pending)
		return false;
	while (*at && *at != slot->gather)
		at = &(*at)->next;
	if (*at)
		*at = slot->gather->next;
	weir_mem_free(slot->gather);
	slot->gather = NULL;
	return true;
}

/* ---- ending --------------------------------------------------------------- */

static void on_drain(struct weir_task *task)
{
	struct weir_ingress *ingress = WEIR_CONTAINER(task, struct weir_ingress, drain_task);

	weir_http_server_drain(ingress->server, ingress->drained, ingress->drained_ctx);
}

void weir_ingress_drain(struct weir_ingress *ingress, void (*drained)(void *ctx), void *ctx)
{
	ingress->drained = drained;
	ingress->drained_ctx = ctx;
	ingress->drain_task.run = on_drain;
	weir_loop_post(ingress->worker.loop, &ingress->drain_task);
}

void weir_ingress_stop(struct weir_ingress *ingress)
{
	weir_worker_stop(&ingress->worker);
	weir_publishing_fini(&ingress->publishing);
	for (size_t i = 0; i < ingress->slab_used; i++) {
		struct weir_ingress_pending *pending = &ingress->slab[i];

		if (!pending->request)
			continue;
		pending->failed = WEIR_EUNKNOWN;
		weir_ingress_answer(ingress, pending);
	}
}

void weir_ingress_free(struct weir_ingress *ingress)
{
	if (!ingress)
		return;
	weir_ingress_stop(ingress);
	if (ingress->server)
		weir_http_server_free(ingress->server);
	while (ingress->spare_count)
		weir_event_free(ingress->spare[--ingress->spare_count]);
	weir_mem_free(ingress->slab);
	weir_auth_cache_free(ingress->auth_cache);
	weir_worker_fini(&ingress->worker);
	weir_mem_free(ingress);
}

/* ---- figures -------------------------------------------------------------- */

void weir_ingress_add_figures(const struct weir_ingress_channel *channel, struct weir_ingress_figures *ret)
{
	for (size_t i = 0; i < channel->slot_count; i++) {
		const struct weir_ingress_counters *counters = &channel->slots[i].counters;

		ret->accepted += weir_figure_get(&counters->accepted);
		ret->bytes += weir_figure_get(&counters->bytes);
		ret->rejected += weir_figure_get(&counters->rejected);
		ret->unavailable += weir_figure_get(&counters->unavailable);
	}
}

void weir_ingress_add_server_figures(const struct weir_ingress *ingress, struct weir_ingress_server_figures *ret)
{
	const struct weir_http_server_stats *stats = weir_http_server_stats(ingress->server);

	ret->connections += weir_figure_get(&stats->connections);
	ret->accepted += weir_figure_get(&stats->accepted);
	ret->refused += weir_figure_get(&stats->refused);
	ret->requests += weir_figure_get(&stats->requests);
	ret->malformed += weir_figure_get(&stats->malformed);
	ret->timeouts += weir_figure_get(&stats->timeouts);
	ret->bytes_in += weir_figure_get(&stats->bytes_in);
	ret->handshakes += weir_figure_get(&stats->handshakes);
	ret->handshakes_failed += weir_figure_get(&stats->handshakes_failed);
}
