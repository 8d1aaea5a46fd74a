/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event/time_check: is a text a time as RFC 3339 writes it?
 */
#ifndef WEIR_EVENT_TIME_CHECK_H
#define WEIR_EVENT_TIME_CHECK_H

#include <stdbool.h>

#include <weir/driver.h>

/*
 * A `date-time`: a day that the calendar has, any number of digits in the
 * fraction, 'T' and 'Z' in either case, and second 60, in any minute: when there
 * was a leap second is not known here.
 */
bool weir_time_is_valid(struct weir_buf text);

#endif
