/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/tally.h"

#include <string.h>

#include "base/mem.h"

enum { ACCEPTED = 0x80, COUNT = 0x7f, FIRST_ROOM = 64 * 1024 };

void weir_tally_init(struct weir_tally *tally, unsigned copies)
{
	memset(tally, 0, sizeof *tally);
	tally->copies = copies;
}

void weir_tally_fini(struct weir_tally *tally)
{
	weir_mem_free(tally->bytes);
	weir_tally_init(tally, tally->copies);
}

/* NULL: there is no place for it. */
static uint8_t *place_of(struct weir_tally *tally, uint64_t number)
{
	size_t room = tally->room ? tally->room : FIRST_ROOM;
	uint8_t *bytes;

	if (number < tally->room)
		return &tally->bytes[number];
	while (room <= number && room < WEIR_TALLY_MAX)
		room *= 2;
	bytes = room > number ? weir_mem_realloc(tally->bytes, room) : NULL;
	if (!bytes) {
		tally->untracked++;
		return NULL;
	}
	memset(bytes + tally->room, 0, room - tally->room);
	tally->bytes = bytes;
	tally->room = room;
	return &bytes[number];
}

void weir_tally_accept(struct weir_tally *tally, uint64_t number)
{
	uint8_t *place = place_of(tally, number);

	if (!place || *place & ACCEPTED)
		return;
	if (*place < tally->copies)
		tally->missing += tally->copies - *place;
	*place |= ACCEPTED;
}

void weir_tally_arrive(struct weir_tally *tally, uint64_t number)
{
	uint8_t *place = place_of(tally, number);

	if (!place)
		return;
	if ((*place & COUNT) >= tally->copies)
		tally->repeated++;
	else if (*place & ACCEPTED)
		tally->missing--;
	if ((*place & COUNT) < COUNT)
		++*place;
}
