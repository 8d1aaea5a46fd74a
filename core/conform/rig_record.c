/* SPDX-License-Identifier: Apache-2.0 */
/* Records whose bytes follow from their number, so that a delivered one is known, and known to be whole. */
#include "conform/rig.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { HEAD = 24 };

static const char magic[8] = { 'w', 'e', 'i', 'r', 'c', 'o', 'n', 'f' };

static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

uint32_t weir_rig_key(const struct weir_rig *rig, uint64_t number)
{
	if (!rig->shape.keys || !weir_rig_claims(rig, WEIR_CAP_KEY))
		return 0;
	return (uint32_t)(mix(number ^ rig->target->seed) % rig->shape.keys) + 1;
}

static void fill(unsigned char *body, size_t size, uint64_t run, uint64_t number)
{
	memcpy(body, magic, sizeof magic);
	memcpy(body + 8, &run, 8);
	memcpy(body + 16, &number, 8);
	for (size_t i = HEAD; i < size; i += 8) {
		uint64_t word = mix(number * 1000003 + i);

		memcpy(body + i, &word, size - i < 8 ? size - i : 8);
	}
}

static bool make(const struct weir_rig *rig, uint64_t number, size_t size, struct weir_rig_made *ret)
{
	uint32_t key = weir_rig_key(rig, number);

	memset(ret, 0, sizeof *ret);
	ret->body = weir_mem_alloc(size);
	if (!ret->body)
		return false;
	fill(ret->body, size, rig->target->run, number);
	ret->record.body = (struct weir_buf){ ret->body, size };
	if (key) {
		int len = snprintf(ret->key, sizeof ret->key, "key-%" PRIu32, key);

		ret->record.key = (struct weir_buf){ ret->key, (size_t)len };
	}
	if (weir_rig_claims(rig, WEIR_CAP_HEADERS)) {
		int len = snprintf(ret->value, sizeof ret->value, "%" PRIu64, number);

		ret->header = (struct weir_header){ { "number", 6 }, { ret->value, (size_t)len } };
		ret->record.headers = &ret->header;
		ret->record.header_count = 1;
	}
	return true;
}

bool weir_rig_make(const struct weir_rig *rig, uint64_t number, struct weir_rig_made *ret)
{
	size_t size = rig->shape.body ? rig->shape.body : 32 + mix(number) % 128;

	return make(rig, number, size < HEAD ? HEAD : size, ret);
}

void weir_rig_made_fini(struct weir_rig_made *made)
{
	weir_mem_free(made->body);
}

/* No value and an empty value are different. */
static bool same_buf(struct weir_buf a, struct weir_buf b)
{
	return a.len == b.len && !a.ptr == !b.ptr && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static bool same_header(const struct weir_header *a, const struct weir_header *b)
{
	return same_buf(a->name, b->name) && same_buf(a->value, b->value);
}

static bool has_header(const struct weir_record *record, const struct weir_header *header)
{
	for (uint32_t i = 0; i < record->header_count; i++)
		if (same_header(&record->headers[i], header))
			return true;
	return false;
}

/* Only who claims that names may repeat keeps the order of headers. */
bool weir_rig_same(const struct weir_rig *rig, const struct weir_record *a, const struct weir_record *b)
{
	bool ordered = weir_rig_claims(rig, WEIR_CAP_HEADERS_DUP);

	if (!same_buf(a->key, b->key) || !same_buf(a->body, b->body) || a->header_count != b->header_count)
		return false;
	for (uint32_t i = 0; i < a->header_count; i++)
		if (ordered ? !same_header(&a->headers[i], &b->headers[i]) : !has_header(b, &a->headers[i]))
			return false;
	return true;
}

static uint64_t find_custom(const struct weir_rig *rig, const struct weir_record *record, uint32_t *flags)
{
	for (size_t i = 0; i < rig->custom_count; i++)
		if (weir_rig_same(rig, &rig->customs[i].record, record))
			return rig->customs[i].number;
	*flags |= WEIR_OP_STRANGE;
	return 0;
}

uint64_t weir_rig_recognise(const struct weir_rig *rig, const struct weir_record *record, uint32_t *flags)
{
	struct weir_rig_made made;
	uint64_t number, run;
	size_t size;

	if (record->body.len < HEAD || memcmp(record->body.ptr, magic, sizeof magic) != 0)
		return find_custom(rig, record, flags);
	memcpy(&run, (const char *)record->body.ptr + 8, 8);
	memcpy(&number, (const char *)record->body.ptr + 16, 8);
	if (run != rig->target->run || number == 0 || number > atomic_load(&rig->shared->next_number)) {
		*flags |= WEIR_OP_STRANGE;
		return 0;
	}
	/* Its size is not known from the number when the case has changed the shape in between. */
	size = rig->shape.body ? record->body.len : 32 + mix(number) % 128;
	if (!make(rig, number, size, &made))
		return number;
	if (!weir_rig_same(rig, &made.record, record))
		*flags |= WEIR_OP_DAMAGED;
	weir_rig_made_fini(&made);
	return number;
}

static struct weir_buf copy(struct weir_buf from)
{
	char *bytes;

	if (!from.ptr)
		return from;
	bytes = weir_mem_alloc(from.len + 1);
	if (bytes && from.len)
		memcpy(bytes, from.ptr, from.len);
	return (struct weir_buf){ bytes, from.len };
}

void weir_rig_custom_add(struct weir_rig *rig, uint64_t number, const struct weir_record *record, uint32_t topic)
{
	struct weir_header *headers = NULL;
	struct weir_rig_custom *custom;

	if (rig->custom_count == rig->custom_room) {
		size_t room = rig->custom_room ? rig->custom_room * 2 : 64;
		struct weir_rig_custom *more = weir_mem_realloc(rig->customs, room * sizeof *more);

		if (!more)
			weir_rig_fail(rig, "the kit has no memory");
		rig->customs = more;
		rig->custom_room = room;
	}
	custom = &rig->customs[rig->custom_count++];
	*custom = (struct weir_rig_custom){ .number = number, .record = *record, .topic = topic };
	custom->record.key = copy(record->key);
	custom->record.body = copy(record->body);
	if (!record->header_count)
		return;
	headers = weir_mem_zalloc(record->header_count, sizeof *headers);
	if (!headers)
		weir_rig_fail(rig, "the kit has no memory");
	for (uint32_t i = 0; i < record->header_count; i++)
		headers[i] = (struct weir_header){ copy(record->headers[i].name), copy(record->headers[i].value) };
	custom->record.headers = headers;
}

static void free_buf(struct weir_buf buf)
{
	weir_mem_free((void *)(uintptr_t)buf.ptr);
}

void weir_rig_customs_free(struct weir_rig *rig)
{
	for (size_t i = 0; i < rig->custom_count; i++) {
		struct weir_record *record = &rig->customs[i].record;

		free_buf(record->key);
		free_buf(record->body);
		for (uint32_t k = 0; k < record->header_count; k++) {
			free_buf(record->headers[k].name);
			free_buf(record->headers[k].value);
		}
		weir_mem_free((void *)(uintptr_t)record->headers);
	}
	weir_mem_free(rig->customs);
	rig->customs = NULL;
	rig->custom_count = rig->custom_room = 0;
}
