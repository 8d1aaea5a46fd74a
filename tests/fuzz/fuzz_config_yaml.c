/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a manifest: documents, or what is wrong with them and where; the trees hang together. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "base/arena.h"
#include "config/yaml_tree.h"

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Every node once, without recursion; the first violation aborts. */
static void check_tree(const struct weir_node *root)
{
	const struct weir_node *node = root;

	while (node) {
		check(node->at.line > 0 && node->at.column > 0);
		check(!node->parent || node->keyed == (node->parent->kind == WEIR_JSON_OBJECT));
		check(node->kind != WEIR_JSON_STRING || node->text.ptr);
		if (node->first) {
			node = node->first;
			continue;
		}
		while (node && !node->next)
			node = node->parent;
		node = node ? node->next : NULL;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_tree_error err = { .at = { 0, 0 } };
	struct weir_node *documents;
	struct weir_arena arena;
	int code;

	weir_arena_init(&arena, 0);
	code = weir_yaml_parse((struct weir_buf){ data, size }, &arena, &documents, &err);
	check(code == WEIR_OK || code == WEIR_EINVAL);
	check(code == WEIR_OK || (err.at.line > 0 && err.text[0] && !documents));
	check_tree(documents);
	weir_arena_fini(&arena);
	return 0;
}
