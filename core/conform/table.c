/* SPDX-License-Identifier: Apache-2.0 */
#include "conform/case.h"

const struct weir_conform_group *const weir_conform_groups[] = {
	&weir_conform_life,
	&weir_conform_publish,
};
const size_t weir_conform_group_count = sizeof weir_conform_groups / sizeof weir_conform_groups[0];
