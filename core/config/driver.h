/* SPDX-License-Identifier: Apache-2.0 */
/* config/driver: which option of a driver a key is. */
#ifndef WEIR_CONFIG_DRIVER_H
#define WEIR_CONFIG_DRIVER_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/driver.h>

/* What follows "NAME." in a key of this driver; NULL: not one of its keys. */
const char *weir_driver_key_within(const struct weir_driver *driver, const char *key);
/* The option for the first `len` bytes of a key without the driver's name. `fold`: letters without case. NULL: none. */
const struct weir_option *weir_driver_option(const struct weir_driver *driver, const char *key, size_t len, bool fold);
/* The secret option that "passwordFile" reads from a file; NULL: none. */
const struct weir_option *weir_driver_file_option(const struct weir_driver *driver, const char *key, bool fold);

#endif
