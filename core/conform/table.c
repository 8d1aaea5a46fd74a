/* SPDX-License-Identifier: Apache-2.0 */
#include "conform/case.h"

const struct weir_conform_group *const weir_conform_groups[] = {
	&weir_conform_life,      &weir_conform_publish, &weir_conform_subscribe, &weir_conform_ack,
	&weir_conform_redeliver, &weir_conform_order,   &weir_conform_groups_,   &weir_conform_durable,
	&weir_conform_threads,   &weir_conform_flow,    &weir_conform_limits,    &weir_conform_binary,
	&weir_conform_headers,   &weir_conform_errors,  &weir_conform_shutdown,  &weir_conform_faults,
	&weir_conform_abi,
};
const size_t weir_conform_group_count = sizeof weir_conform_groups / sizeof weir_conform_groups[0];
