/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/status.h"

#include <json-c/json.h>
#include <stdio.h>

#include <weir/version.h>

#include "base/clock.h"

/*
 * json-c fails by returning NULL, and takes NULL for "null". An object that is
 * missing something is worse than none, so each addition is checked, and one
 * failure fails the whole.
 */
struct builder {
	bool failed;
};

static void add(struct builder *builder, struct json_object *object, const char *key, struct json_object *value)
{
	if (!value || !object || json_object_object_add(object, key, value) != 0) {
		json_object_put(value);
		builder->failed = true;
	}
}

static void push(struct builder *builder, struct json_object *array, struct json_object *value)
{
	if (!value || !array || json_object_array_add(array, value) != 0) {
		json_object_put(value);
		builder->failed = true;
	}
}

static void add_text(struct builder *builder, struct json_object *object, const char *key, const char *value)
{
	add(builder, object, key, json_object_new_string(value ? value : ""));
}

static void add_uint(struct builder *builder, struct json_object *object, const char *key, uint64_t value)
{
	add(builder, object, key, json_object_new_uint64(value));
}

static void add_bool(struct builder *builder, struct json_object *object, const char *key, bool value)
{
	add(builder, object, key, json_object_new_boolean(value));
}

/* Only if there is one. */
static void add_error(struct builder *builder, struct json_object *object, bool ready, const struct weir_error *error)
{
	if (ready)
		return;
	add_text(builder, object, "code", weir_code_name(error->code));
	add_text(builder, object, "reason", error->text[0] ? error->text : "not ready yet");
}

/* Writes and frees it. */
static int finish(struct builder *builder, struct json_object *root, struct weir_dynbuf *out)
{
	const char *text = NULL;
	size_t length = 0;

	if (!builder->failed)
		text = json_object_to_json_string_length(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE,
							 &length);
	if (!text || !weir_dynbuf_add(out, text, length) || !weir_dynbuf_add_char(out, '\n'))
		builder->failed = true;
	json_object_put(root);
	return builder->failed ? WEIR_ENOMEM : WEIR_OK;
}

/* ---- /readyz -------------------------------------------------------------------- */

static void push_not_ready(struct builder *builder, struct json_object *array, const struct weir_channel_view *channel,
			   const struct weir_subscription_view *subscription)
{
	struct json_object *object = json_object_new_object();

	add_text(builder, object, "namespace", channel->ns);
	add_text(builder, object, "channel", channel->name);
	if (subscription)
		add_text(builder, object, "subscription", subscription->name);
	add_error(builder, object, false, subscription ? &subscription->error : &channel->error);
	push(builder, array, object);
}

int weir_admin_readyz_write(struct weir_dynbuf *out, const struct weir_admin_snapshot *snapshot)
{
	struct builder builder = { false };
	struct json_object *root = json_object_new_object(), *array = json_object_new_array();

	add_bool(&builder, root, "ready", weir_admin_snapshot_ready(snapshot));
	add_bool(&builder, root, "draining", snapshot->draining);
	for (size_t i = 0; i < snapshot->channel_count; i++) {
		const struct weir_channel_view *channel = &snapshot->channels[i];
		if (!channel->ready)
			push_not_ready(&builder, array, channel, NULL);
		for (size_t j = 0; j < channel->subscription_count; j++) {
			if (!channel->subscriptions[j].ready)
				push_not_ready(&builder, array, channel, &channel->subscriptions[j]);
		}
	}
	add(&builder, root, "notReady", array);
	return finish(&builder, root, out);
}

/* ---- /status ---------------------------------------------------------------------- */

static struct json_object *subscription_object(struct builder *builder, const struct weir_subscription_view *view)
{
	const struct weir_egress_figures *figures = &view->figures;
	struct json_object *object = json_object_new_object();

