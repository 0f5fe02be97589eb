/*
 * Numbers for repeated texts (table dict).
 */
#ifndef DICT_H
#define DICT_H

/* Values stand in the database: append only, never renumber. */
enum dict_kind {
	DICT_MODEL = 1, /* requested, resolved and shown model */
	DICT_PROVIDER = 2,
	DICT_EXECUTOR = 3,
	DICT_ENDPOINT = 4,
	DICT_METHOD = 5,
	DICT_PATH = 6,
	DICT_AUTH_TYPE = 7,
	DICT_API_KEY = 8, /* BLOB: SHA-256 */
	DICT_CLIENT_IP = 9,
	DICT_FORWARDED_FOR = 10,
	DICT_USER_AGENT = 11,
	DICT_EFFORT = 12,
	DICT_TIER = 13, /* the three tier columns */
	DICT__MAX
};

#endif
