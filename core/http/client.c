/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client.h"

#include <weir/version.h>

#include "base/container.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"

enum {
	CONNECT_TIMEOUT_MS = 5000,
	MAX_CONNECTIONS = 1024,
	MAX_IDLE_MS = 60000,
	MAX_PARALLEL = 1024,
	PREAMBLE_MAX = 16 * 1024,
};

void weir_http_client_soon(struct weir_http_client *client)
{
	/* If there is no memory even for that, the exchanges' own timers still end them. */
	weir_loop_timer_set(client->loop, &client->soon_timer, weir_loop_now(client->loop));
}

static void on_soon(struct weir_timer *timer)
{
	struct weir_http_client *client = WEIR_CONTAINER(timer, struct weir_http_client, soon_timer);
	struct weir_http_target *target = client->targets;

	/* A `done` function may free targets, even this one's neighbour: begin again after each that had something. */
	while (target) {
		if (!target->refused.first) {
			target = target->next;
			continue;
		}
		weir_http_target_report(target);
		target = client->targets;
	}
	if (!client->starved)
		return;
	client->starved = false;
	for (target = client->targets; target; target = target->next)
		weir_http_target_start(target);
}

static void on_idle(struct weir_timer *timer)
{
	weir_http_wire_close_old(WEIR_CONTAINER(timer, struct weir_http_client, idle_timer));
}

static int copy_text(char **ret, const char *text)
{
	*ret = text ? weir_mem_strdup(text) : NULL;
	return text && !*ret ? WEIR_ENOMEM : WEIR_OK;
}

static int copy_options(struct weir_http_client *client, const struct weir_http_client_options *options)
{
	client->options = *options;
	client->options.ca_file = client->options.certificate_file = client->options.key_file = NULL;
	client->options.user_agent = NULL;
	if (!client->options.connect_timeout_ms)
		client->options.connect_timeout_ms = CONNECT_TIMEOUT_MS;
	if (!client->options.max_connections)
		client->options.max_connections = MAX_CONNECTIONS;
	if (!client->options.max_idle_ms)
		client->options.max_idle_ms = MAX_IDLE_MS;
	client->user_agent = weir_mem_strdup(options->user_agent ? options->user_agent : "weir/" WEIR_VERSION_TEXT);
	if (copy_text(&client->ca_file, options->ca_file) ||
	    copy_text(&client->certificate_file, options->certificate_file) ||
	    copy_text(&client->key_file, options->key_file))
		return WEIR_ENOMEM;
	return client->user_agent ? WEIR_OK : WEIR_ENOMEM;
}

int weir_http_client_new(struct weir_loop *loop, const struct weir_http_client_options *options,
			 struct weir_http_client **ret, struct weir_error *err)
{
	struct weir_http_client *client = weir_mem_zalloc(1, sizeof *client);
	int code;

	if (!client)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for the HTTP client");
	client->loop = loop;
	client->soon_timer.fire = on_soon;
	client->idle_timer.fire = on_idle;
	code = copy_options(client, options);
	if (code != WEIR_OK) {
		weir_http_client_free(client);
		return weir_fail(err, code, "out of memory for the HTTP client");
	}
	*ret = client;
	return WEIR_OK;
}

void weir_http_client_free(struct weir_http_client *client)
{
	if (!client)
		return;
	while (client->targets)
		weir_http_target_free(client->targets);
	weir_http_multi_fini(client);
	weir_loop_timer_cancel(client->loop, &client->soon_timer);
	weir_loop_timer_cancel(client->loop, &client->idle_timer);
	weir_mem_free(client->ca_file);
	weir_mem_free(client->certificate_file);
	weir_mem_free(client->key_file);
	weir_mem_free(client->user_agent);
	weir_mem_free(client);
}

/* https is libcurl's business as a whole; http needs it for the way to the connection only. */
static bool write_preamble(struct weir_http_target *target)
{
	const struct weir_http_client *client = target->client;

	weir_dynbuf_init(&target->preamble, PREAMBLE_MAX);
	if (target->parts.tls || client->options.through_libcurl)
		return true;
	return weir_dynbuf_addf(&target->preamble, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n",
				target->parts.target, target->parts.authority, client->user_agent);
}

int weir_http_target_new(struct weir_http_client *client, const char *url, uint32_t max_parallel,
			 struct weir_http_target **ret, struct weir_error *err)
{
	struct weir_http_target *target = weir_mem_zalloc(1, sizeof *target);
	int code;

	if (!target)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for a subscriber");
	code = weir_http_url_init(&target->parts, url, &client->options.rules, err);
	if (code != WEIR_OK) {
		weir_mem_free(target);
		return code;
	}
	target->client = client;
	target->url = weir_mem_strdup(url);
	if (!target->url || !write_preamble(target)) {
		weir_http_target_release(target);
		return weir_fail(err, WEIR_ENOMEM, "out of memory for a subscriber");
	}
	target->max_parallel = max_parallel < 1 ? 1 : max_parallel > MAX_PARALLEL ? MAX_PARALLEL : max_parallel;
	target->next = client->targets;
	if (target->next)
		target->next->prev = target;
	client->targets = target;
	*ret = target;
	return WEIR_OK;
}

void weir_http_target_free(struct weir_http_target *target)
{
	if (!target || target->closing)
		return;
	if (target->prev)
		target->prev->next = target->next;
	else
		target->client->targets = target->next;
	if (target->next)
		target->next->prev = target->prev;
	weir_http_target_cancel(target);
}
