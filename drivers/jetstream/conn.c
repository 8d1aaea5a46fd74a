/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection: made anew whenever it is lost, by us and not by the library,
 * so that nothing of it happens outside of io. All of it runs on io, except
 * what the library calls in a thread of its own: those only fill the voice.
 */
#include "jetstream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BACKOFF_MIN_MS = 100,
	BACKOFF_MAX_MS = 2000,
	BUFFER = 128 << 10,
	LIBRARY_PING_MS = 24 * 3600 * 1000, /* we look ourselves: the library's timer would close the socket under io */
};

/* Newer libraries keep a connection until they are told that its events are no longer served. */
extern void natsConnection_ProcessDetachedEvent(natsConnection *nc) __attribute__((weak));

/* ---- what the library tells in a thread of its own ------------------------------------- */

static struct voice *voice_new(void)
{
	struct voice *voice = calloc(1, sizeof *voice);

	if (!voice)
		return NULL;
	atomic_init(&voice->refs, 2); /* ours, and that of the library's last call */
	pthread_mutex_init(&voice->lock, NULL);
	return voice;
}

static void voice_drop(struct voice *voice)
{
	if (!voice || atomic_fetch_sub(&voice->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&voice->lock);
	free(voice);
}

static void on_complaint(natsConnection *nc, natsSubscription *sub, natsStatus status, void *closure)
{
	struct voice *voice = closure;
	const char *text = NULL;

	(void)sub;
	natsConnection_GetLastError(nc, &text);
	pthread_mutex_lock(&voice->lock);
	voice->status = (int)status;
	snprintf(voice->text, sizeof voice->text, "%.250s", text && *text ? text : natsStatus_GetText(status));
	pthread_mutex_unlock(&voice->lock);
}

/* The last that the library ever calls about a connection. */
static void on_closed(natsConnection *nc, void *closure)
{
	(void)nc;
	voice_drop(closure);
}

void weir_js_complaint(struct weir_inst *inst, char text[256])
{
	size_t i;

	text[0] = '\0';
	if (!inst->voice)
		return;
	pthread_mutex_lock(&inst->voice->lock);
	if (inst->voice->status)
		memcpy(text, inst->voice->text, sizeof inst->voice->text);
	pthread_mutex_unlock(&inst->voice->lock);
	for (i = 0; text[i]; i++)
		if ((unsigned char)text[i] < 0x20)
			text[i] = ' ';
}

/* ---- the library's event loop: ours ----------------------------------------------------- */

static natsStatus on_attach(void **data, void *loop, natsConnection *nc, natsSock fd)
{
	struct weir_inst *inst = loop;
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 1 };

	(void)nc;
	*data = inst;
	inst->fd = fd;
	inst->lost = inst->out_armed = inst->want_write = false;
	return epoll_ctl(inst->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? NATS_OK : NATS_SYS_ERROR;
}

/* The library stops reading when the connection has failed. */
static natsStatus on_read(void *data, bool add)
{
	struct weir_inst *inst = data;

	if (add || inst->fd < 0)
		return NATS_OK;
	epoll_ctl(inst->epoll_fd, EPOLL_CTL_DEL, inst->fd, NULL);
	inst->fd = -1;
	inst->lost = true;
	return NATS_OK;
}

static natsStatus on_write(void *data, bool add)
{
	struct weir_inst *inst = data;

	inst->want_write = add;
	return NATS_OK;
}

static natsStatus on_detach(void *data)
{
	struct weir_inst *inst = data;

	on_read(data, false);
	if (natsConnection_ProcessDetachedEvent && inst->nc)
		natsConnection_ProcessDetachedEvent(inst->nc);
	return NATS_OK;
}

void weir_js_write(struct weir_inst *inst)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 1 };

	if (!inst->nc || inst->lost)
		return;
	if (inst->want_write)
		natsConnection_ProcessWriteEvent(inst->nc);
	if (inst->lost || inst->want_write == inst->out_armed)
		return;
	/* What the socket did not take waits until it does. */
	inst->out_armed = inst->want_write;
	if (inst->out_armed)
		event.events |= EPOLLOUT;
	epoll_ctl(inst->epoll_fd, EPOLL_CTL_MOD, inst->fd, &event);
}

bool weir_js_say(struct weir_inst *inst, const char *subject, const char *text, size_t len)
{
	return inst->nc && natsConnection_Publish(inst->nc, subject, text, (int)len) == NATS_OK;
}

/* ---- up and down -------------------------------------------------------------------------- */

