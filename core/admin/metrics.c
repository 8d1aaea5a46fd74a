/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/metrics.h"

#include <stddef.h>
#include <string.h>

#include <weir/version.h>

#include "base/mem.h"

enum { BOUNDS = sizeof weir_egress_bucket_ms / sizeof weir_egress_bucket_ms[0] };

#define COUNTER WEIR_EXPOSITION_COUNTER
#define GAUGE   WEIR_EXPOSITION_GAUGE

/* A figure that is a uint64_t at `offset` of its struct. */
struct row {
	const char *name;
	enum weir_exposition_type type;
	size_t offset;
	const char *help;
};

#define SERVER(field) offsetof(struct weir_ingress_server_figures, field)
static const struct row server_rows[] = {
	{ "weir_http_connections", GAUGE, SERVER(connections), "Connections to the event ports that are open." },
	{ "weir_http_connections_accepted", COUNTER, SERVER(accepted), "Connections that were accepted." },
	{ "weir_http_connections_refused", COUNTER, SERVER(refused),
	  "Connections closed because of a connection limit." },
	{ "weir_http_requests", COUNTER, SERVER(requests), "Well-formed requests." },
	{ "weir_http_requests_malformed", COUNTER, SERVER(malformed),
	  "Requests that the server itself answered with 4xx or 5xx." },
	{ "weir_http_timeouts", COUNTER, SERVER(timeouts), "Requests that were not there whole in time." },
	{ "weir_http_tls_handshakes", COUNTER, SERVER(handshakes), "TLS handshakes that were done." },
	{ "weir_http_tls_handshakes_failed", COUNTER, SERVER(handshakes_failed),
	  "TLS handshakes that failed or took too long." },
	{ "weir_http_tls_certificate_expiry_timestamp_seconds", GAUGE, SERVER(certificate_expiry),
	  "When the server's certificate ends; 0: there is no TLS." },
	{ "weir_http_received_bytes", COUNTER, SERVER(bytes_in), "Bytes received." },
};

#define INGRESS(field) offsetof(struct weir_ingress_figures, field)
static const struct row ingress_rows[] = {
	{ "weir_ingress_events_accepted", COUNTER, INGRESS(accepted), "Events answered with 202: they are persisted." },
	{ "weir_ingress_accepted_bytes", COUNTER, INGRESS(bytes), "Bytes of data of accepted events." },
	{ "weir_ingress_events_rejected", COUNTER, INGRESS(rejected),
	  "Events answered with 4xx: event or request was bad." },
	{ "weir_ingress_events_unavailable", COUNTER, INGRESS(unavailable), "Events answered with 429 or 503." },
	{ "weir_ingress_events_late", COUNTER, INGRESS(late),
	  "Events persisted after they had to be answered with 503." },
};

#define EGRESS(field) offsetof(struct weir_egress_figures, field)
static const struct row egress_rows[] = {
	{ "weir_egress_attempts", COUNTER, EGRESS(attempts),
	  "POSTs made, also to reply targets and dead-letter sinks." },
	{ "weir_egress_events_delivered", COUNTER, EGRESS(delivered), "Events acknowledged after a 2xx." },
	{ "weir_egress_events_filtered", COUNTER, EGRESS(filtered),
	  "Events acknowledged without a POST, as the subscription's filters hold them back." },
	{ "weir_egress_filter_errors", COUNTER, EGRESS(filter_faults),
	  "Events at which an expression of the filters failed, and was false by that." },
	{ "weir_egress_events_looped", COUNTER, EGRESS(looped),
	  "Replies and dead letters not sent on, as that had been done maxHops times." },
	{ "weir_egress_retries", COUNTER, EGRESS(retries), "Attempts after the first of a delivery." },
	{ "weir_egress_events_dead_lettered", COUNTER, EGRESS(dead_lettered),
	  "Events that the dead-letter sink took." },
	{ "weir_egress_events_quarantined", COUNTER, EGRESS(quarantined), "Events that were put into quarantine." },
	{ "weir_egress_replies", COUNTER, EGRESS(replies), "Replies that the reply target accepted." },
	{ "weir_egress_poison", COUNTER, EGRESS(poison), "Records that were no event." },
	{ "weir_egress_redelivered", COUNTER, EGRESS(redelivered), "Deliveries that the backend handed out again." },
	{ "weir_egress_stale", COUNTER, EGRESS(stale), "Deliveries settled too late: they come again." },
	{ "weir_egress_in_flight", GAUGE, EGRESS(in_flight), "POSTs under way." },
	{ "weir_egress_waiting", GAUGE, EGRESS(waiting), "Deliveries that wait for a turn or a retry." },
	{ "weir_egress_failing", GAUGE, EGRESS(failing), "1 if the last attempt at the subscriber failed." },
};

