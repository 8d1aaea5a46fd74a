/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natss/link: numbers in place of pointers, for what the library calls back
 * with. It calls when it likes, also after a connection was closed and
 * destroyed, and in no order that can be relied on; a number that means nothing
 * any more does no harm.
 */
#ifndef WEIR_DRIVER_NATSS_LINK_H
#define WEIR_DRIVER_NATSS_LINK_H

#include <stdint.h>

/* A new number for `object`; 0: no memory. */
uintptr_t weir_natss_link_new(void *object);
/* From when it returns nobody gets the object by that number, and nobody has it still. Not between the two below. */
void weir_natss_link_end(uintptr_t number);

/* The object, or NULL. Either way weir_natss_link_leave() must follow; until then it stays. Does not nest. */
void *weir_natss_link_enter(uintptr_t number);
void weir_natss_link_leave(void);

#endif
