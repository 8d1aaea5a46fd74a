/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/egress_state.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

const uint32_t weir_egress_bucket_ms[15] = {
	1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000
};

enum {
	MARKS = 4 + WEIR_FAILURE_MARKS, /* extensions that a dead letter gets */
	KEEP_BYTES = 65536,             /* attempts with more data are not pooled: an event keeps its memory */
};

static struct weir_attempt *attempt_new(const struct weir_delivery_loop *loop)
{
	struct weir_event_limits limits = loop->options.event_limits;
	struct weir_attempt *attempt = weir_mem_zalloc(1, sizeof *attempt);

	if (!attempt)
		return NULL;
	if (weir_event_new(&attempt->event)) {
		weir_mem_free(attempt);
		return NULL;
	}
	limits.max_extensions += MARKS;
	if (limits.max_value_bytes < 2048)
		limits.max_value_bytes = 2048;
	weir_event_set_limits(attempt->event, &limits);
	return attempt;
}

static void attempt_free(struct weir_attempt *attempt)
{
	weir_event_free(attempt->event);
	weir_mem_free(attempt->headers);
	weir_mem_free(attempt);
}

struct weir_attempt *weir_attempt_take(struct weir_egress_item *item)
{
	struct weir_delivery_loop *loop = item->egress->options.loop;
	struct weir_attempt *attempt = loop->spare;

	if (attempt)
		loop->spare = attempt->next;
	else
		attempt = attempt_new(loop);
	if (!attempt)
		return NULL;
	attempt->item = item;
	attempt->reply = false;
	item->attempt = attempt;
	return attempt;
}

void weir_attempt_leave(struct weir_attempt *attempt)
{
	struct weir_delivery_loop *loop = attempt->item->egress->options.loop;

	attempt->item->attempt = NULL;
	attempt->item = NULL;
	weir_sink_unref(attempt->sink);
	attempt->sink = NULL;
	if (weir_event_data(attempt->event).len > KEEP_BYTES) {
		attempt_free(attempt);
		return;
	}
	weir_event_clear(attempt->event);
	attempt->next = loop->spare;
	loop->spare = attempt;
}

void weir_attempt_free_spares(struct weir_delivery_loop *loop)
{
	struct weir_attempt *attempt;

	while ((attempt = loop->spare)) {
		loop->spare = attempt->next;
		attempt_free(attempt);
	}
}

/* ---- to a channel --------------------------------------------------------- */

void weir_attempt_published(void *ctx, uint64_t tag, int code)
{
	struct weir_attempt *attempt = (struct weir_attempt *)(uintptr_t)tag;
	const struct weir_http_result result = {
		.code = code,
		.status = code ? 0 : 202,
		.text = code ? weir_code_text(code) : NULL,
	};

	(void)ctx;
	weir_egress_attempted(attempt, &result);
}

static int publish(struct weir_attempt *attempt, const struct weir_sink *sink, struct weir_error *err)
{
	struct weir_publishing *publishing = &attempt->item->egress->options.loop->publishing;
	const struct weir_publish_item item = { .event = attempt->event, .tag = (uint64_t)(uintptr_t)attempt };
	size_t accepted;

	return weir_publishing_publish(publishing, sink->channel, &item, 1, 0, &accepted, err);
}

/* ---- to a URL ------------------------------------------------------------- */

static void count_post(struct weir_egress_counters *counters, int64_t took_ns)
{
	size_t bucket = 0;

	while (bucket < WEIR_EGRESS_BUCKETS - 1 && took_ns > weir_egress_bucket_ms[bucket] * WEIR_NS_PER_MS)
		bucket++;
	weir_figure_add(&counters->attempts, 1);
	weir_figure_add(&counters->duration_ns, (uint64_t)took_ns);
	weir_figure_add(&counters->duration_buckets[bucket], 1);
}

static void on_posted(void *ctx, const struct weir_http_result *result)
{
	struct weir_attempt *attempt = ctx;

	count_post(&attempt->item->egress->counters, result->took_ns);
	weir_egress_attempted(attempt, result);
}

static int reserve_headers(struct weir_attempt *attempt, size_t count)
{
	struct weir_header *headers;

	if (count <= attempt->header_capacity)
		return WEIR_OK;
	headers = weir_mem_realloc(attempt->headers, 2 * count * sizeof *headers);
	if (!headers)
		return WEIR_ENOMEM;
	attempt->headers = headers;
	attempt->header_capacity = 2 * count;
	return WEIR_OK;
}

static int post(struct weir_attempt *attempt, const struct weir_sink *sink, struct weir_error *err)
{
	const struct weir_egress *egress = attempt->item->egress;
	bool wants_reply = sink == egress->subscriber;
	const struct weir_header *headers;
	struct weir_http_post request = { .done = on_posted, .ctx = attempt };
	size_t count;
	enum weir_mode mode =
	    egress->options.settings->delivery.structured ? WEIR_MODE_STRUCTURED : WEIR_MODE_BINARY;
	int code = weir_event_to_http(attempt->event, mode, &headers, &count, &request.body, err);

	if (code)
		return code;
	if (reserve_headers(attempt, count + 1))
		return weir_fail(err, WEIR_ENOMEM, "out of memory");
	memcpy(attempt->headers, headers, count * sizeof *headers);
	if (wants_reply)
		attempt->headers[count++] = (struct weir_header){ WEIR_STR("prefer"), WEIR_STR("reply") };
	request.headers = attempt->headers;
	request.header_count = count;
	request.timeout_ms = egress->options.settings->delivery.timeout_ms;
	/* Where replies are wanted half of one is worthless; otherwise the body is only a hint at what went wrong. */
	request.whole = wants_reply && egress->reply;
	request.max_response_bytes = request.whole ? egress->options.loop->options.max_reply_bytes : WEIR_FAILURE_DATA;
	code = weir_http_target_post(sink->target, &request);
	return code ? weir_fail(err, code, "out of memory") : WEIR_OK;
}

int weir_attempt_send(struct weir_attempt *attempt, struct weir_sink *sink, struct weir_error *err)
{
	weir_sink_ref(sink);
	weir_sink_unref(attempt->sink);
	attempt->sink = sink;
	return sink->channel ? publish(attempt, sink, err) : post(attempt, sink, err);
}