#define BACKEND(field) offsetof(struct weir_backend_info, field)
static const struct row backend_rows[] = {
	{ "weir_backend_records", GAUGE, BACKEND(stats.records), "Records kept." },
	{ "weir_backend_bytes", GAUGE, BACKEND(stats.bytes), "Bytes used for records." },
	{ "weir_backend_capacity_bytes", GAUGE, BACKEND(stats.bytes_max), "Bytes there are for records." },
	{ "weir_backend_publishes_pending", GAUGE, BACKEND(pending), "Publishes whose outcome is not known yet." },
	{ "weir_backend_syncs", COUNTER, BACKEND(stats.syncs), "Syncs or round trips made to persist." },
	{ "weir_backend_publish_timeouts", COUNTER, BACKEND(timeouts),
	  "Publishes whose outcome did not come in time." },
	{ "weir_backend_publishes_late", COUNTER, BACKEND(late), "Of those, how many turned out to be persisted." },
	{ "weir_backend_breaches", COUNTER, BACKEND(breaches), "Times that the driver broke its contract." },
};

static uint64_t value_at(const void *figures, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const char *)figures + offset, sizeof value);
	return value;
}

/* ---- the process ------------------------------------------------------------- */

static void write_process(struct weir_exposition *out, const struct weir_admin_process *process)
{
	weir_exposition_family(out, "weir_process_resident_memory_bytes", GAUGE, "Resident memory.");
	weir_exposition_uint(out, NULL, 0, process->resident_bytes);
	weir_exposition_family(out, "weir_process_open_fds", GAUGE, "Open file descriptors.");
	weir_exposition_uint(out, NULL, 0, process->open_fds);
	if (process->max_fds) {
		weir_exposition_family(out, "weir_process_max_fds", GAUGE, "Most file descriptors that may be open.");
		weir_exposition_uint(out, NULL, 0, process->max_fds);
	}
	weir_exposition_family(out, "weir_process_threads", GAUGE, "Threads.");
	weir_exposition_uint(out, NULL, 0, process->threads);
	weir_exposition_family(out, "weir_process_cpu_seconds", COUNTER, "User and system CPU time spent.");
	weir_exposition_double(out, NULL, 0, process->cpu_seconds);
	weir_exposition_family(out, "weir_process_allocations", COUNTER,
			       "Allocations made by Weir itself, not by drivers.");
	weir_exposition_uint(out, NULL, 0, weir_mem_count());
	weir_exposition_family(out, "weir_process_start_time_seconds", GAUGE,
			       "When the process was started, since 1970.");
	weir_exposition_double(out, NULL, 0, process->start_seconds);
}

static void write_reload(struct weir_exposition *out, const struct weir_admin_reload_state *state)
{
	const struct weir_exposition_label applied = { "result", "applied" }, refused = { "result", "refused" };

	weir_exposition_family(out, "weir_config_generation", GAUGE,
			       "Which configuration is in use: 1 at the start, one more for each that was applied.");
	weir_exposition_uint(out, NULL, 0, state->generation);
	weir_exposition_family(out, "weir_config_reloads", COUNTER, "Reloads, and what became of them.");
	weir_exposition_uint(out, &applied, 1, state->applied);
	weir_exposition_uint(out, &refused, 1, state->refused);
	weir_exposition_family(out, "weir_config_last_reload_successful", GAUGE,
			       "0 if the last reload was refused: then the configuration before it is in use.");
	weir_exposition_uint(out, NULL, 0, !state->last_refused);
	weir_exposition_family(out, "weir_config_last_reload_timestamp_seconds", GAUGE,
			       "When the last reload was, since 1970; 0 if there was none.");
	weir_exposition_double(out, NULL, 0, (double)state->last_ms / 1e3);
}

static void write_info(struct weir_exposition *out, const weir_runtime *runtime)
{
	struct weir_exposition_label build = { "version", weir_version() };
	struct weir_driver_info info;

	weir_exposition_family(out, "weir_build", WEIR_EXPOSITION_INFO, "The version of Weir.");
	weir_exposition_uint(out, &build, 1, 1);
	weir_exposition_family(out, "weir_driver", WEIR_EXPOSITION_INFO, "Drivers that were found.");
	for (size_t i = 0; weir_runtime_driver(runtime, i, &info) == WEIR_OK; i++) {
		/* The path keeps two files of one driver apart. */
		struct weir_exposition_label labels[] = {
			{ "driver", info.name ? info.name : "" },
			{ "kind", info.kind ? info.kind : "" },
			{ "path", info.path ? info.path : "" },
			{ "usable", info.problem ? "false" : "true" },
		};
		weir_exposition_uint(out, labels, 4, 1);
	}
}