void weir_js_reachable(struct weir_inst *inst, bool up, const struct weir_error *why)
{
	bool changed;

	pthread_mutex_lock(&inst->lock);
	changed = up != inst->is_up || !inst->tried;
	if (why)
		inst->down.error = *why;
	inst->is_up = up;
	inst->tried = true;
	if (changed)
		weir_js_notify(inst, up ? &inst->up : &inst->down);
	pthread_cond_broadcast(&inst->changed);
	pthread_mutex_unlock(&inst->lock);
	if (changed && !up && why)
		weir_js_log(inst, 1, "%s", why->text);
	else if (changed && up)
		weir_js_log(inst, 2, "jetstream: connected to %.200s", inst->settings.login.shown);
}

static void account_known(struct weir_inst *inst, struct call *call, struct json_object *answer,
			  const struct weir_error *failure)
{
	struct weir_error why = WEIR_ERROR_INIT;

	(void)call;
	inst->account_asked = false;
	if (!failure && weir_js_refused(answer, &why, "asking about JetStream at %.150s", inst->settings.login.shown)) {
		why.scope = WEIR_SCOPE_INSTANCE;
		failure = &why;
	}
	inst->account_ok = !failure;
	inst->backoff_ms = failure ? BACKOFF_MAX_MS / 2 : BACKOFF_MIN_MS;
	inst->connect_ns = weir_js_now() + inst->backoff_ms * WEIR_JS_MS;
	weir_js_reachable(inst, !failure, failure);
}

/* Asks whether there is JetStream, again and again until there is. */
static void account_ask(struct weir_inst *inst)
{
	const struct call call = { .done = account_known };

	if (!inst->nc || inst->account_ok || inst->account_asked || weir_js_now() < inst->connect_ns)
		return;
	inst->account_asked = weir_js_ask(inst, &call, NULL, "INFO");
}

/* ---- connecting ---------------------------------------------------------------------------- */

static natsStatus loop_set(struct weir_inst *inst, natsOptions *options)
{
	natsStatus status = natsOptions_SetEventLoop(options, inst, on_attach, on_read, on_write, on_detach);

	status = status ? status : natsOptions_SetErrorHandler(options, on_complaint, inst->voice);
	status = status ? status : natsOptions_SetClosedCB(options, on_closed, inst->voice);
	status = status ? status : natsOptions_SetPingInterval(options, LIBRARY_PING_MS);
	/* At once means here: on_write() is called by us, not by a thread that waits for more to send. */
	status = status ? status : natsOptions_SetSendAsap(options, true);
	return status ? status : natsOptions_SetIOBufSize(options, BUFFER);
}

static natsStatus inbox_open(struct weir_inst *inst)
{
	natsStatus status;

	inst->connect_count++;
	snprintf(inst->control_inbox, sizeof inst->control_inbox, "%s.c.*", inst->inbox);
	status = natsConnection_SubscribeSync(&inst->control, inst->nc, inst->control_inbox);
	return status ? status : natsSubscription_SetPendingLimits(inst->control, -1, -1);
}

static void max_payload_learn(struct weir_inst *inst)
{
	int64_t max = natsConnection_GetMaxPayload(inst->nc);

	pthread_mutex_lock(&inst->lock);
	if (max > 0 && (uint64_t)max != inst->max_payload) {
		inst->max_payload = (uint64_t)max;
		if (inst->tried)
			weir_js_notify(inst, &inst->caps);
	}
	pthread_mutex_unlock(&inst->lock);
}

static void again_later(struct weir_inst *inst)
{
	inst->backoff_ms = inst->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : inst->backoff_ms * 2;
	if (inst->backoff_ms < BACKOFF_MIN_MS)
		inst->backoff_ms = BACKOFF_MIN_MS;
	inst->connect_ns = weir_js_now() + inst->backoff_ms * WEIR_JS_MS;
}

/* One attempt at the next server. */
static void try_server(struct weir_inst *inst)
{
	const struct weir_nats_login *login = &inst->settings.login;
	struct weir_error why = WEIR_ERROR_INIT;
	natsOptions *options = NULL;
	natsStatus status = NATS_NO_MEMORY;
	int code;

	inst->server = (inst->server + 1) % login->server_count;
	inst->voice = voice_new();
	code = weir_nats_options(login, inst->server, "weir", &options, &why);
	if (!code && inst->voice && (status = loop_set(inst, options)) == NATS_OK)
		status = natsConnection_Connect(&inst->nc, options);
	if (!code && status != NATS_OK) {
		code = weir_nats_connect_fail(&why, login, status);
		/* No connection: its last call will not come. */
		voice_drop(inst->voice);
	} else if (!code && (status = inbox_open(inst)) != NATS_OK) {
		code = weir_nats_fail(&why, "jetstream", status, "subscribing to answers");
		weir_js_disconnect(inst, &why);
	}
	natsOptions_Destroy(options);
	if (!code)
		return;
	if (inst->voice) {
		voice_drop(inst->voice);
		inst->voice = NULL;
	}
	inst->nc = NULL;
	again_later(inst);
	weir_js_reachable(inst, false, &why);
}

