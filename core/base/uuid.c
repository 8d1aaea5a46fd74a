/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"

#include <sys/random.h>
#include <sys/types.h>

bool weir_uuid(char text[WEIR_UUID_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char random[16];
	char *at = text;

	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return false;
	random[6] = (unsigned char)(0x40 | (random[6] & 0x0f));
	random[8] = (unsigned char)(0x80 | (random[8] & 0x3f));
	for (size_t i = 0; i < sizeof random; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = digits[random[i] >> 4];
		*at++ = digits[random[i] & 0x0f];
	}
	*at = '\0';
	return true;
}
