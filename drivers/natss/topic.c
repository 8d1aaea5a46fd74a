/* SPDX-License-Identifier: Apache-2.0 */
/* Channels. The server makes one when something is first published to it or somebody subscribes. */
#include "natss.h"

#include <stdlib.h>
#include <string.h>

static struct weir_topic *topic_find(const struct weir_inst *inst, const char *name)
{
	for (struct link *at = inst->topics.next; at != &inst->topics; at = at->next) {
		struct weir_topic *topic = weir_list_entry(at, struct weir_topic, link);

		if (strcmp(topic->name, name) == 0)
			return topic;
	}
	return NULL;
}

static struct weir_topic *topic_new(struct weir_inst *inst, const char *name)
{
	size_t size = strlen(name) + 1;
	struct weir_topic *topic = calloc(1, sizeof *topic + size);

	if (!topic)
		return NULL;
	memcpy(topic->name, name, size);
	weir_list_init(&topic->link);
	weir_list_init(&topic->notice.link);
	topic->notice.topic = topic;
	weir_list_append(&inst->topics, &topic->link);
	return topic;
}

/* What is known of the server. Lock held. */
static void tell(struct weir_inst *inst, struct weir_topic *topic)
{
	if (!topic->opened || (!inst->publisher.was_up && !inst->refusal.code))
		return;
	topic->notice.type = inst->refusal.code ? WEIR_EV_TOPIC_FAILED : WEIR_EV_TOPIC_READY;
	topic->notice.error = inst->refusal;
	weir_natss_notify(inst, &topic->notice);
}

void weir_natss_topics_tell(struct weir_inst *inst)
{
	for (struct link *at = inst->topics.next; at != &inst->topics; at = at->next)
		tell(inst, weir_list_entry(at, struct weir_topic, link));
}

int weir_natss_topic_open(struct weir_inst *inst, const char *ns, const char *name, struct weir_topic **ret,
			  struct weir_error *err)
{
	char full[WEIR_NATSS_MAX_CHANNEL + 1];
	struct weir_topic *topic;
	int code = weir_natss_channel_name(inst->settings.pattern, ns, name, full, err);

	if (code)
		return code;
	weir_natss_lock(inst);
	topic = topic_find(inst, full);
	topic = topic ? topic : topic_new(inst, full);
	if (topic && topic->opened++ == 0)
		tell(inst, topic);
	weir_natss_unlock(inst);
	if (!topic)
		return weir_fail(err, WEIR_ENOMEM, "natss: no memory for the channel %.250s", full);
	*ret = topic;
	return WEIR_OK;
}

/* It stays in the list until the end: completions may still name it. */
void weir_natss_topic_close(struct weir_inst *inst, struct weir_topic *topic)
{
	weir_natss_lock(inst);
	if (--topic->opened == 0)
		weir_list_unlink(&topic->notice.link);
	weir_natss_unlock(inst);
}

void weir_natss_topics_free(struct weir_inst *inst)
{
	while (weir_list_linked(&inst->topics)) {
		struct weir_topic *topic = weir_list_entry(inst->topics.next, struct weir_topic, link);

		weir_list_unlink(&topic->link);
		weir_list_unlink(&topic->notice.link);
		free(topic);
	}
}
