/* SPDX-License-Identifier: Apache-2.0 */
/* cli/show: an event on standard output. */
#ifndef WEIR_CLI_SHOW_H
#define WEIR_CLI_SHOW_H

#include <stdbool.h>

#include <weir/event.h>

/*
 * One structured-mode CloudEvent on one line, line ends within JSON data written
 * as spaces; or, with `pretty`, attributes and data for people, with control
 * characters replaced. Not flushed. WEIR_EINVAL, WEIR_ENOMEM.
 */
int weir_cli_show(weir_event *event, bool pretty, struct weir_error *err);

#endif
