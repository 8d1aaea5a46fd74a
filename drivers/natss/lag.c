/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a subscription is behind. The server tells a client neither a
 * channel's newest sequence nor a durable's position. But whoever subscribes
 * with "the last one" gets it at once, and its sequence with it. That is done
 * only when somebody wants to know, and at most once a second. The answer counts
 * what was there when it was asked for.
 */
#include "natss.h"

enum {
	EVERY_MS = 1000,
	ANSWER_MS = 300,
	SURE_MS = 500,
	/*
	 * An empty channel does not answer. The server starts subscriptions one
	 * after the other: once it has taken a second one, the first has got
	 * what there is for it.
	 */
	SILENT_MAX = 2,
};

/* ---- what is known --------------------------------------------------------------- */

uint64_t weir_natss_lag(struct weir_sub *sub, int64_t *at_ns)
{
	const struct natss_lag *lag = &sub->lag;

	if (!lag->wanted) {
		sub->lag.wanted = true;
		pthread_cond_signal(&sub->session.wake);
	}
	*at_ns = lag->at_ns;
	/* Where others read, it is not known here what they have. */
	if (!lag->known || sub->sequence.shared || !sub->session.link)
		return UINT64_MAX;
	if (sub->sequence.last)
		return sub->inflight.count + (lag->last > sub->sequence.last ? lag->last - sub->sequence.last : 0);
	/*
	 * Nothing new has come yet. The server sent what it had for this
	 * subscription before it answered, unless its window was full; give the
	 * library's threads time to bring it.
	 */
	if (sub->inflight.count >= sub->max_inflight || weir_natss_now() < lag->sure_ns)
		return UINT64_MAX;
	return sub->inflight.count;
}

/* ---- asking ----------------------------------------------------------------------- */

/* Lock held. The session's thread ends the question. */
static void answered(struct weir_sub *sub, uint64_t last)
{
	sub->lag.last = last;
	sub->lag.at_ns = sub->lag.asking_ns;
	sub->lag.sure_ns = weir_natss_after_ms(weir_natss_now(), SURE_MS);
	sub->lag.known = true;
	sub->lag.silent = 0;
	sub->lag.until_ns = 0;
	pthread_cond_signal(&sub->session.wake);
}

static void on_last(stanConnection *sc, stanSubscription *ssub, const char *channel, stanMsg *message, void *closure)
{
	struct weir_sub *sub = weir_natss_link_enter((uintptr_t)closure);

	(void)sc;
	(void)ssub;
	(void)channel;
	if (sub) {
		weir_natss_lock(sub->session.inst);
		if (sub->lag.until_ns)
			answered(sub, stanMsg_GetSequence(message));
		weir_natss_unlock(sub->session.inst);
	}
	weir_natss_link_leave();
	stanMsg_Destroy(message);
}

static natsStatus ask(struct weir_sub *sub)
{
	stanSubOptions *options = NULL;
	natsStatus status = stanSubOptions_Create(&options);

	status = status ? status : stanSubOptions_StartWithLastReceived(options);
	status = status ? status : stanSubOptions_SetMaxInflight(options, 1);
	if (!status)
		status = stanConnection_Subscribe(&sub->lag.ssub, sub->session.sc, sub->topic->name, on_last,
						  (void *)sub->lag.link, options);
	stanSubOptions_Destroy(options);
	return status;
}

static void begin(struct weir_sub *sub)
{
	struct weir_inst *inst = sub->session.inst;
	natsStatus status = NATS_NO_MEMORY;

	sub->lag.wanted = false;
	sub->lag.asking_ns = weir_natss_now();
	sub->lag.until_ns = INT64_MAX;
	weir_natss_unlock(inst);
	sub->lag.link = weir_natss_link_new(sub);
	if (sub->lag.link)
		status = ask(sub);
	weir_natss_lock(inst);
	if (status) {
		sub->lag.silent = 0;
		sub->lag.until_ns = 0;
	} else if (sub->lag.until_ns) {
		sub->lag.until_ns = weir_natss_after_ms(weir_natss_now(), ANSWER_MS);
	}
}

static void end(struct weir_sub *sub)
{
	struct weir_inst *inst = sub->session.inst;

	weir_natss_unlock(inst);
	weir_natss_lag_drop(sub);
	weir_natss_lock(inst);
}

bool weir_natss_lag_work(struct weir_sub *sub)
{
	struct natss_lag *lag = &sub->lag;
	int64_t now_ns = weir_natss_now();

	if (sub->session.stop)
		return false;
	if (lag->link && lag->until_ns && lag->until_ns <= now_ns) {
		lag->until_ns = 0;
		if (++lag->silent == SILENT_MAX)
			answered(sub, 0);
		else
			lag->wanted = true;
	}
	if (lag->link && !lag->until_ns) {
		end(sub);
		return true;
	}
	if (lag->link || !lag->wanted || (!lag->silent && weir_natss_after_ms(lag->asking_ns, EVERY_MS) > now_ns))
		return false;
	begin(sub);
	return true;
}

void weir_natss_lag_drop(struct weir_sub *sub)
{
	if (!sub->lag.link)
		return;
	weir_natss_link_end(sub->lag.link);
	stanSubscription_Destroy(sub->lag.ssub);
	sub->lag.ssub = NULL;
	sub->lag.link = 0;
}
