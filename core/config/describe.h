/* SPDX-License-Identifier: Apache-2.0 */
/* config/describe: the field tables as one list, and words for what is in them. */
#ifndef WEIR_CONFIG_DESCRIBE_H
#define WEIR_CONFIG_DESCRIBE_H

#include "config/fields.h"

/*
 * Calls `visit` for every row of the core's own tables, in their order, with the
 * whole key: "dispatcher.listen", "channels[].subscriptions[].delivery.retry".
 * Stops when it returns false. `key` is borrowed until it returns.
 */
void weir_fields_visit(bool (*visit)(void *ctx, const char *key, const struct weir_field *row), void *ctx);

/* "string", "duration", ...: static text. `type`: enum weir_option_type or weir_field_type. */
const char *weir_field_type_text(uint32_t type);

/*
 * An option's default as people write it: durations of drivers are milliseconds
 * in their tables. Secrets are not shown. NULL: none. May return `out`.
 */
const char *weir_option_fallback_text(const struct weir_option *option, char out[32]);

/* A variable's name for a dotted key: "WEIR_DISPATCHER__LISTEN". False: it does not fit, or the key has no variable. */
bool weir_field_variable(const char *key, char *out, size_t size);

/* The dialects of filters, as they are written; ends with NULL. */
extern const char *const weir_filter_dialects[];

#endif