void weir_js_connect(struct weir_inst *inst)
{
	int64_t now = weir_js_now();

	if (!inst->nc && now >= inst->connect_ns) {
		try_server(inst);
		if (inst->nc) {
			inst->heard_ns = weir_js_now();
			inst->account_ok = inst->account_asked = false;
			inst->connect_ns = 0;
			max_payload_learn(inst);
		}
	}
	account_ask(inst);
}

void weir_js_disconnect(struct weir_inst *inst, const struct weir_error *why)
{
	struct link *at;

	if (!inst->nc)
		return;
	for (at = inst->subs.next; at != &inst->subs; at = at->next)
		weir_js_sub_cut(weir_list_entry(at, struct weir_sub, link));
	for (at = inst->topics.next; at != &inst->topics; at = at->next)
		weir_js_topic_doubt(weir_list_entry(at, struct weir_topic, link));
	natsSubscription_Destroy(inst->control);
	inst->control = NULL;
	/* A connection that it takes for alive the library would wait for: for an answer that only we could read. */
	if (!inst->lost && inst->fd >= 0) {
		shutdown(inst->fd, SHUT_RDWR);
		natsConnection_ProcessReadEvent(inst->nc);
	}
	natsConnection_Destroy(inst->nc);
	inst->nc = NULL;
	inst->fd = -1;
	voice_drop(inst->voice);
	inst->voice = NULL;
	inst->account_ok = false;
	inst->lost = inst->want_write = inst->out_armed = inst->readable = false;
	inst->flush_wanted = inst->flushed;
	weir_js_calls_fail(inst, why);
	inst->account_asked = false;
	weir_js_publish_lost(inst);
	again_later(inst);
	weir_js_reachable(inst, false, why);
}

/* ---- what comes for the instance ------------------------------------------------------------- */

static void control_take(struct weir_inst *inst, natsMsg *msg)
{
	const char *subject = natsMsg_GetSubject(msg), *word = strrchr(subject, '.');
	unsigned long long id;

	if (!word || !word[1])
		return;
	id = strtoull(word + 2, NULL, 16);
	if (word[1] == 'p')
		weir_js_published(inst, id, msg);
	else if (word[1] == 'a')
		weir_js_answered(inst, id, msg);
	else if (word[1] == 'm' && id > inst->flushed)
		inst->flushed = id;
}

void weir_js_control(struct weir_inst *inst)
{
	natsMsg *msg;
	int count = 0;

	if (!inst->nc || !inst->control || natsSubscription_GetPending(inst->control, &count, NULL) != NATS_OK)
		return;
	while (count-- > 0 && natsSubscription_NextMsg(&msg, inst->control, 0) == NATS_OK) {
		control_take(inst, msg);
		natsMsg_Destroy(msg);
		if (!inst->nc)
			return;
	}
}

void weir_js_mark(struct weir_inst *inst)
{
	char subject[sizeof inst->inbox + 32];

	if (!inst->nc)
		return;
	snprintf(subject, sizeof subject, "%s.c.m%llx", inst->inbox, (unsigned long long)++inst->flush_wanted);
	weir_js_say(inst, subject, NULL, 0);
}

void weir_js_pulse(struct weir_inst *inst, int64_t now)
{
	struct weir_error why = WEIR_ERROR_INIT;

	if (!inst->nc)
		return;
	if (now - inst->heard_ns > WEIR_JS_DEAD_MS * WEIR_JS_MS) {
		weir_fail(&why, WEIR_EUNAVAIL,
			  "jetstream: %.200s has not answered for %d ms; is it stopped, or is the network cut?",
			  inst->settings.login.shown, WEIR_JS_DEAD_MS);
		why.scope = WEIR_SCOPE_INSTANCE;
		weir_js_disconnect(inst, &why);
		return;
	}
	if (now - inst->heard_ns > WEIR_JS_QUIET_MS * WEIR_JS_MS &&
	    now - inst->beat_ns > WEIR_JS_QUIET_MS * WEIR_JS_MS) {
		inst->beat_ns = now;
		weir_js_mark(inst);
	}
}
