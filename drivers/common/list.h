/* SPDX-License-Identifier: Apache-2.0 */
/*
 * common/list: the lists of drivers. A node is part of its owner's struct and in
 * one list at most; nothing is allocated. Drivers compile it into themselves.
 */
#ifndef WEIR_DRIVER_COMMON_LIST_H
#define WEIR_DRIVER_COMMON_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* A node of a list, or its head. A node that is in no list points to itself. */
struct link {
	struct link *prev, *next;
};

/* From a node to the struct that it is part of. */
#define weir_list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void weir_list_init(struct link *node)
{
	node->prev = node->next = node;
}

/* Of a node: it is in a list; of a head: its list is not empty. */
static inline bool weir_list_linked(const struct link *node)
{
	return node->next != node;
}

static inline void weir_list_unlink(struct link *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	weir_list_init(node);
}

/* Puts `node` before `at`, out of the list it may be in. Before a head is at the end of its list. */
static inline void weir_list_append(struct link *at, struct link *node)
{
	weir_list_unlink(node);
	node->prev = at->prev;
	node->next = at;
	at->prev->next = node;
	at->prev = node;
}

/* All of `from`, in order, behind what is in `to`. */
static inline void weir_list_append_all(struct link *to, struct link *from)
{
	if (!weir_list_linked(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	weir_list_init(from);
}

#endif
