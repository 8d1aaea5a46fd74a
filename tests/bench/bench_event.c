/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an event costs on its way: for each step the nanoseconds and the
 * allocations of one operation, 1 KiB of JSON data and six attributes.
 *
 *   bench_event [OPERATIONS]
 *
 * The best of several rounds counts: what else the machine does only adds.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weir/event.h>

#include "base/mem.h"
#include "base/str.h"

enum { ROUNDS = 7, DATA_BYTES = 1024 };

static const struct weir_caps underscore = {
	.size = sizeof underscore,
	.bits = WEIR_CAP_BIT(WEIR_CAP_HEADERS) | WEIR_CAP_BIT(WEIR_CAP_NULL_BODY),
	.binding = WEIR_BINDING_UNDERSCORE,
};
static const struct weir_caps dash = {
	.size = sizeof dash,
	.bits = WEIR_CAP_BIT(WEIR_CAP_HEADERS) | WEIR_CAP_BIT(WEIR_CAP_NULL_BODY),
	.binding = WEIR_BINDING_DASH,
};
static const struct weir_caps envelope = { .size = sizeof envelope };

#define TEXT(literal)                                                                                                  \
	{                                                                                                              \
		literal, sizeof(literal) - 1                                                                           \
	}

/* As a client library sends it, with what is no attribute among it. */
static const struct weir_header request[] = {
	{ TEXT("Host"), TEXT("orders-kn-channel.default.svc.cluster.local") },
	{ TEXT("User-Agent"), TEXT("Go-http-client/1.1") },
	{ TEXT("Content-Length"), TEXT("1024") },
	{ TEXT("Ce-Id"), TEXT("6e8bc430-9c3a-11d9-9669-0800200c9a66") },
	{ TEXT("Ce-Source"), TEXT("https://shop.example.com/orders/eu-west-1") },
	{ TEXT("Ce-Specversion"), TEXT("1.0") },
	{ TEXT("Ce-Type"), TEXT("com.example.shop.order.created") },
	{ TEXT("Ce-Subject"), TEXT("order/1234567") },
	{ TEXT("Ce-Time"), TEXT("2018-04-05T17:31:00.123456Z") },
	{ TEXT("Ce-Partitionkey"), TEXT("customer-42") },
	{ TEXT("Content-Type"), TEXT("application/json") },
	{ TEXT("Traceparent"), TEXT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") },
};

static struct weir_buf data;
static struct weir_buf structured;
static weir_event *event;
static weir_event *other;

static void must(int code)
{
	if (code) {
		fprintf(stderr, "failed: %s\n", weir_code_name(code));
		exit(1);
	}
}

static void decode_http(void)
{
	must(weir_event_from_http(event, request, sizeof request / sizeof request[0], data, NULL));
}

static void encode_http(enum weir_mode mode)
{
	const struct weir_header *headers;
	struct weir_buf body;
	size_t count;

	must(weir_event_to_http(event, mode, &headers, &count, &body, NULL));
}

static void encode_binary(void)
{
	encode_http(WEIR_MODE_BINARY);
}

static void encode_structured(void)
{
	encode_http(WEIR_MODE_STRUCTURED);
}

static void decode_structured(void)
{
	must(weir_event_from_json(event, structured, NULL));
}

/* From request to record, and from record to request: what the dispatcher does with each event. */
static void whole_way(const struct weir_caps *caps)
{
	const struct weir_header *headers;
	struct weir_record record;
	struct weir_buf body;
	size_t count;

	decode_http();
	must(weir_event_to_record(event, caps, &record, NULL));
	must(weir_event_from_record(other, caps, &record, NULL));
	must(weir_event_to_http(other, WEIR_MODE_BINARY, &headers, &count, &body, NULL));
}

static void way_underscore(void)
{
	whole_way(&underscore);
}

static void way_dash(void)
{
	whole_way(&dash);
}

static void way_envelope(void)
{
	whole_way(&envelope);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void measure(const char *name, void (*operation)(void), uint64_t operations)
{
	uint64_t best = UINT64_MAX;
	uint64_t allocations;

	operation();
	operation();
	allocations = weir_mem_count();
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = now_ns();

		for (uint64_t i = 0; i < operations; i++)
			operation();
		start = now_ns() - start;
		if (start < best)
			best = start;
	}
	allocations = weir_mem_count() - allocations;
	printf("%-36s %8.0f ns %8.2f allocations\n", name, (double)best / (double)operations,
	       (double)allocations / (double)(operations * ROUNDS));
}

/* An object with one long string, 1 KiB in all. */
static void make_data(char *text)
{
	static const char head[] = "{\"order\":1234567,\"note\":\"";
	static const char tail[] = "\"}";

	memset(text, 'x', DATA_BYTES);
	memcpy(text, head, sizeof head - 1);
	memcpy(text + DATA_BYTES - sizeof tail + 1, tail, sizeof tail - 1);
	data = (struct weir_buf){ text, DATA_BYTES };
}

static void make_structured(void)
{
	struct weir_buf json;
	char *copy;

	decode_http();
	must(weir_event_to_json(event, &json, NULL));
	copy = weir_mem_strndup(json.ptr, json.len);
	if (!copy)
		must(WEIR_ENOMEM);
	structured = (struct weir_buf){ copy, json.len };
}

int main(int argc, char **argv)
{
	static char text[DATA_BYTES];
	uint64_t operations = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000;

	if (operations == 0) {
		fprintf(stderr, "usage: bench_event [OPERATIONS]\n");
		return 64;
	}
	must(weir_event_new(&event));
	must(weir_event_new(&other));
	make_data(text);
	make_structured();
	measure("HTTP binary -> event", decode_http, operations);
	measure("event -> HTTP binary", encode_binary, operations);
	measure("JSON -> event", decode_structured, operations);
	measure("event -> JSON", encode_structured, operations);
	measure("HTTP -> record (ce_) -> HTTP", way_underscore, operations);
	measure("HTTP -> record (ce-) -> HTTP", way_dash, operations);
	measure("HTTP -> record (envelope) -> HTTP", way_envelope, operations);
	weir_event_free(event);
	weir_event_free(other);
	return 0;
}
