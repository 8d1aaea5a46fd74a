/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions as the host sees them, and how it hands what must wait to io. */
#include "jetstream.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW = 1024 };

/* ---- commands ----------------------------------------------------------------------------- */

struct command *weir_js_command_new(int kind, int64_t deadline_ns)
{
	struct command *command = calloc(1, sizeof *command);

	if (!command)
		return NULL;
	command->kind = kind;
	command->refs = 2;
	command->deadline_ns = deadline_ns;
	weir_list_init(&command->link);
	return command;
}

int weir_js_command_run(struct weir_inst *inst, struct command *command, struct weir_error *err)
{
	struct timespec until = { command->deadline_ns / 1000000000, command->deadline_ns % 1000000000 };
	int late = 0, refs, code;

	pthread_mutex_lock(&inst->lock);
	weir_list_append(&inst->commands, &command->link);
	weir_js_wake(inst);
	while (!command->finished && !late)
		late = pthread_cond_timedwait(&inst->changed, &inst->lock, &until);
	code = command->finished ? command->error.code
				 : weir_fail(&command->error, WEIR_ETIMEDOUT,
					     "jetstream: the server has not answered in time; it may still do it");
	if (code && err)
		*err = command->error;
	refs = --command->refs;
	pthread_mutex_unlock(&inst->lock);
	if (!refs)
		free(command);
	return code;
}

void weir_js_command_finish(struct weir_inst *inst, struct command *command, const struct weir_error *failure)
{
	int refs;

	pthread_mutex_lock(&inst->lock);
	/* Nobody reads it after the deadline. */
	if (failure && command->refs > 1)
		command->error = *failure;
	command->finished = true;
	refs = --command->refs;
	pthread_cond_broadcast(&inst->changed);
	pthread_mutex_unlock(&inst->lock);
	if (!refs)
		free(command);
}

/* ---- subscribing --------------------------------------------------------------------------- */

/* A token names the consumer; its members in this process have the same number. Lock held. NULL: no memory. */
static struct group *group_of(struct weir_inst *inst, const char *stream, const char *consumer)
{
	char name[2 * WEIR_JS_MAX_NAME + 2];
	struct group *group;
	struct link *at;
	size_t size;

	snprintf(name, sizeof name, "%s/%s", stream, consumer);
	for (at = inst->groups.next; at != &inst->groups; at = at->next) {
		group = weir_list_entry(at, struct group, link);
		if (strcmp(group->name, name) == 0)
			return group;
	}
	size = strlen(name) + 1;
	group = calloc(1, sizeof *group + size);
	if (!group)
		return NULL;
	memcpy(group->name, name, size);
	group->number = ++inst->group_count;
	weir_list_init(&group->link);
	weir_list_append(&inst->groups, &group->link);
	return group;
}

static void links_init(struct weir_sub *sub)
{
	weir_list_init(&sub->link);
	weir_list_init(&sub->ready);
	weir_list_init(&sub->out);
	weir_list_init(&sub->notice.link);
	weir_list_init(&sub->stopped.link);
	weir_list_init(&sub->gap.link);
	weir_list_init(&sub->revoked.link);
	sub->notice.sub = sub->stopped.sub = sub->gap.sub = sub->revoked.sub = sub;
	sub->stopped.type = WEIR_EV_PAUSED;
}

static struct weir_sub *sub_new(struct weir_inst *inst, struct weir_topic *topic, const struct weir_sub_spec *spec,
				const char *consumer)
{
	size_t size = strlen(consumer) + 1;
	struct weir_sub *sub = calloc(1, sizeof *sub + size);

	if (!sub)
		return NULL;
	memcpy(sub->consumer, consumer, size);
	sub->inst = inst;
	sub->topic = topic;
	sub->start = spec->start;
	sub->start_value = spec->start_value;
	sub->ordered = spec->flags & WEIR_SUB_ORDERED;
	sub->ack_wait_ms = spec->ack_wait_ms ? spec->ack_wait_ms : inst->settings.ack_wait_ms;
	sub->window = spec->max_unsettled ? spec->max_unsettled : WINDOW;
	links_init(sub);
	sub->quit = weir_js_command_new(COMMAND_UNSUBSCRIBE, 0);
	if (sub->quit)
		return sub;
	free(sub);
	return NULL;
}

int weir_js_subscribe(struct weir_inst *inst, struct weir_topic *topic, const struct weir_sub_spec *spec,
		      struct weir_sub **ret, struct weir_error *err)
{
	char consumer[WEIR_JS_MAX_NAME + 1];
	struct group *group;
	struct weir_sub *sub;
	int code;

	*ret = NULL;
	if (spec->start > WEIR_START_TIME)
		return weir_fail(err, WEIR_EINVAL, "jetstream: no such start of a subscription");
	if (spec->ack_wait_ms && spec->ack_wait_ms < 1000)
		return weir_fail(err, WEIR_EINVAL, "jetstream: the time until a redelivery is at least one second");
	code = weir_js_consumer_name(&inst->settings, topic->ns, topic->channel, spec->uid, consumer, sizeof consumer,
				     err);
	if (code)
		return code;
	sub = sub_new(inst, topic, spec, consumer);
	if (!sub)
		return weir_fail(err, WEIR_ENOMEM, "jetstream: no memory for a subscription");
	pthread_mutex_lock(&inst->lock);
	group = group_of(inst, topic->stream, consumer);
	if (group) {
		sub->number = group->number;
		sub->epoch = inst->next_epoch++;
		weir_list_append(&inst->new_subs, &sub->link);
	}
	pthread_mutex_unlock(&inst->lock);
	if (!group) {
		free(sub->quit);
		free(sub);
		return weir_fail(err, WEIR_ENOMEM, "jetstream: no memory for a subscription");
	}
	weir_js_wake(inst);
	*ret = sub;
	return WEIR_OK;
}

