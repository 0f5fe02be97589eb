/*
 * The admin key: making one, its stored record, checking a key against it.
 *
 * A generated key has 190 bits, so one HMAC with a random salt is all that
 * its record needs; rows of older servers stretch the key with PBKDF2.
 */
#include "crypt.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "clock.h"
#include "crypt_impl.h"
#include "json_in.h"
#include "json_out.h"

#define RECORD_VERSION 1
#define SALT_BYTES 16
#define SALT_MAX 64
#define ITERATIONS_MAX 5000000 /* seconds of work; more is a broken row */

static void
pbkdf2(struct str key, unsigned char *salt, size_t salt_n, int64_t iterations,
    unsigned char out[SHA256_BYTES])
{
	static char digest[] = "SHA256";
	EVP_KDF_CTX *context = EVP_KDF_CTX_new(crypt_algorithms()->pbkdf2);
	union {
		const void *in;
		void *param;
	} password = { .in = key.p };
	uint64_t rounds = (uint64_t)iterations;
	int unchecked = 1; /* take few rounds as well: the row is as it is */
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_PASSWORD, password.param, key.n),
		OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_SALT, salt, salt_n),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_ITER, &rounds),
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_PKCS5, &unchecked),
		OSSL_PARAM_construct_end(),
	};

	if (context == NULL ||
	    EVP_KDF_derive(context, out, SHA256_BYTES, params) != 1)
		crypt_broken("PBKDF2");
	EVP_KDF_CTX_free(context);
}

static void
key_digest(struct str key, unsigned char *salt, size_t salt_n,
    int64_t iterations, unsigned char out[SHA256_BYTES])
{
	if (iterations > 1)
		pbkdf2(key, salt, salt_n, iterations, out);
	else
		hmac_sha256(salt, salt_n, key.p, key.n, out);
}

/* Append a member whose value is base64; its alphabet needs no escapes. */
static void
member_base64(struct json_out *o, const char *name, const void *p, size_t n)
{
	struct buf text;

	buf_init(&text, 256);
	base64_encode(&text, p, n);
	json_out_kstr(o, name, buf_view(&text));
	if (text.failed)
		o->failed = true;
	buf_free(&text);
}

int
admin_record_make(struct str key, const char *source, int64_t created_ms,
    int64_t rotated_ms, struct buf *out, struct err *e)
{
	unsigned char salt[SALT_BYTES], digest[SHA256_BYTES];
	struct json_out o;

	key = str_trim(key);
	if (key.n == 0)
		return fail(e, ERR_INPUT, "admin key is empty");
	if (random_bytes(salt, sizeof salt, e) != 0)
		return -1;
	key_digest(key, salt, sizeof salt, 1, digest);

	json_out_init(&o, out, NULL, NULL);
	json_out_object(&o);
	json_out_kint(&o, "version", RECORD_VERSION);
	member_base64(&o, "salt", salt, sizeof salt);
	member_base64(&o, "keyHash", digest, sizeof digest);
	json_out_kint(&o, "iterations", 1);
	json_out_kint(
	    &o, "createdAtMs", created_ms != 0 ? created_ms : clock_now_ms());
	json_out_kint_opt(&o, "rotatedAtMs", rotated_ms);
	json_out_kstr_opt(&o, "source", str_of(source));
	json_out_object_end(&o);
	if (o.failed || out->failed)
		return fail(e, ERR_UNAVAILABLE, "admin key: out of memory");
	return 0;
}

int
admin_record_check(struct str record, struct str key, struct err *e)
{
	/* one byte more than fits, so that a longer value is noticed */
	unsigned char salt[SALT_MAX], want[SHA256_BYTES + 1],
	    have[SHA256_BYTES];
	struct str salt_text = { NULL, 0 }, hash_text = { NULL, 0 };
	int64_t iterations = 1;
	int salt_n, rc = -1;
	json_t *j = NULL;

	if ((j = json_in_parse(record, true, e)) == NULL ||
	    json_in_str(j, "salt", "salt", &salt_text, e) != 0 ||
	    json_in_str(j, "keyHash", "keyHash", &hash_text, e) != 0 ||
	    json_in_i64(j, "iterations", "iterations", &iterations, e) != 0)
		goto broken;
	salt_n = base64_decode_as(
	    salt_text, BASE64_STD, BASE64_RAW, salt, sizeof salt);
	if (salt_n < 1 || iterations > ITERATIONS_MAX ||
	    base64_decode_as(hash_text, BASE64_STD, BASE64_RAW, want,
		sizeof want) != SHA256_BYTES) {
		fail(e, ERR_INTERNAL, "salt, keyHash or iterations are wrong");
		goto broken;
	}
	key = str_trim(key);
	if (key.n == 0)
		rc = 0;
	else {
		key_digest(key, salt, (size_t)salt_n, iterations, have);
		rc = secret_equal(want, SHA256_BYTES, have, sizeof have);
	}
	json_decref(j);
	return rc;
broken:
	json_decref(j);
	/* the row is ours, not the client's: never an ERR_INPUT */
	if (e != NULL)
		e->kind = ERR_INTERNAL;
	fail_prefix(e,
	    "the stored admin key is broken (`cpactl reset-admin-key` makes a "
	    "new one)");
	return rc;
}

int
admin_key_generate(char out[64], struct err *e)
{
	static const char prefix[] = ADMIN_KEY_PREFIX;

	memcpy(out, prefix, sizeof prefix);
	return random_base62(out + sizeof prefix - 1, 32, e);
}
