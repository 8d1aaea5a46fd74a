/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that owns the connection. It sleeps until the socket, the host's
 * threads or a time wake it, and then takes one turn: reads, answers what came,
 * sends what waits, asks for more.
 */
#include "jetstream.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	TICK_MS = 100,
	IDLE_MS = 1000,
	NUDGE_NS = 500000,
};

/* ---- commands --------------------------------------------------------------------------- */

static struct command *command_take(struct weir_inst *inst)
{
	struct command *command = NULL;

	pthread_mutex_lock(&inst->lock);
	if (weir_list_linked(&inst->commands)) {
		command = weir_list_entry(inst->commands.next, struct command, link);
		weir_list_unlink(&command->link);
	}
	pthread_mutex_unlock(&inst->lock);
	return command;
}

static void commands_run(struct weir_inst *inst)
{
	struct command *command;

	while ((command = command_take(inst))) {
		if (command->kind == COMMAND_DELETE_TOPIC) {
			weir_js_delete_stream(inst, command);
			continue;
		}
		weir_js_sub_free(command->sub);
		if (command->keep)
			weir_js_command_finish(inst, command, NULL);
		else
			weir_js_delete_consumer(inst, command);
	}
}

/* What the host has made since. */
static void adopt(struct weir_inst *inst)
{
	pthread_mutex_lock(&inst->lock);
	weir_list_append_all(&inst->topics, &inst->new_topics);
	weir_list_append_all(&inst->subs, &inst->new_subs);
	pthread_mutex_unlock(&inst->lock);
}

/* ---- a turn -------------------------------------------------------------------------------- */

static struct weir_error broken(const struct weir_inst *inst)
{
	struct weir_error why = WEIR_ERROR_INIT;
	const char *text = NULL;
	natsStatus status = natsConnection_GetLastError(inst->nc, &text);
	char words[200];
	size_t i;

	snprintf(words, sizeof words, "%.190s", text && *text ? text : "the server closed it");
	for (i = 0; words[i]; i++)
		if ((unsigned char)words[i] < 0x20)
			words[i] = ' ';
	weir_fail(&why, WEIR_EUNAVAIL, "jetstream: the connection to %.200s is lost: %s", inst->settings.login.shown,
		  words);
	weir_error_native(&why, "nats", (int)status);
	why.scope = WEIR_SCOPE_INSTANCE;
	return why;
}

static void read_socket(struct weir_inst *inst, int64_t now)
{
	if (!inst->readable || !inst->nc)
		return;
	inst->readable = false;
	inst->heard_ns = now;
	natsConnection_ProcessReadEvent(inst->nc);
}

static void receive(struct weir_inst *inst, int64_t now)
{
	struct link *at;

	weir_js_control(inst);
	for (at = inst->subs.next; at != &inst->subs; at = at->next)
		weir_js_receive(weir_list_entry(at, struct weir_sub, link), now);
}

/* Milliseconds until a subscription wants to ask for more. */
static int pull(struct weir_inst *inst, int64_t now)
{
	struct link *at;
	int soonest = IDLE_MS, ms;

	for (at = inst->subs.next; at != &inst->subs; at = at->next) {
		ms = weir_js_pull(weir_list_entry(at, struct weir_sub, link), now);
		if (ms >= 0 && ms < soonest)
			soonest = ms;
	}
	return soonest;
}

static void tick(struct weir_inst *inst, int64_t now)
{
	struct link *at;

	if (now - inst->tick_ns < TICK_MS * WEIR_JS_MS)
		return;
	inst->tick_ns = now;
	weir_js_calls_expire(inst, now);
	weir_js_publish_expire(inst, now);
	for (at = inst->subs.next; at != &inst->subs; at = at->next)
		weir_js_keep(weir_list_entry(at, struct weir_sub, link), now, false);
	weir_js_pulse(inst, now);
}

/* What must not wait for a second: something is under way. */
static bool busy(struct weir_inst *inst)
{
	bool ret;

	pthread_mutex_lock(&inst->lock);
	ret = inst->pending || inst->out_count || inst->stop || !inst->is_up;
	pthread_mutex_unlock(&inst->lock);
	return ret || weir_list_linked(&inst->calls);
}

/*
 * Whether acknowledgements and requests are due: what the host settles and
 * gives credit for one by one is told to the server together.
 */
static bool due(struct weir_inst *inst, int64_t now)
{
	if (!inst->nudged_ns && atomic_load(&inst->io_nudged))
		inst->nudged_ns = now;
	if (inst->nudged_ns && !inst->urgent && now - inst->nudged_ns < NUDGE_NS)
		return false;
	/* Before it is done: who nudges from now on is for the next time. */
	atomic_store(&inst->io_nudged, false);
	inst->nudged_ns = 0;
	return true;
}

