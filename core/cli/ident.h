/* SPDX-License-Identifier: Apache-2.0 */
/* cli/ident: names that are made up when the user gives none. */
#ifndef WEIR_CLI_IDENT_H
#define WEIR_CLI_IDENT_H

#include <stdbool.h>
#include <stddef.h>

enum { WEIR_UUID_SIZE = 37 };

/* A random UUID (version 4). False if the system gives no random numbers. */
bool weir_cli_uuid(char text[WEIR_UUID_SIZE]);
/* "weir://cli/HOSTNAME" */
void weir_cli_source(char *text, size_t size);

#endif
