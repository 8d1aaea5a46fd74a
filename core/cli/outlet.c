/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/outlet.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/http.h"

enum {
	ANSWER_MAX = 64 * 1024,
	URL_MAX = 8192,
	RETRY_MS = 20, /* between attempts while the backend has no room or is away */
};

struct weir_outlet {
	int64_t timeout_ms;

	/* The channel; NULL when events go over HTTP. */
	weir_config *config;
	weir_runtime *runtime;
	weir_channel *channel;
	weir_publisher *publisher;
	pthread_mutex_t lock; /* the rest of this part */
	pthread_cond_t changed;
	size_t pending;
	bool *persisted;
	struct weir_error error; /* the first one of the batch; code 0: none */

	/* HTTP. */
	struct weir_cli_http *http;
	struct weir_dynbuf url, answer;
};

/* ---- a channel ----------------------------------------------------------- */

static void note_error(struct weir_outlet *outlet, const struct weir_completion *done)
{
	if (outlet->error.code)
		return;
	if (done->error && done->error->code)
		outlet->error = *done->error;
	else if (done->outcome == WEIR_UNKNOWN)
		weir_fail(&outlet->error, WEIR_ETIMEDOUT,
			  "the backend did not say in time whether the event is stored");
	else
		weir_fail(&outlet->error, WEIR_EUNKNOWN, "the backend did not store the event");
}

/* On the pump. */
static void on_done(void *ctx, const struct weir_completion *completions, size_t count)
{
	struct weir_outlet *outlet = ctx;

	pthread_mutex_lock(&outlet->lock);
	for (size_t i = 0; i < count; i++) {
		outlet->persisted[completions[i].tag] = completions[i].outcome == WEIR_PERSISTED;
		if (completions[i].outcome != WEIR_PERSISTED)
			note_error(outlet, &completions[i]);
	}
	outlet->pending -= count;
	pthread_cond_signal(&outlet->changed);
	pthread_mutex_unlock(&outlet->lock);
}

static bool wait_until_none_pending(struct weir_outlet *outlet)
{
	pthread_mutex_lock(&outlet->lock);
	/* Ends: each publish completes, at the latest when the runtime gives it up. */
	while (outlet->pending)
		pthread_cond_wait(&outlet->changed, &outlet->lock);
	pthread_mutex_unlock(&outlet->lock);
	return outlet->error.code == WEIR_OK;
}

static void pause_before_retry(void)
{
	struct timespec delay = { .tv_nsec = RETRY_MS * WEIR_NS_PER_MS };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &delay, NULL);
}

/* Hands over items until all are taken, waiting while the backend has no room or is not there yet. */
static int hand_over(struct weir_outlet *outlet, const struct weir_publish_item *items, size_t count)
{
	int64_t deadline = weir_clock_after_ms(weir_clock_now_ns(), outlet->timeout_ms);
	struct weir_error err = WEIR_ERROR_INIT;

	while (count) {
		size_t accepted = 0;
		int code;

		pthread_mutex_lock(&outlet->lock);
		outlet->pending += count; /* before: a completion may come before the call returns */
		pthread_mutex_unlock(&outlet->lock);
		code = weir_channel_publish(outlet->channel, outlet->publisher, items, count, 0, &accepted, &err);
		pthread_mutex_lock(&outlet->lock);
		outlet->pending -= count - accepted;
		pthread_mutex_unlock(&outlet->lock);
		items += accepted;
		count -= accepted;
		if (!count)
			break;
		if ((code != WEIR_EAGAIN && code != WEIR_EUNAVAIL) || weir_clock_now_ns() >= deadline)
			return weir_cli_fail(&err);
		pause_before_retry();
	}
	return WEIR_EXIT_OK;
}

static int publish_to_channel(struct weir_outlet *outlet, weir_event **events, size_t count, bool *persisted)
{
	struct weir_publish_item items[WEIR_OUTLET_BATCH];
	int code;

	for (size_t i = 0; i < count; i++)
		items[i] = (struct weir_publish_item){ .event = events[i], .tag = i };
	memset(&outlet->error, 0, sizeof outlet->error);
	outlet->persisted = persisted;
	code = hand_over(outlet, items, count);
	if (!wait_until_none_pending(outlet) && !code)
		code = weir_cli_fail(&outlet->error);
	return code;
}

/* ---- HTTP ---------------------------------------------------------------- */

static int say_status(const struct weir_outlet *outlet, int status)
{
	char reason[512];

	if (!weir_cli_http_reason(weir_dynbuf_view(&outlet->answer), reason, sizeof reason))
		snprintf(reason, sizeof reason, "no reason given");
	weir_cli_say("%s answered %d: %s", outlet->url.ptr, status, reason);
	return status == 429 || status >= 500 ? WEIR_EXIT_UNAVAILABLE : WEIR_EXIT_FAILED;
}

