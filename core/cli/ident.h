/* SPDX-License-Identifier: Apache-2.0 */
/* cli/ident: names that are made up when the user gives none. */
#ifndef WEIR_CLI_IDENT_H
#define WEIR_CLI_IDENT_H

#include <stddef.h>

/* "weir://cli/HOSTNAME" */
void weir_cli_source(char *text, size_t size);

#endif
