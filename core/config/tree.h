/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/tree: a JSON text as a tree whose nodes know their line and column.
 *
 * Strict: what event/json_scan refuses is refused, and so are members that
 * repeat. Nodes are of an arena and live as long as it.
 */
#ifndef WEIR_CONFIG_TREE_H
#define WEIR_CONFIG_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "event/json_scan.h"

enum {
	WEIR_TREE_DEPTH_MAX = 32,
	WEIR_TREE_NODES_MAX = 1000000,
};

struct weir_position {
	uint32_t line, column; /* from 1; 0: not known */
};

struct weir_node {
	enum weir_json_kind kind; /* OBJECT, ARRAY, STRING, NUMBER, TRUE, FALSE, NULL */
	bool integer;             /* NUMBER: neither fraction nor exponent */
	bool keyed;               /* a member of an object */
	struct weir_buf key;      /* unescaped */
	struct weir_buf text;     /* STRING: unescaped; else as it is written, of arrays and objects the bracket */
	struct weir_position key_at, at;
	struct weir_node *parent, *first, *last, *next;
	size_t children;
};

struct weir_tree_error {
	char text[160]; /* names no content of the text */
	struct weir_position at;
};

/*
 * Reads `text`, which must stay as long as the arena. WEIR_EINVAL: *err says
 * what and where; WEIR_ENOMEM.
 */
int weir_tree_parse(struct weir_buf text, struct weir_arena *arena, struct weir_node **ret,
		    struct weir_tree_error *err);

/* "an object", "a string", ...: what a node is, for people. */
const char *weir_node_kind_text(const struct weir_node *node);

#endif
