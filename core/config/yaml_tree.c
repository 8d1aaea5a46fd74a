/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml_tree.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include <weir/error.h>

#include "base/str.h"

enum {
	MEMBERS_MAX = 4096, /* of one mapping: repeated keys are looked for one by one */
	NODES_MAX = 100000,
};

struct builder {
	struct weir_arena *arena;
	struct weir_tree_error *err;
	struct weir_node *first, *last; /* documents */
	struct weir_node *open;         /* the innermost mapping or sequence that is not closed */
	struct weir_node *member;       /* a key whose value comes next */
	size_t nodes;
	unsigned depth;
};

static struct weir_position position(yaml_mark_t mark)
{
	struct weir_position at = { (uint32_t)(mark.line + 1), (uint32_t)(mark.column + 1) };

	return at;
}

static int refuse(const struct builder *builder, yaml_mark_t mark, const char *text)
{
	snprintf(builder->err->text, sizeof builder->err->text, "%s", text);
	builder->err->at = position(mark);
	return WEIR_EINVAL;
}

const struct weir_node *weir_node_member(const struct weir_node *node, const char *key)
{
	if (!node || node->kind != WEIR_JSON_OBJECT)
		return NULL;
	for (node = node->first; node; node = node->next) {
		if (weir_str_equal(node->key, weir_str(key)))
			return node;
	}
	return NULL;
}

/* ---- nodes --------------------------------------------------------------- */

static void append(struct builder *builder, struct weir_node *node)
{
	struct weir_node *parent = builder->open;
	struct weir_node **last = parent ? &parent->last : &builder->last;

	node->parent = parent;
	if (*last)
		(*last)->next = node;
	else if (parent)
		parent->first = node;
	else
		builder->first = node;
	*last = node;
	if (parent)
		parent->children++;
}

/* A new node, or the one whose key was read before. NULL: no memory. */
static struct weir_node *take_node(struct builder *builder, enum weir_json_kind kind, yaml_mark_t mark)
{
	struct weir_node *node = builder->member;

	if (!node) {
		node = weir_arena_alloc(builder->arena, sizeof *node);
		if (!node)
			return NULL;
		*node = (struct weir_node){ .kind = kind };
		append(builder, node);
	}
	builder->member = NULL;
	node->kind = kind;
	node->at = position(mark);
	return node;
}

static bool expects_key(const struct builder *builder)
{
	return builder->open && builder->open->kind == WEIR_JSON_OBJECT && !builder->member;
}

static int add_key(struct builder *builder, struct weir_buf key, yaml_mark_t mark)
{
	struct weir_node *node;

	for (node = builder->open->first; node; node = node->next) {
		if (weir_str_equal(node->key, key))
			return refuse(builder, mark, "this key stands in the same mapping already");
	}
	if (builder->open->children >= MEMBERS_MAX)
		return refuse(builder, mark, "a mapping holds more keys than it may, which is 4096");
	node = take_node(builder, WEIR_JSON_NULL, mark);
	if (!node)
		return WEIR_ENOMEM;
	node->keyed = true;
	node->key_at = position(mark);
	node->key = weir_arena_copy(builder->arena, key);
	builder->member = node;
	return node->key.ptr ? WEIR_OK : WEIR_ENOMEM;
}

static bool is_null(const yaml_event_t *event, struct weir_buf text)
{
	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!text.len || weir_str_equal(text, WEIR_STR("~")) || weir_str_equal(text, WEIR_STR("null")));
}

static int add_scalar(struct builder *builder, const yaml_event_t *event)
{
	struct weir_buf text = { event->data.scalar.value, event->data.scalar.length };
	struct weir_node *node;

	if (event->data.scalar.anchor)
		return refuse(builder, event->start_mark, "anchors are not taken");
	if (event->data.scalar.tag)
		return refuse(builder, event->start_mark, "tags are not taken");
	if (expects_key(builder))
		return add_key(builder, text, event->start_mark);
	node = take_node(builder, is_null(event, text) ? WEIR_JSON_NULL : WEIR_JSON_STRING, event->start_mark);
	if (node)
		node->text = weir_arena_copy(builder->arena, text);
	return node && node->text.ptr ? WEIR_OK : WEIR_ENOMEM;
}

static int open_node(struct builder *builder, enum weir_json_kind kind, const yaml_event_t *event)
{
	struct weir_node *node;

	if (expects_key(builder))
		return refuse(builder, event->start_mark, "a key must be plain text");
	if (++builder->depth > WEIR_TREE_DEPTH_MAX)
		return refuse(builder, event->start_mark, "mappings and sequences are nested too deep");
	node = take_node(builder, kind, event->start_mark);
	if (!node)
		return WEIR_ENOMEM;
	builder->open = node;
	return WEIR_OK;
}

static int close_node(struct builder *builder)
{
	builder->open = builder->open->parent;
	builder->depth--;
	return WEIR_OK;
}

/* ---- events -------------------------------------------------------------- */

static int take_collection(struct builder *builder, const yaml_event_t *event)
{
	bool mapping = event->type == YAML_MAPPING_START_EVENT;
	const void *anchor = mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
	const void *tag = mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;

	if (anchor)
		return refuse(builder, event->start_mark, "anchors are not taken");
	if (tag)
		return refuse(builder, event->start_mark, "tags are not taken");
	return open_node(builder, mapping ? WEIR_JSON_OBJECT : WEIR_JSON_ARRAY, event);
}

static int take_event(struct builder *builder, const yaml_event_t *event)
{
	if (++builder->nodes > NODES_MAX)
		return refuse(builder, event->start_mark, "holds more values than a manifest may, which is 100000");
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return refuse(builder, event->start_mark, "aliases are not taken");
	case YAML_SCALAR_EVENT:
		return add_scalar(builder, event);
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		return take_collection(builder, event);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		return close_node(builder);
	default:
		return WEIR_OK;
	}
}

/* libyaml's texts are static and name nothing of the document. */
static int syntax_error(const struct builder *builder, const yaml_parser_t *yaml)
{
	if (yaml->error == YAML_MEMORY_ERROR)
		return WEIR_ENOMEM;
	return refuse(builder, yaml->problem_mark, yaml->problem ? yaml->problem : "is not YAML");
}

static int parse(struct builder *builder, yaml_parser_t *yaml)
{
	yaml_event_t event;
	bool end = false;
	int code = WEIR_OK;

	while (!code && !end) {
		if (!yaml_parser_parse(yaml, &event))
			return syntax_error(builder, yaml);
		end = event.type == YAML_STREAM_END_EVENT;
		code = take_event(builder, &event);
		yaml_event_delete(&event);
	}
	return code;
}

int weir_yaml_parse(struct weir_buf text, struct weir_arena *arena, struct weir_node **ret, struct weir_tree_error *err)
{
	struct builder builder = { .arena = arena, .err = err };
	yaml_parser_t yaml;
	int code;

	*ret = NULL;
	if (!yaml_parser_initialize(&yaml))
		return WEIR_ENOMEM;
	yaml_parser_set_input_string(&yaml, text.ptr, text.len);
	yaml_parser_set_encoding(&yaml, YAML_UTF8_ENCODING);
	code = parse(&builder, &yaml);
	yaml_parser_delete(&yaml);
	if (!code)
		*ret = builder.first;
	return code;
}
