/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/policy: the keys `dispatcher.auth.*` as a policy of who may send. */
#ifndef WEIR_DISPATCH_POLICY_H
#define WEIR_DISPATCH_POLICY_H

#include <weir/config.h>

#include "auth/auth.h"

/*
 * *ret NULL: everybody may send. `before`: the policy that it replaces, or NULL.
 * `ret` NULL: only checks. WEIR_EINVAL: the text names key and file.
 */
int weir_policy_load(const weir_config *config, const struct weir_auth *before, struct weir_auth **ret,
		     struct weir_error *err);

#endif
