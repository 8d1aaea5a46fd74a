/* SPDX-License-Identifier: Apache-2.0 */
#include "config/tree.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "event/utf8.h"

/* Where reading is; positions are asked for in the order of the text, so that counting lines stays linear. */
struct cursor {
	const char *text;
	size_t offset;
	struct weir_position at;
};

/* Members by parent and key, to find repeated ones. Open addressing; capacity is a power of two. */
struct members {
	const struct weir_node **slots;
	size_t capacity, count;
};

struct parser {
	struct weir_json_scan scan;
	struct weir_buf text;
	struct weir_arena *arena;
	struct cursor cursor;
	struct members members;
	struct weir_node *root, *open; /* open: the innermost object or array that is not closed */
	struct weir_json_token key;    /* the member whose value comes next; kind KEY if there is one */
	size_t nodes;
	struct weir_tree_error *err;
};

const char *weir_node_kind_text(const struct weir_node *node)
{
	switch (node->kind) {
	case WEIR_JSON_OBJECT:
		return "an object";
	case WEIR_JSON_ARRAY:
		return "an array";
	case WEIR_JSON_STRING:
		return "a string";
	case WEIR_JSON_NUMBER:
		return "a number";
	case WEIR_JSON_NULL:
		return "null";
	default:
		return "true or false";
	}
}

/* ---- positions and errors ------------------------------------------------ */

static struct weir_position position(struct cursor *cursor, size_t offset)
{
	for (; cursor->offset < offset; cursor->offset++) {
		unsigned char c = (unsigned char)cursor->text[cursor->offset];

		if (c == '\n') {
			cursor->at.line++;
			cursor->at.column = 1;
		} else if ((c & 0xC0) != 0x80) {
			cursor->at.column++;
		}
	}
	return cursor->at;
}

static int refuse(struct parser *parser, size_t offset, const char *text)
{
	snprintf(parser->err->text, sizeof parser->err->text, "%s", text);
	parser->err->at = position(&parser->cursor, offset);
	return WEIR_EINVAL;
}

/* Offset of the first byte that cannot be in a JSON text at all; text.len: none. */
static size_t first_foreign(struct weir_buf text)
{
	const unsigned char *start = text.ptr, *end = start + text.len, *p = start;

	while (p < end && *p) {
		uint32_t c;
		size_t len = weir_utf8_decode(p, end, &c);

		if (!len)
			break;
		p += len;
	}
	return (size_t)(p - start);
}

static int check_text(struct parser *parser)
{
	size_t foreign = first_foreign(parser->text);

	if (weir_str_starts(parser->text, WEIR_STR("\xEF\xBB\xBF")))
		return refuse(parser, 0, "begins with a byte order mark; write the file as UTF-8 without one");
	if (foreign < parser->text.len)
		return refuse(parser, foreign, "is not UTF-8 text; a configuration is JSON");
	if (!weir_str_trim(parser->text).len)
		return refuse(parser, 0, "is empty; an empty configuration is written {}");
	return WEIR_OK;
}

static int syntax_error(struct parser *parser)
{
	size_t offset = parser->scan.error_offset;
	char at = offset < parser->text.len ? ((const char *)parser->text.ptr)[offset] : '\0';

	if (at == '/' || at == '#')
		return refuse(parser, offset, "comments are not JSON; take them out");
	return refuse(parser, offset, parser->scan.error);
}

/* ---- repeated members ---------------------------------------------------- */

static size_t hash(const struct weir_node *parent, struct weir_buf key)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)(uintptr_t)parent;

	for (size_t i = 0; i < key.len; i++)
		h = (h ^ ((const unsigned char *)key.ptr)[i]) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ h >> 29);
}

/* The slot where a member is or would be. */
static size_t slot_of(const struct members *members, const struct weir_node *parent, struct weir_buf key)
{
	size_t slot = hash(parent, key) & (members->capacity - 1);

	while (members->slots[slot] &&
	       (members->slots[slot]->parent != parent || !weir_str_equal(members->slots[slot]->key, key)))
		slot = (slot + 1) & (members->capacity - 1);
	return slot;
}

