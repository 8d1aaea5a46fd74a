/* SPDX-License-Identifier: Apache-2.0 */
/* cli/notify: tells a service manager how we are, over the socket that it names in NOTIFY_SOCKET. */
#ifndef WEIR_CLI_NOTIFY_H
#define WEIR_CLI_NOTIFY_H

/* "READY=1", "STOPPING=1". Does nothing when nobody wants to know. */
void weir_cli_notify(const char *state);

#endif
