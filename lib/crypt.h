/*
 * Keys and ciphers: OpenSSL's EVP behind the few calls we need, in the
 * formats of contract/http-api.md sections 18 and 19, so that secrets stored
 * by the reference decrypt.
 */
#ifndef CRYPT_H
#define CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "str.h"

#define SHA256_BYTES 32
#define DATA_KEY_BYTES 32

/* A loaded data key; wipe it with data_key_wipe(). */
struct data_key {
	bool present;
	unsigned char settings[DATA_KEY_BYTES]; /* derived: seals settings */
};

/* SHA-256 of p[0..n).  Cannot fail. */
void sha256(const void *p, size_t n, unsigned char out[SHA256_BYTES]);

/* HMAC-SHA256.  Cannot fail. */
void hmac_sha256(const void *key, size_t key_n, const void *p, size_t n,
    unsigned char out[SHA256_BYTES]);

/* True when equal; takes the same time wherever they differ. */
bool secret_equal(const void *a, size_t a_n, const void *b, size_t b_n);

/* n random bytes from the system.  Returns 0, or -1 with *e. */
int random_bytes(void *out, size_t n, struct err *e) ATTR_USE_RESULT;

/* n uniformly drawn characters of 0-9A-Za-z and a NUL. */
int random_base62(char *out, size_t n, struct err *e) ATTR_USE_RESULT;

/* Standard alphabet without padding, appended to b. */
void base64_encode(struct buf *b, const void *p, size_t n);
/*
 * Standard or URL-safe alphabet, padded or not; CR and LF inside are
 * skipped.  Returns the number of bytes written to out, or -1.
 */
int base64_decode(struct str s, unsigned char *out, size_t out_max);

/*
 * Data key from a text given by a person or from the content of a key file:
 * 32 bytes in base64 or raw.  When `passphrase` is true anything else is a
 * passphrase that the key is derived from (HKDF).  ERR_INPUT otherwise.
 */
int data_key_parse(struct str text, bool passphrase, struct data_key *k,
    struct err *e) ATTR_USE_RESULT;

/*
 * Load the key file.  ERR_MISSING when it is not there, ERR_INPUT when its
 * content is no key, ERR_UNAVAILABLE when it cannot be read.
 */
int data_key_load(
    const char *path, struct data_key *k, struct err *e) ATTR_USE_RESULT;

/*
 * Make a new key file, mode 0600 (0640 in a directory that is shared with a
 * group, 2770), never over an existing one, durable before the call returns;
 * k receives the key.  When another process made the file first, k receives
 * that one's key.
 */
int data_key_create(
    const char *path, struct data_key *k, struct err *e) ATTR_USE_RESULT;

void data_key_wipe(struct data_key *k);

/*
 * Seal a setting: "enc:v1:<nonce>:<ciphertext and tag>" appended to out.
 * An empty text stays empty; a text that is sealed already is copied.
 */
int secret_seal(const struct data_key *k, struct str plain, struct buf *out,
    struct err *e) ATTR_USE_RESULT;

/*
 * Open a setting, appended to out; a text that is not sealed is copied.
 * ERR_UNAVAILABLE when the key is missing or is not the one it was sealed
 * with.  Wipe out after use.
 */
int secret_open(const struct data_key *k, struct str sealed, struct buf *out,
    struct err *e) ATTR_USE_RESULT;
bool secret_is_sealed(struct str s);

/*
 * The record of the admin key (setting admin_credential_v1) as JSON, appended
 * to out.  created_ms 0: now.  rotated_ms 0: left out.
 */
int admin_record_make(struct str key, const char *source, int64_t created_ms,
    int64_t rotated_ms, struct buf *out, struct err *e) ATTR_USE_RESULT;

/*
 * Check a key against a record in constant time.  Returns 1 when it is the
 * one, 0 when not, -1 with *e when the record cannot be read.
 */
int admin_record_check(
    struct str record, struct str key, struct err *e) ATTR_USE_RESULT;

#define ADMIN_KEY_PREFIX "cmp_admin_"
#define ADMIN_KEY_MIN 16 /* characters of a key that a person gives */

/* "cmp_admin_" and 32 random characters, NUL-terminated; out holds 64. */
int admin_key_generate(char out[64], struct err *e) ATTR_USE_RESULT;

#endif
