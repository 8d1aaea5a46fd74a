/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded driver: the cases of every driver, and what is its own: that it keeps things. */
#include "driver_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	return driver_run("embedded", NULL, 0);
}
