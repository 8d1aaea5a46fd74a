/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a filter costs an event: nanoseconds and allocations of one evaluation,
 * beside the decoding that it needs. The event has eight attributes.
 *
 *   bench_filter [OPERATIONS]
 *
 * The best of several rounds counts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weir/event.h>

#include "base/mem.h"
#include "base/str.h"
#include "filter/build.h"

enum { ROUNDS = 7 };

static const struct weir_caps caps = {
	.size = sizeof caps,
	.bits = WEIR_CAP_BIT(WEIR_CAP_HEADERS) | WEIR_CAP_BIT(WEIR_CAP_NULL_BODY),
	.binding = WEIR_BINDING_UNDERSCORE,
};

static const char json[] = "{\"specversion\":\"1.0\",\"id\":\"6e8bc430-9c3a-11d9-9669-0800200c9a66\",\"source\":"
			   "\"https://shop.example.com/orders/eu-west-1\",\"type\":\"com.example.shop.order.created\","
			   "\"subject\":\"order/1234567\",\"time\":\"2018-04-05T17:31:00.123456Z\",\"partitionkey\":"
			   "\"customer-42\",\"total\":\"1500\"}";

static weir_event *kept, *event;
static struct weir_record record;
static struct weir_filter_scratch *scratch;
static const struct weir_filter *filter;
static unsigned passed;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench_filter: %s failed\n", what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void decode(void)
{
	if (weir_event_from_record(event, &caps, &record, NULL))
		die("decoding");
}

static void match(void)
{
	enum weir_filter_fault fault;

	passed += weir_filter_match(filter, event, scratch, &fault);
}

static void run(const char *name, void (*operation)(void), uint64_t count)
{
	uint64_t best = UINT64_MAX, allocations;

	operation();
	allocations = weir_mem_count();
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t begin = now_ns(), took;

		for (uint64_t i = 0; i < count; i++)
			operation();
		took = now_ns() - begin;
		best = took < best ? took : best;
	}
	allocations = weir_mem_count() - allocations;
	printf("%-52s %7.1f ns  %.2f allocations\n", name, (double)best / (double)count,
	       (double)allocations / (double)(count * ROUNDS));
}

typedef int build_fn(struct weir_filter_builder *builder, const char *text);

static int exact(struct weir_filter_builder *builder, const char *text)
{
	return weir_filter_add_match(builder, WEIR_FILTER_EXACT, WEIR_STR("type"), weir_str(text), NULL);
}

static int three(struct weir_filter_builder *builder, const char *text)
{
	return exact(builder, text) ||
	       weir_filter_add_match(builder, WEIR_FILTER_PREFIX, WEIR_STR("source"), WEIR_STR("https://shop."),
				     NULL) ||
	       weir_filter_add_match(builder, WEIR_FILTER_SUFFIX, WEIR_STR("partitionkey"), WEIR_STR("-42"), NULL);
}

static int cesql(struct weir_filter_builder *builder, const char *text)
{
	unsigned doubts;

	return weir_filter_add_cesql(builder, weir_str(text), &doubts, NULL);
}

static void bench(const char *name, build_fn *build, const char *text, uint64_t count)
{
	struct weir_filter_builder *builder;
	struct weir_arena arena;

	weir_arena_init(&arena, 0);
	if (weir_filter_builder_new(&arena, &builder) || build(builder, text) ||
	    weir_filter_finish(builder, &filter, NULL))
		die(name);
	weir_filter_builder_free(builder);
	decode();
	run(name, match, count);
	weir_arena_fini(&arena);
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;

	if (weir_event_new(&kept) || weir_event_new(&event) || weir_filter_scratch_new(&scratch) ||
	    weir_event_from_json(kept, weir_str(json), NULL) || weir_event_to_record(kept, &caps, &record, NULL))
		die("setting up");
	run("no filter: nothing; with one: decoding", decode, count);
	bench("exact", exact, "com.example.shop.order.created", count);
	bench("exact, prefix and suffix of three attributes", three, "com.example.shop.order.created", count);
	bench("cesql: type = '...'", cesql, "type = 'com.example.shop.order.created'", count);
	bench("cesql: LIKE at an end", cesql, "type LIKE 'com.example.%'", count);
	bench("cesql: LIKE in the middle", cesql, "type LIKE 'com.%.order.%'", count);
	bench("cesql: three tests and a number", cesql,
	      "EXISTS total AND INT(total) >= 1000 AND type LIKE '%created' AND subject NOT IN ('a', 'b')", count);
	bench("cesql: texts put together", cesql, "UPPER(CONCAT(type, '/', subject)) LIKE '%ORDER/1%'", count);
	weir_filter_scratch_free(scratch);
	weir_event_free(event);
	weir_event_free(kept);
	return passed ? 0 : 1;
}