static int turn(struct weir_inst *inst)
{
	int64_t now = weir_js_now();
	int wait;

	adopt(inst);
	weir_js_connect(inst);
	read_socket(inst, now);
	receive(inst, now);
	if (inst->nc && inst->lost) {
		struct weir_error why = broken(inst);

		weir_js_disconnect(inst, &why);
	}
	commands_run(inst);
	if (inst->account_ok) {
		weir_js_topics_tend(inst, now);
		weir_js_subs_tend(inst, now);
	}
	weir_js_publish_send(inst, now);
	wait = IDLE_MS;
	if (due(inst, now)) {
		weir_js_words_say(inst);
		wait = pull(inst, now);
	} else if (inst->nudged_ns) {
		wait = 1;
	}
	tick(inst, now);
	weir_js_write(inst);
	return wait < TICK_MS || !busy(inst) ? wait : TICK_MS;
}

static void sleep_until(struct weir_inst *inst, int timeout_ms)
{
	struct epoll_event events[4];
	int count = epoll_wait(inst->epoll_fd, events, 4, timeout_ms), i;
	uint64_t value;

	for (i = 0; i < count; i++) {
		if (events[i].data.u32 == 1) {
			inst->readable |= events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP);
			continue;
		}
		/* Before anything is looked at: what comes while we look wakes us again. */
		if (read(inst->io_fd, &value, sizeof value) < 0)
			value = 0; /* it was raised and taken already */
	}
	inst->urgent = atomic_exchange(&inst->io_woken, false);
}

/* ---- the end ----------------------------------------------------------------------------------- */

static bool stopping(struct weir_inst *inst)
{
	bool ret;

	pthread_mutex_lock(&inst->lock);
	ret = inst->stop;
	pthread_mutex_unlock(&inst->lock);
	return ret;
}

static bool done_publishing(struct weir_inst *inst, bool *abort, int64_t *deadline_ns)
{
	bool ret;

	pthread_mutex_lock(&inst->lock);
	/* What is in the ring of completions is done. */
	ret = inst->pending == inst->done_count;
	*abort = inst->abort;
	*deadline_ns = inst->stop_ns;
	pthread_mutex_unlock(&inst->lock);
	return ret;
}

static void subs_free(struct weir_inst *inst)
{
	adopt(inst);
	for (;;) {
		struct weir_sub *sub = NULL;

		pthread_mutex_lock(&inst->lock);
		if (weir_list_linked(&inst->subs))
			sub = weir_list_entry(inst->subs.next, struct weir_sub, link);
		pthread_mutex_unlock(&inst->lock);
		if (!sub)
			return;
		weir_js_sub_free(sub);
	}
}

/* Publishes get until the deadline; then everything that was said is heard by the server, if it listens. */
static void wind_up(struct weir_inst *inst)
{
	const struct weir_error closed = { .size = sizeof closed, .code = WEIR_ECLOSED };
	int64_t deadline_ns = 0;
	bool abort = false;

	commands_run(inst);
	subs_free(inst);
	while (!done_publishing(inst, &abort, &deadline_ns) && !abort && weir_js_now() < deadline_ns)
		sleep_until(inst, turn(inst) < TICK_MS ? 1 : TICK_MS / 10);
	weir_js_publish_abort(inst);
	commands_run(inst);
	weir_js_words_say(inst);
	weir_js_mark(inst);
	while (inst->nc && !inst->lost && inst->flushed < inst->flush_wanted && weir_js_now() < deadline_ns) {
		weir_js_write(inst);
		sleep_until(inst, TICK_MS / 10);
		read_socket(inst, weir_js_now());
		weir_js_control(inst);
	}
	weir_js_calls_fail(inst, &closed);
	weir_js_disconnect(inst, &closed);
	commands_run(inst);
}

void *weir_js_io_thread(void *arg)
{
	struct weir_inst *inst = arg;
	bool orphan;

	while (!stopping(inst))
		sleep_until(inst, turn(inst));
	wind_up(inst);
	nats_ReleaseThreadMemory();
	pthread_mutex_lock(&inst->lock);
	inst->stopped = true;
	orphan = inst->orphan;
	pthread_cond_broadcast(&inst->changed);
	pthread_mutex_unlock(&inst->lock);
	if (orphan)
		weir_js_inst_free(inst);
	return NULL;
}