	add_text(builder, object, "name", view->name);
	add_text(builder, object, "uid", view->uid);
	add_text(builder, object, "subscriber", view->subscriber);
	add_bool(builder, object, "ready", view->ready);
	add_error(builder, object, view->ready, &view->error);
	add_bool(builder, object, "failing", figures->failing);
	add_uint(builder, object, "attempts", figures->attempts);
	add_uint(builder, object, "delivered", figures->delivered);
	add_uint(builder, object, "retries", figures->retries);
	add_uint(builder, object, "filtered", figures->filtered);
	add_uint(builder, object, "filterErrors", figures->filter_faults);
	add_uint(builder, object, "looped", figures->looped);
	add_uint(builder, object, "deadLettered", figures->dead_lettered);
	add_uint(builder, object, "quarantined", figures->quarantined);
	add_uint(builder, object, "replies", figures->replies);
	add_uint(builder, object, "poison", figures->poison);
	add_uint(builder, object, "redelivered", figures->redelivered);
	add_uint(builder, object, "stale", figures->stale);
	add_uint(builder, object, "inFlight", figures->in_flight);
	add_uint(builder, object, "waiting", figures->waiting);
	if (figures->lag != UINT64_MAX)
		add_uint(builder, object, "lag", figures->lag);
	if (figures->oldest_ms >= 0)
		add_uint(builder, object, "oldestMs", (uint64_t)figures->oldest_ms);
	return object;
}

static const char *stage_text(uint32_t stage)
{
	static const char *const texts[] = { "", "preparing", "waiting", "draining" };

	return stage < sizeof texts / sizeof texts[0] ? texts[stage] : "";
}

static struct json_object *move_object(struct builder *builder, const struct weir_move_info *move)
{
	struct json_object *object = json_object_new_object();

	add_text(builder, object, "from", move->from);
	add_text(builder, object, "to", move->to);
	add_text(builder, object, "stage", stage_text(move->stage));
	if (move->stage == WEIR_MOVE_DRAINING) {
		add_uint(builder, object, "subscriptionsLeft", move->subscriptions);
		if (move->left != UINT64_MAX)
			add_uint(builder, object, "eventsLeft", move->left);
	}
	add_uint(builder, object, "ageSeconds", move->age_ms > 0 ? (uint64_t)move->age_ms / 1000 : 0);
	add_error(builder, object, move->error.code == WEIR_OK, &move->error);
	return object;
}

static struct json_object *moves_array(struct builder *builder, const struct weir_channel_view *view)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < view->move_count; i++)
		push(builder, array, move_object(builder, &view->moves[i]));
	return array;
}

static struct json_object *channel_object(struct builder *builder, const struct weir_channel_view *view)
{
	const struct weir_ingress_figures *figures = &view->figures;
	struct json_object *object = json_object_new_object(), *list = json_object_new_array();

	add_text(builder, object, "namespace", view->ns);
	add_text(builder, object, "name", view->name);
	add_text(builder, object, "kind", view->kind);
	add_bool(builder, object, "ready", view->ready);
	add_error(builder, object, view->ready, &view->error);
	add_uint(builder, object, "accepted", figures->accepted);
	add_uint(builder, object, "acceptedBytes", figures->bytes);
	add_uint(builder, object, "rejected", figures->rejected);
	add_uint(builder, object, "unavailable", figures->unavailable);
	add_uint(builder, object, "late", figures->late);
	for (size_t i = 0; i < view->subscription_count; i++)
		push(builder, list, subscription_object(builder, &view->subscriptions[i]));
	add(builder, object, "subscriptions", list);
	if (view->move_count)
		add(builder, object, "moves", moves_array(builder, view));
	return object;
}

static struct json_object *drivers_array(struct builder *builder, const weir_runtime *runtime)
{
	struct json_object *array = json_object_new_array();
	struct weir_driver_info info;

	for (size_t i = 0; weir_runtime_driver(runtime, i, &info) == WEIR_OK; i++) {
		struct json_object *object = json_object_new_object();
		add_text(builder, object, "name", info.name);
		add_text(builder, object, "kind", info.kind);
		add_text(builder, object, "path", info.path);
		add_bool(builder, object, "usable", !info.problem);
		if (info.problem)
			add_text(builder, object, "problem", info.problem);
		push(builder, array, object);
	}
	return array;
}

/* Nothing where the driver does not know. */
static void add_known(struct builder *builder, struct json_object *object, const char *key, uint64_t value)
{
	if (value != UINT64_MAX)
		add_uint(builder, object, key, value);
}

static struct json_object *backend_object(struct builder *builder, const struct weir_backend_info *info)
{
	static const char *const states[] = { "up", "degraded", "down" };
	struct json_object *object = json_object_new_object();
	bool healthy = info->health.state == WEIR_HEALTH_UP;

