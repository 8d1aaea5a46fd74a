/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/identity: the keys `dispatcher.tls.*` as an identity of the server. */
#ifndef WEIR_DISPATCH_IDENTITY_H
#define WEIR_DISPATCH_IDENTITY_H

#include <weir/config.h>

#include "http/tls.h"

/*
 * Reads the files. *ret is the caller's, or NULL if there is no address to listen
 * on with TLS. WEIR_EINVAL: the text names key and file.
 */
int weir_identity_load(const weir_config *config, struct weir_tls **ret, struct weir_error *err);
/* Says in the log if its certificate ends soon. `tls` NULL: nothing. */
void weir_identity_warn(const struct weir_tls *tls, const weir_config *config);

#endif
