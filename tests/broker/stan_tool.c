/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain client of NATS Streaming for scripts.
 *
 *   stan_tool URL publish CHANNEL    one message: standard input
 *   stan_tool URL first CHANNEL      the channel's first message to standard output
 */
#include "stan_client.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char input[1 << 20];

int main(int argc, char **argv)
{
	char client[64];
	stanConnection *sc;

	if (argc != 4 || (strcmp(argv[2], "publish") != 0 && strcmp(argv[2], "first") != 0)) {
		fprintf(stderr, "usage: stan_tool URL publish|first CHANNEL\n");
		return 64;
	}
	snprintf(client, sizeof client, "stan-tool-%d", (int)getpid());
	sc = stan_client_open(argv[1], client);
	if (strcmp(argv[2], "publish") == 0) {
		stan_client_publish(sc, argv[3], input, fread(input, 1, sizeof input, stdin));
	} else {
		stanMsg *message = stan_client_first(sc, argv[3]);

		fwrite(stanMsg_GetData(message), 1, (size_t)stanMsg_GetDataLength(message), stdout);
		stanMsg_Destroy(message);
	}
	stan_client_close(sc);
	return 0;
}
