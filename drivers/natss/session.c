/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session: a thread that keeps one connection to the streaming server.
 *
 * The library connects the transport again by itself, but what the server sent
 * meanwhile is lost, and what was published is uncertain for as long as its
 * timer takes. So the first interruption ends a connection, whatever the cause,
 * and a new one is made: the server then sends everything that was not acked,
 * in order, and knows that the old client is gone.
 */
#include "natss.h"

#include <stdlib.h>
#include <string.h>

enum {
	RETRY_MIN_MS = 100,
	RETRY_MAX_MS = 2000,
	FENCED_MS = 1500, /* while another client reads: about how long its successor takes to notice its death */
	TICK_MS = 100,
	CHECK_MS = 1000,
	FLUSH_MS = 1000,
	RECONNECT_MS = 500,
};

/* ---- what the library calls -------------------------------------------------- */

static void lose(void *closure)
{
	struct session *session = weir_natss_link_enter((uintptr_t)closure);

	if (session) {
		weir_natss_lock(session->inst);
		weir_natss_session_lose(session);
		weir_natss_unlock(session->inst);
	}
	weir_natss_link_leave();
}

static void on_interrupted(natsConnection *nc, void *closure)
{
	(void)nc;
	lose(closure);
}

static void on_lost(stanConnection *sc, const char *text, void *closure)
{
	(void)sc;
	(void)text;
	lose(closure);
}

/* The library's own prints to standard error. What matters comes another way. */
static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus status, void *closure)
{
	(void)nc;
	(void)sub;
	(void)status;
	(void)closure;
}

/* ---- state ---------------------------------------------------------------------- */

void weir_natss_session_lose(struct session *session)
{
	session->lost = true;
	pthread_cond_signal(&session->wake);
}

void weir_natss_session_mark(struct session *session, bool away, const struct weir_error *why)
{
	struct weir_inst *inst = session->inst;

	if (away == session->away)
		return;
	session->away = away;
	inst->away = away ? inst->away + 1 : inst->away - 1;
	if (away && why)
		inst->down.error = *why;
	if (inst->is_up == (inst->away == 0))
		return;
	inst->is_up = inst->away == 0;
	weir_natss_notify(inst, inst->is_up ? &inst->up : &inst->down);
	pthread_cond_broadcast(&inst->changed);
}

bool weir_natss_session_enter(struct session *session)
{
	if (!session->open || session->lost || session->stop)
		return false;
	session->users++;
	return true;
}

void weir_natss_session_leave(struct session *session)
{
	/* The last that is done with the session: its thread may be waiting to close it. */
	atomic_fetch_sub(&session->users, 1);
}

/* Lock held. */
static bool ended(const struct session *session)
{
	return session->stop && (!session->persist || session->done || session->stop_ns <= weir_natss_now());
}

/* ---- connecting --------------------------------------------------------------------- */

static natsStatus stan_options(struct session *session, natsOptions *transport, stanConnOptions **ret)
{
	const struct settings *settings = &session->inst->settings;
	void *closure = (void *)session->link;
	natsStatus status = stanConnOptions_Create(ret);

	status = status ? status : natsOptions_SetDisconnectedCB(transport, on_interrupted, closure);
	status = status ? status : natsOptions_SetClosedCB(transport, on_interrupted, closure);
	status = status ? status : natsOptions_SetErrorHandler(transport, on_error, NULL);
	/*
	 * It holds its lock while it connects again, so it shall not try before
	 * it is closed. But one that is closed just then waits this long.
	 */
	status = status ? status : natsOptions_SetReconnectWait(transport, RECONNECT_MS);
	status = status ? status : natsOptions_SetIgnoreDiscoveredServers(transport, true);
	if (!status && session == &session->inst->publisher)
		status = natsOptions_SetIOBufSize(transport, WEIR_NATSS_BUFFER);
	status = status ? status : stanConnOptions_SetNATSOptions(*ret, transport);
	status = status ? status : stanConnOptions_SetConnectionWait(*ret, WEIR_NATSS_REQUEST_MS);
	status = status ? status : stanConnOptions_SetPubAckWait(*ret, WEIR_NATSS_CONFIRM_MS);
	/* One more than there ever are: at its limit the library waits with its lock held. */
	status = status ? status : stanConnOptions_SetMaxPubAcksInflight(*ret, WEIR_NATSS_MAX_INFLIGHT + 1, 1.0f);
	status = status ? status : stanConnOptions_SetPings(*ret, settings->ping_s, settings->ping_max);
	return status ? status : stanConnOptions_SetConnectionLostHandler(*ret, on_lost, closure);
}

