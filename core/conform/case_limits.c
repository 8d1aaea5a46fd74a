/* SPDX-License-Identifier: Apache-2.0 */
/* LIM: sizes and counts up to the limits that the driver tells, and one beyond. */
#include "conform/case.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static struct weir_rig_sub *begin(struct weir_rig *rig, struct weir_rig_topic **topic)
{
	struct weir_rig_sub *sub;

	*topic = weir_rig_topic(rig, "t");
	sub = weir_rig_subscribe(rig, *topic, "s", WEIR_START_LATEST);
	weir_rig_credit(rig, sub, 10000);
	return sub;
}

static void round_trip(struct weir_rig *rig, struct weir_rig_topic *topic, struct weir_rig_sub *sub,
		       const struct weir_record *record, const char *what)
{
	struct weir_rig_delivery delivery;

	weir_rig_publish_record(rig, topic, record);
	delivery = weir_rig_next(rig, sub);
	WEIR_EXPECT(rig, delivery.number == atomic_load(&rig->shared->next_number), "%s did not arrive as it was",
		    what);
	weir_rig_ack(rig, &delivery);
}

static void lim_01(struct weir_rig *rig)
{
	static const size_t sizes[] = { 0,    1,     2,     127,   128,   255,    256,    4095,
					4096, 16383, 16384, 65535, 65536, 262144, 1000000 };
	uint64_t largest = rig->caps.max_record_bytes ? rig->caps.max_record_bytes : 1 << 20;
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);
	char *bytes = weir_mem_alloc((size_t)largest), what[64];

	if (!bytes)
		weir_rig_fail(rig, "the kit has no memory");
	memset(bytes, 'z', (size_t)largest);
	for (size_t i = 0; i <= sizeof sizes / sizeof sizes[0]; i++) {
		size_t size = i < sizeof sizes / sizeof sizes[0] ? sizes[i] : (size_t)largest;
		struct weir_record record = { .body = { bytes, size } };

		if (size > largest)
			continue;
		bytes[0] = (char)('a' + i);
		snprintf(what, sizeof what, "a body of %zu bytes", size);
		round_trip(rig, topic, sub, &record, what);
	}
	weir_mem_free(bytes);
}

static void lim_02(struct weir_rig *rig)
{
	uint64_t limit = rig->caps.max_record_bytes;
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_record record = { 0 };
	uint64_t number;
	char *bytes;

	if (!limit)
		weir_rig_skip(rig, "it tells no limit");
	bytes = weir_mem_zalloc(1, (size_t)limit + 1);
	if (!bytes)
		weir_rig_fail(rig, "the kit has no memory");
	record.body = (struct weir_buf){ bytes, (size_t)limit + 1 };
	weir_rig_code(rig, "publish of one byte more than max_record_bytes",
		      weir_rig_try_send_record(rig, topic, &record, &number, &err), WEIR_ETOOBIG);
	WEIR_EXPECT(rig, err.retry == WEIR_RETRY_NEVER, "ETOOBIG is marked as worth another try");
	weir_mem_free(bytes);
	weir_rig_marker(rig, topic, sub);
}

static void refuse_or_carry(struct weir_rig *rig, struct weir_rig_topic *topic, struct weir_rig_sub *sub,
			    const struct weir_record *record, const char *what)
{
	struct weir_error err = WEIR_ERROR_INIT;
	uint64_t number;
	int code = weir_rig_try_send_record(rig, topic, record, &number, &err);

	WEIR_EXPECT(rig, code != WEIR_OK, "%s was accepted though the limit says that it is too much", what);
	WEIR_EXPECT(rig, code == WEIR_ETOOBIG || code == WEIR_EINVAL || code == WEIR_ELIMIT, "%s answered %s", what,
		    weir_code_name(code));
	weir_rig_marker(rig, topic, sub);
}

static void lim_03(struct weir_rig *rig)
{
	uint32_t most = rig->caps.max_headers ? rig->caps.max_headers : 64;
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);
	struct weir_header *headers = weir_mem_zalloc(most + 1, sizeof *headers);
	char(*names)[16] = weir_mem_zalloc(most + 1, sizeof *names);
	struct weir_record record = { .body = { "x", 1 }, .headers = headers };

	if (!headers || !names)
		weir_rig_fail(rig, "the kit has no memory");
	for (uint32_t i = 0; i <= most; i++) {
		int len = snprintf(names[i], sizeof names[i], "h%" PRIu32, i);

		headers[i] = (struct weir_header){ { names[i], (size_t)len }, { "v", 1 } };
	}
	record.header_count = most;
	round_trip(rig, topic, sub, &record, "a record with as many headers as allowed");
	record.header_count = most + 1;
	if (rig->caps.max_headers)
		refuse_or_carry(rig, topic, sub, &record, "one header more than max_headers");
	weir_mem_free(headers);
	weir_mem_free(names);
}

