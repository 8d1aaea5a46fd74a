/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/client_connection: carries exchanges over sockets of our own.
 *
 * libcurl resolves, checks and connects (CURLOPT_CONNECT_ONLY), then the socket
 * is taken from it: a request and its answer cost one send and one recv, and
 * the socket is registered once for its whole life.
 */
#include "http/client_wire.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/mem.h"

/* ---- closing ------------------------------------------------------------------- */

static void leave_idle(struct weir_http_wire *wire)
{
	if (wire->prev)
		wire->prev->next = wire->next;
	else
		wire->target->idle = wire->next;
	if (wire->next)
		wire->next->prev = wire->prev;
	wire->idle = false;
}

/* Frees it, in whatever state; it carries nothing any more. */
static void wire_free(struct weir_http_wire *wire)
{
	struct weir_http_client *client = wire->easy.client;

	if (wire->idle)
		leave_idle(wire);
	if (wire->easy.handle) {
		weir_http_easy_stop(&wire->easy);
		curl_easy_cleanup(wire->easy.handle);
	}
	if (wire->watched)
		weir_loop_unwatch(client->loop, &wire->watch);
	if (wire->watch.fd >= 0)
		close(wire->watch.fd);
	weir_dynbuf_fini(&wire->out);
	weir_mem_free(wire);
	client->wires--;
	if (client->starved)
		weir_http_client_soon(client);
}

void weir_http_wire_close_idle(struct weir_http_target *target)
{
	while (target->idle)
		wire_free(target->idle);
}

void weir_http_wire_close_old(struct weir_http_client *client)
{
	int64_t now = weir_loop_now(client->loop), earliest = WEIR_NS_NEVER;

	for (struct weir_http_target *target = client->targets; target; target = target->next) {
		struct weir_http_wire *next;
		for (struct weir_http_wire *one = target->idle; one; one = next) {
			int64_t end = weir_clock_after_ms(one->idle_ns, client->options.max_idle_ms);
			next = one->next;
			if (end <= now)
				wire_free(one);
			else if (end < earliest)
				earliest = end;
		}
	}
	if (earliest != WEIR_NS_NEVER)
		weir_loop_timer_set(client->loop, &client->idle_timer, earliest);
}

/* Makes room by closing a kept wire of whichever target has one. */
static bool close_some_idle(struct weir_http_client *client)
{
	for (struct weir_http_target *target = client->targets; target; target = target->next) {
		if (!target->idle)
			continue;
		wire_free(target->idle);
		return true;
	}
	return false;
}

/* ---- from one exchange to the next ------------------------------------------------ */

/* Separates both: returns the exchange, and keeps the wire or closes it. */
static struct weir_http_exchange *detach(struct weir_http_wire *wire, bool keep)
{
	struct weir_http_exchange *exchange = wire->exchange;
	struct weir_http_client *client = wire->easy.client;

	wire->exchange = NULL;
	exchange->wire = NULL;
	if (!keep || wire->target->closing) {
		wire_free(wire);
		return exchange;
	}
	wire->kept = true;
	wire->idle = true;
	wire->idle_ns = weir_loop_now(client->loop);
	wire->prev = NULL;
	wire->next = wire->target->idle;
	if (wire->next)
		wire->next->prev = wire;
	wire->target->idle = wire;
	if (client->starved)
		weir_http_client_soon(client); /* this one may be closed for another target */
	if (!client->idle_timer.slot)
		weir_loop_timer_set(client->loop, &client->idle_timer,
				    weir_clock_after_ms(wire->idle_ns, client->options.max_idle_ms));
	return exchange;
}

void weir_http_wire_stop(struct weir_http_exchange *exchange)
{
	detach(exchange->wire, false);
}

void weir_http_wire_finish(struct weir_http_wire *wire, bool keep, int code, const char *text)
{
	weir_http_exchange_finish(detach(wire, keep), code, text);
}

static int wire_open(struct weir_http_exchange *exchange);

void weir_http_wire_broke(struct weir_http_wire *wire, const char *text)
{
	/*
	 * A kept connection that dies before the first byte of an answer was most
	 * likely closed by the server while we wrote. Once, the request goes out again
	 * on a new one; the caller is told by `sends`.
	 */
	bool again = wire->kept && !wire->heard && !wire->exchange->resent;
	struct weir_http_exchange *exchange = detach(wire, false);

	if (again) {
		exchange->resent = true;
		if (wire_open(exchange) == WEIR_OK)
			return;
	}
	weir_http_exchange_finish(exchange, WEIR_EIO, text);
}