static void write_server(struct weir_exposition *out, const struct weir_admin_snapshot *snapshot)
{
	for (size_t i = 0; i < sizeof server_rows / sizeof server_rows[0]; i++) {
		const struct row *row = &server_rows[i];
		weir_exposition_family(out, row->name, row->type, row->help);
		weir_exposition_uint(out, NULL, 0, value_at(&snapshot->server, row->offset));
	}
	weir_exposition_family(out, "weir_ready", GAUGE, "1 if /readyz answers 200.");
	weir_exposition_uint(out, NULL, 0, weir_admin_snapshot_ready(snapshot));
}

/* ---- backends ------------------------------------------------------------------ */

enum { BACKENDS_MAX = 32 };

struct backends {
	struct weir_backend_info infos[BACKENDS_MAX];
	size_t count;
};

/* Each backend's sample of the family that was begun; none where the driver does not know. */
static void write_backend_row(struct weir_exposition *out, const struct backends *backends, const struct row *row)
{
	weir_exposition_family(out, row->name, row->type, row->help);
	for (size_t i = 0; i < backends->count; i++) {
		struct weir_exposition_label kind = { "kind", backends->infos[i].kind };
		uint64_t value = value_at(&backends->infos[i], row->offset);

		if (value != UINT64_MAX)
			weir_exposition_uint(out, &kind, 1, value);
	}
}

static void write_backends(struct weir_exposition *out, weir_runtime *runtime)
{
	struct backends backends = { .count = 0 };

	while (backends.count < BACKENDS_MAX &&
	       weir_runtime_backend_info(runtime, backends.count, &backends.infos[backends.count]) == WEIR_OK)
		backends.count++;
	weir_exposition_family(out, "weir_backend_up", GAUGE, "1 if the backend is reachable.");
	for (size_t i = 0; i < backends.count; i++) {
		struct weir_exposition_label kind = { "kind", backends.infos[i].kind };

		weir_exposition_uint(out, &kind, 1, backends.infos[i].health.state != WEIR_HEALTH_DOWN);
	}
	for (size_t i = 0; i < sizeof backend_rows / sizeof backend_rows[0]; i++)
		write_backend_row(out, &backends, &backend_rows[i]);
}

/* ---- channels ------------------------------------------------------------------ */

typedef void channel_writer(struct weir_exposition *out, const struct weir_channel_view *channel, const void *ctx);

/* Each channel's samples of the family that was begun. */
static void each_channel(struct weir_exposition *out, const struct weir_admin_snapshot *snapshot, channel_writer *write,
			 const void *ctx)
{
	for (size_t i = 0; i < snapshot->channel_count; i++)
		write(out, &snapshot->channels[i], ctx);
}

#define CHANNEL_LABELS(channel)                                                                                        \
	{                                                                                                              \
		{ "namespace", (channel)->ns },                                                                        \
		{                                                                                                      \
			"channel", (channel)->name                                                                     \
		}                                                                                                      \
	}

static void channel_up(struct weir_exposition *out, const struct weir_channel_view *channel, const void *ctx)
{
	struct weir_exposition_label labels[] = { { "namespace", channel->ns },
						  { "channel", channel->name },
						  { "kind", channel->kind } };

	(void)ctx;
	weir_exposition_uint(out, labels, 3, channel->ready);
}

static void channel_row(struct weir_exposition *out, const struct weir_channel_view *channel, const void *ctx)
{
	struct weir_exposition_label labels[] = CHANNEL_LABELS(channel);
	const struct row *row = ctx;

	weir_exposition_uint(out, labels, 2, value_at(&channel->figures, row->offset));
}

static void channel_moves(struct weir_exposition *out, const struct weir_channel_view *channel, const void *ctx)
{
	struct weir_exposition_label labels[] = CHANNEL_LABELS(channel);

	(void)ctx;
	weir_exposition_uint(out, labels, 2, channel->move_count);
}

static void write_channels(struct weir_exposition *out, const struct weir_admin_snapshot *snapshot)
{
	weir_exposition_family(out, "weir_channel_ready", GAUGE, "1 if the channel's backend takes events.");
	each_channel(out, snapshot, channel_up, NULL);
	weir_exposition_family(out, "weir_channel_moves", GAUGE,
			       "Backends that the channel is moving away from and that are not drained yet.");
	each_channel(out, snapshot, channel_moves, NULL);
	for (size_t i = 0; i < sizeof ingress_rows / sizeof ingress_rows[0]; i++) {
		const struct row *row = &ingress_rows[i];
		weir_exposition_family(out, row->name, row->type, row->help);
		each_channel(out, snapshot, channel_row, row);
	}
}

