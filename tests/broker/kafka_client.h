/* SPDX-License-Identifier: Apache-2.0 */
/* A client of Kafka that is not the driver: it writes, it looks at what is committed, it changes topics. */
#ifndef WEIR_TESTS_KAFKA_CLIENT_H
#define WEIR_TESTS_KAFKA_CLIENT_H

#include "driver_harness.h"

#include <librdkafka/rdkafka.h>

/* All of these are about partition 0 of the topic that the harness' channel "t" lives on. */

/* `count` records with their number as the value. Returns when all are confirmed. */
void produce_many(struct harness *h, int count);
/* As many transactions of `each` records; every second one is aborted. The offset of the last committed record. */
int64_t produce_transactions(struct harness *h, int count, int each);
/* Makes it a compacted topic in which most records have gone. Its end; *records: how many are left. */
int64_t make_compacted(struct harness *h, int64_t *records);
void create_topic(struct harness *h, const char *setting, const char *value);
void delete_topic(struct harness *h);
/* All before `offset`. */
void delete_records(struct harness *h, int64_t offset);

/* What the group of a subscription has committed; -1001: nothing. */
int64_t committed(struct harness *h, const char *uid);
void await_committed(struct harness *h, const char *uid, int64_t offset);

long resident_kib(void);
bool sanitized(void);

#endif
