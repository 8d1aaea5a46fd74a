/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/tail.h"

#include <string.h>

#include "admin/tail_state.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatch/thread.h"

enum {
	TAILS_MAX = 8,
	LINE_MAX_BYTES = 64 * 1024 * 1024,
	RETRY_MS = 20, /* until a reader that is behind is looked at again */
};

/* ---- the loop: memory ------------------------------------------------------------------ */

/* False: no more may be opened. In one step with the question, or a drain could overlook it. */
static bool count_open(struct weir_admin_tails *tails)
{
	bool allowed;

	pthread_mutex_lock(&tails->lock);
	allowed = !tails->draining;
	tails->open += allowed;
	pthread_mutex_unlock(&tails->lock);
	return allowed;
}

static void count_closed(struct weir_admin_tails *tails)
{
	pthread_mutex_lock(&tails->lock);
	tails->open--;
	pthread_cond_broadcast(&tails->changed);
	pthread_mutex_unlock(&tails->lock);
}

/* Its subscription is closed, or there never was one: no callback of it runs any more. */
static void tail_free(struct weir_admin_tail *tail)
{
	struct weir_admin_tails *tails = tail->tails;
	struct weir_admin_tail **link = &tails->first;

	while (*link != tail)
		link = &(*link)->next;
	*link = tail->next;
	tails->count--;
	weir_loop_timer_cancel(tails->loop, &tail->retry);
	for (size_t i = 0; i < tail->pending_count; i++)
		weir_delivery_free(tail->pending[i]);
	for (size_t i = 0; i < tail->arrived_count; i++)
		weir_delivery_free(tail->arrived[i]);
	weir_event_free(tail->event);
	weir_dynbuf_fini(&tail->line);
	pthread_cond_destroy(&tail->noticed);
	pthread_mutex_destroy(&tail->lock);
	weir_mem_free(tail);
	count_closed(tails);
}

/* The tail is over for its reader; the rest is the worker's. */
static void tail_end(struct weir_admin_tail *tail)
{
	struct weir_http_stream *stream = tail->stream;

	if (tail->stage != WEIR_ADMIN_TAIL_OPEN) {
		tail->ending = true;
		return;
	}
	tail->stage = WEIR_ADMIN_TAIL_CLOSING;
	tail->stream = NULL;
	weir_loop_timer_cancel(tail->tails->loop, &tail->retry);
	if (stream)
		weir_http_stream_end(stream);
	weir_admin_tail_give(tail);
}

static void on_gone(void *ctx)
{
	struct weir_admin_tail *tail = ctx;

	tail->stream = NULL;
	tail_end(tail);
}

/* ---- the loop: events -------------------------------------------------------------------- */

/* A structured event on one line. JSON has line breaks only between its tokens: a space does as well. */
static bool write_line(struct weir_admin_tail *tail, struct weir_buf json)
{
	weir_dynbuf_reset(&tail->line);
	if (!weir_dynbuf_add_buf(&tail->line, json) || !weir_dynbuf_add_char(&tail->line, '\n'))
		return false;
	for (size_t i = 0; i + 1 < tail->line.len; i++) {
		if (tail->line.ptr[i] == '\n' || tail->line.ptr[i] == '\r')
			tail->line.ptr[i] = ' ';
	}
	return true;
}

/* WEIR_OK: it is done with, though perhaps only skipped. WEIR_EAGAIN: later. WEIR_ECLOSED: the reader is gone. */
static int write_delivery(struct weir_admin_tail *tail, const weir_delivery *delivery)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_buf json;
	int code;

	code = weir_delivery_event(delivery, tail->event, &err);
	if (code == WEIR_OK)
		code = weir_event_to_json(tail->event, &json, &err);
	if (code == WEIR_OK && !write_line(tail, json))
		code = weir_fail(&err, WEIR_ENOMEM, "out of memory, or it is larger than 64 MiB");
	if (code != WEIR_OK) {
		weir_log(WEIR_LOG_NOTICE, "tail of %s/%s: a record is left out: %s", tail->query.ns, tail->query.name,
			 err.text);
		return WEIR_OK;
	}
	code = weir_http_stream_write(tail->stream, weir_dynbuf_view(&tail->line));
	if (code == WEIR_OK && tail->left != UINT64_MAX)
		tail->left--;
	return code;
}

