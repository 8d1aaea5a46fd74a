/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/quarantine.h"

#include <pthread.h>

#include "admin/quarantine_work.h"
#include "base/container.h"
#include "base/mem.h"
#include "base/str.h"
#include "dispatch/thread.h"

enum { QUEUE_MAX = 16, ANSWER_MAX = 256 * 1024 * 1024 };

/* A request on its way to the thread and back. */
struct job {
	struct job *next;
	struct weir_task task;
	struct weir_http_request *request;
	struct weir_quarantine_query query;
	struct weir_dynbuf answer;
	struct weir_error error;
	bool closed; /* it was not done */
};

struct weir_admin_quarantine {
	struct weir_loop *loop;
	struct weir_dispatcher *dispatcher;
	weir_event *event; /* the thread's */

	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *queue, *queue_last;
	size_t queued;
	bool started, stop;
	pthread_t thread;
};

int weir_admin_quarantine_new(struct weir_loop *loop, struct weir_dispatcher *dispatcher,
			      struct weir_admin_quarantine **ret, struct weir_error *err)
{
	struct weir_admin_quarantine *quarantine = weir_mem_zalloc(1, sizeof *quarantine);

	if (!quarantine || weir_event_new(&quarantine->event)) {
		weir_mem_free(quarantine);
		return weir_fail(err, WEIR_ENOMEM, "out of memory for the admin port");
	}
	quarantine->loop = loop;
	quarantine->dispatcher = dispatcher;
	pthread_mutex_init(&quarantine->lock, NULL);
	pthread_cond_init(&quarantine->wake, NULL);
	*ret = quarantine;
	return WEIR_OK;
}

void weir_admin_quarantine_drain(struct weir_admin_quarantine *quarantine)
{
	pthread_mutex_lock(&quarantine->lock);
	quarantine->stop = true;
	pthread_cond_signal(&quarantine->wake);
	pthread_mutex_unlock(&quarantine->lock);
	if (quarantine->started)
		pthread_join(quarantine->thread, NULL);
	quarantine->started = false;
}

void weir_admin_quarantine_free(struct weir_admin_quarantine *quarantine)
{
	if (!quarantine)
		return;
	weir_event_free(quarantine->event);
	pthread_cond_destroy(&quarantine->wake);
	pthread_mutex_destroy(&quarantine->lock);
	weir_mem_free(quarantine);
}

/* ---- answers, on the loop --------------------------------------------------- */

static void respond(const struct job *job)
{
	const char *type = job->query.action == WEIR_QUARANTINE_LIST ? "application/x-ndjson" : "application/json";
	const struct weir_header headers[] = { { WEIR_STR("Content-Type"), weir_str(type) },
					       { WEIR_STR("Cache-Control"), WEIR_STR("no-store") } };

	switch (job->error.code) {
	case WEIR_OK:
		weir_http_respond(job->request, 200, headers, 2, weir_dynbuf_view(&job->answer));
		break;
	case WEIR_ENOTFOUND:
		weir_http_respond_error(job->request, 404, "not_found", job->error.text);
		break;
	case WEIR_EINVAL:
	case WEIR_ECORRUPT:
		weir_http_respond_error(job->request, 409, "not_possible", job->error.text);
		break;
	default:
		weir_http_respond_error(job->request, 503, "unavailable", job->error.text);
	}
}

static void on_done(struct weir_task *task)
{
	struct job *job = WEIR_CONTAINER(task, struct job, task);

	if (job->closed)
		weir_http_respond_error(job->request, 503, "closing", "the process is about to end");
	else
		respond(job);
	weir_dynbuf_fini(&job->answer);
	weir_mem_free(job);
}

/* ---- the thread -------------------------------------------------------------- */

static struct job *take(struct weir_admin_quarantine *quarantine)
{
	struct job *job = quarantine->queue;

	if (job) {
		quarantine->queue = job->next;
		quarantine->queued--;
	}
	return job;
}

static void *run(void *ctx)
{
	struct weir_admin_quarantine *quarantine = ctx;
	struct job *job;

	pthread_mutex_lock(&quarantine->lock);
	for (;;) {
		while (!quarantine->queue && !quarantine->stop)
			pthread_cond_wait(&quarantine->wake, &quarantine->lock);
		job = take(quarantine);
		if (!job)
			break;
		job->closed = quarantine->stop;
		pthread_mutex_unlock(&quarantine->lock);
		if (!job->closed)
			weir_quarantine_work(quarantine->dispatcher, &job->query, quarantine->event, &job->answer,
					     &job->error);
		weir_loop_post(quarantine->loop, &job->task);
		pthread_mutex_lock(&quarantine->lock);
	}
	pthread_mutex_unlock(&quarantine->lock);
	return NULL;
}

/* False: the queue is full, or there is no thread. */
static bool enqueue(struct weir_admin_quarantine *quarantine, struct job *job)
{
	bool taken;

	pthread_mutex_lock(&quarantine->lock);
	if (!quarantine->started && !quarantine->stop)
		quarantine->started = weir_thread_start(&quarantine->thread, "weir-look", run, quarantine) == 0;
	taken = quarantine->started && !quarantine->stop && quarantine->queued < QUEUE_MAX;
	if (taken) {
		if (quarantine->queue)
			quarantine->queue_last->next = job;
		else
			quarantine->queue = job;
		quarantine->queue_last = job;
		quarantine->queued++;
		pthread_cond_signal(&quarantine->wake);
	}
	pthread_mutex_unlock(&quarantine->lock);
	return taken;
}

void weir_admin_quarantine_handle(struct weir_admin_quarantine *quarantine, struct weir_http_request *request)
{
	bool post = weir_http_request_method(request) == WEIR_HTTP_POST;
	struct job *job = weir_mem_zalloc(1, sizeof *job);
	const char *why;

	if (!job) {
		weir_http_respond_error(request, 503, "overloaded", "out of memory for the answer");
		return;
	}
	why = weir_quarantine_query_read(weir_http_request_path(request), weir_http_request_query(request), post,
					 &job->query);
	weir_dynbuf_init(&job->answer, ANSWER_MAX);
	job->request = request;
	job->task.run = on_done;
	if (!why && enqueue(quarantine, job))
		return;
	if (why)
		weir_http_respond_error(request, 400, "invalid", why);
	else
		weir_http_respond_error(request, 503, "overloaded", "too many such requests at once, or closing");
	weir_mem_free(job);
}