/* ---- subscriptions ----------------------------------------------------------------- */

typedef void subscription_writer(struct weir_exposition *out, const struct weir_exposition_label labels[3],
				 const struct weir_subscription_view *subscription, const void *ctx);

static void each_subscription(struct weir_exposition *out, const struct weir_admin_snapshot *snapshot,
			      subscription_writer *write, const void *ctx)
{
	for (size_t i = 0; i < snapshot->channel_count; i++) {
		const struct weir_channel_view *channel = &snapshot->channels[i];
		for (size_t j = 0; j < channel->subscription_count; j++) {
			const struct weir_subscription_view *subscription = &channel->subscriptions[j];
			struct weir_exposition_label labels[] = { { "namespace", channel->ns },
								  { "channel", channel->name },
								  { "subscription", subscription->name } };
			write(out, labels, subscription, ctx);
		}
	}
}

static void subscription_up(struct weir_exposition *out, const struct weir_exposition_label labels[3],
			    const struct weir_subscription_view *subscription, const void *ctx)
{
	(void)ctx;
	weir_exposition_uint(out, labels, 3, subscription->ready);
}

static void subscription_row(struct weir_exposition *out, const struct weir_exposition_label labels[3],
			     const struct weir_subscription_view *subscription, const void *ctx)
{
	const struct row *row = ctx;

	weir_exposition_uint(out, labels, 3, value_at(&subscription->figures, row->offset));
}

/* What is not known has no sample. */
static void subscription_lag(struct weir_exposition *out, const struct weir_exposition_label labels[3],
			     const struct weir_subscription_view *subscription, const void *ctx)
{
	(void)ctx;
	if (subscription->figures.lag != UINT64_MAX)
		weir_exposition_uint(out, labels, 3, subscription->figures.lag);
}

static void subscription_age(struct weir_exposition *out, const struct weir_exposition_label labels[3],
			     const struct weir_subscription_view *subscription, const void *ctx)
{
	int64_t oldest_ms = subscription->figures.oldest_ms;

	(void)ctx;
	weir_exposition_double(out, labels, 3, oldest_ms > 0 ? (double)oldest_ms / 1e3 : 0);
}

static void subscription_duration(struct weir_exposition *out, const struct weir_exposition_label labels[3],
				  const struct weir_subscription_view *subscription, const void *ctx)
{
	const struct weir_egress_figures *figures = &subscription->figures;

	weir_exposition_histogram(out, labels, 3, ctx, BOUNDS, figures->duration_buckets,
				  (double)figures->duration_ns / 1e9);
}

static void write_subscriptions(struct weir_exposition *out, const struct weir_admin_snapshot *snapshot)
{
	double bounds[BOUNDS];

	for (size_t i = 0; i < BOUNDS; i++)
		bounds[i] = (double)weir_egress_bucket_ms[i] / 1e3;
	weir_exposition_family(out, "weir_subscription_ready", GAUGE, "1 if the subscription receives events.");
	each_subscription(out, snapshot, subscription_up, NULL);
	weir_exposition_family(out, "weir_subscription_lag", GAUGE,
			       "Events not yet settled, as far as the backend knows.");
	each_subscription(out, snapshot, subscription_lag, NULL);
	weir_exposition_family(out, "weir_subscription_oldest_age_seconds", GAUGE,
			       "Age of the oldest delivery that is not settled; 0: there is none.");
	each_subscription(out, snapshot, subscription_age, NULL);
	for (size_t i = 0; i < sizeof egress_rows / sizeof egress_rows[0]; i++) {
		const struct row *row = &egress_rows[i];
		weir_exposition_family(out, row->name, row->type, row->help);
		each_subscription(out, snapshot, subscription_row, row);
	}
	weir_exposition_family(out, "weir_egress_attempt_duration_seconds", WEIR_EXPOSITION_HISTOGRAM,
			       "How long an attempt took, from the start of the POST to its end.");
	each_subscription(out, snapshot, subscription_duration, bounds);
}

int weir_admin_metrics_write(struct weir_exposition *exposition, const struct weir_admin_snapshot *snapshot,
			     weir_runtime *runtime)
{
	write_info(exposition, runtime);
	write_process(exposition, &snapshot->process);
	write_reload(exposition, &snapshot->reload);
	write_server(exposition, snapshot);
	write_backends(exposition, runtime);
	write_channels(exposition, snapshot);
	write_subscriptions(exposition, snapshot);
	return weir_exposition_end(exposition);
}