	add_text(builder, object, "kind", info->kind);
	add_text(builder, object, "driver", info->driver);
	add_text(builder, object, "state", states[info->health.state <= WEIR_HEALTH_DOWN ? info->health.state : 2]);
	add_error(builder, object, healthy, &info->health.error);
	add_known(builder, object, "records", info->stats.records);
	add_known(builder, object, "bytes", info->stats.bytes);
	add_known(builder, object, "capacityBytes", info->stats.bytes_max);
	add_known(builder, object, "syncs", info->stats.syncs);
	add_uint(builder, object, "pending", info->pending);
	add_uint(builder, object, "timeouts", info->timeouts);
	add_uint(builder, object, "late", info->late);
	add_uint(builder, object, "breaches", info->breaches);
	return object;
}

static struct json_object *backends_array(struct builder *builder, weir_runtime *runtime)
{
	struct json_object *array = json_object_new_array();
	struct weir_backend_info info;

	for (size_t i = 0; weir_runtime_backend_info(runtime, i, &info) == WEIR_OK; i++)
		push(builder, array, backend_object(builder, &info));
	return array;
}

static struct json_object *process_object(struct builder *builder, const struct weir_admin_process *process)
{
	struct json_object *object = json_object_new_object();
	char text[32]; /* json-c would write all 17 digits */

	add_uint(builder, object, "residentBytes", process->resident_bytes);
	add_uint(builder, object, "openFds", process->open_fds);
	add_uint(builder, object, "threads", process->threads);
	snprintf(text, sizeof text, "%.6f", process->cpu_seconds);
	add(builder, object, "cpuSeconds", json_object_new_double_s(process->cpu_seconds, text));
	return object;
}

static struct json_object *server_object(struct builder *builder, const struct weir_ingress_server_figures *figures)
{
	struct json_object *object = json_object_new_object();

	add_uint(builder, object, "connections", figures->connections);
	add_uint(builder, object, "accepted", figures->accepted);
	add_uint(builder, object, "refused", figures->refused);
	add_uint(builder, object, "requests", figures->requests);
	add_uint(builder, object, "malformed", figures->malformed);
	add_uint(builder, object, "timeouts", figures->timeouts);
	add_uint(builder, object, "bytesIn", figures->bytes_in);
	add_uint(builder, object, "tlsHandshakes", figures->handshakes);
	add_uint(builder, object, "tlsHandshakesFailed", figures->handshakes_failed);
	return object;
}

static struct json_object *reload_object(struct builder *builder, const struct weir_admin_reload_state *state)
{
	struct json_object *object = json_object_new_object(), *last = json_object_new_object();
	char when[WEIR_CLOCK_TEXT_SIZE];

	add_uint(builder, object, "generation", state->generation);
	add_uint(builder, object, "reloadsApplied", state->applied);
	add_uint(builder, object, "reloadsRefused", state->refused);
	if (!state->last_ms) {
		json_object_put(last);
		return object;
	}
	weir_clock_format(state->last_ms, when);
	add_text(builder, last, "time", when);
	add_text(builder, last, "result", state->last_refused ? "refused" : "applied");
	add_text(builder, last, "text", state->text);
	add(builder, object, "lastReload", last);
	return object;
}

int weir_admin_status_write(struct weir_dynbuf *out, const struct weir_admin_snapshot *snapshot, weir_runtime *runtime)
{
	struct builder builder = { false };
	struct json_object *root = json_object_new_object(), *channels = json_object_new_array();
	double uptime = (double)weir_clock_wall_ms() / 1e3 - snapshot->process.start_seconds;
	char started[WEIR_CLOCK_TEXT_SIZE];

	weir_clock_format((int64_t)(snapshot->process.start_seconds * 1e3), started);
	add_text(&builder, root, "version", weir_version());
	add_text(&builder, root, "started", started);
	add_uint(&builder, root, "uptimeSeconds", uptime > 0 ? (uint64_t)uptime : 0);
	add_bool(&builder, root, "ready", weir_admin_snapshot_ready(snapshot));
	add_bool(&builder, root, "draining", snapshot->draining);
	add(&builder, root, "configuration", reload_object(&builder, &snapshot->reload));
	add(&builder, root, "process", process_object(&builder, &snapshot->process));
	add(&builder, root, "http", server_object(&builder, &snapshot->server));
	add(&builder, root, "drivers", drivers_array(&builder, runtime));
	add(&builder, root, "backends", backends_array(&builder, runtime));
	for (size_t i = 0; i < snapshot->channel_count; i++)
		push(&builder, channels, channel_object(&builder, &snapshot->channels[i]));
	add(&builder, root, "channels", channels);
	return finish(&builder, root, out);
}
