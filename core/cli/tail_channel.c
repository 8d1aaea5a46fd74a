/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/tail_channel: events of a channel that this process opened. The pump puts
 * deliveries into a ring that has room for the whole window; the main thread
 * writes them and acknowledges what was written.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "cli/show.h"
#include "cli/tail.h"

enum {
	WINDOW = 256,
	LOOK_MS = 1000, /* how often to look whether the subscription is ready */
	CLOSE_MS = 5000,
};

struct reader {
	struct weir_tail *tail;
	weir_subscription *subscription;
	weir_channel *channel;
	bool told; /* that it is not ready */
	bool failed;

	pthread_mutex_t lock; /* the ring */
	weir_delivery *ring[WINDOW];
	size_t first, count;
};

/* Signalled by the pump, and by signals; -1 while no tail runs. */
static volatile sig_atomic_t wake_fd = -1;
static volatile sig_atomic_t interrupted;

static void wake(void)
{
	uint64_t one = 1;
	int saved_errno = errno;

	/* When it is not writable it is readable, which is all that is wanted. */
	if (write(wake_fd, &one, sizeof one) < 0)
		errno = saved_errno;
}

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
	wake();
}

/* On the pump. */
static void on_deliveries(void *ctx, weir_delivery *const *deliveries, size_t count)
{
	struct reader *reader = ctx;

	pthread_mutex_lock(&reader->lock);
	for (size_t i = 0; i < count; i++) {
		/* The window is the ring's size, so there is room; if not, the delivery stays unsettled. */
		if (reader->count == WINDOW)
			weir_delivery_free(deliveries[i]);
		else
			reader->ring[(reader->first + reader->count++) % WINDOW] = deliveries[i];
	}
	pthread_mutex_unlock(&reader->lock);
	wake();
}

static size_t take(struct reader *reader, weir_delivery **batch)
{
	size_t count = 0;

	pthread_mutex_lock(&reader->lock);
	for (; reader->count; reader->count--) {
		batch[count++] = reader->ring[reader->first];
		reader->first = (reader->first + 1) % WINDOW;
	}
	pthread_mutex_unlock(&reader->lock);
	return count;
}

static void say_poison(const weir_delivery *delivery, const struct weir_error *err)
{
	weir_cli_say("the record at position %llu is no event: %s",
		     (unsigned long long)weir_delivery_position(delivery), err->text);
}

/* Writes up to `count` deliveries; returns how many were handled: written, or said to be no event. */
static size_t write_batch(struct reader *reader, weir_delivery *const *batch, size_t count)
{
	size_t handled = 0;

	for (; handled < count && weir_tail_wanted(reader->tail) > 0; handled++) {
		struct weir_error err = WEIR_ERROR_INIT;

		if (weir_delivery_event(batch[handled], reader->tail->event, &err) ||
		    weir_cli_show(reader->tail->event, reader->tail->pretty, &err))
			say_poison(batch[handled], &err);
		else
			reader->tail->seen++;
	}
	if (fflush(stdout) == 0)
		return handled;
	reader->failed = true;
	return 0;
}

static void handle_deliveries(struct reader *reader)
{
	weir_delivery *batch[WINDOW];
	size_t count = take(reader, batch);
	size_t handled = count ? write_batch(reader, batch, count) : 0;
	int code = handled ? weir_delivery_settle(batch, handled, WEIR_ACK, 0) : WEIR_OK;

	/* Those of an earlier epoch come again: that is what at least once means. */
	if (code && code != WEIR_ESTALE)
		weir_cli_say("an acknowledgement failed, events may come again: %s", weir_code_text(code));
	for (size_t i = handled; i < count; i++)
		weir_delivery_free(batch[i]);
}

static void tell_if_not_ready(struct reader *reader)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (reader->told || weir_subscription_ready(reader->subscription, &err) == WEIR_OK)
		return;
	reader->told = true;
	weir_cli_say("waiting: %s", err.text);
}

static bool done(const struct reader *reader)
{
	return reader->failed || interrupted || weir_tail_wanted(reader->tail) == 0 ||
	       weir_clock_now_ns() >= reader->tail->deadline_ns;
}

static void read_until_done(struct reader *reader)
{
	struct pollfd woken = { .fd = wake_fd, .events = POLLIN };
	uint64_t value;

	while (!done(reader)) {
		int wait_ms = weir_clock_wait_ms(reader->tail->deadline_ns);
		int ready = poll(&woken, 1, reader->told || wait_ms < LOOK_MS ? wait_ms : LOOK_MS);

		if (ready > 0 && read(wake_fd, &value, sizeof value) < 0 && errno != EAGAIN && errno != EINTR)
			reader->failed = true;
		if (ready == 0)
			tell_if_not_ready(reader);
		handle_deliveries(reader);
	}
}

/* A tail that never got through to the backend has not seen an empty channel. */
static int result(struct reader *reader)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (reader->failed)
		return WEIR_EXIT_FAILED;
	if (!reader->tail->seen && !interrupted && weir_subscription_ready(reader->subscription, &err) != WEIR_OK)
		return weir_cli_fail(&err) == WEIR_EXIT_CONFIG ? WEIR_EXIT_CONFIG : WEIR_EXIT_UNAVAILABLE;
	return WEIR_EXIT_OK;
}

static int subscribe(struct reader *reader, const char *uid)
{
	const struct weir_tail *tail = reader->tail;
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_subscription_spec spec = {
		.name = tail->group ? tail->group : "weir-tail",
		.uid = uid,
		.start = tail->earliest ? WEIR_START_EARLIEST : WEIR_START_LATEST,
		.flags = tail->group ? 0 : WEIR_SUB_EPHEMERAL,
		.window = tail->count && tail->count < WINDOW ? (uint32_t)tail->count : WINDOW,
		.deliver = on_deliveries,
		.ctx = reader,
	};

	if (weir_channel_subscribe(reader->channel, &spec, &reader->subscription, &err))
		return weir_cli_fail(&err);
	return WEIR_EXIT_OK;
}

static int run(struct reader *reader, const char *uid)
{
	weir_delivery *left[WINDOW];
	struct weir_error err = WEIR_ERROR_INIT;
	int code = subscribe(reader, uid);

	if (code)
		return code;
	read_until_done(reader);
	code = result(reader);
	if (weir_subscription_close(reader->subscription, reader->tail->group && !reader->tail->forget,
				    weir_clock_after_ms(weir_clock_now_ns(), CLOSE_MS), &err))
		weir_cli_say("%s", err.text);
	for (size_t i = take(reader, left); i > 0; i--)
		weir_delivery_free(left[i - 1]);
	return code;
}

int weir_tail_channel(struct weir_tail *tail, weir_channel *channel)
{
	struct reader *reader = weir_mem_zalloc(1, sizeof *reader);
	struct sigaction action = { .sa_handler = on_signal }, old_int, old_term;
	char uid[sizeof "tail-" + WEIR_UUID_SIZE] = "tail-";
	int code;

	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!reader || wake_fd < 0 || !weir_uuid(uid + strlen(uid))) {
		weir_cli_say("out of memory or file descriptors");
		weir_mem_free(reader);
		return WEIR_EXIT_FAILED;
	}
	reader->tail = tail;
	reader->channel = channel;
	pthread_mutex_init(&reader->lock, NULL);
	sigaction(SIGINT, &action, &old_int);
	sigaction(SIGTERM, &action, &old_term);
	code = run(reader, tail->group ? tail->group : uid);
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
	close(wake_fd);
	pthread_mutex_destroy(&reader->lock);
	weir_mem_free(reader);
	return code;
}
