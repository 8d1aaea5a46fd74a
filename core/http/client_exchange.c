/* SPDX-License-Identifier: Apache-2.0 */
/* http/client_exchange: a post from the call until it is reported. */
#include "http/client_internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/mem.h"

/* ---- lists -------------------------------------------------------------------- */

static void list_append(struct weir_http_exchange_list *list, struct weir_http_exchange *exchange)
{
	exchange->next = NULL;
	exchange->prev = list->last;
	if (list->last)
		list->last->next = exchange;
	else
		list->first = exchange;
	list->last = exchange;
}

static void list_remove(struct weir_http_exchange_list *list, struct weir_http_exchange *exchange)
{
	if (exchange->prev)
		exchange->prev->next = exchange->next;
	else
		list->first = exchange->next;
	if (exchange->next)
		exchange->next->prev = exchange->prev;
	else
		list->last = exchange->prev;
}

static struct weir_http_exchange_list *list_of(struct weir_http_exchange *exchange)
{
	switch (exchange->stage) {
	case WEIR_HTTP_QUEUED:
		return &exchange->target->queued;
	case WEIR_HTTP_CARRIED:
		return &exchange->target->active;
	default:
		return &exchange->target->refused;
	}
}

static void move(struct weir_http_exchange *exchange, enum weir_http_stage stage)
{
	list_remove(list_of(exchange), exchange);
	exchange->stage = stage;
	list_append(list_of(exchange), exchange);
}

/* ---- memory -------------------------------------------------------------------- */

static void on_timeout(struct weir_timer *timer);

static struct weir_http_exchange *exchange_take(struct weir_http_target *target)
{
	struct weir_http_exchange *exchange = target->spare;

	if (exchange) {
		target->spare = exchange->next;
		target->spares--;
		return exchange;
	}
	exchange = weir_mem_zalloc(1, sizeof *exchange);
	if (!exchange)
		return NULL;
	exchange->target = target;
	exchange->timer.fire = on_timeout;
	weir_dynbuf_init(&exchange->head, WEIR_HTTP_HEAD_BYTES);
	return exchange;
}

static void exchange_free(struct weir_http_exchange *exchange)
{
	weir_dynbuf_fini(&exchange->head);
	weir_dynbuf_fini(&exchange->body);
	weir_mem_free(exchange);
}

static void shrink(struct weir_dynbuf *buf)
{
	size_t max = buf->max;

	if (buf->capacity > WEIR_HTTP_KEPT_BYTES) {
		weir_dynbuf_fini(buf);
		weir_dynbuf_init(buf, max);
	}
	weir_dynbuf_reset(buf);
}

static void exchange_give(struct weir_http_exchange *exchange)
{
	struct weir_http_target *target = exchange->target;

	if (target->spares >= target->max_parallel) {
		exchange_free(exchange);
		return;
	}
	shrink(&exchange->head);
	shrink(&exchange->body);
	exchange->next = target->spare;
	target->spare = exchange;
	target->spares++;
}

/* ---- carriers -------------------------------------------------------------------- */

static int carrier_start(struct weir_http_exchange *exchange)
{
	if (exchange->target->preamble.len > 0)
		return weir_http_wire_start(exchange);
	return weir_http_transfer_start(exchange);
}

static void carrier_stop(struct weir_http_exchange *exchange)
{
	if (exchange->transfer)
		weir_http_transfer_stop(exchange);
	else
		weir_http_wire_stop(exchange);
}

/* ---- reporting ------------------------------------------------------------------ */

/* Headers and body of a whole answer, unless its head is not valid. */
static void fill_answer(struct weir_http_exchange *exchange, struct weir_http_result *result)
{
	struct weir_http_client *client = exchange->target->client;
	struct weir_http_head head;

	result->code = weir_http_head_read(exchange->head_view, &head, client->headers, &result->text);
	if (result->code == WEIR_EAGAIN) {
		result->code = WEIR_EIO;
		result->text = "the answer's head is not complete";
	}
	if (result->code != WEIR_OK) {
		result->status = 0;
		return;
	}
	result->headers = client->headers;
	result->header_count = head.header_count;
	result->body = exchange->body_view;
	result->body_cut = exchange->body_cut;
}

/* Tells the caller, and gives the exchange back. Afterwards the target may be gone. */
static void report(struct weir_http_exchange *exchange, int code, const char *text)
{
	struct weir_http_target *target = exchange->target;
	struct weir_http_result result = {
		.code = code,
		.status = exchange->status,
		.text = text,
		.sends = exchange->sends,
		.took_ns = weir_clock_now_ns() - exchange->started_ns,
	};

	weir_loop_timer_cancel(target->client->loop, &exchange->timer);
	list_remove(list_of(exchange), exchange);
	if (code == WEIR_OK)
		fill_answer(exchange, &result);
	target->calls++;
	exchange->post.done(exchange->post.ctx, &result);
	exchange_give(exchange);
	target->calls--;
	if (target->closing)
		weir_http_target_release(target);
}

