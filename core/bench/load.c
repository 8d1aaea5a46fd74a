/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/client.h"

enum {
	NUMBER_SIZE = 32,
	ID_SIZE = 64,
	HEADERS = 7,
	REST_MS = 20, /* of a connection whose event was not taken: who is full is not hammered */
};

/* One event at a time, with what its headers point to. */
struct slot {
	struct weir_load *load;
	struct slot *next; /* idle */
	uint64_t number;
	int64_t due_ns;
	char id[ID_SIZE], due[NUMBER_SIZE], key[NUMBER_SIZE];
	struct weir_header headers[HEADERS];
	size_t header_count;
	struct weir_timer rest;
};

struct weir_load {
	struct weir_load_options options;
	struct weir_loop *loop;
	struct weir_http_client *client;
	struct weir_http_target *target;
	struct weir_watch clock; /* a timer descriptor: the loop's timers have milliseconds */
	struct slot *slots, *idle;
	char *body;
	int64_t begin_ns, wall_offset_ns, armed_ns;
	uint64_t sent, busy; /* busy: under way or resting */
	bool stopped, finished;
};

static int64_t wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * WEIR_NS_PER_S + now.tv_nsec;
}

static bool may_send(const struct weir_load *load)
{
	if (load->stopped || (load->options.events && load->sent >= load->options.events))
		return false;
	return weir_clock_now_ns() < load->options.stop_ns;
}

/* Rounding is done once, on the whole: a rate that does not divide a second does not drift. */
static int64_t due_of(const struct weir_load *load, uint64_t number)
{
	uint64_t whole = number / load->options.rate, part = number % load->options.rate;

	return load->begin_ns + (int64_t)(whole * (uint64_t)WEIR_NS_PER_S) +
	       (int64_t)(part * (uint64_t)WEIR_NS_PER_S / load->options.rate);
}

/* ---- one event ------------------------------------------------------------ */

static void set_header(struct slot *slot, const char *name, const char *value)
{
	slot->headers[slot->header_count++] = (struct weir_header){ weir_str(name), weir_str(value) };
}

static void set_headers(struct slot *slot)
{
	const struct weir_load *load = slot->load;

	slot->header_count = 0;
	snprintf(slot->id, sizeof slot->id, "%s-%llu", load->options.run, (unsigned long long)slot->number);
	snprintf(slot->due, sizeof slot->due, "%lld", (long long)(slot->due_ns + load->wall_offset_ns));
	set_header(slot, "ce-specversion", "1.0");
	set_header(slot, "ce-type", "dev.weir.bench");
	set_header(slot, "ce-source", "weir://bench");
	set_header(slot, "ce-id", slot->id);
	set_header(slot, "ce-benchdue", slot->due);
	set_header(slot, "content-type", "application/octet-stream");
	if (!load->options.keys)
		return;
	snprintf(slot->key, sizeof slot->key, "key-%llu", (unsigned long long)(slot->number % load->options.keys));
	set_header(slot, "ce-partitionkey", slot->key);
}

static void on_done(void *ctx, const struct weir_http_result *result);

/* False, and the slot is idle again, if memory is short. */
static bool send_event(struct slot *slot, int64_t due_ns)
{
	struct weir_load *load = slot->load;
	struct weir_http_post post = {
		.headers = slot->headers,
		.body = { load->body, load->options.body_bytes },
		.timeout_ms = load->options.timeout_ms,
		.max_response_bytes = 1024,
		.done = on_done,
		.ctx = slot,
	};

	slot->number = load->sent;
	slot->due_ns = due_ns;
	set_headers(slot);
	post.header_count = slot->header_count;
	if (weir_http_target_post(load->target, &post)) {
		slot->next = load->idle;
		load->idle = slot;
		return false;
	}
	load->sent++;
	load->busy++;
	load->options.sent(load->options.ctx, slot->number);
	return true;
}

static struct slot *take_idle(struct weir_load *load)
{
	struct slot *slot = load->idle;

	load->idle = slot->next;
	return slot;
}

/* ---- when to send --------------------------------------------------------- */

