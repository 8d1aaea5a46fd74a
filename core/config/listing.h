/* SPDX-License-Identifier: Apache-2.0 */
/* config/listing: everything that is effective, with its source, fit to be shown to anybody. */
#ifndef WEIR_CONFIG_LISTING_H
#define WEIR_CONFIG_LISTING_H

#include <weir/config.h>

#include "base/arena.h"

struct weir_listed {
	const char *key;    /* "dispatcher.listen", "channels[default/orders].kind" */
	const char *text;   /* of secrets and of what no driver vouches for not the value, but why it is not shown */
	const char *origin; /* as weir_config_origin() */
};

struct weir_listing {
	struct weir_arena arena;
	struct weir_listed *items;
	size_t count, capacity;
};

/*
 * Lists a loaded configuration: dotted keys in alphabetical order, then channels
 * in theirs. `drivers`: the tables that tell which of their keys are secret, and
 * their defaults. WEIR_ENOMEM. weir_listing_fini() in any case.
 */
int weir_config_list(const weir_config *config, const struct weir_driver *const *drivers, size_t count,
		     struct weir_listing *ret);
void weir_listing_fini(struct weir_listing *listing);

#endif
