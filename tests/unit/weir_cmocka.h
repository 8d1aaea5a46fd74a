/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka wants these before it, in this order. */
#ifndef WEIR_TEST_CMOCKA_H
#define WEIR_TEST_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
