/* SPDX-License-Identifier: Apache-2.0 */
#include "event/time_check.h"

/* What is left to read. */
struct rest {
	const char *p;
	const char *end;
};

/* Takes `count` digits and gives their value, -1 if they are not there. */
static int take_number(struct rest *rest, int count)
{
	int value = 0;

	if (rest->end - rest->p < count)
		return -1;
	for (; count; count--, rest->p++) {
		if (*rest->p < '0' || *rest->p > '9')
			return -1;
		value = value * 10 + (*rest->p - '0');
	}
	return value;
}

static bool take_char(struct rest *rest, char c)
{
	if (rest->p == rest->end || *rest->p != c)
		return false;
	rest->p++;
	return true;
}

static bool take_letter(struct rest *rest, char upper)
{
	return take_char(rest, upper) || take_char(rest, (char)(upper | 0x20));
}

static int days_in(int year, int month)
{
	static const signed char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month == 2 && leap ? 29 : days[month - 1];
}

static bool take_date(struct rest *rest)
{
	int year, month, day;

	year = take_number(rest, 4);
	if (year < 0 || !take_char(rest, '-'))
		return false;
	month = take_number(rest, 2);
	if (month < 1 || month > 12 || !take_char(rest, '-'))
		return false;
	day = take_number(rest, 2);
	return day >= 1 && day <= days_in(year, month);
}

/* "hh:mm". */
static bool take_minutes(struct rest *rest)
{
	int hour = take_number(rest, 2);
	int minute;

	if (hour < 0 || hour > 23 || !take_char(rest, ':'))
		return false;
	minute = take_number(rest, 2);
	return minute >= 0 && minute <= 59;
}

static bool take_seconds(struct rest *rest)
{
	int second;

	if (!take_char(rest, ':'))
		return false;
	second = take_number(rest, 2);
	if (second < 0 || second > 60)
		return false;
	if (!take_char(rest, '.'))
		return true;
	if (take_number(rest, 1) < 0)
		return false;
	while (take_number(rest, 1) >= 0)
		continue;
	return true;
}

static bool take_offset(struct rest *rest)
{
	if (take_letter(rest, 'Z'))
		return true;
	return (take_char(rest, '+') || take_char(rest, '-')) && take_minutes(rest);
}

bool weir_time_is_valid(struct weir_buf text)
{
	struct rest rest = { text.ptr, (const char *)text.ptr + text.len };

	return take_date(&rest) && take_letter(&rest, 'T') && take_minutes(&rest) && take_seconds(&rest) &&
	       take_offset(&rest) && rest.p == rest.end;
}
