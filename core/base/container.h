/* SPDX-License-Identifier: Apache-2.0 */
/* base/container: from a member, such as a timer or a task that is handed to a callback, to the struct it is part of.
 */
#ifndef WEIR_BASE_CONTAINER_H
#define WEIR_BASE_CONTAINER_H

#include <stddef.h>

#define WEIR_CONTAINER(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
