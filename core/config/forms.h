/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/forms: what names, addresses and URLs must look like. Nothing is
 * resolved or opened. The answers are static text that says what is wrong and
 * what is allowed, and never repeats the value: a URL may hold a password.
 */
#ifndef WEIR_CONFIG_FORMS_H
#define WEIR_CONFIG_FORMS_H

#include "config/fields.h"

/* NULL if `text` has the form. */
const char *weir_form_check(enum weir_form form, struct weir_buf text);

/* Takes "channel:NAMESPACE/NAME" apart. False if `target` is not that, then it is a URL. Parts may be empty. */
bool weir_form_split_channel(struct weir_buf target, struct weir_buf *ns, struct weir_buf *name);

#endif