/* Writes what can be written now, and settles it. */
static void tail_write(struct weir_admin_tail *tail)
{
	size_t written = 0;
	int code = WEIR_OK;

	while (written < tail->pending_count && tail->left > 0 && code == WEIR_OK) {
		code = write_delivery(tail, tail->pending[written]);
		if (code == WEIR_OK)
			written++;
	}
	weir_event_clear(tail->event);
	if (written > 0)
		weir_delivery_settle(tail->pending, written, WEIR_ACK, 0);
	tail->pending_count -= written;
	for (size_t i = 0; i < tail->pending_count; i++)
		tail->pending[i] = tail->pending[written + i];
	if (tail->left == 0 ||
	    (code == WEIR_EAGAIN &&
	     weir_loop_timer_set(tail->tails->loop, &tail->retry,
				 weir_clock_after_ms(weir_loop_now(tail->tails->loop), RETRY_MS)) != WEIR_OK))
		tail_end(tail);
}

static void on_retry(struct weir_timer *timer)
{
	tail_write(WEIR_CONTAINER(timer, struct weir_admin_tail, retry));
}

/* Only while it is open: whatever comes before and after that stays in `arrived`. */
static void take_arrived(struct weir_admin_tail *tail)
{
	pthread_mutex_lock(&tail->lock);
	/* What is pending and what arrived are together within the window. */
	if (tail->pending_count + tail->arrived_count <= WEIR_ADMIN_TAIL_WINDOW) {
		for (size_t i = 0; i < tail->arrived_count; i++)
			tail->pending[tail->pending_count++] = tail->arrived[i];
		tail->arrived_count = 0;
	}
	pthread_mutex_unlock(&tail->lock);
	if (!tail->retry.slot)
		tail_write(tail);
}

static void on_arrival(struct weir_task *task)
{
	struct weir_admin_tail *tail = WEIR_CONTAINER(task, struct weir_admin_tail, arrival);

	pthread_mutex_lock(&tail->lock);
	tail->posted = false;
	pthread_mutex_unlock(&tail->lock);
	if (tail->stage == WEIR_ADMIN_TAIL_OPEN && tail->stream)
		take_arrived(tail);
}

/* ---- the loop: begin and end ---------------------------------------------------------------- */

static void refuse(struct weir_http_request *request, const struct weir_error *err)
{
	if (err->code == WEIR_ENOTFOUND)
		weir_http_respond_error(request, 404, "unknown_channel", err->text);
	else
		weir_http_respond_error(request, 503, "not_ready", err->text[0] ? err->text : "draining");
}

static void opened(struct weir_admin_tail *tail)
{
	struct weir_http_request *request = tail->request;

	tail->request = NULL;
	if (tail->code != WEIR_OK) {
		refuse(request, &tail->error);
		tail_free(tail);
		return;
	}
	tail->stage = WEIR_ADMIN_TAIL_OPEN;
	tail->stream = weir_http_respond_stream(request, 200, "application/x-ndjson", on_gone, tail);
	if (!tail->stream || tail->ending)
		tail_end(tail);
	else
		take_arrived(tail); /* what came meanwhile */
}

static void on_done(struct weir_task *task)
{
	struct weir_admin_tail *tail = WEIR_CONTAINER(task, struct weir_admin_tail, done);

	if (tail->stage == WEIR_ADMIN_TAIL_OPENING)
		opened(tail);
	else
		tail_free(tail);
}

static struct weir_admin_tail *tail_new(struct weir_admin_tails *tails, const struct weir_admin_tail_query *query)
{
	struct weir_admin_tail *tail = weir_mem_zalloc(1, sizeof *tail);
	pthread_condattr_t clock;

