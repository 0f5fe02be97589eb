/*
 * What reading a payload and reading an import share.
 */
#ifndef MODEL_NORMALISE_IMPL_H
#define MODEL_NORMALISE_IMPL_H

#include "model/normalise.h"
#include "model/record.h"

/* A tree takes 64 bytes a value, and "[1," is a value in two bytes. */
#define TREE_BYTES(item) ((item).n * 40 + (size_t)256 * 1024)

/* All of ev but its texts' bytes, which are still those of the tree. */
void read_payload(const struct record *r, int64_t now_ms, struct arena *a,
    struct usage_event *ev);

/*
 * Copy the texts of ev, whose bytes are in work, into a.  ERR_TOO_LARGE when
 * either was too small for them.
 */
int keep_event(struct usage_event *ev, const struct arena *work,
    struct arena *a, struct err *e) ATTR_USE_RESULT;

/* "METHOD path": the two parts, when the text is of that form. */
bool split_endpoint(struct str endpoint, struct str *method, struct str *path);

/*
 * The label as it may be shown.  The same text as the client's key is a key
 * however it looks, and so is the label of a credential that is a key itself
 * (but Vertex's, which is a project's name), unless it is plainly a name.
 */
struct str shown_source(struct str source, struct str api_key,
    const struct usage_event *ev, struct arena *a);

/* Did the attempt fail?  contract/collector.md section 6.7. */
bool is_failed(const struct record *r);

/* A whole number that may be absent or null. */
struct opt_i64 optional_int(const struct record *r, const unsigned char *keys);

#endif