static void arm(struct weir_load *load, int64_t at_ns)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = at_ns / WEIR_NS_PER_S, .tv_nsec = at_ns % WEIR_NS_PER_S },
	};

	if (at_ns == load->armed_ns)
		return;
	load->armed_ns = at_ns;
	timerfd_settime(load->clock.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void finish_if_done(struct weir_load *load)
{
	if (load->finished || load->busy || may_send(load))
		return;
	load->finished = true;
	load->options.finished(load->options.ctx);
}

/* Sends whatever is due as far as there are idle connections, and sees to it that it is called for the next. */
static void send_due(struct weir_load *load)
{
	int64_t stop_ns = load->options.stop_ns, now_ns = weir_clock_now_ns(), next_ns;

	while (load->idle && may_send(load)) {
		int64_t due_ns = load->options.rate ? due_of(load, load->sent) : now_ns;

		if (due_ns > now_ns || !send_event(take_idle(load), due_ns))
			break;
	}
	finish_if_done(load);
	if (load->finished || !may_send(load))
		return;
	/* Without memory for a post it is tried again a little later, never at once. */
	next_ns = load->options.rate ? due_of(load, load->sent) : stop_ns;
	if (next_ns <= now_ns)
		next_ns = now_ns + REST_MS * WEIR_NS_PER_MS;
	next_ns = next_ns < stop_ns ? next_ns : stop_ns;
	if (next_ns != WEIR_NS_NEVER)
		arm(load, next_ns);
}

static void on_clock(struct weir_watch *watch, uint32_t events)
{
	struct weir_load *load = WEIR_CONTAINER(watch, struct weir_load, clock);
	uint64_t ticks;

	(void)events;
	(void)!read(watch->fd, &ticks, sizeof ticks);
	load->armed_ns = 0;
	send_due(load);
}

static void set_free(struct slot *slot)
{
	struct weir_load *load = slot->load;

	load->busy--;
	slot->next = load->idle;
	load->idle = slot;
	send_due(load);
}

static void on_rested(struct weir_timer *timer)
{
	set_free(WEIR_CONTAINER(timer, struct slot, rest));
}

static void on_done(void *ctx, const struct weir_http_result *result)
{
	struct slot *slot = ctx;
	struct weir_load *load = slot->load;
	int status = result->code ? 0 : result->status;

	if (result->code == WEIR_ECANCELED)
		return; /* the load is being freed */
	load->options.answered(load->options.ctx, slot->number, slot->due_ns, status, result->text);
	if (status >= 200 && status < 300) {
		set_free(slot);
		return;
	}
	if (weir_loop_timer_set(load->loop, &slot->rest, weir_clock_after_ms(weir_clock_now_ns(), REST_MS)))
		set_free(slot);
}

/* ---- life ----------------------------------------------------------------- */

static int open_client(struct weir_load *load, struct weir_error *err)
{
	struct weir_http_client_options options = {
		.rules = { .allow_loopback = true, .allow_private = true },
		.max_connections = load->options.connections,
		.ca_file = load->options.ca_file,
	};
	int code = weir_http_client_new(load->loop, &options, &load->client, err);

	if (code)
		return code;
	return weir_http_target_new(load->client, load->options.url, load->options.connections, &load->target, err);
}

static int open_clock(struct weir_load *load, struct weir_error *err)
{
	load->clock.ready = on_clock;
	load->clock.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (load->clock.fd < 0)
		return weir_fail(err, WEIR_EIO, "no timer: %s", strerror(errno));
	return weir_loop_watch(load->loop, &load->clock, EPOLLIN, err);
}

static int make_slots(struct weir_load *load)
{
	load->slots = weir_mem_zalloc(load->options.connections, sizeof *load->slots);
	load->body = weir_mem_alloc(load->options.body_bytes + 1);
	if (!load->slots || !load->body)
		return WEIR_ENOMEM;
	for (size_t i = 0; i < load->options.body_bytes; i++)
		load->body[i] = (char)('a' + i % 26);
	for (uint32_t i = 0; i < load->options.connections; i++) {
		load->slots[i].load = load;
		load->slots[i].rest.fire = on_rested;
		load->slots[i].next = load->idle;
		load->idle = &load->slots[i];
	}
	return WEIR_OK;
}

int weir_load_new(struct weir_loop *loop, const struct weir_load_options *options, struct weir_load **ret,
		  struct weir_error *err)
{
	struct weir_load *load = weir_mem_zalloc(1, sizeof *load);
	int code;

	if (!load)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for the load");
	load->options = *options;
	load->loop = loop;
	load->clock.fd = -1;
	code = make_slots(load);
	if (code)
		weir_fail(err, code, "out of memory for %u connections", options->connections);
	if (!code)
		code = open_client(load, err);
	if (!code)
		code = open_clock(load, err);
	if (code) {
		weir_load_free(load);
		return code;
	}
	*ret = load;
	return WEIR_OK;
}

void weir_load_free(struct weir_load *load)
{
	if (!load)
		return;
	for (uint32_t i = 0; load->slots && i < load->options.connections; i++)
		weir_loop_timer_cancel(load->loop, &load->slots[i].rest);
	weir_http_target_free(load->target);
	weir_http_client_free(load->client);
	if (load->clock.fd >= 0) {
		weir_loop_unwatch(load->loop, &load->clock);
		close(load->clock.fd);
	}
	weir_mem_free(load->slots);
	weir_mem_free(load->body);
	weir_mem_free(load);
}

void weir_load_start(struct weir_load *load)
{
	load->begin_ns = weir_clock_now_ns();
	load->wall_offset_ns = wall_ns() - load->begin_ns;
	send_due(load);
}

void weir_load_stop(struct weir_load *load)
{
	load->stopped = true;
	finish_if_done(load);
}
