/* SPDX-License-Identifier: Apache-2.0 */
/* base/near: the nearest of some valid words to one that was mistyped. */
#ifndef WEIR_BASE_NEAR_H
#define WEIR_BASE_NEAR_H

#include "base/str.h"

struct weir_near {
	struct weir_buf word;
	const char *best; /* NULL: none is near enough */
	unsigned distance;
};

/* Words with more than a third of their letters wrong are not near. */
static inline struct weir_near weir_near_init(struct weir_buf word)
{
	struct weir_near near = { word, NULL, (unsigned)(word.len < 90 ? word.len / 3 + 2 : 32) };

	return near;
}

static inline void weir_near_offer(struct weir_near *near, const char *valid)
{
	unsigned distance = weir_str_distance(near->word, weir_str(valid), near->distance - 1);

	if (distance < near->distance) {
		near->best = valid;
		near->distance = distance;
	}
}

#endif
