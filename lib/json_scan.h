/*
 * Walking through JSON without reading it: members and elements as views of
 * their text, whatever their size.  Brackets and quotes are followed, what
 * stands between them is not judged: that is for whoever parses a part.
 */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include <stdbool.h>

#include "str.h"

struct json_scan {
	const char *p, *end;
	bool begun;
};

/* Begin inside an object or a list: v starts with its opening bracket. */
void json_scan_init(struct json_scan *s, struct str v);

enum json_scan_result {
	JSON_SCAN_PART, /* one more */
	JSON_SCAN_END,  /* the closing bracket; s->p stands behind it */
	JSON_SCAN_CUT,  /* the text ends inside */
	JSON_SCAN_BAD   /* something else than a comma or a bracket follows */
};

/* The next element of a list. */
enum json_scan_result json_scan_element(
    struct json_scan *s, struct str *element);

/* The next member of an object; key with its quotes, as it stands there. */
enum json_scan_result json_scan_member(
    struct json_scan *s, struct str *key, struct str *value);

/*
 * The value that text begins with, white space skipped; *value is empty when
 * there is none.  JSON_SCAN_PART, _CUT or _BAD.
 */
enum json_scan_result json_scan_value(struct str text, struct str *value);

#endif
