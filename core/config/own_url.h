/* SPDX-License-Identifier: Apache-2.0 */
/* config/own_url: URLs that lead back to this very dispatcher. */
#ifndef WEIR_CONFIG_OWN_URL_H
#define WEIR_CONFIG_OWN_URL_H

#include <stdbool.h>

#include <weir/driver.h>

/*
 * True if `url` is http, its host and port are one of `listen` (addresses joined
 * by commas), and its path is "/NAMESPACE/NAME". Nothing is resolved: of names
 * only "localhost" is known to be this machine, and only when it listens on
 * loopback or on all addresses.
 */
bool weir_own_url(struct weir_buf url, struct weir_buf listen, struct weir_buf *ns, struct weir_buf *name);

#endif
