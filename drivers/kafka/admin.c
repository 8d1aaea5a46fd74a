/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the brokers' administration: each waits for its answer, in steps, until a deadline or the instance's
 * end. */
#include "kafka.h"

#include <stdlib.h>
#include <string.h>

enum { STEP_MS = 50 };

static rd_kafka_event_t *answer_wait(struct weir_inst *inst, rd_kafka_queue_t *queue, int64_t deadline_ns)
{
	rd_kafka_event_t *event = NULL;
	int left;

	while (!event && !atomic_load(&inst->stop) && (left = weir_kafka_left_ms(deadline_ns, STEP_MS)) > 0)
		event = rd_kafka_queue_poll(queue, left);
	return event;
}

static rd_kafka_AdminOptions_t *options_new(struct weir_inst *inst, rd_kafka_admin_op_t op, int64_t deadline_ns)
{
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(inst->producer, op);
	int left = weir_kafka_left_ms(deadline_ns, 60000);
	char why[128];

	/* Both can only refuse values out of range, which these are not. */
	rd_kafka_AdminOptions_set_request_timeout(options, left < 1 ? 1 : left, why, sizeof why);
	if (op != RD_KAFKA_ADMIN_OP_DELETEGROUPS)
		rd_kafka_AdminOptions_set_operation_timeout(options, left < 1 ? 1 : left, why, sizeof why);
	return options;
}

static rd_kafka_resp_err_t topic_answer(const rd_kafka_topic_result_t **topics, size_t count)
{
	return count ? rd_kafka_topic_result_error(topics[0]) : RD_KAFKA_RESP_ERR__FAIL;
}

static rd_kafka_resp_err_t answer_read(rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t native = rd_kafka_event_error(event);
	size_t count = 0;

	if (native)
		return native;
	if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT) {
		const rd_kafka_topic_result_t **topics =
		    rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);

		return topic_answer(topics, count);
	}
	if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DELETETOPICS_RESULT) {
		const rd_kafka_topic_result_t **topics =
		    rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);

		return topic_answer(topics, count);
	}
	if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DELETEGROUPS_RESULT) {
		const rd_kafka_group_result_t **groups =
		    rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);

		return count ? rd_kafka_error_code(rd_kafka_group_result_error(groups[0])) : RD_KAFKA_RESP_ERR__FAIL;
	}
	return RD_KAFKA_RESP_ERR__FAIL;
}

static rd_kafka_resp_err_t finish(struct weir_inst *inst, rd_kafka_queue_t *queue, rd_kafka_AdminOptions_t *options,
				  int64_t deadline_ns)
{
	rd_kafka_event_t *event = answer_wait(inst, queue, deadline_ns);
	rd_kafka_resp_err_t native = event ? answer_read(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;

	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return native;
}

rd_kafka_resp_err_t weir_kafka_create_topic(struct weir_inst *inst, const char *name, int64_t deadline_ns)
{
	const struct settings *settings = &inst->settings;
	rd_kafka_AdminOptions_t *options;
	rd_kafka_queue_t *queue;
	rd_kafka_NewTopic_t *topic;
	char why[128];

	topic = rd_kafka_NewTopic_new(name, settings->partitions, settings->replication, why, sizeof why);
	if (!topic)
		return RD_KAFKA_RESP_ERR__INVALID_ARG;
	rd_kafka_NewTopic_set_config(topic, "retention.ms", weir_kafka_setting(settings, "retentionMillis"));
	queue = rd_kafka_queue_new(inst->producer);
	options = options_new(inst, RD_KAFKA_ADMIN_OP_CREATETOPICS, deadline_ns);
	rd_kafka_CreateTopics(inst->producer, &topic, 1, options, queue);
	rd_kafka_NewTopic_destroy(topic);
	return finish(inst, queue, options, deadline_ns);
}

rd_kafka_resp_err_t weir_kafka_delete_topic(struct weir_inst *inst, const char *name, int64_t deadline_ns)
{
	rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
	rd_kafka_AdminOptions_t *options;
	rd_kafka_queue_t *queue;
	rd_kafka_resp_err_t native;

	pthread_rwlock_rdlock(&inst->swap);
	queue = rd_kafka_queue_new(inst->producer);
	options = options_new(inst, RD_KAFKA_ADMIN_OP_DELETETOPICS, deadline_ns);
	rd_kafka_DeleteTopics(inst->producer, &topic, 1, options, queue);
	rd_kafka_DeleteTopic_destroy(topic);
	native = finish(inst, queue, options, deadline_ns);
	pthread_rwlock_unlock(&inst->swap);
	return native;
}

rd_kafka_resp_err_t weir_kafka_delete_group(struct weir_inst *inst, const char *id, int64_t deadline_ns)
{
	rd_kafka_DeleteGroup_t *group = rd_kafka_DeleteGroup_new(id);
	rd_kafka_AdminOptions_t *options;
	rd_kafka_queue_t *queue;
	rd_kafka_resp_err_t native;

	pthread_rwlock_rdlock(&inst->swap);
	queue = rd_kafka_queue_new(inst->producer);
	options = options_new(inst, RD_KAFKA_ADMIN_OP_DELETEGROUPS, deadline_ns);
	rd_kafka_DeleteGroups(inst->producer, &group, 1, options, queue);
	rd_kafka_DeleteGroup_destroy(group);
	native = finish(inst, queue, options, deadline_ns);
	pthread_rwlock_unlock(&inst->swap);
	return native;
}
