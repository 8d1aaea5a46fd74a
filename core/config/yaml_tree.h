/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/yaml_tree: YAML documents as the trees of config/tree.
 *
 * Only what manifests are written in: mappings, sequences and scalars. Anchors,
 * aliases, tags and repeated keys are refused. Scalars are strings, whatever they
 * look like; only an empty plain one, `~` and `null` are null. JSON is YAML too.
 */
#ifndef WEIR_CONFIG_YAML_TREE_H
#define WEIR_CONFIG_YAML_TREE_H

#include "config/tree.h"

/* *ret: the documents, linked by `next`; NULL if there is none. WEIR_EINVAL: *err says what and where; WEIR_ENOMEM. */
int weir_yaml_parse(struct weir_buf text, struct weir_arena *arena, struct weir_node **ret,
		    struct weir_tree_error *err);

/* The member of a mapping with this key; NULL: none, or `node` is NULL or no mapping. */
const struct weir_node *weir_node_member(const struct weir_node *node, const char *key);

#endif