static void refuse_headers(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);
	struct weir_header header = { { "name", 4 }, { "value", 5 } };
	struct weir_record record = { .body = { "x", 1 }, .headers = &header, .header_count = 1 };

	refuse_or_carry(rig, topic, sub, &record, "a header, which it does not claim to keep,");
}

static void lim_03_bytes(struct weir_rig *rig)
{
	uint32_t most = rig->caps.max_header_bytes;
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);
	struct weir_header header = { { "n", 1 }, { 0 } };
	struct weir_record record = { .body = { "x", 1 }, .headers = &header, .header_count = 1 };
	char *bytes;

	if (!most)
		most = 4096;
	bytes = weir_mem_alloc(most + 1);
	if (!bytes)
		weir_rig_fail(rig, "the kit has no memory");
	memset(bytes, 'v', most + 1);
	header.value = (struct weir_buf){ bytes, most - 1 };
	round_trip(rig, topic, sub, &record, "a header as large as allowed");
	header.value.len = most;
	if (rig->caps.max_header_bytes)
		refuse_or_carry(rig, topic, sub, &record, "a header of one byte more than max_header_bytes");
	weir_mem_free(bytes);
}

static void lim_04_key(struct weir_rig *rig)
{
	uint32_t most = rig->caps.max_key_bytes ? rig->caps.max_key_bytes : 1024;
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);
	char *bytes = weir_mem_alloc(most + 1);
	struct weir_record record = { .key = { bytes, most }, .body = { "x", 1 } };

	if (!bytes)
		weir_rig_fail(rig, "the kit has no memory");
	memset(bytes, 'k', most + 1);
	round_trip(rig, topic, sub, &record, "a key as large as allowed");
	record.key.len = most + 1;
	if (rig->caps.max_key_bytes)
		refuse_or_carry(rig, topic, sub, &record, "a key of one byte more than max_key_bytes");
	weir_mem_free(bytes);
}

static void lim_04_key_unclaimed(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);
	struct weir_record record = { .key = { "k", 1 }, .body = { "x", 1 } };
	uint64_t number;
	int code = weir_rig_try_send_record(rig, topic, &record, &number, NULL);

	/* The core gives no key to who does not keep it. Refused or left out, but nothing else changes. */
	WEIR_EXPECT(rig, code == WEIR_OK || code == WEIR_EINVAL, "a key that it does not keep: %s",
		    weir_code_name(code));
	if (code == WEIR_OK)
		rig->customs[rig->custom_count - 1].record.key = (struct weir_buf){ NULL, 0 };
	if (code == WEIR_OK)
		weir_rig_receive(rig, sub, 1);
}

/* Many topics and subscriptions: they work, or the limit is told. */
static void lim_05(struct weir_rig *rig)
{
	enum { TOPICS = 200 };
	struct weir_topic *topics[TOPICS];
	struct weir_error err = WEIR_ERROR_INIT;
	char name[64];
	uint64_t ready = rig->seen[WEIR_EV_TOPIC_READY];
	int code = WEIR_OK, count = 0;

	for (; count < TOPICS && !code; count += code == WEIR_OK) {
		snprintf(name, sizeof name, "%" PRIx64 "-many-%d", rig->target->run, count);
		code = rig->ops->topic_open(rig->inst, "conform", name, &topics[count], &err);
	}
	WEIR_EXPECT(rig, code == WEIR_OK || code == WEIR_ELIMIT, "topic %d: %s: %s", count, weir_code_name(code),
		    err.text);
	WEIR_EXPECT(
	    rig, weir_rig_try_await(rig, WEIR_EV_TOPIC_READY, ready + (uint64_t)count, weir_rig_deadline(rig, 60000)),
	    "of %d topics only %" PRIu64 " became ready", count, rig->seen[WEIR_EV_TOPIC_READY] - ready);
	while (count > 0)
		rig->ops->topic_close(rig->inst, topics[--count]);
}

static const struct weir_conform_case cases[] = {
	{ "LIM-01", WEIR_MUST, 0, 60, 0, lim_01, NULL, "bodies of every size up to the limit arrive", NULL },
	{ "LIM-02", WEIR_MUST, 0, 0, 0, lim_02, NULL, "one byte more is ETOOBIG, and the next record passes", NULL },
	{ "LIM-03", WEIR_MUST, 0, 0, CAP(HEADERS), lim_03, refuse_headers, "as many headers as allowed, and one more",
	  NULL },
	{ "LIM-03b", WEIR_MUST, 0, 0, CAP(HEADERS), lim_03_bytes, NULL,
	  "a header as large as allowed, and one byte more", NULL },
	{ "LIM-04", WEIR_MUST, 0, 0, CAP(KEY), lim_04_key, lim_04_key_unclaimed,
	  "a key as large as allowed, and one byte more", NULL },
	{ "LIM-05", WEIR_MUST, 0, 120, 0, lim_05, NULL, "200 topics, or as many as the limit says", NULL },
};

WEIR_GROUP(limits, "LIM", "limits and large records");
