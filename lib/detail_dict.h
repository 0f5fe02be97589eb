/*
 * What details of events usually say, learned from many: with it a detail
 * takes a quarter of the room.  A database keeps a copy of each dictionary
 * that its rows were compressed with.
 */
#ifndef DETAIL_DICT_H
#define DETAIL_DICT_H

#define DETAIL_DICT_BYTES 4096

extern const unsigned char detail_dict[DETAIL_DICT_BYTES];

#endif
