/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/admin_fakes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <weir/config.h>

struct fake_world world = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

const uint32_t weir_egress_bucket_ms[15] = {
	1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000
};

struct weir_subscription {
	int unused;
};

struct weir_channel {
	int unused;
};

struct weir_delivery {
	const char *json;
};

static struct weir_subscription the_subscription;
static struct weir_channel the_channel;
static pthread_mutex_t pump = PTHREAD_MUTEX_INITIALIZER; /* held while a callback runs */
static bool subscription_open;                           /* the last one; under `pump` */

static void must(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "admin_fakes: %s\n", what);
	abort();
}

static void lock(void)
{
	pthread_mutex_lock(&world.lock);
}

static void unlock(void)
{
	pthread_cond_broadcast(&world.changed);
	pthread_mutex_unlock(&world.lock);
}

void fake_world_reset(void)
{
	lock();
	memset(world.channels, 0, sizeof world.channels);
	memset(&world.server, 0, sizeof world.server);
	world.addresses = "127.0.0.1:0";
	world.channel_count = 0;
	world.driver_count = 0;
	memset(&world.backend, 0, sizeof world.backend);
	world.subscription_ready = true;
	world.subscribed = world.closed = world.kept = world.acked = world.freed = 0;
	unlock();
}

bool fake_wait_ms(const unsigned *what, unsigned wanted, unsigned ms)
{
	struct timespec until;
	bool happened;
	int result = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&world.lock);
	while (*what < wanted && result == 0)
		result = pthread_cond_timedwait(&world.changed, &world.lock, &until);
	happened = *what >= wanted;
	pthread_mutex_unlock(&world.lock);
	return happened;
}

void fake_wait(const unsigned *what, unsigned wanted)
{
	must(fake_wait_ms(what, wanted, 10000), "it did not happen");
}

unsigned fake_read(const unsigned *what)
{
	unsigned value;

	pthread_mutex_lock(&world.lock);
	value = *what;
	pthread_mutex_unlock(&world.lock);
	return value;
}

static struct weir_subscription_spec last_spec(void)
{
	struct weir_subscription_spec spec;

	pthread_mutex_lock(&world.lock);
	spec = world.spec;
	pthread_mutex_unlock(&world.lock);
	return spec;
}

void fake_set_ready(bool ready)
{
	struct weir_notice notice = { .type = WEIR_EV_SUB_READY };
	struct weir_subscription_spec spec = last_spec();

	lock();
	world.subscription_ready = ready;
	unlock();
	pthread_mutex_lock(&pump);
	if (subscription_open)
		spec.notice(spec.ctx, &notice);
	pthread_mutex_unlock(&pump);
}

void fake_deliver(const char *json, size_t count)
{
	weir_delivery *deliveries[FAKE_BATCH];

	must(count <= FAKE_BATCH, "too many at once");
	/* As the real ones do: closing a subscription waits for its callbacks, and none comes afterwards. */
	pthread_mutex_lock(&pump);
	if (subscription_open) {
		struct weir_subscription_spec spec = last_spec();
		for (size_t i = 0; i < count; i++) {
			deliveries[i] = malloc(sizeof *deliveries[i]);
			must(deliveries[i], "out of memory");
			deliveries[i]->json = json;
		}
		spec.deliver(spec.ctx, deliveries, count);
	}
	pthread_mutex_unlock(&pump);
}

/* ---- in the place of the configuration, the dispatcher and the runtime ----------------- */

const char *weir_config_get(const weir_config *config, const char *key)
{
	(void)config;
	must(strcmp(key, "dispatcher.admin") == 0, "another key was asked for");
	return world.addresses;
}

void weir_dispatcher_visit(struct weir_dispatcher *dispatcher,
			   bool (*visit)(void *ctx, const struct weir_channel_view *view), void *ctx)
{
	(void)dispatcher;
	pthread_mutex_lock(&world.lock);
	for (size_t i = 0; i < world.channel_count; i++) {
		if (!visit(ctx, &world.channels[i]))
			break;
	}
	pthread_mutex_unlock(&world.lock);
}

void weir_dispatcher_server_figures(struct weir_dispatcher *dispatcher, struct weir_ingress_server_figures *ret)
{
	(void)dispatcher;
	*ret = world.server;
}

int weir_dispatcher_open_channel(struct weir_dispatcher *dispatcher, const char *ns, const char *name,
				 weir_channel **ret, struct weir_error *err)
{
	(void)dispatcher;
	if (strcmp(ns, "ns") != 0 || strcmp(name, "open") != 0)
		return weir_fail(err, WEIR_ENOTFOUND, "there is no such channel; /status lists them");
	*ret = &the_channel;
	return WEIR_OK;
}

const char *weir_dispatcher_quarantine_folder(const struct weir_dispatcher *dispatcher)
{
	(void)dispatcher;
	return world.quarantine;
}

int weir_channel_publish_wait(weir_channel *channel, weir_event *event, int64_t deadline_ns, struct weir_error *err)
{
	struct weir_buf json;

	(void)channel;
	(void)deadline_ns;
	if (world.publish_code)
		return weir_fail(err, world.publish_code, "the backend is down");
	if (weir_event_to_json(event, &json, NULL))
		return weir_fail(err, WEIR_ENOMEM, "out of memory");
	snprintf(world.published, sizeof world.published, "%.*s", (int)json.len, (const char *)json.ptr);
	return WEIR_OK;
}