	if (!tail || weir_event_new(&tail->event) != WEIR_OK) {
		weir_mem_free(tail);
		return NULL;
	}
	tail->tails = tails;
	tail->query = *query;
	tail->left = query->count ? query->count : UINT64_MAX;
	tail->retry.fire = on_retry;
	tail->arrival.run = on_arrival;
	tail->done.run = on_done;
	weir_dynbuf_init(&tail->line, LINE_MAX_BYTES);
	pthread_mutex_init(&tail->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&tail->noticed, &clock);
	pthread_condattr_destroy(&clock);
	tail->next = tails->first;
	tails->first = tail;
	tails->count++;
	return tail;
}

void weir_admin_tails_handle(struct weir_admin_tails *tails, struct weir_http_request *request)
{
	struct weir_admin_tail_query query;
	struct weir_admin_tail *tail;
	const char *why =
	    weir_admin_tail_query_read(weir_http_request_path(request), weir_http_request_query(request), &query);

	if (why) {
		weir_http_respond_error(request, 400, "bad_request", why);
		return;
	}
	if (tails->count == TAILS_MAX) {
		weir_http_respond_error(request, 503, "too_many", "there are as many tails as allowed (8)");
		return;
	}
	if (!count_open(tails)) {
		weir_http_respond_error(request, 503, "draining", "the process is about to end");
		return;
	}
	tail = tail_new(tails, &query);
	if (!tail) {
		count_closed(tails);
		weir_http_respond_error(request, 503, "overloaded", "out of memory for a tail");
		return;
	}
	tail->request = request;
	weir_admin_tail_give(tail);
}

/* ---- all of them ---------------------------------------------------------------------------- */

static void on_drain(struct weir_task *task)
{
	struct weir_admin_tails *tails = WEIR_CONTAINER(task, struct weir_admin_tails, drain);

	for (struct weir_admin_tail *tail = tails->first; tail; tail = tail->next)
		tail_end(tail);
}

void weir_admin_tails_drain(struct weir_admin_tails *tails)
{
	pthread_mutex_lock(&tails->lock);
	if (!tails->draining) {
		tails->draining = true;
		weir_loop_post(tails->loop, &tails->drain);
	}
	while (tails->open > 0)
		pthread_cond_wait(&tails->changed, &tails->lock);
	pthread_mutex_unlock(&tails->lock);
}

int weir_admin_tails_new(struct weir_loop *loop, struct weir_dispatcher *dispatcher, struct weir_admin_tails **ret,
			 struct weir_error *err)
{
	struct weir_admin_tails *tails = weir_mem_zalloc(1, sizeof *tails);
	int failed;

	if (!tails)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for the admin port");
	tails->loop = loop;
	tails->dispatcher = dispatcher;
	tails->drain.run = on_drain;
	tails->jobs_end = &tails->jobs;
	pthread_mutex_init(&tails->lock, NULL);
	pthread_cond_init(&tails->changed, NULL);
	failed = weir_thread_start(&tails->worker, "weir-tails", weir_admin_tail_worker, tails);
	if (failed) {
		pthread_cond_destroy(&tails->changed);
		pthread_mutex_destroy(&tails->lock);
		weir_mem_free(tails);
		weir_fail(err, WEIR_EAGAIN, "no thread for the admin port: %s", strerror(failed));
		weir_error_native(err, "errno", failed);
		return WEIR_EAGAIN;
	}
	*ret = tails;
	return WEIR_OK;
}

void weir_admin_tails_free(struct weir_admin_tails *tails)
{
	if (!tails)
		return;
	pthread_mutex_lock(&tails->lock);
	tails->stop = true;
	pthread_cond_broadcast(&tails->changed);
	pthread_mutex_unlock(&tails->lock);
	pthread_join(tails->worker, NULL);
	pthread_cond_destroy(&tails->changed);
	pthread_mutex_destroy(&tails->lock);
	weir_mem_free(tails);
}