/* ---- stopping --------------------------------------------------------------------------------- */

int weir_js_unsubscribe(struct weir_inst *inst, struct weir_sub *sub, int keep, int64_t deadline_ns,
			struct weir_error *err)
{
	struct command *command = sub->quit;

	pthread_mutex_lock(&inst->lock);
	/* From here on nothing is reported about it. */
	sub->closing = true;
	weir_list_unlink(&sub->notice.link);
	weir_list_unlink(&sub->stopped.link);
	weir_list_unlink(&sub->gap.link);
	weir_list_unlink(&sub->revoked.link);
	sub->quit = NULL;
	command->sub = sub;
	command->keep = keep;
	command->deadline_ns = deadline_ns;
	snprintf(command->stream, sizeof command->stream, "%s", sub->topic->stream);
	snprintf(command->consumer, sizeof command->consumer, "%s", sub->consumer);
	pthread_mutex_unlock(&inst->lock);
	if (!weir_js_command_run(inst, command, err) || keep)
		return WEIR_OK;
	/* It is closed here; but the server may still have it. */
	if (err)
		err->code = WEIR_ETIMEDOUT;
	return WEIR_ETIMEDOUT;
}

/* Gives back what it has: the next member gets it at once. Lock held. */
static void give_back(struct weir_sub *sub, struct link *list)
{
	while (weir_list_linked(list)) {
		struct entry *entry = weir_list_entry(list->next, struct entry, link);

		atomic_fetch_add_explicit(&entry->record->refs, 1, memory_order_relaxed);
		weir_js_word_add(sub->inst, entry->record, WEIR_NACK, 0);
		weir_js_entry_drop(sub, entry);
	}
}

void weir_js_sub_free(struct weir_sub *sub)
{
	struct weir_inst *inst = sub->inst;
	struct link *at;

	weir_js_receive(sub, weir_js_now());
	natsSubscription_Destroy(sub->inbox);
	weir_js_calls_forget(inst, sub);
	pthread_mutex_lock(&inst->lock);
	weir_list_unlink(&sub->link);
	weir_list_unlink(&sub->notice.link);
	weir_list_unlink(&sub->stopped.link);
	weir_list_unlink(&sub->gap.link);
	weir_list_unlink(&sub->revoked.link);
	give_back(sub, &sub->out);
	give_back(sub, &sub->ready);
	for (at = inst->groups.next; at != &inst->groups; at = at->next) {
		struct group *group = weir_list_entry(at, struct group, link);

		if (group->number == sub->number && sub->highest > group->highest)
			group->highest = sub->highest;
	}
	pthread_mutex_unlock(&inst->lock);
	free(sub->table);
	free(sub->settled);
	free(sub->quit);
	free(sub);
}

/* ---- credit and figures -------------------------------------------------------------------------- */

/* What is taken back is never more than there is; a debt stays. */
static int64_t credit_add(int64_t credit, int64_t delta)
{
	int64_t sum;

	if (__builtin_add_overflow(credit, delta, &sum))
		return delta > 0 ? INT64_MAX : 0;
	return delta < 0 && sum < 0 ? credit < 0 ? credit : 0 : sum;
}

int weir_js_credit(struct weir_inst *inst, struct weir_sub *sub, int64_t records, int64_t bytes)
{
	pthread_mutex_lock(&inst->lock);
	sub->credit_records = credit_add(sub->credit_records, records);
	sub->credit_bytes = credit_add(sub->credit_bytes, bytes);
	if (sub->ready_count && !sub->paused)
		weir_js_raise(inst);
	pthread_mutex_unlock(&inst->lock);
	weir_js_nudge(inst);
	return WEIR_OK;
}

int weir_js_pause(struct weir_inst *inst, struct weir_sub *sub, int on)
{
	pthread_mutex_lock(&inst->lock);
	sub->paused = on;
	if (on)
		weir_js_notify(inst, &sub->stopped);
	else
		weir_list_unlink(&sub->stopped.link);
	weir_js_raise(inst);
	pthread_mutex_unlock(&inst->lock);
	weir_js_wake(inst);
	return WEIR_OK;
}

int weir_js_sub_stats(struct weir_inst *inst, struct weir_sub *sub, struct weir_sub_stats *ret)
{
	pthread_mutex_lock(&inst->lock);
	ret->lag = sub->behind + sub->ready_count + sub->unsettled;
	ret->unsettled = sub->unsettled;
	ret->redelivered = sub->redelivered;
	ret->oldest_ms = -1;
	ret->lag_ns = sub->known_ns;
	sub->curious = true;
	/* They are in the order in which they were handed out. */
	if (weir_list_linked(&sub->out))
		ret->oldest_ms =
		    (weir_js_now() - weir_list_entry(sub->out.next, struct entry, link)->out_ns) / WEIR_JS_MS;
	pthread_mutex_unlock(&inst->lock);
	weir_js_wake(inst);
	return WEIR_OK;
}