static int connect_to(struct session *session, int server, struct weir_error *err)
{
	const struct settings *settings = &session->inst->settings;
	natsOptions *transport = NULL;
	stanConnOptions *options = NULL;
	natsStatus status;
	int code = weir_nats_options(&settings->login, server, session->client, &transport, err);

	if (code)
		return code;
	status = stan_options(session, transport, &options);
	if (!status)
		status = stanConnection_Connect(&session->sc, settings->cluster, session->client, options);
	if (status)
		code = weir_natss_fail(err, status, "connecting to %.100s, cluster %.64s", settings->login.shown,
				       settings->cluster);
	stanConnOptions_Destroy(options);
	natsOptions_Destroy(transport);
	return code;
}

/* One server after the other: with several of them the library would not wait before it connects again. */
static int connect_any(struct session *session, struct weir_error *err)
{
	const struct weir_nats_login *login = &session->inst->settings.login;
	int code = WEIR_EUNAVAIL;

	for (int i = 0; i < login->server_count && code && code != WEIR_EFENCED; i++)
		code = connect_to(session, i, err);
	return code;
}

/* Frees what is connected; also after it was lost. */
static void disconnect(struct session *session)
{
	weir_natss_lock(session->inst);
	session->lost = true;
	session->open = false;
	while (session->users)
		weir_natss_cond_wait(session->inst, &session->wake,
				     weir_natss_after_ms(weir_natss_now(), WEIR_NATSS_STEP_MS));
	weir_natss_unlock(session->inst);
	/* The connection first: then the rest does not ask a server that may not answer. */
	stanConnection_Close(session->sc);
	if (session->role->closed)
		session->role->closed(session);
	stanSubscription_Destroy(session->ssub);
	stanConnection_Destroy(session->sc);
	weir_natss_link_end(session->link);
	weir_natss_lock(session->inst);
	session->sc = NULL;
	session->ssub = NULL;
	session->link = 0;
	weir_natss_unlock(session->inst);
}

static int open_link(struct session *session, struct weir_error *err)
{
	uintptr_t link = weir_natss_link_new(session);

	weir_natss_lock(session->inst);
	session->link = link;
	session->lost = false;
	weir_natss_unlock(session->inst);
	return link ? WEIR_OK : weir_fail(err, WEIR_ENOMEM, "natss: no memory for a connection");
}

static int establish(struct session *session, struct weir_error *err)
{
	int code = open_link(session, err);

	code = code ? code : connect_any(session, err);
	code = code ? code : session->role->begin(session, err);
	if (code)
		disconnect(session);
	return code;
}

/* ---- serving --------------------------------------------------------------------------- */

/* The library may lose a connection without a word, when memory is short. */
static bool is_closed(struct session *session)
{
	natsConnection *nc = NULL;
	bool closed = stanConnection_GetNATSConnection(session->sc, &nc) != NATS_OK;

	if (!closed) {
		closed = natsConnection_IsClosed(nc);
		stanConnection_ReleaseNATSConnection(session->sc);
	}
	return closed;
}

static void check(struct session *session)
{
	bool closed;

	weir_natss_unlock(session->inst);
	closed = is_closed(session);
	weir_natss_lock(session->inst);
	session->lost |= closed;
}

/* Until the connection is lost or nobody wants it. */
static void serve(struct session *session)
{
	struct weir_inst *inst = session->inst;
	int64_t check_ns = weir_natss_after_ms(weir_natss_now(), CHECK_MS);

	weir_natss_lock(inst);
	while (!session->lost && !session->stop) {
		if (session->role->work(session))
			continue;
		weir_natss_cond_wait(inst, &session->wake, check_ns);
		if (weir_natss_now() < check_ns)
			continue;
		check_ns = weir_natss_after_ms(weir_natss_now(), CHECK_MS);
		if (session->role->tick)
			session->role->tick(session);
		check(session);
	}
	while (!session->lost && session->role->work(session))
		continue;
	weir_natss_unlock(inst);
}

/* What was written is at the server when this returns. False: it does not answer. */
static bool flush(struct session *session)
{
	natsConnection *nc = NULL;
	natsStatus status = stanConnection_GetNATSConnection(session->sc, &nc);

	if (status)
		return false;
	status = natsConnection_FlushTimeout(nc, FLUSH_MS);
	stanConnection_ReleaseNATSConnection(session->sc);
	return status == NATS_OK;
}