static bool members_grow(struct members *members)
{
	struct members bigger = { NULL, members->capacity ? members->capacity * 2 : 64, members->count };

	if (members->capacity && members->count < members->capacity / 2)
		return true;
	bigger.slots = weir_mem_zalloc(bigger.capacity, sizeof *bigger.slots);
	if (!bigger.slots)
		return false;
	for (size_t i = 0; i < members->capacity; i++) {
		const struct weir_node *node = members->slots[i];

		if (node)
			bigger.slots[slot_of(&bigger, node->parent, node->key)] = node;
	}
	weir_mem_free(members->slots);
	*members = bigger;
	return true;
}

static int member_add(struct parser *parser, const struct weir_node *node)
{
	struct members *members = &parser->members;
	size_t slot;

	if (!members_grow(members))
		return WEIR_ENOMEM;
	slot = slot_of(members, node->parent, node->key);
	if (members->slots[slot]) {
		snprintf(parser->err->text, sizeof parser->err->text,
			 "the same key stands in this object at line %u already", members->slots[slot]->key_at.line);
		parser->err->at = node->key_at;
		return WEIR_EINVAL;
	}
	members->slots[slot] = node;
	members->count++;
	return WEIR_OK;
}

/* ---- nodes --------------------------------------------------------------- */

static void append(struct parser *parser, struct weir_node *node)
{
	struct weir_node *parent = parser->open;

	node->parent = parent;
	if (!parent) {
		parser->root = node;
		return;
	}
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
	parent->children++;
}

static int add_node(struct parser *parser, const struct weir_json_token *token)
{
	struct weir_node *node = weir_arena_alloc(parser->arena, sizeof *node);

	if (!node)
		return WEIR_ENOMEM;
	if (++parser->nodes > WEIR_TREE_NODES_MAX)
		return refuse(parser, token->offset, "holds more values than a configuration may, which is 1000000");
	*node = (struct weir_node){ .kind = token->kind, .integer = token->integer, .text = token->text };
	append(parser, node);
	if (parser->key.kind == WEIR_JSON_KEY) {
		node->keyed = true;
		node->key_at = position(&parser->cursor, parser->key.offset);
		if (!weir_json_unescape(&parser->key, parser->arena, &node->key))
			return WEIR_ENOMEM;
		parser->key.kind = WEIR_JSON_END;
	}
	node->at = position(&parser->cursor, token->offset);
	if (token->kind == WEIR_JSON_STRING && !weir_json_unescape(token, parser->arena, &node->text))
		return WEIR_ENOMEM;
	if (token->kind == WEIR_JSON_OBJECT || token->kind == WEIR_JSON_ARRAY)
		parser->open = node;
	return node->keyed ? member_add(parser, node) : WEIR_OK;
}

static int take(struct parser *parser, const struct weir_json_token *token)
{
	switch (token->kind) {
	case WEIR_JSON_ERROR:
		return syntax_error(parser);
	case WEIR_JSON_KEY:
		parser->key = *token;
		return WEIR_OK;
	case WEIR_JSON_OBJECT_END:
	case WEIR_JSON_ARRAY_END:
		parser->open = parser->open->parent;
		return WEIR_OK;
	default:
		return add_node(parser, token);
	}
}

int weir_tree_parse(struct weir_buf text, struct weir_arena *arena, struct weir_node **ret, struct weir_tree_error *err)
{
	struct parser parser = { .text = text, .arena = arena, .cursor = { text.ptr, 0, { 1, 1 } }, .err = err };
	struct weir_json_token token;
	int code = check_text(&parser);

	if (code)
		return code;
	weir_json_init(&parser.scan, text, WEIR_TREE_DEPTH_MAX);
	while (!code && weir_json_next(&parser.scan, &token) != WEIR_JSON_END)
		code = take(&parser, &token);
	weir_mem_free(parser.members.slots);
	*ret = code ? NULL : parser.root;
	return code;
}
