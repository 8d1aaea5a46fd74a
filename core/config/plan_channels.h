/* SPDX-License-Identifier: Apache-2.0 */
/* config/plan_channels: the part of a plan that is about channels and subscriptions. */
#ifndef WEIR_CONFIG_PLAN_CHANNELS_H
#define WEIR_CONFIG_PLAN_CHANNELS_H

#include "config/plan.h"

/* NULL: no memory, noted in the plan. */
__attribute__((format(printf, 4, 5))) struct weir_plan_step *
weir_plan_add(struct weir_plan *plan, enum weir_plan_effect effect, const char *key, const char *format, ...);

void weir_plan_channels(struct weir_plan *plan, const weir_config *now, const weir_config *next);

#endif