static void leave(struct session *session)
{
	bool good;

	weir_natss_lock(session->inst);
	good = session->stop && !session->lost;
	weir_natss_unlock(session->inst);
	if (good && flush(session) && session->role->leave)
		session->role->leave(session);
}

/* ---- the thread -------------------------------------------------------------------------- */

/* A quarter more or less, so that those who lost the same server do not all come at once. */
static int64_t spread(int64_t ms)
{
	return ms * 3 / 4 + weir_natss_now() / 1000 % (ms / 2 + 1);
}

static void rest(struct session *session, int64_t ms)
{
	struct weir_inst *inst = session->inst;
	int64_t until = weir_natss_after_ms(weir_natss_now(), spread(ms));

	weir_natss_lock(inst);
	while (!ended(session) && weir_natss_now() < until) {
		int64_t tick = weir_natss_after_ms(weir_natss_now(), TICK_MS);

		if (session->role->tick)
			session->role->tick(session);
		weir_natss_cond_wait(inst, &session->wake, tick < until ? tick : until);
	}
	weir_natss_unlock(inst);
}

static void came_up(struct session *session)
{
	weir_natss_lock(session->inst);
	session->was_up = true;
	session->open = true;
	weir_natss_session_mark(session, false, NULL);
	weir_natss_unlock(session->inst);
}

static void failed(struct session *session, const struct weir_error *why)
{
	struct weir_inst *inst = session->inst;

	weir_natss_log(inst, 3, "%s", why->text);
	weir_natss_lock(inst);
	/* One that never was connected keeps nobody from anything that worked. */
	if (session->was_up && why->code != WEIR_EFENCED)
		weir_natss_session_mark(session, true, why);
	if (session->away)
		inst->down.error = *why;
	if (session->role->failed)
		session->role->failed(session, why);
	pthread_cond_broadcast(&inst->changed);
	weir_natss_unlock(inst);
}

static void interrupted(struct session *session)
{
	struct weir_error why = WEIR_ERROR_INIT;

	weir_fail(&why, WEIR_EUNAVAIL, "natss: the connection to %.200s was lost; it is being made anew",
		  session->inst->settings.login.shown);
	why.scope = WEIR_SCOPE_INSTANCE;
	weir_natss_lock(session->inst);
	if (!session->stop)
		weir_natss_session_mark(session, true, &why);
	weir_natss_unlock(session->inst);
}

static bool has_ended(struct session *session)
{
	bool result;

	weir_natss_lock(session->inst);
	result = ended(session);
	weir_natss_unlock(session->inst);
	return result;
}

static void *run(void *arg)
{
	struct session *session = arg;
	int64_t delay_ms = RETRY_MIN_MS;

	while (!has_ended(session)) {
		struct weir_error why = WEIR_ERROR_INIT;

		if (establish(session, &why)) {
			failed(session, &why);
			rest(session, why.code == WEIR_EFENCED ? FENCED_MS : delay_ms);
			delay_ms = delay_ms * 2 < RETRY_MAX_MS ? delay_ms * 2 : RETRY_MAX_MS;
			continue;
		}
		delay_ms = RETRY_MIN_MS;
		came_up(session);
		serve(session);
		interrupted(session);
		leave(session);
		disconnect(session);
	}
	return NULL;
}

/* ---- for the other files -------------------------------------------------------------------- */

void weir_natss_session_init(struct session *session, struct weir_inst *inst, const struct session_role *role)
{
	session->inst = inst;
	session->role = role;
	weir_natss_cond_init(&session->wake);
}

int weir_natss_session_start(struct session *session, struct weir_error *err)
{
	if (pthread_create(&session->thread, NULL, run, session) != 0)
		return weir_fail(err, WEIR_ELIMIT, "natss: no thread for a connection");
	return WEIR_OK;
}

void weir_natss_session_stop(struct session *session, int64_t deadline_ns)
{
	session->stop = true;
	session->stop_ns = deadline_ns;
	pthread_cond_signal(&session->wake);
}

void weir_natss_session_join(struct session *session)
{
	pthread_join(session->thread, NULL);
	weir_natss_lock(session->inst);
	weir_natss_session_mark(session, false, NULL);
	weir_natss_unlock(session->inst);
}

void weir_natss_session_fini(struct session *session)
{
	pthread_cond_destroy(&session->wake);
}
