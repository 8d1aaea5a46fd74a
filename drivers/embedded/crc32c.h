/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli), as iSCSI and ext4 use it. */
#ifndef WEIR_DRIVER_EMBEDDED_CRC32C_H
#define WEIR_DRIVER_EMBEDDED_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what `crc` is the checksum of, followed by these bytes. Start with 0. Any thread. */
uint32_t weir_embedded_crc32c(uint32_t crc, const void *bytes, size_t len);
/* The same without the processor's instruction for it. */
uint32_t weir_embedded_crc32c_table(uint32_t crc, const void *bytes, size_t len);

#endif
