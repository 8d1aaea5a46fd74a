/* SPDX-License-Identifier: Apache-2.0 */
/* filter/case_map: letters' case, and white space, by Unicode. */
#ifndef WEIR_FILTER_CASE_MAP_H
#define WEIR_FILTER_CASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint32_t weir_filter_lower(uint32_t c);
uint32_t weir_filter_upper(uint32_t c);
/* The property White_Space. */
bool weir_filter_is_space(uint32_t c);

#endif
