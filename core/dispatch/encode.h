/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/encode: base64 and JSON strings, appended to a buffer. */
#ifndef WEIR_DISPATCH_ENCODE_H
#define WEIR_DISPATCH_ENCODE_H

#include <stdbool.h>

#include "base/dynbuf.h"

/* RFC 4648, section 4, with padding. */
bool weir_encode_base64(struct weir_dynbuf *out, struct weir_buf bytes);
/* With its quotes. What is not UTF-8 is written as if each byte were a '?'; ptr NULL: null. */
bool weir_encode_json_text(struct weir_dynbuf *out, struct weir_buf text);
/* A base64 string with its quotes; ptr NULL: null. */
bool weir_encode_json_bytes(struct weir_dynbuf *out, struct weir_buf bytes);

#endif
