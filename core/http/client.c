/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client.h"

#include <weir/version.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"

enum {
	CONNECT_TIMEOUT_MS = 5000,
	MAX_CONNECTIONS = 1024,
	MAX_IDLE_MS = 60000,
	MAX_PARALLEL = 1024,
};

#define CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static void on_refused(struct weir_timer *timer)
{
	struct weir_http_client *client = CONTAINER(timer, struct weir_http_client, refused_timer);
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
}

static int copy_options(struct weir_http_client *client, const struct weir_http_client_options *options)
{
	client->options = *options;
	client->options.ca_file = NULL;
	client->options.user_agent = NULL;
	if (!client->options.connect_timeout_ms)
		client->options.connect_timeout_ms = CONNECT_TIMEOUT_MS;
	if (!client->options.max_connections)
		client->options.max_connections = MAX_CONNECTIONS;
	if (!client->options.max_idle_ms)
		client->options.max_idle_ms = MAX_IDLE_MS;
	client->user_agent = weir_mem_strdup(options->user_agent ? options->user_agent : "weir/" WEIR_VERSION_TEXT);
	if (options->ca_file)
		client->ca_file = weir_mem_strdup(options->ca_file);
	return client->user_agent && (client->ca_file || !options->ca_file) ? WEIR_OK : WEIR_ENOMEM;
}

int weir_http_client_new(struct weir_loop *loop, const struct weir_http_client_options *options,
			 struct weir_http_client **ret, struct weir_error *err)
{
	struct weir_http_client *client = weir_mem_zalloc(1, sizeof *client);
	int code;

	if (!client || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		weir_mem_free(client);
		return weir_fail(err, WEIR_ENOMEM, "out of memory for the HTTP client");
	}
	client->loop = loop;
	client->refused_timer.fire = on_refused;
	code = copy_options(client, options);
	if (code != WEIR_OK)
		weir_fail(err, code, "out of memory for the HTTP client");
	else
		code = weir_http_multi_init(client, err);
	if (code != WEIR_OK) {
		weir_http_client_free(client);
		return code;
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
	weir_loop_timer_cancel(client->loop, &client->refused_timer);
	weir_mem_free(client->ca_file);
	weir_mem_free(client->user_agent);
	weir_mem_free(client);
	curl_global_cleanup();
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
	target->url = weir_mem_strdup(url);
	if (!target->url) {
		weir_http_target_release(target);
		return weir_fail(err, WEIR_ENOMEM, "out of memory for a subscriber");
	}
	target->client = client;
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

const char *weir_http_target_url(const struct weir_http_target *target)
{
	return target->url;
}
