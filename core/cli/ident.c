/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ident.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void weir_cli_source(char *text, size_t size)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	char host[256];

	/* A host name that is no part of a URI does not keep anybody from publishing. */
	if (gethostname(host, sizeof host - 1) < 0)
		snprintf(host, sizeof host, "unknown");
	host[sizeof host - 1] = '\0';
	if (!host[0] || host[strspn(host, allowed)])
		snprintf(host, sizeof host, "unknown");
	snprintf(text, size, "weir://cli/%s", host);
}