void weir_http_exchange_finish(struct weir_http_exchange *exchange, int code, const char *text)
{
	struct weir_http_target *target = exchange->target;

	target->carried--;
	target->calls++;
	report(exchange, code, text);
	weir_http_target_start(target);
	target->calls--;
	if (target->closing)
		weir_http_target_release(target);
}

void weir_http_target_report(struct weir_http_target *target)
{
	size_t count = 0;

	/* Only those that are there now: a `done` function may post again, and be refused again. */
	for (const struct weir_http_exchange *one = target->refused.first; one; one = one->next)
		count++;
	target->calls++;
	for (; count > 0 && target->refused.first; count--)
		report(target->refused.first, WEIR_EIO, "out of memory for the request, or its headers are too large");
	target->calls--;
	if (target->closing)
		weir_http_target_release(target);
}

static void on_timeout(struct weir_timer *timer)
{
	struct weir_http_exchange *exchange = WEIR_CONTAINER(timer, struct weir_http_exchange, timer);

	switch (exchange->stage) {
	case WEIR_HTTP_CARRIED:
		carrier_stop(exchange);
		weir_http_exchange_finish(exchange, WEIR_ETIMEDOUT, "no whole answer within the time allowed");
		break;
	case WEIR_HTTP_QUEUED:
		report(exchange, WEIR_ETIMEDOUT, "no connection became free within the time allowed");
		break;
	case WEIR_HTTP_REFUSED:
		weir_http_target_report(exchange->target);
		break;
	}
}

/* ---- starting --------------------------------------------------------------------- */

static void refuse(struct weir_http_exchange *exchange)
{
	move(exchange, WEIR_HTTP_REFUSED);
	weir_http_client_soon(exchange->target->client);
}

void weir_http_target_start(struct weir_http_target *target)
{
	while (!target->closing && target->queued.first && target->carried < target->max_parallel) {
		struct weir_http_exchange *exchange = target->queued.first;
		int code = carrier_start(exchange);

		if (code == WEIR_EAGAIN)
			return;
		if (code != WEIR_OK) {
			refuse(exchange);
			continue;
		}
		move(exchange, WEIR_HTTP_CARRIED);
		target->carried++;
	}
}

int weir_http_target_post(struct weir_http_target *target, const struct weir_http_post *post)
{
	struct weir_loop *loop = target->client->loop;
	struct weir_http_exchange *exchange = target->closing ? NULL : exchange_take(target);
	int64_t timeout_ms = post->timeout_ms > 0 ? post->timeout_ms : WEIR_HTTP_DEFAULT_TIMEOUT_MS;

	if (!exchange)
		return WEIR_ENOMEM;
	exchange->post = *post;
	exchange->stage = WEIR_HTTP_QUEUED;
	exchange->sends = 0;
	exchange->status = 0;
	exchange->resent = false;
	exchange->body_cut = false;
	exchange->body.max = post->max_response_bytes;
	exchange->started_ns = weir_clock_now_ns();
	if (weir_loop_timer_set(loop, &exchange->timer, weir_clock_after_ms(exchange->started_ns, timeout_ms)) !=
	    WEIR_OK) {
		exchange_give(exchange);
		return WEIR_ENOMEM;
	}
	list_append(&target->queued, exchange);
	weir_http_target_start(target);
	return WEIR_OK;
}

/* ---- giving up ---------------------------------------------------------------------- */

void weir_http_target_cancel(struct weir_http_target *target)
{
	static const char text[] = "given up because the subscription ends";

	target->closing = true;
	target->calls++;
	while (target->active.first) {
		struct weir_http_exchange *exchange = target->active.first;
		carrier_stop(exchange);
		target->carried--;
		report(exchange, WEIR_ECANCELED, text);
	}
	while (target->queued.first)
		report(target->queued.first, WEIR_ECANCELED, text);
	while (target->refused.first)
		report(target->refused.first, WEIR_ECANCELED, text);
	target->calls--;
	weir_http_target_release(target);
}

/* Frees a target that is closing, unless a `done` function of it is under way: then when that has returned. */
void weir_http_target_release(struct weir_http_target *target)
{
	if (target->calls > 0)
		return;
	while (target->spare) {
		struct weir_http_exchange *exchange = target->spare;
		target->spare = exchange->next;
		exchange_free(exchange);
	}
	weir_http_transfer_free_all(target->transfers);
	weir_http_wire_close_idle(target);
	weir_dynbuf_fini(&target->preamble);
	weir_http_url_fini(&target->parts);
	weir_mem_free(target->url);
	weir_mem_free(target);
}