void weir_channel_close(weir_channel *channel)
{
	(void)channel;
}

int weir_runtime_driver(const weir_runtime *runtime, size_t index, struct weir_driver_info *ret)
{
	(void)runtime;
	if (index >= world.driver_count)
		return WEIR_ENOTFOUND;
	*ret = world.drivers[index];
	return WEIR_OK;
}

int weir_runtime_backend_info(weir_runtime *runtime, size_t index, struct weir_backend_info *ret)
{
	(void)runtime;
	if (index > 0 || !world.backend.kind)
		return WEIR_ENOTFOUND;
	*ret = world.backend;
	return WEIR_OK;
}

/* ---- in the place of a channel ---------------------------------------------------------------- */

int weir_channel_subscribe(weir_channel *channel, const struct weir_subscription_spec *spec, weir_subscription **ret,
			   struct weir_error *err)
{
	(void)err;
	must(channel == &the_channel, "another channel");
	pthread_mutex_lock(&pump);
	subscription_open = true;
	pthread_mutex_unlock(&pump);
	lock();
	world.spec = *spec;
	world.start = spec->start;
	snprintf(world.uid, sizeof world.uid, "%s", spec->uid);
	world.subscribed++;
	unlock();
	*ret = &the_subscription;
	return WEIR_OK;
}

int weir_subscription_ready(weir_subscription *subscription, struct weir_error *err)
{
	bool ready;

	(void)subscription;
	pthread_mutex_lock(&world.lock);
	ready = world.subscription_ready;
	pthread_mutex_unlock(&world.lock);
	return ready ? WEIR_OK : weir_fail(err, WEIR_EUNAVAIL, "the backend is down");
}

int weir_subscription_close(weir_subscription *subscription, int keep, int64_t deadline_ns, struct weir_error *err)
{
	(void)subscription;
	(void)deadline_ns;
	(void)err;
	pthread_mutex_lock(&pump);
	subscription_open = false;
	pthread_mutex_unlock(&pump);
	lock();
	world.closed++;
	world.kept += keep != 0;
	unlock();
	return WEIR_OK;
}

int weir_delivery_event(const weir_delivery *delivery, weir_event *event, struct weir_error *err)
{
	struct weir_buf json = { delivery->json, strlen(delivery->json) };

	return weir_event_from_json(event, json, err);
}

int weir_delivery_settle(weir_delivery *const *deliveries, size_t count, enum weir_verb verb, int64_t arg)
{
	(void)arg;
	must(verb == WEIR_ACK, "a tail only acknowledges");
	for (size_t i = 0; i < count; i++)
		free(deliveries[i]);
	lock();
	world.acked += (unsigned)count;
	unlock();
	return WEIR_OK;
}

void weir_delivery_free(weir_delivery *delivery)
{
	free(delivery);
	lock();
	world.freed++;
	unlock();
}

/* ---- HTTP ------------------------------------------------------------------------------------------ */

void fake_http_open(struct fake_http *http, uint16_t port, const char *method, const char *path, const char *more)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char request[2048];
	int length = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n",
			      method, path, more ? more : "");

	memset(http, 0, sizeof *http);
	http->capacity = 1024 * 1024;
	http->bytes = calloc(1, http->capacity);
	http->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(http->bytes && http->fd >= 0 && connect(http->fd, (struct sockaddr *)&address, sizeof address) == 0 &&
		 send(http->fd, request, (size_t)length, MSG_NOSIGNAL) == length,
	     "cannot send a request");
}

/* False: the connection has ended. */
static bool read_more(struct fake_http *http)
{
	struct pollfd ready = { .fd = http->fd, .events = POLLIN };
	ssize_t got;

	if (http->capacity - http->len < 65536) {
		http->capacity *= 2;
		http->bytes = realloc(http->bytes, http->capacity);
		must(http->bytes, "out of memory");
	}
	must(poll(&ready, 1, 10000) == 1, "nothing came");
	got = recv(http->fd, http->bytes + http->len, http->capacity - http->len - 1, 0);
	if (got <= 0)
		return false;
	http->len += (size_t)got;
	http->bytes[http->len] = '\0';
	return true;
}

bool fake_http_until(struct fake_http *http, const char *text)
{
	while (!strstr(http->bytes, text)) {
		if (!read_more(http))
			return false;
	}
	return true;
}

void fake_http_rest(struct fake_http *http)
{
	while (read_more(http))
		;
}

void fake_http_close(struct fake_http *http)
{
	close(http->fd);
	free(http->bytes);
}

int fake_http_status(const struct fake_http *http)
{
	must(strncmp(http->bytes, "HTTP/1.1 ", 9) == 0, "no answer");
	return atoi(http->bytes + 9);
}

const char *fake_http_body(const struct fake_http *http)
{
	const char *end = strstr(http->bytes, "\r\n\r\n");

	must(end != NULL, "no whole answer");
	return end + 4;
}

int fake_http_get(struct fake_http *http, uint16_t port, const char *method, const char *path, const char *more)
{
	fake_http_open(http, port, method, path, more);
	fake_http_rest(http);
	return fake_http_status(http);
}