/* ---- connecting ---------------------------------------------------------------------- */

static void on_ready(struct weir_watch *watch, uint32_t events)
{
	struct weir_http_wire *wire = WEIR_CONTAINER(watch, struct weir_http_wire, watch);

	if (!wire->exchange)
		wire_free(wire); /* closed by the server, or it speaks unasked */
	else
		weir_http_wire_work(wire, events);
}

static void on_connected(struct weir_http_easy *easy, CURLcode result)
{
	struct weir_http_wire *wire = WEIR_CONTAINER(easy, struct weir_http_wire, easy);
	struct weir_http_failure failure = weir_http_failure_of(easy, result);

	if (failure.code == WEIR_OK)
		wire->watch.fd = weir_http_easy_take_socket(easy);
	weir_http_easy_stop(easy);
	curl_easy_cleanup(easy->handle);
	easy->handle = NULL;
	if (failure.code == WEIR_OK && (wire->watch.fd < 0 || weir_http_wire_watch(wire, 0) != WEIR_OK))
		failure = (struct weir_http_failure){ WEIR_EUNAVAIL, "no connection could be made" };
	if (failure.code != WEIR_OK) {
		weir_http_wire_finish(wire, false, failure.code, failure.text);
		return;
	}
	weir_http_wire_send(wire);
}

#define SET(easy, option, value)                                                                                       \
	do {                                                                                                           \
		if (curl_easy_setopt(easy, option, value) != CURLE_OK)                                                 \
			return WEIR_ENOMEM;                                                                            \
	} while (0)

static int connect_start(struct weir_http_easy *easy, const struct weir_http_target *target)
{
	if (weir_http_multi_ready(easy->client) == WEIR_OK)
		easy->handle = curl_easy_init();
	if (!easy->handle)
		return WEIR_ENOMEM;
	SET(easy->handle, CURLOPT_URL, target->url);
	SET(easy->handle, CURLOPT_PROTOCOLS_STR, "http");
	SET(easy->handle, CURLOPT_CONNECT_ONLY, 1L);
	SET(easy->handle, CURLOPT_NOSIGNAL, 1L);
	/* A proxy from the environment would defeat the address rules. */
	SET(easy->handle, CURLOPT_PROXY, "");
	SET(easy->handle, CURLOPT_TCP_NODELAY, 1L);
	SET(easy->handle, CURLOPT_TCP_KEEPALIVE, 1L);
	SET(easy->handle, CURLOPT_CONNECTTIMEOUT_MS, (long)target->client->options.connect_timeout_ms);
	if (weir_http_easy_setup(easy) != WEIR_OK)
		return WEIR_ENOMEM;
	return weir_http_easy_start(easy);
}

/* A new wire for an exchange. */
static int wire_open(struct weir_http_exchange *exchange)
{
	struct weir_http_target *target = exchange->target;
	struct weir_http_client *client = target->client;
	struct weir_http_wire *wire;

	if (client->wires >= client->options.max_connections && !close_some_idle(client)) {
		client->starved = true;
		return WEIR_EAGAIN;
	}
	wire = weir_mem_zalloc(1, sizeof *wire);
	if (!wire)
		return WEIR_ENOMEM;
	client->wires++;
	wire->target = target;
	wire->watch.fd = -1;
	wire->watch.ready = on_ready;
	wire->easy.client = client;
	wire->easy.done = on_connected;
	weir_dynbuf_init(&wire->out, WEIR_HTTP_REQUEST_MAX);
	if (weir_http_wire_begin(wire, exchange) != WEIR_OK || connect_start(&wire->easy, target) != WEIR_OK) {
		exchange->wire = NULL;
		wire_free(wire);
		return WEIR_ENOMEM;
	}
	return WEIR_OK;
}

int weir_http_wire_start(struct weir_http_exchange *exchange)
{
	struct weir_http_wire *wire = exchange->target->idle;
	int code;

	if (!wire)
		return wire_open(exchange);
	code = weir_http_wire_begin(wire, exchange);
	if (code != WEIR_OK)
		return code;
	leave_idle(wire);
	weir_http_wire_send(wire);
	return WEIR_OK;
}
