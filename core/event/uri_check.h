/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event/uri_check: is a text a URI, or a reference to one, as RFC 3986 has it?
 */
#ifndef WEIR_EVENT_URI_CHECK_H
#define WEIR_EVENT_URI_CHECK_H

#include <stdbool.h>

#include <weir/driver.h>

/* `URI-reference`, and not empty: absolute or relative. */
bool weir_uri_is_reference(struct weir_buf text);

/*
 * `URI`: with a scheme. A fragment is taken too, though "absolute URI" in the
 * strict sense has none: schemas are named with it in practice.
 */
bool weir_uri_is_absolute(struct weir_buf text);

#endif
