/*
 * The parts of metadata.c among themselves: one value for each line of
 * metadata.def, from whatever source.
 */
#ifndef MODEL_METADATA_IMPL_H
#define MODEL_METADATA_IMPL_H

#include "model/metadata.h"

enum meta {
#define META(id, group, part, key, type, read, header) META_##id,
#include "model/metadata.def"
#undef META
	META__MAX
};

enum meta_type {
	META_TYPE_TEXT,
	META_TYPE_REAL,
	META_TYPE_WHOLE,
	META_TYPE_TIME, /* milliseconds; 0 is not written */
	META_TYPE_FLAG,
	META_TYPE_TRUE /* written only when true */
};

struct meta_value {
	bool set;
	union {
		struct str text;
		double real;
		int64_t whole;
		bool flag;
	};
};

struct metadata {
	struct meta_value v[META__MAX];
};

enum header {
#define HEADER(id, name) HEADER_##id,
#include "model/headers.def"
#undef HEADER
	HEADER__MAX,
	HEADER_none = HEADER__MAX
};

/* The header that a lower-case name is, or HEADER__MAX. */
enum header header_find(struct str name);
struct str header_name(enum header header);

void meta_set_text(struct metadata *m, enum meta id, struct str s);
void meta_set_real(struct metadata *m, enum meta id, double v);
void meta_set_whole(struct metadata *m, enum meta id, int64_t v);
void meta_set_flag(struct metadata *m, enum meta id, bool v);
struct str meta_text(const struct metadata *m, enum meta id); /* "" : unset */

/* A text as metadata keeps it: redacted, at most 1024 bytes. */
struct str meta_clean(struct str s, struct arena *a);

/* Put what from has over what to has (later sources win). */
void metadata_merge(struct metadata *to, const struct metadata *from);

/* Fill m, which is empty, from an object of headers; base_ms: the event. */
void metadata_headers(const struct json_tree *headers, int64_t base_ms,
    struct metadata *m, struct arena *a);

/* Summary window, reached window and recovery, from the windows in m. */
void metadata_quota(struct metadata *m);

/* xAI's free usage that is spent, as the failure's text says (6.10.3). */
void provider_usage(const struct record *r, int64_t base_ms, struct metadata *m,
    struct arena *a);

/* Numbers and times in headers and bodies; false when the text is none. */
bool parse_real(struct str s, double *out); /* one % at the end is ignored */
bool parse_time(struct str s, int64_t *out_ms);
/* base_ms + seconds; false when that is no time. */
bool seconds_after(int64_t base_ms, double seconds, int64_t *out_ms);

#endif
