/* SPDX-License-Identifier: Apache-2.0 */
/* base/uuid: names that nobody else makes. */
#ifndef WEIR_BASE_UUID_H
#define WEIR_BASE_UUID_H

#include <stdbool.h>

enum { WEIR_UUID_SIZE = 37 };

/* A random UUID (version 4) as text. False: the system has no random bytes. */
bool weir_uuid(char text[WEIR_UUID_SIZE]);

#endif
