/* SPDX-License-Identifier: Apache-2.0 */
/* config/plan: what going over from one configuration to another means, key by key. */
#ifndef WEIR_CONFIG_PLAN_H
#define WEIR_CONFIG_PLAN_H

#include <weir/config.h>

#include "base/arena.h"

enum weir_plan_effect {
	WEIR_PLAN_ADD,     /* a channel or a subscription begins */
	WEIR_PLAN_REMOVE,  /* ... ends */
	WEIR_PLAN_CHANGE,  /* goes on, differently */
	WEIR_PLAN_MOVE,    /* a channel goes to a backend of another kind */
	WEIR_PLAN_RENEW,   /* a backend is opened anew, with other credentials */
	WEIR_PLAN_RESTART, /* cannot be changed while it runs */
};

struct weir_plan_step {
	enum weir_plan_effect effect;
	const char *key;       /* "dispatcher.listen", "channels[shop/orders].subscriptions[billing]" */
	const char *text;      /* what changes, for people; never a secret */
	const char *kind;      /* WEIR_PLAN_RENEW: of the backend; MOVE: the new one; else NULL */
	const char *ns, *name; /* WEIR_PLAN_MOVE: of the channel */
};

struct weir_plan {
	struct weir_arena arena;
	struct weir_plan_step *steps;
	size_t count, capacity;
	bool no_memory;
};

/*
 * Compares two loaded configurations. `drivers`: the tables of the backends that
 * are open; other drivers' settings apply when one is opened. Strings borrow from
 * the plan and from both configurations. WEIR_ENOMEM. weir_plan_fini() in any case.
 */
int weir_plan_make(const weir_config *now, const weir_config *next, const struct weir_driver *const *drivers,
		   size_t count, struct weir_plan *ret);
void weir_plan_fini(struct weir_plan *plan);

/* The first step that needs a restart; NULL: none does. */
const struct weir_plan_step *weir_plan_obstacle(const struct weir_plan *plan);
/* "add", "remove", ...: static text. */
const char *weir_plan_effect_text(enum weir_plan_effect effect);

#endif
