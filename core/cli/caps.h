/* SPDX-License-Identifier: Apache-2.0 */
/* cli/caps: words for what weir/driver.h numbers. All text is static; NULL for a number that is none. */
#ifndef WEIR_CLI_CAPS_H
#define WEIR_CLI_CAPS_H

#include <stdint.h>

/* "durable", "replay-earliest", ...; `cap` is enum weir_cap. */
const char *weir_cli_cap_name(unsigned cap);
/* "string", "duration", ...; `type` is enum weir_option_type. */
const char *weir_cli_option_type(uint32_t type);
/* "free", "instance", ...; `level` is enum weir_thread_level. */
const char *weir_cli_thread_level(uint32_t level);

#endif