static int post_event(struct weir_outlet *outlet, weir_event *event)
{
	struct weir_error err = WEIR_ERROR_INIT;
	const struct weir_header *headers;
	struct weir_buf body;
	size_t count;
	int status;

	if (weir_event_to_http(event, WEIR_MODE_BINARY, &headers, &count, &body, &err) ||
	    weir_cli_http_post(outlet->http, outlet->url.ptr, headers, count, body, outlet->timeout_ms, &status,
			       &outlet->answer, &err))
		return weir_cli_fail(&err);
	return status >= 200 && status < 300 ? WEIR_EXIT_OK : say_status(outlet, status);
}

static int publish_over_http(struct weir_outlet *outlet, weir_event **events, size_t count, bool *persisted)
{
	for (size_t i = 0; i < count; i++) {
		int code = post_event(outlet, events[i]);

		if (code)
			return code;
		persisted[i] = true;
	}
	return WEIR_EXIT_OK;
}

int weir_outlet_publish(struct weir_outlet *outlet, weir_event **events, size_t count, bool *persisted)
{
	memset(persisted, 0, count * sizeof *persisted);
	if (outlet->http)
		return publish_over_http(outlet, events, count, persisted);
	return publish_to_channel(outlet, events, count, persisted);
}

/* ---- opening ------------------------------------------------------------- */

static int use_http(struct weir_outlet *outlet, const char *base, bool direct, const struct weir_cli_channel *channel)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (weir_cli_http_new(direct, &outlet->http, &err))
		return weir_cli_fail(&err);
	if (weir_cli_http_path(&outlet->url, base, "/", channel->ns, channel->name))
		return WEIR_EXIT_OK;
	weir_cli_say("the URL is too long");
	return WEIR_EXIT_USAGE;
}

/* The backend belongs to another process, most likely a running `weir serve` with the same configuration. */
static int use_its_owner(struct weir_outlet *outlet, const struct weir_cli_channel *channel,
			 const struct weir_error *busy)
{
	char base[256];

	if (!weir_cli_http_base(weir_config_get(outlet->config, "dispatcher.listen"), base, sizeof base))
		return weir_cli_fail(busy);
	return use_http(outlet, base, true, channel);
}

static int use_channel(struct weir_outlet *outlet, const struct weir_cli_config *from,
		       const struct weir_cli_channel *channel)
{
	struct weir_error err = WEIR_ERROR_INIT;
	int code = weir_cli_open(from, &outlet->config, &outlet->runtime);

	if (code)
		return code;
	code = weir_channel_open(outlet->runtime, channel->ns, channel->name, NULL, &outlet->channel, &err);
	if (code == WEIR_EBUSY)
		return use_its_owner(outlet, channel, &err);
	if (code)
		return weir_cli_fail(&err);
	if (weir_publisher_new(outlet->runtime, on_done, outlet, &outlet->publisher))
		return weir_cli_no_memory();
	return WEIR_EXIT_OK;
}

int weir_outlet_open(const struct weir_cli_config *from, const char *url, const struct weir_cli_channel *channel,
		     int64_t timeout_ms, struct weir_outlet **ret)
{
	struct weir_outlet *outlet = weir_mem_zalloc(1, sizeof *outlet);
	int code;

	if (!outlet)
		return weir_cli_no_memory();
	outlet->timeout_ms = timeout_ms;
	pthread_mutex_init(&outlet->lock, NULL);
	pthread_cond_init(&outlet->changed, NULL);
	weir_dynbuf_init(&outlet->url, URL_MAX);
	weir_dynbuf_init(&outlet->answer, ANSWER_MAX);
	code = url ? use_http(outlet, url, false, channel) : use_channel(outlet, from, channel);
	if (code) {
		weir_outlet_close(outlet);
		return code;
	}
	*ret = outlet;
	return WEIR_EXIT_OK;
}

void weir_outlet_close(struct weir_outlet *outlet)
{
	if (!outlet)
		return;
	weir_publisher_free(outlet->publisher);
	weir_channel_close(outlet->channel);
	weir_cli_close(outlet->config, outlet->runtime);
	weir_cli_http_free(outlet->http);
	weir_dynbuf_fini(&outlet->url);
	weir_dynbuf_fini(&outlet->answer);
	pthread_cond_destroy(&outlet->changed);
	pthread_mutex_destroy(&outlet->lock);
	weir_mem_free(outlet);
}
